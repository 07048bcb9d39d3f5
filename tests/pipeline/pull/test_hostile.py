"""Pulls against the odds: records that are lost, clocks that jump, archives that never finish."""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from drawcli.adapters.archive import web_archive
from drawcli.adapters.state.pull_state import pulling, read_sources
from drawcli.core.jobs.job import State
from drawcli.errors import AnotherRun, TryLater
from drawcli.pipeline.pull import collecting
from drawcli.pipeline.pull.outcome import PulledSource
from drawcli.pipeline.pull.pull import pull
from drawcli.pipeline.pull.source import PullOptions
from drawcli.pipeline.runner import Selection, run_once, run_step
from drawcli.sandbox.pacs.dimse import PacsServer
from drawcli.sandbox.pacs.options import PacsOptions
from tests.conftest import SLICES, only_job
from tests.fake_draw import FakeDraw
from tests.pipeline.pull.conftest import (
    Hospital,
    Pacs,
    SwitchArchive,
    SwitchPanel,
    dicomweb,
    uids,
)

DAMAGE = b"no database" * 1000


def half_pulled(hospital: Hospital) -> Path:
    """Pull a part of a series; return the file of the records."""
    hospital.pacs.faults("get:abort*1")
    assert hospital.pull().counts == {"waiting": 1}
    assert 0 < len(hospital.stored) < SLICES
    return hospital.site.state / "pull" / "series.sqlite"


def remove(records: Path) -> None:
    for path in records.parent.glob("series.sqlite*"):
        path.unlink()


def run(hospital: Hospital) -> PulledSource:
    """Pull as a run does; return the outcome of the archive."""
    report = run_step("pull", hospital.ctx, Selection())
    assert report.pulled is not None
    return report.pulled.sources[0]


@pytest.mark.usefixtures("pelvic")
@pytest.mark.parametrize("has_scanned", [False, True])
def test_a_part_of_a_series_is_never_taken_even_if_the_records_are_lost(
    hospital: Hospital,
    has_scanned: bool,  # noqa: FBT001 - a table
) -> None:
    records = half_pulled(hospital)
    if has_scanned:
        hospital.scan()
    remove(records)
    hospital.pacs.faults("associate:reject*1")
    assert hospital.pull().outcome == "failed"
    for _ in range(3):
        hospital.clock.advance(hours=2)  # longer than the quiet time
        waiting = hospital.scan()
        assert (waiting.state, waiting.reason_code) == (State.WAITING, "pulling")

    assert hospital.pull().counts == {"pulled": 1}
    assert (hospital.scan().state, hospital.scan().slices) == (State.FOUND, SLICES)


def test_damaged_records_stop_neither_the_scan_of_others_nor_the_steps_after_it(
    hospital: Hospital, pelvic: list[Path]
) -> None:
    records = half_pulled(hospital)
    hospital.scan()
    shutil.copytree(hospital.scans["head-neck"][0].parent, hospital.site.store / "shared")
    records.write_bytes(DAMAGE)

    for _ in range(2):
        reports = list(run_once(hospital.ctx, Selection()))
        hospital.clock.advance(hours=2)
    states = {job.slices: job.state for job in hospital.ctx.ledger.jobs()}

    (error,) = [report.pull_error for report in reports if report.pull_error is not None]
    assert error.code == "pull-records"
    assert "Move the file away" in (error.hint or "")
    assert states[len(hospital.stored)] is State.WAITING
    assert State.WAITING not in {states[size] for size in states if size == len(pelvic)}


@pytest.mark.usefixtures("pelvic")
def test_records_that_are_made_again_are_seen_by_the_next_scan(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also if they have as many changes as the scan knows of the former file."""
    with monkeypatch.context() as patched:
        patched.setattr("drawcli.pipeline.pull.series._MOST_ROUNDS", 1)  # it grows all the time
        hospital.pull()
    assert hospital.scan().reason_code == "pulling"
    remove(hospital.site.state / "pull" / "series.sqlite")

    assert hospital.pull().counts == {"complete": 1}
    assert hospital.scan().state is State.FOUND


@pytest.mark.usefixtures("pelvic")
def test_an_index_of_objects_that_is_damaged_is_made_again(hospital: Hospital) -> None:
    records = half_pulled(hospital)
    (index,) = records.parent.glob("known-*.sqlite")
    index.write_bytes(DAMAGE)

    assert hospital.pull().counts == {"pulled": 1}


@pytest.mark.usefixtures("pelvic")
@pytest.mark.parametrize("fault", ["associate:reject*1", "get:C001*1"])
def test_a_failure_under_a_wrong_clock_does_not_stop_the_pull_for_years(
    hospital: Hospital, fault: str
) -> None:
    hospital.pacs.faults(fault)
    hospital.clock.advance(hours=10 * 365 * 24)
    hospital.pull()
    hospital.clock.advance(hours=-10 * 365 * 24)

    assert hospital.pull(all_due=False).counts == {"pulled": 1}


@pytest.mark.usefixtures("pelvic")
def test_an_archive_whose_answers_take_the_whole_run_fails(hospital: Hospital) -> None:
    hospital.pacs.panel.meanwhile["find"] = lambda: hospital.clock.advance(minutes=11)

    source = run(hospital)

    assert (source.outcome, source.series) == ("failed", [])
    assert isinstance(source.error, TryLater)
    assert source.error.code == "archive-slow"
    (state,) = read_sources(hospital.site.state).values()
    assert (state.succeeded, state.code) == (0.0, "archive-slow")


@pytest.mark.usefixtures("pelvic")
def test_an_archive_that_had_little_time_to_answer_comes_first_in_the_next_pull(
    hospital: Hospital,
) -> None:
    hospital.pacs.panel.meanwhile["find"] = lambda: hospital.clock.advance(minutes=2)

    source = hospital.pull(until=hospital.clock.now() + timedelta(minutes=1))

    assert (source.outcome, source.error) == ("no-time", None)
    assert read_sources(hospital.site.state) == {}
    assert hospital.pull().counts == {"pulled": 1}


def test_images_that_are_there_do_not_count_as_unasked_for(
    hospital: Hospital, pelvic: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "PULL_UNEXPECTED", 2)
    monkeypatch.setattr(web_archive, "_MOST_APART", 0)  # the whole series is asked for again
    hospital.pacs.faults("wado:lose*1")
    with dicomweb(hospital):
        first, second = hospital.pull(), hospital.pull()

    assert first.counts == {"waiting": 1}
    assert second.counts == {"pulled": 1}
    assert hospital.stored.keys() == uids(pelvic)


def test_a_series_that_is_pulled_and_pushed_at_once_is_taken_once_and_whole(
    hospital: Hospital, pelvic: list[Path]
) -> None:
    half_pulled(hospital)
    shutil.copytree(pelvic[0].parent, hospital.site.store / "pushed")

    assert hospital.pull().counts == {"pulled": 1}
    job = hospital.scan()

    assert (job.state, job.slices) == (State.FOUND, SLICES)


@pytest.mark.usefixtures("pelvic")
def test_a_second_pull_at_once_is_refused_and_a_run_goes_on_without_it(hospital: Hospital) -> None:
    with pulling(hospital.site.state):
        with pytest.raises(AnotherRun):
            hospital.pull()
        report = run_step("pull", hospital.ctx, Selection())
        listed = hospital.pull(dry_run=True)

    assert (report.pulled, report.pull_error) == (None, None)
    assert listed.counts == {"would-pull": 1}


@pytest.mark.usefixtures("pelvic")
def test_a_dry_run_changes_no_byte(hospital: Hospital) -> None:
    half_pulled(hospital)
    hospital.scan()

    def content() -> dict[str, str]:
        files = (path for path in hospital.site.folder.rglob("*") if path.is_file())
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    before = content()

    assert hospital.pull(dry_run=True).counts == {"would-pull": 1}
    assert content() == before


@pytest.fixture
def second(hospital: Hospital, tmp_path: Path) -> Iterator[Pacs]:
    """Add a second archive, without objects, to the settings."""
    (tmp_path / "second").mkdir()
    archive, panel = SwitchArchive(tmp_path / "second"), SwitchPanel()
    with closing(PacsServer(archive, PacsOptions(), panel)) as server:
        hospital.change(
            "keys: {Modality: CT}}]}",
            "keys: {Modality: CT}}, "
            f"{{node: 'SANDBOX@127.0.0.1:{server.port}', folder: store/second, "
            "keys: {Modality: CT}}]}",
        )
        yield Pacs(archive, panel, server.port)


def test_an_archive_with_a_part_of_a_series_does_not_complete_what_another_has_named(
    hospital: Hospital, pelvic: list[Path], second: Pacs
) -> None:
    second.add(*pelvic[:3])
    hospital.pacs.faults("get:abort*1")

    outcomes = [dict(one.counts) for one in pull(hospital.ctx, PullOptions()).sources]
    waiting = hospital.scan()

    assert outcomes == [{"waiting": 1}, {"waiting": 1}]
    assert (waiting.state, waiting.reason_code) == (State.WAITING, "pulling")

    hospital.clock.advance(minutes=2)
    for _ in range(3):
        counts = [dict(one.counts) for one in pull(hospital.ctx, PullOptions()).sources]
    assert counts == [{"complete": 1}, {"complete": 1}]
    assert (hospital.scan().state, hospital.scan().slices) == (State.FOUND, SLICES)


def test_an_archive_with_the_whole_series_completes_what_another_has_begun(
    hospital: Hospital, pelvic: list[Path], second: Pacs
) -> None:
    second.add(*pelvic)
    hospital.pacs.faults("get:abort*9")

    outcomes = [dict(one.counts) for one in pull(hospital.ctx, PullOptions()).sources]

    assert outcomes == [{"waiting": 1}, {"pulled": 1}]
    assert (hospital.scan().state, hospital.scan().slices) == (State.FOUND, SLICES)


@pytest.mark.usefixtures("pelvic")
def test_what_was_sent_stays_as_it_is_when_the_records_are_lost(
    hospital: Hospital, draw: FakeDraw
) -> None:
    hospital.pull()
    for _ in range(3):
        list(run_once(hospital.ctx, Selection()))
        hospital.clock.advance(hours=1)
    before = only_job(hospital.ctx)
    remove(hospital.site.state / "pull" / "series.sqlite")
    hospital.change("quiet_minutes: 60", "quiet_minutes: 50")  # every series is judged again
    hospital.pacs.faults("associate:reject*9")
    for _ in range(3):
        list(run_once(hospital.ctx, Selection()))
        hospital.clock.advance(hours=26)

    assert before.state is State.DONE
    assert list(hospital.ctx.ledger.jobs()) in ([], [before])  # after a day it is in the archive
    assert len(draw.confirmed) == 1


@pytest.mark.usefixtures("pelvic")
def test_a_series_that_is_begun_at_the_end_of_the_hours_waits_for_the_next_ones(
    hospital: Hospital,
) -> None:
    hour = hospital.clock.now().astimezone().hour
    hospital.change("keys:", f"between: '{hour}:00-{(hour + 1) % 24}:00', keys:")
    hospital.pacs.panel.meanwhile["get"] = lambda: hospital.clock.advance(hours=2)

    source = hospital.pull()
    waiting, outside = len(hospital.stored), hospital.pull().outcome
    hospital.clock.advance(hours=22)

    assert (source.counts, source.error, outside) == ({"waiting": 1}, None, "outside-window")
    assert waiting < SLICES
    assert hospital.pull().counts == {"pulled": 1}
