"""Actions and changes in an awkward order: nothing is lost, sent twice, or sent unasked."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from drawcli.adapters.state.former_client import FormerHistory, write_history
from drawcli.adapters.state.workdir import RECEIVED, TEMPLATE
from drawcli.cli.commands import app
from drawcli.core.jobs.job import Job, State
from drawcli.errors import FIRST_RUN, NeedsPerson, UsageError
from drawcli.operations import ledger_check
from drawcli.pipeline import actions
from drawcli.pipeline.actions import apply_action, assign_template, cancel, release, resend, retry
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_once, run_step
from drawcli.pipeline.steps.scan import scan
from tests.conftest import THORAX, Clock, Site, opened
from tests.fake_draw import FakeDraw
from tests.phantoms.planning import write_planning_ct

ALL = Selection()
OUT = ("scan", "match", "deidentify", "upload")
Make = Callable[..., Job]


def run_steps(ctx: Context, *steps: str) -> None:
    for step in steps:
        run_step(step, ctx, ALL)


def set_to(ctx: Context, part: str, **values: object) -> Context:
    """Return the site with other settings in a section."""
    section = getattr(ctx.settings, part).replace(**values)
    return replace(ctx, settings=ctx.settings.replace(**{part: section}))


def held(job: Job, code: str, ctx: Context) -> Job:
    after = job.held_for(NeedsPerson("because", code=code), at=ctx.now())
    return ctx.ledger.commit(after)


TWO = """rules:
  - name: one
    template: Prostate_OAR
    when: {Modality: CT}
  - name: two
    template: %s
    when: {Modality: CT}
"""


def other_template(ctx: Context) -> str:
    return next(name for name in ctx.rulebook.templates if name != "Prostate_OAR")


def templates_of(ctx: Context, *states: State) -> list[str]:
    return sorted(str(job.template) for job in ctx.ledger.jobs() if job.state in states)


@pytest.mark.parametrize("finished", [False, True])
def test_each_template_of_a_series_that_changed_is_sent_again_once(
    ctx: Context, pelvis: list[Path], *, finished: bool
) -> None:
    ctx = set_to(set_to(ctx, "scan", late="resend"), "match", on_many="all")
    both = sorted(["Prostate_OAR", other_template(ctx)])
    ctx.settings.rules.write_text(TWO % other_template(ctx))
    ctx = replace(ctx)
    run_steps(ctx, *OUT)
    if finished:
        run_steps(ctx, "poll", "fetch", "reidentify")
    assert templates_of(ctx, State.DONE if finished else State.UPLOADED) == both
    pelvis[-1].unlink()

    run_steps(ctx, *OUT)
    run_steps(ctx, *OUT)

    assert templates_of(ctx, State.UPLOADED) == both


def test_the_other_template_of_a_user_is_not_taken_for_the_successor(
    ctx: Context, pelvis: list[Path]
) -> None:
    ctx = set_to(ctx, "scan", late="resend")
    run_steps(ctx, *OUT)
    (job,) = ctx.ledger.jobs()
    assign_template(job, other_template(ctx), ctx)
    run_steps(ctx, *OUT)
    both = sorted(["Prostate_OAR", other_template(ctx)])
    assert templates_of(ctx, State.UPLOADED) == both
    pelvis[-1].unlink()

    run_steps(ctx, *OUT)
    run_steps(ctx, *OUT)

    assert templates_of(ctx, State.UPLOADED) == both


def test_a_series_whose_template_a_user_chose_is_sent_again_with_it(
    ctx: Context, pelvis: list[Path]
) -> None:
    ctx = set_to(ctx, "scan", late="resend")
    ctx.settings.rules.write_text("rules: []\n")
    run_steps(ctx, "scan", "match")
    (job,) = ctx.ledger.jobs()
    assign_template(job, other_template(ctx), ctx)
    run_steps(ctx, "deidentify", "upload")
    pelvis[-1].unlink()

    run_steps(ctx, *OUT)

    assert templates_of(ctx, State.UPLOADED) == [other_template(ctx)]


def test_the_hint_of_a_changed_series_works_as_it_is_typed(
    ctx: Context, pelvis: list[Path]
) -> None:
    run_steps(ctx, *OUT)
    pelvis[-1].unlink()
    run_steps(ctx, "scan")
    (job,) = ctx.ledger.jobs()
    assert f"'drawcli assign {job.id} {job.template}' uploads the current" in (job.hint or "")

    assign_template(job, job.template or "", ctx)
    run_steps(ctx, *OUT)

    old, new = sorted(ctx.ledger.jobs(), key=lambda one: one.number)
    assert (new.state, new.slices) == (State.UPLOADED, len(pelvis) - 1)
    assert (old.state, old.held) == (State.CANCELLED, False)


def test_a_release_for_another_reason_does_not_send_what_the_former_client_sent(
    ctx: Context, pelvis: list[Path], site: Site
) -> None:
    pelvis[2].unlink()
    scan(ctx)
    (job,) = ctx.ledger.jobs()
    entries = {job.series_key: {"outcome": "delivered"}}
    write_history(site.state, FormerHistory(series={str(job.key_id): entries}))
    job = held(job, "missing-slices", ctx)
    apply_action(job, release, ctx)

    scan(ctx)

    (job,) = ctx.ledger.jobs()
    assert (job.state, job.held, job.reason_code) == (State.WAITING, True, "segmented")
    apply_action(job, release, ctx)
    scan(ctx)
    assert ctx.ledger.jobs()[0].state is State.FOUND


@pytest.mark.usefixtures("pelvis")
def test_a_template_lost_after_the_download_is_sent_again_as_its_hint_says(ctx: Context) -> None:
    run_steps(ctx, *OUT, "poll", "fetch")
    (job,) = ctx.ledger.jobs()
    ctx.work.file(job.id, TEMPLATE).unlink()
    run_steps(ctx, "reidentify")
    (job,) = ctx.ledger.jobs()
    assert (job.state, job.held, job.reason_code) == (State.FETCHED, True, "template-missing")

    apply_action(job, retry, ctx)
    run_steps(ctx, "upload", "deidentify", "upload", "poll", "fetch", "reidentify")

    assert ctx.ledger.jobs()[0].state is State.DONE


@pytest.mark.usefixtures("pelvis")
def test_a_further_template_has_no_uploads_of_its_sibling(ctx: Context) -> None:
    run_steps(ctx, *OUT)
    (job,) = ctx.ledger.jobs()
    apply_action(job, cancel, ctx)
    apply_action(job, retry, ctx)
    ctx.settings.rules.write_text(TWO % other_template(ctx))
    ctx = set_to(replace(ctx), "match", on_many="all")

    run_steps(ctx, "scan", "match")

    first, second = sorted(ctx.ledger.jobs(), key=lambda one: one.number)
    assert first.replaced == ("task-1",)
    assert (second.replaced, second.attested, second.posts) == ((), 0, 0)
    assert ledger_check.unattested(ctx) == []


def test_a_repair_keeps_the_hold(ctx: Context, pelvis: list[Path]) -> None:
    run_steps(ctx, *OUT, "poll", "fetch")
    pelvis[-1].unlink()
    run_steps(ctx, "scan")
    (job,) = ctx.ledger.jobs()
    assert (job.held, job.reason_code) == (True, "changed-after-upload")
    ctx.work.file(job.id, RECEIVED).unlink()

    ledger_check.repair(ledger_check.check(ctx), ctx)

    (job,) = ctx.ledger.jobs()
    assert (job.state, job.held) == (State.SEGMENTED, True)
    assert job.reason_code == "changed-after-upload"


def test_what_was_assigned_or_taken_up_again_has_its_own_uploads_to_fail(
    ctx: Context, in_state: Make
) -> None:
    full = held(in_state(State.PACKAGED, "0123456789ab-1", posts=5), "uploads-unanswered", ctx)
    gone = in_state(State.CANCELLED, "0123456789ac-1", posts=5)

    assert assign_template(full, other_template(ctx), ctx).posts == 0
    assert retry(gone, ctx).posts == 0
    assert assign_template(gone, other_template(ctx), ctx).posts == 0


def invoke(site: Site, *words: str) -> dict[str, Any]:
    done = CliRunner().invoke(app, [*words, "--json", "--config", str(site.config)])
    return {**json.loads(done.stdout), "exit": done.exit_code}


def test_retry_all_releases_nothing_that_waits_for_a_decision(
    site: Site, ctx: Context, in_state: Make
) -> None:
    first = held(in_state(State.MATCHED, "0123456789ab-1", rule="r"), FIRST_RUN, ctx)
    late = held(in_state(State.FETCHED, "0123456789ac-1"), "changed-after-upload", ctx)
    other = held(in_state(State.FETCHED, "0123456789ad-1"), "source-moved", ctx)

    done = invoke(site, "retry", "--all")

    assert done["data"]["jobs"] == [other.id]
    assert ctx.ledger.get(first.id) == first
    assert ctx.ledger.get(late.id) == late


def test_retry_all_goes_on_beside_a_job_that_a_step_holds(
    site: Site, ctx: Context, in_state: Make
) -> None:
    one = held(in_state(State.FETCHED, "0123456789ab-1"), "source-moved", ctx)
    two = held(in_state(State.FETCHED, "0123456789ac-1"), "source-moved", ctx)

    with ctx.work.job_lock(one.id):
        done = invoke(site, "retry", "--all")

    assert (done["status"], done["exit"]) == ("partial", 2)
    assert done["data"]["jobs"] == [two.id]
    assert done["data"]["failed"] == [one.id]


def test_a_reason_is_asked_again_under_the_lock(
    site: Site, ctx: Context, in_state: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = held(in_state(State.MATCHED, "0123456789ab-1", rule="r"), FIRST_RUN, ctx)
    locked = actions.act_locked

    def faster(job: Job, ctx: Context, act: Callable[[Job], Job]) -> Job:
        ctx.ledger.commit(job.released(at=ctx.now()).to(State.PACKAGED, at=ctx.now()))
        return locked(job, ctx, act)

    monkeypatch.setattr(actions, "act_locked", faster)
    done = invoke(site, "cancel", "--reason", FIRST_RUN)

    assert done["data"]["failed"] == [job.id]
    stored = ctx.ledger.get(job.id)
    assert stored is not None
    assert stored.state is State.PACKAGED


def test_a_changed_series_sent_again_is_held_if_it_was_not_scanned(
    ctx: Context, pelvis: list[Path]
) -> None:
    run_steps(ctx, *OUT)
    pelvis[-1].unlink()
    run_steps(ctx, "scan")
    (job,) = ctx.ledger.jobs()
    apply_action(job, resend, ctx)
    run_steps(ctx, "upload", "scan")

    (job,) = ctx.ledger.jobs()
    assert (job.state, job.reason_code) == (State.UPLOADED, "changed-after-upload")


@pytest.mark.usefixtures("pelvis")
def test_released_first_runs_wait_through_a_pause_and_go_after_it(
    site: Site, draw: FakeDraw, clock: Clock
) -> None:
    site.add_line("match: {first_run_limit: 1}")
    write_planning_ct(site.store / "more", THORAX, slices=5, size=32, seed=2)
    write_planning_ct(site.store / "pelvis2", THORAX, slices=6, size=32, seed=3)
    (site.folder / "rules.yaml").write_text(
        "rules:\n  - {name: all, template: Prostate_OAR, when: {Modality: CT}}\n"
    )
    with opened(site, draw, clock) as ctx:
        list(run_once(ctx, ALL))
        jobs = ctx.ledger.jobs()
        assert {job.reason_code for job in jobs} == {FIRST_RUN}
        assert len(jobs) > 1
    invoke(site, "pause")
    done = invoke(site, "release", "--reason", FIRST_RUN)
    assert done["exit"] == 0
    with opened(site, draw, clock) as ctx:
        list(run_once(ctx, ALL))
        assert {job.state for job in ctx.ledger.jobs()} == {State.PACKAGED}
        assert draw.posts() == 0
    invoke(site, "resume")
    with opened(site, draw, clock) as ctx:
        list(run_once(ctx, ALL))
        assert {job.state for job in ctx.ledger.jobs()} == {State.UPLOADED}


def test_a_series_that_changed_is_sent_again_once_also_after_its_jobs_are_archived(
    ctx: Context, pelvis: list[Path], clock: Clock
) -> None:
    ctx = set_to(ctx, "scan", late="resend")
    whole = (*OUT, "poll", "fetch", "reidentify")
    run_steps(ctx, *whole)
    clock.advance(days=3)
    ctx.ledger.archive_finished(ctx.now())
    pelvis[-1].unlink()
    for _ in range(3):
        run_steps(ctx, *whole)
        clock.advance(days=3)
        ctx.ledger.archive_finished(ctx.now())

    assert [one.id[-2:] for one in ctx.ledger.archive.entries()] == ["-1", "-2"]


def test_a_job_that_a_newer_one_replaces_is_not_sent_beside_it(
    ctx: Context, pelvis: list[Path]
) -> None:
    ctx = set_to(ctx, "scan", late="resend")
    run_steps(ctx, *OUT)
    pelvis[-1].unlink()
    run_steps(ctx, "scan")
    old = min(ctx.ledger.jobs(), key=lambda one: one.number)

    with pytest.raises(UsageError, match="already being processed"):
        retry(old, ctx)
    with pytest.raises(UsageError, match="already being processed"):
        assign_template(old, "Prostate_OAR", ctx)
