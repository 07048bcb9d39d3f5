"""Find the structure sets of delivered series: in the datastore and in `qa.folders`.

The datastore is not walked: its scan index knows which files name which series. `qa.folders` have
an index of their own, in which only new and changed files are read.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from time import monotonic
from typing import Final

from drawcli.adapters.scan_index import IndexBroken, NamingFile, ScanIndex, open_index
from drawcli.adapters.scan_index.keys import Keys
from drawcli.adapters.state.qa_records import FOLDER
from drawcli.adapters.state.qa_watch import WatchedJob
from drawcli.errors import SILENT, OutOfReach
from drawcli.pipeline.context import Context
from drawcli.pipeline.survey.update import HOUR_NS, Update, WalkOptions
from drawcli.system.files import make_private
from drawcli.system.printable import counted
from drawcli.system.threads import call_while_heard

_PURPOSE: Final = "scan-index"


@dataclass(frozen=True, slots=True)
class Sighting:
    """The structure sets of a series that the indexes know now."""

    stamp: str  # changes with the files, with plans that name them, and with the settings
    paths: tuple[Path, ...] | None  # None if nothing has changed since the stamp before


@dataclass(slots=True)
class Lookup:
    """What a look into the indexes found."""

    sightings: dict[str, Sighting] = field(default_factory=dict)
    lost: list[OutOfReach] = field(default_factory=list)  # folders that were not read, or in part


class _LateError(Exception):
    """The time of the scan is over."""


@dataclass(frozen=True, kw_only=True)
class SetFinder:
    """Finds the structure sets of series.

    Parameters
    ----------
    ctx
        The site.
    deadline
        By the monotonic clock: when reading of `qa.folders` stops.
    answer_seconds
        How long a file server may be silent.
    throwaway
        Whether nothing is written, for a dry run.
    """

    ctx: Context
    deadline: float = float("inf")
    answer_seconds: float
    throwaway: bool = False

    def key(self, text: str) -> str:
        """Return the keyed hash of a UID, as the indexes have it, or of another value."""
        return self._keys.text(text).hex()

    def look(self, watched: Mapping[str, WatchedJob], is_due: Callable[[str], bool]) -> Lookup:
        """Return the structure sets of each watched job.

        Parameters
        ----------
        watched
            The jobs.
        is_due
            Whether the paths of a job are wanted although nothing has changed.

        Raises
        ------
        OutOfReach
            If a file server does not answer.
        AnotherRun
            If another process keeps an index locked.
        """
        look = partial(self._look, watched, is_due)
        try:
            return call_while_heard(look, self.answer_seconds)
        except TimeoutError:
            raise OutOfReach(
                "a folder with clinical structure sets does not answer",
                code=SILENT,
                hint="Check the file servers of qa.folders; the limit is scan.answer_seconds.",
            ) from None

    def named(self, uids: Iterable[str]) -> frozenset[str]:
        """Return those of some UIDs, as hashes, that a plan names."""
        with self._indexes() as indexes:
            return frozenset(
                uid for uid in uids if any(index.is_named(bytes.fromhex(uid)) for index in indexes)
            )

    def stamp_with(self, sighting: Sighting, named: Iterable[str]) -> str:
        """Return the stamp of a sighting together with the sets that a plan names."""
        return _digest(sighting.stamp, *sorted(named))

    def _look(
        self,
        watched: Mapping[str, WatchedJob],
        is_due: Callable[[str], bool],
        heard: Callable[[], None],
    ) -> Lookup:
        found = Lookup()
        if self.ctx.settings.qa.folders:
            self._update_folders(found, heard)
        try:
            with self._indexes() as indexes:
                for job, one in watched.items():
                    heard()
                    found.sightings[job] = self._sighting(one, indexes, anyway=is_due(job))
        except IndexBroken:
            raise OutOfReach(
                "the scan index was damaged, and is removed",
                hint="The next 'drawcli scan' makes it anew; then run 'drawcli qa scan'.",
            ) from None
        return found

    def _update_folders(self, found: Lookup, heard: Callable[[], None]) -> None:
        """Bring the index of `qa.folders` up to date."""

        def hear() -> None:
            heard()
            if monotonic() > self.deadline:
                raise _LateError

        for _ in range(2):
            try:
                with self._index_of_folders() as index:
                    update = Update(index, self._options, self._now_ns, _silent, hear)
                    update.run(self.ctx.settings.qa.folders)
                    found.lost += [*map(_of_folders, update.lost), *_unlisted(len(update.unlisted))]
            except IndexBroken:
                continue  # it is removed: the second time it is made anew
            except _LateError:
                found.lost.append(OutOfReach("qa.folders were read in part; the next scan goes on"))
            return

    def _sighting(self, one: WatchedJob, indexes: list[ScanIndex], *, anyway: bool) -> Sighting:
        uids = [bytes.fromhex(uid) for uid in (one.series, one.frame) if uid]
        files = [sorted(index.files_naming(uids)) for index in indexes]
        stamp = _digest(repr(files), self._settings)
        named = [
            uid for uid in one.sets if any(index.is_named(bytes.fromhex(uid)) for index in indexes)
        ]
        seen = Sighting(stamp, None)
        if one.stamp == self.stamp_with(seen, named) and not anyway:
            return seen
        return Sighting(stamp, tuple(_paths(files, indexes)))

    @contextmanager
    def _indexes(self) -> Iterator[list[ScanIndex]]:
        """Open the index of the datastore, and that of `qa.folders` if there are any."""
        with ExitStack() as opened:
            indexes = [opened.enter_context(self._open(self.ctx.settings.state_dir))]
            if self.ctx.settings.qa.folders:
                indexes.append(opened.enter_context(self._index_of_folders()))
            yield indexes

    @contextmanager
    def _index_of_folders(self) -> Iterator[ScanIndex]:
        folder = self.ctx.settings.state_dir / FOLDER
        if not self.throwaway:
            make_private(folder)
        with self._open(folder) as index:
            yield index

    @contextmanager
    def _open(self, folder: Path) -> Iterator[ScanIndex]:
        stand_ins = self.ctx.stand_ins
        key = stand_ins.subkey(_PURPOSE)
        with open_index(folder, key, stand_ins.key_id, throwaway=self.throwaway) as index:
            yield index

    @cached_property
    def _keys(self) -> Keys:
        return Keys(self.ctx.stand_ins.subkey(_PURPOSE))

    @property
    def _options(self) -> WalkOptions:
        scan = self.ctx.settings.scan
        return WalkOptions(
            full_walk_ns=scan.full_walk_hours * HOUR_NS,
            workers=1,
            answer_seconds=self.answer_seconds,
        )

    @property
    def _settings(self) -> str:
        """The settings that change a comparison."""
        qa = self.ctx.settings.qa
        return repr((sorted(qa.aliases.items()), qa.tau_mm, sorted(qa.tau.items())))

    def _now_ns(self) -> int:
        return int(self.ctx.now().timestamp() * 1e6) * 1000


def _of_folders(err: OutOfReach) -> OutOfReach:
    """Return an error of the walk, which names a datastore, for `qa.folders`."""
    text = str(err).replace("the datastore", "the folder of qa.folders", 1)
    hint = "Mount it, or correct qa.folders in drawcli.yaml."
    return OutOfReach(text, code=err.code, hint=hint)


def _unlisted(count: int) -> Iterator[OutOfReach]:
    if count:
        yield OutOfReach(
            f"{counted(count, 'folder')} below qa.folders cannot be listed",
            hint="Check that the user running drawcli can read them.",
        )


def _paths(files: list[list[NamingFile]], indexes: list[ScanIndex]) -> Iterator[Path]:
    for found, index in zip(files, indexes, strict=True):
        yield from (Path(index.path_of(file)) for file in found)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _silent(_files: int) -> None:
    """Ignore progress."""
