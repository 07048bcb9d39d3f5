"""The whole loop as processes: deliver, edit in the planning system, scan, list, show, export.

Also what a killed scan leaves, and that a run with nothing new does not look at each delivered job.
Each takes many seconds.
"""

import json
import os
import signal
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from drawcli.adapters.ledger import FileLedger
from drawcli.adapters.server.catalogue_cache import save_catalogue
from drawcli.adapters.state.qa_records import QaRecords
from drawcli.core.qa.records import PairStatus
from drawcli.operations.qa.clinical import pair as clinical_pair
from drawcli.operations.qa.clinical.scan import scan_pairs
from drawcli.pipeline.context import Context, open_context
from drawcli.pipeline.steps.scan import scan
from tests.conftest import Site
from tests.operations.qa.clinical.clinic import exported, move_first_roi
from tests.operations.qa.clinical.synthetic import add_cases, only_approved, without_any
from tests.ports import free_port
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.sweep
COUNTED = """
import atexit, sys, time
folder, opened = sys.argv.pop(1), []

def count(event, found):
    if event in ("open", "os.scandir", "os.listdir") and str(found[0]).startswith(folder):
        opened.append(found[0])

sys.addaudithook(count)
atexit.register(lambda: print(len(opened), time.process_time()))
from drawcli.cli import main
main()
"""
LATER: dict[str, Any] = {
    "ApprovalStatus": "APPROVED",
    "StructureSetDate": "20990101",
    "ReviewDate": "20990101",
}


def run(folder: Path, *words: str, codes: tuple[int, ...] = (0,)) -> str:
    """Run drawcli as a process; return its output."""
    ended = subprocess.run(
        [sys.executable, "-m", "drawcli", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=2 * PATIENCE,
    )
    assert ended.returncode in codes, (words, ended.returncode, ended.stdout, ended.stderr)
    return ended.stdout


def answer(folder: Path, *words: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(run(folder, *words, "--json"))["data"]
    return data


@pytest.fixture
def practice(tmp_path: Path) -> Iterator[Path]:
    """Make a site for practice with three patients, and its server."""
    run(tmp_path, "phantoms", "store", "--slices", "12", "--size", "64")
    log, port = (tmp_path / "sandbox.log").open("w"), free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "drawcli", "sandbox", "--port", str(port)],
        cwd=tmp_path,
        stdout=log,
        stderr=log,
    )
    try:
        wait_until((tmp_path / "drawcli-sandbox" / "token.json").exists)
        url = f"http://127.0.0.1:{port}"
        run(tmp_path, "init", ".", "--datastore", "store", "--url", url, "--practice")
        run(tmp_path, "token", "set", "drawcli-sandbox/token.json")
        text = (tmp_path / "drawcli.yaml").read_text()
        (tmp_path / "drawcli.yaml").write_text(f"{text}\nqa: {{enabled: true}}\n")
        yield tmp_path
    finally:
        server.terminate()
        server.wait(timeout=PATIENCE)
        log.close()


def deliver_all(folder: Path) -> list[str]:
    """Run the cycle until every job is done; return the jobs."""
    until = time.monotonic() + 3 * PATIENCE
    while True:
        run(folder, "run-once")
        run(folder, "retry", "--all", codes=(0, 2))
        jobs = answer(folder, "status", "--all")["jobs"]
        if jobs and {job["state"] for job in jobs} == {"done"}:
            return [job["id"] for job in jobs]
        assert time.monotonic() < until, jobs
        time.sleep(0.5)


def test_the_loop_from_delivery_to_export(practice: Path) -> None:
    jobs = deliver_all(practice)
    first = {one["job"]: one for one in answer(practice, "qa", "list")["pairs"]}
    assert {one["status"] for one in first.values()} == {"missing"}
    site = Site(practice)
    with open_context(site.settings()) as ctx:
        for job_id in jobs[:2]:
            job = ctx.ledger.get(job_id)
            assert job is not None
            exported(job, ctx, move_first_roi, **LATER)

    scanned = answer(practice, "qa", "scan")

    assert scanned["recorded"] == {"compared": 2}
    listed = {one["job"]: one for one in answer(practice, "qa", "list")["pairs"]}
    assert {listed[job]["status"] for job in jobs[:2]} == {"compared"}
    assert listed[jobs[0]]["version"] == first[jobs[0]]["version"]
    shown = run(practice, "qa", "show", jobs[0])
    assert "no other structure set could be meant" in shown
    exported_rows = run(practice, "qa", "export", "--csv").splitlines()
    assert sum(f"{jobs[0]}," in row for row in exported_rows) > 3
    assert run(practice, "run-once") == ""
    assert answer(practice, "qa", "scan")["recorded"] == {}
    assert run(practice, "qa", "scan", "--again", "--quiet") == ""


def test_a_killed_scan_goes_on_where_it_was(ctx: Context, site: Site) -> None:
    site.add_line("deliver: {keep_days: 36500}")
    cases = add_cases(ctx, site.store, 12, [only_approved])
    records = QaRecords(site.state)
    for compared in (2, 5, 9):
        process = subprocess.Popen(
            [sys.executable, "-m", "drawcli", "qa", "scan"],
            cwd=site.folder,
            stdout=subprocess.DEVNULL,
        )
        while process.poll() is None:
            done = sum(one.status is PairStatus.COMPARED for one in records.by_job().values())
            if done >= compared:
                os.kill(process.pid, signal.SIGKILL)
            time.sleep(0.01)
        process.wait()
    run(site.folder, "qa", "scan")

    assert {one.status for one in records.by_job().values()} == {PairStatus.COMPARED}
    assert len(records.by_job()) == len(cases)
    assert len([one for one in records.every() if one.status is PairStatus.COMPARED]) == len(cases)


def test_two_scans_at_once_are_harmless(ctx: Context, site: Site) -> None:
    site.add_line("deliver: {keep_days: 36500}")
    cases = add_cases(ctx, site.store, 6, [only_approved])
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "drawcli", "qa", "scan"],
            cwd=site.folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(3)
    ]
    codes = [process.wait(timeout=2 * PATIENCE) for process in started]

    assert 0 in codes
    assert set(codes) <= {0, 11}
    records = QaRecords(site.state)
    assert {one.status for one in records.by_job().values()} == {PairStatus.COMPARED}
    assert len(list(records.every())) == 2 * len(cases)


def test_a_run_with_nothing_new_is_hardly_longer_with_60_delivered_jobs(
    ctx: Context, site: Site
) -> None:
    site.add_line("deliver: {keep_days: 36500}")
    add_cases(ctx, site.store, 60, [only_approved, without_any])
    save_catalogue(site.state, [], datetime.now(UTC))  # else the server is asked
    run(site.folder, "qa", "scan")
    run(site.folder, "run-once")  # archives the jobs

    def spent(enabled: str) -> tuple[int, float]:
        """Return how many files and folders of the site a run opens, and its seconds of CPU."""
        environment = os.environ | {"DRAWCLI_QA__ENABLED": enabled}
        words = [sys.executable, "-c", COUNTED, str(site.folder), "run-once"]
        ended = subprocess.run(
            words, cwd=site.folder, env=environment, check=True, capture_output=True, text=True
        )
        opened, cpu = ended.stdout.split()
        return int(opened), float(cpu)

    pairs = [(spent("false"), spent("true")) for _ in range(3)]
    without, with_qa = (min(column) for column in zip(*pairs, strict=True))
    assert with_qa[0] < without[0] + 20
    cpu_without, cpu_with = (min(run[1] for run in column) for column in zip(*pairs, strict=True))
    assert cpu_with < 2 * cpu_without


def test_memory_does_not_grow_with_the_number_of_pairs(
    ctx: Context, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clinical_pair, "has_scipy", lambda: False)
    peaks = []
    for number, count in enumerate((8, 8, 80)):
        add_cases(ctx, site.store / str(number), count, [only_approved], first=100 * number)
        scan(ctx)
        tracemalloc.start()
        scan_pairs(ctx)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.5 * peaks[1] + 2_000_000, peaks


def test_the_ledger_is_only_read(ctx: Context, site: Site) -> None:
    add_cases(ctx, site.store, 2, [only_approved])
    scan(ctx)
    with FileLedger(site.state / "ledger.json") as ledger:
        before = ledger.generation
    scan_pairs(ctx)
    with FileLedger(site.state / "ledger.json") as ledger:
        assert ledger.generation == before
