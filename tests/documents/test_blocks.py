"""Every block of commands in README and docs does what the page says, or says why it is not run.

The blocks of a page are typed in order into one shell, at a terminal, in a checkout. drawcli is
where the page on installing puts it, not on the PATH. With DOCS=long each command is started as its
users start it; else a prepared process forks, ten times as fast.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from drawcli.sandbox.options import SandboxOptions
from drawcli.sandbox.server import Running, running
from tests.documents.blocks import (
    FIND,
    IN_FULL,
    IN_PRACTICE,
    ROOT,
    STARTS_FROM_PRACTICE,
    WITH_POSTGRES,
    Block,
    blocks,
    pages,
    script,
    strays,
)
from tests.documents.starter import write_command
from tests.documents.terminal import at_terminal
from tests.ports import free_port
from tests.postgres import OWNER, PASSWORD, PROGRAMS, Postgres, postgres

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="types into a POSIX shell")
TUTORIAL = ROOT / "docs/tutorial.md"
_FOREVER = 900  # seconds: a page that waits for what never comes
SANDBOX = "drawcli-sandbox"  # the folder of the sandbox, as its help says
SECOND_VERSION = "drawcli sandbox --model-version 2 --same-catalogue\n"  # in the second terminal


@dataclass
class Desk:
    """Where blocks are typed: a new terminal in a checkout, and the home of its user."""

    home: Path
    checkout: Path

    @classmethod
    def made(cls, folder: Path, commands: Path) -> "Desk":
        """Make a home with drawcli in it, and a checkout apart."""
        desk = cls(folder / "home", folder / "checkout")
        (desk.home / ".local" / "bin").mkdir(parents=True)
        (desk.home / ".local" / "bin" / "drawcli").symlink_to(commands / "drawcli")
        desk.checkout.mkdir()
        subprocess.run(["git", "init", "-q", str(desk.checkout)], check=True)
        return desk

    def type(
        self, todo: list[Block], url: str, first: str = FIND, database: Postgres | None = None
    ) -> None:
        """Run `first` and blocks; fail with the place and the words of the first that fails."""
        at, typed = self.home.parent / "at", self.home.parent / "typed"
        at_server = f"127.0.0.1:{database.port}" if database else ""
        typed.write_text(script(todo, url, first, at_server), encoding="utf-8")
        env = {
            "PATH": _path_without_drawcli(),
            "HOME": str(self.home),
            "AT": str(at),
            "TERM": "xterm",
            "TMPDIR": str(self.home.parent),
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_AUTHOR_NAME": "A",
            "GIT_AUTHOR_EMAIL": "a@example.org",
            "GIT_COMMITTER_NAME": "A",
            "GIT_COMMITTER_EMAIL": "a@example.org",
        }
        if database:
            env |= {"PGHOST": "127.0.0.1", "PGPORT": str(database.port)}
            env |= {"PGUSER": OWNER, "PGPASSWORD": PASSWORD}
        code, shown = at_terminal(["sh", str(typed)], self.checkout, env, _FOREVER)
        if code:
            pytest.fail(f"{at.read_text().strip()} ended with {code}\n{shown}")


def _path_without_drawcli() -> str:
    """Return the PATH without folders that have drawcli, such as that of the tests."""
    folders = os.environ["PATH"].split(os.pathsep)
    return os.pathsep.join(one for one in folders if not (Path(one) / "drawcli").exists())


@pytest.fixture(scope="module")
def commands() -> Iterator[Path]:
    """Yield a folder with the command drawcli in it."""
    with TemporaryDirectory(prefix="drawcli-") as name:  # the path of a socket must be short
        folder, door = Path(name), Path(name) / "door"
        if IN_FULL:
            start = "from drawcli.cli import main\nmain()\n"
            (folder / "drawcli").write_text(f"#!{sys.executable} -I\n{start}")
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
    return Desk.made(tmp_path, commands)


@dataclass
class Practice:
    """The site as the tutorial leaves it, and its sandbox, which goes on."""

    desk: Desk
    server: Running
    kept: Path
    ends: ExitStack

    @property
    def url(self) -> str:
        """Where the sandbox answers."""
        return self.server.url

    def restart_server(self, options: SandboxOptions) -> None:
        """End the sandbox and start it again at the same place, as in the second terminal."""
        self.ends.close()
        port = int(self.url.rpartition(":")[2])
        started = running(self.folder / SANDBOX, port=port, options=options)
        self.server = self.ends.enter_context(started)

    def type(self, todo: list[Block], database: Postgres | None = None) -> None:
        """Type the blocks of a page; those of the second terminal restart the sandbox."""
        for of_server, part in groupby(todo, lambda block: block.word == "second terminal"):
            if of_server:
                (block,) = part
                assert block.text == SECOND_VERSION, block.place
                self.restart_server(SandboxOptions(model_version=2, same_catalogue=True))
            else:
                self.desk.type(list(part), self.url, IN_PRACTICE, database)
        if self.server.sandbox.options.model_version != 1:
            self.restart_server(SandboxOptions())

    def restore(self) -> None:
        """Put the site back; what the sandbox remembers stays."""
        for path in self.folder.iterdir():
            if path.name != SANDBOX:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.copytree(self.kept, self.folder, dirs_exist_ok=True, symlinks=True)

    @property
    def folder(self) -> Path:
        """The folder that the tutorial makes."""
        return self.desk.home / "practice"


@pytest.fixture(scope="module")
def practice(commands: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Practice]:
    """Yield what the tutorial leads to; typing it is the test of the tutorial, too."""
    desk = Desk.made(tmp_path_factory.mktemp("tutorial"), commands)
    todo = [block for block in blocks(TUTORIAL) if block.is_run]
    folder = desk.home / "practice"
    with ExitStack() as ends:
        server = ends.enter_context(running(folder / SANDBOX, port=free_port()))
        desk.type(todo, server.url, first="")
        kept = tmp_path_factory.mktemp("kept") / "practice"
        shutil.copytree(folder, kept, ignore=shutil.ignore_patterns(SANDBOX), symlinks=True)
        yield Practice(desk, server, kept, ends)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Postgres]:
    """Run PostgreSQL for one page."""
    if PROGRAMS is None:
        pytest.skip("PostgreSQL is not installed")
    with postgres(tmp_path / "postgres") as server:
        yield server


def _with_blocks() -> list[Path]:
    found = [path for path in pages() if any(block.is_run for block in blocks(path))]
    return [path for path in found if path != TUTORIAL]


def test_the_tutorial_leads_from_an_empty_folder_to_contours(practice: Practice) -> None:
    assert len(list(practice.folder.glob("store/*/RS.*.dcm"))) == 3


@pytest.mark.parametrize("path", _with_blocks(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_commands_of_a_page_do_what_it_says(
    path: Path, desk: Desk, request: pytest.FixtureRequest
) -> None:
    todo = [block for block in blocks(path) if block.is_run]
    text = path.read_text(encoding="utf-8")
    database = request.getfixturevalue("database") if WITH_POSTGRES in text else None

    if STARTS_FROM_PRACTICE in text:
        practice: Practice = request.getfixturevalue("practice")
        practice.restore()
        typed = [one for one in blocks(path) if one.is_run or one.word == "second terminal"]
        practice.type(typed, database)
    else:
        with running(desk.home / SANDBOX) as server:
            desk.type(todo, server.url)


def test_a_page_that_goes_on_from_the_tutorial_says_what_a_new_terminal_needs() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in pages()}
    practice = {path for path, text in texts.items() if STARTS_FROM_PRACTICE in text}

    assert [path for path in practice if f"`{IN_PRACTICE}`" not in texts[path]] == [
        ROOT / "README.md"  # of a site of its own
    ]


def test_each_terminal_of_the_tutorial_finds_drawcli_and_its_folder() -> None:
    first, second = (
        next(block for block in blocks(TUTORIAL) if (block.word == "second terminal") == other)
        for other in (False, True)
    )

    for block in (first, second):
        assert block.text.startswith(f"{FIND}\n")
        assert "\ncd ~/practice\n" in block.text


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

    assert not (desk.checkout / "typed").exists()


def test_a_right_block_is_run_in_the_folder_and_shell_of_those_before_it(desk: Desk) -> None:
    text = "```sh\nmkdir a; cd a; export X=1\n```\n\n<!-- exit: 2 -->\n```sh\ndrawcli no\n```\n"
    text += '\n```sh\ntest "$X" = 1\ndrawcli init . > said\n```\n'

    desk.type(blocks(Path("page.md"), text), "http://127.0.0.1:9")

    assert "rules.yaml" in (desk.checkout / "a/said").read_text()
