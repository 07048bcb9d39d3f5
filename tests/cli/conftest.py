"""Run drawcli with almost no environment: here, or as a process as its users do."""

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from drawcli.cli import main
from tests.conftest import Site

Run = Callable[..., "Ended"]


@dataclass(frozen=True)
class Ended:
    """A drawcli that has ended."""

    code: int
    out: str
    err: str

    @property
    def answer(self) -> dict[str, Any]:
        """Return the JSON object on standard output."""
        whole: dict[str, Any] = json.loads(self.out)
        return whole


@pytest.fixture
def drawcli(site: Site) -> Run:
    """Return a function that runs drawcli at the site, here: starting a process costs far more."""
    return lambda *words, **env: run_here(site, words, (written(), written(), written()), env)


def run_here(
    site: Site,
    words: Sequence[str],
    streams: tuple[TextIOWrapper, TextIOWrapper, TextIOWrapper],
    env: dict[str, str],
) -> Ended:
    """Run drawcli in this process, with standard input, output and error of its own."""
    stdin, out, err = streams
    with (
        chdir(site.folder),
        patch.dict(os.environ, environment(site) | env, clear=True),
        patch.object(sys, "argv", ["drawcli", *words]),
        patch.object(sys, "stdin", stdin),
        redirect_stdout(out),
        redirect_stderr(err),
        logging_as_it_was(),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    return Ended(int(ended.value.code or 0), text_of(out), text_of(err))


def environment(site: Site) -> dict[str, str]:
    """Return almost no environment, as cron gives; what measures coverage goes on."""
    measured = {name: text for name, text in os.environ.items() if name.startswith("COV")}
    return {"PATH": os.environ["PATH"], "HOME": str(site.folder), **measured}


def written() -> TextIOWrapper:
    """Return a stream that keeps what is written to it."""
    return TextIOWrapper(BytesIO(), encoding="utf-8", write_through=True)


def text_of(stream: TextIOWrapper) -> str:
    """Return what was written."""
    stream.seek(0)
    return stream.read()


@contextmanager
def logging_as_it_was() -> Iterator[None]:
    """Take back what a command does to the logging of its process."""
    root, last = logging.getLogger(), logging.lastResort
    handlers, level = list(root.handlers), root.level
    try:
        yield
    finally:
        for handler in [one for one in root.handlers if one not in handlers]:
            root.removeHandler(handler)
            handler.close()
        root.setLevel(level)
        logging.lastResort = last
        logging.captureWarnings(capture=False)


def at_sandbox(site: Site, url: str, token_file: Path) -> None:
    """Point the site to a server that answers."""
    text = site.config.read_text().replace("http://127.0.0.1:9", url)
    site.config.write_text(text)
    (site.folder / "token.json").write_bytes(token_file.read_bytes())


def poll_until(drawcli: Run, state: str) -> None:
    """Ask the server, as a physicist would, until every open job has come to a state."""
    for _ in range(600):
        drawcli("retry", "--all")
        drawcli("poll")
        jobs = drawcli("status", "--json").answer["data"]["jobs"]
        if all(job["state"] in (state, "done") for job in jobs):
            return
        time.sleep(0.2)
    pytest.fail(f"the jobs did not come to {state}: {jobs}")


class Terminal(TextIOWrapper):
    """A stream that says that a person sits there."""

    def isatty(self) -> bool:
        return True


def at_terminal(site: Site, *words: str) -> str:
    """Return what drawcli prints where its standard output is a terminal."""
    out = Terminal(BytesIO(), encoding="utf-8", write_through=True)
    ended = run_here(site, words, (written(), out, written()), {"COLUMNS": "200"})
    assert ended.code == 0, ended.err
    return ended.out


def piped(site: Site, text: str, *words: str) -> Ended:
    """Run drawcli with a text at its standard input."""
    given = TextIOWrapper(BytesIO(text.encode()), encoding="utf-8")
    return run_here(site, words, (given, written(), written()), {})


def answering(site: Site, words: Sequence[str], answers: str) -> str:
    """Return what drawcli prints to a person who types answers."""
    typed = Terminal(BytesIO(answers.encode()), encoding="utf-8")
    said = Terminal(BytesIO(), encoding="utf-8", write_through=True)
    assert run_here(site, words, (typed, said, said), {"COLUMNS": "200"}).code == 0
    return text_of(said)


def at_pseudo_terminal(site: Site, *words: str) -> str:
    """Return what a drawcli of its own prints to a pseudo-terminal."""
    import pty

    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "drawcli", *words],
        cwd=site.folder,
        env=environment(site) | {"COLUMNS": "200"},
        stdout=follower,
    )
    os.close(follower)
    said = b""
    with suppress(OSError):  # the other end is closed
        while piece := os.read(leader, 65536):
            said += piece
    os.close(leader)
    assert process.wait() == 0
    return said.decode("utf-8")
