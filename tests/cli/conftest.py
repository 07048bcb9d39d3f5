"""Run drawcli as its users do: as a process, with almost no environment."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
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
        environment = {"PATH": os.environ["PATH"], "HOME": str(site.folder), **env}
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
