"""Which files of a series are its slices, each once, and where they are."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from drawcli.core.dicom.instance import Slice
from drawcli.core.series.instance_kind import slice_kind

# Files under the SeriesInstanceUID of a scan that are none of its slices.
_NO_SLICES: Final = frozenset({"localizer", "not-an-image", "colour", "spectroscopy"})


def scan_slices(slices: Iterable[Slice]) -> list[Slice]:
    """Return the files of a series without those that are no slices, whatever lies among them.

    Localizers, reports, structure sets, captures and dose pages under the SeriesInstanceUID of a
    scan say nothing about the scan. Where one of them took the place of a slice, that is missing.
    """
    return [one for one in slices if slice_kind(one).code not in _NO_SLICES]


def set_aside(slices: Sequence[Slice]) -> Counter[str]:
    """Count the files of a scan that are no slices, and are never sent, by reason."""
    codes = Counter(slice_kind(one).code for one in slices)
    aside = Counter({code: codes[code] for code in sorted(codes) if code in _NO_SLICES})
    return aside if aside.total() < len(slices) else Counter()


def told(aside: Mapping[str, int]) -> str:
    """Return counts of files by reason, in words.

    >>> told({"localizer": 1, "not-an-image": 40})
    '1 localizer, 40 not-an-image'
    """
    return ", ".join(f"{count} {code}" for code, count in aside.items())


def modality_of(slices: Iterable[Slice]) -> str:
    """Return the modality of most files."""
    counts = Counter(one.modality for one in slices)
    return min(counts, key=lambda one: (-counts[one], one))


def without_copies(slices: Sequence[Slice], is_same: Callable[[str, str], bool]) -> list[Slice]:
    """Return the files of a series with each instance once, where copies are the same image.

    Of copies the one is taken that lies where most of the series lies: contours may be delivered
    beside it, and a stray copy may lie with another patient.

    Parameters
    ----------
    slices
        The files.
    is_same
        Tells of two paths whether the files hold the same image.
    """
    if len(slices) == len({one.sop_uid for one in slices}):
        return list(slices)
    rank = {folder: number for number, folder in enumerate(_homes(slices))}
    taken: dict[str, Slice] = {}
    kept = []
    for one in sorted(slices, key=lambda one: (rank[_folder(one.path)], one.path)):
        other = taken.setdefault(one.sop_uid, one)
        copied = other is not one and one.sop_uid
        if not (copied and is_same(other.path, one.path)):
            kept.append(one)
    return kept


def home_of(slices: Iterable[Slice]) -> str:
    """Return the folder in which most files of a series lie; see `_homes`."""
    return _homes(slices)[0]


def _homes(slices: Iterable[Slice]) -> list[str]:
    """Return the folders of a series, that of most of its files first.

    Of a folder and its copy the older comes first; then that of the shorter name: who copies "CT"
    calls the copy "CT - copy", or puts it into "backup/CT".
    """
    times: dict[str, list[int]] = {}
    for one in slices:
        times.setdefault(_folder(one.path), []).append(one.mtime_ns)
    return sorted(times, key=lambda here: (-len(times[here]), min(times[here]), len(here), here))


def _folder(path: str) -> str:
    return path[: max(path.rfind("/"), path.rfind("\\")) + 1]
