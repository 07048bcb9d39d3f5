"""nodes check: what is said of each DICOM target, on a screen and as JSON."""

import socket
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pynetdicom.sop_class import CTImageStorage  # type: ignore[attr-defined]

from tests import tls
from tests.cli.conftest import Run
from tests.conftest import Site
from tests.dicom_peer import Peer, listening
from tests.dicom_tls import tls_before
from tests.scripted_peer import Talk, scripted
from tests.web_archive import WebArchive, archive

MOST_COLUMNS = 80


def targets(site: Site, *lines: str) -> None:
    site.add_line("deliver:\n  targets:")
    for line in lines:
        site.add_line(f"  - {{{line}}}")


def checked(drawcli: Run, *words: str) -> list[dict[str, Any]]:
    return list(drawcli("nodes", "check", *words, "--json").answer["data"]["targets"])


def test_each_target_is_shown_with_what_it_accepts(
    drawcli: Run, site: Site, tmp_path: Path
) -> None:
    authority = tls.Authority(tmp_path)
    secured = tls.context(authority.certificate("127.0.0.1", days=90))
    with (
        listening(Peer()) as peer,
        tls_before(peer.port, secured) as port,
        archive(WebArchive()) as web,
    ):
        targets(
            site,
            f"node: 'TPS@127.0.0.1:{port}', tls: {{ca_file: '{authority.file}'}}",
            f"stow: '{web.url}', required: false",
            "folder: beside",
        )
        shown = drawcli("nodes", "check")
        node, stow = checked(drawcli)
        (one,) = checked(drawcli, "TPS")
        none = drawcli("nodes", "check", "TSP")

    assert (shown.code, shown.err) == (0, "")
    assert max(map(len, shown.out.splitlines())) <= MOST_COLUMNS
    for text in (
        f"TPS@127.0.0.1:{port}",
        "TLSv1.3; its certificate is valid for 89 days",
        "Implicit VR Little Endian, Explicit VR Little Endian",
        "not offered; not asked for",
        f"{web.url} (optional)",
        "accepts structure sets",
    ):
        assert text in shown.out
    assert node == one
    assert (node["tls"], node["certificate_days"]) == ("TLSv1.3", 89)
    assert (node["association"], node["echo"], node["commitment"]) == (True, True, False)
    assert (stow["stow"], stow["reachable"], stow["failure"]) == (True, True, None)
    assert none.code == 2
    assert peer.received == web.received == []


def test_a_target_out_of_reach_is_exit_7_and_the_others_are_checked(
    drawcli: Run, site: Site
) -> None:
    with closing(socket.socket()) as taken, listening(Peer()) as peer:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        gone = taken.getsockname()[1]
        targets(
            site,
            f"node: 'GONE@127.0.0.1:{gone}'",
            f"stow: 'http://127.0.0.1:{gone}/dicom-web'",
            f"node: 'TPS@127.0.0.1:{peer.port}'",
        )
        shown = drawcli("nodes", "check")
        found = checked(drawcli)

    assert shown.code == 7
    assert "GONE@127.0.0.1" in shown.err
    assert [one["reachable"] for one in found] == [False, False, True]
    assert [one["failure"] is None for one in found] == [False, False, True]


def rejects(talk: Talk) -> None:
    talk.requested()
    talk.send(bytes((3, 0, 0, 0, 0, 4, 0, 1, 1, 3)))


def test_what_is_missing_at_a_target_is_told_from_one_out_of_reach(
    drawcli: Run, site: Site
) -> None:
    with (
        scripted(rejects) as stranger,
        listening(Peer(), takes=CTImageStorage) as scanner,
        listening(Peer()) as forgets,
        archive(WebArchive(needs="Bearer x")) as web,
    ):
        targets(
            site,
            f"node: 'STRANGER@127.0.0.1:{stranger.port}'",
            f"node: 'SCANNER@127.0.0.1:{scanner.port}'",
            f"node: 'FORGETS@127.0.0.1:{forgets.port}', commitment: true",
            f"stow: '{web.url}'",
        )
        found = checked(drawcli)
        code = drawcli("nodes", "check").code

    assert code == 7
    assert [one["reachable"] for one in found] == [True] * 4
    for one, words in zip(
        found,
        (
            "calling AE title not recognised",
            "does not accept structure sets",
            "does not offer storage commitment",
            "refuses our credentials (status 401)",
        ),
        strict=True,
    ):
        assert words in one["failure"]
    assert [one["association"] for one in found] == [False, True, True, None]


def test_the_short_form_has_one_node_and_a_site_without_is_told_so(
    drawcli: Run, site: Site
) -> None:
    none = drawcli("nodes", "check")
    with listening(Peer()) as peer:
        site.add_line(f"deliver: {{node: 'TPS@127.0.0.1:{peer.port}'}}")
        (one,) = checked(drawcli)

    assert none.code == 2
    assert "no DICOM target" in none.err
    assert one["target"] == f"TPS@127.0.0.1:{peer.port}"


def test_each_sender_of_the_table_is_checked_once(drawcli: Run, site: Site) -> None:
    with listening(Peer()) as peer:
        targets(site, "sender: true")
        address = f"TPS@127.0.0.1:{peer.port}"
        site.add_line(f"  senders: {{CT1: '{address}', CT2: '{address}'}}")
        found = checked(drawcli)

    assert [(one["target"], one["failure"]) for one in found] == [(address, None)]


@pytest.mark.parametrize("days", [-1])
def test_a_certificate_that_has_expired_is_told(
    drawcli: Run, site: Site, tmp_path: Path, days: int
) -> None:
    authority = tls.Authority(tmp_path)
    secured = tls.context(authority.certificate("127.0.0.1", days=days))
    with listening(Peer()) as peer, tls_before(peer.port, secured) as port:
        targets(site, f"node: 'TPS@127.0.0.1:{port}', tls: {{ca_file: '{authority.file}'}}")
        (one,) = checked(drawcli)

    assert "has expired" in one["failure"]
    assert one["reachable"] is False
