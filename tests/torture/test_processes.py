"""Several drawcli at once, and signals of every kind."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from drawcli.adapters.ledger import FileLedger
from tests.conftest import Site
from tests.torture.conftest import Make
from tests.torture.test_kills import TIMES
from tests.waiting import PATIENCE

HEARS_INTERRUPTS = """
import signal
from drawcli.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs ignore it
main()
"""
SIGNALS = ("SIGKILL", "SIGTERM", "SIGHUP", "SIGINT", "SIGSTOP")
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")


def started(site: Site, *words: str) -> subprocess.Popen[str]:
    """Start a drawcli of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", HEARS_INTERRUPTS, *words],
        cwd=site.folder,
        env={"PATH": os.environ["PATH"], "HOME": str(site.folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> int:
    """Wait for the end; nothing may have been said that only a programmer understands."""
    out, err = process.communicate(timeout=PATIENCE)
    assert "Traceback" not in out + err, err
    return process.returncode


def test_runs_and_steps_at_once_do_everything_once(world: Make) -> None:
    one = world()
    for _ in range(3):
        one.run("retry", "--all")
        words = (["run-once"], ["run-once"], ["status"], ["deidentify"], ["status", "--json"])
        processes = [started(one.site, *each) for each in words]
        codes = [ended(process) for process in processes]
        assert set(codes) <= {0, 11}, codes
    one.bring_home()
    one.check_home()


@pytest.mark.parametrize("seed", range(2 * TIMES))
def test_signals_of_every_kind_at_random_moments(world: Make, seed: int) -> None:
    one, dice = world(), random.Random(seed)  # noqa: S311 - moments, not secrets
    for _ in range(3):
        processes = [started(one.site, "run-once"), started(one.site, "run-once")]
        time.sleep(dice.uniform(0.2, 1.2))
        for process in processes:
            name = dice.choice(SIGNALS)
            process.send_signal(getattr(signal, name))
            if name == "SIGSTOP":  # a laptop that sleeps, and wakes
                time.sleep(0.2)
                process.send_signal(signal.SIGCONT)
        one.kills += len(processes)
        for process in processes:
            process.communicate(timeout=PATIENCE)
        one.run("status")
    one.bring_home()
    one.check_home()


def test_an_interrupted_run_says_so_and_leaves_130(world: Make) -> None:
    one = world()
    process = started(one.site, "run-once")
    while process.poll() is None and not any(one.site.state.glob("run*.json")):
        time.sleep(0.01)  # until it has the lock: before that, Python itself ends it
    process.send_signal(signal.SIGINT)

    out, err = process.communicate(timeout=PATIENCE)

    assert process.returncode in (130, 0)  # 0: it was quicker
    assert "Traceback" not in out + err
    one.bring_home()
    one.check_home()


READER = """
import sys, time
from pathlib import Path
from drawcli.adapters.ledger import FileLedger
from tests.conftest import Site

path, until, latest = Path(sys.argv[1]), time.monotonic() + float(sys.argv[2]), {}
with FileLedger(path) as ledger:
    while time.monotonic() < until:
        for job in ledger.jobs():
            assert job.revision >= latest.get(job.id, 0), "went back"
            latest[job.id] = job.revision
print(len(latest))
"""


def test_readers_never_see_a_torn_or_older_ledger(world: Make) -> None:
    one, count = world(), 20 if TIMES > 1 else 4
    one.run("scan")
    ledger = one.site.state / "ledger.json"
    readers = [
        subprocess.Popen(
            [sys.executable, "-c", READER, str(ledger), "4"],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        for _ in range(count)
    ]
    one.bring_home()

    assert {reader.communicate(timeout=PATIENCE)[0].strip() for reader in readers} == {"2"}
    with FileLedger(ledger) as again:
        assert len(again.jobs()) == 2
