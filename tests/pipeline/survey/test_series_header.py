"""After a change of the rules no image is read, and every rule gets what it would read there."""

import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from pydicom import dcmread

from drawcli.adapters.datastore import series_elements
from drawcli.adapters.datastore.compared_files import read_files
from drawcli.adapters.state.vault import HEADER
from drawcli.adapters.state.workdir import VAULT
from drawcli.core.jobs.job import Job, State
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_step
from drawcli.pipeline.survey.series_header import SeriesHeader
from tests.conftest import PELVIS, Clock, Site, only_job, opened
from tests.fake_draw import FakeDraw

ALL = Selection()
Match = Callable[[str], Job]


class Reads:
    """The readings of a series, counted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0

        def counted(paths: Iterable[str]) -> object:
            self.count += 1
            return read_files(paths)

        monkeypatch.setattr(series_elements, "read_files", counted)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    return Reads(monkeypatch)


@pytest.fixture
def match(site: Site, draw: FakeDraw, clock: Clock) -> Match:
    """Match the one series with one rule, an hour later; return its job."""

    def with_rule(when: str) -> Job:
        rule = f"{{name: a, template: Prostate_OAR, when: {{{when}}}}}"
        (site.folder / "rules.yaml").write_text(f"rules:\n  - {rule}\n")
        clock.advance(hours=1)
        with opened(site, draw, clock) as ctx:
            if not ctx.ledger.jobs():
                run_step("scan", ctx, ALL)
            run_step("match", ctx, ALL)
            return only_job(ctx)

    return with_rule


def header_file(site: Site, job: Job) -> Path:
    return site.state / "work" / job.id / HEADER


@pytest.mark.usefixtures("pelvis")
def test_a_change_of_the_rules_reads_no_image(site: Site, match: Match, reads: Reads) -> None:
    first = match("Modality: MR")
    kept = header_file(site, first).read_bytes()
    again = match("ProtocolName: another")
    assert header_file(site, first).read_bytes() == kept  # nothing new was learned
    now = match(f"ProtocolName: '{PELVIS.protocol}', slices: 6")

    assert (first.state, again.state, now.state) == ("unmatched", "unmatched", "matched")
    assert first.reason != again.reason
    assert reads.count == 1


def test_every_element_is_kept_as_it_was_read(
    ctx: Context, match: Match, pelvis: list[Path], reads: Reads
) -> None:
    for number, path in enumerate(pelvis):
        image = dcmread(path)
        image.StudyDescription = f"Lindqvíst {number // 3}"
        image.ImageComments = ["of one", ""][number % 2]
        image.private_block(0x0009, "DRAWCLI TEST", create=True).add_new(3, "LO", f"{number}")
        image.save_as(path)
    job = match("Modality: MR")
    fresh = series_elements.SeriesElements.of(map(str, sorted(pelvis))).header
    reads.count = 0

    kept = SeriesHeader(job, ctx)
    shared = {path: kept.header.values[path] for path in fresh.values}
    assert reads.count == 0
    mixed = dict(kept.header.mixed)
    assert reads.count == 1  # for the elements that differ
    kept.keep()

    assert shared == dict(fresh.values)
    assert mixed == dict(fresh.mixed)
    assert {"(0009,DRAWCLI TEST,03)", "InstanceNumber", "StudyDescription"} <= mixed.keys()
    assert "PatientName" in shared
    assert reads.count == 1
    later = SeriesHeader(job, ctx).header
    assert (dict(later.mixed), later.values.keys() >= shared.keys()) == (mixed, True)
    assert reads.count == 1  # what has been asked for is kept, too


@pytest.mark.usefixtures("pelvis")
def test_a_rule_on_slices_that_differ_reads_them_once(match: Match, reads: Reads) -> None:
    match("Modality: MR")
    states = [
        match(f"InstanceNumber: {{at_least: {least}, slices: any}}").state for least in (9, 7, 6)
    ]

    assert states == ["unmatched", "unmatched", "matched"]
    assert reads.count == 2


def rewritten(path: Path) -> None:
    """Change a value, and keep size and time of the file."""
    before = path.stat()
    raw = path.read_bytes()
    text = PELVIS.protocol.encode()
    assert raw.count(text) == 1
    path.write_bytes(raw.replace(text, text.swapcase()))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size


def exchanged(path: Path) -> None:
    """Put another file in its place."""
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    rewritten(other)
    before = path.stat()
    other.replace(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("change", [rewritten, exchanged])
@pytest.mark.parametrize("at", [0, -1])
def test_a_file_that_has_changed_is_read_again(
    match: Match, pelvis: list[Path], change: Callable[[Path], None], at: int
) -> None:
    rule = f"ProtocolName: {{equals: '{PELVIS.protocol.swapcase()}', case: true, slices: any}}"
    match("Modality: MR")
    before = match(rule)
    change(sorted(pelvis)[at])
    after = match(f"{rule}, Modality: CT")

    assert (before.state, after.state) == (State.UNMATCHED, State.MATCHED)


def test_a_removed_file_is_missed(match: Match, pelvis: list[Path]) -> None:
    match("Modality: MR")
    pelvis[2].unlink()
    job = match("Modality: CT")

    assert (job.state, job.reason_code) == (State.UNMATCHED, "source-changed")


@pytest.mark.usefixtures("pelvis")
def test_the_kept_header_is_for_its_owner_and_has_no_plain_text(site: Site, match: Match) -> None:
    job = match("Modality: MR")
    path = header_file(site, job)
    raw = path.read_bytes()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    # Two letters, such as those of a modality, are in one of 20 such files by chance.
    for text in (PELVIS.name, PELVIS.patient_id, PELVIS.protocol, "Modality", "ProtocolName"):
        assert text.encode() not in raw


@pytest.mark.usefixtures("pelvis")
def test_a_damaged_header_and_that_of_another_job_are_read_from_the_images(
    site: Site, ctx: Context, match: Match, reads: Reads
) -> None:
    job = match("Modality: MR")
    path = header_file(site, job)
    whole = path.read_bytes()
    other = path.parent.with_name("0123456789ab-1")
    other.mkdir()
    (other / VAULT).write_bytes(path.with_name(VAULT).read_bytes())
    (other / HEADER).write_bytes(whole)
    stamp = series_elements.stamp_of_files([file.path for file in ctx.crosswalk(job).files])
    assert stamp is not None
    assert ctx.vault.kept_header(path.parent, job.id, stamp) is not None

    assert ctx.vault.kept_header(other, other.name, stamp) is None
    changed = whole[:40] + bytes([whole[40] ^ 1]) + whole[41:]
    for broken in (b"", whole[:5], whole[:-1], changed):
        path.write_bytes(broken)
        reads.count = 0
        assert SeriesHeader(job, ctx).header.values["Modality"] == ("CT",)
        assert reads.count == 1
    path.unlink()
    assert ctx.vault.kept_header(path.parent, job.id, stamp) is None


@pytest.mark.usefixtures("pelvis")
def test_another_version_reads_the_images_again(
    match: Match, reads: Reads, monkeypatch: pytest.MonkeyPatch
) -> None:
    match("Modality: MR")
    monkeypatch.setattr(series_elements, "_pydicom_version", lambda: "2")
    match("Modality: PT")

    assert reads.count == 2


@pytest.mark.usefixtures("pelvis")
def test_a_header_is_kept_only_until_the_series_is_packaged(
    site: Site, ctx: Context, match: Match
) -> None:
    there = [header_file(site, match(when)).exists() for when in ("Modality: MR", "Modality: CT")]
    run_step("deidentify", ctx, ALL)

    assert only_job(ctx).state is State.PACKAGED
    assert (there, header_file(site, only_job(ctx)).exists()) == ([True, True], False)


@pytest.mark.usefixtures("pelvis")
def test_no_header_is_kept_of_a_series_that_a_rule_takes_at_once(site: Site, match: Match) -> None:
    assert not header_file(site, match("Modality: CT")).exists()


@pytest.mark.usefixtures("pelvis")
def test_a_header_that_cannot_be_written_or_is_too_large_is_not_kept(
    site: Site, match: Match, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drawcli.adapters.state.vault._LARGEST_HEADER", 1000)
    job = match("Modality: MR")
    assert not header_file(site, job).exists()

    monkeypatch.undo()
    header_file(site, job).mkdir()
    job = match("Modality: PT")

    assert (job.state, job.reason_code) == (State.UNMATCHED, "unmatched")
