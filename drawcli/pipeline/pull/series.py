"""Pull one series: record what is expected, retrieve what is missing, ask the archive again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from time import monotonic, sleep
from typing import Final

from drawcli.adapters.archive.archive import ImageArchive
from drawcli.adapters.receive_folder.folder import ReceiveFolder, is_stored
from drawcli.adapters.state.pull_records import PullRecord, PullRecords
from drawcli.core.dicom_service.association_answer import Supported
from drawcli.core.dicom_service.object_store import NotStored
from drawcli.core.jobs.backoff import LONGEST_WAIT, backoff
from drawcli.core.jobs.job import State
from drawcli.core.pull.answers import ArchivedInstance, ArchivedSeries
from drawcli.core.pull.offers import wanted_of
from drawcli.errors import JobError, NeedsPerson, TryLater
from drawcli.pipeline.context import Context
from drawcli.pipeline.pull.collecting import FOLDER, Collector
from drawcli.pipeline.pull.failures import FEWER, has_fewer, incomplete, no_room
from drawcli.pipeline.pull.outcome import (
    COMPLETE,
    KNOWN,
    NOTHING,
    PULLED,
    REFUSED,
    WAITING,
    WOULD_PULL,
    PulledSeries,
)
from drawcli.pipeline.survey.pulled import INSTANCE
from drawcli.system.network.pull_limits import PULL_LAST_SECONDS
from drawcli.system.pacing import TokenBucket
from drawcli.system.printable import counted
from drawcli.system.threads import DaemonPool

_LOOK_SECONDS: Final = 0.1  # between two looks at the folder of `receive`
_MOST_ROUNDS: Final = 4  # of asking an archive whose series grows
_ASKED_SECONDS: Final = 86_400.0  # the time of asking is recorded as often as this
OUT_OF_TIME: Final = "pull-time"
_NO_FAULT: Final = frozenset({OUT_OF_TIME, FOLDER, FEWER})  # codes that are not the archive's


@dataclass(frozen=True, kw_only=True)
class SeriesPull:
    """Pulls the series of one source."""

    ctx: Context
    name: str  # of the source
    archive: ImageArchive
    folder: Path
    store: ReceiveFolder | None  # None: `receive` writes into the folder, or it is a dry run
    records: PullRecords
    supported: Supported
    pool: DaemonPool
    bucket: TokenBucket
    all_due: bool  # series that wait after a failure are tried, too

    def take(self, series: ArchivedSeries) -> PulledSeries:
        """Pull what is missing of a series; an error becomes part of the outcome."""
        key = self.ctx.stand_ins.series_key(series.series)
        record = self.records.get(key)
        done = self._outcome_by_record(series, key, record)
        if done is not None:
            return done
        result = PulledSeries(key, WAITING)
        try:
            self._pull(series, record, result)
        except NotStored as err:
            result.error = no_room(err)
        except JobError as err:
            result.error = err
            self._note_failure(key, err, result)
        return result

    def preview(self, series: ArchivedSeries) -> PulledSeries:
        """Return what would be pulled; nothing is written."""
        key = self.ctx.stand_ins.series_key(series.series)
        record = self.records.get(key)
        done = self._outcome_by_record(series, key, record, writes=False)
        if done is not None:
            return done
        found, _ = wanted_of(self.archive.find_instances(series), self.supported)
        missing = self._missing(series, found)
        if record is not None and record.whole and self._digests(found) <= self._known(key):
            return PulledSeries(key, COMPLETE, expected=len(found))
        outcome = WOULD_PULL if missing else (COMPLETE if found else NOTHING)
        return PulledSeries(key, outcome, expected=len(found), missing=len(missing))

    def _outcome_by_record(
        self,
        series: ArchivedSeries,
        key: str,
        record: PullRecord | None,
        *,
        writes: bool = True,
    ) -> PulledSeries | None:
        """Return the outcome of a series whose instances need not be asked for, or None."""
        now = self.ctx.now().timestamp()
        if record is None:
            return PulledSeries(key, KNOWN) if self._came_another_way(series) else None
        if record.whole and series.instances == record.total + record.others:
            if writes and now - record.asked > _ASKED_SECONDS:
                self.records.touch(key, now)
            return PulledSeries(key, COMPLETE if record.total else NOTHING, record.total)
        waits = now < record.due <= now + LONGEST_WAIT.total_seconds()  # later: by a wrong clock
        if waits and not self.all_due:
            outcome = WAITING if record.code not in _REFUSALS else REFUSED
            return PulledSeries(key, outcome, record.total, code=record.code, text=record.text)
        return None

    def _came_another_way(self, series: ArchivedSeries) -> bool:
        """Return whether the ledger has a series that no record knows.

        One that waits, with files of it in the folder, was being pulled when the record was lost.
        """
        ledger, keys = self.ctx.ledger, (self.ctx.stand_ins, *self.ctx.retired)
        jobs = [job for one in keys for job in ledger.of_series(one.series_key(series.series))]
        waits = all(job.state is State.WAITING for job in jobs)
        return bool(jobs) and not (waits and (self.folder / series.series).is_dir())

    def _pull(
        self, series: ArchivedSeries, record: PullRecord | None, result: PulledSeries
    ) -> None:
        """Retrieve what is missing, until the archive is asked and has no more."""
        for _ in range(_MOST_ROUNDS):
            found, others = wanted_of(self.archive.find_instances(series), self.supported)
            record = self._recorded(result.key, record, found, others)
            missing = self._missing(series, found)
            result.expected, result.missing = len(found), len(missing)
            if record.whole or not missing:
                self._finish(series, record, result)
                return
            if missing:
                self._retrieve(series, found, missing, result)
        raise TryLater(
            f"{self.archive.describe()} gets more of the series all the time",
            code="archive-growing",
            hint="The next pull continues.",
        )

    def _finish(self, series: ArchivedSeries, record: PullRecord, result: PulledSeries) -> None:
        """Record that a series is complete, after everything of it is durable."""
        result.outcome = (PULLED if result.stored else COMPLETE) if record.total else NOTHING
        if not record.whole:
            if self.store is not None:
                self.store.settle(series.series)
            self.records.put(record._replace(whole=True, tries=0, due=0.0, code="", text=""))

    def _recorded(
        self,
        key: str,
        record: PullRecord | None,
        found: Sequence[ArchivedInstance],
        others: int,
    ) -> PullRecord:
        """Record what is expected; it stays whole if the archive has nothing new.

        What another archive of the settings has named is expected, too.
        """
        digests, known = self._digests(found), self._known(key) if record else frozenset[str]()
        before = record or PullRecord(key, self._address, 0)
        whole = before.whole and digests <= known
        if before.source != self._address and before.source in self._addresses:
            if not (before.whole or known <= digests):
                raise has_fewer(self.archive.describe(), before.source)
            digests |= known
        now = self.ctx.now().timestamp()
        after = before._replace(
            source=self._address, total=len(digests), others=others, whole=whole, asked=now
        )
        if record is None or digests != known or whole != before.whole:
            return self.records.put(after, digests)
        return after

    def _retrieve(
        self,
        series: ArchivedSeries,
        found: list[ArchivedInstance],
        missing: list[ArchivedInstance],
        result: PulledSeries,
    ) -> None:
        """Retrieve instances; raise TryLater if the archive does not send all of them."""
        if self.store is None:
            self._move_by_archive(series, missing, result)
            return
        with self.ctx.progress.part("images pulled", of=len(missing)) as part:
            collector = Collector(
                store=self.store,
                pool=self.pool,
                bucket=self.bucket,
                series=series.series,
                wanted=[one.sop_instance for one in missing],
                there=[one.sop_instance for one in set(found).difference(missing)],
                tell=partial(part.advance, 1),
            )
            try:
                self.archive.retrieve(series, missing, collector.take)
            finally:
                try:
                    collector.drain()
                finally:
                    result.stored += collector.stored
                    result.bytes += collector.bytes
        left = self._missing(series, missing)
        result.missing = len(left)
        if left:
            raise incomplete(self.archive.describe(), len(left), len(missing), collector)

    def _move_by_archive(
        self, series: ArchivedSeries, missing: list[ArchivedInstance], result: PulledSeries
    ) -> None:
        """Let the archive send instances to `receive`, and wait until they are in its folder."""
        who = self.archive.describe()
        with self.ctx.progress.part("images pulled", of=len(missing)) as part:

            def arrived() -> int:
                count = len(missing) - len(self._missing(series, missing))
                part.to(count)
                return count

            try:
                self.archive.send(series, missing, arrived)
                _wait_for_last(arrived, len(missing))
            finally:
                result.stored += arrived()
        result.missing = len(missing) - arrived()
        if result.missing:
            images = f"{result.missing} of {counted(len(missing), 'image')}"
            raise TryLater(
                f"{who} did not send {images} to 'drawcli receive'",
                code="archive-incomplete",
                hint="Does it know our receiver, its address and port? The log of 'receive' shows "
                "what came: is the AE title of the archive among receive.callers?",
            )

    def _missing(
        self, series: ArchivedSeries, found: Sequence[ArchivedInstance]
    ) -> list[ArchivedInstance]:
        return [one for one in found if not is_stored(self.folder, series.series, one.sop_instance)]

    def _digests(self, found: Sequence[ArchivedInstance]) -> frozenset[str]:
        return frozenset(self.ctx.stand_ins.digest(INSTANCE, one.sop_instance) for one in found)

    @property
    def _address(self) -> str:
        return self.name.partition(" (")[0]  # a second source of an archive has a number

    @property
    def _addresses(self) -> set[str]:
        return {source.name for source in self.ctx.settings.pull.sources}

    def _known(self, key: str) -> frozenset[str]:
        return self.records.expected(key)

    def _note_failure(self, key: str, err: JobError, result: PulledSeries) -> None:
        """Record why a series is not complete, and when it is tried again."""
        record = self.records.get(key) or PullRecord(key, self._address, 0)
        result.code, result.text, result.expected = err.code, str(err), record.total
        result.outcome = REFUSED if isinstance(err, NeedsPerson) else WAITING
        if err.code in _NO_FAULT:
            return
        result.is_new = isinstance(err, NeedsPerson) and err.code != record.code
        now = self.ctx.now()
        wait = min(backoff(record.tries), LONGEST_WAIT)
        self.records.put(
            record._replace(
                tries=record.tries + 1,
                due=(now + wait - timedelta(seconds=1)).timestamp(),
                code=err.code,
                text=str(err),
                asked=record.asked or now.timestamp(),
            )
        )


def _wait_for_last(arrived: Callable[[], int], expected: int) -> None:
    """Wait until everything has arrived, as long as something arrives."""
    count, end = arrived(), monotonic() + PULL_LAST_SECONDS
    while count < expected and monotonic() < end:
        sleep(_LOOK_SECONDS)
        if (now := arrived()) != count:
            count, end = now, monotonic() + PULL_LAST_SECONDS


_REFUSALS: Final = frozenset({"archive-refused", "archive-answer", "pull-conflict"})
