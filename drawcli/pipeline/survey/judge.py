"""Verdicts on the series in the scan index; only changed series are judged again."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any, Final

from drawcli.adapters.scan_index import ScanIndex, SeriesRow
from drawcli.config.sections import SeriesCriteria
from drawcli.core.deid.pseudonyms import StandIns
from drawcli.core.dicom.instance import Slice
from drawcli.core.series.crosswalk import Crosswalk
from drawcli.core.series.image_file import UNREAD
from drawcli.core.series.members import (
    count_non_slices,
    counts_text,
    drop_copies,
    main_folder,
    main_modality,
    scan_slices,
)
from drawcli.core.series.readiness import (
    ARRIVING,
    PULLING,
    SettlingTimes,
    assess,
    check_pulled,
    check_settled,
)
from drawcli.core.series.same_image import is_same_image
from drawcli.core.series.verdict import Readiness, Verdict, waiting
from drawcli.pipeline.survey.folder_settings import FolderSettings
from drawcli.pipeline.survey.pulled import PulledIndex
from drawcli.system.failures import raise_shortage

_HOUR_NS: Final = 3600 * 10**9
_UNLISTABLE_TEXT: Final = "a folder that holds files of the series cannot be listed"


@dataclass(frozen=True)
class SeriesSnapshot:
    """A series as this scan sees it."""

    key: str
    key_id: str  # of the site key of its jobs
    modality: str
    files: int
    verdict: Verdict
    digest: str  # keyed, of SOP instance UIDs and sizes
    stamp: str  # keyed, of paths and change times
    wanted: SeriesCriteria  # the settings of its folder
    load: Callable[[], list[Slice]]
    load_aside: Callable[[], Counter[str]]  # files that are no slices, by reason
    judge: Callable[[frozenset[str]], Verdict]  # again, without released reasons
    deliver_to: str = ""  # the folder of a one-off job for its structure set
    contoured: bool = False  # whether a structure set of the datastore references it

    @cached_property
    def slices(self) -> list[Slice]:
        """The header facts of each file, loaded on first use."""
        return self.load()

    @property
    def facts(self) -> dict[str, Any]:
        """The values that a job stores."""
        return {
            "modality": self.modality,
            "slices": self.files,
            "source_digest": self.digest,
            "source_stamp": self.stamp,
            "aside": counts_text(self.load_aside()) or None,
            "pet_counts": any(slice_.pet_counts for slice_ in self.slices),
        }

    @property
    def crosswalk(self) -> Crosswalk:
        """The identity and the files of the series."""
        return Crosswalk.of(self.slices)._replace(deliver_to=self.deliver_to)


@dataclass(frozen=True, kw_only=True)
class Judge:
    """Judges series by the files in the scan index."""

    index: ScanIndex
    wishes: FolderSettings
    pulled: PulledIndex
    known_under: Callable[[str], StandIns]  # by SeriesInstanceUID
    # Of each folder, since when its unreadable files are as they are: many series may be in one.
    unread: dict[int, list[int]] = field(default_factory=dict)

    def judge_stale(self, heard: Callable[[], None] = lambda: None) -> None:
        """Judge every changed series; call `heard` for each."""
        for number in self.index.stale():
            heard()
            self.index.begin()
            self._judge(number)
        self.index.commit()

    def seen(self, began_ns: int, unlistable: set[int]) -> Iterator[SeriesSnapshot]:
        """Yield every series.

        Parameters
        ----------
        began_ns
            When this scan began; files first seen by it are not settled.
        unlistable
            Series with files in folders that this scan could not list.
        """
        for row in self.index.series():
            calm = SettlingTimes(first_ns=row.first, since_ns=row.since, newest_ns=row.newest)
            verdict = self._settled(row, calm, began_ns)
            if row.id in unlistable and verdict.readiness is Readiness.READY:
                verdict = waiting("unreadable-files", _UNLISTABLE_TEXT)
            files = cache(partial(self._files, row.id))
            yield SeriesSnapshot(
                *(row.key, row.key_id, row.modality, row.files, verdict, row.digest, row.stamp),
                wanted=self.wishes.of(row.wishes),
                load=lambda files=files: _scan_of(files()),  # type: ignore[misc] # bound now
                load_aside=lambda files=files: count_non_slices(files()),  # type: ignore[misc]
                judge=partial(self._judged_again, row.id, row.wishes),
                contoured=row.contoured,
            )

    def _settled(self, row: SeriesRow, calm: SettlingTimes, began_ns: int) -> Verdict:
        """Return the verdict on a series, or one that waits for a quiet time.

        A pulled series has none: it waits for its archive, or is known to be complete.
        """
        if row.verdict.code == PULLING:
            return row.verdict
        demands = self.wishes.demands(row.wishes)
        verdict = check_settled(row.verdict, demands, calm, began_ns)
        if verdict.code == ARRIVING and self.pulled.is_whole(row.key):
            demands = demands._replace(quiet_seconds=0)
            return check_settled(row.verdict, demands, calm, began_ns)
        return verdict

    def slices(self, number: int) -> list[Slice]:
        """Return the slices of a series, without localizers and copies."""
        return _scan_of(self._files(number))

    def _files(self, number: int) -> list[Slice]:
        return sorted(self.index.slices(number), key=lambda slice_: slice_.path)

    def _judged_again(self, number: int, wishes: int, released: frozenset[str]) -> Verdict:
        return self._verdict(number, self._files(number), wishes, released)

    def _judge(self, number: int) -> None:
        files = self._files(number)
        slices = _scan_of(files)
        if not slices:
            self.index.drop_series(number)
            return
        stand_ins = self.known_under(slices[0].series_uid)
        names = sorted(f"{slice_.sop_uid} {slice_.size}" for slice_ in slices)
        places = sorted(f"{slice_.path} {slice_.mtime_ns}" for slice_ in slices)
        wishes = self.wishes.number_of(main_folder(slices))
        row = SeriesRow(
            id=number,
            first=0,
            since=0,
            stale=False,
            key=stand_ins.series_key(slices[0].series_uid),
            key_id=stand_ins.key_id,
            digest=stand_ins.digest("source", *names),
            stamp=stand_ins.digest("stamp", *places),
            modality=main_modality(slices),
            files=len(slices),
            newest=max(slice_.mtime_ns for slice_ in slices),
            verdict=self._verdict(number, files, wishes),
            wishes=wishes,
        )
        self.index.set_series(number, row)

    def _verdict(
        self, number: int, files: list[Slice], wishes: int, released: frozenset[str] = frozenset()
    ) -> Verdict:
        """Return the verdict on a series; unreadable files beside it may belong to it.

        Files that were unreadable for longer than a series may wait, before it came, do not. A
        series that is being pulled waits until its archive has sent everything.
        """
        verdict = assess(_scan_of(files), self.wishes.demands(wishes), released)
        if PULLING not in released:
            verdict = check_pulled(verdict, self.pulled.progress(files))
        if verdict.readiness is not Readiness.READY or "unreadable-files" in released:
            return verdict
        patience = self.wishes.of(wishes).incomplete_hours * _HOUR_NS
        unread = self._count_unread(number, int(patience))
        if unread:
            text = f"{unread} files beside the series cannot be read, are empty, or end too early"
            return waiting("unreadable-files", text)
        return verdict

    def _count_unread(self, number: int, patience: int) -> int:
        """Count the unreadable files in the folders of a series that may belong to it.

        A file that was unchanged for `patience` nanoseconds when the series arrived does not.
        """
        first, folders = self.index.first_and_folders(number)
        return sum(
            len(many) - bisect_left(many, first - patience)
            for many in map(self._unread_in, folders)
        )

    def _unread_in(self, folder: int) -> list[int]:
        if folder not in self.unread:
            self.unread[folder] = self.index.unread_since(folder, UNREAD)
        return self.unread[folder]


def _scan_of(files: list[Slice]) -> list[Slice]:
    return drop_copies(scan_slices(files) or files, same_images)


def same_images(path: str, other: str) -> bool:
    """Return whether two files contain the same image; False if one is unreadable."""
    try:
        with Path(path).open("rb") as first, Path(other).open("rb") as second:
            return is_same_image(first, second)
    except OSError as err:
        raise_shortage(err)
        return False
