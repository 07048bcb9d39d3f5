"""Every block of commands in README and docs does what the page says, or says why it is not run.

The blocks of a page are typed in order into one shell, in a fresh folder. With DOCS=long every
command is started as its users start it; else a prepared process forks, ten times as fast.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from drawcli.sandbox.server import running
from tests.documents.blocks import (
    IN_FULL,
    ROOT,
    STARTS_FROM_PRACTICE,
    Block,
    blocks,
    pages,
    script,
    strays,
)
from tests.documents.starter import write_command

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="types into a POSIX shell")
TUTORIAL = ROOT / "docs/tutorial.md"
_FOREVER = 900  # seconds: a page that waits for what never comes
SANDBOX = "drawcli-sandbox"  # the folder of the sandbox, as its help says


@dataclass
class Desk:
    """Where blocks are typed: a folder, and a shell that finds drawcli."""

    bin: Path
    folder: Path

    def type(self, todo: list[Block], url: str) -> None:
        """Run blocks; fail with the place and the words of the first that goes wrong."""
        at = self.folder.parent / "at"
        env = {
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.folder.parent),
            "AT": str(at),
            "TMPDIR": str(self.folder.parent),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_AUTHOR_NAME": "A",
            "GIT_AUTHOR_EMAIL": "a@example.org",
            "GIT_COMMITTER_NAME": "A",
            "GIT_COMMITTER_EMAIL": "a@example.org",
        }
        done = subprocess.run(
            ["sh", "-c", script(todo, url)],
            cwd=self.folder,
            env=env,
            capture_output=True,
            text=True,
            encoding="utf-8",
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=_FOREVER,
        )
        if done.returncode:
            place = at.read_text().strip()
            pytest.fail(f"{place} ended with {done.returncode}\n{done.stdout}\n{done.stderr}")


@pytest.fixture(scope="module")
def commands() -> Iterator[Path]:
    """Yield a folder with the command drawcli in it."""
    with TemporaryDirectory(prefix="drawcli-") as name:  # the path of a socket must be short
        folder, door = Path(name), Path(name) / "door"
        if IN_FULL:
            (folder / "drawcli").write_text(f'#!/bin/sh\nexec {sys.executable} -m drawcli "$@"\n')
            (folder / "drawcli").chmod(0o755)
            yield folder
            return
        write_command(folder / "drawcli", door)
        words = [sys.executable, "-m", "tests.documents.starter", str(door)]
        with subprocess.Popen(words, cwd=ROOT) as starter:
            try:
                _wait_for(door, starter)
                yield folder
            finally:
                starter.kill()


def _wait_for(door: Path, starter: subprocess.Popen[bytes]) -> None:
    for _ in range(_FOREVER * 20):
        if starter.poll() is not None:
            break
        with socket.socket(socket.AF_UNIX) as trial:
            if not trial.connect_ex(str(door)):
                return
        time.sleep(0.05)
    pytest.fail("the starter does not answer")


@pytest.fixture
def desk(commands: Path, tmp_path: Path) -> Desk:
    (tmp_path / "desk").mkdir()
    return Desk(commands, tmp_path / "desk")


@dataclass
class Practice:
    """The site as the tutorial leaves it, and its sandbox, which goes on."""

    desk: Desk
    url: str
    kept: Path

    def restore(self) -> None:
        """Put the site back; what the sandbox remembers stays."""
        for path in self.desk.folder.iterdir():
            if path.name != SANDBOX:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(self.kept, self.desk.folder, dirs_exist_ok=True, symlinks=True)


@pytest.fixture(scope="module")
def practice(commands: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Practice]:
    """Yield what the tutorial leads to; typing it is the test of the tutorial, too."""
    top = tmp_path_factory.mktemp("tutorial")
    desk = Desk(commands, top)
    todo = [block for block in blocks(TUTORIAL) if block.is_run]
    folder = top / "practice"
    with running(folder / SANDBOX) as server:
        desk.type(todo, server.url)
        kept = tmp_path_factory.mktemp("kept") / "practice"
        shutil.copytree(folder, kept, ignore=shutil.ignore_patterns(SANDBOX), symlinks=True)
        desk.folder = folder
        yield Practice(desk, server.url, kept)


def _with_blocks() -> list[Path]:
    found = [path for path in pages() if any(block.is_run for block in blocks(path))]
    return [path for path in found if path != TUTORIAL]


def test_the_tutorial_leads_from_an_empty_folder_to_contours(practice: Practice) -> None:
    assert len(list(practice.desk.folder.glob("store/*/RS.*.dcm"))) == 3


@pytest.mark.parametrize("path", _with_blocks(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_commands_of_a_page_do_what_it_says(
    path: Path, desk: Desk, request: pytest.FixtureRequest
) -> None:
    todo = [block for block in blocks(path) if block.is_run]

    if STARTS_FROM_PRACTICE in path.read_text(encoding="utf-8"):
        practice: Practice = request.getfixturevalue("practice")
        practice.restore()
        practice.desk.type(todo, practice.url)
    else:
        with running(desk.folder / _second_folder(path) / SANDBOX) as server:
            desk.type(todo, server.url)


def _second_folder(path: Path) -> str:
    """Return the folder in which a page starts the sandbox."""
    said = "".join(block.text for block in blocks(path) if block.word == "second terminal")
    return said.partition("cd ")[2].partition("\n")[0]


def test_what_is_not_run_says_why() -> None:
    left = [
        block for path in pages() for block in blocks(path) if block.word in ("not run", "long")
    ]

    assert left
    for block in left:
        assert len(block.why) > 10, block.place


def test_no_block_of_commands_escapes() -> None:
    for path in pages():
        text = path.read_text(encoding="utf-8")
        fences = text.count("```sh\n") + text.count("```powershell\n")
        assert len(blocks(path)) == fences, path
        for word in ("bash", "shell", "console"):
            assert f"```{word}\n" not in text, path


def test_no_command_stands_where_no_test_sees_it() -> None:
    assert [path for path in pages() if strays(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("```\nanything\n```\n", [1]),
        ("```\ndrawcli scan\n```\n", [1, 2]),
        ("```yaml\na: 1\n```\n\n```text\n$ drawcli scan\n```\n", [6]),
        ("So:\n\n    drawcli scan\n\n\tpip install x\n\n    $ sudo make test\n", [3, 5, 7]),
        ("- So:\n\n  ```sh\n  drawcli scan\n  ```\n\n  drawcli scans.\n", []),
        ("drawcli scans.\n\n```sh\n    drawcli scan\n```\n\n    a: 1\n", []),
    ],
)
def test_a_command_out_of_sight_is_found(text: str, lines: list[int]) -> None:
    assert strays(text) == lines


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("```sh\ntrue\n```\n\n```sh\ndrawcli no-such-command\n```\n", "page.md:6"),
        ("```sh\ndrawcli reasons no-such-reason\n```\n", "page.md:2"),
        ("<!-- exit: 2 -->\n```sh\ndrawcli reasons ambiguous\n```\n", "page.md:3"),
        ("```sh\ndrawcli reasons ambiguous | grep -q nothing-of-the-kind\n```\n", "page.md:2"),
    ],
)
def test_a_wrong_block_is_seen_and_its_place_told(desk: Desk, text: str, place: str) -> None:
    wrong = blocks(Path("page.md"), text)

    with pytest.raises(pytest.fail.Exception, match=place):
        desk.type(wrong, "http://127.0.0.1:9")


@pytest.mark.parametrize(
    "line", ["python3 -m venv /opt/x", "sudo true", "pip install x", "cat /etc/passwd"]
)
def test_a_block_that_reaches_beyond_its_folder_is_never_typed(desk: Desk, line: str) -> None:
    text = f"```sh\ntouch typed\n```\n\n```sh\n{line}\n```\n"

    with pytest.raises(ValueError, match=r"page\.md:6: touches the machine"):
        desk.type(blocks(Path("page.md"), text), "http://127.0.0.1:9")

    assert not (desk.folder / "typed").exists()


def test_a_right_block_is_run_in_the_folder_and_shell_of_those_before_it(desk: Desk) -> None:
    text = "```sh\nmkdir a; cd a; export X=1\n```\n\n<!-- exit: 2 -->\n```sh\ndrawcli no\n```\n"
    text += '\n```sh\ntest "$X" = 1\ndrawcli init . > said\n```\n'

    desk.type(blocks(Path("page.md"), text), "http://127.0.0.1:9")

    assert "rules.yaml" in (desk.folder / "a/said").read_text()
