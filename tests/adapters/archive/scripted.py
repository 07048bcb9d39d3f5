"""An archive of a raw socket that says what its script says: hand-made bytes of PS3.7 and PS3.4."""

import struct
from collections.abc import Iterable

from tests.dicom_sender import store_command
from tests.scripted_peer import LAST, OF_COMMAND, Talk, fragment, pdu

PENDING, SUCCESS = 0xFF00, 0x0000
STUDY_UID, SERIES_UID, SOP_UID, SOP_CLASS = 0x0020000D, 0x0020000E, 0x00080018, 0x00080016
CT = "1.2.840.10008.5.1.4.1.1.2"


def identifier(**elements: str | bytes) -> bytes:
    """Return an identifier in implicit VR; the names are those of the constants, in order."""
    tags = {"sop_class": SOP_CLASS, "sop": SOP_UID, "study": STUDY_UID, "series": SERIES_UID}
    made = b""
    for name, tag in tags.items():
        if name in elements:
            text = elements[name]
            value = text if isinstance(text, bytes) else text.encode()
            value += b"\0" * (len(value) % 2)
            made += struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value
    return made


def answer(talk: Talk, data: bytes | None = None, status: int = PENDING) -> None:
    """Answer a query: one match, or the end."""
    talk.answer(status=status, data_set_type=0x0101 if data is None else 1, sop_instance=None)
    if data is not None:
        talk.send(pdu("data", fragment(talk.asked.context, data, LAST)))


def answers(talk: Talk, matches: Iterable[bytes]) -> None:
    """Take a query and answer it."""
    talk.take()
    for one in matches:
        answer(talk, one)
    answer(talk, status=SUCCESS)


def storage_context(talk: Talk) -> int:
    """Return an offered context of CT images in Explicit VR Little Endian."""
    return next(
        number
        for number, (sop_class, syntaxes) in talk.offered.items()
        if (sop_class, syntaxes) == (CT, ["1.2.840.10008.1.2.1"])
    )


def send_object(talk: Talk, sop_instance: str, data: bytes) -> None:
    """Send an object within a C-GET; do not wait for the answer."""
    context = storage_context(talk)
    talk.send(pdu("data", fragment(context, store_command(sop_instance), OF_COMMAND | LAST)))
    for start in range(0, len(data), 16_000):
        last = LAST if start + 16_000 >= len(data) else 0
        talk.send(pdu("data", fragment(context, data[start : start + 16_000], last)))
