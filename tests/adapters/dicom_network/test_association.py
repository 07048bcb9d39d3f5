"""Exchanges with a DICOM node that is slow, endless, false or gone: each ends, and says why.

A deadline that a test waits for is short; all others are those of the program, so that no test
depends on the speed of the machine.
"""

import socket
import threading
import tracemalloc
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from drawcli.adapters.dicom_network.association import Association, Deadlines
from drawcli.core.dicom.upper_layer import NodeTrouble, ProposedContext
from drawcli.core.protocol.dicom_address import Node
from drawcli.system.limits import EXCHANGES, NODE_ANSWER_BYTES
from tests.scripted_peer import (
    IMPLICIT,
    LAST,
    OF_COMMAND,
    Talk,
    acceptance,
    command_set,
    context_answer,
    element,
    fragment,
    pdu,
    scripted,
    short,
)
from tests.waiting import PATIENCE

Script = Callable[[Talk], None]
OFFER = ProposedContext(1, "1.2.840.10008.5.1.4.1.1.481.3", IMPLICIT)
VERIFICATION = ProposedContext(3, "1.2.840.10008.1.1", IMPLICIT)
INSTANCE = "1.2.826.0.1.3680043.8.498.77"
SMALL = bytes(range(256)) * 400  # seven fragments
LARGE = bytes(16 << 20)  # more than the system takes from us while the node reads nothing
ZEROS = bytes(1 << 20)
SHORT = 0.3  # seconds: of a deadline that is waited for
FAST = 1e9  # bytes a second


def store(port: int, data: bytes = SMALL, **deadlines: float) -> int:
    node = Node("TPS", "127.0.0.1", port)
    with Association(node, "WARD7", [OFFER, VERIFICATION], Deadlines(**deadlines)) as association:
        return association.store(OFFER, INSTANCE, data, lambda: None)


def echo(port: int, **deadlines: float) -> int:
    node = Node("TPS", "127.0.0.1", port)
    with Association(node, "WARD7", [OFFER, VERIFICATION], Deadlines(**deadlines)) as association:
        return association.echo(VERIFICATION)


ask = pytest.mark.parametrize("ask", [store, echo])


def takes(talk: Talk, ask: Callable[..., int]) -> None:
    """Accept, and read the request."""
    talk.accept()
    talk.take(data_set=ask is store)


def drips(talk: Talk, data: bytes) -> None:
    """Send byte by byte, without end."""
    for byte in data + bytes(60_000):
        talk.send(bytes([byte]))
        sleep(0.01)


def floods(talk: Talk, data: bytes) -> None:
    while True:
        talk.send(data)


def test_a_node_that_answers_has_the_data_set_as_it_was_sent() -> None:
    def honest(talk: Talk) -> None:
        takes(talk, store)
        talk.answer()
        talk.release()

    with scripted(honest) as peer:
        assert store(peer.port) == 0

        (talk,) = peer.talks
        assert peer.closed.wait(PATIENCE)
    assert talk.asked.data == SMALL
    assert (talk.asked.sop_class, talk.asked.sop_instance) == (OFFER.sop_class, INSTANCE)


@pytest.mark.parametrize("longest", [8, 21, 16_384, 0, 0xFFFFFFFF])
def test_no_pdu_is_longer_than_the_node_takes(longest: int) -> None:
    lengths = []

    def measures(talk: Talk) -> None:
        talk.accept(longest=longest)
        read = talk.read_pdu

        def measured() -> tuple[int, bytes]:
            kind, body = read()
            lengths.append(len(body))
            return kind, body

        talk.read_pdu = measured  # type: ignore[method-assign]
        talk.take()
        talk.read_pdu = read  # type: ignore[method-assign]
        talk.answer()
        talk.release()

    with scripted(measures) as peer:
        assert store(peer.port, SMALL[:4000]) == 0

    assert max(lengths) <= (longest or 4096)
    assert all(length % 2 == 0 for length in lengths)  # each of one fragment, of even length


def test_a_node_that_takes_no_data_at_all_is_told_so() -> None:
    with (
        scripted(lambda talk: talk.accept(longest=7)) as peer,
        pytest.raises(NodeTrouble, match="too short for data"),
    ):
        store(peer.port)


# Connect.


def test_a_name_service_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    done, real = threading.Event(), socket.getaddrinfo

    def never(host: str, *args: Any, **facts: Any) -> Any:
        if host == "tps.example" and not facts.get("flags"):
            done.wait(PATIENCE)
        return real(
            "127.0.0.1" if host == "tps.example" and done.is_set() else host, *args, **facts
        )

    monkeypatch.setattr(socket, "getaddrinfo", never)

    with pytest.raises(NodeTrouble, match="the name service did not answer in time"):
        Association(Node("TPS", "tps.example", 104), "WARD7", [OFFER], Deadlines(connect=SHORT))
    done.set()


@pytest.mark.parametrize(
    ("number", "why"),
    [
        (socket.EAI_AGAIN, "the name service does not answer"),
        (socket.EAI_NONAME, "the name service does not know its host"),
    ],
)
def test_a_host_without_an_address_is_said_with_what_may_be_wrong(
    monkeypatch: pytest.MonkeyPatch, number: int, why: str
) -> None:
    def fails(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(number, "in the words of the system")

    monkeypatch.setattr(socket, "getaddrinfo", fails)

    with pytest.raises(NodeTrouble, match=f"cannot be reached: {why}") as told:
        Association(Node("TPS", "tsp.example", 104), "WARD7", [OFFER], Deadlines())
    assert ("typing error" in told.value.hint) == (number == socket.EAI_NONAME)


def test_a_machine_that_takes_no_connection_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:  # more than it keeps waiting: the system answers no other
            one.settimeout(0)
            one.connect_ex(address)
        with pytest.raises(NodeTrouble, match="cannot be reached"):
            Association(
                Node("TPS", "127.0.0.1", address[1]), "WARD7", [OFFER], Deadlines(connect=SHORT)
            )
        for one in waiting:
            one.close()


def test_each_address_of_a_node_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    def two(*_: Any, **__: Any) -> list[Any]:
        stream = (socket.AF_INET, socket.SOCK_STREAM, 0, "")
        return [(*stream, ("127.0.0.1", closed)), (*stream, ("127.0.0.1", peer.port))]

    with socket.socket() as unheard:
        unheard.bind(("127.0.0.1", 0))
        closed = unheard.getsockname()[1]
        with scripted(Talk.accept) as peer:
            monkeypatch.setattr(socket, "getaddrinfo", two)
            node, deadlines = Node("TPS", "tps", 1), Deadlines(release=SHORT)
            with Association(node, "WARD7", [OFFER], deadlines) as association:
                assert association.accepts(OFFER)


# Associate.


@ask
@pytest.mark.parametrize(
    ("script", "why"),
    [
        (lambda talk: talk.wait_until_closed(), "did not answer the association request within"),
        (
            lambda talk: drips(talk, pdu("accept", b"", length=60_000)),
            "did not answer the association request within",
        ),
        (
            lambda talk: talk.send(pdu("accept", b"", length=1000)),
            "did not answer the association request within",
        ),
        (
            lambda talk: floods(talk, pdu("accept", b"", length=0xFFFFFFFF) + ZEROS),
            "a PDU of 4,294,967,295 bytes, more than",
        ),
        (lambda talk: floods(talk, ZEROS), "does not answer like a DICOM node"),
        (lambda talk: talk.send(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "answer like a DICOM node"),
        (lambda talk: talk.send(pdu("abort", bytes(4))), "aborted the association"),
        (lambda talk: talk.send(pdu("data", b"")), "an unexpected PDU"),
        (lambda talk: talk.line.close(), "closed the connection|broke the connection"),
    ],
    ids="silent drips half floods-a-pdu floods-zeros web-server aborts data closes".split(),
)
def test_an_association_that_does_not_come_about(
    ask: Callable[..., int], script: Script, why: str
) -> None:
    with scripted(script) as peer:
        with pytest.raises(NodeTrouble, match=why):
            ask(peer.port, **({"associate": SHORT} if "within" in why else {}))

        assert peer.closed.wait(PATIENCE) or "close" in why


@pytest.mark.parametrize(
    ("contexts", "why"),
    [
        (context_answer(5, 0, IMPLICIT), "a presentation context that was not offered"),
        (context_answer(5, 3), "a presentation context that was not offered"),
        (context_answer(1, 0, "1.2.840.10008.1.2.2"), "a transfer syntax that was not offered"),
        (context_answer(1, 0, "1.2.840.10008.1.2.1"), "a transfer syntax that was not offered"),
        (context_answer(1, 0), "a transfer syntax that was not offered"),
        (context_answer(1, 0, IMPLICIT, IMPLICIT), "a transfer syntax that was not offered"),
        (context_answer(1, 0, IMPLICIT) * 2, "one presentation context twice"),
        (context_answer(1, 0, IMPLICIT) + context_answer(1, 3), "one presentation context twice"),
        (context_answer(1, 0, IMPLICIT)[:-4], "not offered"),
        (b"\x21\x00\x00\x02\x01\x00", "cannot be read"),
    ],
)
def test_an_acceptance_of_what_was_not_offered_is_none(contexts: bytes, why: str) -> None:
    def lies(talk: Talk) -> None:
        talk.requested()
        talk.send(acceptance(contexts))

    with scripted(lies) as peer:
        with pytest.raises(NodeTrouble, match=why):
            store(peer.port)

        assert peer.closed.wait(PATIENCE)


# Store, echo.


@ask
def test_a_node_that_takes_a_request_and_never_answers(ask: Callable[..., int]) -> None:
    with scripted(partial(takes, ask=ask)) as peer:
        with pytest.raises(NodeTrouble, match=r"did not answer the C-(STORE|ECHO) within"):
            ask(peer.port, answer=SHORT, echo=SHORT, slowest=FAST)

        assert peer.closed.wait(PATIENCE)


def endless_command(talk: Talk) -> None:
    floods(talk, pdu("data", fragment(talk.asked.context, bytes(16_000), OF_COMMAND)))


@ask
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (
            lambda talk: drips(talk, pdu("data", b"", length=60_000)),
            "did not finish its answer within",
        ),
        (lambda talk: talk.send(pdu("data", b"", length=200)), "did not finish its answer within"),
        (lambda talk: talk.send(b"\4"), "did not finish its answer within"),
        (
            lambda talk: floods(talk, pdu("data", b"", length=0xFFFFFFF0) + ZEROS),
            "more than an answer can have",
        ),
        (endless_command, "more than an answer can have"),
        (lambda talk: floods(talk, pdu("data", b"") * 1000), "more than an answer can have"),
        (lambda talk: floods(talk, ZEROS), "does not answer like a DICOM node"),
        (lambda talk: talk.send(pdu("abort", bytes(4))), "aborted the association"),
        (lambda talk: talk.send(pdu("release", bytes(4))), "release the association before"),
        (lambda talk: talk.send(pdu("released", bytes(4))), "an unexpected PDU"),
        (lambda talk: talk.send(pdu("accept", bytes(68))), "an unexpected PDU"),
        (lambda talk: talk.line.shutdown(socket.SHUT_RDWR), "(closed|broke) the connection"),
    ],
    ids=(
        "drips half one-byte floods-a-pdu floods-fragments floods-nothing floods-zeros aborts "
        "releases released accepts-again closes"
    ).split(),
)
def test_an_answer_that_does_not_come(ask: Callable[..., int], answer: Script, why: str) -> None:
    def misbehaves(talk: Talk) -> None:
        takes(talk, ask)
        answer(talk)

    with scripted(misbehaves) as peer:
        with pytest.raises(NodeTrouble, match=why):
            ask(peer.port, **({"rest": SHORT} if "within" in why else {}))

        assert peer.closed.wait(PATIENCE)


LIES: list[tuple[dict[str, Any], str]] = [
    ({"message_id": 999}, "another message"),
    ({"message_id": None}, "another message"),
    ({"command": 0x8021}, "with a response to C-MOVE"),
    ({"command": 0x0001}, "with a response to another command"),
    ({"command": None}, "with a response to another command"),
    ({"sop_class": "1.2.840.10008.5.1.4.1.1.2"}, "another SOP class"),
    ({"sop_class": ""}, "another SOP class"),
    ({"sop_instance": "1.2.3"}, "another SOP instance"),
    ({"sop_instance": f"{INSTANCE}.1"}, "another SOP instance"),
    ({"data_set_type": 0x0001}, "announces a data set"),
    ({"data_set_type": None}, "announces a data set"),
    ({"status": None}, "without a status"),
    ({"status": ""}, "without a status"),
    ({"status": "\0\0\0\0"}, "without a status"),
    ({"context": 99}, "another presentation context"),
    ({"context": 0}, "another presentation context"),
]
OF_THE_OTHER: list[tuple[Callable[..., int], dict[str, Any], str]] = [
    (echo, {"command": 0x8001}, "a C-ECHO with a response to C-STORE"),
    (store, {"command": 0x8030}, "a C-STORE with a response to C-ECHO"),
]


@pytest.mark.parametrize(
    ("ask", "lies", "why"),
    [*((ask, *lie) for ask in (store, echo) for lie in LIES), *OF_THE_OTHER],
)
def test_an_answer_that_is_not_about_the_request_counts_for_nothing(
    ask: Callable[..., int], lies: dict[str, Any], why: str
) -> None:
    def false(talk: Talk) -> None:
        takes(talk, ask)
        talk.answer(**lies)

    with scripted(false) as peer:
        with pytest.raises(NodeTrouble, match=why):
            ask(peer.port)

        assert peer.closed.wait(PATIENCE)


def split(talk: Talk) -> bytes:
    """Return a true answer in fragments of one byte, some empty, in two PDUs."""
    whole, context = command_set(talk.elements()), talk.asked.context
    pieces = [fragment(context, whole[i : i + 1], OF_COMMAND) for i in range(len(whole) - 1)]
    pieces += [fragment(context, b"", OF_COMMAND), fragment(context, whole[-1:])]
    return pdu("data", b"".join(pieces[:40])) + pdu("data", b"".join(pieces[40:]))


def with_all(talk: Talk) -> bytes:
    """Return a true answer with what a node may add, and control bits that nobody looks at."""
    more = element(0x0901, b"\x10\0\x10\0") + element(0x0902, b"Patient SMITH^JOHN\x1b[31m")
    elements = talk.elements(sop_instance=None) + more
    if talk.asked.sop_instance:
        elements += element(0x1000, talk.asked.sop_instance.encode())
    return pdu("data", fragment(talk.asked.context, command_set(elements), 0xF3))


def without_uids(talk: Talk) -> bytes:
    elements = talk.elements(sop_class=None, sop_instance=None)
    return pdu("data", fragment(talk.asked.context, command_set(elements)))


@ask
@pytest.mark.parametrize("answer", [split, with_all, without_uids])
def test_a_true_answer_counts_in_whatever_form_it_comes(
    ask: Callable[..., int], answer: Callable[[Talk], bytes]
) -> None:
    def honest(talk: Talk) -> None:
        takes(talk, ask)
        talk.send(answer(talk))
        talk.release()

    with scripted(honest) as peer:
        assert ask(peer.port) == 0


def malformed(name: str, talk: Talk) -> bytes:
    true, context = talk.elements(), talk.asked.context
    whole = command_set(true)
    return {
        "group length too long": fragment(context, command_set(true, length=len(true) + 2)),
        "group length too short": fragment(context, command_set(true, length=0)),
        "no group length": fragment(context, true),
        "group length of two bytes": fragment(context, short(0, len(true)) + true),
        "cut off": fragment(context, whole[:-3]),
        "cut off in a head": fragment(context, whole[:-30]),
        "status twice": fragment(context, command_set(true + short(0x0900, 0))),
        "not in order": fragment(context, command_set(short(0x0900, 0) + true)),
        "of another group": fragment(context, command_set(true + b"\x08\0\x18\0\0\0\0\0")),
        "no command at all": fragment(context, b""),
        "garbage": fragment(context, b"\xff" * 8),
        "a data set": fragment(context, whole, LAST),
        "two answers in one PDU": fragment(context, whole) * 2,
        "a data set behind it": fragment(context, whole) + fragment(context, b"\0\0", LAST),
        "fragment of length 0": struct_of_length(0, whole),
        "fragment of length 1": struct_of_length(1, whole),
        "fragment longer than its PDU": struct_of_length(0xFFFFFFFF, whole),
        "fragment cut off": fragment(context, whole) + b"\0\0\0",
    }[name]


def struct_of_length(length: int, content: bytes) -> bytes:
    return length.to_bytes(4, "big") + b"\1\3" + content


@ask
@pytest.mark.parametrize(
    "name",
    """group length too long/group length too short/no group length/group length of two bytes
    /cut off/cut off in a head/status twice/not in order/of another group/no command at all
    /garbage/a data set/two answers in one PDU/a data set behind it/fragment of length 0
    /fragment of length 1/fragment longer than its PDU/fragment cut off""".replace(
        "\n    ", ""
    ).split("/"),
)
def test_an_answer_that_cannot_be_read_counts_for_nothing(
    ask: Callable[..., int], name: str
) -> None:
    def garbles(talk: Talk) -> None:
        takes(talk, ask)
        talk.send(pdu("data", malformed(name, talk)))

    with scripted(garbles) as peer:
        with pytest.raises(NodeTrouble, match=r"answer|sends more than one"):
            ask(peer.port)

        assert peer.closed.wait(PATIENCE)


def test_a_node_that_reads_nothing_is_given_up() -> None:
    done = threading.Event()

    def reads_nothing(talk: Talk) -> None:
        talk.accept()
        done.wait(PATIENCE)

    with scripted(reads_nothing) as peer:
        with pytest.raises(NodeTrouble, match="accepted no data for"):
            store(peer.port, LARGE, stall=SHORT)
        done.set()


def test_a_node_that_reads_a_little_all_the_time_is_given_up() -> None:
    done = threading.Event()

    def reads_slowly(talk: Talk) -> None:
        talk.accept()
        while not done.wait(0.01):
            talk.line.recv(1000)

    with scripted(reads_slowly) as peer:
        with pytest.raises(NodeTrouble, match="did not accept the structure set within"):
            store(peer.port, LARGE, send=SHORT, slowest=FAST)
        done.set()


def test_the_time_for_the_answer_begins_when_the_file_is_sent() -> None:
    def reads_slowly(talk: Talk) -> None:
        talk.accept()
        read = talk.line.recv

        class Slow:
            def recv(self, size: int) -> bytes:
                sleep(0.001)
                return read(min(size, 8192))

            def __getattr__(self, name: str) -> Any:
                return getattr(line, name)

        line = talk.line
        talk.line = Slow()  # type: ignore[assignment]
        talk.take()
        talk.answer()
        talk.release()

    with scripted(reads_slowly) as peer:
        assert store(peer.port, bytes(4 << 20), answer=0, slowest=20_000) == 0


@pytest.mark.parametrize("status", [0x0000, 0xB000, 0x0107])
def test_success_before_the_node_has_it_all_counts_for_nothing(status: int) -> None:
    def early(talk: Talk) -> None:
        talk.accept()
        talk.take(data_set=False)
        talk.answer(status=status)

    with scripted(early) as peer:
        with pytest.raises(NodeTrouble, match="before it was sent completely"):
            store(peer.port, early=30)

        assert peer.closed.wait(PATIENCE)


def test_a_refusal_before_the_node_has_it_all_is_a_refusal() -> None:
    def early(talk: Talk) -> None:
        talk.accept()
        talk.take(data_set=False)
        talk.answer(status=0xA700)

    with scripted(early) as peer:
        assert store(peer.port, LARGE, early=30) == 0xA700

        assert peer.closed.wait(PATIENCE)


def test_an_answer_before_the_request_counts_for_nothing() -> None:
    def early(talk: Talk) -> None:
        talk.accept()
        talk.asked.context, talk.asked.message_id, talk.asked.command = 3, 1, 0x30
        talk.asked.sop_class = VERIFICATION.sop_class
        talk.answer()

    with scripted(early) as peer:
        node = Node("TPS", "127.0.0.1", peer.port)
        association = Association(node, "WARD7", [OFFER, VERIFICATION], Deadlines())
        assert association._wire.has_come(30)
        with pytest.raises(NodeTrouble, match="before it was sent completely"), association:
            association.echo(VERIFICATION)


# Release.


@ask
@pytest.mark.parametrize(
    "ending",
    [
        lambda talk: talk.wait_until_closed(),
        lambda talk: drips(talk, pdu("released", b"", length=4)[:6]),
        lambda talk: floods(talk, ZEROS),
        lambda talk: floods(talk, pdu("released", b"", length=0xFFFFFFFF)),
        lambda talk: talk.send(pdu("abort", bytes(4))),
        lambda talk: talk.send(pdu("release", bytes(4))),
        lambda talk: talk.line.close(),
        lambda talk: (talk.answer(), talk.release()),
        lambda talk: floods(talk, pdu("data", fragment(*repeated(talk)))),
    ],
    ids="silent drips floods-zeros floods-a-pdu aborts releases closes again floods-again".split(),
)
def test_what_was_answered_counts_however_the_association_ends(
    ask: Callable[..., int], ending: Script
) -> None:
    def answers(talk: Talk) -> None:
        takes(talk, ask)
        talk.answer()
        ending(talk)

    with scripted(answers) as peer:
        assert ask(peer.port, release=SHORT) == 0


def repeated(talk: Talk) -> tuple[int, bytes]:
    return talk.asked.context, command_set(talk.elements())


@ask
@pytest.mark.parametrize("second", [{"status": 0xA700}, {"message_id": 2}])
def test_two_answers_that_differ_count_for_nothing(
    ask: Callable[..., int], second: dict[str, int]
) -> None:
    def contradicts(talk: Talk) -> None:
        takes(talk, ask)
        talk.answer()
        talk.answer(**second)

    with scripted(contradicts) as peer:
        with pytest.raises(NodeTrouble, match="twice, with different answers"):
            ask(peer.port)

        assert peer.closed.wait(PATIENCE)


# All of it.


def test_a_flood_takes_no_memory_and_no_thread_is_left() -> None:
    def bomb(talk: Talk) -> None:
        takes(talk, store)
        floods(talk, pdu("data", b"", length=0xFFFFFFF0) + ZEROS)

    with scripted(bomb, bomb, bomb, endless) as peer:
        with pytest.raises(NodeTrouble):
            store(peer.port)  # pynetdicom is loaded, which takes 10 MiB
        before = set(threading.enumerate())
        tracemalloc.start()
        for _ in range(3):
            with pytest.raises(NodeTrouble):
                store(peer.port)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

        assert peak < 64 * NODE_ANSWER_BYTES  # 1 MiB of it is the flood's own buffer
        assert set(threading.enumerate()) <= before


def endless(talk: Talk) -> None:
    takes(talk, store)
    endless_command(talk)


def test_the_promise_grows_with_the_file_and_is_finite() -> None:
    deadlines = Deadlines()

    assert deadlines.total_of_echo < 90  # somebody waits for doctor
    assert deadlines.total(0) < 200
    assert deadlines.total(10_000_000) - deadlines.total(5_000_000) == pytest.approx(500)


def test_a_broken_off_block_aborts() -> None:
    seen = []

    def waits(talk: Talk) -> None:
        talk.accept()
        seen.append(talk.read_pdu())

    with scripted(waits) as peer:
        node = Node("TPS", "127.0.0.1", peer.port)
        with (
            pytest.raises(KeyboardInterrupt),
            Association(node, "WARD7", [OFFER], Deadlines()),
        ):
            raise KeyboardInterrupt
        assert peer.closed.wait(PATIENCE)

    assert seen == [(7, bytes(4))]


def test_the_page_on_nodes_names_the_deadlines_as_they_are() -> None:
    page = (Path(__file__).parents[3] / "docs/how-to/dicom-node.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ") and " s" in line]
    times = Deadlines()
    held_back = times.answering(1 << 30) - times.answer

    for what, named in [
        ("connect", [times.connect]),
        ("accept or reject", [times.associate]),
        ("send", [times.send, times.stall]),
        ("begin the answer", [times.answer, held_back, times.echo]),
        ("end the answer", [times.rest]),
        ("release", [times.release]),
    ]:
        (row,) = [one for one in rows if what in one.partition("|")[2].partition("|")[0]]
        assert [seconds for seconds in named if f"{seconds:.0f} s" not in row] == []
    assert "1 s for every 10 kB" in page
    assert f"{NODE_ANSWER_BYTES >> 10} KiB" in page


def test_the_table_of_exchanges_says_how_long_a_node_may_take() -> None:
    deadlines = Deadlines(early=0)

    assert EXCHANGES["store"].seconds == deadlines.total(0)
    assert EXCHANGES["echo"].seconds == deadlines.total_of_echo
