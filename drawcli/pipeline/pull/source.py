"""Pull the series of one archive."""

import logging
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from drawcli.adapters.archive.archive import AWAY, FoundSeries
from drawcli.adapters.state.pull_records import PullRecords
from drawcli.adapters.state.pull_state import SourceState
from drawcli.config.supported import supported_by
from drawcli.core.jobs.backoff import backoff
from drawcli.core.pull.answers import ArchivedSeries
from drawcli.errors import DrawcliError, NeedsPerson, TryLater
from drawcli.pipeline.context import Context
from drawcli.pipeline.pull.collecting import FOLDER
from drawcli.pipeline.pull.outcome import (
    BACKING_OFF,
    FAILED,
    LEFT,
    OUTSIDE,
    PULLED,
    REFUSED,
    UNASKED,
    WAITING,
    WOULD_PULL,
    PulledSeries,
    PulledSource,
)
from drawcli.pipeline.pull.series import OUT_OF_TIME, SeriesPull
from drawcli.pipeline.pull.store import check_receiver, open_archive, open_store
from drawcli.system.limits import SILENT_IN_A_ROW
from drawcli.system.pacing import TokenBucket
from drawcli.system.threads import DaemonPool

if TYPE_CHECKING:
    from pathlib import Path

    from drawcli.adapters.archive.archive import ImageArchive
    from drawcli.config.sections_pull import PullSource

_log = logging.getLogger(__name__)
_THREADS: Final = 4  # that make objects durable
_LONGEST_WAIT_SECONDS: Final = 1800.0  # of a run, until an archive that failed is tried again


class PullOptions(NamedTuple):
    """How much is pulled."""

    until: datetime | None = None  # nothing is begun after this time
    all_due: bool = True  # also archives and series that wait after a failure
    dry_run: bool = False  # ask only
    limit: int | None = None  # series


@dataclass(slots=True)
class SourcePull:
    """The pull of one archive; what it has done is in `done`."""

    ctx: Context
    source: "PullSource"
    options: PullOptions
    done: PulledSource
    was_asked: bool = field(default=False, init=False)
    _silent: int = field(default=0, init=False)  # series in a row with a failed exchange

    def pull(self, records: PullRecords, state: SourceState) -> None:
        """Ask the archive for its series and pull them; a failure becomes the outcome."""
        self.done.outcome = self._why_not(state) or self.done.outcome
        if self.done.outcome in (OUTSIDE, BACKING_OFF, UNASKED):
            return
        self.was_asked = True
        try:
            self._pull(records)
        except DrawcliError as err:
            if err.code == OUT_OF_TIME:
                return
            self.done.outcome, self.done.error = FAILED, err
            self.done.is_new = isinstance(err, NeedsPerson) and err.code != state.code
            _log.warning("pull=%s outcome=failed code=%s", self.done.name, err.code)

    def state_after(self, state: SourceState) -> SourceState:
        """Return what is known of the archive after this pull."""
        now, counts, err = self.ctx.now().timestamp(), self.done.counts, self.done.error
        after = state._replace(
            asked=now,
            series=state.series + counts[PULLED],
            instances=state.instances + self.done.stored,
            bytes=state.bytes + self.done.bytes,
            waiting=counts[WAITING] + counts[REFUSED] + counts[LEFT],
        )
        if err is None:
            return after._replace(
                succeeded=now, failed_since=0.0, failures=0, due=0.0, code="", text=""
            )
        wait = min(backoff(state.failures).total_seconds(), _LONGEST_WAIT_SECONDS)
        return after._replace(
            failed_since=state.failed_since or now,
            failures=state.failures + 1,
            due=now + wait - 1,
            code=err.code,
            text=str(err),
        )

    def _why_not(self, state: SourceState) -> str:
        """Return why the archive is not asked now, or ""."""
        if self._is_outside():
            return OUTSIDE
        now = self.ctx.now().timestamp()
        waits = now < state.due <= now + _LONGEST_WAIT_SECONDS  # later: by a wrong clock
        if waits and not self.options.all_due:
            return BACKING_OFF
        return UNASKED if self._is_late() else ""

    def _pull(self, records: PullRecords) -> None:
        ctx, source = self.ctx, self.source
        with ExitStack() as open_:
            folder = cast("Path", source.folder or ctx.settings.receive.folder)
            store = None
            if source.by == "move" and not self.options.dry_run:
                check_receiver(ctx.settings)
            elif not self.options.dry_run:
                store = open_.enter_context(open_store(ctx.settings, folder))
            archive = open_archive(source, ctx.settings, self._tick)
            open_.callback(archive.close)
            pool = DaemonPool(_THREADS)
            open_.callback(pool.drain, 1.0)
            found = self._asked(archive)
            self.done.problems += found.problems
            self.done.without = found.without
            ctx.progress.expect(len(found.series))
            series = SeriesPull(
                ctx=ctx,
                name=self.done.name,
                archive=archive,
                folder=folder,
                store=store,
                records=records,
                supported=supported_by(ctx.settings),
                pool=pool,
                bucket=TokenBucket(lambda: source.bwlimit.at(self._local().time())),
                all_due=self.options.all_due,
            )
            self._each(found.series, series)
            if store is not None and self.done.stored:
                store.association_ended()

    def _asked(self, archive: "ImageArchive") -> FoundSeries:
        """Ask the archive for its series.

        If the time ends before it has named them, that is a failure where it had at least half of
        a run; otherwise the archive counts as not asked, and comes first in the next pull.
        """
        began, until = self.ctx.now(), self.options.until
        try:
            return archive.find_series(self.source.query_keys, self._local().date())
        except TryLater as err:
            if err.code != OUT_OF_TIME:
                raise
            if self._is_outside() or until is None or until - began < self._run_time / 2:
                self.was_asked, self.done.outcome = False, UNASKED
                raise
            raise TryLater(
                f"{archive.describe()} had not named all its series when the time was over",
                code="archive-slow",
                hint="Name more keys or fewer days in 'keys', or set more 'pull.run_minutes'.",
            ) from None

    def _each(self, found: list[ArchivedSeries], pull: SeriesPull) -> None:
        """Pull each series; one that fails does not stop the others."""
        left = list(found)
        while left and not self._must_end():
            one = left.pop(0)
            began, key = monotonic(), self.ctx.stand_ins.series_key(one.series)
            with self.ctx.progress.job(key):
                done = pull.preview(one) if self.options.dry_run else pull.take(one)
            self.done.series.append(done)
            self._log(done, monotonic() - began)
            self._check(done.error)
        keys = (self.ctx.stand_ins.series_key(one.series) for one in left)
        self.done.series += [PulledSeries(key, LEFT) for key in keys]

    def _check(self, err: DrawcliError | None) -> None:
        """Raise the error of a series if the next one would have it, too."""
        self._silent = self._silent + 1 if err is not None and err.code == AWAY else 0
        if err is None or isinstance(err, NeedsPerson):
            return
        if not isinstance(err, TryLater) or err.code == FOLDER or self._silent >= SILENT_IN_A_ROW:
            raise err

    def _must_end(self) -> bool:
        begun = sum(one.outcome in (PULLED, WAITING, WOULD_PULL) for one in self.done.series)
        is_full = self.options.limit is not None and begun >= self.options.limit
        return is_full or self._is_late() or self._is_outside()

    def _log(self, one: PulledSeries, seconds: float) -> None:
        if one.stored or one.code:
            _log.info(
                "pull=%s series=%s outcome=%s stored=%d of=%d code=%s seconds=%.1f",
                *(self.done.name, one.key, one.outcome, one.stored, one.expected),
                *(one.code or "-", seconds),
            )

    def _tick(self) -> None:
        """Raise TryLater if no time is left."""
        if self._is_late() or self._is_outside():
            raise TryLater("no time is left for this pull", code=OUT_OF_TIME)

    def _is_late(self) -> bool:
        return self.options.until is not None and self.ctx.now() >= self.options.until

    def _is_outside(self) -> bool:
        window = self.source.window
        return window is not None and not window.has(self._local().time())

    @property
    def _run_time(self) -> timedelta:
        return timedelta(minutes=self.ctx.settings.pull.run_minutes)

    def _local(self) -> datetime:
        return self.ctx.now().astimezone()
