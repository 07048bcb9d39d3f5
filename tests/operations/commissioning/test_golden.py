"""Golden cases: kept, sent again, compared with last time; a change holds or warns."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drawcli.adapters.state.golden_store import GoldenStore
from drawcli.core.jobs.job import Job, State
from drawcli.core.qa.golden import GoldenOutcome
from drawcli.errors import UsageError
from drawcli.operations.commissioning.golden import GoldenRun, run_golden
from drawcli.operations.commissioning.golden_cases import (
    accept_change,
    add_folder,
    add_job,
    listed_cases,
)
from drawcli.operations.commissioning.side_ledger import WaitOptions
from drawcli.pipeline.actions import apply_action, release
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_step
from drawcli.sandbox.catalogue import as_json
from tests.conftest import PELVIS, SLICES, Clock, Site, opened
from tests.fake_draw import FakeDraw
from tests.operations.commissioning.conftest import PastPatients, moved
from tests.phantoms.planning import write_planning_ct

Sleep = Callable[[float], None]
ALL = Selection()
TEMPLATE = "Prostate_OAR"


@pytest.fixture
def draw() -> FakeDraw:
    return FakeDraw(models=as_json())


@pytest.fixture
def send(ctx: Context, sleep: Sleep) -> Callable[..., GoldenRun]:
    """Return a function that sends what is due and waits for it."""
    return lambda **given: run_golden(ctx, WaitOptions(sleep=sleep), **given)


@pytest.fixture
def golden(ctx: Context, past: PastPatients) -> str:
    """Keep a scan of a folder as a golden case; return its id."""
    past.images(1)
    (case,) = add_folder(past.folder, TEMPLATE, ctx)
    return case.id


def outcomes(run: GoldenRun) -> list[str]:
    return [str(one.outcome) for one in run.results]


def test_a_scan_comes_back_the_same_until_the_model_changes(
    golden: str, send: Callable[..., GoldenRun], draw: FakeDraw, ctx: Context
) -> None:
    assert outcomes(send()) == ["reference"]
    assert outcomes(send(everything=True)) == ["unchanged"]
    draw.change = moved(2.0, "Bladder")

    changed = send(everything=True)

    (result,) = changed.changes
    assert [one.name for one in result.structures] == ["Bladder"]
    assert result.structures[0].dice == pytest.approx(28 / 30)
    assert outcomes(send(everything=True)) == ["still-changed"]
    assert set(GoldenStore(ctx.site_dir).changed()) == {TEMPLATE}
    assert (len(draw.uploads), draw.results) == (4, {})  # the server keeps nothing
    assert ctx.ledger.jobs() == []
    del golden


def test_the_same_bytes_are_sent_each_time(
    golden: str, send: Callable[..., GoldenRun], draw: FakeDraw
) -> None:
    send()
    send(everything=True)

    first, second = draw.uploads.values()
    assert first == second
    del golden


def test_a_case_is_due_after_some_days_or_when_the_catalogue_entry_changes(
    golden: str, send: Callable[..., GoldenRun], draw: FakeDraw, clock: Clock, ctx: Context
) -> None:
    send()

    assert send().sent == {}
    clock.advance(days=29)
    assert send().sent == {}
    clock.advance(days=2)
    assert send().sent == {golden: "last sent 2026-11-14"}
    draw.models = as_json(version=2)
    assert send().sent == {}  # asked for the catalogue within twelve hours
    clock.advance(hours=13)
    assert send().sent == {golden: "the catalogue entry of a model has changed"}
    assert send().sent == {}
    (listed,) = listed_cases(ctx)
    assert listed.due_at is not None
    assert (listed.due_at - ctx.now()).days in (29, 30)


def test_a_run_under_a_wrong_clock_delays_no_later_one(
    golden: str, send: Callable[..., GoldenRun], draw: FakeDraw, clock: Clock
) -> None:
    clock.advance(days=9999)
    send()
    draw.models = as_json(version=2)
    clock.advance(days=-9999)

    assert send().sent == {golden: "the catalogue entry of a model has changed"}


def test_a_last_run_in_the_future_makes_a_case_due(
    golden: str, send: Callable[..., GoldenRun], clock: Clock
) -> None:
    clock.advance(days=9999)
    send()
    clock.advance(days=-9999)

    assert list(send().sent) == [golden]


def test_an_accepted_change_is_the_reference_and_one_taken_back_is_none(
    golden: str, send: Callable[..., GoldenRun], draw: FakeDraw, ctx: Context
) -> None:
    send()
    with pytest.raises(UsageError, match="has changed"):
        accept_change(TEMPLATE, ctx)
    draw.change = moved(2.0, "Bladder")
    send(everything=True)

    accept_change(TEMPLATE, ctx, "looked at it")

    store = GoldenStore(ctx.site_dir)
    assert store.changed() == {}
    assert outcomes(send(everything=True)) == ["unchanged"]
    draw.change = None
    assert outcomes(send(everything=True)) == ["changed"]  # from the accepted ones
    draw.change = moved(2.0, "Bladder")
    assert outcomes(send(everything=True)) == ["unchanged"]
    assert store.changed() == {}
    del golden


def test_a_job_becomes_a_golden_case_that_stays_when_its_work_folder_goes(
    ctx: Context, pelvis: list[Path], draw: FakeDraw, send: Callable[..., GoldenRun]
) -> None:
    for command in ("scan", "match", "deidentify", "upload", "poll", "fetch"):
        run_step(command, ctx, ALL)
    (job,) = ctx.ledger.jobs()
    patient = ctx.crosswalk(job).patient_id

    case = add_job(job, ctx)
    with pytest.raises(UsageError, match="already"):
        add_job(job, ctx)
    ctx.work.remove(job.id)
    for path in pelvis:
        path.unlink()

    assert outcomes(send()) == ["unchanged"]  # as the job's own contours
    kept = [path for path in ctx.site_dir.rglob("qa/golden/**/*") if path.is_file()]
    assert all(patient.encode() not in path.read_bytes() for path in kept)
    store = GoldenStore(ctx.site_dir)
    sealed = ctx.vault.open(store.place(case.id), case.id)
    assert (sealed.patient_id, sealed.patient_name, sealed.identity) == ("", "", {})
    assert draw.uploads["task-1"] == draw.uploads["task-2"]


def test_a_case_that_does_not_come_back_is_told_and_sent_again_the_next_day(
    golden: str, send: Callable[..., GoldenRun], draw: FakeDraw, clock: Clock
) -> None:
    draw.status = "FAILED"
    (failed,) = send().results
    assert (failed.outcome, failed.note[:19]) == (GoldenOutcome.FAILED, "segmentation-failed")
    draw.status = "SEGMENTATION COMPLETED"

    assert send().sent == {}
    clock.advance(hours=25)

    again = send()
    assert (again.sent, outcomes(again)) == ({golden: "the last run failed"}, ["reference"])


@pytest.fixture
def changed(
    site: Site, draw: FakeDraw, clock: Clock, past: PastPatients, sleep: Sleep
) -> Iterator[Context]:
    """Open a site where a golden case has shown another model, and new jobs are to be held."""
    site.add_line("qa: {on_change: hold}")
    with opened(site, draw, clock) as ctx:
        past.images(1)
        add_folder(past.folder, TEMPLATE, ctx)
        run_golden(ctx, WaitOptions(sleep=sleep))
        draw.change = moved(2.0, "Bladder")
        run_golden(ctx, WaitOptions(sleep=sleep), everything=True)
        yield ctx


def states(ctx: Context) -> list[tuple[str, bool, str | None]]:
    return [(str(job.state), job.held, job.reason_code) for job in ctx.ledger.jobs()]


def test_new_jobs_of_the_template_are_held_until_the_change_is_accepted(
    changed: Context, pelvis: list[Path], draw: FakeDraw
) -> None:
    sent = len(draw.uploads)
    for command in ("scan", "match", "deidentify", "upload"):
        run_step(command, changed, ALL)

    assert states(changed) == [("matched", True, "model-changed")]
    (released,) = accept_change(TEMPLATE, changed)
    for command in ("deidentify", "upload"):
        run_step(command, changed, ALL)

    assert released.template == TEMPLATE
    assert states(changed) == [("uploaded", False, None)]
    assert len(draw.uploads) == sent + 1
    del pelvis


def test_a_package_that_was_built_before_is_held_too(
    changed: Context, in_state_of: Callable[..., Job]
) -> None:
    in_state_of(changed, State.PACKAGED, template=TEMPLATE)

    run_step("upload", changed, ALL)

    assert states(changed) == [("packaged", True, "model-changed")]


def test_a_case_whose_template_has_changed_since_is_pointed_out(
    golden: str, ctx: Context, site: Site
) -> None:
    (before,) = listed_cases(ctx)
    path = site.folder / "templates.yaml"
    path.write_text(path.read_text().replace("          4: Femur_Head_R\n", ""))
    ctx.__dict__.pop("rulebook")

    (after,) = listed_cases(ctx)

    assert (before.is_outdated, after.is_outdated, after.case.id) == (False, True, golden)


def test_a_job_that_a_user_releases_is_not_held_again_and_others_are(
    changed: Context, pelvis: list[Path], site: Site
) -> None:
    for command in ("scan", "match"):
        run_step(command, changed, ALL)
    (job,) = changed.ledger.jobs()
    apply_action(job, release, changed)
    write_planning_ct(site.store / "second", PELVIS, slices=SLICES, size=32, seed=2)
    for command in ("scan", "match", "deidentify"):
        run_step(command, changed, ALL)

    by_id = {one.id: one for one in changed.ledger.jobs()}
    assert (by_id.pop(job.id).state, [one.held for one in by_id.values()]) == (
        State.PACKAGED,
        [True],
    )
    del pelvis


@pytest.mark.parametrize("how", ["warn", "sent", "removed", "another"])
def test_what_is_not_held(
    changed: Context, in_state_of: Callable[[Context, State], Job], how: str, site: Site
) -> None:
    facts: dict[str, object] = {"template": TEMPLATE}
    if how == "sent":
        facts["attested"] = 1
    if how == "another":
        facts["template"] = "Thorax_OAR"
    in_state_of(changed, State.MATCHED, **facts)
    if how == "warn":
        changed.__dict__["settings"] = changed.settings.replace(
            qa=changed.settings.qa.replace(on_change="warn")
        )
    if how == "removed":
        store = GoldenStore(changed.site_dir)
        store.remove(store.cases()[0].id)

    run_step("upload", changed, ALL)

    assert [job.held for job in changed.ledger.jobs()] == [False]
    del site


@pytest.fixture
def in_state_of() -> Callable[..., Job]:
    """Put a bare job into a ledger."""

    def make(ctx: Context, state: State, **facts: object) -> Job:
        job = Job(id="0123456789ab-1", state=state, since=ctx.now(), **facts)  # type: ignore[arg-type] # any fact
        ctx.ledger.add(job)
        return job

    return make
