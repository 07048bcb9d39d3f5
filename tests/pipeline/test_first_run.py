"""A new site does not send an archive by mistake."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from drawcli.core.jobs.job import Job, State
from drawcli.errors import FIRST_RUN
from drawcli.pipeline import actions
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_step
from tests.conftest import HEAD_NECK, NOON, PELVIS, SLICES, THORAX, Clock, Site, opened
from tests.fake_draw import FakeDraw
from tests.phantoms.planning import write_planning_ct

ALL = Selection()
InState = Callable[..., Job]


def matched(in_state: InState, numbers: Iterable[int], **facts: object) -> None:
    for number in numbers:
        state = {"state": State.MATCHED, "rule": "r", "template": "Prostate_OAR", **facts}
        in_state(job_id=f"{number:012x}-1", **state)


def held(ctx: Context) -> list[Job]:
    return [job for job in ctx.ledger.jobs() if job.held and job.reason_code == FIRST_RUN]


@pytest.mark.parametrize(("step", "state"), [("deidentify", "matched"), ("upload", "packaged")])
def test_a_new_site_holds_all_if_they_are_too_many(
    ctx: Context, in_state: InState, draw: FakeDraw, step: str, state: str
) -> None:
    matched(in_state, range(21), state=State(state))

    report = run_step(step, ctx, ALL)

    assert len(held(ctx)) == len(report.held) == 21
    assert not draw.uploads
    assert "would send 21 series, more than match.first_run_limit (20)" in (
        held(ctx)[0].reason or ""
    )


def test_as_many_as_the_limit_are_sent(ctx: Context, in_state: InState) -> None:
    matched(in_state, range(20))

    run_step("match", ctx, ALL)

    assert not held(ctx)


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        ({"rule": None}, ""),  # a user assigned them
        ({"one_off": True}, ""),
        ({"attested": 1}, ""),  # the server may have them already
        ({}, "match: {first_run_limit: 0}"),
        ({}, "match: {first_run_limit: 21}"),
    ],
)
def test_what_a_user_has_asked_for_is_sent(
    site: Site, draw: FakeDraw, clock: Clock, facts: dict[str, object], line: str
) -> None:
    site.add_line(line)
    with opened(site, draw, clock) as ctx:
        for number in range(21):
            job = Job(id=f"{number:012x}-1", state=State.MATCHED, since=NOON, rule="r")
            ctx.ledger.add(replace(job, **facts))  # type: ignore[arg-type] # fields of it

        run_step("match", ctx, ALL)

        assert not held(ctx)


@pytest.mark.parametrize(("sent", "count"), [(20, 21), (21, 0)])
def test_a_site_is_new_until_it_has_sent_more_than_the_limit(
    ctx: Context, in_state: InState, clock: Clock, sent: int, count: int
) -> None:
    matched(in_state, range(100, 100 + sent), state=State.DONE, attested=1)
    clock.advance(days=2)
    ctx.ledger.archive_finished(clock.now())  # they count in the archive, too
    matched(in_state, range(21))

    run_step("match", ctx, ALL)

    assert len(held(ctx)) == count


def test_while_the_question_is_open_further_series_are_held_too(
    ctx: Context, in_state: InState
) -> None:
    matched(in_state, range(21))
    run_step("match", ctx, ALL)
    matched(in_state, [30])

    report = run_step("match", ctx, ALL)

    assert [job.id for job in report.held] == ["00000000001e-1"]
    assert run_step("match", ctx, ALL).held == []  # reported once


def test_the_job_that_a_user_names_is_sent(ctx: Context, in_state: InState) -> None:
    matched(in_state, range(21))

    run_step("match", ctx, Selection(job_id=f"{1:012x}-1"))

    assert not held(ctx)


@pytest.fixture
def archive(site: Site) -> list[Path]:
    """Put three planning CTs into the datastore of a site with a limit of one."""
    site.add_line("match: {first_run_limit: 1}")
    people = {"pelvis": PELVIS, "head": HEAD_NECK, "thorax": THORAX}
    for seed, (name, person) in enumerate(people.items(), 1):
        write_planning_ct(site.store / name, person, slices=SLICES, size=32, seed=seed)
    return list(site.store.iterdir())


def states(ctx: Context) -> list[str]:
    return sorted(f"{job.state}{' held' if job.held else ''}" for job in ctx.ledger.jobs())


@pytest.mark.usefixtures("archive")
@pytest.mark.parametrize("action", [actions.release, actions.retry])
def test_released_series_are_decided_anew_and_sent(
    site: Site, draw: FakeDraw, clock: Clock, action: Callable[[Job, Context], Job]
) -> None:
    with opened(site, draw, clock) as ctx:
        for step in ("scan", "match"):
            run_step(step, ctx, ALL)
        assert states(ctx) == ["matched held"] * 3
        for job in held(ctx):
            actions.apply_action(job, action, ctx)
    rules = site.folder / "rules.yaml"
    rules.write_text(rules.read_text().replace("contains: pelvis", "contains: knee"))

    with opened(site, draw, clock) as ctx:
        for step in ("scan", "match", "deidentify", "upload"):
            run_step(step, ctx, ALL)

        assert states(ctx) == ["unmatched", "uploaded", "uploaded"]


@pytest.mark.usefixtures("archive")
def test_a_date_set_after_the_hold_cancels_what_is_older(
    site: Site, draw: FakeDraw, clock: Clock
) -> None:
    with opened(site, draw, clock) as ctx:
        for step in ("scan", "match"):
            run_step(step, ctx, ALL)
        for job in held(ctx):
            actions.apply_action(job, actions.release, ctx)
    text = site.config.read_text().replace(
        "quiet_minutes: 0", "quiet_minutes: 0, studied_after: 2026-11-01"
    )
    site.config.write_text(text)

    with opened(site, draw, clock) as ctx:
        run_step("scan", ctx, ALL)

        assert {(job.state, job.reason_code) for job in ctx.ledger.jobs()} == {
            (State.CANCELLED, "too-old")
        }


@pytest.mark.usefixtures("archive")
def test_a_held_series_that_changes_is_held_again(site: Site, draw: FakeDraw, clock: Clock) -> None:
    with opened(site, draw, clock) as ctx:
        for step in ("scan", "match"):
            run_step(step, ctx, ALL)
        next((site.store / "pelvis").glob("*.dcm")).touch()
        clock.advance(minutes=2)

        for step in ("scan", "scan", "match"):
            run_step(step, ctx, ALL)

        assert states(ctx) == ["matched held"] * 3
