"""Messages of storage commitment; pydicom and pynetdicom read and write the other side."""

from io import BytesIO

import pytest
from pydicom import Dataset
from pynetdicom.dimse_messages import N_ACTION_RQ, N_EVENT_REPORT_RSP
from pynetdicom.dsutils import decode

from drawcli.core.delivery.commitment import (
    CommitmentReport,
    action_command,
    action_data,
    parse_report,
    parse_report_request,
    report_response,
)
from drawcli.core.dicom.upper_layer import NodeTrouble
from tests.scripted_peer import command_set, element, short
from tests.storage_commitment import (
    PUSH_INSTANCE,
    PUSH_MODEL,
    STRUCTURE_SETS,
    encoded,
    reference,
    report,
    report_command,
    requested,
)

TRANSACTION = "2.25.12"


def decoded(command: bytes) -> Dataset:
    return decode(BytesIO(command), is_implicit_vr=True, is_little_endian=True)


def read(whole: Dataset | bytes, event: int = 1, *, explicit: bool = False) -> CommitmentReport:
    data = whole if isinstance(whole, bytes) else encoded(whole, implicit=not explicit)
    return parse_report(data, explicit=explicit, event_type=event)


def test_a_request_is_what_the_standard_asks_for() -> None:
    command = decoded(action_command(1))
    data = requested(action_data(TRANSACTION, STRUCTURE_SETS, "2.25.7"))

    assert command.CommandField == 0x0130
    assert (command.RequestedSOPClassUID, command.RequestedSOPInstanceUID) == (
        PUSH_MODEL,
        PUSH_INSTANCE,
    )
    assert (command.ActionTypeID, command.CommandDataSetType) == (1, 0)
    assert set(command.keys()) == set(N_ACTION_RQ().command_set.keys())
    assert data == _asked()


def _asked() -> Dataset:
    whole = report(TRANSACTION, [reference("2.25.7")])
    return requested(encoded(whole))


def test_an_answer_to_a_report_is_what_the_standard_asks_for() -> None:
    answer = decoded(report_response(parse_report_request(report_command(2, 9)), 0))

    assert (answer.CommandField, answer.Status, answer.MessageIDBeingRespondedTo) == (0x8100, 0, 9)
    assert (answer.AffectedSOPClassUID, answer.EventTypeID) == (PUSH_MODEL, 2)
    assert set(answer.keys()) <= set(N_EVENT_REPORT_RSP().command_set.keys())


@pytest.mark.parametrize("explicit", [False, True])
def test_a_report_names_what_is_kept_and_what_is_not_and_why(*, explicit: bool) -> None:
    whole = report(TRANSACTION, [reference("1.1"), reference("1.2")], [reference("1.3", 0x0112)])

    found = read(whole, 2, explicit=explicit)

    assert found.transaction == TRANSACTION
    assert [found.result_of(uid) for uid in ("1.1", "1.2", "1.3", "1.4")] == [0, 0, 0x0112, None]


def test_a_failure_without_a_reason_is_a_failure() -> None:
    assert read(report(TRANSACTION, [], [reference("1.3")]), 2).result_of("1.3") == 0x0110


@pytest.mark.parametrize(
    ("whole", "event"),
    [
        (report("", [reference("1.1")]), 1),
        (report(TRANSACTION, [reference("1.1")], [reference("1.1", 0x0112)]), 2),
        (report(TRANSACTION, [reference("1.1"), reference("1.1")]), 1),
        (report(TRANSACTION, [reference("1.1")], [reference("1.2", 0x0112)]), 1),
        (report(TRANSACTION, [reference("")]), 1),
        (b"", 1),
        (b"\x08\x00\x95\x11\xff\xff\xff\x7f1.2", 1),
        (b"\xff" * 64, 1),
    ],
)
def test_a_report_that_contradicts_itself_or_cannot_be_read_is_refused(
    whole: Dataset | bytes, event: int
) -> None:
    with pytest.raises(NodeTrouble, match="cannot be read"):
        read(whole, event)


def test_a_report_that_is_cut_or_changed_anywhere_is_read_or_refused() -> None:
    data = encoded(report(TRANSACTION, [reference("1.1")], [reference("1.2", 0x0112)]))
    damaged = [data[:n] for n in range(len(data))]
    damaged += [data[:n] + bytes([data[n] ^ 0xFF]) + data[n + 1 :] for n in range(len(data))]
    for part in damaged:
        try:
            found = read(part, 2)
        except NodeTrouble:
            continue
        assert not (found.transaction == TRANSACTION and found.result_of("1.2") == 0)


@pytest.mark.parametrize(
    "command",
    [
        report_command(3),
        report_command(1).replace(b"1.20.1.1", b"1.20.1.2"),
        command_set(short(0x0100, 0x0100)),
        command_set(element(0x0002, PUSH_MODEL.encode()) + short(0x0100, 0x0130)),
        b"",
    ],
)
def test_a_command_that_is_no_report_is_refused(command: bytes) -> None:
    with pytest.raises(NodeTrouble):
        parse_report_request(command)
