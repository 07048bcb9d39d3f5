"""Structure sets by C-STORE: to a node in this process, and to DCMTK's storescp."""

import os
import shutil
import socket
import subprocess
import sys
import time
from contextlib import closing, nullcontext
from io import BytesIO
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import evt
from pynetdicom.sop_class import CTImageStorage  # type: ignore[attr-defined]

from drawcli.adapters.dicom_node import DicomNode, opened
from drawcli.core.node import Node
from drawcli.errors import ConfigError, JobError, NeedsPerson, TryLater
from drawcli.sandbox.phantom import write_planning_ct
from drawcli.sections import Deliver
from tests.conftest import PELVIS
from tests.dicom_peer import Peer, behind_meta, listening
from tests.structure_sets import structure_set

# DCMTK's: pynetdicom puts a program of the same name beside the interpreter.
ELSEWHERE = [one for one in os.get_exec_path() if not one.startswith(sys.prefix)]
STORESCP = shutil.which("storescp", path=os.pathsep.join(ELSEWHERE))


def at(port: int, title: str = "TPS") -> DicomNode:
    return DicomNode(Node(title, "127.0.0.1", port), "WARD7", connect_seconds=5, answer_seconds=5)


@pytest.fixture
def rtstruct(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a structure set as it lies in the folder of delivery, named like its patient."""
    images = write_planning_ct(tmp_path / "ct", PELVIS, slices=3, size=16, seed=1)
    slices = [dcmread(path) for path in images]
    dataset = dcmread(BytesIO(structure_set(slices, ["Bladder"], change=_in_utf_8)))
    coding = getattr(request, "param", ImplicitVRLittleEndian)
    dataset.file_meta.TransferSyntaxUID = coding
    path = tmp_path / f"RS.{PELVIS.patient_id}.dcm"
    dataset.save_as(path, implicit_vr=coding.is_implicit_VR, little_endian=True)
    return path


def _in_utf_8(dataset: Dataset) -> None:
    dataset.SpecificCharacterSet = "ISO_IR 192"


each_coding = pytest.mark.parametrize(
    "rtstruct", [ImplicitVRLittleEndian, ExplicitVRLittleEndian], indirect=True
)


@each_coding
def test_a_node_gets_the_bytes_that_lie_in_the_folder(rtstruct: Path) -> None:
    with listening(Peer()) as peer:
        said = at(peer.port).store(rtstruct)

    assert said == ""
    assert peer.received == [behind_meta(rtstruct)]
    assert peer.callers == ["WARD7"]


def test_sent_twice_it_is_the_same_instance(rtstruct: Path) -> None:
    with listening(Peer()) as peer:
        at(peer.port).store(rtstruct)
        at(peer.port).store(rtstruct)

    first, second = peer.received
    assert first == second


@pytest.mark.parametrize("status", [0xB000, 0xB006, 0xB007])
def test_what_a_node_changes_is_told(rtstruct: Path, status: int) -> None:
    with listening(Peer(status)) as peer:
        assert f"{status:04X}" in at(peer.port).store(rtstruct)


@pytest.mark.parametrize("status", [0xA700, 0xA701, 0x0124])
def test_a_node_that_cannot_take_it_now_is_asked_later(rtstruct: Path, status: int) -> None:
    with listening(Peer(status)) as peer, pytest.raises(TryLater, match=f"{status:04X}") as told:
        at(peer.port).store(rtstruct)

    assert told.value.code == "dicom-node"


@pytest.mark.parametrize("status", [0xA900, 0xC000, 0xC123, 0x0110, 0x0117, 0x0122, 0xFF00])
def test_a_structure_set_that_a_node_refuses_is_for_a_person(rtstruct: Path, status: int) -> None:
    with listening(Peer(status)) as peer, pytest.raises(NeedsPerson, match=f"{status:04X}") as told:
        at(peer.port).store(rtstruct)

    assert told.value.code == "node-refused"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_node_that_is_away_is_asked_once_in_a_run(rtstruct: Path) -> None:
    with closing(socket.socket()) as taken:  # pynetdicom leaves its end of it to the collector
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        node = at(taken.getsockname()[1])
        with pytest.raises(TryLater, match="cannot be reached: Connection refused"):
            node.store(rtstruct)

    with listening(Peer(), require_calling_aet=["SOMEBODY"]) as peer:
        node = at(peer.port)
        for _ in range(3):
            with pytest.raises(TryLater, match="not recognised"):
                node.store(rtstruct)

    assert peer.asked == 1


@pytest.mark.parametrize("status", [0xA700, 0x0124, 0x0110, 0xC000])
def test_what_is_said_of_one_file_says_nothing_of_the_next(rtstruct: Path, status: int) -> None:
    with listening(Peer(status)) as peer:
        node = at(peer.port)
        with pytest.raises(JobError):
            node.store(rtstruct)
        peer.status = 0
        assert node.store(rtstruct) == ""


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
            with nullcontext() if answers is None and not node._away else pytest.raises(TryLater):
                node.store(rtstruct)

    assert peer.asked == 4  # the fifth was not tried


@pytest.mark.parametrize("asking", ["store", "echo"])
@pytest.mark.parametrize(
    ("facts", "called", "why"),
    [
        ({"require_called_aet": True}, "OTHER", "called ae title not recognised"),
        ({"require_calling_aet": ["SOMEBODY"]}, "TPS", "calling ae title not recognised"),
        ({"takes": CTImageStorage}, "TPS", "does not take structure sets"),
    ],
)
def test_what_the_two_do_not_agree_on_is_said(
    rtstruct: Path, facts: dict[str, Any], called: str, why: str, asking: str
) -> None:
    with listening(Peer(), **facts) as peer:
        node = at(peer.port, called)
        with pytest.raises(TryLater) as told:
            node.store(rtstruct) if asking == "store" else node.echo()

    assert why in str(told.value)
    assert f"{called}@127.0.0.1:{peer.port}" in str(told.value)
    assert peer.received == []


def test_a_node_that_takes_the_line_and_says_nothing_is_given_up(rtstruct: Path) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        node = at(silent.getsockname()[1])
        node.connect_seconds = 0.3
        with pytest.raises(TryLater, match="takes the line, and does not answer"):
            node.store(rtstruct)


def test_a_node_that_never_answers_a_store_is_given_up(rtstruct: Path) -> None:
    done = Event()
    peer = Peer()
    peer.answers = lambda _: int(not done.wait(10))
    with listening(peer):
        node = at(peer.port)
        node.answer_seconds = 0.3
        with pytest.raises(TryLater):
            node.store(rtstruct)
        done.set()


def test_a_line_that_breaks_in_the_middle_is_tried_again(rtstruct: Path) -> None:
    peer = Peer()

    def breaks(event: evt.Event) -> int:
        event.assoc.abort()
        return 0

    peer.answers = breaks
    with listening(peer), pytest.raises(TryLater) as told:
        at(peer.port).store(rtstruct)

    assert told.value.code == "dicom-node"


def test_a_host_without_an_address_is_away(rtstruct: Path) -> None:
    node = DicomNode(Node("TPS", "nowhere.invalid", 104), "WARD7", connect_seconds=2)
    with pytest.raises(TryLater, match="cannot be reached: Name or service"):
        node.store(rtstruct)


def test_a_file_that_an_importer_took_away_is_told(tmp_path: Path) -> None:
    with pytest.raises(TryLater, match="gone before the DICOM node had it"):
        at(1).store(tmp_path / "RS.dcm")


def test_no_error_names_the_patient_or_the_path(
    rtstruct: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with listening(Peer(0xC000)) as peer, pytest.raises(NeedsPerson) as told:
        opened(Deliver(node=f"TPS@127.0.0.1:{peer.port}")).store(rtstruct)

    whole = f"{told.value} {told.value.hint} {caplog.text}"
    for secret in (PELVIS.patient_id, str(PELVIS.name).split("^")[0], rtstruct.parent.name):
        assert secret not in whole


def test_an_echo_finds_what_takes_structure_sets() -> None:
    with listening(Peer()) as peer:
        at(peer.port).echo()

    assert peer.asked == 2


def test_without_the_package_a_person_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "pynetdicom", None)

    with pytest.raises(ConfigError, match=r"deliver\.node") as told:
        opened(Deliver(node="TPS@h:104"))

    assert "drawcli[dicom-net]" in told.value.hint


@each_coding
@pytest.mark.skipif(STORESCP is None, reason="DCMTK's storescp is not installed")
def test_dcmtk_files_what_was_delivered(rtstruct: Path, tmp_path: Path) -> None:
    there = tmp_path / "there"
    there.mkdir()
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    words = [str(STORESCP), "-aet", "TPS", "-od", str(there), "+xe", "--bit-preserving", str(port)]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as process:
        try:
            _until_open(port)
            at(port).echo()
            assert at(port).store(rtstruct) == ""
        finally:
            process.terminate()

    (filed,) = there.iterdir()
    assert behind_meta(filed) == behind_meta(rtstruct)


def _until_open(port: int) -> None:
    for _ in range(600):
        with socket.socket() as trial:
            if not trial.connect_ex(("127.0.0.1", port)):
                return
        time.sleep(0.05)
    pytest.fail("storescp does not listen")
