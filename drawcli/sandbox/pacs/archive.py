"""The stored objects of the archive: files in a folder, and their headers in memory."""

import hashlib
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from threading import Lock
from typing import Final

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import UID

from drawcli.sandbox.pacs.query import UNIQUE_KEYS
from drawcli.sandbox.whole_files import write_whole

_UIDS: Final = ("SOPClassUID", *UNIQUE_KEYS.values())


class BadObject(ValueError):
    """An object that an archive cannot store."""


class PacsArchive:
    """The objects below a folder; what is stored is kept there. Threads may share it.

    A file is named by a digest of its SOP Instance UID; an object with a known UID replaces it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = Lock()
        self._objects: dict[str, tuple[Path, Dataset]] = {}
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            with suppress(BadObject):  # what is not DICOM is left out
                header = _header(path)
                self._objects[str(header.SOPInstanceUID)] = path, header

    def __len__(self) -> int:
        """Return how many objects there are."""
        return len(self._objects)

    def store(self, content: bytes) -> Dataset:
        """Keep a DICOM file, byte by byte; return its header.

        Raises
        ------
        BadObject
            If it is not a DICOM file, or lacks a UID.
        """
        uid = str(self.read(content).SOPInstanceUID)
        name = hashlib.sha256(uid.encode()).hexdigest()[:32]
        with self._lock:
            known = self._objects.get(uid)
            path = known[0] if known else self._folder / f"{name}.dcm"
            write_whole(path, content)
            header = _header(path)  # from the file: it does not hold the content in memory
            self._objects[uid] = path, header
        return header

    def read(self, content: bytes) -> Dataset:
        """Return the header of a DICOM file that could be stored, or raise BadObject."""
        return _header(BytesIO(content))

    def headers(self) -> list[Dataset]:
        """Return the headers of all objects, without their pixels."""
        with self._lock:
            return [header for _path, header in self._objects.values()]

    def size(self, header: Dataset) -> int:
        """Return the size of the file of an object, in bytes."""
        return self._objects[str(header.SOPInstanceUID)][0].stat().st_size

    def content(self, header: Dataset) -> bytes:
        """Return the file of an object."""
        return self._objects[str(header.SOPInstanceUID)][0].read_bytes()

    def dataset(self, header: Dataset) -> Dataset:
        """Return an object with its pixels."""
        return dcmread(self._objects[str(header.SOPInstanceUID)][0])

    def has(self, sop_class: str, sop_instance: str) -> bool:
        """Tell whether the archive has an object of this class."""
        found = self._objects.get(sop_instance)
        return found is not None and found[1].SOPClassUID == sop_class


def _header(source: Path | BytesIO) -> Dataset:
    try:
        header = dcmread(source, stop_before_pixels=True)
        uids = [UID(str(header.get(keyword, ""))) for keyword in _UIDS]
        syntax = str(header.file_meta.get("TransferSyntaxUID", ""))
    except (InvalidDicomError, EOFError, ValueError, OSError, KeyError, AttributeError) as err:
        raise BadObject("not a DICOM file") from err
    if not syntax or not all(uid and uid.is_valid for uid in uids):
        raise BadObject("a UID is missing or not valid")
    return header
