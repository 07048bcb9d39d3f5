"""Run drawcli with almost no environment: here, or as a process as its users do."""

import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
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

    def run(*words: str, **env: str) -> Ended:
        out, err = written(), written()
        with (
            chdir(site.folder),
            patch.dict(os.environ, environment(site) | env, clear=True),
            patch.object(sys, "argv", ["drawcli", *words]),
            patch.object(sys, "stdin", written()),
            redirect_stdout(out),
            redirect_stderr(err),
            logging_as_it_was(),
            pytest.raises(SystemExit) as ended,
        ):
            main()
        return Ended(int(ended.value.code or 0), text_of(out), text_of(err))

    return run


@pytest.fixture
def process(site: Site) -> Run:
    """Return a function that runs drawcli as its users do: as a process."""

    def run(*words: str, **env: str) -> Ended:
        done = subprocess.run(
            [sys.executable, "-m", "drawcli", *words],
            capture_output=True,
            text=True,
            encoding="utf-8",
            cwd=site.folder,
            env=environment(site) | env,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


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
    for _ in range(60):
        drawcli("retry", "--all")
        drawcli("poll")
        jobs = drawcli("status", "--json").answer["data"]["jobs"]
        if all(job["state"] in (state, "done") for job in jobs):
            return
        time.sleep(0.2)
    pytest.fail(f"the jobs did not come to {state}: {jobs}")


def at_terminal(site: Site, *words: str) -> str:
    """Run drawcli with a pseudo-terminal as its standard output."""
    import pty

    leader, follower = pty.openpty()
    env = {"PATH": os.environ["PATH"], "HOME": str(site.folder), "COLUMNS": "200"}
    process = subprocess.Popen(
        [sys.executable, "-m", "drawcli", *words], cwd=site.folder, env=env, stdout=follower
    )
    os.close(follower)
    said = b""
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        said += piece
    os.close(leader)
    assert process.wait() == 0
    return said.decode("utf-8")


def answering(site: Site, words: tuple[str, ...], answers: str) -> str:
    """Run drawcli at a pseudo-terminal and type answers."""
    import pty

    leader, follower = pty.openpty()
    env = {"PATH": os.environ["PATH"], "HOME": str(site.folder), "COLUMNS": "200"}
    process = subprocess.Popen(
        [sys.executable, "-m", "drawcli", *words],
        cwd=site.folder,
        env=env,
        stdin=follower,
        stdout=follower,
        stderr=follower,
    )
    os.close(follower)
    os.write(leader, answers.encode())
    said = b""
    while True:
        try:
            piece = os.read(leader, 65536)
        except OSError:  # the other end is closed
            break
        said += piece
    os.close(leader)
    assert process.wait() == 0
    return said.decode("utf-8").replace("\r\n", "\n")
