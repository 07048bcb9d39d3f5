"""kill -9 at any effect on the world: the next runs bring everything home, once.

An effect is an fsync, a rename, a link, a removal, or the moment before or after a request. A run
that is started with KILL_AT=n kills itself at its n-th effect.
"""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pydicom import dcmread

from drawcli.adapters.ledger import FileLedger
from drawcli.config.sections import ServerSettings
from drawcli.core.jobs.job import State
from drawcli.sandbox.server import running
from tests.cli.conftest import at_sandbox
from tests.conftest import HEAD_NECK, PELVIS, THORAX, Site
from tests.phantoms.planning import write_planning_ct

SEEDS = range(int(os.environ.get("TORTURE", "1")))  # the long form: make torture
RUNS = 30 if len(SEEDS) > 1 else 12
FARTHEST_EFFECT = 30
LEAST_KILLED = 5
PEOPLE = (PELVIS, HEAD_NECK, THORAX)
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")

KILLER = """
import os, signal
import httpx

left = int(os.environ.get("KILL_AT", 0))

def counted(function, *, behind=False):
    def call(*args, **more):
        strike()
        answer = function(*args, **more)
        if behind:
            strike()
        return answer
    return call

def strike():
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

for name in ("fsync", "replace", "rename", "link", "unlink"):
    setattr(os, name, counted(getattr(os, name)))
httpx.Client.send = counted(httpx.Client.send, behind=True)
"""


def bare(site: Site) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(site.folder)}


def run_once(site: Site, plugin: Path, kill_at: int = 0) -> int:
    env = bare(site)
    if kill_at:
        env |= {"PYTHONPATH": str(plugin), "KILL_AT": str(kill_at)}
    words = [sys.executable, "-m", "drawcli", "run-once"]
    return subprocess.run(words, cwd=site.folder, env=env, check=False).returncode


@pytest.mark.parametrize("seed", SEEDS)
def test_killed_again_and_again_every_structure_set_comes_home_once(
    site: Site, tmp_path: Path, seed: int
) -> None:
    (tmp_path / "sitecustomize.py").write_text(KILLER)
    for person in PEOPLE:
        write_planning_ct(site.store / person.file_name, person, slices=6, size=48)
    before = {path: digest(path) for path in site.store.rglob("*.dcm")}
    dice = random.Random(4711 + seed)  # noqa: S311 - moments, not secrets
    codes: list[int] = []
    with running(tmp_path / "sandbox") as server:
        at_sandbox(site, server.url, server.token_file)
        while len(codes) < RUNS and not all_done(site):
            codes.append(run_once(site, tmp_path, kill_at=dice.randint(1, FARTHEST_EFFECT)))
        for _ in range(240):
            let_go_on(site)
            if run_once(site, tmp_path) == 0 and all_done(site):
                break
            time.sleep(0.5)
        uploads = server.requests["upload"]

    homes = sorted(site.store.rglob("RS.*.dcm"))
    killed = codes.count(-signal.SIGKILL)
    assert killed >= LEAST_KILLED
    assert set(codes) <= {0, -signal.SIGKILL}
    by_folder = {home.parent.name: str(dcmread(home).PatientID) for home in homes}
    assert by_folder == {person.file_name: person.patient_id for person in PEOPLE}
    assert len(homes) == len(PEOPLE)
    assert uploads <= len(PEOPLE) + ServerSettings().parallel * killed
    assert {path: digest(path) for path in before} == before
    assert not [path for path in site.store.rglob(".*") if path.is_file()]
    assert not list(site.state.glob(".*.tmp"))


def all_done(site: Site) -> bool:
    with FileLedger(site.state / "ledger.json") as ledger:
        jobs = ledger.jobs()
    return len(jobs) == len(PEOPLE) and all(job.state is State.DONE for job in jobs)


def let_go_on(site: Site) -> None:
    """Be the person who is asked after five uploads that were killed before their answer."""
    with FileLedger(site.state / "ledger.json") as ledger:
        held = [job for job in ledger.jobs() if job.held]
    assert {job.reason_code for job in held} <= {"uploads-unanswered"}
    for job in held:
        words = [sys.executable, "-m", "drawcli", "retry", job.id]
        subprocess.run(words, cwd=site.folder, env=bare(site), check=True, capture_output=True)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
