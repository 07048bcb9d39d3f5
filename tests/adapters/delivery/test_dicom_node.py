"""Structure sets by C-STORE: to pynetdicom's SCP, to DCMTK's storescp, and to scripted nodes."""

import hashlib
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import evt
from pynetdicom.sop_class import CTImageStorage  # type: ignore[attr-defined]

from drawcli.adapters.delivery.dicom_node import DicomNode, opened
from drawcli.adapters.dicom_network.association import Deadlines
from drawcli.config.sections_delivery import Deliver
from drawcli.core.protocol.dicom_address import Node
from drawcli.errors import BadStructureSet, ConfigError, JobError, NeedsPerson, TryLater
from tests.adapters.delivery.structure_sets import PELVIS, rtstruct
from tests.dicom_peer import Peer, behind_meta, listening
from tests.ports import free_port
from tests.scripted_peer import Talk, scripted
from tests.waiting import wait_for_port

__all__ = ["rtstruct"]
# DCMTK's: pynetdicom puts a program of the same name beside the interpreter.
ELSEWHERE = [one for one in os.get_exec_path() if not one.startswith(sys.prefix)]
STORESCP = shutil.which("storescp", path=os.pathsep.join(ELSEWHERE))
DCMDUMP = shutil.which("dcmdump", path=os.pathsep.join(ELSEWHERE))
needs_storescp = pytest.mark.skipif(STORESCP is None, reason="DCMTK is not installed")


def at(port: int, title: str = "TPS") -> DicomNode:
    return DicomNode(Node(title, "127.0.0.1", port), "WARD7")


def store(node: DicomNode, path: Path) -> str:
    """Send a file, with the record of its job beside it."""
    return node.store(path.read_bytes(), path.parent / "node.json")


each_coding = pytest.mark.parametrize(
    "rtstruct", [ImplicitVRLittleEndian, ExplicitVRLittleEndian], indirect=True
)


@each_coding
def test_a_node_gets_the_bytes_that_lie_in_the_folder(rtstruct: Path) -> None:
    with listening(Peer()) as peer:
        said = store(at(peer.port), rtstruct)

    assert said == ""
    assert peer.received == [behind_meta(rtstruct)]
    assert peer.callers == ["WARD7"]


def test_sent_twice_it_is_the_same_instance(rtstruct: Path) -> None:
    with listening(Peer()) as peer:
        store(at(peer.port), rtstruct)
        store(at(peer.port), rtstruct)

    first, second = peer.received
    assert first == second


@pytest.mark.parametrize("status", [0xB000, 0xB006, 0xB007, 0x0107, 0x0116, 0x0001, 0xB123])
def test_what_a_node_changes_is_told(rtstruct: Path, status: int) -> None:
    with listening(Peer(status)) as peer:
        assert f"{status:04X}" in store(at(peer.port), rtstruct)


@pytest.mark.parametrize("status", [0xA700, 0xA701, 0x0124])
def test_a_node_that_cannot_take_it_now_is_asked_later(rtstruct: Path, status: int) -> None:
    with listening(Peer(status)) as peer, pytest.raises(TryLater, match=f"{status:04X}") as told:
        store(at(peer.port), rtstruct)

    assert told.value.code == "dicom-node"


@pytest.mark.parametrize("status", [0xA900, 0xC000, 0xC123, 0x0110, 0x0117, 0x0122, 0xFF00])
def test_a_structure_set_that_a_node_refuses_is_for_a_person(rtstruct: Path, status: int) -> None:
    with listening(Peer(status)) as peer, pytest.raises(NeedsPerson, match=f"{status:04X}") as told:
        store(at(peer.port), rtstruct)

    assert told.value.code == "node-refused"


def test_a_node_that_is_silent_now_and_then_costs_no_run_more_than_four_times_its_time(
    rtstruct: Path,
) -> None:
    def answers(talk: Talk) -> None:
        talk.accept()
        talk.take()
        talk.answer()
        talk.release()

    def is_silent(talk: Talk) -> None:
        talk.accept()
        talk.take()

    with scripted(*[is_silent, answers] * 5) as peer:
        node, outcomes = at(peer.port), list[bool]()
        for number in range(10):  # where it answers it may take its time
            node.deadlines = Deadlines() if number % 2 else Deadlines(answer=0.2)
            outcomes.append(stored(node, rtstruct))

    assert len(peer.talks) == 7
    assert outcomes == [False, True] * 3 + [False] * 4


def stored(node: DicomNode, path: Path) -> bool:
    try:
        store(node, path)
    except TryLater:
        return False
    return True


def test_a_node_that_is_away_is_asked_once_in_a_run(rtstruct: Path) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        node = at(taken.getsockname()[1])
        with pytest.raises(TryLater, match="cannot be reached: Connection refused"):
            store(node, rtstruct)

    with listening(Peer(), require_calling_aet=["SOMEBODY"]) as peer:
        node = at(peer.port)
        for _ in range(3):
            with pytest.raises(TryLater, match="not recognised"):
                store(node, rtstruct)

    assert peer.asked == 1


@pytest.mark.parametrize("status", [0xA700, 0x0124, 0x0110, 0xC000])
def test_what_is_said_of_one_file_says_nothing_of_the_next(rtstruct: Path, status: int) -> None:
    with listening(Peer(status)) as peer:
        node = at(peer.port)
        with pytest.raises(JobError):
            store(node, rtstruct)
        peer.status = 0
        assert store(node, rtstruct) == ""


def test_one_file_without_an_answer_keeps_no_other_and_two_in_a_row_are_enough(
    rtstruct: Path,
) -> None:
    peer = Peer()

    def breaks(event: evt.Event) -> int:
        event.assoc.abort()
        return 0

    with listening(peer):
        node = at(peer.port)
        for answers in (breaks, None, breaks, breaks, None):
            peer.answers = answers
            with (
                nullcontext()
                if answers is None and not node.judge._away
                else pytest.raises(TryLater)
            ):
                store(node, rtstruct)

    assert peer.asked == 4  # the fifth was not tried


@pytest.mark.parametrize("asking", ["store", "echo"])
@pytest.mark.parametrize(
    ("facts", "called", "why"),
    [
        ({"require_called_aet": True}, "OTHER", "called AE title not recognised"),
        ({"require_calling_aet": ["SOMEBODY"]}, "TPS", "calling AE title not recognised"),
        ({"takes": CTImageStorage}, "TPS", "does not accept structure sets"),
    ],
)
def test_what_the_two_do_not_agree_on_is_said(
    rtstruct: Path, facts: dict[str, Any], called: str, why: str, asking: str
) -> None:
    with listening(Peer(), **facts) as peer:
        node = at(peer.port, called)
        with pytest.raises(TryLater) as told:
            store(node, rtstruct) if asking == "store" else node.echo()

    assert why in str(told.value)
    assert f"{called}@127.0.0.1:{peer.port}" in str(told.value)
    assert peer.received == []


def test_no_error_names_the_patient_or_the_path(
    rtstruct: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with listening(Peer(0xC000)) as peer, pytest.raises(NeedsPerson) as told:
        store(opened(Deliver(node=f"TPS@127.0.0.1:{peer.port}")), rtstruct)

    whole = f"{told.value} {told.value.hint} {caplog.text}"
    for secret in (PELVIS.patient_id, str(PELVIS.name).split("^")[0], rtstruct.parent.name):
        assert secret not in whole


@pytest.mark.parametrize("coded", [None, ImplicitVRLittleEndian])
def test_an_echo_finds_what_takes_structure_sets(coded: Any) -> None:
    with listening(Peer(), coded=coded) as peer:
        assert at(peer.port).echo() == ""

    assert peer.asked == 1


def test_an_echo_finds_what_takes_only_some_structure_sets() -> None:
    with listening(Peer(), coded=ExplicitVRLittleEndian) as peer:
        assert "Explicit VR Little Endian only" in at(peer.port).echo()


@pytest.mark.parametrize("rtstruct", [ExplicitVRLittleEndian], indirect=True)
def test_a_node_of_the_default_coding_alone_gets_the_same_values(rtstruct: Path) -> None:
    with listening(Peer(), coded=ImplicitVRLittleEndian) as peer:
        assert store(at(peer.port), rtstruct) == ""

    (data,) = peer.received
    original, sent = dcmread(rtstruct), dcmread(BytesIO(data), force=True)
    assert data != behind_meta(rtstruct)
    assert sent == original


def test_a_node_that_takes_another_coding_alone_gets_nothing(rtstruct: Path) -> None:
    with (
        listening(Peer(), coded=ExplicitVRLittleEndian) as peer,
        pytest.raises(TryLater, match="does not accept structure sets"),
    ):
        store(at(peer.port), rtstruct)

    assert peer.received == []


# The node has the SOP instance already (status 0111).


def lost(talk: Talk) -> None:
    """Take a file, and close the connection without an answer."""
    talk.accept()
    talk.take()
    talk.line.close()


def duplicate(talk: Talk) -> None:
    talk.accept()
    talk.take()
    talk.answer(status=0x0111)
    talk.release()


def breaks_off(talk: Talk) -> None:
    """Take the command, and close the connection before the file has come."""
    talk.accept()
    talk.take(data_set=False)
    talk.line.close()


def changed(path: Path) -> None:
    dataset = dcmread(path)
    dataset.StructureSetLabel = "another"
    dataset.save_as(path)


def test_what_the_node_has_of_an_earlier_try_is_stored_and_reported(rtstruct: Path) -> None:
    with scripted(lost, duplicate) as peer:
        with pytest.raises(TryLater, match="may have the structure set"):
            store(at(peer.port), rtstruct)
        said = store(at(peer.port), rtstruct)

    assert said == "has it from an earlier try (status 0111)"


def test_what_the_node_has_of_somebody_else_is_for_a_person_and_then_stored(
    rtstruct: Path,
) -> None:
    with scripted(duplicate) as peer:
        with pytest.raises(NeedsPerson, match="0111") as told:
            store(at(peer.port), rtstruct)
        said = store(at(peer.port), rtstruct)  # the job was released

    assert told.value.code == "node-duplicate"
    assert "0111" in said


@pytest.mark.parametrize("between", [[], [lost]])
def test_a_node_that_has_an_older_file_of_the_job_is_for_a_person(
    rtstruct: Path, between: list[Callable[[Talk], None]]
) -> None:
    """The same SOP Instance UID, and other contours: the new ones must not count as stored."""

    def stores(talk: Talk) -> None:
        talk.accept()
        talk.take()
        talk.answer()
        talk.release()

    with scripted(stores, *between, duplicate) as peer:
        store(at(peer.port), rtstruct)
        changed(rtstruct)
        for _ in between:
            with pytest.raises(TryLater):
                store(at(peer.port), rtstruct)
        with pytest.raises(NeedsPerson, match="no record that it is this file"):
            store(at(peer.port), rtstruct)
        said = store(at(peer.port), rtstruct)  # the job was released

    assert "0111" in said


def test_a_file_that_never_went_out_whole_is_not_what_the_node_has(rtstruct: Path) -> None:
    with scripted(breaks_off, duplicate) as peer:
        with pytest.raises(TryLater) as told:
            store(
                DicomNode(Node("TPS", "127.0.0.1", peer.port), "W", Deadlines(early=30)), rtstruct
            )
        with pytest.raises(NeedsPerson, match="0111"):
            store(at(peer.port), rtstruct)

    assert "it may have" not in str(told.value)


def test_what_one_node_has_says_nothing_of_another(rtstruct: Path) -> None:
    with listening(Peer()) as first:
        store(at(first.port), rtstruct)
    with scripted(duplicate) as second, pytest.raises(NeedsPerson, match="0111"):
        store(at(second.port), rtstruct)


def test_the_record_is_durable_before_the_node_can_have_the_file(rtstruct: Path) -> None:
    record, seen = rtstruct.parent / "node.json", []

    def stored(_event: evt.Event) -> int:
        seen.append(record.read_text())
        return 0

    with listening(Peer(answers=stored)) as peer:
        store(at(peer.port), rtstruct)

    assert hashlib.sha256(rtstruct.read_bytes()).hexdigest() in seen[0]
    assert record.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    "damage", [b"", b"[]", b"{", b"\xff", b'{"node": 1}', b'{"sha256": 7, "node": "TPS"}']
)
def test_a_record_that_is_damaged_is_none(rtstruct: Path, damage: bytes) -> None:
    (rtstruct.parent / "node.json").write_bytes(damage)

    with scripted(duplicate) as peer, pytest.raises(NeedsPerson, match="0111"):
        store(at(peer.port), rtstruct)


# A node that is not true, or not there.


def test_an_answer_that_is_not_true_waits_and_says_why(rtstruct: Path) -> None:
    def lies(talk: Talk) -> None:
        talk.accept()
        talk.take()
        talk.answer(sop_instance="1.2.3")

    with scripted(lies) as peer, pytest.raises(TryLater) as told:
        store(at(peer.port), rtstruct)

    assert told.value.code == "dicom-node"
    assert "answers for another SOP instance" in str(told.value)
    assert "it may have the structure set, which is sent again" in str(told.value)


def test_a_node_that_is_no_node_is_away_for_the_run(rtstruct: Path) -> None:
    with scripted(lambda talk: talk.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")) as peer:
        node = at(peer.port)
        for _ in range(3):
            with pytest.raises(TryLater, match="does not answer like a DICOM node"):
                store(node, rtstruct)

    assert len(peer.talks) == 1


def test_a_host_without_an_address_is_said_with_what_to_look_for(
    rtstruct: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    node = DicomNode(Node("TPS", "nowhere.invalid", 104), "WARD7")
    with pytest.raises(TryLater, match="cannot be reached: ") as told:
        store(node, rtstruct)

    assert told.value.code == "dicom-node"


def test_a_file_that_is_none_is_not_sent(tmp_path: Path) -> None:
    with pytest.raises(BadStructureSet):
        at(1).store(b"", tmp_path / "node.json")


def test_without_the_package_a_person_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pynetdicom", None)

    with pytest.raises(ConfigError, match=r"deliver\.node") as told:
        opened(Deliver(node="TPS@h:104"))

    assert "extra 'dicom-net'" in told.value.hint


@contextmanager
def storescp(folder: Path, *options: str) -> Iterator[int]:
    """Run DCMTK's storescp; yield its port."""
    folder.mkdir()
    port = free_port()
    words = [str(STORESCP), "-aet", "TPS", "-od", str(folder), *options, str(port)]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as process:
        try:
            wait_for_port(port)
            yield port
        finally:
            process.terminate()


@each_coding
@needs_storescp
def test_dcmtk_files_what_was_delivered(rtstruct: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    with storescp(there, "+xe", "--bit-preserving") as port:
        assert at(port).echo() == ""
        assert store(at(port), rtstruct) == ""

    (filed,) = there.iterdir()
    assert behind_meta(filed) == behind_meta(rtstruct)


@each_coding
@needs_storescp
def test_dcmtk_of_the_default_coding_alone_files_the_same_values(
    rtstruct: Path, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    with storescp(there, "+xi", "--bit-preserving") as port:
        assert at(port).echo() == ""
        assert store(at(port), rtstruct) == ""

    (filed,) = there.iterdir()
    assert dumped(filed) == dumped(rtstruct)
    assert dcmread(filed) == dcmread(rtstruct)


def dumped(path: Path) -> list[str]:
    """Return each element of the data set in the words of DCMTK, with its VR and whole value."""
    words = [str(DCMDUMP), "+L", "-q", str(path)]
    said = subprocess.run(words, capture_output=True, check=True, encoding="utf-8").stdout
    lines = [line for line in said.splitlines() if not line.startswith(("#", "(0002,"))]
    return [re.sub(r"(explicit length #=\d+\) +#) +\d+", r"\1", line) for line in lines]
