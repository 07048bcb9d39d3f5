"""Compare RTSTRUCT files, without site, ledger or server."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

from drawcli.core.dicom import tags
from drawcli.core.dicom.header import Header, Incomplete, NotDicom
from drawcli.core.dicom.references import referenced_series
from drawcli.core.dicom.streaming import read_or_convert
from drawcli.core.gate.acceptance import STRUCTURE_SET
from drawcli.core.qa.comparison import CompareOptions, Comparison, compare_structure_sets
from drawcli.core.qa.structures import RoiContours, read_rois
from drawcli.errors import BadStructureSet, DrawcliError, UsageError
from drawcli.system.failures import raise_if_short

if TYPE_CHECKING:
    from drawcli.core.pictures.scene import Scene
    from drawcli.pipeline.deidentify_folder import FolderContents

_A_PAIR: Final = 2
DISTANCES_NEED: Final = "distances need SciPy, which is not installed"


@dataclass(frozen=True)
class StructureSetFile:
    """An RTSTRUCT file that was read."""

    path: Path
    header: Header

    @cached_property
    def rois(self) -> list[RoiContours]:
        """Its ROIs; raises BadStructureSet if they cannot be read."""
        return read_rois(self.header)

    @cached_property
    def series(self) -> frozenset[str]:
        """The SeriesInstanceUIDs of the images that it refers to."""
        return frozenset(referenced_series(self.header))


@dataclass(frozen=True, slots=True)
class ComparedPair:
    """Two files and what the comparison found, or why there is none."""

    a: Path
    b: Path
    comparison: Comparison | None
    error: DrawcliError | None = None
    warning: str = ""  # why the figures may mean nothing


def has_scipy() -> bool:
    """Return whether distances between surfaces can be computed."""
    return find_spec("scipy") is not None


def read_structure_set(path: Path) -> StructureSetFile:
    """Read an RTSTRUCT in any encoding.

    Raises
    ------
    UsageError
        If the file cannot be opened, or is no RTSTRUCT.
    """
    try:
        with path.open("rb") as stream:
            header, _ = read_or_convert(stream)
    except OSError as err:
        raise UsageError(f"{path}: {err.strerror}") from None
    except (NotDicom, Incomplete) as err:
        raise UsageError(f"{path}: {str(err) or 'the file is not complete'}") from None
    if header.text(tags.SOPClassUID) != STRUCTURE_SET:
        raise UsageError(
            f"{path} is not an RT Structure Set", hint="Give two RTSTRUCT files, or folders."
        )
    return StructureSetFile(path, header)


def pairs_of(a: Path, b: Path | None) -> list[tuple[Path, Path]]:
    """Return the files to compare.

    Parameters
    ----------
    a, b
        Two files; or two folders, whose files pair by name or by the one series they refer to; or
        one folder whose subfolders hold two RTSTRUCTs each, A first by name.

    Raises
    ------
    UsageError
        If there is no pair, or it is not clear which files are pairs.
    """
    for path in (a, b):
        if path is not None and not path.exists():
            raise UsageError(f"{path}: no such file or folder")
    if b is None:
        pairs = _in_subfolders(a)
    elif a.is_dir() and b.is_dir():
        pairs = _in_two_folders(a, b)
    elif a.is_dir() or b.is_dir():
        raise UsageError("A and B must be two files or two folders")
    else:
        return [(a, b)]
    if not pairs:
        raise UsageError(f"no pair of RTSTRUCT files was found in {a}{f' and {b}' if b else ''}")
    return pairs


def _in_subfolders(folder: Path) -> list[tuple[Path, Path]]:
    if not folder.is_dir():
        raise UsageError("B is missing: give two RTSTRUCT files, or a folder of pairs")
    pairs = []
    for inner in sorted(path for path in folder.iterdir() if path.is_dir()):
        found = [one.path for one in _structure_sets(inner)]
        if len(found) == _A_PAIR:
            pairs.append((found[0], found[1]))
        elif found:
            raise UsageError(f"{inner} holds {len(found)} RTSTRUCT files; a pair has two")
    return pairs


def _in_two_folders(a: Path, b: Path) -> list[tuple[Path, Path]]:
    first, second = _structure_sets(a), _structure_sets(b)
    by_name = {one.path.relative_to(b): one.path for one in second}
    by_series: dict[str, list[Path]] = defaultdict(list)
    for one in second:
        for uid in one.series:
            by_series[uid].append(one.path)
    pairs = []
    for one in first:
        same = by_name.get(one.path.relative_to(a))
        others = [same] if same else sorted({p for uid in one.series for p in by_series[uid]})
        if len(others) > 1:
            raise UsageError(f"{b} holds {len(others)} RTSTRUCT files for the series of {one.path}")
        pairs += [(one.path, other) for other in others]
    return pairs


def _structure_sets(folder: Path) -> list[StructureSetFile]:
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            found.append(read_structure_set(path))
        except UsageError:
            continue  # images, texts
    return found


def compare_files(pairs: Iterable[tuple[Path, Path]], tau_mm: float) -> Iterator[ComparedPair]:
    """Yield the comparison of each pair of files; one that cannot be read stops no other."""
    options = CompareOptions(tau_mm=tau_mm, with_distances=has_scipy())
    for a, b in pairs:
        try:
            first, second = read_structure_set(a), read_structure_set(b)
            compared = compare_structure_sets(_rois(first), _rois(second), options)
            yield ComparedPair(a, b, compared, warning=_warning(first, second))
        except DrawcliError as err:
            raise_if_short(err)
            yield ComparedPair(a, b, None, err)


def _warning(a: StructureSetFile, b: StructureSetFile) -> str:
    if a.header.text(tags.PatientID) != b.header.text(tags.PatientID):
        return "A and B have different patient IDs"
    if a.series and b.series and not a.series & b.series:
        return "A and B refer to different series"
    return ""


def _rois(file: StructureSetFile) -> list[RoiContours]:
    try:
        return file.rois
    except BadStructureSet as err:
        raise BadStructureSet(f"{file.path}: {err}", code=err.code) from None


def find_scene(folder: "FolderContents", images: Path, structure_set: Path) -> "Scene":
    """Return the images that a structure set refers to, without structures.

    Parameters
    ----------
    folder, images
        The series in a folder, and the folder.
    structure_set
        The RTSTRUCT file.

    Raises
    ------
    UsageError
        If the folder does not hold them.
    SeriesRefused, ConfigError
        See `read_images_of`.
    """
    from drawcli.core.series.crosswalk import Crosswalk
    from drawcli.pipeline.preview import scene_without_structures
    from drawcli.pipeline.preview_pixels import read_images_of

    wanted = read_structure_set(structure_set).series
    for series in folder.series:
        if series.slices[0].series_uid in wanted:
            return scene_without_structures(read_images_of(Crosswalk.of(series.slices).files))
    raise UsageError(f"{images} does not hold the images that {structure_set} refers to")
