"""A folder of the datastore that receives objects: SeriesInstanceUID/SOPInstanceUID.dcm.

.drawcli-incoming/     objects that are being received; emptied at the start
.drawcli-conflicts/    objects of a known SOP Instance UID with other bytes; no scan reads them

Both UIDs consist of digits and single dots, so no path leads out of the folder.
"""

import logging
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Condition, Lock
from typing import Final

from drawcli.adapters.receive_folder.comparing import is_same_data_set
from drawcli.adapters.receive_folder.incoming_file import IncomingFile, failure
from drawcli.adapters.receive_folder.known_objects import ENDING, KnownObjects
from drawcli.core.dicom_service.object_store import NotStored
from drawcli.core.dicom_service.received_object import ObjectFacts, ObjectUids
from drawcli.core.dicom_service.service_request import ServiceStatus
from drawcli.core.dicom_service.tally import CONFLICT, REPEATED, STORED, StoreOutcome
from drawcli.errors import AnotherRun
from drawcli.system.files import PRIVATE, put_in_place, sha256_of
from drawcli.system.limits import RECEIVE_CONFLICTS
from drawcli.system.platforms import fsync_folder

_log = logging.getLogger(__name__)
INCOMING: Final = ".drawcli-incoming"
CONFLICTS: Final = ".drawcli-conflicts"
_FOLDER_MODE: Final = 0o750  # the umask applies
_LOOK_BYTES: Final = 64 << 20  # of all objects, between two looks at the free space
_DIGEST: Final = 16  # hex digits
_MOST_FOLDERS: Final = 10_000  # whose names are known to be durable
_NO_ROOM: Final = StoreOutcome(
    ServiceStatus.OUT_OF_RESOURCES, "disk-low", "less free space than set"
)
_TOO_MUCH: Final = StoreOutcome(ServiceStatus.OUT_OF_RESOURCES, "unfinished", "too much arrives")


class ReceiveFolder:
    """The store of received objects; any thread may use it.

    Parameters
    ----------
    folder
        It must exist.
    known
        The index of its objects.
    keep_free, most_unfinished
        Bytes: free space below which nothing is received, and the largest sum of the objects that
        are being received.
    mark
        A file that changes at the end of an association, for `scan --follow`.
    """

    def __init__(
        self,
        folder: Path,
        known: KnownObjects,
        *,
        keep_free: float,
        most_unfinished: float,
        mark: Path,
    ) -> None:
        self.folder = folder
        self._known = known
        self._keep_free = keep_free
        self._most_unfinished = most_unfinished
        self._mark = mark
        self._numbers = count(1)
        self._lock = Lock()
        self._unfinished = 0  # bytes
        self._until_look = 0  # bytes, until the free space is looked at again
        self._durable = set[Path]()  # series folders whose names are durable
        self._claims = Claims()
        self._conflicts = len(list(conflicts_in(folder)))

    def begin(self, facts: ObjectFacts, series: str = "") -> IncomingFile:
        """Begin an object, of a series if one is given; raise NotStored if there is no room."""
        self.reserve(0)
        name = f"{os.getpid()}-{next(self._numbers)}.part"
        return IncomingFile(self, self.folder / INCOMING / name, facts, series)

    def settle(self, series: str) -> None:
        """Make the names in the folder of a series durable, if there is one."""
        folder = self.folder / series
        if folder.is_dir():
            fsync_folder(folder)
            fsync_folder(self.folder)

    def reserve(self, size: int) -> None:
        """Count bytes that are about to be written; raise NotStored if there is no room."""
        with self._lock:
            if self._unfinished + size > self._most_unfinished:
                raise NotStored(_TOO_MUCH)
            self._until_look -= size
            if (size == 0 or self._until_look < 0) and self._is_low():
                raise NotStored(_NO_ROOM)
            self._unfinished += size

    def release(self, size: int) -> None:
        """Count bytes that are no longer unfinished."""
        with self._lock:
            self._unfinished -= size

    def place(self, part: Path, uids: ObjectUids) -> StoreOutcome:
        """Give a durable file its name, unless the object is known; return the answer.

        Raises
        ------
        OSError
            If the folder fails; then nothing has the name, or the whole object.
        """
        with self._claims.claimed(uids.sop_instance):
            path = self._found(uids)
            if path is None:
                return self._stored(part, uids)
            if path.parent.name == uids.series and is_same_data_set(part, path):
                self._make_durable(path.parent)
                fsync_folder(path.parent)
                return StoreOutcome(ServiceStatus.SUCCESS, REPEATED)
            return self._kept_apart(part, uids)

    def association_ended(self) -> None:
        """Change the mark, so that a scan that follows the datastore looks earlier."""
        try:
            self._mark.write_bytes(b"%d" % time.time_ns())
        except OSError as err:
            _log.warning("receive=mark outcome=%s", failure(err).code)

    def _is_low(self) -> bool:
        """Return whether less space is free than is to be kept."""
        self._until_look = _LOOK_BYTES
        try:
            return shutil.disk_usage(self.folder).free < self._keep_free
        except OSError as err:
            raise NotStored(failure(err)) from None

    def _found(self, uids: ObjectUids) -> Path | None:
        """Return the file of a known object, in its own or in another series."""
        name = f"{uids.sop_instance}{ENDING}"
        for series in (uids.series, self._known.series_of(uids.sop_instance)):
            if series and os.path.lexists(path := self.folder / series / name):
                return path
        return None

    def _stored(self, part: Path, uids: ObjectUids) -> StoreOutcome:
        folder = self.folder / uids.series
        self._make_durable(folder)
        self._known.add(uids.sop_instance, uids.series)
        put_in_place(part, folder / f"{uids.sop_instance}{ENDING}")
        return StoreOutcome(ServiceStatus.SUCCESS, STORED)

    def _make_durable(self, folder: Path) -> None:
        """Create a folder unless it exists; make its name durable once in this process."""
        if folder in self._durable and folder.is_dir():
            return
        folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
        fsync_folder(folder.parent)
        with self._lock:
            if len(self._durable) >= _MOST_FOLDERS:
                self._durable.clear()
            self._durable.add(folder)

    def _kept_apart(self, part: Path, uids: ObjectUids) -> StoreOutcome:
        """Keep an object of a known UID with other bytes in a folder that no scan reads."""
        answer = StoreOutcome(
            ServiceStatus.DUPLICATE, CONFLICT, "known SOP Instance UID, other content"
        )
        folder = self.folder / CONFLICTS
        path = folder / f"{uids.sop_instance}-{sha256_of(part)[:_DIGEST]}{ENDING}"
        if not path.exists():
            if self._conflicts >= RECEIVE_CONFLICTS:
                return answer
            self._make_durable(folder)
            put_in_place(part, path)
            with self._lock:
                self._conflicts += 1
        return answer


class Claims:
    """Keeps two threads from placing objects of the same UID at the same time."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._held = set[str]()

    @contextmanager
    def claimed(self, uid: str) -> Iterator[None]:
        """Hold a UID during the block; wait until nobody else does."""
        with self._changed:
            self._changed.wait_for(lambda: uid not in self._held)
            self._held.add(uid)
        try:
            yield
        finally:
            with self._changed:
                self._held.remove(uid)
                self._changed.notify_all()


def is_stored(folder: Path, series: str, sop_instance: str) -> bool:
    """Return whether a receive folder has an object of a series."""
    return os.path.lexists(folder / series / f"{sop_instance}{ENDING}")


def conflicts_in(folder: Path) -> Iterator[Path]:
    """Yield the objects that were kept apart."""
    apart = folder / CONFLICTS
    if apart.is_dir():
        yield from apart.glob(f"*{ENDING}")


def remove_unfinished(folder: Path) -> int:
    """Remove what a dead process left of objects; return how many. Only under the lock."""
    incoming = folder / INCOMING
    incoming.mkdir(mode=_FOLDER_MODE, exist_ok=True)
    left = list(incoming.glob("*.part"))
    for part in left:
        part.unlink(missing_ok=True)
    return len(left)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a receive folder; raise AnotherRun if another process has it.

    Two sites must not receive into one folder: each removes what is unfinished there.
    """
    from filelock import FileLock, Timeout

    incoming = folder / INCOMING
    incoming.mkdir(mode=_FOLDER_MODE, exist_ok=True)
    lock = FileLock(incoming / "lock", mode=PRIVATE)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise AnotherRun("another drawcli receives into this folder already") from None
    except (OSError, NotImplementedError):  # a share without locks
        _log.warning("receive=lock outcome=unsupported")
    try:
        yield
    finally:
        lock.release()
