"""What a site asks of a series: by the settings of the folder where most of it lies."""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Final

from drawcli.config.sections import Scan, SeriesCriteria
from drawcli.core.series.readiness import Criteria
from drawcli.system.platforms import comparable_path, path_prefix

ELSEWHERE: Final = 0  # the number of the settings for what lies in no folder of its own
_GIB: Final = 1 << 30


class FolderSettings:
    """The settings of the scan and, by number, those of folders that differ.

    Parameters
    ----------
    scan
        The settings.
    roots
        The folders of the datastore: folders of the settings lie below each of them, unless they
        are named by their whole path.
    """

    def __init__(self, scan: Scan, roots: Iterable[Path]) -> None:
        names = sorted(scan.folders)
        self._wanted: list[SeriesCriteria] = [scan, *map(scan.in_folder, names)]
        self._places = {
            comparable_path(path_prefix(str(root / name))): number
            for number, name in enumerate(names, start=1)
            for root in roots
        }
        self.missing = [
            name for name in names if not any((root / name).is_dir() for root in roots)
        ]  # folders of the settings that are not there: misspelt, perhaps

    def number_of(self, folder: str) -> int:
        """Return which settings count in a folder: those of the nearest above it."""
        here = comparable_path(folder)
        inside = [place for place in self._places if here.startswith(place)]
        return self._places[max(inside, key=len)] if inside else ELSEWHERE

    def of(self, number: int) -> SeriesCriteria:
        """Return settings by their number."""
        return self._wanted[number]

    def demands(self, number: int) -> Criteria:
        """Return what they ask of a series."""
        return self._demands[number]

    @cached_property
    def _demands(self) -> list[Criteria]:
        return list(map(demands_of, self._wanted))


def demands_of(wanted: SeriesCriteria) -> Criteria:
    """Return what settings ask of a series."""
    after = wanted.studied_after
    return Criteria(
        modalities=frozenset(wanted.modalities),
        min_slices=wanted.min_slices,
        quiet_seconds=wanted.quiet_minutes * 60,
        min_age_seconds=wanted.min_age_minutes * 60,
        studied_after=f"{after:%Y%m%d}" if after else "",
        sop_classes=frozenset(wanted.sop_classes),
        largest_bytes=wanted.max_series_gib * _GIB,
        largest_step=wanted.largest_step,
    )
