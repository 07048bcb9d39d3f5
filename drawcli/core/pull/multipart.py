"""The parts of a multipart/related body, as they arrive (RFC 2046 5.1, PS3.18 8.6.1).

Nothing is kept but the end of a piece that may begin a delimiter, and the head of a part.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from drawcli.core.dicom.header import (
    PREAMBLE_LENGTH,
    TRANSFER_SYNTAX,
    Incomplete,
    NotDicom,
    ascii_text,
    walk,
)
from drawcli.core.dicom_service.identifiers import uid_text
from drawcli.core.pull.answers import BadAnswer

_BOUNDARY: Final = re.compile(r'boundary="?([^";,]{1,200})"?', re.IGNORECASE)
_KIND: Final = "multipart/related"
_HEAD_END: Final = b"\r\n\r\n"
_LONGEST_HEAD: Final = 8192  # bytes of the head of a part
_LONGEST_META: Final = 65_536  # bytes of file meta
_META_START: Final = PREAMBLE_LENGTH + 4 + 12  # preamble, prefix, group length
_SOP_CLASS, _SOP_INSTANCE = 0x00020002, 0x00020003


class FileMeta(NamedTuple):
    """What the file meta of a DICOM file says; "" for UIDs that are none."""

    sop_class: str
    sop_instance: str
    transfer_syntax: str
    length: int  # bytes before the data set


def boundary_of(media_type: str) -> bytes:
    """Return the boundary of a content type; raise BadAnswer if it is no multipart/related."""
    kind, found = media_type.partition(";")[0].strip().lower(), _BOUNDARY.search(media_type)
    if kind != _KIND or found is None:
        raise BadAnswer("does not answer with multipart/related")
    return found[1].strip().encode("latin-1", "replace")


class PartReader:
    """Splits a body into its parts.

    `feed` yields None where a part begins, and bytes of its content; b"" where it ends.
    """

    def __init__(self, boundary: bytes) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._held = bytearray(b"\r\n")  # a body may begin with its first delimiter
        self._state = self._preamble
        self.is_ended = False  # whether the last delimiter has come

    def feed(self, data: bytes) -> Iterator[bytes | None]:
        """Take the next piece of the body; raise BadAnswer if it is not well-formed."""
        self._held += data
        while not self.is_ended:
            before = len(self._held), self._state
            yield from self._state()
            if (len(self._held), self._state) == before:
                return

    def _preamble(self) -> Iterator[bytes | None]:
        """Skip what stands before the first part."""
        at = self._held.find(self._delimiter)
        if at >= 0:
            del self._held[: at + len(self._delimiter)]
            self._state = self._after_delimiter
        elif len(self._held) > _LONGEST_HEAD + len(self._delimiter):
            raise BadAnswer("sends a body without parts")
        yield from ()

    def _after_delimiter(self) -> Iterator[bytes | None]:
        """Tell the last delimiter from one before a part."""
        if len(self._held) >= 2:  # noqa: PLR2004 - "--" or the end of the line
            if self._held.startswith(b"--"):
                self.is_ended = True
            else:
                self._state = self._head
        yield from ()

    def _head(self) -> Iterator[bytes | None]:
        """Skip the head of a part."""
        at = self._held.find(_HEAD_END)
        if at > _LONGEST_HEAD or (at < 0 and len(self._held) > _LONGEST_HEAD):
            raise BadAnswer("sends a part with a head that is too long")
        if at >= 0:
            del self._held[: at + len(_HEAD_END)]
            self._state = self._content
            yield None

    def _content(self) -> Iterator[bytes | None]:
        """Pass the content of a part on, but for what may begin a delimiter."""
        at = self._held.find(self._delimiter)
        if at >= 0:
            if at:
                yield bytes(self._held[:at])
            del self._held[: at + len(self._delimiter)]
            self._state = self._after_delimiter
            yield b""
        elif (whole := len(self._held) - len(self._delimiter)) > 0:
            yield bytes(self._held[:whole])
            del self._held[:whole]


def file_meta(data: bytes) -> FileMeta | None:
    """Return the file meta at the beginning of a DICOM file; None if more bytes are needed.

    Raises
    ------
    BadAnswer
        If the bytes are no DICOM file (PS3.10 7.1).
    """
    if len(data) < _META_START:
        return None
    group = data[PREAMBLE_LENGTH + 4 : _META_START]
    length = int.from_bytes(group[-4:], "little")
    if data[PREAMBLE_LENGTH : PREAMBLE_LENGTH + 4] != b"DICM" or group[:8] != _GROUP_LENGTH:
        raise BadAnswer("sends a part that is no DICOM file")
    if length > _LONGEST_META:
        raise BadAnswer("sends a DICOM file whose file meta is too long")
    if len(data) < _META_START + length:
        return None
    end = _META_START + length
    try:
        found = {e.tag: data[e.value : e.end] for e in walk(data, _META_START, end, explicit=True)}
    except (NotDicom, Incomplete):
        raise BadAnswer("sends a DICOM file whose file meta cannot be read") from None
    return FileMeta(
        uid_text(found.get(_SOP_CLASS, b"")),
        uid_text(found.get(_SOP_INSTANCE, b"")),
        ascii_text(found.get(TRANSFER_SYNTAX, b"")),
        end,
    )


_GROUP_LENGTH: Final = b"\x02\0\0\0UL\4\0"
