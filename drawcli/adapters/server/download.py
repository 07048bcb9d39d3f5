"""Download of a file, resumable; it appears under its name only when complete and verified.

After a lost connection the part is kept beside the target if the server supports ranges
(`Accept-Ranges`) and sent a checksum (`X-File-Checksum`). The checksum is in the name of the part,
so that a part is never continued with another file; a damaged part fails the checksum at the end.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import IO, Final

import httpx

from drawcli.adapters.server.responses import TooLong, check_response, iter_body
from drawcli.errors import BadStructureSet, ServerUnavailable
from drawcli.system.files import CHUNK, PRIVATE, put_in_place, report_disk_full
from drawcli.system.limits import EXCHANGES
from drawcli.system.network.limit import bytes_in_words
from drawcli.system.pacing import Deadline, ProgressCallback, read_with_deadline

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_RANGE: Final = re.compile(r"bytes ([0-9]{1,18})-[0-9]{1,18}/([0-9]{1,18}|\*)")
_LENGTH: Final = re.compile(r"[0-9]{1,18}")
_SPACE_CHECK_BYTES: Final = 16 << 20  # between two checks of free disk space


class Incoming:
    """A file that arrives in one response or several."""

    def __init__(
        self, target: Path, check_space: Callable[[int], None], tell: ProgressCallback
    ) -> None:
        self._target = target
        self._check_space = check_space  # raises if the disk has no space for that many bytes
        self._tell = tell
        self._etag = ""  # of the response that was cut short, in this run
        self.checksum = ""  # from the server; "" if it sent none

    @property
    def size(self) -> int:
        """Size of the part that can be continued, bytes."""
        return sum(part.stat().st_size for part in self._parts()[:1])

    def request_headers(self) -> dict[str, str]:
        """Return the headers of the next request, with the range that is missing."""
        plain = {"accept-encoding": "identity"}  # ranges count bytes as they are sent
        if not self.size:
            return plain
        is_strong = self._etag.startswith('"') and self._etag.isascii()  # a request header is ASCII
        same = {"if-range": self._etag} if is_strong else {}
        return plain | same | {"range": f"bytes={self.size}-"}

    def add(self, answer: httpx.Response, deadline: Deadline) -> str:
        """Write the body of a response; return the SHA-256 of the complete file, now in place.

        "" if the response does not continue the part: then request the file from its beginning.

        Raises
        ------
        ServerUnavailable
            If the file differs from its checksum or length, or takes too long.
        BadStructureSet
            If it is larger than the protocol allows.
        """
        before = self._size_before(answer)
        if before is None:
            self.drop()
            return ""
        check_response(answer, "rtstruct")
        if "text/html" in answer.headers.get("content-type", ""):
            raise ServerUnavailable("rtstruct: an answer in HTML; is a proxy in the way?")
        part = self._part(answer, before)
        try:
            self._check_length(answer, before)
            with report_disk_full(part.parent):
                digest = self._write(answer, part, before, deadline)
            self._check(answer, digest)
            put_in_place(part, self._target)
        except BaseException as err:
            if not _part_checksum(part) or isinstance(err, BadStructureSet | Altered):
                part.unlink(missing_ok=True)
            raise
        return digest

    def drop(self) -> None:
        """Remove the parts on disk."""
        for part in self._parts():
            part.unlink(missing_ok=True)

    def _size_before(self, answer: httpx.Response) -> int | None:
        """Return the offset in the file at which a response begins; None if it does not fit."""
        if answer.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return None
        if answer.status_code != HTTPStatus.PARTIAL_CONTENT:
            return 0
        content_range = _RANGE.fullmatch(answer.headers.get("content-range", ""))
        part = next(iter(self._parts()), None)
        if content_range is None or part is None or int(content_range[1]) != self.size:
            return None
        return self.size if _checksum_of(answer) in ("", _part_checksum(part)) else None

    def _part(self, answer: httpx.Response, before: int) -> Path:
        """Return the file to write to; it is kept after a failure only if it can be continued."""
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

    def _check_length(self, answer: httpx.Response, before: int) -> None:
        """Check the announced length against the limit and the free space."""
        self._etag = answer.headers.get("etag", "")
        length = _length_of(answer) or 0
        if before + length > EXCHANGES["rtstruct"].largest:
            raise _too_large()
        self._check_space(length)

    def _write(self, answer: httpx.Response, part: Path, before: int, deadline: Deadline) -> str:
        """Write a body to disk, durably; return the SHA-256 of the whole file.

        "" if it is empty or does not have the announced length.
        """
        length = None if _is_coded(answer) else _length_of(answer)
        digest = hashlib.sha256()
        with _open_part(part, before) as stream:
            size = checked = begun = _hash_part(stream, digest)
            total = None if length is None else size + length
            for piece in self._pieces(answer, EXCHANGES["rtstruct"].largest - size, deadline):
                digest.update(piece)
                size += len(piece)
                stream.write(piece)
                self._tell(size, total)
                if total is None and size - checked > _SPACE_CHECK_BYTES:
                    checked = size
                    self._check_space(_SPACE_CHECK_BYTES)
            stream.flush()
            os.fsync(stream.fileno())
        return digest.hexdigest() if size and size - begun == (length or size - begun) else ""

    def _pieces(self, answer: httpx.Response, most: int, deadline: Deadline) -> Iterator[bytes]:
        try:
            yield from read_with_deadline(iter_body(answer, most), deadline, answer.close)
        except TooLong:
            raise _too_large() from None

    def _check(self, answer: httpx.Response, digest: str) -> None:
        """Raise Altered if the file differs from the announced length or checksum."""
        checksum = next((_part_checksum(part) for part in self._parts()), "")
        self.checksum = checksum or _checksum_of(answer)
        if not digest:
            raise Altered("the download does not have the announced length")
        if self.checksum not in ("", digest):
            raise Altered("the download does not match its checksum")


class Altered(ServerUnavailable):
    """A download differs from its announced length or checksum; it is discarded."""


def _open_part(part: Path, before: int) -> IO[bytes]:
    """Open a part, empty or to be continued."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | (0 if before else os.O_TRUNC)
    return open(os.open(part, flags, PRIVATE), "r+b")  # noqa: PTH123 - the mode is set at creation


def _hash_part(stream: IO[bytes], digest: "hashlib._Hash") -> int:
    """Add the existing part to a digest; return its size in bytes."""
    while piece := stream.read(CHUNK):
        digest.update(piece)
    return stream.tell()


def _part_checksum(part: Path) -> str:
    """Return the checksum in the name of a part; "" if the part is temporary."""
    checksum = _SHA256.search(part.name)
    return checksum[0] if checksum else ""


def _length_of(answer: httpx.Response) -> int | None:
    text = answer.headers.get("content-length", "")
    return int(text) if _LENGTH.fullmatch(text) else None


def _is_coded(answer: httpx.Response) -> bool:
    return str(answer.headers.get("content-encoding", "identity")) != "identity"


def _checksum_of(answer: httpx.Response) -> str:
    return str(answer.headers.get("x-file-checksum", "")).strip().lower()


def _too_large() -> BadStructureSet:
    most = bytes_in_words(EXCHANGES["rtstruct"].largest)
    return BadStructureSet(f"the download is larger than a structure set may be: {most}")
