"""A file from the server: whole and as the server says that it is, or not there.

What came before a connection broke is kept beside the target, if the server says that it can go on
from there (`Accept-Ranges`) and what the whole must be (`X-File-Checksum`). The checksum is in the
part's name, so that no part is ever continued with another file; a part that is damaged is found
out by the checksum in the end.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import IO, Final

import httpx

from drawcli.adapters.server.responses import TooLong, checked_response, pieces_of
from drawcli.errors import BadStructureSet, ServerUnavailable
from drawcli.system.files import CHUNK, PRIVATE, put_in_place, report_disk_full
from drawcli.system.limits import EXCHANGES, bytes_in_words
from drawcli.system.pacing import Deadline, ProgressCallback, read_with_deadline

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_RANGE: Final = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)")
_LENGTH: Final = re.compile(r"[0-9]{1,18}")
_LOOK_BYTES: Final = 16 << 20  # between two looks for space on the disk


class Incoming:
    """A file that comes in one answer, or in several."""

    def __init__(self, target: Path, room: Callable[[int], None], tell: ProgressCallback) -> None:
        self._target = target
        self._room = room  # raises where the disk has no space for so many bytes
        self._tell = tell
        self._etag = ""  # of the answer that was cut short, in this run
        self.checksum = ""  # as the server said it; "" where it said none

    @property
    def size(self) -> int:
        """How much is here of what can be gone on with, bytes."""
        return sum(part.stat().st_size for part in self._parts()[:1])

    def asked(self) -> dict[str, str]:
        """Return the headers of the next request: from where to go on."""
        plain = {"accept-encoding": "identity"}  # a range is one of the bytes that are checked
        if not self.size:
            return plain
        same = {"if-range": self._etag} if self._etag.startswith('"') else {}
        return plain | same | {"range": f"bytes={self.size}-"}

    def take(self, answer: httpx.Response, deadline: Deadline) -> str:
        """Take what an answer holds; return the SHA-256 of the whole, which has its name then.

        "" where the answer does not go on from where we are: ask once more, from the beginning.

        Raises
        ------
        ServerUnavailable
            Where it is not what the server says that it is, or takes too long.
        BadStructureSet
            Where it is larger than any structure set.
        """
        before = self._size_before(answer)
        if before is None:
            self.drop()
            return ""
        checked_response(answer, "rtstruct")
        if "text/html" in answer.headers.get("content-type", ""):
            raise ServerUnavailable("rtstruct: an answer in HTML; is a proxy in the way?")
        part = self._part(answer, before)
        try:
            self._announced(answer, before)
            with report_disk_full(part.parent):
                digest = self._written(answer, part, before, deadline)
            self._check(answer, digest)
            put_in_place(part, self._target)
        except BaseException as err:
            if not _lasts(part) or isinstance(err, BadStructureSet | Altered):
                part.unlink(missing_ok=True)
            raise
        return digest

    def drop(self) -> None:
        """Forget what is here."""
        for part in self._parts():
            part.unlink(missing_ok=True)

    def _size_before(self, answer: httpx.Response) -> int | None:
        """Return how much of the whole lies before this answer; None where it does not fit."""
        if answer.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return None
        if answer.status_code != HTTPStatus.PARTIAL_CONTENT:
            return 0
        found = _RANGE.fullmatch(answer.headers.get("content-range", ""))
        part = next(iter(self._parts()), None)
        if found is None or part is None or int(found[1]) != self.size:
            return None
        return self.size if _checksum_of(answer) in ("", _lasts(part)) else None

    def _part(self, answer: httpx.Response, before: int) -> Path:
        """Return where to write: a file that outlives a failure, where one can go on with it."""
        if before:
            return next(iter(self._parts()))
        self.drop()
        checksum, name = _checksum_of(answer), self._target.name
        ranges = answer.headers.get("accept-ranges", "").strip().lower() == "bytes"
        if ranges and not _is_coded(answer) and _SHA256.fullmatch(checksum):
            return self._target.with_name(f".{name}.{checksum}.part")
        return self._target.with_name(f".{name}.{os.getpid()}.tmp")

    def _parts(self) -> list[Path]:
        return sorted(self._target.parent.glob(f".{self._target.name}.*.part"))

    def _announced(self, answer: httpx.Response, before: int) -> None:
        """Look at what is to come, and for space for it."""
        self._etag = answer.headers.get("etag", "")
        coming = _length_of(answer) or 0
        _check_size(before + coming)
        self._room(coming)

    def _written(self, answer: httpx.Response, part: Path, before: int, deadline: Deadline) -> str:
        """Write a body as it comes; return the SHA-256 of the whole file, durable now.

        "" where it is empty, or has not the length that the server said.
        """
        length = None if _is_coded(answer) else _length_of(answer)
        digest = hashlib.sha256()
        with _opened(part, before) as stream:
            size = looked = begun = _read_before(stream, digest)
            total = None if length is None else size + length
            for piece in self._pieces(answer, EXCHANGES["rtstruct"].largest - size, deadline):
                digest.update(piece)
                size += len(piece)
                stream.write(piece)
                self._tell(size, total)
                if total is None and size - looked > _LOOK_BYTES:
                    looked = size
                    self._room(_LOOK_BYTES)
            stream.flush()
            os.fsync(stream.fileno())
        return digest.hexdigest() if size and size - begun == (length or size - begun) else ""

    def _pieces(self, answer: httpx.Response, most: int, deadline: Deadline) -> Iterator[bytes]:
        try:
            yield from read_with_deadline(pieces_of(answer, most), deadline, answer.close)
        except TooLong:
            raise _too_large() from None

    def _check(self, answer: httpx.Response, digest: str) -> None:
        """Raise Altered where the whole is not what the server said."""
        known = next((_lasts(part) for part in self._parts()), "")
        self.checksum = known or _checksum_of(answer)
        if not digest:
            raise Altered("the download is not as long as the server said")
        if self.checksum not in ("", digest):
            raise Altered("the download does not agree with its checksum")


class Altered(ServerUnavailable):
    """What came is not what the server says that it sent; nothing of it is used."""


def _opened(part: Path, before: int) -> IO[bytes]:
    """Open a part, empty or with what is there of it."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | (0 if before else os.O_TRUNC)
    return open(os.open(part, flags, PRIVATE), "r+b")  # noqa: PTH123 - the mode is set at creation


def _read_before(stream: IO[bytes], digest: "hashlib._Hash") -> int:
    """Read what is there already; return how much that is, bytes."""
    while piece := stream.read(CHUNK):
        digest.update(piece)
    return stream.tell()


def _lasts(part: Path) -> str:
    """Return the checksum that a part is kept for; "" where it is not kept."""
    found = _SHA256.search(part.name)
    return found[0] if found else ""


def _length_of(answer: httpx.Response) -> int | None:
    text = answer.headers.get("content-length", "")
    return int(text) if _LENGTH.fullmatch(text) else None


def _is_coded(answer: httpx.Response) -> bool:
    return str(answer.headers.get("content-encoding", "identity")) != "identity"


def _checksum_of(answer: httpx.Response) -> str:
    return str(answer.headers.get("x-file-checksum", "")).strip().lower()


def _check_size(size: int) -> None:
    if size > EXCHANGES["rtstruct"].largest:
        raise _too_large()


def _too_large() -> BadStructureSet:
    most = bytes_in_words(EXCHANGES["rtstruct"].largest)
    return BadStructureSet(f"the download is larger than any structure set: more than {most}")
