"""The same faults of the server, with drawcli as the process that cron starts.

The short form takes one fault of each kind; the long form every fault at every endpoint.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from drawcli.sandbox.faults import read_faults
from drawcli.sandbox.options import SandboxOptions
from drawcli.sandbox.server import running
from tests.cli.conftest import Ended, Run, at_sandbox, environment
from tests.conftest import Site
from tests.test_server_faults import HELD, MATRIX, MOST_UPLOADS, wait_for

LONG = int(os.environ.get("TORTURE", "1")) > 1
ROUNDS = 16
ALLOWED = {0, 3, 4, 5, 6, 7, 10}  # never a crash, never a wrong use
SHORT = ("health:503", "upload:lost", "status:html", "rtstruct:length", "confirm:drop")
SPECS = [one for one in MATRIX if not one.endswith("lockout")] if LONG else SHORT


@pytest.fixture
def process(site: Site) -> Run:
    """Return a function that runs drawcli as its users do: as a process."""

    def run(*words: str) -> Ended:
        done = subprocess.run(
            [sys.executable, "-m", "drawcli", *words],
            capture_output=True,
            text=True,
            encoding="utf-8",
            cwd=site.folder,
            env=environment(site),
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    return run


@pytest.mark.parametrize("spec", [*SPECS, "upload:expire"])
@pytest.mark.usefixtures("pelvis")
def test_a_process_with_one_fault_at_the_server_loses_nothing(
    spec: str, process: Run, site: Site, tmp_path: Path
) -> None:
    codes = []
    options = SandboxOptions(faults=read_faults(spec), strict=True, realistic=True)
    with running(tmp_path / "sandbox", options=options) as server:
        at_sandbox(site, server.url, server.token_file)
        site.config.write_text(
            site.config.read_text().replace("server: {", "server: {timeout_seconds: 2, ")
        )
        for _ in range(ROUNDS):
            codes.append(process("run-once").code)
            (job,) = process("status", "--json").answer["data"]["jobs"]
            if job["held"] or job["state"] == "done":
                break
            wait_for(server)
            process("retry", "--all")

    assert (job["reason_code"] if job["held"] else None) == HELD.get(spec)
    assert len(list(site.store.rglob("RS.*"))) == (spec not in HELD or spec.startswith("confirm"))
    assert server.requests["upload"] <= MOST_UPLOADS
    assert set(codes) <= ALLOWED
