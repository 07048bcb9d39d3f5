"""The scan for clinical structure sets: what it records, when, and what it leaves alone."""

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from math import inf
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ImplicitVRLittleEndian, generate_uid

from drawcli import __version__
from drawcli.adapters.server.catalogue_cache import load_catalogue, save_catalogue
from drawcli.adapters.state.qa_records import QaRecords
from drawcli.adapters.state.qa_watch import read_watch, scan_lock
from drawcli.core.jobs.job import Job
from drawcli.core.qa.comparison import compare_structure_sets
from drawcli.core.qa.outcomes import ContourOutcome
from drawcli.core.qa.records import PairRecord, PairStatus
from drawcli.errors import AnotherRun, DiskFull, OutOfReach
from drawcli.operations.qa.clinical import finder as clinical_sets
from drawcli.operations.qa.clinical import pair as clinical_pair
from drawcli.operations.qa.clinical.found_files import found_files
from drawcli.operations.qa.clinical.scan import scan_pairs
from drawcli.operations.qa.clinical.scan_result import QaScanOptions, QaScanResult
from drawcli.operations.qa.clinical.structure_files import read_whole
from drawcli.pipeline.context import Context
from drawcli.pipeline.steps.scan import scan
from drawcli.pipeline.survey.update import Update
from drawcli.system.threads import call_while_heard
from tests.conftest import PELVIS, Clock, Site
from tests.operations.qa.clinical.clinic import (
    APPROVED,
    deliver,
    delivered_file,
    exported,
    move_first_roi,
)
from tests.operations.qa.clinical.synthetic import (
    Patient,
    add_cases,
    add_delivered,
    older_and_newer,
    only_approved,
    without_any,
)
from tests.waiting import PATIENCE, wait_until


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """Leave out the distances, which take the most time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clinical_pair, "has_scipy", lambda: False)
        yield


@pytest.fixture
def job(ctx: Context) -> Job:
    """Put one delivered job into the site, as if a server had drawn its contours."""
    made = add_delivered(ctx, Patient(1))
    ctx.ledger.add(made)
    return made


@pytest.fixture
def real_job(ctx: Context, pelvis: list[Path]) -> Job:
    """Deliver the structure set of the only series."""
    del pelvis
    return deliver(ctx)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the names of the structure sets that are read."""
    names: list[str] = []
    read = read_whole

    def noted(path: Path) -> Any:
        names.append(path.name)
        return read(path)

    monkeypatch.setattr(clinical_pair, "read_whole", noted)
    return names


def rescan(ctx: Context, **options: Any) -> QaScanResult:
    """Let the datastore be read, then the pairs."""
    scan(ctx)
    return scan_pairs(ctx, QaScanOptions(**options))


def record_of(job: Job, ctx: Context) -> PairRecord:
    return QaRecords(ctx.settings.state_dir).by_job()[job.id]


def lines(site: Site) -> list[str]:
    return (site.state / "qa" / "pairs.jsonl").read_text().split()


def with_qa(ctx: Context, **settings: Any) -> Context:
    return replace(ctx, settings=ctx.settings.replace(qa=ctx.settings.qa.replace(**settings)))


def outcomes(record: PairRecord) -> dict[str, ContourOutcome]:
    return {one.name: one.outcome for one in record.structures}


def test_a_delivery_is_recorded_at_once_with_what_produced_its_contours(
    ctx: Context, pelvis: list[Path], clock: Clock
) -> None:
    del pelvis
    models = [{"model_id": n, "model_name": f"m{n}"} for n in range(1, 3000)]
    save_catalogue(ctx.settings.state_dir, models, clock.now())
    job = deliver(ctx)

    scan_pairs(ctx)

    record = record_of(job, ctx)
    assert (record.status, record.drawcli, record.template) == (
        PairStatus.MISSING,
        __version__,
        job.template,
    )
    template = ctx.rulebook.templates[job.template or ""]
    known = load_catalogue(ctx.settings.state_dir)
    assert known is not None
    assert record.template_digest == template.contours_digest
    assert record.catalogue_digest == known.digest_of(template.models)
    assert record.a_sha256 == job.delivered_sha256
    assert (record.others, record.note) == (0, "no structure set of the series was found yet")


def test_an_approved_set_is_compared_and_the_versions_stay_those_of_the_delivery(
    job: Job, ctx: Context, clock: Clock
) -> None:
    scan_pairs(ctx)
    first = record_of(job, ctx)
    save_catalogue(ctx.settings.state_dir, [{"model_id": 12, "model_name": "new"}], clock.now())
    path = exported(job, ctx, move_first_roi, **APPROVED)

    done = rescan(ctx)

    record = record_of(job, ctx)
    assert done.as_plain()["recorded"] == {"compared": 1}
    assert (record.version, record.delivered_at) == (first.version, first.delivered_at)
    assert (record.chosen_by, record.approval, record.others) == ("only", "APPROVED", 0)
    moved, *others = outcomes(record).values()
    assert moved in (ContourOutcome.EDITED, ContourOutcome.REDRAWN)
    assert set(others) == {ContourOutcome.UNTOUCHED}
    assert path.is_file()


def test_a_second_scan_says_nothing_new_and_reads_no_file_again(
    job: Job, ctx: Context, site: Site, reads: list[str]
) -> None:
    exported(job, ctx, move_first_roi, **APPROVED)
    rescan(ctx)
    before, count = lines(site), len(reads)

    again = rescan(ctx)

    assert count > 0
    assert (again.news, again.jobs, len(reads), lines(site)) == ({}, 1, count, before)


def test_again_compares_anew_and_still_writes_only_news(
    job: Job, ctx: Context, site: Site, reads: list[str]
) -> None:
    exported(job, ctx, move_first_roi, **APPROVED)
    rescan(ctx)
    before, count = lines(site), len(reads)

    assert rescan(ctx, again=True).news == {}
    assert (len(reads), lines(site)) == (2 * count, before)

    (site.state / "qa" / "pairs.jsonl").unlink()
    (site.state / "qa" / "watch.json").unlink()
    rescan(ctx, again=True)
    assert record_of(job, ctx).status is PairStatus.COMPARED


def test_a_set_that_is_not_approved_waits_and_counts_after_the_time(
    job: Job, ctx: Context, clock: Clock
) -> None:
    exported(job, ctx, move_first_roi)
    rescan(ctx)
    assert record_of(job, ctx).status is PairStatus.WAITING

    clock.advance(days=13)
    assert rescan(ctx).news == {}
    clock.advance(days=1)
    rescan(ctx)

    record = record_of(job, ctx)
    assert (record.status, record.approval) == (PairStatus.COMPARED, "UNAPPROVED")


def test_the_wait_begins_when_a_set_is_first_seen_and_anew_with_a_newer_one(
    job: Job, ctx: Context, clock: Clock
) -> None:
    exported(job, ctx, move_first_roi)
    rescan(ctx)
    clock.advance(days=13)
    exported(job, ctx, partial(move_first_roi, mm=5), StructureSetDate="20261126")
    rescan(ctx)
    clock.advance(days=13)
    rescan(ctx)
    assert record_of(job, ctx).status is PairStatus.WAITING
    assert record_of(job, ctx).passed_over == ("less-preferred",)

    clock.advance(days=1)
    rescan(ctx)
    assert record_of(job, ctx).status is PairStatus.COMPARED


def test_the_same_contours_exported_again_wait_no_longer(
    job: Job, ctx: Context, clock: Clock
) -> None:
    exported(job, ctx, move_first_roi)
    rescan(ctx)
    clock.advance(days=13)
    exported(job, ctx, move_first_roi, StructureSetDate="20261126")
    assert record_of(job, ctx).status is PairStatus.WAITING
    rescan(ctx)

    clock.advance(days=1)
    rescan(ctx)

    assert record_of(job, ctx).status is PairStatus.COMPARED


def test_an_approval_ends_the_wait(job: Job, ctx: Context) -> None:
    path = exported(job, ctx, move_first_roi)
    rescan(ctx)
    dataset = dcmread(path)
    dataset.ApprovalStatus, dataset.ReviewDate = "APPROVED", "20261116"
    dataset.save_as(path.with_name("approved.dcm"))
    path.unlink()

    rescan(ctx)

    assert (record_of(job, ctx).status, record_of(job, ctx).chosen_by) == ("compared", "only")


def test_a_plan_decides_also_if_it_comes_later(job: Job, ctx: Context, site: Site) -> None:
    ctx = with_qa(ctx, wait_days=0.0)
    planned = exported(job, ctx, move_first_roi)
    exported(job, ctx, move_first_roi, StructureSetDate="20261120")
    rescan(ctx)
    newest = record_of(job, ctx)
    plan, item = Dataset(), Dataset()
    plan.file_meta = FileMetaDataset()
    plan.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    plan.SOPClassUID, plan.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.481.5", generate_uid()
    plan.SeriesInstanceUID, plan.Modality = generate_uid(), "RTPLAN"
    item.ReferencedSOPInstanceUID = dcmread(planned).SOPInstanceUID
    plan.ReferencedStructureSetSequence = [item]
    plan.save_as(site.store / "plan.dcm", enforce_file_format=True)

    rescan(ctx)

    after = record_of(job, ctx)
    assert (newest.chosen_by, after.chosen_by) == ("newest", "plan")
    assert newest.b_sha256 != after.b_sha256
    assert rescan(ctx).news == {}


def test_a_copy_of_ours_gives_way_to_an_edited_set_and_is_named(job: Job, ctx: Context) -> None:
    ctx = with_qa(ctx, wait_days=0.0)
    exported(job, ctx, StructureSetDate="20261120")
    exported(job, ctx, move_first_roi)
    rescan(ctx)

    record = record_of(job, ctx)
    assert (record.status, record.chosen_by) == (PairStatus.COMPARED, "edited")
    assert record.passed_over == ("less-preferred",)
    assert ContourOutcome.UNTOUCHED in outcomes(record).values()


def move_away(path: Path) -> None:
    path.unlink()


def edit_in_place(path: Path) -> None:
    dataset = dcmread(path)
    move_first_roi(dataset)
    dataset.save_as(path)


@pytest.mark.parametrize("change", [move_away, edit_in_place])
def test_a_delivered_file_that_was_moved_or_edited_is_made_again(
    real_job: Job, ctx: Context, change: Callable[[Path], None]
) -> None:
    exported(real_job, ctx, move_first_roi, **APPROVED)
    change(delivered_file(real_job, ctx))

    rescan(ctx)

    moved, *others = outcomes(record_of(real_job, ctx)).values()
    assert moved is not ContourOutcome.UNTOUCHED
    assert set(others) == {ContourOutcome.UNTOUCHED}
    assert record_of(real_job, ctx).a_sha256 == real_job.delivered_sha256


def test_a_delivered_file_that_cannot_be_made_again_is_a_failure_with_a_reason(
    real_job: Job, ctx: Context
) -> None:
    exported(real_job, ctx, move_first_roi, **APPROVED)
    delivered_file(real_job, ctx).unlink()
    ctx.work.file(real_job.id, "received.dcm").unlink()

    rescan(ctx)

    assert record_of(real_job, ctx).status is PairStatus.FAILED
    assert "is gone, and cannot be rebuilt" in record_of(real_job, ctx).note


def test_a_delivered_file_that_was_moved_within_the_datastore_is_found_there(
    job: Job, ctx: Context, site: Site
) -> None:
    exported(job, ctx, move_first_roi, **APPROVED)
    delivered_file(job, ctx).rename(site.store / "imported.dcm")

    rescan(ctx)

    record = record_of(job, ctx)
    assert (record.status, record.a_sha256) == (PairStatus.COMPARED, job.delivered_sha256)


def test_the_clinical_set_may_be_in_a_folder_of_its_own(
    job: Job, ctx: Context, site: Site, reads: list[str]
) -> None:
    exports = site.folder / "exports"
    exported(job, ctx, move_first_roi, to=exports / "tps", **APPROVED)
    ctx = with_qa(ctx, folders=[exports])

    rescan(ctx)
    assert record_of(job, ctx).status is PairStatus.COMPARED
    count = len(reads)
    assert (rescan(ctx).news, len(reads)) == ({}, count)

    exported(job, ctx, move_first_roi, to=exports, **APPROVED | {"ReviewDate": "20261201"})
    rescan(ctx)
    assert record_of(job, ctx).passed_over == ("less-preferred",)


def test_a_missing_folder_is_reported_and_the_datastore_is_still_used(
    job: Job, ctx: Context, site: Site
) -> None:
    exported(job, ctx, move_first_roi, **APPROVED)
    ctx = with_qa(ctx, folders=[site.folder / "not-mounted"])

    done = rescan(ctx)

    assert record_of(job, ctx).status is PairStatus.COMPARED
    assert [err.code for err in done.warnings] == ["datastore-missing"]
    assert str(done.warnings[0]).startswith("the folder of qa.folders ")
    assert "qa.folders" in done.warnings[0].hint


def test_a_folder_that_cannot_be_listed_is_reported_and_the_others_are_used(
    job: Job, ctx: Context, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    exports = site.folder / "exports"
    exported(job, ctx, move_first_roi, to=exports / "open", **APPROVED)
    (exports / "closed").mkdir()
    opened = os.open

    def refused(path: Any, *more: Any, **where: Any) -> int:
        if str(path).endswith("closed"):
            raise PermissionError(errno.EACCES, "refused", str(path))
        return opened(path, *more, **where)

    monkeypatch.setattr("drawcli.adapters.datastore.listing.os.open", refused)
    done = rescan(with_qa(ctx, folders=[exports]))

    assert record_of(job, ctx).status is PairStatus.COMPARED
    assert [str(err) for err in done.warnings] == ["1 folder below qa.folders cannot be listed"]


def test_a_series_that_changed_since_has_no_pair(job: Job, ctx: Context) -> None:
    exported(job, ctx, move_first_roi, **APPROVED)
    ctx.ledger.commit(replace(job, late_digest="f" * 16))

    rescan(ctx)

    assert record_of(job, ctx).status is PairStatus.CHANGED


def test_a_series_that_was_delivered_again_counts_once(job: Job, ctx: Context) -> None:
    exported(job, ctx, move_first_roi, **APPROVED)
    again = replace(job, id=f"{job.series_key}-2")
    ctx.ledger.add(again)

    rescan(ctx)

    record = record_of(job, ctx)
    assert (record.status, again.id in record.note) == (PairStatus.CLOSED, True)
    assert rescan(ctx, again=True).news == {}


def test_a_comparison_from_before_a_second_delivery_stays(job: Job, ctx: Context) -> None:
    exported(job, ctx, move_first_roi, **APPROVED)
    rescan(ctx)
    before = record_of(job, ctx)
    ctx.ledger.add(replace(job, id=f"{job.series_key}-2"))

    rescan(ctx, again=True)

    assert record_of(job, ctx) == before
    assert record_of(job, ctx).structures


@pytest.mark.parametrize("gone", ["clinical", "delivered"])
def test_a_comparison_stays_when_its_files_are_moved_away(
    job: Job, ctx: Context, gone: str
) -> None:
    clinical = exported(job, ctx, move_first_roi, **APPROVED)
    rescan(ctx)
    before = record_of(job, ctx)
    (clinical if gone == "clinical" else delivered_file(job, ctx)).unlink()

    rescan(ctx, again=True)

    assert record_of(job, ctx) == before
    assert before.structures


def test_a_comparison_gives_way_to_a_set_that_is_not_approved(job: Job, ctx: Context) -> None:
    clinical = exported(job, ctx, move_first_roi, **APPROVED)
    rescan(ctx)
    clinical.unlink()
    exported(job, ctx, move_first_roi, **APPROVED | {"ApprovalStatus": "UNAPPROVED"})

    rescan(ctx)

    assert record_of(job, ctx).status is PairStatus.WAITING


def test_a_pair_that_takes_too_long_has_failed_and_is_not_tried_each_time(
    ctx: Context, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = add_cases(ctx, site.store, 2, [only_approved])
    released, asked = Event(), []

    def slow(*_: Any) -> Any:
        asked.append(1)
        released.wait(PATIENCE)

    monkeypatch.setattr("drawcli.operations.qa.clinical.scan.PAIR_SECONDS", 0.9)
    monkeypatch.setattr(clinical_pair, "compare_structure_sets", slow)
    rescan(ctx)
    wait_until(lambda: len(asked) == 2)  # a busy machine may take the time to read the files
    assert {record_of(case.job, ctx).status for case in cases} == {PairStatus.FAILED}
    assert "it took 0.9 s" in record_of(cases[0].job, ctx).note
    assert (rescan(ctx).news, len(asked)) == ({}, 2)
    released.set()


def test_a_record_is_closed_with_the_work_folder_unless_there_was_a_comparison(
    ctx: Context, site: Site
) -> None:
    compared, missing = add_cases(ctx, site.store, 2, [only_approved, without_any])
    rescan(ctx)
    ctx.work.remove(compared.job.id)
    ctx.work.remove(missing.job.id)

    done = rescan(ctx)

    assert list(done.news) == [missing.job.id]
    assert record_of(compared.job, ctx).status is PairStatus.COMPARED
    assert record_of(missing.job, ctx).status is PairStatus.CLOSED
    assert "deliver.keep_days" in record_of(missing.job, ctx).note
    assert read_watch(site.state) == {}
    assert rescan(ctx).news == {}


def test_without_its_list_a_scan_closes_and_compares_as_with_it(ctx: Context, site: Site) -> None:
    gone, kept = add_cases(ctx, site.store, 2, [without_any, only_approved])
    rescan(ctx)
    (site.state / "qa" / "watch.json").unlink()
    ctx.work.remove(gone.job.id)

    done = rescan(ctx)

    assert [(one.job, str(one.status)) for one in done.news.values()] == [(gone.job.id, "closed")]
    assert record_of(kept.job, ctx).status is PairStatus.COMPARED


def test_a_scan_of_one_job_hides_no_other_from_the_next_one(ctx: Context, site: Site) -> None:
    gone, kept = add_cases(ctx, site.store, 2, [without_any, only_approved])
    rescan(ctx)
    (site.state / "qa" / "watch.json").unlink()
    ctx.work.remove(gone.job.id)

    rescan(ctx, job=kept.job.id)
    rescan(ctx)

    assert record_of(gone.job, ctx).status is PairStatus.CLOSED


def test_jobs_of_the_archive_are_compared_while_their_files_are_there(
    job: Job, ctx: Context, clock: Clock
) -> None:
    clock.advance(days=2)
    ctx.ledger.archive_finished(clock.now())
    assert ctx.ledger.jobs() == []
    exported(job, ctx, move_first_roi, **APPROVED)

    rescan(ctx)

    assert record_of(job, ctx).status is PairStatus.COMPARED


def test_a_bug_in_one_pair_fails_that_pair_only_and_quotes_nothing(
    ctx: Context, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = add_cases(ctx, site.store, 2, [only_approved])
    compare = compare_structure_sets

    def breaks(first: Any, second: Any, options: Any) -> Any:
        if breaks_once:
            breaks_once.pop()
            raise ZeroDivisionError("Kowalski")
        return compare(first, second, options)

    breaks_once = [True]
    monkeypatch.setattr(clinical_pair, "compare_structure_sets", breaks)
    rescan(ctx)

    records = [record_of(one.job, ctx) for one in (bad, good)]
    failed, compared = sorted(records, key=lambda one: one.status, reverse=True)
    assert (failed.status, compared.status) == (PairStatus.FAILED, PairStatus.COMPARED)
    assert failed.note.startswith("the comparison failed: ZeroDivisionError, test_scan.py:")
    assert "Kowalski" not in "".join(lines(site))


def test_a_share_that_hangs_ends_the_scan_and_the_next_one_goes_on(
    ctx: Context, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = add_cases(ctx, site.store, 2, [only_approved])
    scan(ctx)
    read, released = read_whole, Event()
    monkeypatch.setattr(clinical_pair, "read_whole", lambda _path: released.wait(PATIENCE))
    hanging = replace(ctx, settings=_impatient(ctx))

    with pytest.raises(OutOfReach) as err:
        scan_pairs(hanging)
    released.set()

    assert err.value.code == "datastore-silent"
    assert {record_of(case.job, ctx).status for case in cases} == {PairStatus.MISSING}
    monkeypatch.setattr(clinical_pair, "read_whole", read)
    scan_pairs(ctx)
    assert {record_of(case.job, ctx).status for case in cases} == {PairStatus.COMPARED}


def test_a_folder_that_hangs_while_it_is_listed_ends_the_scan(
    job: Job, ctx: Context, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = Event()
    monkeypatch.setattr(Update, "run", lambda _self, _roots: released.wait(PATIENCE))
    hanging = replace(ctx, settings=_impatient(with_qa(ctx, folders=[site.folder])))

    with pytest.raises(OutOfReach, match="does not answer"):
        scan_pairs(hanging)
    released.set()
    assert record_of(job, ctx).status is PairStatus.MISSING


def _impatient(ctx: Context) -> Any:
    return ctx.settings.replace(scan=ctx.settings.scan.replace(answer_seconds=1.0))


def test_when_the_time_is_over_the_rest_is_left_for_the_next_scan(
    ctx: Context, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = add_cases(ctx, site.store, 3, [only_approved])
    scan(ctx)
    ticks = iter([0.0, *[1.0] * 50])
    monkeypatch.setattr("drawcli.operations.qa.clinical.scan.monotonic", lambda: next(ticks))
    done = scan_pairs(ctx, QaScanOptions(seconds=0.5))
    assert (done.left, len(done.news)) == (3, 3)
    monkeypatch.undo()

    scan_pairs(ctx)
    assert {record_of(case.job, ctx).status for case in cases} == {PairStatus.COMPARED}


def test_folders_that_were_read_in_part_are_reported_and_read_further_the_next_time(
    job: Job, ctx: Context, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    exported(job, ctx, move_first_roi, to=site.folder / "exports" / "b", **APPROVED)
    ctx = with_qa(ctx, folders=[site.folder / "exports"])
    scan(ctx)
    monkeypatch.setattr(clinical_sets, "monotonic", lambda: inf)
    done = scan_pairs(ctx, QaScanOptions(seconds=60))
    monkeypatch.undo()

    assert [str(err) for err in done.warnings] == [
        "qa.folders were read in part; the next scan goes on"
    ]
    assert record_of(job, ctx).status is PairStatus.MISSING
    scan_pairs(ctx)
    assert record_of(job, ctx).status is PairStatus.COMPARED


def test_a_scan_that_is_cut_short_loses_nothing_and_doubles_nothing(
    ctx: Context, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    cases = add_cases(ctx, site.store, 4, [only_approved])
    scan(ctx)
    add, left = QaRecords.add, [3]

    def cut(self: QaRecords, records: Iterable[PairRecord]) -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        add(self, records)

    monkeypatch.setattr(QaRecords, "add", cut)
    monkeypatch.setattr("drawcli.operations.qa.clinical.scan.write_watch", lambda *_: None)
    with pytest.raises(KeyboardInterrupt):
        scan_pairs(ctx)
    monkeypatch.undo()
    scan_pairs(ctx)

    assert {record_of(case.job, ctx).status for case in cases} == {PairStatus.COMPARED}
    found = [one.status for one in QaRecords(site.state).every()]
    assert (found.count(PairStatus.MISSING), found.count(PairStatus.COMPARED)) == (4, 4)


def test_a_full_disk_is_reported_as_such_and_the_next_scan_goes_on(
    job: Job, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    rescan(ctx)
    exported(job, ctx, move_first_roi, **APPROVED)
    scan(ctx)
    monkeypatch.setattr("drawcli.adapters.state.qa_records.os.fsync", full)
    with pytest.raises(DiskFull):
        scan_pairs(ctx)
    monkeypatch.undo()

    scan_pairs(ctx)
    assert record_of(job, ctx).status is PairStatus.COMPARED


def test_a_set_that_changes_while_it_is_compared_fails_that_pair_and_is_tried_again(
    job: Job, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = exported(job, ctx, move_first_roi, **APPROVED)
    read, asked = read_whole, list[Path]()

    def changing(one: Path) -> Any:
        asked.append(one)
        if asked.count(path) == 2:
            edit_in_place(path)
        return read(one)

    monkeypatch.setattr(clinical_pair, "read_whole", changing)
    rescan(ctx)
    assert record_of(job, ctx).status is PairStatus.FAILED
    assert "changed while it was compared" in record_of(job, ctx).note

    exported(job, ctx, move_first_roi, StructureSetDate="20261101")
    rescan(ctx)
    assert record_of(job, ctx).status is PairStatus.COMPARED


def test_many_files_may_take_longer_than_a_share_may_be_silent(
    job: Job, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    for day in range(15, 21):
        exported(job, ctx, move_first_roi, **APPROVED | {"ReviewDate": f"202611{day}"})
    scan(ctx)
    signs: list[float] = []

    def listen(read: Callable[[Callable[[], None]], object], seconds: float) -> object:
        def read_and_count(heard: Callable[[], None]) -> object:
            def count() -> None:
                heard()
                signs.append(seconds)

            return read(count)

        return call_while_heard(read_and_count, seconds)

    monkeypatch.setattr(clinical_pair, "call_while_heard", listen)

    scan_pairs(ctx)

    assert signs == [ctx.settings.scan.answer_seconds] * 7  # one a file, and ours
    assert record_of(job, ctx).status is PairStatus.COMPARED
    assert record_of(job, ctx).others == 5


def test_a_second_scan_at_once_is_refused(ctx: Context, site: Site) -> None:
    with scan_lock(site.state), pytest.raises(AnotherRun):
        scan_pairs(ctx)


def test_a_dry_run_writes_nothing(job: Job, ctx: Context, site: Site) -> None:
    exported(job, ctx, move_first_roi, **APPROVED)
    scan(ctx)
    before = {path: path.stat().st_mtime_ns for path in site.state.rglob("*") if path.is_file()}

    done = scan_pairs(ctx, QaScanOptions(dry_run=True))

    assert [str(one.status) for one in done.news.values()] == ["compared"]
    after = {path: path.stat().st_mtime_ns for path in site.state.rglob("*") if path.is_file()}
    assert {path.name for path in before.keys() ^ after.keys()} <= {"scan-index.sqlite.lock"}
    assert [
        one for one in before if before[one] != after.get(one) and ".lock" not in one.name
    ] == []
    assert not (site.state / "qa").exists()


def test_the_scan_keeps_no_value_of_a_patient(real_job: Job, ctx: Context, site: Site) -> None:
    def with_a_name(dataset: Dataset) -> None:
        move_first_roi(dataset)
        dataset.StructureSetROISequence[1].ROIName = "Anna Kowalski"
        dataset.StructureSetROISequence[2].ROIName = "PTV_KOWALSKI"
        for contour in dataset.ROIContourSequence[2].ContourSequence:
            contour.ContourData = [f"{float(value) + 1:g}" for value in contour.ContourData]

    path = exported(real_job, ctx, with_a_name, to=site.folder / "Kowalski", **APPROVED)
    ctx = with_qa(ctx, folders=[site.folder / "Kowalski"])
    crosswalk = ctx.crosswalk(real_job)
    rescan(ctx)

    assert record_of(real_job, ctx).status is PairStatus.COMPARED
    kept = b"".join(one.read_bytes() for one in (site.state / "qa").iterdir() if one.is_file())
    secrets = {PELVIS.patient_id, *PELVIS.name.split("^"), "Kowalski", "KOWALSKI"} - {""}
    secrets |= {crosswalk.series_uid, crosswalk.study_uid, crosswalk.frame_uid, str(path)}
    secrets |= {str(dcmread(path).SOPInstanceUID), site.store.name, path.name}
    assert len(kept) > 1000
    assert [one for one in secrets if one.encode() in kept] == []


def test_the_files_of_a_job_are_named_for_who_asks(ctx: Context, site: Site) -> None:
    (case,) = add_cases(ctx, site.store, 1, [older_and_newer])
    rescan(ctx)

    found = dict(found_files(case.job, record_of(case.job, ctx), ctx))

    roles = {path.name: what for path, what in found.items()}
    assert roles.pop(delivered_file(case.job, ctx).name) == "delivered by drawcli"
    assert roles == {
        "0.dcm": "less preferred",
        "1.dcm": "the clinical set",
        "2.dcm": "older than the delivery",
    }


def test_a_set_in_a_time_zone_of_its_own_is_not_older(job: Job, ctx: Context, clock: Clock) -> None:
    def behind(dataset: Dataset) -> None:
        move_first_roi(dataset)
        at: datetime = clock.now() + timedelta(hours=1) - timedelta(hours=8)
        dataset.TimezoneOffsetFromUTC = "-0800"
        dataset.ReviewDate = dataset.StructureSetDate = f"{at:%Y%m%d}"
        dataset.ReviewTime = dataset.StructureSetTime = f"{at:%H%M%S}"

    exported(job, ctx, behind, ApprovalStatus="APPROVED")
    rescan(ctx)
    assert record_of(job, ctx).status is PairStatus.COMPARED
