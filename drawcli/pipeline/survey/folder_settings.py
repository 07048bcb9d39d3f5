"""The scan settings of a series: those of the folder that contains most of its files."""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Final

from drawcli.config.sections import Scan, SeriesCriteria
from drawcli.core.series.readiness import Criteria
from drawcli.system.platforms import comparable_path, with_parents

ELSEWHERE: Final = 0  # the number of the settings for all other folders
_GIB: Final = 1 << 30


class FolderSettings:
    """The scan settings and, by number, those of folders with their own.

    Parameters
    ----------
    scan
        The settings.
    roots
        The folders of the datastore; folders of the settings are relative to each of them, or
        absolute.
    """

    def __init__(self, scan: Scan, roots: Iterable[Path]) -> None:
        names = sorted(scan.folders)
        self._wanted: list[SeriesCriteria] = [scan, *map(scan.in_folder, names)]
        self._places = {
            comparable_path(str(root / name)): number
            for number, name in enumerate(names, start=1)
            for root in roots
        }
        self.missing = [
            name for name in names if not any((root / name).is_dir() for root in roots)
        ]  # folders of the settings that do not exist

    def number_of(self, folder: str) -> int:
        """Return the number of the settings for a folder: those of its nearest parent."""
        above = with_parents(comparable_path(folder))
        return next((self._places[one] for one in above if one in self._places), ELSEWHERE)

    def of(self, number: int) -> SeriesCriteria:
        """Return the settings of a number."""
        return self._wanted[number]

    def demands(self, number: int) -> Criteria:
        """Return the criteria of the settings of a number."""
        return self._demands[number]

    @cached_property
    def _demands(self) -> list[Criteria]:
        return list(map(criteria_of, self._wanted))


def criteria_of(wanted: SeriesCriteria) -> Criteria:
    """Return settings as criteria for a series."""
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
