"""Store the objects of one series: only those that were asked for, each whole and durable.

An object is answered when it has arrived; it is made durable in a thread while the next one
arrives. It counts as pulled only then.
"""

from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import InitVar, dataclass, field
from threading import Semaphore
from typing import Final

from drawcli.adapters.receive_folder.folder import ReceiveFolder
from drawcli.core.dicom_service.object_store import ArrivingObject, IncomingObject, NotStored
from drawcli.core.dicom_service.received_object import ObjectFacts
from drawcli.core.dicom_service.service_request import ServiceStatus
from drawcli.core.dicom_service.tally import CONFLICT, REPEATED, STORED, StoreOutcome
from drawcli.errors import NeedsPerson, TryLater
from drawcli.system.limits import RECEIVE_FOLDER_SECONDS
from drawcli.system.network.pull_limits import PULL_FINISHING, PULL_UNEXPECTED
from drawcli.system.pacing import Deadline, TokenBucket
from drawcli.system.threads import DaemonPool

FOLDER: Final = "pull-folder"  # the code of a folder that does not answer
_BLOCK: Final = 256 << 10  # bytes that are written at once
_NOT_ASKED: Final = StoreOutcome(ServiceStatus.MISMATCH, "not-asked", "was not asked for")
_AGAIN: Final = StoreOutcome(ServiceStatus.SUCCESS, "sent-twice")
_IS_ROOM: Final = frozenset({"disk-low", "disk-full", "unfinished", "storage-failed"})


@dataclass(kw_only=True, slots=True)
class Collector:
    """Takes the objects of one series in one retrieval."""

    store: ReceiveFolder
    pool: DaemonPool
    bucket: TokenBucket
    series: str  # Series Instance UID
    wanted: InitVar[Iterable[str]]  # SOP Instance UIDs
    there: InitVar[Iterable[str]]  # of the series, and stored before: an archive may send them, too
    tell: Callable[[], None]  # called for each object that is durable, or has failed
    outcomes: Counter[str] = field(default_factory=Counter)
    bytes: int = 0  # of data sets that were stored
    unexpected: int = 0  # objects that were not asked for
    _left: set[str] = field(default_factory=set)
    _taken: set[str] = field(default_factory=set)
    _room: Semaphore = field(default_factory=lambda: Semaphore(PULL_FINISHING))
    _finishing: list[Future[StoreOutcome]] = field(default_factory=list)

    def __post_init__(self, wanted: Iterable[str], there: Iterable[str]) -> None:
        """Note what is wanted, and what is there."""
        self._left.update(wanted)
        self._taken.update(there)

    def take(self, facts: ObjectFacts) -> ArrivingObject | StoreOutcome:
        """Return where an object goes, or why it is refused.

        Raises
        ------
        NotStored
            If this or an earlier one cannot be stored.
        NeedsPerson
            If too many objects come that were not asked for.
        """
        self._collect(only_done=True)
        if facts.sop_instance in self._left:
            self._left.remove(facts.sop_instance)
            self._taken.add(facts.sop_instance)
            return PulledObject(self, self.store.begin(facts, self.series))
        if facts.sop_instance in self._taken:
            return _AGAIN
        self.unexpected += 1
        if self.unexpected > PULL_UNEXPECTED:
            raise NeedsPerson(
                f"it sends more than {PULL_UNEXPECTED} objects that were not asked for",
                code="archive-answer",
                hint="Report it to the vendor of the archive.",
            )
        return _NOT_ASKED

    def paced(self, size: int) -> None:
        """Wait until so many more bytes may arrive."""
        self.bucket.take(size, Deadline(RECEIVE_FOLDER_SECONDS))

    def finish(self, incoming: IncomingObject, size: int) -> None:
        """Let a thread make an object durable; wait if too many are at it."""
        if not self._room.acquire(timeout=RECEIVE_FOLDER_SECONDS):
            raise _folder_silent()

        def finish() -> StoreOutcome:
            try:
                outcome = incoming.finish()
            finally:
                self._room.release()
            if outcome.code == STORED:
                self.bytes += size
            self.tell()
            return outcome

        self._finishing.append(self.pool.submit(finish))

    def drain(self) -> None:
        """Wait until every object that arrived is durable, or has failed; raise NotStored."""
        self._collect(only_done=False)

    @property
    def stored(self) -> int:
        """The number of objects that were stored."""
        return self.outcomes[STORED]

    @property
    def conflicts(self) -> int:
        """The number of objects whose UID was known with other content."""
        return self.outcomes[CONFLICT]

    def refused(self) -> str:
        """Return why objects were not stored, in words; "" if all were."""
        wrong = {code: n for code, n in self.outcomes.items() if code not in (STORED, REPEATED)}
        return ", ".join(f"{n} {code}" for code, n in sorted(wrong.items()))

    def _collect(self, *, only_done: bool) -> None:
        """Count the objects that are durable; raise NotStored if there is no room."""
        waiting = list[Future[StoreOutcome]]()
        finishing, self._finishing = self._finishing, waiting
        for future in finishing:
            if only_done and not future.done():
                waiting.append(future)
                continue
            try:
                outcome = future.result(RECEIVE_FOLDER_SECONDS)
            except TimeoutError:
                raise _folder_silent() from None
            self.outcomes[outcome.code] += 1
            if outcome.code in _IS_ROOM:
                raise NotStored(outcome)


class PulledObject:
    """An object that arrives, written in blocks."""

    def __init__(self, collector: Collector, incoming: IncomingObject) -> None:
        self._collector = collector
        self._incoming: IncomingObject | None = incoming
        self._held = bytearray()
        self._size = 0

    def write(self, data: bytes) -> None:
        """Take a piece; raise NotStored if it cannot be stored."""
        self._collector.paced(len(data))
        self._held += data
        if len(self._held) >= _BLOCK:
            self._flush()

    def end(self) -> None:
        """Let a thread make it durable."""
        self._flush()
        incoming, self._incoming = self._incoming, None
        if incoming is not None:
            self._collector.finish(incoming, self._size)

    def discard(self) -> None:
        """Remove it, unless it is complete."""
        incoming, self._incoming = self._incoming, None
        if incoming is not None:
            incoming.discard()

    def _flush(self) -> None:
        if self._incoming is not None and self._held:
            self._size += len(self._held)
            self._incoming.write(self._held)
            self._held = bytearray()


def _folder_silent() -> TryLater:
    return TryLater(
        f"the folder for pulled images did not answer for {RECEIVE_FOLDER_SECONDS:.0f} seconds",
        code=FOLDER,
        hint="Check the file server and the mount.",
    )
