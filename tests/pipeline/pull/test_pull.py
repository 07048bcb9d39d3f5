"""Pulling from an archive: complete, once, and never what is there; whatever the archive does."""

import shutil
from pathlib import Path

import pytest
from pydicom import dcmread

from drawcli.core.jobs.job import State
from drawcli.errors import DiskFull, NeedsPerson, TryLater
from drawcli.pipeline.actions import release
from drawcli.pipeline.runner import Selection, run_step
from tests.conftest import SLICES
from tests.pipeline.pull.conftest import Hospital, uids


def test_a_pulled_series_is_complete_and_needs_no_quiet_time(
    hospital: Hospital, pelvic: list[Path]
) -> None:
    source = hospital.pull()

    assert source.counts == {"pulled": 1}
    assert hospital.scan().state is State.FOUND
    assert hospital.stored.keys() == uids(pelvic)
    for path in pelvic:
        before = dcmread(path)
        assert dcmread(hospital.stored[str(before.SOPInstanceUID)]) == before


def test_a_series_that_came_by_another_way_is_not_pulled_and_waits_for_its_quiet_time(
    hospital: Hospital, pelvic: list[Path]
) -> None:
    shutil.copytree(pelvic[0].parent, hospital.site.store / "shared")
    job = hospital.scan()

    assert job.reason_code == "arriving"
    assert hospital.pull().counts == {"known": 1}
    assert hospital.stored == {}


@pytest.mark.usefixtures("pelvic")
def test_what_was_pulled_is_not_pulled_again_even_if_its_files_are_gone(hospital: Hospital) -> None:
    hospital.pull()
    shutil.rmtree(hospital.site.store / "pulled")
    _ = hospital.pacs.asked

    assert hospital.pull().counts == {"complete": 1}
    assert "get" not in hospital.pacs.asked
    assert hospital.stored == {}


def test_a_cut_transfer_waits_and_the_next_pull_goes_on(
    hospital: Hospital, pelvic: list[Path]
) -> None:
    hospital.pacs.faults("get:abort*1")

    (first,) = hospital.pull().series
    times = {uid: path.stat().st_mtime_ns for uid, path in hospital.stored.items()}
    waiting = hospital.scan()
    hospital.clock.advance(hours=3)  # longer than any quiet time
    still_waiting = hospital.scan()

    assert (first.outcome, first.code) == ("waiting", "archive")
    assert 0 < len(times) < SLICES
    assert waiting.state is still_waiting.state is State.WAITING
    assert waiting.reason_code == still_waiting.reason_code == "pulling"
    assert f"{SLICES - len(times)} of {SLICES}" in (waiting.reason or "")

    (second,) = hospital.pull().series

    assert (second.outcome, second.stored) == ("pulled", SLICES - len(times))
    assert hospital.stored.keys() == uids(pelvic)
    assert {uid: hospital.stored[uid].stat().st_mtime_ns for uid in times} == times
    assert hospital.scan().state is State.FOUND


@pytest.mark.usefixtures("pelvic")
def test_a_series_that_the_archive_never_sends_whole_is_held_and_can_be_released(
    hospital: Hospital,
) -> None:
    hospital.pacs.faults("get:abort*1")
    hospital.pull()
    hospital.scan()
    hospital.clock.advance(hours=25)

    held = hospital.scan()
    hospital.ctx.ledger.commit(release(held, hospital.ctx))

    assert (held.held, held.reason_code) == (True, "pulling")
    assert hospital.scan().state is State.FOUND


def test_an_archive_that_sends_less_than_it_names_is_asked_again(
    hospital: Hospital, pelvic: list[Path]
) -> None:
    hospital.pacs.faults("get:lose*1")

    (series,) = hospital.pull().series

    assert (series.outcome, series.code) == ("waiting", "archive-incomplete")
    assert series.missing == len(pelvic) // 2
    assert hospital.scan().reason_code == "pulling"
    assert hospital.pull().counts == {"pulled": 1}


def test_an_object_that_was_not_asked_for_is_not_stored(
    hospital: Hospital, pelvic: list[Path]
) -> None:
    hospital.pacs.add(*hospital.scans["head-neck"])
    hospital.pacs.faults("get:other*1")

    assert hospital.pull(limit=1).counts == {"pulled": 1, "left": 1}
    assert hospital.stored.keys() in (uids(pelvic), uids(hospital.scans["head-neck"]))


def test_a_series_that_has_grown_is_pulled_and_looked_at_again(hospital: Hospital) -> None:
    whole = hospital.scans["pelvis"]
    hospital.pacs.add(*whole[:4])
    hospital.pull()
    before = hospital.scan()

    hospital.pacs.add(*whole[4:])
    (series,) = hospital.pull().series
    hospital.scan()
    after = hospital.scan()

    assert (before.state, before.slices) == (State.FOUND, 4)
    assert (series.outcome, series.stored) == ("pulled", len(whole) - 4)
    assert (after.state, after.slices) == (State.FOUND, len(whole))


def test_a_series_that_grows_while_it_is_pulled_is_pulled_to_its_end(hospital: Hospital) -> None:
    whole = hospital.scans["pelvis"]
    hospital.pacs.add(*whole[:4])
    hospital.pacs.panel.meanwhile["get"] = lambda: hospital.pacs.add(*whole[4:])

    (series,) = hospital.pull().series

    assert (series.outcome, series.stored, series.expected) == ("pulled", len(whole), len(whole))
    assert hospital.scan().slices == len(whole)


def test_a_series_that_grows_all_the_time_waits(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drawcli.pipeline.pull.series._MOST_ROUNDS", 1)
    hospital.pacs.add(*hospital.scans["pelvis"])

    (series,) = hospital.pull().series

    assert (series.outcome, series.code) == ("waiting", "archive-growing")
    waiting = hospital.scan()
    assert waiting.reason_code == "pulling"
    assert "has not confirmed yet that 6 images are all" in (waiting.reason or "")
    assert hospital.pull().counts == {"complete": 1}
    assert hospital.scan().state is State.FOUND


def test_images_that_the_archive_no_longer_has_change_nothing(
    hospital: Hospital, pelvic: list[Path], tmp_path: Path
) -> None:
    hospital.pull()
    (tmp_path / "fewer").mkdir()
    hospital.pacs.archive.show(tmp_path / "fewer")
    hospital.pacs.add(*pelvic[:4])
    shutil.rmtree(hospital.site.store / "pulled")

    assert hospital.pull().counts == {"complete": 1}
    assert hospital.stored == {}


def test_one_refused_series_does_not_stop_the_others(hospital: Hospital) -> None:
    hospital.pacs.add(*hospital.scans["pelvis"], *hospital.scans["head-neck"])
    hospital.pacs.faults("get:C001*1")

    source, again = hospital.pull(), hospital.pull(all_due=False)

    assert source.counts == {"refused": 1, "pulled": 1}
    (refused,) = [one for one in source.series if one.outcome == "refused"]
    assert isinstance(refused.error, NeedsPerson)
    assert refused.is_new
    assert "C001" in refused.text
    assert again.counts == {"refused": 1, "complete": 1}  # it waits for its next try
    assert hospital.pull().counts == {"pulled": 1, "complete": 1}


@pytest.mark.usefixtures("pelvic")
def test_an_archive_out_of_resources_is_tried_again(hospital: Hospital) -> None:
    hospital.pacs.faults("get:A702*1")

    (series,) = hospital.pull().series

    assert (series.outcome, series.code) == ("waiting", "archive")
    assert isinstance(series.error, TryLater)


@pytest.mark.usefixtures("pelvic")
@pytest.mark.parametrize(
    "fault", ["associate:reject", "associate:abort", "find:abort", "find:A700"]
)
def test_an_archive_in_trouble_fails_and_is_tried_again_later(
    hospital: Hospital, fault: str
) -> None:
    hospital.pacs.faults(f"{fault}*1")

    assert hospital.pull().outcome == "failed"
    assert hospital.pull(all_due=False).outcome == "waits"
    hospital.clock.advance(hours=1)
    assert hospital.pull(all_due=False).counts == {"pulled": 1}


@pytest.mark.usefixtures("pelvis")
def test_a_run_goes_on_without_its_archive(hospital: Hospital) -> None:
    hospital.pacs.faults("associate:reject")

    report = run_step("pull", hospital.ctx, Selection())

    assert report.pulled is not None
    assert report.pulled.sources[0].outcome == "failed"
    assert hospital.scan().modality == "CT"


@pytest.mark.usefixtures("pelvic")
def test_damaged_records_stop_the_pull_and_not_the_step(hospital: Hospital) -> None:
    hospital.pull()
    (hospital.site.state / "pull" / "series.sqlite").write_bytes(b"no database" * 1000)

    report = run_step("pull", hospital.ctx, Selection())

    assert report.pulled is None
    assert report.pull_error is not None
    assert report.pull_error.code == "pull-records"


@pytest.mark.usefixtures("pelvic")
def test_a_dry_run_asks_and_writes_nothing(hospital: Hospital) -> None:
    before = sorted(map(str, hospital.site.folder.rglob("*")))

    source = hospital.pull(dry_run=True)

    assert source.counts == {"would-pull": 1}
    assert source.series[0].missing == SLICES
    assert sorted(map(str, hospital.site.folder.rglob("*"))) == before
    assert "get" not in hospital.pacs.asked


@pytest.mark.usefixtures("pelvic")
def test_without_time_the_rest_is_left_for_the_next_pull(hospital: Hospital) -> None:
    assert hospital.pull(until=hospital.clock.now()).outcome == "no-time"
    assert hospital.pacs.asked == []
    assert hospital.pull(limit=0).counts == {"left": 1}


@pytest.mark.usefixtures("pelvic")
def test_an_archive_is_asked_in_its_hours_only(hospital: Hospital) -> None:
    hour = hospital.clock.now().astimezone().hour
    later = f"between: '{(hour + 1) % 24}:00-{(hour + 2) % 24}:00', keys:"
    hospital.change("keys:", later)

    outside = hospital.pull()
    hospital.clock.advance(hours=1)

    assert outside.outcome == "outside-window"
    assert hospital.pull().counts == {"pulled": 1}


@pytest.mark.usefixtures("pelvic")
@pytest.mark.parametrize("key", ["StudyDate: 2001-01-01", "PatientID: nobody", "PatientSex: X"])
def test_keys_that_the_archive_ignores_are_checked_by_us(hospital: Hospital, key: str) -> None:
    hospital.change("{Modality: CT}", f"{{{key}}}")
    hospital.pacs.faults("find:ignore-keys*1")  # the query for studies

    assert hospital.pull().counts == {}
    assert hospital.stored == {}


@pytest.mark.usefixtures("pelvic")
def test_an_archive_that_answers_about_other_series_is_an_error(hospital: Hospital) -> None:
    hospital.pacs.add(*hospital.scans["head-neck"])
    hospital.pacs.faults("find:ignore-keys*9")

    source = hospital.pull()

    assert source.counts == {}
    assert {problem.code for problem in source.problems} == {"archive-answer"}
    assert hospital.stored == {}


@pytest.mark.usefixtures("pelvic")
def test_a_full_disk_ends_the_pull(hospital: Hospital) -> None:
    hospital.change("keep_free_gib: 0", "keep_free_gib: 99999")

    source = hospital.pull()

    assert isinstance(source.error, DiskFull)
    assert hospital.stored == {}


def test_a_known_uid_with_other_content_is_kept_apart_and_reported(
    hospital: Hospital, pelvic: list[Path]
) -> None:
    folder = hospital.site.store / "pulled"
    other = folder / "1.2.3" / f"{dcmread(pelvic[0]).SOPInstanceUID}.dcm"
    other.parent.mkdir(parents=True)
    other.write_bytes(b"other")

    (series,) = hospital.pull().series

    assert (series.outcome, series.code) == ("refused", "pull-conflict")
    assert other.read_bytes() == b"other"
    assert len(list((folder / ".drawcli-conflicts").glob("*"))) == 1


def test_state_and_log_name_no_uid_and_no_patient(
    hospital: Hospital, pelvic: list[Path], caplog: pytest.LogCaptureFixture
) -> None:
    hospital.pacs.faults("get:abort*1")
    caplog.set_level("INFO")
    hospital.pull()
    hospital.pull()
    header = dcmread(pelvic[0])
    found = [path.read_bytes() for path in (hospital.site.state / "pull").iterdir()]

    assert len(found) > 2
    for value in (header.SOPInstanceUID, header.SeriesInstanceUID, header.PatientID):
        assert not any(str(value).encode() in data for data in found)
        assert str(value) not in caplog.text


def test_a_lost_record_of_a_series_that_waits_is_made_again(
    hospital: Hospital, pelvic: list[Path]
) -> None:
    hospital.pacs.faults("get:abort*1")
    hospital.pull()
    hospital.scan()
    for path in (hospital.site.state / "pull").glob("series.sqlite*"):
        path.unlink()

    assert hospital.pull().counts == {"pulled": 1}
    assert hospital.stored.keys() == uids(pelvic)
