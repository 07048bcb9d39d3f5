"""De-identify a folder into another, without ledger or server, to see what would be sent.

Checks, engine and gate are those of the pipeline; a series appears in the target only after the
gate has passed it.
"""

import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from drawcli.adapters.datastore.images import open_slice
from drawcli.adapters.datastore.walk import read_datastore, read_images
from drawcli.adapters.gate import Leak, find_source_series, findings
from drawcli.adapters.package import write_package
from drawcli.core.deid.block_hints import advise, summarize_findings
from drawcli.core.deid.engine import Replacements
from drawcli.core.deid.profile import Choices
from drawcli.core.deid.pseudonyms import StandIns
from drawcli.core.dicom.header import NotDicom
from drawcli.core.dicom.instance import Slice, slice_of
from drawcli.core.gate.header_diff import ElementDiff, compare_headers
from drawcli.core.series.crosswalk import Crosswalk
from drawcli.core.series.instance_kind import slice_kind
from drawcli.core.series.members import scan_slices
from drawcli.core.series.readiness import Criteria
from drawcli.core.series.verdict import Readiness, Verdict
from drawcli.errors import GateBlocked, SeriesRefused, TryLater, UsageError
from drawcli.pipeline.sent_slices import deidentify_slices, header_as_sent
from drawcli.pipeline.steps.deidentify import read_replacements
from drawcli.pipeline.survey import judge_series
from drawcli.system.failures import raise_if_short
from drawcli.system.platforms import fsync_folder, is_within

_MODALITIES: Final = frozenset({"CT", "MR", "PT"})


@dataclass(slots=True)
class FolderSeries:
    """A series of the folder and its verdict."""

    slices: list[Slice]
    verdict: Verdict


@dataclass(slots=True)
class FolderContents:
    """The series in a folder, and the counts of other files by reason."""

    series: list[FolderSeries] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)  # files


@dataclass(frozen=True, slots=True)
class ExportedSeries:
    """The outcome for one series: its folder, or the refusal."""

    modality: str
    slices: int
    first: str  # file of the series; shown with --identify
    folder: Path | None = None
    refused: SeriesRefused | GateBlocked | None = None


def read_folder(folder: Path) -> FolderContents:
    """Read every header below a folder, or of one file.

    Raises
    ------
    UsageError
        If the path does not exist.
    """
    if not folder.exists():
        raise UsageError(f"{folder}: no such file or folder")
    walk = read_images([folder]) if folder.is_file() else read_datastore([folder])
    found = FolderContents(passed_over=walk.passed_over)
    criteria = Criteria(modalities=_MODALITIES, min_slices=1)
    for slices, verdict in judge_series(walk, criteria):
        found.series.append(FolderSeries(slices, verdict))
    return found


def check_target(target: Path, source: Path, datastore: Iterable[Path]) -> None:
    """Raise UsageError if images must not be written into the target."""
    for folder in (source, *datastore):
        if is_within(target, folder):
            raise UsageError(f"{target} is in {folder}, which is only read; choose another")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target} is not an empty folder; choose another")


def export(
    series: Iterable[FolderSeries], target: Path, stand_ins: StandIns, choices: Choices
) -> Iterator[ExportedSeries]:
    """De-identify series into one folder each, named by their pseudonymous UIDs.

    Yields
    ------
    ExportedSeries
        One for each series. A refused or blocked series leaves no files.
    """
    target.mkdir(parents=True, exist_ok=True)
    for found in series:
        slices, verdict = found.slices, found.verdict
        facts = slices[0].modality, len(slices), min(slice_.path for slice_ in slices)
        if verdict.readiness is not Readiness.READY:
            refused = SeriesRefused(verdict.text, code=verdict.code)
            yield ExportedSeries(*facts, refused=refused)
            continue
        try:
            folder = _export(Crosswalk.of(slices), target, stand_ins, choices)
        except (SeriesRefused, GateBlocked) as err:
            yield ExportedSeries(*facts, refused=err)
        except TryLater as err:
            raise_if_short(err)
            yield ExportedSeries(*facts, refused=SeriesRefused(str(err), code=err.code))
        else:
            yield ExportedSeries(*facts, folder=folder)


def _export(crosswalk: Crosswalk, target: Path, stand_ins: StandIns, choices: Choices) -> Path:
    """De-identify one series as for the server, check it with the gate, then unpack it."""
    replacements, _ = read_replacements(crosswalk, stand_ins, choices)
    folder = target / replacements.uid(crosswalk.series_uid)
    package = target / f".{folder.name}.zip"
    unpacked = target / f".{folder.name}"
    try:
        write_package(package, deidentify_slices(crosswalk, replacements, {}), workers=0)
        retained = [keyword for keyword, _ in choices.retain]
        paths = [file.path for file in crosswalk.files]
        check_leaks(findings(package, paths, retained=retained, others=()), "the series")
        with zipfile.ZipFile(package) as archive:
            archive.extractall(unpacked)
        unpacked.rename(folder)
        fsync_folder(target)
    finally:
        package.unlink(missing_ok=True)
        for leftover in unpacked.glob("*"):
            leftover.unlink()
        if unpacked.is_dir():
            unpacked.rmdir()
    return folder


def compare_image(
    file: Path, stand_ins: StandIns, choices: Choices
) -> tuple[list[ElementDiff], str]:
    """Return the changes in the header of an image, and why it would not be sent, or "".

    Of a multi-frame image, the first frame as it would be sent is compared.

    Raises
    ------
    SeriesRefused
        If the header cannot be de-identified.
    """
    stream, header = open_slice(str(file))
    kind = slice_kind(slice_of(header, path=str(file), size=file.stat().st_size, mtime_ns=0))
    refused = "" if kind.readiness is Readiness.READY else kind.text
    if header.pixels is None:
        stream.close()
        text = refused or "an image without pixels"
        raise SeriesRefused(f"{file}: {text}", hint="It would not be sent.")
    end = header.pixels.start
    try:
        with closing(stream):
            known = Replacements.of(header, stand_ins, choices)
            after = header_as_sent(str(file), stream, header, known)
        return compare_headers(header.data[:end], after), refused
    except (NotDicom, ValueError) as err:
        raise SeriesRefused(f"{file}: {refused or err}", hint="It would not be sent.") from None


def check_package(package: Path, against: Path, retained: Iterable[str]) -> list[Leak]:
    """Check a package with the gate against its source series in a folder.

    Raises
    ------
    UsageError
        If no series of the folder has the pixels of the package.
    """
    walk = read_datastore([against])
    every = [[slice_.path for slice_ in scan_slices(files)] for files in walk.by_series().values()]
    sources = find_source_series(package, [paths for paths in every if paths])
    if not sources:
        raise UsageError(
            f"no series in {against} has the pixels of {package.name}",
            hint="Give the folder with the source images of the package.",
        )
    return findings(package, sources, retained=retained)


def check_leaks(found: Iterable[Leak], what: str) -> None:
    """Raise GateBlocked if the gate has found anything; the values are not shown."""
    if leaks := [(leak.check, leak.where) for leak in found]:
        raise GateBlocked(
            f"{what} still contains patient data: {summarize_findings(leaks)}",
            hint=f"Do not send it. {advise(leaks, 'run the command again')}",
        )
