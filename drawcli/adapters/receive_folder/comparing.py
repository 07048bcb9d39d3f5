"""Whether two stored objects have the same data set, byte by byte, in the same transfer syntax."""

from pathlib import Path
from typing import IO, Final

from drawcli.core.dicom.header import (
    PREAMBLE_LENGTH,
    TRANSFER_SYNTAX,
    Incomplete,
    NotDicom,
    walk,
)
from drawcli.system.files import CHUNK

_BEFORE_META: Final = PREAMBLE_LENGTH + len(b"DICM") + 12  # with the group length
_LARGEST_META: Final = 1 << 16


def is_same_data_set(one: Path, other: Path) -> bool:
    """Return whether two files have the same data set; their file meta may differ."""
    with one.open("rb") as first, other.open("rb") as second:
        syntax = _skip_meta(first)
        if syntax is None or syntax != _skip_meta(second):
            return False
        while True:
            block = first.read(CHUNK)
            if block != second.read(CHUNK):
                return False
            if not block:
                return True


def _skip_meta(stream: IO[bytes]) -> bytes | None:
    """Read up to the data set; return the transfer syntax, None if there is no file meta."""
    head = stream.read(_BEFORE_META)
    length = int.from_bytes(head[-4:], "little")
    if head[PREAMBLE_LENGTH : PREAMBLE_LENGTH + 4] != b"DICM" or length > _LARGEST_META:
        return None
    meta = stream.read(length)
    try:
        for element in walk(meta, 0, len(meta), explicit=True):
            if element.tag == TRANSFER_SYNTAX:
                return meta[element.value : element.end]
    except (NotDicom, Incomplete):
        pass
    return None
