"""open: with the program of the desktop, or else the path; never a path that names the patient."""

from pathlib import Path

import pytest

from drawcli.core.jobs.job import State
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_once
from drawcli.system.desktop import NoDesktop, open_path, opener
from drawcli.system.platforms import System
from tests.cli.conftest import Run, at_terminal
from tests.conftest import Clock, Site

DESKTOP = {"DISPLAY": ":0"}


@pytest.fixture
def opens(tmp_path: Path) -> Path:
    """Put a program of a desktop on a path; return the file with what it was called for."""
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "xdg-open"
    script = f'echo "$1" > "{tmp_path}/opened"; case "$1" in *x) exit 3; esac'
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return tmp_path / "opened"


@pytest.fixture
def done(ctx: Context, pelvis: list[Path], clock: Clock) -> str:
    """Deliver a structure set; return its job."""
    assert pelvis
    for _ in range(2):
        list(run_once(ctx, Selection()))
        clock.advance(minutes=5)
    (job,) = ctx.ledger.jobs([State.DONE])
    return job.id


def test_parts_of_a_job_are_opened(drawcli: Run, site: Site, done: str, opens: Path) -> None:
    env = DESKTOP | {"PATH": f"{opens.parent / 'bin'}:/usr/bin:/bin"}
    (delivered,) = site.store.rglob("RS.*")
    called = {}
    for part in ("picture", "page", "folder", "file"):
        ended = drawcli("open", done, part, **env)
        assert (ended.code, ended.out.split()[0]) == (0, "opened"), ended
        assert ("pelvis" in ended.out) is False
        called[part] = opens.read_text().strip()

    work = site.state / "work" / done
    assert called == {
        "picture": str(work / "sheet.png"),
        "page": str(work / "preview.html"),
        "folder": str(work),
        "file": str(delivered),
    }
    assert (work / "sheet.png").read_bytes()[1:4] == b"PNG"


def test_without_a_desktop_the_path_is_printed_and_why(drawcli: Run, site: Site, done: str) -> None:
    work = site.state / "work" / done

    here = drawcli("open", done, "folder")
    remote = drawcli("open", done, "folder", "--json", SSH_CONNECTION="x").answer["data"]
    only = drawcli("open", done, "folder", "--print")
    file = drawcli("open", done, "file")

    assert here.out.splitlines() == ["not opened  there is no display", f"path        {work}"]
    assert (remote["opened"], remote["path"]) == (False, str(work))
    assert remote["why_not"] == "this is a session over ssh, without a display"
    assert only.out == f"{work}\n"
    assert "pelvis" not in file.out
    assert "--identify" in file.out
    assert drawcli("open", done, "file", "--print").code == 2


def test_the_path_of_a_structure_set_is_for_a_terminal(site: Site, done: str) -> None:
    (delivered,) = site.store.rglob("RS.*")

    assert str(delivered) in at_terminal(site, "open", done, "file", "--print", "--identify")


def test_what_is_not_there_is_said(drawcli: Run, site: Site, done: str) -> None:
    (delivered,) = site.store.rglob("RS.*")
    delivered.unlink()

    ended = drawcli("open", done, "file")

    assert ended.code == 2
    assert f"drawcli redeliver {done}" in ended.err


@pytest.mark.parametrize(
    ("here", "env", "said"),
    [
        ("other", {}, "no display"),
        ("other", {"SSH_TTY": "/dev/pts/1"}, "over ssh"),
        ("other", DESKTOP | {"PATH": "/nowhere"}, "neither xdg-open nor gio"),
        ("macos", {"SSH_CONNECTION": "x"}, "over ssh"),
        ("windows", {"SSH_CONNECTION": "x"}, "over ssh"),
    ],
)
def test_where_nothing_can_be_opened(here: System, env: dict[str, str], said: str) -> None:
    with pytest.raises(NoDesktop, match=said):
        opener(env, here)


def test_each_system_has_its_opener(opens: Path) -> None:
    program = opens.parent / "bin" / "xdg-open"

    assert opener({}, "macos") == ["open"]
    assert opener({}, "windows") == []
    assert opener(DESKTOP | {"PATH": str(program.parent)}, "other") == [str(program)]


def test_an_opener_that_fails_has_opened_nothing(opens: Path) -> None:
    with pytest.raises(NoDesktop, match="xdg-open failed with exit code 3"):
        open_path(Path("/x"), DESKTOP | {"PATH": str(opens.parent / "bin")})
