"""Workers as processes: they are asked to end, killed, cut off from the database."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from drawcli.sandbox.patients import PEOPLE
from tests.operations.workers.conftest import Host, Ward
from tests.phantoms.planning import write_planning_ct
from tests.postgres import needs_postgres
from tests.waiting import wait_until as wait_for_sign

pytestmark = [needs_postgres, pytest.mark.sweep]
LONG = 400.0  # s, for processes that start on a busy machine
LEASED = "SELECT lease_pid FROM drawcli.job WHERE lease_until > drawcli.clock()"


def wait_until(is_so: Callable[[], object]) -> None:
    wait_for_sign(is_so, LONG)


def fill(host: Host, series: int) -> None:
    """Write so many small planning CTs into the datastore of a host."""
    for number in range(series):
        person = PEOPLE[number % len(PEOPLE)]
        folder = host.site.store / str(number)
        write_planning_ct(folder, person, slices=4, size=32, seed=number + 10)


def posts(ward: Ward) -> int:
    """Return how many uploads the server has taken."""
    return len([*(ward.folder / "sandbox" / "tasks").iterdir()])


def children(process: subprocess.Popen[bytes]) -> list[int]:
    """Return the lanes of a worker."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    names: dict[int, bytes] = {}
    for pid in map(int, children):
        with suppress(OSError):  # it has ended meanwhile
            names[pid] = Path(f"/proc/{pid}/cmdline").read_bytes()
    return [pid for pid, words in names.items() if b"spawn_main" in words]


def test_two_hosts_do_every_series_once_and_end_when_asked(ward: Ward) -> None:
    first, second = (ward.host(name, lease_seconds=60) for name in ("ct-1", "ct-2"))
    fill(first, 4)
    workers = [first.worker("--parallel", "1"), second.worker("--parallel", "1")]

    ward.wait_for("done", jobs=4, seconds=LONG)

    for worker in workers:
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(LONG) == 0
    assert len([*first.site.store.rglob("RS.*")]) == 4
    assert posts(ward) == 4
    assert ward.rows(LEASED) == []


def test_killed_lanes_and_workers_lose_nothing_and_send_nothing_twice(ward: Ward) -> None:
    first, second = ward.host("ct-1", gone_minutes=0.1), ward.host("ct-2", gone_minutes=0.1)
    fill(first, 6)
    worker, other = first.worker("--parallel", "2"), second.worker("--parallel", "1")
    for _ in range(3):
        wait_until(lambda: ward.rows(LEASED))
        for (pid,) in ward.rows(LEASED):
            if pid in children(worker):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.5)
    other.kill()  # with its lanes: they end with it
    other.wait()
    second.worker("--parallel", "1")

    ward.wait_for("done", jobs=6, seconds=LONG)

    assert len([*first.site.store.rglob("RS.*")]) == 6
    attempts = ward.rows("SELECT sum((record::jsonb->>'attested')::int) FROM drawcli.job")
    assert posts(ward) <= attempts[0][0]


def test_a_worker_whose_supervising_process_is_killed_ends_after_its_step(ward: Ward) -> None:
    host = ward.host("ct-1")
    worker = host.worker("--parallel", "2")
    wait_until(lambda: len(children(worker)) == 2)
    lanes = children(worker)
    time.sleep(2)

    worker.kill()

    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in lanes))


def test_without_grace_time_the_running_step_is_returned(ward: Ward) -> None:
    host = ward.host("ct-1", lease_seconds=3600)
    fill(host, 3)
    worker = host.worker("--parallel", "2", "--grace", "0")
    wait_until(lambda: ward.rows(LEASED))

    worker.send_signal(signal.SIGTERM)

    assert worker.wait(LONG) == 0
    assert ward.rows(LEASED) == []  # else the next worker would wait for an hour
    assert ward.rows("SELECT facts FROM drawcli.host") == [('{"workers": {}}',)]
    running = "SELECT count(*) FROM drawcli_queue_north.procrastinate_jobs WHERE status = 'doing'"
    assert ward.rows(running) == [(0,)]
    host.worker("--parallel", "2")
    ward.wait_for("done", jobs=3, seconds=LONG)


def test_a_second_signal_ends_it_at_once(ward: Ward) -> None:
    host = ward.host("ct-1")
    fill(host, 3)
    worker = host.worker("--parallel", "2", "--grace", "3600")
    wait_until(lambda: ward.rows(LEASED))
    worker.send_signal(signal.SIGINT)
    time.sleep(0.3)

    worker.send_signal(signal.SIGINT)

    assert worker.wait(LONG) == 0


def test_a_restart_of_the_database_ends_no_worker(ward: Ward) -> None:
    host = ward.host("ct-1")
    worker = host.worker("--parallel", "2")
    fill(host, 4)
    wait_until(lambda: "done" in ward.states() or "packaged" in ward.states())

    ward.server.stop("immediate")
    wait_until(lambda: "database" in host.said)
    ward.server.start()

    ward.wait_for("done", jobs=4, seconds=LONG)
    wait_until(lambda: ": solved" in host.said)  # of the lane or of the step that noticed
    assert worker.poll() is None
    assert posts(ward) >= 4
