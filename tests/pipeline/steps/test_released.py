"""Series that are not whole: who is asked about them, and what a word of a person changes."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import UID

from drawcli.adapters.datastore import rule_header
from drawcli.adapters.state.workdir import PACKAGE
from drawcli.core.jobs.job import Job, State
from drawcli.core.jobs.waiting import way_out
from drawcli.core.rules.conditions import RuleHeader
from drawcli.core.series.crosswalk import Crosswalk
from drawcli.core.series.overrides import RELEASABLE
from drawcli.errors import UsageError
from drawcli.pipeline.actions import release, retry
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_step
from drawcli.pipeline.steps.scan import scan
from tests.conftest import SLICES, Clock, Site, only_job

Spoil = Callable[[list[Path]], None]


def edited(paths: list[Path], which: slice = slice(None), **values: object) -> None:
    for path in paths[which]:
        dataset = dcmread(path)
        for keyword, value in values.items():
            setattr(dataset, keyword, value)
        dataset.save_as(path)


def held(ctx: Context, clock: Clock) -> Job:
    """Scan as cron does until a person is asked."""
    run_step("scan", ctx, Selection())
    clock.advance(hours=25)
    run_step("scan", ctx, Selection())
    return only_job(ctx)


def released(ctx: Context) -> Job:
    ctx.ledger.commit(release(only_job(ctx), ctx))
    scan(ctx)
    return only_job(ctx)


def sent(ctx: Context) -> Iterator[Dataset]:
    """Yield the slices of the package."""
    with ZipFile(ctx.work.file(only_job(ctx).id, PACKAGE)) as package:
        for name in package.namelist():
            if name.endswith(".dcm"):
                yield dcmread(BytesIO(package.read(name)))


def gap(pelvis: list[Path]) -> None:
    pelvis[2].unlink()


def crooked(pelvis: list[Path]) -> None:
    x, y, z = dcmread(pelvis[2]).ImagePositionPatient
    edited(pelvis, slice(2, 3), ImagePositionPatient=[x + 3, y, z])


def burned_in(pelvis: list[Path]) -> None:
    edited(pelvis, BurnedInAnnotation="YES")


def cut_file(pelvis: list[Path]) -> None:
    (pelvis[0].parent / "cut.dcm").write_bytes(pelvis[0].read_bytes()[:700])


def uneven(pelvis: list[Path]) -> None:
    x, y, z = dcmread(pelvis[2]).ImagePositionPatient
    step = dcmread(pelvis[3]).ImagePositionPatient[2] - z
    edited(pelvis, slice(2, 3), ImagePositionPatient=[x, y, round(z + 0.7 * step, 3)])


def two_types(pelvis: list[Path]) -> None:
    edited(pelvis, slice(2, 3), ImageType=["DERIVED", "SECONDARY", "AVERAGE"])


@pytest.mark.parametrize(
    ("spoil", "code", "setting"),
    [
        (gap, "missing-slices", "scan.largest_step"),
        (uneven, "uneven-spacing", "scan.largest_step"),
        (crooked, "crooked", ""),
        (cut_file, "unreadable-files", "scan.exclude"),
        (two_types, "mixed-image-types", ""),
    ],
)
def test_a_person_sends_a_series_as_it_is(  # noqa: PLR0913 - what is spoilt, and what is told
    *, ctx: Context, pelvis: list[Path], clock: Clock, spoil: Spoil, code: str, setting: str
) -> None:
    spoil(pelvis)

    asked = held(ctx, clock)
    after = released(ctx)
    clock.advance(days=3)
    run_step("scan", ctx, Selection())
    run_step("match", ctx, Selection())

    assert (asked.held, asked.reason_code) == (True, code)
    assert way_out(asked) == f"drawcli release {asked.id}"
    assert setting in (asked.hint or "")
    assert (after.state, after.held) == (State.FOUND, False)
    assert only_job(ctx).state is State.MATCHED


def test_every_reason_that_a_person_may_let_pass_was_let_pass_above() -> None:
    assert set(RELEASABLE) == {
        "missing-slices",
        "uneven-spacing",
        "crooked",
        "unreadable-files",
        "mixed-image-types",
        "segmented",  # see tests/pipeline/survey/test_segmented.py
        "pulling",  # see tests/pipeline/pull/test_pull.py
    }


def test_a_person_need_not_wait_until_he_is_asked(ctx: Context, pelvis: list[Path]) -> None:
    gap(pelvis)
    scan(ctx)

    assert only_job(ctx).held is False
    assert released(ctx).state is State.FOUND


def test_each_thing_that_is_wrong_is_let_pass_for_itself(
    ctx: Context, pelvis: list[Path], clock: Clock
) -> None:
    gap(pelvis)
    crooked(pelvis[1:])

    first = held(ctx, clock)
    second = released(ctx)
    third = released(ctx)

    assert [first.reason_code, second.reason_code] == ["missing-slices", "crooked"]
    assert third.state is State.FOUND


def test_what_a_person_let_pass_counts_for_just_those_files(
    ctx: Context, pelvis: list[Path], clock: Clock
) -> None:
    gap(pelvis)
    held(ctx, clock)
    found = released(ctx)
    pelvis[4].unlink()
    scan(ctx)
    changed = only_job(ctx)
    scan(ctx)

    assert found.state is State.FOUND
    assert (changed.state, changed.reason_code) == (State.WAITING, "series-changed")
    assert (only_job(ctx).state, only_job(ctx).reason_code) == (State.WAITING, "missing-slices")


def test_a_file_that_changes_in_its_place_is_judged_again(
    ctx: Context, pelvis: list[Path], clock: Clock
) -> None:
    gap(pelvis)
    held(ctx, clock)
    ctx.ledger.commit(release(only_job(ctx), ctx))
    os.utime(pelvis[0], (clock.at.timestamp(),) * 2)

    scan(ctx)

    assert (only_job(ctx).state, only_job(ctx).reason_code) == (State.WAITING, "missing-slices")


@pytest.mark.parametrize(
    ("values", "code", "word"),
    [
        ({"PatientID": "another"}, "mixed-patients", "Correct"),
        ({"StudyInstanceUID": "1.2.3"}, "mixed-studies", "Correct"),
        ({"FrameOfReferenceUID": "1.2.3"}, "mixed-frames", "Correct"),
        ({"PixelData": b"\0\0"}, "truncated", "Send the files to the datastore again"),
        ({"PixelData": b"\1" * 4096}, "extra-pixels", "Export the series again"),
    ],
)
def test_what_no_word_of_a_person_mends_is_not_released(  # noqa: PLR0913 - what is told of it
    *,
    ctx: Context,
    pelvis: list[Path],
    clock: Clock,
    values: dict[str, object],
    code: str,
    word: str,
) -> None:
    edited(pelvis, slice(2, 3), **values)
    asked = held(ctx, clock)

    with pytest.raises(UsageError, match="cannot be released") as told:
        release(asked, ctx)

    assert asked.reason_code == code
    assert word in (told.value.hint or "")
    assert told.value.hint == asked.hint
    assert way_out(asked) == f"drawcli cancel {asked.id}"
    assert retry(asked, ctx).held is False  # the next scan looks once more


@pytest.mark.usefixtures("pelvis")
def test_a_long_minimum_age_asks_nobody(ctx: Context, clock: Clock) -> None:
    asked = ctx.settings.scan.replace(min_age_minutes=60.0 * 24 * 30)
    patient = replace(ctx, settings=ctx.settings.replace(scan=asked))

    young = held(patient, clock)
    clock.advance(days=30)
    scan(patient)

    assert (young.state, young.held, young.reason_code) == (State.WAITING, False, "too-young")
    assert only_job(patient).state is State.FOUND


# --- the rules are asked first ----------------------------------------------------------------

NEVER = "rules:\n- {name: never, exclude: true, when: {all: [{Modality: CT}]}}\n"
OTHERS = "rules:\n- {name: heads, template: HeadNeck_OAR, when: {BodyPartExamined: HEAD}}\n"
COUNTED = "rules:\n- {name: long, template: HeadNeck_OAR, when: {slices: {at_least: 100}}}\n"
NOT_FEW = """rules:
- {name: few, exclude: true, when: {slices: {at_most: 100}}}
- {name: all, template: Prostate_OAR, when: {Modality: CT}}
"""
ALL = "rules:\n- {name: all, template: Prostate_OAR, when: {Modality: CT}}\n"
EITHER = (
    "rules:\n- {name: e, template: Prostate_OAR, when: {any: [{Modality: MR}, {slices: 99}]}}\n"
)
NOT = "rules:\n- {name: n, template: Prostate_OAR, when: {not: {Modality: CT}}}\n"
MIXED = "rules:\n- {name: m, template: Prostate_OAR, when: {InstanceNumber: 3}}\n"


@pytest.mark.parametrize(
    ("rules", "is_held"),
    [
        *((ALL, True), (COUNTED, True), (NOT_FEW, True), (EITHER, True), (MIXED, True)),
        *((NEVER, False), (OTHERS, False), (NOT, False)),
    ],
)
@pytest.mark.parametrize("spoil", [gap, burned_in])
def test_a_person_is_asked_only_of_what_would_be_sent(  # noqa: PLR0913 - a site and its rules
    *,
    ctx: Context,
    site: Site,
    pelvis: list[Path],
    clock: Clock,
    rules: str,
    is_held: bool,
    spoil: Spoil,
) -> None:
    (site.folder / "rules.yaml").write_text(rules)
    spoil(pelvis)

    job = held(ctx, clock)
    quiet = run_step("scan", ctx, Selection())

    assert (job.state, job.held) == (State.WAITING, is_held)
    assert ("the rules would not send it" in (job.reason or "")) is not is_held
    assert quiet.outcomes == []


def test_new_rules_are_asked_again_and_free_or_hold_a_series(
    ctx: Context, site: Site, pelvis: list[Path], clock: Clock
) -> None:
    gap(pelvis)
    (site.folder / "rules.yaml").write_text(ALL)
    first = held(ctx, clock)
    fates = []
    for rules in (NEVER, OTHERS, ALL, f"{ALL}# the same\n"):
        (site.folder / "rules.yaml").write_text(rules)
        fresh = replace(ctx, ledger=ctx.ledger)
        report = run_step("scan", fresh, Selection())
        fates.append((only_job(ctx).held, len(report.held)))

    assert first.held
    assert fates == [(False, 0), (False, 0), (True, 1), (True, 0)]


def test_the_rules_are_asked_once_and_not_at_each_scan(
    ctx: Context,
    site: Site,
    pelvis: list[Path],
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (site.folder / "rules.yaml").write_text(NEVER)
    gap(pelvis)
    asked: list[object] = []
    header_of = rule_header.header_of

    def counted(crosswalk: Crosswalk, today: date) -> RuleHeader:
        asked.append(crosswalk)
        return header_of(crosswalk, today)

    monkeypatch.setattr(rule_header, "header_of", counted)
    held(ctx, clock)

    for _ in range(3):
        clock.advance(hours=1)
        run_step("scan", ctx, Selection())

    assert len(asked) == 1


def test_broken_rules_leave_the_question_to_a_person(
    ctx: Context, site: Site, pelvis: list[Path], clock: Clock
) -> None:
    (site.folder / "rules.yaml").write_text("rules: [")
    gap(pelvis)

    assert held(ctx, clock).held


def test_what_the_rules_leave_is_not_sent_when_it_becomes_whole(
    ctx: Context, site: Site, pelvis: list[Path], clock: Clock, tmp_path: Path
) -> None:
    (site.folder / "rules.yaml").write_text(OTHERS)
    shutil.move(pelvis[2], tmp_path / "late.dcm")
    held(ctx, clock)
    shutil.move(tmp_path / "late.dcm", pelvis[2])

    run_step("scan", ctx, Selection())
    run_step("match", ctx, Selection())

    assert (only_job(ctx).state, only_job(ctx).slices) == (State.UNMATCHED, SLICES)


# --- what lies beside a scan ------------------------------------------------------------------


@pytest.mark.parametrize("name", ["transfer.complete", ".processing", "READY", "IM0001.dcm.ok"])
def test_an_empty_mark_beside_a_series_holds_nothing_up(
    ctx: Context, pelvis: list[Path], name: str
) -> None:
    (pelvis[0].parent / name).touch()

    done = scan(ctx)

    assert only_job(ctx).state is State.FOUND
    assert done.passed_over == {"marker-file": 1}


@pytest.mark.parametrize(
    "name", ["IM0099.dcm", "0099", "1.2.840.99", "IM.dcm.part", ".a.dcm.Xy12aB"]
)
def test_an_empty_file_that_may_become_a_slice_is_waited_for(
    ctx: Context, pelvis: list[Path], name: str
) -> None:
    (pelvis[0].parent / name).touch()

    scan(ctx)

    assert only_job(ctx).reason_code == "unreadable-files"


def test_what_is_set_aside_is_counted_and_never_packed(ctx: Context, pelvis: list[Path]) -> None:
    for number in range(3):
        report = dcmread(pelvis[0])
        report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = UID(
            "1.2.840.10008.5.1.4.1.1.88.67"
        )
        report.SOPInstanceUID = report.file_meta.MediaStorageSOPInstanceUID = UID(f"1.2.3.{number}")
        report.Modality = "SR"
        del report.PixelData
        report.save_as(pelvis[0].parent / f"AA{number}.dcm")

    scan(ctx)

    assert (only_job(ctx).state, only_job(ctx).modality) == (State.FOUND, "CT")
    assert (only_job(ctx).slices, only_job(ctx).aside) == (SLICES, "3 not-an-image")
    assert {file.path for file in ctx.crosswalk(only_job(ctx)).files} == set(map(str, pelvis))


def test_padding_behind_the_pixels_stays_behind(ctx: Context, pelvis: list[Path]) -> None:
    for path in pelvis:
        dataset = dcmread(path)
        dataset.PixelData += bytes(512)
        dataset.save_as(path)

    for step in ("scan", "match", "deidentify"):
        run_step(step, ctx, Selection())
    packed = list(sent(ctx))

    assert only_job(ctx).state is State.PACKAGED
    assert {len(one.PixelData) for one in packed} == {32 * 32 * 2}
    assert {one.PixelData for one in packed} == {dcmread(p).PixelData[:2048] for p in pelvis}


def test_two_spellings_of_a_name_leave_under_one_stand_in(ctx: Context, pelvis: list[Path]) -> None:
    name = str(dcmread(pelvis[0]).PatientName)
    edited(pelvis, slice(0, 3), PatientName=f"{name.upper()}^^^")

    for step in ("scan", "match", "deidentify"):
        run_step(step, ctx, Selection())

    assert only_job(ctx).state is State.PACKAGED
    assert len({(one.PatientID, one.PatientName) for one in sent(ctx)}) == 1


def test_a_slice_without_the_frame_of_its_scan_is_of_the_scan(
    ctx: Context, pelvis: list[Path]
) -> None:
    frame = dcmread(pelvis[0]).FrameOfReferenceUID
    edited(pelvis, slice(0, 1), FrameOfReferenceUID="")

    for step in ("scan", "match", "deidentify"):
        run_step(step, ctx, Selection())

    assert only_job(ctx).state is State.PACKAGED
    assert ctx.crosswalk(only_job(ctx)).frame_uid == frame
