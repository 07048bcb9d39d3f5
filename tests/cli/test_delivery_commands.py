"""redeliver and verify, as a physicist runs them."""

from pathlib import Path

import pytest

from drawcli.sandbox.server import running
from tests.cli.conftest import Run, at_sandbox, poll_until
from tests.conftest import Site


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
    assert "not where it was delivered" in gone.out.replace("\n", " ")
    assert (planned.code, nothing) == (0, False)
    assert (again.code, back) == (0, True)
    assert (other.code, len(list(tmp_path.glob("RS.*.dcm")))) == (0, 1)
    assert "redelivered" in story.out
    assert "written to another folder" in story.out
    said = "".join(one.out + one.err for one in (well, gone, planned, again, other, story))
    assert "KULKARNEE" not in said.upper()


def test_a_changed_structure_set_is_for_a_person(drawcli: Run, delivered: Path) -> None:
    delivered.write_bytes(delivered.read_bytes() + b"\0\0")

    ended = drawcli("verify")

    assert ended.code == 6
    assert "1 of 1 delivered structure sets" in ended.err
    assert "not the one that was delivered" in ended.out.replace("\n", " ")
