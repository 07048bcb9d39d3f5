"""Storage commitment of a node: reports at once, later, of a failure, and none."""

import json
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pynetdicom import AE
from pynetdicom.presentation import build_role

from drawcli.adapters.delivery.dicom_node import DicomNode, opened_target
from drawcli.adapters.delivery.target import Delivery, Destination
from drawcli.adapters.dicom_network import commitments
from drawcli.adapters.dicom_network.association import Deadlines
from drawcli.adapters.dicom_network.commitments import CommitmentFolder
from drawcli.adapters.dicom_network.report_listener import ReportListener
from drawcli.config.sections_network import Receive
from drawcli.config.sections_targets import Target
from drawcli.core.delivery.commitment import CommitmentReport
from drawcli.errors import JobError, NeedsPerson, TryLater
from drawcli.sandbox.pacs.sockets import AssociationSockets
from drawcli.system.records import Invalid
from tests.adapters.delivery.structure_sets import rtstruct
from tests.dicom_sender import Sender, receiving, store_command
from tests.ports import free_port
from tests.scripted_peer import (
    LAST,
    PDU_TYPES,
    Talk,
    acceptance,
    context_answer,
    fragment,
    pdu,
    scripted,
)
from tests.storage_commitment import (
    PUSH_INSTANCE,
    PUSH_MODEL,
    STRUCTURE_SETS,
    answer_of,
    encoded,
    reference,
    report,
    report_command,
    report_pdus,
    requested,
)
from tests.waiting import PATIENCE

__all__ = ["rtstruct"]
Script = Callable[[Talk], None]
BRIEF = 0.3  # seconds: for a report that does not come


def at(port: int, state: Path) -> DicomNode:
    node = opened_target(Target(node=f"TPS@127.0.0.1:{port}", commitment=True), "WARD7", state)
    node.deadlines = Deadlines(release=0.3)
    return node


def delivery(path: Path) -> Delivery:
    place = Destination(path.parent, path.name)
    data = path.read_bytes()
    return Delivery(
        job_id="j", data=data, destination_in=lambda _: place, sender=str, work_folder=path.parent
    )


def send(port: int, path: Path, seconds: float = PATIENCE) -> str:
    """Deliver as a run of its own would; a report may take so long."""
    with pytest.MonkeyPatch().context() as patch:
        patch.setattr(commitments, "REPORT_SECONDS", seconds)
        return at(port, path.parent).send(delivery(path))


def stores(talk: Talk) -> None:
    talk.accept()
    talk.take()
    talk.answer()
    talk.release()


def asked(talk: Talk) -> str:
    """Take a request for commitment and answer it; return its transaction."""
    talk.accept()
    talk.take()
    talk.answer()
    return str(requested(talk.asked.data).TransactionUID)


def instance_of(talk: Talk) -> str:
    return str(requested(talk.asked.data).ReferencedSOPSequence[0].ReferencedSOPInstanceUID)


def keeps(talk: Talk) -> None:
    transaction = asked(talk)
    whole = report(transaction, [reference(instance_of(talk))])
    talk.send(report_pdus(talk.asked.context, whole, 1))
    assert answer_of(talk)[0x0900] == 0
    talk.release()


def loses(talk: Talk) -> None:
    transaction = asked(talk)
    whole = report(transaction, [], [reference(instance_of(talk), 0x0112)])
    talk.send(report_pdus(talk.asked.context, whole, 2))
    assert answer_of(talk)[0x0900] == 0
    talk.release()


def says_nothing(talk: Talk) -> None:
    asked(talk)
    talk.release()


def commands(talks: list[Talk]) -> list[int]:
    return [talk.asked.command for talk in talks]


STORE, ACTION = 0x0001, 0x0130


def test_a_node_that_reports_at_once_has_it(rtstruct: Path) -> None:
    with scripted(stores, keeps) as peer:
        assert send(peer.port, rtstruct).startswith("sent to the DICOM node")

    assert commands(peer.talks) == [STORE, ACTION]
    assert list(rtstruct.parent.glob("commit*/*")) == []
    assert list(rtstruct.parent.glob("commitment-*")) == []


def test_without_a_report_it_waits_and_the_file_is_not_sent_again(rtstruct: Path) -> None:
    with scripted(stores, says_nothing, says_nothing, keeps) as peer:
        for _ in range(2):
            with pytest.raises(TryLater, match="has not reported yet") as told:
                send(peer.port, rtstruct, BRIEF)
        assert send(peer.port, rtstruct).startswith("sent to")

    transactions = {requested(talk.asked.data).TransactionUID for talk in peer.talks[1:]}
    assert told.value.code == "commitment"
    assert commands(peer.talks) == [STORE, ACTION, ACTION, ACTION]
    assert len(transactions) == 1


def test_a_report_between_two_runs_is_found_without_asking(rtstruct: Path) -> None:
    with scripted(stores, says_nothing) as peer:
        with pytest.raises(TryLater):
            send(peer.port, rtstruct, BRIEF)
        data = requested(peer.talks[1].asked.data)
        folder = CommitmentFolder.of(rtstruct.parent)
        uid = str(dcmread(rtstruct).SOPInstanceUID)
        assert folder.store(CommitmentReport(data.TransactionUID, frozenset([uid]), {}))
        assert send(peer.port, rtstruct).startswith("sent to")

    assert commands(peer.talks) == [STORE, ACTION]


def test_a_file_that_is_not_kept_is_sent_again_and_then_a_person_is_asked(rtstruct: Path) -> None:
    with scripted(stores, loses, stores, loses, stores, keeps) as peer:
        with pytest.raises(TryLater, match=r"0112.*sent again"):
            send(peer.port, rtstruct)
        with pytest.raises(NeedsPerson, match="second time") as told:
            send(peer.port, rtstruct)
        assert send(peer.port, rtstruct).startswith("sent to")  # the job was released

    assert told.value.code == "commitment-failed"
    assert commands(peer.talks) == [STORE, ACTION] * 3


def of_another_transaction(talk: Talk) -> None:
    asked(talk)
    whole = report("2.25.999", [reference(instance_of(talk))])
    talk.send(report_pdus(talk.asked.context, whole, 1))
    assert answer_of(talk)[0x0900] == 0x0110
    talk.release()


def of_another_instance(talk: Talk) -> None:
    whole = report(asked(talk), [reference("1.2.3")])
    talk.send(report_pdus(talk.asked.context, whole, 1))
    assert answer_of(talk)[0x0900] == 0x0110
    talk.release()


def contradicts(talk: Talk) -> None:
    transaction, uid = asked(talk), instance_of(talk)
    whole = report(transaction, [reference(uid)], [reference(uid, 0x0112)])
    talk.send(report_pdus(talk.asked.context, whole, 2))


def on_another_context(talk: Talk) -> None:
    whole = report(asked(talk), [reference(instance_of(talk))])
    talk.send(report_pdus(5, whole, 1))


def too_long(talk: Talk) -> None:
    asked(talk)
    talk.send(pdu("data", fragment(talk.asked.context, report_command(1))))
    talk.send(pdu("data", b"", length=1 << 31)[:6])


def half(talk: Talk) -> None:
    whole = report(asked(talk), [reference(instance_of(talk))])
    talk.send(pdu("data", fragment(talk.asked.context, report_command(1))))
    talk.send(pdu("data", fragment(talk.asked.context, encoded(whole)[:40], 0)))
    talk.line.close()


def data_first(talk: Talk) -> None:
    whole = report(asked(talk), [reference(instance_of(talk))])
    talk.send(pdu("data", fragment(talk.asked.context, encoded(whole), LAST)))


def refuses_to_ask(talk: Talk) -> None:
    talk.accept()
    talk.take()
    talk.answer(status=0x0213)
    talk.release()


def another_command(talk: Talk) -> None:
    talk.accept()
    talk.take()
    talk.answer(command=0x8001)


def no_commitment(talk: Talk) -> None:
    talk.accept(takes=lambda _: False)
    talk.release()


@pytest.mark.parametrize(
    "script",
    [
        of_another_transaction,
        of_another_instance,
        contradicts,
        on_another_context,
        too_long,
        half,
        data_first,
        refuses_to_ask,
        another_command,
        no_commitment,
    ],
)
def test_a_report_that_is_not_about_this_file_or_broken_keeps_it_waiting(
    rtstruct: Path, script: Script
) -> None:
    with scripted(stores, script, keeps) as peer:
        with pytest.raises(TryLater) as told:
            send(peer.port, rtstruct)  # nobody waits longer for what is no report
        assert send(peer.port, rtstruct).startswith("sent to")

    assert told.value.code in ("commitment", "dicom-node")
    assert commands(peer.talks)[0] == STORE
    assert commands(peer.talks)[2:] == [ACTION]


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"sha256": 1}'])
def test_a_record_that_is_damaged_sends_the_file_again(rtstruct: Path, damage: str) -> None:
    with scripted(stores, says_nothing, stores, keeps) as peer:
        with pytest.raises(TryLater):
            send(peer.port, rtstruct, BRIEF)
        (record,) = rtstruct.parent.glob("commitment-*.json")
        record.write_text(damage)
        assert send(peer.port, rtstruct).startswith("sent to")

    assert commands(peer.talks) == [STORE, ACTION, STORE, ACTION]


@pytest.mark.parametrize("damage", ["", "[]", '{"result": 0}', '{"result": true}'])
def test_a_result_that_is_damaged_is_none(rtstruct: Path, damage: str) -> None:
    with scripted(stores, says_nothing, keeps) as peer:
        with pytest.raises(TryLater):
            send(peer.port, rtstruct, BRIEF)
        (result,) = (rtstruct.parent / "commitments").glob("*.json")
        result.write_text(damage)
        assert send(peer.port, rtstruct).startswith("sent to")

    assert commands(peer.talks) == [STORE, ACTION, ACTION]


def test_an_echo_tests_whether_the_node_offers_commitment(rtstruct: Path) -> None:
    def without(talk: Talk) -> None:
        talk.requested()
        taken = {n: one for n, one in talk.offered.items() if one[0] != PUSH_MODEL}
        answers = [
            context_answer(n, 0 if n in taken else 3, syntaxes[0])
            for n, (_, syntaxes) in talk.offered.items()
        ]
        talk.send(acceptance(b"".join(answers)))

    with scripted(without) as peer, pytest.raises(TryLater, match="storage commitment"):
        at(peer.port, rtstruct.parent).echo()


# Reports to `drawcli receive`.

COMMITTING = "deliver: {targets: [{node: 'TPS@127.0.0.1:104', commitment: true}]}\n"


def reported(port: int, whole: Dataset, event: int = 1, title: str = "TPS") -> int | None:
    """Send a report as a node does; return the status of the answer, None without association."""
    ae = AE(ae_title=title)
    ae.add_requested_context(PUSH_MODEL)
    sockets = AssociationSockets()
    with closing(sockets):  # also of an association that we end
        association = ae.associate(
            "127.0.0.1",
            port,
            ae_title="DRAWCLI",
            ext_neg=[build_role(PUSH_MODEL, scu_role=False, scp_role=True)],
            evt_handlers=sockets.handlers(),
        )
        if not association.is_established:
            return None
        (context,) = association.accepted_contexts
        assert context.as_scp
        status, _ = association.send_n_event_report(whole, event, PUSH_MODEL, PUSH_INSTANCE)
        association.release()
        return int(status.Status) if status else -1


def test_a_node_reports_later_in_an_association_to_receive(tmp_path: Path) -> None:
    with receiving(tmp_path, ["TPS@127.0.0.1"], more=COMMITTING) as listener:
        folder = CommitmentFolder.of(tmp_path / "state")
        folder.begin("2.25.1", "1.2.3")
        folder.begin("2.25.2", "1.2.4")
        statuses = [
            reported(listener.port, report("2.25.1", [reference("1.2.3")])),
            reported(listener.port, report("2.25.2", [], [reference("1.2.4", 0x0112)]), 2),
            reported(listener.port, report("2.25.3", [reference("1.2.3")])),  # never asked for
            reported(listener.port, report("2.25.2", [reference("9.9")])),
            reported(listener.port, report("2.25.1", [], [reference("1.2.3", 0x0112)]), 2),
        ]

    assert statuses == [0, 0, 0x0110, 0x0110, 0]
    assert [folder.result(uid) for uid in ("2.25.1", "2.25.2", "2.25.3")] == [0, 0x0112, None]
    assert len(list(folder.folder.iterdir())) == 2
    assert listener.stored() == []


def test_a_report_of_an_unknown_caller_or_where_none_is_expected_is_not_taken(
    tmp_path: Path,
) -> None:
    with receiving(tmp_path / "a", ["TPS@127.0.0.1"], more=COMMITTING) as listener:
        stranger = reported(listener.port, report("2.25.1", []), title="OTHER")
    with receiving(tmp_path / "b", ["TPS@127.0.0.1"]) as listener:
        unexpected = reported(listener.port, report("2.25.1", []))

    assert (stranger, unexpected) == (None, None)


def test_a_report_that_is_none_ends_the_association_and_nothing_else(tmp_path: Path) -> None:
    bad = report("2.25.1", [reference("1.2.3")], [reference("1.2.3", 1)])
    with receiving(tmp_path, ["TPS@127.0.0.1"], more=COMMITTING) as listener:
        folder = CommitmentFolder.of(tmp_path / "state")
        folder.begin("2.25.1", "1.2.3")
        assert reported(listener.port, bad, 2) == -1
        assert reported(listener.port, report("2.25.1", [reference("1.2.3")])) == 0

    assert folder.result("2.25.1") == 0


def test_a_result_names_no_patient(rtstruct: Path) -> None:
    with scripted(stores, says_nothing) as peer, pytest.raises(JobError) as told:
        send(peer.port, rtstruct, BRIEF)

    kept = [path.read_text() for path in rtstruct.parent.rglob("*.json")]
    assert "MRN" not in f"{kept} {told.value} {told.value.hint}"
    assert all(json.loads(text) for text in kept)
    assert STRUCTURE_SETS not in "".join(kept)


# Reports to a run, at a site without `drawcli receive`.


def waiting_at(port: int, state: Path, listens: int, **more: object) -> DicomNode:
    """Return a node whose reports a run waits for on a port."""
    settings = {"listen": f"127.0.0.1:{listens}", "callers": ["TPS@127.0.0.1"]} | more
    target = Target(node=f"TPS@127.0.0.1:{port}", commitment=True)
    return opened_target(target, "WARD7", state, Receive.read(settings))


def reports_to(listens: int, told: list[int | None]) -> Script:
    """Return a script that reports in an association of its own, while the request is open."""

    def script(talk: Talk) -> None:
        transaction = asked(talk)
        whole = report(transaction, [reference(instance_of(talk))])
        told.append(reported(listens, whole))
        talk.release()

    return script


def test_without_receive_a_run_listens_while_it_waits(
    rtstruct: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commitments, "REPORT_SECONDS", PATIENCE)  # it ends when it is there
    listens, told = free_port(), list[int | None]()
    with scripted(stores, reports_to(listens, told)) as peer:
        said = waiting_at(peer.port, rtstruct.parent, listens).send(delivery(rtstruct))
        with pytest.raises(ConnectionError):
            Sender(listens)

    assert told == [0]
    assert said.startswith("sent to")


def test_what_listens_for_reports_stores_no_object(tmp_path: Path) -> None:
    listens = free_port()
    settings = Receive.read({"listen": f"127.0.0.1:{listens}", "callers": ["CT1@127.0.0.1"]})
    listener = ReportListener(settings, CommitmentFolder.of(tmp_path))
    with listener.listening() as is_open, Sender(listens) as sender:
        assert is_open
        assert sender.associate() == PDU_TYPES["accept"]
        assert sender.echo() == 0
        sender.send(pdu("data", fragment(1, store_command("1.2.3"))))
        assert sender.ends() == PDU_TYPES["abort"]
    assert list(tmp_path.rglob("*")) == []


@pytest.mark.parametrize("more", [{"folder": Path("in")}, {"callers": []}])
def test_a_run_does_not_listen_beside_receive_or_for_nobody(
    rtstruct: Path, more: dict[str, object]
) -> None:
    node = waiting_at(104, rtstruct.parent, 11112, **more)

    assert node.commitment is not None
    assert node.commitment.listener is None


def test_while_another_process_has_the_address_a_run_asks_all_the_same(rtstruct: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        scripted(stores, keeps) as peer,
    ):
        node = waiting_at(peer.port, rtstruct.parent, taken.getsockname()[1])
        assert node.send(delivery(rtstruct)).startswith("sent to")


def test_a_target_may_have_an_ae_title_of_ours_of_its_own(tmp_path: Path) -> None:
    target = Target(node="TPS@127.0.0.1:104", ae_title="DRAW2")

    assert opened_target(target, "WARD7", tmp_path).calling == "DRAW2"
    assert opened_target(target.replace(ae_title=""), "WARD7", tmp_path).calling == "WARD7"
    with pytest.raises(Invalid):
        Target(folder="x", ae_title="DRAW2")
