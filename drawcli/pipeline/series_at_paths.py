"""The series of images at paths that a user names, for `explain`, tests of rules and new rules."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from drawcli.adapters.datastore.rule_header import header_of
from drawcli.adapters.datastore.walk import read_datastore, read_images
from drawcli.core.dicom.instance import Slice
from drawcli.core.rules.conditions import RuleHeader
from drawcli.core.series.crosswalk import Crosswalk
from drawcli.core.series.instance_kind import slice_kind
from drawcli.core.series.members import count_non_slices, counts_text, main_modality, scan_slices
from drawcli.errors import UsageError
from drawcli.system.printable import counted


@dataclass(frozen=True, slots=True)
class SeriesAtPaths:
    """The series of images at some paths."""

    headers: list[tuple[str, RuleHeader]]  # each with a name: number, modality, files
    skipped: Counter[str]  # files that are no images of a scan, by reason


def series_at(paths: Sequence[Path], today: date) -> SeriesAtPaths:
    """Return the series of images in folders, and the whole series of image files.

    Files that are no images are skipped and counted.

    Raises
    ------
    UsageError
        If there is no image.
    """
    slices, skipped = _slices_at(paths)
    headers: list[tuple[str, RuleHeader]] = []
    for files in slices.values():
        if all(slice_kind(one).code == "not-an-image" for one in files):
            skipped["not-an-image"] += len(files)
            continue
        used = scan_slices(files) or files
        aside = counts_text(count_non_slices(files))
        name = f"series {len(headers) + 1} ({main_modality(used)} of {counted(len(used), 'file')}"
        name += f"; not used: {aside})" if aside else ")"
        headers.append((name, header_of(Crosswalk.of(used), today)))
    if not headers:
        where = str(paths[0]) if len(paths) == 1 else f"these {len(paths)} paths"
        others = f"; skipped: {counts_text(skipped)}" if skipped else ""
        raise UsageError(f"there is no CT, MR or PT series in {where}{others}")
    return SeriesAtPaths(headers, skipped)


def _slices_at(paths: Sequence[Path]) -> tuple[dict[str, list[Slice]], Counter[str]]:
    """Return the slices at some paths by series, and the counts of other files."""
    folders = [path for path in paths if path.is_dir()]
    walk = read_datastore(_outermost(folders))
    series = walk.by_series()
    if files := [path for path in paths if path not in folders]:
        given = read_images(files)
        walk.passed_over += given.passed_over
        wanted = dict.fromkeys(slice_.series_uid for slice_ in given.slices)
        parents = _outermost(Path(slice_.path).parent for slice_ in given.slices)
        around = read_datastore(parents).by_series()
        series |= {uid: around.get(uid, []) for uid in wanted if uid not in series}
    return series, walk.passed_over


def _outermost(folders: Iterable[Path]) -> list[Path]:
    """Return folders without those inside others: each file is read once."""
    chosen = set(folders)
    return sorted(path for path in chosen if chosen.isdisjoint(path.parents))
