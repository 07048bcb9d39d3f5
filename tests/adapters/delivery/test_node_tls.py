"""Structure sets by C-STORE over TLS."""

import socket
import ssl
from contextlib import closing
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from drawcli.adapters.delivery.dicom_node import DicomNode, opened_target
from drawcli.adapters.dicom_network.association import Deadlines
from drawcli.adapters.dicom_network.connection import Phase
from drawcli.adapters.dicom_network.tls_wire import secured
from drawcli.config.sections_targets import Target
from drawcli.errors import ConfigError, TryLater
from drawcli.system.network.client_tls import TlsFiles, client_context
from tests import tls
from tests.adapters.delivery.structure_sets import rtstruct
from tests.adapters.delivery.test_dicom_node import needs_storescp, storescp
from tests.dicom_peer import Peer, behind_meta, listening
from tests.dicom_tls import tls_before
from tests.scripted_peer import Talk, scripted
from tests.waiting import PATIENCE

__all__ = ["rtstruct"]
pytestmark = pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tls.Authority:
    return tls.Authority(tmp_path_factory.mktemp("tls"))


def at(port: int, authority: tls.Authority, **files: Any) -> DicomNode:
    settings = {"ca_file": authority.file, **files}
    return opened_target(Target(node=f"TPS@127.0.0.1:{port}", tls=settings), "WARD7", Path("state"))


def store(node: DicomNode, path: Path) -> str:
    return node.store(path.read_bytes(), path.parent / node.record)


@pytest.mark.parametrize("newest", [None, ssl.TLSVersion.TLSv1_2])
def test_a_node_gets_the_same_bytes_by_tls(
    rtstruct: Path, authority: tls.Authority, newest: ssl.TLSVersion | None
) -> None:
    server = tls.context(authority.certificate("127.0.0.1"), newest=newest)
    with listening(Peer()) as peer, tls_before(peer.port, server) as port:
        assert at(port, authority).echo() == ""
        assert store(at(port, authority), rtstruct) == ""

    assert peer.received == [behind_meta(rtstruct)]


def test_a_node_that_asks_for_our_certificate_gets_it(
    rtstruct: Path, authority: tls.Authority
) -> None:
    cert, key = authority.certificate()
    server = tls.context(authority.certificate("127.0.0.1"), clients=authority.file)
    with listening(Peer()) as peer, tls_before(peer.port, server) as port:
        with pytest.raises(TryLater, match="requires one and got none"):
            store(at(port, authority), rtstruct)
        assert store(at(port, authority, cert=cert, key=key), rtstruct) == ""

    assert len(peer.received) == 1


@pytest.mark.parametrize(
    ("host", "days", "why"),
    [("127.0.0.1", -1, "has expired"), ("127.0.0.2", 2, "is for another address")],
)
def test_a_certificate_that_is_not_right_gets_no_association(
    rtstruct: Path, authority: tls.Authority, host: str, days: int, why: str
) -> None:
    server = tls.context(authority.certificate(host, days=days))
    with (
        listening(Peer()) as peer,
        tls_before(peer.port, server) as port,
        pytest.raises(TryLater, match=why),
    ):
        store(at(port, authority), rtstruct)

    assert peer.asked == 0


def test_a_node_of_another_authority_or_an_old_version_gets_no_association(
    rtstruct: Path, authority: tls.Authority, tmp_path: Path
) -> None:
    other = tls.Authority(tmp_path, "other")
    old = tls.context(authority.certificate("127.0.0.1"), newest=ssl.TLSVersion.TLSv1_1)
    foreign = tls.context(other.certificate("127.0.0.1"))
    with listening(Peer()) as peer:
        for server, why in ((foreign, "not trusted here"), (old, "TLS")):
            with tls_before(peer.port, server) as port, pytest.raises(TryLater, match=why):
                store(at(port, authority), rtstruct)

    assert peer.asked == 0


def test_a_node_without_tls_is_told_from_one_with_it(
    rtstruct: Path, authority: tls.Authority
) -> None:
    def not_tls(talk: Talk) -> None:
        talk.send(b"\x07\0\0\0\0\x04\0\0\0\0")

    with scripted(not_tls) as peer, pytest.raises(TryLater, match="does not answer by TLS"):
        store(at(peer.port, authority), rtstruct)


def test_a_handshake_that_never_ends_is_given_up(rtstruct: Path, authority: tls.Authority) -> None:
    def silent(talk: Talk) -> None:
        talk.wait_until_closed()

    with scripted(silent) as peer:
        node = at(peer.port, authority)
        node.deadlines = Deadlines(connect=0.5)
        with pytest.raises(TryLater, match="did not finish the TLS handshake"):
            store(node, rtstruct)


@pytest.mark.parametrize("newest", [None, ssl.TLSVersion.TLSv1_2])
def test_a_node_that_is_silent_or_breaks_off_by_tls_costs_its_time_only(
    rtstruct: Path, authority: tls.Authority, newest: ssl.TLSVersion | None
) -> None:
    server = tls.context(authority.certificate("127.0.0.1"), newest=newest)

    def silent(talk: Talk) -> None:
        talk.accept()
        talk.take()
        talk.wait_until_closed()

    def breaks(talk: Talk) -> None:
        talk.accept()
        talk.take()
        talk.line.close()

    for script, why, deadlines in (
        (silent, "did not answer the C-STORE", Deadlines(answer=0.2)),
        (breaks, "closed the connection", Deadlines()),
    ):
        with scripted(script) as peer, tls_before(peer.port, server) as port:
            node = at(port, authority)
            node.deadlines = deadlines
            with pytest.raises(TryLater, match=why):
                store(node, rtstruct)


def test_a_file_of_tls_that_is_none_is_an_error_of_the_settings(
    authority: tls.Authority, tmp_path: Path
) -> None:
    (tmp_path / "none.pem").write_text("none")
    with pytest.raises(ConfigError, match="cannot be read") as told:
        opened_target(Target(node="T@h:1", tls={"ca_file": tmp_path / "none.pem"}), "W", tmp_path)
    assert told.value.hint.startswith("tls.ca_file")

    cert, key = authority.certificate()
    key.chmod(0o644)
    with pytest.raises(ConfigError, match="others can read"):
        opened_target(Target(node="T@h:1", tls={"cert": cert, "key": key}), "W", tmp_path)


@needs_storescp
def test_dcmtk_files_what_it_gets_by_tls(
    rtstruct: Path, authority: tls.Authority, tmp_path: Path
) -> None:
    cert, key = authority.certificate("127.0.0.1")
    ours, our_key = authority.certificate()
    options = ("+tls", str(key), str(cert), "+cf", str(authority.file), "--bit-preserving")
    there = tmp_path / "there"
    with storescp(there, *options) as port:
        node = at(port, authority, cert=ours, key=our_key)
        assert node.echo() == ""
        assert store(node, rtstruct) == ""

    (filed,) = there.iterdir()
    assert behind_meta(filed) == behind_meta(rtstruct)


def _serve_with_late_tickets(line: socket.socket, server: ssl.SSLContext, go_on: Event) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    end = server.wrap_bio(incoming, outgoing, server_side=True)
    while True:
        try:
            end.do_handshake()
            break
        except ssl.SSLWantReadError:
            line.sendall(outgoing.read())
            incoming.write(line.recv(65_536))
    tickets = outgoing.read()
    assert tickets
    go_on.wait(0.1)
    line.sendall(tickets)
    go_on.wait(PATIENCE)
    end.write(b"x")
    line.sendall(outgoing.read())


def test_what_tls_sends_for_itself_is_no_answer(authority: tls.Authority) -> None:
    """Session tickets make the socket readable, long after the handshake on a slow line."""
    ours, theirs = socket.socketpair()
    go_on, server = Event(), tls.context(authority.certificate("127.0.0.1"))
    arguments = (theirs, server, go_on)
    serving = Thread(target=_serve_with_late_tickets, args=arguments, daemon=True)
    serving.start()
    with closing(theirs):
        trusting = client_context(TlsFiles(authority.file))
        wire = secured(ours, "127.0.0.1", trusting, Phase("", PATIENCE))
        early = wire.has_come(0.4)
        whole = wire.write(b"request", Phase("", PATIENCE), PATIENCE)
        go_on.set()
        came = wire.has_come(PATIENCE)
        wire.close()
        serving.join(PATIENCE)

    assert (early, whole, came) == (False, True, True)
