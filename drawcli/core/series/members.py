"""The slices of a series: which files they are, without copies, and their folder."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from drawcli.core.dicom.instance import Slice
from drawcli.core.series.instance_kind import slice_kind

# Files with the SeriesInstanceUID of a scan that are not its slices.
_NO_SLICES: Final = frozenset({"localizer", "not-an-image", "colour", "spectroscopy"})


def scan_slices(slices: Iterable[Slice]) -> list[Slice]:
    """Return the slices of a series, without localizers, reports, captures and dose pages.

    Such files under the SeriesInstanceUID of a scan say nothing about the scan.
    """
    return [slice_ for slice_ in slices if slice_kind(slice_).code not in _NO_SLICES]


def count_non_slices(slices: Sequence[Slice]) -> Counter[str]:
    """Count the files of a scan that are not slices, by reason; they are never sent."""
    codes = Counter(slice_kind(slice_).code for slice_ in slices)
    others = Counter({code: codes[code] for code in sorted(codes) if code in _NO_SLICES})
    return others if others.total() < len(slices) else Counter()


def counts_text(counts: Mapping[str, int]) -> str:
    """Return counts of files by reason as text.

    >>> counts_text({"localizer": 1, "not-an-image": 40})
    '1 localizer, 40 not-an-image'
    """
    return ", ".join(f"{count} {code}" for code, count in counts.items())


def main_modality(slices: Iterable[Slice]) -> str:
    """Return the modality of most files."""
    counts = Counter(slice_.modality for slice_ in slices)
    return min(counts, key=lambda modality: (-counts[modality], modality))


def drop_copies(slices: Sequence[Slice], is_same: Callable[[str, str], bool]) -> list[Slice]:
    """Return the files of a series without copies of the same image.

    The copy in the folder with most of the series is kept: contours may be delivered next to it,
    and a stray copy may be in the folder of another patient.

    Parameters
    ----------
    slices
        The files.
    is_same
        Returns whether the files at two paths hold the same image.
    """
    if len(slices) == len({slice_.sop_uid for slice_ in slices}):
        return list(slices)
    rank = {folder: number for number, folder in enumerate(_folders(slices))}
    first: dict[str, Slice] = {}
    kept = []
    for slice_ in sorted(slices, key=lambda s: (rank[_folder(s.path)], s.path)):
        other = first.setdefault(slice_.sop_uid, slice_)
        repeated = other is not slice_ and slice_.sop_uid
        if not (repeated and is_same(other.path, slice_.path)):
            kept.append(slice_)
    return kept


def main_folder(slices: Iterable[Slice]) -> str:
    """Return the folder with most files of a series; see `_folders`."""
    return _folders(slices)[0]


def _folders(slices: Iterable[Slice]) -> list[str]:
    """Return the folders of a series, the one with most of its files first.

    Then the older one comes first, then the one with the shorter path: a copy of "CT" is usually
    "CT - copy" or "backup/CT".
    """
    times: dict[str, list[int]] = {}
    for slice_ in slices:
        times.setdefault(_folder(slice_.path), []).append(slice_.mtime_ns)
    return sorted(times, key=lambda path: (-len(times[path]), min(times[path]), len(path), path))


def _folder(path: str) -> str:
    return path[: max(path.rfind("/"), path.rfind("\\")) + 1]
