"""The DICOM Conformance Statement says what associations negotiate, and what statuses do."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom._uid_dict import UID_dictionary
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from drawcli import __version__
from drawcli.adapters.delivery.dicom_node import DicomNode
from drawcli.adapters.delivery.probe import probe_node
from drawcli.adapters.dicom_network.association import Deadlines
from drawcli.adapters.dicom_network.query_association import QueryAssociation
from drawcli.core.protocol.dicom_address import Node
from drawcli.core.pull.answers import ArchivedInstance, ArchivedSeries
from drawcli.core.pull.offers import storage_offers
from drawcli.core.pull.retrieval import GET
from drawcli.errors import NeedsPerson, TryLater
from drawcli.system.limits import RECEIVE_PDU_BYTES
from tests import conformance
from tests.adapters.delivery.structure_sets import rtstruct
from tests.adapters.delivery.test_commitment import at as committing
from tests.adapters.delivery.test_commitment import delivery
from tests.dicom_sender import (
    CT,
    Receiving,
    Sender,
    association_body,
    context_offer,
    receiving,
)
from tests.scripted_peer import PDU_TYPES, Peer, Talk, item, items_of, pdu, scripted

__all__ = ["rtstruct"]
PAGE = (Path(__file__).parents[1] / "docs/reference/conformance.md").read_text(encoding="utf-8")
NAMES = {uid: facts[0].removesuffix(" SOP Class") for uid, facts in UID_dictionary.items()}
UIDS = {
    kind: sorted(uid for uid, facts in UID_dictionary.items() if facts[1] == kind)
    for kind in ("SOP Class", "Transfer Syntax")
}
ALL_ON = (
    "qa: {enabled: true}\ndeliver: {targets: [{node: 'TPS@127.0.0.1:104', commitment: true}]}\n"
)
ASYNCHRONOUS, EXTENDED, COMMON, IDENTITY, ROLE = 0x53, 0x56, 0x57, 0x58, 0x54
LONGEST, CLASS, VERSION = 0x51, 0x52, 0x55


def table(title: str, number: int = 0) -> list[dict[str, str]]:
    """Return the rows of a table behind a title."""
    blocks = re.findall(r"(?:^\|.*\n)+", PAGE.partition(f"# {title}\n")[2], re.MULTILINE)
    head, _, *rows = (line.strip("|\n").split("|") for line in blocks[number].splitlines())
    return [
        {key.strip(): cell.strip(" `") for key, cell in zip(head, row, strict=True)} for row in rows
    ]


def stated() -> dict[str, frozenset[str]]:
    """Return the transfer syntaxes of each SOP class that the page says are accepted."""
    syntaxes = table("Transfer syntaxes")
    groups = {name: frozenset(row["UID"] for row in syntaxes if row[name]) for name in "AB"}
    rows = table("Presentation contexts that are accepted")
    return {row["UID"]: groups[row["transfer syntaxes"]] for row in rows}


def association_facts(title: str) -> dict[str, str]:
    return {row["association"]: row["value"] for row in table(title)}


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiving]:
    with receiving(tmp_path_factory.mktemp("site"), more=ALL_ON) as running:
        yield running


def answers(running: Receiving, offers: list[tuple[str, list[str]]]) -> Iterator[str]:
    """Yield the transfer syntax that is accepted of each context, or ""."""
    for start in range(0, len(offers), 60):  # a request has at most 128 KiB
        some = offers[start : start + 60]
        contexts = b"".join(
            context_offer(2 * n + 1, sop_class, *syntaxes)
            for n, (sop_class, syntaxes) in enumerate(some)
        )
        with running.sender() as sender:
            sender.send(pdu(1, association_body(contexts)))
            kind, body = sender.read_pdu()
            assert kind == PDU_TYPES["accept"]
            for item_type, content in items_of(body[68:]):
                if item_type == 0x21:
                    named = dict(items_of(content[4:]))[0x40].decode()
                    yield named if content[2] == 0 else ""


def test_what_the_listener_accepts_is_what_the_statement_says(listener: Receiving) -> None:
    pairs = [(one, [syntax]) for one in stated() for syntax in UIDS["Transfer Syntax"]]
    others = [uid for uid in UIDS["SOP Class"] if uid not in stated()]

    taken: dict[str, set[str]] = {}
    for (sop_class, _), syntax in zip(pairs, answers(listener, pairs), strict=True):
        taken.setdefault(sop_class, set()).add(syntax)
    of_others = answers(listener, [(uid, UIDS["Transfer Syntax"]) for uid in others])

    assert {one: frozenset(found - {""}) for one, found in taken.items()} == stated()
    assert set(of_others) == {""}
    assert len(others) > 200


def test_the_classes_that_need_a_setting_are_marked(tmp_path: Path) -> None:
    rows = table("Presentation contexts that are accepted")
    with receiving(tmp_path) as running:
        usual = answers(running, [(row["UID"], UIDS["Transfer Syntax"]) for row in rows])
        assert [bool(syntax) for syntax in usual] == [not row["if"] for row in rows]


def test_of_the_transfer_syntaxes_of_a_context_the_first_supported_is_chosen(
    listener: Receiving,
) -> None:
    syntaxes = sorted(stated()[CT])

    assert list(answers(listener, [(CT, syntaxes), (CT, syntaxes[::-1])])) == [
        syntaxes[0],
        syntaxes[-1],
    ]


def test_the_listener_negotiates_nothing_else(listener: Receiving) -> None:
    uid = b"1.2.840.10008.1.20.1"
    role = item(ROLE, len(uid).to_bytes(2) + uid + b"\0\1")
    asked = item(LONGEST, (16_384).to_bytes(4)) + item(CLASS, b"1.2.3") + role
    asked += item(ASYNCHRONOUS, bytes((0, 5, 0, 5))) + item(IDENTITY, b"\1\1\0\1x\0\0")
    asked += item(EXTENDED, len(CT).to_bytes(2) + CT.encode() + b"\1\1")
    contexts = context_offer(1, CT, *stated()[CT]) + context_offer(3, uid, "1.2.840.10008.1.2")
    body = association_body(contexts)
    body = body[: -len(dict(items_of(body[68:]))[0x50]) - 4] + item(0x50, asked)

    with listener.sender() as sender:
        sender.send(pdu(1, body))
        kind, answer = sender.read_pdu()

    user = dict(items_of(dict(items_of(answer[68:]))[0x50]))
    facts = association_facts("`drawcli receive`: storage provider")
    assert kind == PDU_TYPES["accept"]
    assert set(user) == {LONGEST, CLASS, VERSION, ROLE}
    assert user[CLASS].decode() == facts["Implementation Class UID"]
    assert user[VERSION].decode() == f"DRAWCLI_{__version__}"[:16]
    longest = int.from_bytes(user[LONGEST])
    assert facts["maximum length of a PDU that we receive"].split()[0] == str(longest)
    assert longest == RECEIVE_PDU_BYTES
    assert user[ROLE].endswith(b"\0\1")  # as the page says: user 0, provider 1


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"calling": "CT2"}, "receive.callers"),
        ({"called": "OTHER"}, "called AE title"),
        ({"version": 2}, "version"),
    ],
)
def test_an_association_is_rejected_with_the_reason_of_the_statement(
    listener: Receiving, wrong: Mapping[str, Any], reason: str
) -> None:
    (row,) = (one for one in table("A-ASSOCIATE-RJ") if reason in one["when"])

    with listener.sender() as sender:
        sender.send(pdu(1, association_body(**wrong)))
        kind, body = sender.read_pdu()

    assert kind == PDU_TYPES["reject"]
    assert [*body[1:]] == [int(row[name]) for name in ("result", "source", "reason")]


def accepting(talk: Talk) -> None:
    talk.accept()
    talk.take()
    talk.answer()
    talk.release()


def ending(talk: Talk) -> None:
    talk.accept()
    raise EOFError


def checked(talk: Talk) -> None:
    talk.accept()
    talk.take(data_set=False)
    talk.answer()
    talk.release()


def asked_of(peer: Peer) -> list[tuple[str, str]]:
    """Return the last presentation contexts that were proposed, by name."""
    return [
        (NAMES[sop_class], NAMES[syntax])
        for sop_class, syntaxes in peer.talks[-1].offered.values()
        for syntax in syntaxes
    ]


def stated_offers(kind: str) -> list[tuple[str, str]]:
    rows = table("Presentation contexts that are proposed")
    found = [row for row in rows if row["association for"] == kind]
    assert all(NAMES[row["UID"]] == row["SOP class"] for row in found)
    assert all(NAMES[row["UID of it"]] == row["transfer syntax"] for row in found)
    return [(row["SOP class"], row["transfer syntax"]) for row in found]


def soon(node: DicomNode) -> DicomNode:
    node.deadlines = Deadlines(answer=60.0, echo=60.0, rest=60.0, release=0.3, early=0.0)
    return node


@pytest.mark.parametrize(
    "rtstruct", [ImplicitVRLittleEndian, ExplicitVRLittleEndian], indirect=True
)
def test_the_contexts_of_a_delivery_are_those_of_the_statement(rtstruct: Path) -> None:
    name = dcmread(rtstruct).file_meta.TransferSyntaxUID.name
    with scripted(accepting) as peer:
        node = soon(DicomNode(Node("TPS", "127.0.0.1", peer.port), "WARD7"))
        node.store(rtstruct.read_bytes(), rtstruct.parent / "node.json")

        user = dict(peer.talks[0].user)
        assert asked_of(peer) == stated_offers(f"a structure set in {name}")
    facts = association_facts("Delivery: storage user")
    assert set(user) == {LONGEST, CLASS, VERSION}
    assert facts["maximum length of a PDU that we receive"].split()[0] == str(
        int.from_bytes(user[LONGEST])
    )
    assert user[CLASS].decode() == facts["Implementation Class UID"]
    assert user[VERSION].decode() == f"DRAWCLI_{__version__}"[:16]


def test_the_contexts_of_commitment_and_of_checks_are_those_of_the_statement(
    rtstruct: Path,
) -> None:
    with scripted(accepting, ending) as peer:
        with pytest.raises(TryLater):
            soon(committing(peer.port, rtstruct.parent)).send(delivery(rtstruct))
        assert asked_of(peer) == stated_offers("a request for storage commitment")
    with scripted(checked) as peer:
        node = soon(committing(peer.port, rtstruct.parent))
        node.check()
        assert asked_of(peer) == stated_offers("a check with commitment")
        assert probe_node(node).failure == ""
        assert asked_of(peer) == stated_offers("a check with commitment")
        soon(DicomNode(Node("TPS", "127.0.0.1", peer.port), "WARD7")).check()
        assert asked_of(peer) == stated_offers("a check without commitment")


@pytest.mark.parametrize("command", conformance.COMMANDS)
def test_the_contexts_of_a_pull_are_those_of_the_statement(command: int) -> None:
    kind = conformance.COMMANDS[command]
    rows = table("Presentation contexts of queries and retrievals")
    (row,) = (one for one in rows if one["association for"] == kind)
    series, supported = ArchivedSeries("1.2", "1.3", "CT"), conformance.receiver()
    storage = list(storage_offers(series, [ArchivedInstance("1.4")], supported))
    storage = storage if command == GET else []
    with scripted(ending) as peer:
        node = Node("PACS", "127.0.0.1", peer.port)
        QueryAssociation(node, "WARD7", [command], Deadlines(), storage=storage)._abort()

    (sop_class, syntaxes), *stored = peer.talks[0].offered.values()
    roles = [value for kind, value in peer.talks[0].user if kind == ROLE]
    classes = {one for one, _ in stored}
    assert (sop_class, [NAMES[one] for one in syntaxes]) == (row["UID"], [row["transfer syntax"]])
    assert NAMES[sop_class] == row["SOP class"]
    assert [(one, *names) for one, names in stored] == storage[: 126 - 2]
    assert all(value.endswith(b"\0\1") for value in roles)
    assert {value[2:-2].decode() for value in roles} == classes
    listed = PAGE.partition(" Those of CT: ")[2].partition(". At most")[0]
    assert classes == set() or sorted(NAMES[one] for one in classes) == sorted(listed.split(", "))


def test_each_status_of_a_node_does_what_the_statement_says(rtstruct: Path) -> None:
    rows = table("Status of C-STORE responses of a node")
    statuses = {int(row["status"][-4:], 16): row["what drawcli does"] for row in rows}
    statuses |= {int(row["status"][:4], 16): row["what drawcli does"] for row in rows}
    waiting = [*statuses]

    def answering(talk: Talk) -> None:
        talk.accept()
        talk.take()
        talk.answer(status=waiting[0])
        talk.release()

    with scripted(answering) as peer:
        for status, what in statuses.items():
            waiting[0] = status
            node = soon(DicomNode(Node("TPS", "127.0.0.1", peer.port), "WARD7"))
            record = rtstruct.parent / f"{status:04X}.json"
            assert outcome(node, rtstruct, record) in what, f"{status:04X}"


def outcome(node: DicomNode, path: Path, record: Path) -> str:
    try:
        said = node.store(path.read_bytes(), record)
    except NeedsPerson:
        return "the job is held"
    except TryLater:
        return "the job waits"
    return "delivered, with a warning" if said else "delivered"


def test_the_statuses_of_the_listener_are_those_of_the_statement(listener: Receiving) -> None:
    said = {int(row["status"], 16) for row in table("Status of C-STORE responses")}
    source = Path(__file__).parent / "adapters/dicom_network/test_listener.py"
    tested = {int(one, 16) for one in re.findall(r"0x([0-9A-F]{4})\b", source.read_text())}

    assert said - {0} - tested == {0x0211}
    with Sender(listener.port) as sender:
        sender.associate()
        assert sender.echo() in said
