"""The listener: what it stores, what it refuses, and what no sender can do to it or to others."""

import logging
import socket
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from pydicom import dcmread

from drawcli.adapters.state.receive_state import read_state
from drawcli.system import limits
from tests.dicom_sender import (
    CT,
    ECHO,
    EXPLICIT,
    IMPLICIT,
    USUAL,
    Receiving,
    Sender,
    association_body,
    context_offer,
    data_set,
    echo_command,
    receiving,
    store_command,
)
from tests.scripted_peer import LAST, OF_COMMAND, PDU_TYPES, fragment, item, pdu
from tests.waiting import PATIENCE, wait_until

ACCEPT, REJECT, ABORT = PDU_TYPES["accept"], PDU_TYPES["reject"], PDU_TYPES["abort"]
SOON = 25.0  # seconds, for what takes milliseconds; an object may take 30
AT_ONCE = 9.0  # seconds: less than any deadline of the listener
DEFLATED = "1.2.840.10008.1.2.1.99"
RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiving]:
    """Return one listener for all tests that leave nothing behind; each uses its own UIDs."""
    with receiving(tmp_path_factory.mktemp("site")) as running:
        yield running


@pytest.fixture
def names(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Return a function that returns a new UID of this test."""
    own = zlib.crc32(request.node.name.encode())
    count = iter(range(1, 10_000))
    return lambda: f"1.2.{own}.{next(count)}"


def is_served(running: Receiving, uid: str) -> bool:
    """Return whether an honest sender is served before others are given up."""
    began = time.monotonic()
    with running.associated() as sender:
        is_well = sender.store(uid, data_set(uid)) == 0
        sender.release()
    return is_well and time.monotonic() - began < SOON


def test_an_object_is_stored_with_the_bytes_of_its_data_set(
    shared: Receiving, names: Callable[[], str]
) -> None:
    uid = names()
    sent = data_set(uid, series=names(), pixels=bytes(range(256)) * 4000)

    with shared.associated() as sender:
        status = sender.store(uid, sent)
        (path,) = (one for one in shared.stored() if one.stem == uid)
        sender.release()

    read = dcmread(path)
    meta = read.file_meta
    assert status == 0
    assert path.read_bytes().endswith(sent)
    assert len(path.read_bytes()) == 144 + meta.FileMetaInformationGroupLength + len(sent)
    assert path.parent.name == read.SeriesInstanceUID
    assert (meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID) == (CT, uid)
    assert (meta.TransferSyntaxUID, meta.SourceApplicationEntityTitle) == (EXPLICIT, "CT1")
    assert meta.ImplementationClassUID.startswith("2.25.")


def test_an_echo_is_answered_and_the_response_repeats_the_request(shared: Receiving) -> None:
    with shared.associated() as sender:
        sender.send(pdu("data", fragment(3, echo_command(message=513))))
        answer = sender.response()

    assert (answer[0x100], answer[0x120], answer[0x900], answer[0x02]) == (0x8030, 513, 0, ECHO)


def test_command_and_data_may_share_a_pdu_and_be_cut_anywhere(
    shared: Receiving, names: Callable[[], str]
) -> None:
    uid = names()
    command, sent = store_command(uid), data_set(uid)
    whole = b"".join(
        (
            fragment(1, command[:33], OF_COMMAND),
            fragment(1, command[33:]),
            fragment(1, sent[:1], 0),
            fragment(1, b"", 0),
            fragment(1, sent[1:], 0),
            fragment(1, b"", LAST),
        )
    )
    with shared.associated() as sender:
        message = pdu("data", whole)
        for start in range(0, len(message), 777):
            sender.send(message[start : start + 777])
        assert sender.status() == 0

    (path,) = (one for one in shared.stored() if one.stem == uid)
    assert path.read_bytes().endswith(sent)


def test_a_known_object_with_the_same_bytes_is_stored_once(
    shared: Receiving, names: Callable[[], str]
) -> None:
    uid = names()
    with shared.associated() as sender:
        assert [sender.store(uid, data_set(uid)) for _ in range(3)] == [0, 0, 0]

    assert len([one for one in shared.stored() if one.stem == uid]) == 1


@pytest.mark.parametrize("change", ["pixels", "series"])
def test_a_known_object_with_other_bytes_is_kept_apart_and_refused(
    shared: Receiving, names: Callable[[], str], change: str
) -> None:
    uid = names()
    first = data_set(uid, series="1.2.31")
    other = data_set(uid, series="1.2.31", pixels=b"\3\4" * 500)
    if change == "series":
        other = data_set(uid, series="1.2.32")
    with shared.associated() as sender:
        statuses = [sender.store(uid, one) for one in (first, other, other)]

    (path,) = (one for one in shared.stored() if one.stem == uid)
    (apart,) = (shared.folder / ".drawcli-conflicts").glob(f"{uid}-*.dcm")
    assert statuses == [0, 0x0111, 0x0111]
    assert path.read_bytes().endswith(first)
    assert apart.read_bytes().endswith(other)


@pytest.mark.parametrize(
    ("said", "inside", "status"),
    [
        ("1.2.77.1", {"instance": "1.2.77.2"}, 0xA900),
        ("1.2.77.1", {"instance": "1.2.77.1", "sop_class": RTSTRUCT}, 0xA900),
        ("1.2.77.1", {"instance": "1.2.77.1", "series": "../../x"}, 0xC000),
        ("1.2.77.1", {"instance": "../../../x"}, 0xC000),
        ("1.2.77.1", {"instance": "1.2.77.1", "series": ""}, 0xC000),
        ("../../../etc/x", {"instance": "../../../etc/x"}, 0x0212),
        (b"1.2\x00.3/../x", {"instance": "1.2"}, 0x0212),
        ("C:1.2", {"instance": "C:1.2"}, 0x0212),
        ("..", {"instance": ".."}, 0x0212),
        ("NUL", {"instance": "NUL"}, 0x0212),
        ("1" * 65, {"instance": "1" * 65}, 0x0212),
        ("", {"instance": ""}, 0x0212),
    ],
)
def test_an_object_whose_uids_are_not_valid_or_not_its_own_leaves_nothing(
    shared: Receiving, said: str | bytes, inside: dict[str, Any], status: int
) -> None:
    before = sorted(shared.folder.parent.parent.rglob("*"))
    with shared.associated() as sender:
        assert sender.store(said, data_set(**inside)) == status
        assert sender.echo() == 0  # the association goes on

    after = sorted(shared.folder.parent.parent.rglob("*"))
    assert [one for one in after if one not in before and "receive" not in one.parts] == []


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 500,
        b"\xff" * 500,
        b"\x08\0\x16\0UI",
        zlib.compress(data_set("1.2.77.3")),
        data_set("1.2.77.3")[:40],
        struct.pack("<HH", 0xFFFE, 0xE000) + b"\xff" * 500,
    ],
)
def test_bytes_that_are_no_data_set_are_refused(shared: Receiving, data: bytes) -> None:
    with shared.associated() as sender:
        assert sender.store("1.2.77.3", data) == 0xC000

    assert [one for one in shared.stored() if one.stem == "1.2.77.3"] == []


@pytest.mark.parametrize(
    ("titles", "reason"),
    [
        ({"calling": "CT2"}, (1, 1, 3)),
        ({"calling": "ct1"}, (1, 1, 3)),
        ({"called": "DRAW"}, (1, 1, 7)),
        ({"version": 2}, (1, 2, 2)),
    ],
)
def test_only_the_configured_titles_may_associate(
    shared: Receiving, titles: dict[str, Any], reason: tuple[int, int, int]
) -> None:
    with shared.sender() as sender:
        sender.send(pdu(1, association_body(**titles)))
        kind, body = sender.read_pdu()

    assert (kind, tuple(body[1:])) == (REJECT, reason)


def test_an_address_of_no_caller_is_closed_before_it_says_anything(tmp_path: Path) -> None:
    with receiving(tmp_path, ["CT1@10.1.2.0/24"]) as running, running.sender() as sender:
        assert sender.ends() is None


def test_a_title_is_bound_to_its_network(tmp_path: Path) -> None:
    callers = ["CT1@10.1.2.0/24", "CT2@127.0.0.1"]
    with receiving(tmp_path, callers) as running:
        with running.sender() as sender:
            assert sender.associate(calling="CT1") == REJECT
        with running.sender() as sender:
            assert sender.associate(calling="CT2") == ACCEPT


def test_a_context_is_accepted_with_the_first_transfer_syntax_that_is_received(
    shared: Receiving,
) -> None:
    offers = (
        context_offer(1, CT, DEFLATED, IMPLICIT, EXPLICIT)
        + context_offer(3, RTSTRUCT, EXPLICIT)
        + context_offer(5, CT, DEFLATED)
        + context_offer(7, b"../../etc", EXPLICIT)
        + context_offer(255, ECHO, EXPLICIT)
    )
    with shared.sender() as sender:
        sender.send(pdu(1, association_body(offers)))
        _, body = sender.read_pdu()

    answers = {
        number: (result, body[place + 12 : place + 12 + length].decode())
        for place in range(68, len(body) - 12)
        if body[place] == 0x21 and body[place + 8] == 0x40
        for number, result, length in [
            (body[place + 4], body[place + 6], int.from_bytes(body[place + 10 : place + 12]))
        ]
    }
    assert answers == {1: (0, IMPLICIT), 3: (3, ""), 5: (4, ""), 7: (3, ""), 255: (0, EXPLICIT)}


def test_structure_sets_and_plans_are_received_where_contours_are_compared(tmp_path: Path) -> None:
    offer, sent = context_offer(1, RTSTRUCT, EXPLICIT), data_set("1.2.5", sop_class=RTSTRUCT)
    with (
        receiving(tmp_path, storage_classes="[RTSTRUCT]") as running,
        running.associated(offer) as sender,
    ):
        assert sender.store("1.2.5", sent, sop_class=RTSTRUCT) == 0


BREAKS: dict[str, bytes] = {
    "data before the association": pdu("data", fragment(1, echo_command())),
    "a PDU of 4 GB": pdu(1, b"x", length=0xFFFFFFFF),
    "a release before the association": pdu("release", bytes(4)),
    "a PDU of no known type": pdu(9, b"xxxx"),
    "an acceptance": pdu("accept", bytes(70)),
    "an empty request": pdu(1, b""),
    "items cut off": pdu(1, association_body()[:-3]),
    "10,000 contexts": pdu(
        1, association_body(context_offer(1, CT, EXPLICIT) * 10_000), length=900_000
    ),
    "a context twice": pdu(1, association_body(context_offer(1, CT, EXPLICIT) * 2)),
    "a context of an even number": pdu(1, association_body(context_offer(2, CT, EXPLICIT))),
    "no context": pdu(1, association_body(b"")),
    "a context without a transfer syntax": pdu(1, association_body(context_offer(1, CT))),
    "user information twice": pdu(1, association_body() + item(0x50, b"")),
    "web": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("what", BREAKS)
def test_what_is_no_request_for_an_association_ends_the_connection(
    shared: Receiving, names: Callable[[], str], what: str
) -> None:
    began = time.monotonic()
    with shared.sender() as sender:
        sender.send(BREAKS[what])
        assert sender.ends() == ABORT

    assert time.monotonic() - began < AT_ONCE
    assert is_served(shared, names())


def after(command: bytes, *more: bytes) -> bytes:
    return b"".join([pdu("data", fragment(1, command)), *more])


STORE = store_command("1.2.78")
IN_MESSAGE: dict[str, bytes] = {
    "a data set without a command": pdu("data", fragment(1, b"xx", LAST)),
    "a context that was not negotiated": pdu("data", fragment(9, echo_command())),
    "a data set in another context": after(STORE, pdu("data", fragment(3, b"xx", 0))),
    "a command in a data set": after(STORE, pdu("data", fragment(1, echo_command()))),
    "a release in a command": pdu("data", fragment(1, STORE[:30], OF_COMMAND))
    + pdu("release", bytes(4)),
    "a release in a data set": after(
        STORE, pdu("data", fragment(1, b"xx", 0)), pdu("release", bytes(4))
    ),
    "a second request for an association": pdu(1, association_body()),
    "a data set of 4 GB in one PDU": after(STORE, pdu("data", b"", length=0xFFFFFFFF)),
    "fragments without data": after(STORE, pdu("data", fragment(1, b"", 0) * 1100)),
    "fragments of two bytes": after(STORE, pdu("data", fragment(1, b"xx", 0) * 1100)),
    "PDUs without fragments": after(STORE, pdu("data", b"") * 1100),
    "a fragment of length 0": after(STORE, pdu("data", bytes(4))),
    "a fragment longer than its PDU": after(STORE, pdu("data", struct.pack(">IBB", 99, 1, 0))),
    "a command without end": pdu("data", fragment(1, b"\0" * 15_000, OF_COMMAND)) * 3,
    "a command that cannot be read": pdu("data", fragment(1, b"\1\2\3\4" * 20)),
    "a response": pdu("data", fragment(1, STORE.replace(b"\1\0\0\0\x10\1", b"\1\x80\0\0\x10\1"))),
}


@pytest.mark.parametrize("what", IN_MESSAGE)
def test_a_message_that_breaks_the_standard_ends_the_association(
    shared: Receiving, names: Callable[[], str], what: str
) -> None:
    began = time.monotonic()
    with shared.associated() as sender:
        sender.send(IN_MESSAGE[what])
        assert sender.ends() == ABORT

    assert time.monotonic() - began < AT_ONCE
    assert is_served(shared, names())
    wait_until(lambda: shared.hidden() == [])
    assert [one for one in shared.stored() if one.stem == "1.2.78"] == []


def test_a_request_of_another_class_than_its_context_is_refused_after_its_data(
    shared: Receiving,
) -> None:
    with shared.associated() as sender:
        assert sender.store("1.2.79", data_set("1.2.79"), sop_class=RTSTRUCT) == 0x0122
        assert sender.store("1.2.79", data_set("1.2.79"), context=3) == 0x0122
        assert sender.echo() == 0


def test_a_connection_that_breaks_in_an_object_leaves_nothing(
    shared: Receiving, names: Callable[[], str]
) -> None:
    uid = names()
    with shared.associated() as sender:
        sender.send(after(store_command(uid)))
        sender.send_data(bytes(600_000), last=False)

    assert is_served(shared, names())
    wait_until(lambda: shared.hidden() == [])
    assert [one for one in shared.stored() if one.stem == uid] == []


def test_an_abort_in_an_object_leaves_nothing(shared: Receiving, names: Callable[[], str]) -> None:
    uid = names()
    with shared.associated() as sender:
        sender.send(after(store_command(uid)))
        sender.send_data(bytes(600_000), last=False)
        sender.send(pdu("abort", bytes(4)))
        sender.ends()

    wait_until(lambda: shared.hidden() == [])
    assert [one for one in shared.stored() if one.stem == uid] == []


def repeat(times: int, call: Callable[[], object]) -> None:
    for _ in range(times):
        call()


def test_an_object_beyond_the_limit_is_aborted_and_removed(tmp_path: Path) -> None:
    with receiving(tmp_path, largest_gib=0.001) as running, running.associated() as sender:
        sender.send(after(store_command("1.2.3")))
        with pytest.raises((ConnectionError, EOFError)):
            repeat(10_000, lambda: sender.send_data(bytes(16_000), last=False))
        wait_until(lambda: running.hidden() == [])
        assert running.stored() == []


def test_without_room_an_object_is_read_to_its_end_and_refused(tmp_path: Path) -> None:
    for low in ({"keep_free_gib": 100_000}, {"unfinished_gib": 0.0001}):
        with receiving(tmp_path, **low) as running, running.associated() as sender:
            uid = "1.2.4"
            assert sender.store(uid, data_set(uid, pixels=bytes(400_000))) == 0xA700
            assert sender.echo() == 0
            wait_until(lambda: running.hidden() == [])
            assert running.stored() == []


@pytest.mark.parametrize("phase", ["nothing", "half a request", "associated", "half an object"])
def test_a_sender_that_goes_silent_is_ended(
    tmp_path: Path, phase: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from drawcli.adapters.dicom_network import listener, message_stream

    wanted: dict[str, Any] = {}  # only the deadline of the phase is short, not those before it
    if phase == "associated":
        wanted["first_request_seconds"] = 0.3
    elif phase == "half an object":
        monkeypatch.setattr(message_stream, "RECEIVE_OBJECT_SECONDS", 1.0)
    else:
        monkeypatch.setattr(listener, "RECEIVE_REQUEST_SECONDS", 0.3)
    with receiving(tmp_path, **wanted) as running:
        with running.sender() as sender:
            if phase == "half a request":
                sender.send(pdu(1, association_body())[:50])
            elif phase != "nothing":
                assert sender.associate() == ACCEPT
            if phase == "half an object":
                sender.send(after(store_command("1.2.6")))
                sender.send_data(data_set("1.2.6"), last=False)
            began = time.monotonic()
            sender.ends()
            assert time.monotonic() - began < SOON
        wait_until(lambda: running.hidden() == [])


def test_a_sender_that_drips_is_ended_and_others_are_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from drawcli.adapters.dicom_network import message_stream

    monkeypatch.setattr(message_stream, "RECEIVE_OBJECT_SECONDS", 0.5)
    with receiving(tmp_path) as running, running.associated() as sender:
        sender.send(after(store_command("1.2.7")))
        began = time.monotonic()

        def drip() -> None:
            sender.send_data(b"x", last=False)
            assert is_served(running, f"1.2.8.{time.monotonic_ns()}")

        with pytest.raises((ConnectionError, EOFError)):
            repeat(1000, drip)
        assert time.monotonic() - began < SOON


def test_twenty_associations_that_interleave_two_patients_store_each_object_once(
    tmp_path: Path,
) -> None:
    objects = [(f"1.2.{patient}.{n}", f"1.2.{patient}") for n in range(30) for patient in (1, 2)]

    def send(offset: int) -> list[int]:
        mine = objects[offset % 7 :: 2] + objects[: offset % 5]
        with running.associated() as sender:
            statuses = [
                sender.store(uid, data_set(uid, series=series, pixels=uid.encode() * 3000))
                for uid, series in mine
            ]
            sender.release()
        return statuses

    with receiving(tmp_path) as running:
        with ThreadPoolExecutor(20) as pool:
            statuses = [status for many in pool.map(send, range(20)) for status in many]
        stored = running.stored()

    assert set(statuses) == {0}
    assert sorted((one.stem, one.parent.name) for one in stored) == sorted(objects)
    assert running.hidden() == []
    assert all(dcmread(one).SOPInstanceUID == one.stem for one in stored)


def test_the_same_object_from_many_at_once_is_stored_once(tmp_path: Path) -> None:
    def send(number: int) -> int:
        with running.associated() as sender:
            return sender.store("1.2.3", data_set("1.2.3", pixels=bytes([number % 2]) * 90_000))

    with receiving(tmp_path) as running:
        with ThreadPoolExecutor(16) as pool:
            statuses = sorted(pool.map(send, range(16)))
        assert len(running.stored()) == 1
    assert statuses == [0] * 8 + [0x0111] * 8


def test_thousands_of_silent_connections_keep_nobody_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from drawcli.adapters.dicom_network import listener

    monkeypatch.setattr(listener, "RECEIVE_REQUEST_SECONDS", 10 * PATIENCE)
    with receiving(tmp_path) as running:
        silent: list[socket.socket] = []
        for number in range(1000):
            silent.append(socket.create_connection(("127.0.0.1", running.port)))
            if number % 400 == 399:
                assert is_served(running, f"1.2.{number}")
            if len(silent) > 400:
                silent.pop(0).close()
        wait_until(lambda: sum(map(is_open, silent)) <= limits.RECEIVE_WAITING, seconds=SOON)
        assert sum(map(is_open, silent)) > 100  # silence alone closes none
        for one in silent:
            one.close()


def is_open(line: socket.socket) -> bool:
    line.settimeout(0)
    try:
        return line.recv(100)[:1] not in (b"", bytes([ABORT]))
    except BlockingIOError:
        return True
    except OSError:
        return False


def test_associations_that_ask_nothing_keep_nobody_out(tmp_path: Path) -> None:
    with (
        receiving(tmp_path, associations=4, associations_per_address=4) as running,
        ExitStack() as own,
    ):
        idle = [own.enter_context(running.associated()) for _ in range(12)]
        wait_until(lambda: sum(is_open(one.line) for one in idle) <= 4, seconds=SOON)
        assert is_served(running, "1.2.3")


def test_associations_that_begin_an_object_and_stall_keep_nobody_out(tmp_path: Path) -> None:
    with (
        receiving(tmp_path, associations=4, associations_per_address=4) as running,
        ExitStack() as own,
    ):
        for number in range(12):
            stalled = own.enter_context(running.associated())
            stalled.send(after(store_command(f"1.2.9.{number}")))
            stalled.send_data(bytes(1000), last=False)
        assert is_served(running, "1.2.3")
    assert running.hidden() == []


def test_a_flood_leaves_room_in_the_log(tmp_path: Path) -> None:
    with receiving(tmp_path, associations=4) as running:
        logging.getLogger().setLevel(logging.INFO)
        lines: list[str] = []
        handler = logging.Handler()
        handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
        logging.getLogger("drawcli").addHandler(handler)
        try:
            for _ in range(200):
                with running.sender() as sender:
                    sender.associate(calling="NOBODY")
            assert is_served(running, "1.2.3")
            wait_until(lambda: any("stored=1" in line for line in lines))
        finally:
            logging.getLogger("drawcli").removeHandler(handler)
    assert sum("unknown-caller" in line for line in lines) <= 60
    assert sum("stored=1" in line for line in lines) == 1


def test_above_the_limit_an_association_is_rejected_for_now(tmp_path: Path) -> None:
    with (
        receiving(tmp_path, associations=8, associations_per_address=2) as running,
        ExitStack() as own,
    ):
        busy = [own.enter_context(running.associated()) for _ in range(2)]
        assert [one.echo() for one in busy] == [0, 0]
        with running.sender() as sender:
            sender.send(pdu(1, association_body()))
            assert sender.read_pdu() == (REJECT, bytes((0, 2, 3, 2)))
        for one in busy:
            one.release()
        assert is_served(running, "1.2.3")


def test_a_sender_that_reads_no_answer_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from drawcli.adapters.dicom_network import peer_stream

    monkeypatch.setattr(peer_stream, "RECEIVE_STALL_SECONDS", 1.0)
    with receiving(tmp_path) as running:
        sender = Sender.__new__(Sender)
        sender.line = socket.socket()
        sender.line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sender.line.connect(("127.0.0.1", running.port))
        sender.line.settimeout(PATIENCE)
        with sender:
            assert sender.associate(USUAL) == ACCEPT
            echoes = pdu("data", fragment(3, echo_command())) * 1000
            with pytest.raises((ConnectionError, TimeoutError)):
                repeat(200, lambda: sender.send(echoes))
        assert is_served(running, "1.2.3")


def test_at_the_end_an_object_that_arrives_is_finished_and_idle_associations_are_aborted(
    tmp_path: Path,
) -> None:
    with receiving(tmp_path) as running, running.associated() as idle, running.associated() as busy:
        sent = data_set("1.2.3", pixels=bytes(300_000))
        busy.send(after(store_command("1.2.3")))
        busy.send_data(sent[:100_000], last=False)
        wait_until(lambda: running.hidden() != [])
        running.stop()
        assert idle.ends() == ABORT
        with pytest.raises(ConnectionError):
            running.sender()
        busy.send_data(sent[100_000:])
        assert busy.status() == 0
        assert busy.ends() == ABORT
    assert [one.stem for one in running.stored()] == ["1.2.3"]
    assert running.hidden() == []


def test_a_folder_that_hangs_ends_the_association_and_not_the_listener(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from drawcli.adapters.dicom_network import storing
    from drawcli.adapters.receive_folder.incoming_file import IncomingFile

    working, hangs = IncomingFile.finish, Event()

    def hanging(self: IncomingFile) -> Any:
        hangs.wait(PATIENCE)
        return working(self)

    with receiving(tmp_path) as running:
        with monkeypatch.context() as patched, running.associated() as sender:
            patched.setattr(storing, "RECEIVE_FOLDER_SECONDS", 0.3)
            patched.setattr(IncomingFile, "finish", hanging)
            sender.send(after(store_command("1.2.1")))
            sender.send_data(data_set("1.2.1"))
            assert sender.ends() == ABORT
        with running.associated() as sender:
            assert sender.echo() == 0
        hangs.set()
        assert is_served(running, "1.2.3")
    assert running.hidden() == []


def test_a_bug_ends_one_association(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from drawcli.adapters.receive_folder.incoming_file import IncomingFile

    def buggy(_: IncomingFile) -> Any:
        raise LookupError

    with receiving(tmp_path) as running:
        with monkeypatch.context() as patched, running.associated() as sender:
            patched.setattr(IncomingFile, "finish", buggy)
            sender.send(after(store_command("1.2.1")))
            sender.send_data(data_set("1.2.1"))
            sender.ends()
        assert is_served(running, "1.2.3")
    assert running.hidden() == []
    state = read_state(running.settings.state_dir)
    assert state is not None
    assert state.tally.refused == {"bug": 1}


def test_memory_does_not_grow_with_an_object(tmp_path: Path) -> None:
    import tracemalloc

    with receiving(tmp_path) as running, running.associated() as sender:
        assert sender.store("1.2.1", data_set("1.2.1")) == 0  # everything is loaded
        tracemalloc.start()
        sender.send(after(store_command("1.2.3")))
        sender.send_data(data_set("1.2.3", pixels=bytes(1000)), last=False)
        block = pdu("data", fragment(1, bytes(120_000), 0))
        for _ in range(400):
            sender.send(block)
        sender.send_data(b"")
        sender.status()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 16 << 20  # of 48 MB


def test_what_is_refused_is_counted_by_reason(tmp_path: Path) -> None:
    with receiving(tmp_path) as running:
        with running.associated() as sender:
            sender.store("1.2.1", data_set("1.2.2"))
            sender.store("1.2.3", data_set("1.2.3"))
        with running.sender() as sender:
            assert sender.associate(calling="NOBODY") == REJECT
        with running.sender() as sender:
            sender.send(BREAKS["a PDU of 4 GB"])
            sender.ends()

    state = read_state(running.settings.state_dir)
    assert state is not None
    assert state.tally.refused == {"mismatch": 1, "unknown-caller": 1, "pdu-too-long": 1}
    assert (state.tally.stored, state.tally.associations, state.tally.open) == (1, 1, 0)
    assert state.tally.last_stored > time.time() - 60
    assert limits.RECEIVE_PDU_BYTES == 1 << 17
