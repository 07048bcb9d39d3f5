"""redeliver and verify, as a physicist runs them."""

from pathlib import Path

import pytest

from drawcli.sandbox.server import running
from tests.cli.conftest import Run, at_sandbox, at_terminal, poll_until
from tests.conftest import Site
from tests.dicom_peer import Peer, behind_meta, listening


@pytest.fixture
def delivered(drawcli: Run, site: Site, pelvis: list[Path], tmp_path: Path) -> Path:
    """Run the cycle on the sandbox; return the delivered file."""
    assert pelvis
    with running(tmp_path / "sandbox") as server:
        at_sandbox(site, server.url, server.token_file)
        drawcli("run-once")
        poll_until(drawcli, "segmented")
        drawcli("run-once")
    (path,) = site.store.rglob("RS.*")
    return path


def test_verify_and_redeliver(drawcli: Run, delivered: Path, tmp_path: Path) -> None:
    well = drawcli("verify")
    (job,) = drawcli("verify", "--json").answer["data"]["jobs"]
    delivered.unlink()
    gone = drawcli("verify")
    planned = drawcli("redeliver", job["job"][:6], "--dry-run")
    nothing = delivered.exists()
    again = drawcli("redeliver", job["job"][:6])
    back = delivered.exists()
    other = drawcli("redeliver", job["job"][:6], "--to", str(tmp_path))
    story = drawcli("show", job["job"])

    assert (well.code, well.err, job["findings"]) == (0, "", [])
    assert "as delivered" in well.out
    assert gone.code == 0
    assert "delivered file is missing" in gone.out.replace("\n", " ")
    assert (planned.code, nothing) == (0, False)
    assert (again.code, back) == (0, True)
    assert (other.code, len(list(tmp_path.glob("RS.*.dcm")))) == (0, 1)
    assert "redelivered" in story.out
    assert "written to another folder" in story.out
    said = "".join(one.out + one.err for one in (well, gone, planned, again, other, story))
    assert "KULKARNEE" not in said.upper()


def test_redeliver_says_what_the_dicom_node_said(drawcli: Run, delivered: Path, site: Site) -> None:
    with listening(Peer(0xB006)) as peer:
        site.add_line(f"deliver: {{node: 'TPS@127.0.0.1:{peer.port}'}}")
        (job,) = drawcli("verify", "--json").answer["data"]["jobs"]
        again = drawcli("redeliver", job["job"])
        plain = drawcli("redeliver", job["job"], "--json").answer["data"]
        story = drawcli("show", job["job"])

    assert peer.received[0] == behind_meta(delivered)
    said = "stored it with changes of its own (status B006)"
    assert plain["node"] == [f"warning: the DICOM node TPS@127.0.0.1:{peer.port} {said}"]
    assert said in again.out.replace("\n", " ")
    assert "B006" in story.out


def test_a_changed_structure_set_is_for_a_person(drawcli: Run, delivered: Path) -> None:
    delivered.write_bytes(delivered.read_bytes() + b"\0\0")

    ended = drawcli("verify")

    assert ended.code == 6
    assert "1 of 1 delivered structure sets" in ended.err
    assert "has changed since it was delivered" in ended.out.replace("\n", " ")


def test_reidentify_shows_what_it_would_change_and_writes_nothing(
    drawcli: Run, delivered: Path, site: Site
) -> None:
    (job,) = drawcli("verify", "--json").answer["data"]["jobs"]
    words = ("reidentify", "--dry-run", "--job", job["job"][:6])
    before = sorted(delivered.parent.iterdir())

    shown = drawcli(*words)
    named = at_terminal(site, *words, "--identify")
    data = drawcli(*words, "--json").answer["data"]

    assert shown.code == 0
    changes = {one["keyword"]: one["what"] for one in data["elements"]}
    assert changes["PatientName"] == "replaced"
    assert changes["StudyInstanceUID"] == "stand-in"
    assert any("ReferencedSOPInstanceUID" in what for what in data["in_sequences"])
    assert "KULKARNEE" not in (shown.out + str(data)).upper()
    assert "KULKARNEE" in named.upper()
    assert delivered.name in "".join(named.split())
    assert sorted(delivered.parent.iterdir()) == before


@pytest.mark.usefixtures("pelvis")
def test_what_has_not_come_cannot_be_looked_at(drawcli: Run) -> None:
    drawcli("scan")
    (job,) = drawcli("status", "--json").answer["data"]["jobs"]

    asked = drawcli("reidentify", "--dry-run", "--job", job["id"])
    alone = drawcli("reidentify", "--identify")

    assert (asked.code, alone.code) == (2, 2)
    assert "no structure set was received yet" in asked.err
    assert "--dry-run and --job" in alone.err
