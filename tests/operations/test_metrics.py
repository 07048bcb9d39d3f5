"""Figures, read by Prometheus' own parser."""

import stat
from collections.abc import Callable
from datetime import timedelta

import pytest
from prometheus_client.parser import text_string_to_metric_families

from drawcli.adapters.state.pause import Pause, write_pause
from drawcli.adapters.state.run_log import ANSWERED, OUT_OF_REACH, Run, RunLog
from drawcli.core.jobs.job import Event, EventKind, Job, State
from drawcli.errors import DiskFull, NeedsPerson, TryLater
from drawcli.operations import metrics
from drawcli.operations.metrics import metrics_text, write_textfile
from drawcli.pipeline.context import Context
from tests.conftest import NOON, Clock, Site

Make = Callable[..., Job]


def figures(ctx: Context) -> dict[str, float]:
    """Return each figure by its name and label."""
    found = {}
    for family in text_string_to_metric_families(metrics_text(ctx)):
        assert family.type == "gauge"
        assert family.documentation
        for sample in family.samples:
            label = next(iter(sample.labels.values()), "")
            found[f"{sample.name.removeprefix('drawcli_')} {label}".strip()] = sample.value
    return found


def test_a_new_site_has_figures_and_none_that_nobody_knows(ctx: Context) -> None:
    found = figures(ctx)

    assert {found[f"jobs {state}"] for state in State} == {0}
    assert (found["held"], found["archived_jobs"], found["disclosures"]) == (0, 0, 0)
    assert found["free_bytes"] > 0
    assert not [name for name in found if name.startswith(("last_", "server_", "step_", "oldest"))]


def test_a_run_that_is_at_work_is_told_with_how_long_it_has_been(
    ctx: Context, clock: Clock
) -> None:
    with ctx.work.run_lock(clock.now()):
        clock.advance(hours=7)
        during = figures(ctx)["running_seconds"]

    assert (during, figures(ctx)["running_seconds"]) == (7 * 3600, 0)


def test_jobs_are_counted_by_state_and_by_reason_with_the_age_of_the_oldest(
    ctx: Context, in_state: Make, clock: Clock
) -> None:
    in_state(State.UPLOADED, "aaaaaaaaaaaa-1")
    clock.advance(hours=1)
    ctx.ledger.add(Job(id="bbbbbbbbbbbb-1", state=State.UPLOADED, since=clock.now()))
    job = in_state(State.MATCHED, "cccccccccccc-1")
    ctx.ledger.commit(job.held_for(NeedsPerson("x", code="privacy-gate"), at=clock.now()))
    clock.advance(hours=1)

    found = figures(ctx)

    assert (found["jobs uploaded"], found["jobs matched"], found["held"]) == (2, 1, 1)
    assert found["held_jobs privacy-gate"] == found["holds_last_day privacy-gate"] == 1
    assert found["oldest_job_seconds uploaded"] == 2 * 3600


def test_a_day_is_told_in_counts_bytes_durations_and_failures(ctx: Context, clock: Clock) -> None:
    moments = {"found": 0, "matched": 1, "packaged": 2, "uploaded": 4, "delivered": 34, "done": 35}
    events = tuple(
        Event(NOON + timedelta(minutes=m), EventKind.REACHED, state) for state, m in moments.items()
    )
    done = Job(
        id="aaaaaaaaaaaa-1", state=State.DONE, since=NOON, zip_bytes=12_345_678, events=events
    )
    waits = Job(id="bbbbbbbbbbbb-1", state=State.MATCHED, since=NOON)
    ctx.ledger.add(done, waits.failed(TryLater("x", code="io"), at=NOON, until=NOON))
    clock.advance(hours=2)

    found = figures(ctx)

    assert (found["found_last_day"], found["sent_last_day"], found["delivered_last_day"]) == (
        *(1, 1, 1),
    )
    assert found["bytes_sent_last_day"] == 12_345_678
    assert found["failures_last_day io"] == 1
    assert found["step_median_seconds upload"] == 120
    assert found["step_p90_seconds found to delivered"] == 34 * 60
    assert found["last_delivered_timestamp_seconds"] == NOON.timestamp() + 34 * 60


def test_the_last_delivery_is_told_also_when_it_is_in_the_archive(
    ctx: Context, in_state: Make, clock: Clock
) -> None:
    in_state(State.DONE)
    clock.advance(days=3)

    assert ctx.ledger.archive_finished(clock.now()) == 1

    assert figures(ctx)["last_delivered_timestamp_seconds"] == NOON.timestamp()


def test_runs_and_the_server_are_told_as_they_were_last(ctx: Context, site: Site) -> None:
    def run(hour: int, **facts: object) -> Run:
        began = NOON + timedelta(hours=hour)
        ended = began + timedelta(seconds=90)
        return Run(id="0badcafe", began=began, ended=ended, **facts)  # type: ignore[arg-type]

    book = RunLog(site.state)
    book.add(run(0, exit_code=0, server=ANSWERED))
    book.add(run(1, exit_code=7, server=OUT_OF_REACH))

    found = figures(ctx)

    assert (found["last_run_exit_code"], found["last_run_seconds"]) == (7, 90)
    assert found["last_run_timestamp_seconds"] == NOON.timestamp() + 3690
    assert found["last_success_timestamp_seconds"] == NOON.timestamp() + 90
    assert (found["server_up"], found["server_answered_timestamp_seconds"]) == (
        0,
        NOON.timestamp() + 90,
    )


def test_a_pause_is_a_figure(ctx: Context, site: Site) -> None:
    before = figures(ctx)["paused"]
    write_pause(site.state, Pause(since=NOON))

    assert (before, figures(ctx)["paused"]) == (0, 1)


def test_no_figure_names_a_job(ctx: Context, in_state: Make) -> None:
    for number, state in enumerate(State):
        in_state(state, f"{number + 0xABCDEF000000:012x}-1", template="Prostate_OAR")

    text = metrics_text(ctx)

    assert [job.id for job in ctx.ledger.jobs() if job.id in text] == []


def test_the_textfile_is_whole_at_every_instant_and_others_may_read_it(
    ctx: Context, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = site.folder / "drawcli.prom"
    write_textfile(ctx, path)
    first = path.read_bytes()

    def no_space(*_: object) -> str:
        raise DiskFull("no space left")

    monkeypatch.setattr(metrics, "metrics_text", no_space)
    with pytest.raises(DiskFull):
        write_textfile(ctx, path)

    assert path.read_bytes() == first
    assert stat.S_IMODE(path.stat().st_mode) & 0o444 == 0o444
    assert list(site.folder.glob("*.prom*")) == [path]
