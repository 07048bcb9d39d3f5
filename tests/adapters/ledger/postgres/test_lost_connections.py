"""If a connection breaks before, during or after a change, the change is done exactly once."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drawcli.adapters.ledger.postgres.jobs import DatabaseLedger
from drawcli.core.jobs.job import Job, State
from drawcli.core.jobs.shared_files import FileChanges, SharedFile
from drawcli.errors import DrawcliError, OutOfReach
from tests.adapters.ledger.postgres.cutting_proxy import CuttingProxy
from tests.postgres import (
    SITES,
    Postgres,
    emptied,
    needs_postgres,
    opened_ledger,
    password_file,
    postgres,
    with_tables,
)

pytestmark = needs_postgres
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
JOBS = [Job(id=f"{number:012x}-1", state=State.FOUND, since=NOON) for number in range(3)]
FIRST = JOBS[0]
AFTER = FIRST.to(State.MATCHED, at=NOON, template="A")


@dataclass
class Carrier:
    """Has one small file for each stored job."""

    noted: list[str]

    def changes(self, job_id: str) -> FileChanges:
        put = {"report.json": SharedFile("digest")}
        return FileChanges(put, {"report.json": job_id.encode()}, frozenset(), "host1")

    def stored(self, job_id: str, _changes: FileChanges) -> None:
        self.noted.append(job_id)


def add(ledger: DatabaseLedger) -> object:
    return ledger.add(*JOBS)


def commit(ledger: DatabaseLedger) -> object:
    with ledger.claim(FIRST.id):
        return ledger.commit(AFTER)


def commit_twice_with_files(ledger: DatabaseLedger) -> object:
    ledger.carrier = Carrier([])
    with ledger.claim(FIRST.id):
        once = ledger.commit(AFTER)
        return ledger.commit(replace(once, posts=1), last=True), ledger.carrier.noted


def archive(ledger: DatabaseLedger) -> object:
    ledger.archive_finished(NOON + timedelta(days=400))
    return [job.id for job in ledger.jobs()], len(ledger.archive)


def read(ledger: DatabaseLedger) -> object:
    return ledger.get(FIRST.id), ledger.jobs(), ledger.stamp is not None


def limited_step(ledger: DatabaseLedger) -> object:
    with ledger.claim(FIRST.id), ledger.shared.slot("upload", FIRST.id, 1):
        return ledger.database.rows("SELECT job_id FROM drawcli.slot")


CHANGES: dict[str, tuple[list[Job], Callable[[DatabaseLedger], object]]] = {
    "add": ([], add),
    "commit": (JOBS, commit),
    "commit with files": (JOBS, commit_twice_with_files),
    "archive": ([FIRST, replace(JOBS[1], state=State.DONE)], archive),
    "limited step": (JOBS, limited_step),
    "read": (JOBS, read),
}


@pytest.fixture
def proxy(postgres_server: Postgres) -> Iterator[CuttingProxy]:
    between = CuttingProxy(postgres_server.port)
    yield between
    between.close()


def rows_of(server: Postgres) -> list[object]:
    columns = "id, state, revision, record, month, fence, lease_until IS NULL, home"
    query = f"SELECT {columns} FROM drawcli.job ORDER BY id"
    rows = server.execute(query, database="cut")
    files = "SELECT job_id, name, digest, sealed FROM drawcli.job_file ORDER BY job_id, name"
    return [*rows, *server.execute(files, database="cut")]


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_done_once_wherever_the_connection_is_cut(
    postgres_server: Postgres, proxy: CuttingProxy, name: str
) -> None:
    before, change = CHANGES[name]
    address = f"postgresql://{SITES[0]}@127.0.0.1:{proxy.port}/cut"
    secret = password_file(postgres_server)

    def outcome(cut_at: int) -> tuple[object, list[object]]:
        emptied(postgres_server, "cut")
        with opened_ledger(address, secret) as ledger:
            ledger.add(*before)
            proxy.count_from(cut_at)
            answer = change(ledger)
            return answer, rows_of(postgres_server)

    wanted = outcome(-1)
    events = proxy.events
    assert events > 3
    for event in range(events):
        answer, rows = outcome(event)
        assert answer == wanted[0], (event, events)
        # One more claim may have been granted, whose answer was lost.
        assert [_but_fence(row) for row in rows] == [_but_fence(row) for row in wanted[1]], event


def _but_fence(row: object) -> object:
    assert isinstance(row, tuple)
    return (*row[:5], *row[6:]) if len(row) > 5 else row


def test_a_job_that_is_taken_up_again_meanwhile_is_not_archived(
    postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    emptied(postgres_server, "cut")
    address, secret = postgres_server.url(SITES[0], "cut"), password_file(postgres_server)
    done = replace(FIRST, state=State.CANCELLED)
    with opened_ledger(address, secret) as ledger, opened_ledger(address, secret) as another:
        ledger.add(done)
        with another.claim(done.id):
            after = another.commit(done.to(State.WAITING, at=NOON))
        monkeypatch.setattr(ledger, "_jobs", lambda *_: [done])  # as read a moment before

        assert ledger.archive_finished(NOON + timedelta(days=400)) == 0
        assert another.jobs() == [after]


def test_a_database_that_stays_away_is_reported(
    postgres_server: Postgres, proxy: CuttingProxy
) -> None:
    emptied(postgres_server, "cut")
    address = f"postgresql://{SITES[0]}@127.0.0.1:{proxy.port}/cut"
    with opened_ledger(address, password_file(postgres_server)) as ledger:
        ledger.add(FIRST)
        proxy.close()

        with pytest.raises(OutOfReach, match="does not answer") as caught:
            ledger.jobs()

    assert (caught.value.code, caught.value.exit_code) == ("ledger-away", 7)


@pytest.mark.sweep
def test_acknowledged_changes_survive_a_database_that_is_killed(tmp_path: Path) -> None:
    """Three times: stopped without a checkpoint while three threads write, then started again."""
    with postgres(tmp_path / "durable", durable=True) as server:
        with_tables(server, "killed")
        address, secret = server.url(SITES[0], "killed"), password_file(server)
        known: dict[str, Job] = {}
        for kill in range(3):
            threads = [
                threading.Thread(target=_write, args=(address, secret, f"{kill}{n}", known))
                for n in range(3)
            ]
            for thread in threads:
                thread.start()
            while len(known) < 30 * (kill + 1):
                assert any(thread.is_alive() for thread in threads)
            server.stop("immediate")
            for thread in threads:
                thread.join(timeout=60)
            server.start()
            with opened_ledger(address, secret) as ledger:
                stored = {job.id: job for job in ledger.jobs()}
            for job_id, job in known.items():
                assert stored[job_id].revision >= job.revision


def _write(address: str, secret: Path, name: str, known: dict[str, Job]) -> None:
    """Add and commit jobs until the database is away; note what was acknowledged."""
    with opened_ledger(address, secret, host=f"host{name}") as ledger:
        for number in range(100_000):
            job = Job(id=f"{int(name):04x}{number:08x}-1", state=State.FOUND, since=NOON)
            try:
                ledger.add(job)
                known[job.id] = job
                with ledger.claim(job.id):
                    known[job.id] = ledger.commit(job.to(State.MATCHED, at=NOON))
            except DrawcliError:
                return
