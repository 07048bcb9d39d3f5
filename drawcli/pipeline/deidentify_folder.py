"""De-identify a folder into another, without ledger or server, to look at what would leave.

The same checks, the same engine and the same gate as on the way to the server; a series shows up
in the target only after the gate has read it.
"""

import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from drawcli.adapters.datastore.images import open_slice
from drawcli.adapters.datastore.walk import read_datastore, read_images
from drawcli.adapters.gate import Leak, find_source_series, findings
from drawcli.adapters.package import write_package
from drawcli.core.deid.block_hints import advise, summarize_findings
from drawcli.core.deid.engine import Replacements, deidentify_header
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
from drawcli.pipeline.steps.deidentify import replacements_of, slices_of
from drawcli.pipeline.survey import judged
from drawcli.system.platforms import fsync_folder, is_within

_MODALITIES: Final = frozenset({"CT", "MR", "PT"})


@dataclass(slots=True)
class FolderSeries:
    """A series of the folder, and what may be done with it."""

    slices: list[Slice]
    verdict: Verdict


@dataclass(slots=True)
class FolderContents:
    """What lies in a folder: the series, and what is none, by reason."""

    series: list[FolderSeries] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)  # files


@dataclass(frozen=True, slots=True)
class Exported:
    """What became of one series: its folder, or why there is none."""

    modality: str
    slices: int
    first: str  # file of the series, for a person who asks with --identify
    folder: Path | None = None
    refused: SeriesRefused | GateBlocked | None = None


def look(folder: Path) -> FolderContents:
    """Read every header below a folder, or of one file.

    Raises
    ------
    UsageError
        Where there is nothing of that name.
    """
    if not folder.exists():
        raise UsageError(f"{folder}: there is no such file or folder")
    walk = read_images([folder]) if folder.is_file() else read_datastore([folder])
    found = FolderContents(passed_over=walk.passed_over)
    demands = Criteria(modalities=_MODALITIES, min_slices=1)
    for slices, verdict in judged(walk, demands):
        found.series.append(FolderSeries(slices, verdict))
    return found


def check_target(target: Path, source: Path, datastore: Iterable[Path]) -> None:
    """Raise UsageError where the images must not be put."""
    for folder in (source, *datastore):
        if is_within(target, folder):
            raise UsageError(f"{target} lies in {folder}, which is only read; choose another")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UsageError(f"{target} is not an empty folder; choose a new one")


def export(
    series: Iterable[FolderSeries], target: Path, stand_ins: StandIns, choices: Choices
) -> Iterator[Exported]:
    """De-identify the series that may leave, one folder each, named by their stand-ins.

    Yields
    ------
    Exported
        For each series what became of it. Nothing of a refused or blocked one is left.
    """
    target.mkdir(parents=True, exist_ok=True)
    for one in series:
        facts = one.slices[0].modality, len(one.slices), min(s.path for s in one.slices)
        if one.verdict.readiness is not Readiness.READY:
            refused = SeriesRefused(one.verdict.text, code=one.verdict.code)
            yield Exported(*facts, refused=refused)
            continue
        try:
            folder = _exported(Crosswalk.of(one.slices), target, stand_ins, choices)
        except (SeriesRefused, GateBlocked) as err:
            yield Exported(*facts, refused=err)
        except TryLater as err:
            yield Exported(*facts, refused=SeriesRefused(str(err), code=err.code))
        else:
            yield Exported(*facts, folder=folder)


def _exported(crosswalk: Crosswalk, target: Path, stand_ins: StandIns, choices: Choices) -> Path:
    """De-identify one series as for the server, let the gate read it, then unpack it."""
    replacements, _ = replacements_of(crosswalk, stand_ins, choices)
    folder = target / replacements.uid(crosswalk.series_uid)
    package = target / f".{folder.name}.zip"
    unpacked = target / f".{folder.name}"
    try:
        write_package(package, slices_of(crosswalk, replacements, {}), workers=0)
        retained = [keyword for keyword, _ in choices.retain]
        paths = [file.path for file in crosswalk.files]
        raise_for(findings(package, paths, retained=retained, others=()), "the series")
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


def both_headers(
    file: Path, stand_ins: StandIns, choices: Choices
) -> tuple[list[ElementDiff], str]:
    """Return what becomes of the header of an image, and why it would not be sent, or "".

    Raises
    ------
    SeriesRefused
        Where nothing can be made of it at all.
    """
    stream, header = open_slice(str(file))
    stream.close()
    kind = slice_kind(slice_of(header, path=str(file), size=file.stat().st_size, mtime_ns=0))
    refused = "" if kind.readiness is Readiness.READY else kind.text
    end = len(header.data) if header.pixels is None else header.pixels.start
    try:
        after = deidentify_header(header, Replacements.of(header, stand_ins, choices))
        return compare_headers(header.data[:end], after), refused
    except (NotDicom, ValueError) as err:
        raise SeriesRefused(f"{file}: {refused or err}", hint="It would not be sent.") from None


def check_package(package: Path, against: Path, retained: Iterable[str]) -> list[Leak]:
    """Let the gate read a package, against the series of a folder that it was made from.

    Raises
    ------
    UsageError
        Where no series of the folder has the pixels of the package.
    """
    walk = read_datastore([against])
    every = [[one.path for one in scan_slices(files)] for files in walk.by_series().values()]
    sources = find_source_series(package, [paths for paths in every if paths])
    if not sources:
        raise UsageError(
            f"no series in {against} has the pixels of {package.name}",
            hint="Name the folder that holds the images from which the package was made.",
        )
    return findings(package, sources, retained=retained)


def raise_for(found: Iterable[Leak], what: str) -> None:
    """Raise GateBlocked where the gate has found anything; the values are not told."""
    if told := [(one.check, one.where) for one in found]:
        raise GateBlocked(
            f"{what} still says something of the patient: {summarize_findings(told)}",
            hint=f"Let nothing of it leave. {advise(told, 'run the command again')}",
        )
