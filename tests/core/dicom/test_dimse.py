"""Responses to requests: only a matching one has a status. pynetdicom's encoder is the oracle."""

import pytest
from pynetdicom.dimse_messages import C_STORE_RSP
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import encode

from drawcli.core.dicom.dimse import STORE, DimseRequest, is_success, status_of
from drawcli.core.dicom.upper_layer import NodeTrouble

REQUEST = DimseRequest(STORE, "1.2.840.10008.5.1.4.1.1.481.3", "1.2.826.0.1.3680043.8.498.77")


def answer(status: int = 0) -> bytes:
    said = C_STORE()
    said.MessageIDBeingRespondedTo, said.Status = 1, status
    said.AffectedSOPClassUID, said.AffectedSOPInstanceUID = REQUEST.sop_class, REQUEST.sop_instance
    message = C_STORE_RSP()
    message.primitive_to_message(said)
    encoded = encode(message.command_set, is_implicit_vr=True, is_little_endian=True)
    assert encoded is not None
    return encoded


@pytest.mark.parametrize("status", [0x0000, 0x0111, 0xA700, 0xB007, 0xC000, 0xFF00])
def test_the_status_of_a_matching_response_is_read(status: int) -> None:
    assert status_of(answer(status), REQUEST) == status


def test_a_response_with_any_changed_byte_is_refused() -> None:
    """Except the padding of a UID, and the tag of an optional element."""
    whole = answer()
    believed = []
    for place in range(len(whole)):
        for value in {0, 1, 0x20, 0x30, 0x31, 0x80, 0xFF, whole[place] ^ 1} - {whole[place]}:
            changed = whole[:place] + bytes([value]) + whole[place + 1 :]
            try:
                if status_of(changed, REQUEST) == 0:
                    believed.append((place, value))
            except NodeTrouble:
                continue

    padding = whole.index(b"3\0\0\0\0\1") + 1  # of the SOP class, before the command field
    names = [whole.index(one) + 2 for one in (b"\0\0\2\0", b"\0\0\0\x10")]  # of what may be missing
    assert {place for place, _ in believed} <= {padding, *names, *(name + 1 for name in names)}
    assert [value for place, value in believed if place == padding] == [0x20]


def test_a_response_that_is_cut_off_is_refused() -> None:
    whole = answer()
    for end in range(len(whole)):
        with pytest.raises(NodeTrouble):
            status_of(whole[:end], REQUEST)


@pytest.mark.parametrize(
    ("status", "means"),
    [
        *((0, True), (0xB000, True), (0xBFFF, True), (0x0107, True)),
        *((0x0111, False), (0xA700, False), (0xC000, False), (0xFF00, False), (0xFE00, False)),
    ],
)
def test_warnings_are_successes(status: int, means: bool) -> None:  # noqa: FBT001 - a parameter
    assert is_success(status) is means
