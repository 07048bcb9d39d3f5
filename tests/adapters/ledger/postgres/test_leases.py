import os
import subprocess
import threading
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from drawcli.adapters.ledger.postgres import claims, leases
from drawcli.adapters.ledger.postgres.failures import TryAgain
from drawcli.core.jobs.job import Job, State
from drawcli.core.jobs.ledger import Busy
from drawcli.errors import LeaseLost, LedgerError
from tests.adapters.ledger.postgres.conftest import Opened
from tests.postgres import Postgres, needs_postgres
from tests.waiting import PATIENCE, wait_until

pytestmark = needs_postgres
NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
FOUND = Job(id="0123456789ab-1", state=State.FOUND, since=NOON).begun(at=NOON)


def end_leases(server: Postgres, database: str) -> None:
    """End all leases."""
    server.execute("UPDATE drawcli.job SET lease_until = drawcli.clock()", database=database)


def test_a_claimed_job_is_busy_for_another_host(opened: Opened) -> None:
    one, other = opened("host1"), opened("host2")
    one.add(FOUND)

    with one.claim(FOUND.id), pytest.raises(Busy), other.claim(FOUND.id):
        pass
    with other.claim(FOUND.id):
        assert other.commit(FOUND.to(State.MATCHED, at=NOON)).revision == 1


def test_a_host_that_comes_back_cannot_write_with_its_old_lease(
    opened: Opened, server: Postgres, database: str
) -> None:
    late, quick = opened("host1"), opened("host2")
    late.add(FOUND)

    with late.claim(FOUND.id):
        end_leases(server, database)
        refused = pytest.raises(LeaseLost, match="another machine may have taken")
        with quick.claim(FOUND.id), refused:
            late.commit(FOUND.to(State.MATCHED, at=NOON))
    stored = quick.get(FOUND.id)
    assert stored is not None
    assert stored.state is State.FOUND


def test_the_last_version_of_a_step_releases_the_job(opened: Opened) -> None:
    one, other = opened("host1"), opened("host2")
    one.add(FOUND)

    with one.claim(FOUND.id):
        matched = one.commit(FOUND.to(State.MATCHED, at=NOON), last=True)
        assert not one.is_safe(FOUND.id)
        with other.claim(FOUND.id):
            assert other.commit(matched.noted(NOON, "seen")).revision == 2
            with pytest.raises(LedgerError, match="changed by another process"):
                one.commit(matched)


def test_all_leases_are_renewed_in_one_statement_and_a_lost_one_is_logged(
    opened: Opened,
    server: Postgres,
    database: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    late, quick = opened("host1"), opened("host2")
    jobs = [replace(FOUND, id=f"{n:012x}-1") for n in range(3)]
    late.add(*jobs)
    asked = list[str]()
    for job in jobs:
        late.leases.claim(job.id)
    ends = "SELECT id, lease_until FROM drawcli.job ORDER BY id"
    before = server.execute(ends, database=database)
    server.execute(
        f"UPDATE drawcli.job SET lease_until = drawcli.clock() WHERE id = '{jobs[0].id}'",
        database=database,
    )
    quick.leases.claim(jobs[0].id)
    rows = late.database.rows

    def counted(query: str, *values: Any) -> list[tuple[Any, ...]]:
        asked.append(query)
        return rows(query, *values)

    monkeypatch.setattr(late.database, "rows", counted)

    late.leases.renew()

    after = server.execute(ends, database=database)
    assert len(asked) == 1
    assert [late.is_safe(job.id) for job in jobs] == [False, True, True]
    assert all(now[1] > then[1] for then, now in zip(before[1:], after[1:], strict=True))
    assert f"job={jobs[0].id} the lease ended, and another process has the job" in caplog.text


def test_no_transfer_begins_shortly_before_the_lease_ends(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, clock = opened(seconds=60), [1000.0]
    monkeypatch.setattr(leases, "steady_seconds", lambda: clock[0])
    ledger.add(FOUND)

    with ledger.claim(FOUND.id):
        clock[0] += 53.9
        assert ledger.is_safe(FOUND.id)
        clock[0] += 0.2
        assert not ledger.is_safe(FOUND.id)
        ledger.leases.renew()
        assert ledger.is_safe(FOUND.id)
    assert not ledger.is_safe(FOUND.id)


def test_jobs_of_an_ended_process_of_this_host_are_released_and_no_others(
    opened: Opened, server: Postgres, database: str
) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    ledger = opened("host1")
    here = ledger.leases.holder
    holders = {
        "0" * 12: here._replace(pid=ended.pid),
        "1" * 12: here,
        "2" * 12: here._replace(pid=os.getppid()),
        "3" * 12: here._replace(pid=ended.pid, boot="of an earlier start"),
        "4" * 12: here._replace(pid=ended.pid, host="host2"),
    }
    for name, holder in holders.items():
        ledger.add(replace(FOUND, id=f"{name}-1"))
        replace(ledger.leases.table, holder=holder).claim(f"{name}-1")

    assert ledger.leases.release_dead() == 1
    assert server.execute(
        "SELECT id FROM drawcli.job WHERE lease_until IS NULL", database=database
    ) == [("0" * 12 + "-1",)]


def test_a_connection_that_ended_while_it_was_idle_is_opened_again(
    opened: Opened, server: Postgres, database: str
) -> None:
    ledger = opened()
    ledger.add(FOUND)
    server.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = "
        f"'{database}' AND usename = 'north'"
    )

    assert ledger.get(FOUND.id) == FOUND


def test_a_site_sees_and_claims_no_job_of_another(opened: Opened) -> None:
    north, south = opened("host1", "north"), opened("host1", "south")
    north.add(FOUND)

    assert south.jobs() == []
    assert south.leases.claim(FOUND.id) is None
    with pytest.raises(LedgerError, match="row-level security"):
        south.database.rows(
            "INSERT INTO drawcli.site_state (site, name, value) VALUES ('north', 'pause', '1')"
        )


def test_the_write_of_another_host_is_not_taken_for_a_write_whose_answer_was_lost(
    opened: Opened, server: Postgres, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    late, quick = opened("host1"), opened("host2")
    late.add(FOUND)
    matched = FOUND.to(State.MATCHED, at=NOON)
    rows_once = late.database.rows_once

    def lost(*_: Any) -> list[tuple[Any, ...]]:
        monkeypatch.setattr(late.database, "rows_once", rows_once)
        end_leases(server, database)
        with quick.claim(FOUND.id):
            quick.commit(matched)  # the same, word for word
        raise TryAgain("the connection broke")

    with late.claim(FOUND.id):
        monkeypatch.setattr(late.database, "rows_once", lost)
        with pytest.raises(LeaseLost):
            late.commit(matched)


def test_a_claim_whose_answer_was_lost_waits_for_its_first_attempt(
    opened: Opened, server: Postgres, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection broke while the database was still granting it."""
    ledger, over, begun = opened(), threading.Event(), threading.Event()
    ledger.add(FOUND)
    table, rows_once = ledger.leases.table, ledger.database.rows_once
    waits = f"SELECT 1 FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE datname = '{database}'"

    def attempt(cursor: Any) -> None:
        values = (*table.holder, table.seconds, table.site, FOUND.id)
        cursor.execute(claims._CLAIM.encode(), values)
        begun.set()
        wait_until(lambda: over.is_set() or server.execute(f"{waits} AND NOT granted"))

    def lost(*_: Any) -> list[tuple[Any, ...]]:
        monkeypatch.setattr(ledger.database, "rows_once", rows_once)
        first.start()
        begun.wait(PATIENCE)
        raise TryAgain("the connection broke")

    first = threading.Thread(target=ledger.database.another().run_once, args=(attempt,))
    monkeypatch.setattr(ledger.database, "rows_once", lost)
    try:
        with ledger.claim(FOUND.id):
            assert ledger.commit(FOUND.to(State.MATCHED, at=NOON)).revision == 1
    finally:
        over.set()
        first.join(PATIENCE)


def test_a_write_whose_answer_was_lost_is_found(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = opened()
    ledger.add(FOUND)
    rows_once = ledger.database.rows_once

    def lost(query: str, *values: Any) -> list[tuple[Any, ...]]:
        monkeypatch.setattr(ledger.database, "rows_once", rows_once)
        rows_once(query, *values)
        raise TryAgain("the connection broke")

    with ledger.claim(FOUND.id):
        monkeypatch.setattr(ledger.database, "rows_once", lost)
        assert ledger.commit(FOUND.to(State.MATCHED, at=NOON), last=True).revision == 1
    assert [job.revision for job in ledger.jobs()] == [1]
