"""Requests of a sender and the responses to them; pynetdicom is the oracle of both."""

import random
from io import BytesIO

import pytest
from pynetdicom.dimse_messages import C_STORE_RQ
from pynetdicom.dimse_primitives import C_STORE
from pynetdicom.dsutils import decode, encode

from drawcli.core.dicom_service.association_request import BadMessage
from drawcli.core.dicom_service.service_request import (
    ServiceRequest,
    ServiceStatus,
    parse_request,
    response,
)
from tests.dicom_sender import CT, echo_command, store_command
from tests.scripted_peer import command_set, element, short


def encoded() -> bytes:
    """Return a C-STORE-RQ by pynetdicom."""
    asked = C_STORE()
    asked.MessageID, asked.AffectedSOPClassUID, asked.AffectedSOPInstanceUID = 300, CT, "1.2.3"
    asked.Priority, asked.DataSet = 0, BytesIO(b"xx")
    message = C_STORE_RQ()
    message.primitive_to_message(asked)
    command = encode(message.command_set, is_implicit_vr=True, is_little_endian=True)
    assert command is not None
    return command


def test_a_request_is_parsed_as_it_was_encoded() -> None:
    assert parse_request(encoded()) == ServiceRequest(1, 300, CT, "1.2.3", has_data_set=True)
    assert parse_request(echo_command(9)).is_echo


def test_every_request_cut_short_is_refused() -> None:
    whole = encoded()

    for length in range(len(whole)):
        with pytest.raises(BadMessage):
            parse_request(whole[:length])


def test_a_damaged_request_is_read_or_refused_and_names_no_path() -> None:
    whole, dice = encoded(), random.Random(24)  # noqa: S311 - damage, no secret
    for _ in range(5000):
        damaged = bytearray(whole)
        for _ in range(dice.randint(1, 3)):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        try:
            read = parse_request(bytes(damaged))
        except BadMessage:
            continue
        assert set(read.sop_instance) <= set("0123456789.")
        assert ".." not in read.sop_instance


@pytest.mark.parametrize(
    "command",
    [
        store_command("1.2").replace(b"\1\0\0\0\x10\1", b"\1\x80\0\0\x10\1"),  # a response
        command_set(short(0x100, 1) + short(0x800, 1)),  # without a number
        command_set(short(0x100, 1) + element(0x110, b"1234") + short(0x800, 1)),
        command_set(short(0x110, 1) + short(0x800, 1)),
        command_set(short(0x100, 1) + short(0x110, 1)),
        command_set(b""),
    ],
)
def test_what_is_no_request_is_refused(command: bytes) -> None:
    with pytest.raises(BadMessage, match="bad-command"):
        parse_request(command)


def test_a_response_repeats_what_was_asked() -> None:
    request = parse_request(encoded())
    sent = response(5, request, ServiceStatus.MISMATCH, "why" * 40)
    read = decode(BytesIO(sent[12:]), is_implicit_vr=True, is_little_endian=True)

    assert (sent[10], sent[11]) == (5, 3)
    assert (read.CommandField, read.MessageIDBeingRespondedTo) == (0x8001, 300)
    assert (read.AffectedSOPClassUID, read.AffectedSOPInstanceUID) == (CT, "1.2.3")
    assert (read.Status, read.CommandDataSetType) == (0xA900, 0x0101)
    assert read.ErrorComment == ("why" * 40)[:64]
    assert read.CommandGroupLength == len(sent) - 12 - 12


def test_a_response_never_repeats_what_is_not_a_uid() -> None:
    request = parse_request(store_command("../x"))
    sent = response(1, request, ServiceStatus.MISTYPED)

    assert b".." not in sent
