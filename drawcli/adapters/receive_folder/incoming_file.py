"""An object that is being received: a hidden file until it is whole, checked and durable."""

import os
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

from drawcli.core.dicom.header import Incomplete, NotDicom
from drawcli.core.dicom_service.object_store import NotStored
from drawcli.core.dicom_service.received_object import (
    ObjectFacts,
    ObjectUids,
    file_head,
    read_uids,
)
from drawcli.core.dicom_service.service_request import ServiceStatus
from drawcli.core.dicom_service.tally import StoreOutcome
from drawcli.system.files import NO_SPACE

if TYPE_CHECKING:
    from drawcli.adapters.receive_folder.folder import ReceiveFolder

_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
_MODE: Final = 0o640  # the umask applies
_FIRST_READ: Final = 64 << 10  # bytes: UIDs are in the first few hundred of most images
_MOST_READ: Final = 16 << 20
_FULL: Final = StoreOutcome(ServiceStatus.OUT_OF_RESOURCES, "disk-full", "no space left")
_FAILED: Final = StoreOutcome(ServiceStatus.OUT_OF_RESOURCES, "storage-failed", "the folder failed")


class IncomingFile:
    """An object that is being received; its calls come from threads, one after the other."""

    def __init__(
        self, folder: "ReceiveFolder", path: Path, facts: ObjectFacts, series: str = ""
    ) -> None:
        self._folder = folder
        self._facts = facts
        self._series = series  # that it must belong to; "": any
        self._lock = Lock()
        self._head = file_head(facts)
        self.path = path
        self.size = 0  # bytes written, for which room is reserved
        try:
            self._descriptor = os.open(path, _FLAGS, _MODE)
        except OSError as err:
            raise NotStored(failure(err)) from None
        self._is_open = True
        try:
            self.write(self._head)
        except NotStored:
            self._remove()
            raise

    def write(self, data: bytes | bytearray) -> None:
        """Append to the data set.

        Raises
        ------
        NotStored
            If there is no room.
        """
        with self._lock:
            if not self._is_open:
                return
            self._folder.reserve(len(data))
            self.size += len(data)
            rest = memoryview(data)
            try:
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
            except OSError as err:
                raise NotStored(failure(err)) from None

    def finish(self) -> StoreOutcome:
        """Check the object, make it durable and place it; return the answer to its sender."""
        with self._lock:
            if not self._is_open:
                return _FAILED
            try:
                uids = self._uids()
                refused = _refused(uids, self._facts, self._series)
                if refused is not None:
                    return refused
                os.fsync(self._descriptor)
                self._close()
                return self._folder.place(self.path, uids)
            except OSError as err:
                return failure(err)
            finally:
                self._remove()

    def discard(self) -> None:
        """Remove it, unless it is finished."""
        with self._lock:
            if self._is_open:
                self._remove()

    def _remove(self) -> None:
        self._close()
        self._folder.release(self.size)
        self.size = 0
        self.path.unlink(missing_ok=True)

    def _close(self) -> None:
        if self._is_open:
            self._is_open = False
            os.close(self._descriptor)

    def _uids(self) -> ObjectUids:
        """Return the UIDs of the data set; all "" if they cannot be read."""
        wanted = _FIRST_READ
        while True:
            os.lseek(self._descriptor, len(self._head), os.SEEK_SET)
            data = _read(self._descriptor, wanted)
            is_complete = len(data) < wanted
            try:
                syntax = self._facts.transfer_syntax
                return read_uids(data, syntax, complete=is_complete)
            except NotDicom:
                return ObjectUids("", "", "")
            except Incomplete:
                if is_complete or wanted >= _MOST_READ:
                    return ObjectUids("", "", "")
            wanted *= 4


def failure(err: OSError) -> StoreOutcome:
    """Return the answer for an error of the folder."""
    return _FULL if err.errno in NO_SPACE else _FAILED


def _read(descriptor: int, size: int) -> bytes:
    parts, left = list[bytes](), size
    while left and (part := os.read(descriptor, left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def _refused(uids: ObjectUids, facts: ObjectFacts, series: str) -> StoreOutcome | None:
    """Return the answer if a data set is not what its request says, or of another series."""
    if not (uids.sop_class and uids.sop_instance and uids.series):
        text = "no SOP Class, SOP Instance or Series Instance UID"
        return StoreOutcome(ServiceStatus.CANNOT_UNDERSTAND, "unreadable", text)
    if (uids.sop_class, uids.sop_instance) != (facts.sop_class, facts.sop_instance):
        text = "the UIDs of the data set are not those of the request"
        return StoreOutcome(ServiceStatus.MISMATCH, "mismatch", text)
    if series and uids.series != series:
        return StoreOutcome(ServiceStatus.MISMATCH, "other-series", "not of the series asked for")
    return None
