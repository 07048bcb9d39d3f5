"""Run drawcli as its users do: as a process, with almost no environment."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

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
    """Return a function that runs drawcli at the site and waits for its end."""

    def run(*words: str, **env: str) -> Ended:
        measured = {name: text for name, text in os.environ.items() if name.startswith("COV")}
        environment = {"PATH": os.environ["PATH"], "HOME": str(site.folder), **measured, **env}
        done = subprocess.run(
            [sys.executable, "-m", "drawcli", *words],
            capture_output=True,
            text=True,
            encoding="utf-8",
            cwd=site.folder,
            env=environment,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


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
