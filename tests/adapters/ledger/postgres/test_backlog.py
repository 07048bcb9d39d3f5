"""The cost of a large backlog for each query of due jobs and for each page."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from drawcli.adapters.ledger.postgres import archive, overview
from drawcli.adapters.ledger.postgres.database import Database
from drawcli.adapters.ledger.postgres.hosts import note_host
from drawcli.adapters.ledger.postgres.shared import _DUE
from drawcli.adapters.ledger.rows import as_row
from drawcli.core.jobs.job import Job, State
from tests.adapters.ledger.postgres.conftest import Opened
from tests.adapters.ledger.samples import NOON
from tests.postgres import Postgres, emptied, needs_postgres, opened_ledger, password_file

pytestmark = needs_postgres
JOBS, MOST = 4_000, 8
_FILL = f"""
INSERT INTO drawcli.job (site, id, series_key, state, since, held, priority, source_digest,
  revision, record)
SELECT 'north', lpad(to_hex(n), 12, '0') || '-1', n, (ARRAY['matched', 'packaged'])[1 + n % 2],
  now() - n * interval '1 second', false, n % 3, '', 1, repeat('x', 900)
FROM generate_series(1, {JOBS}) AS n
"""


def rows_read(plan: dict[str, Any]) -> int:
    """Return how many rows of jobs a plan has looked at."""
    own = 0
    if plan.get("Relation Name") == "job":
        seen = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
        own = round(seen * plan["Actual Loops"])
    return own + sum(map(rows_read, plan.get("Plans", ())))


def test_only_the_first_jobs_of_a_backlog_are_read(postgres_server: Postgres) -> None:
    name = emptied(postgres_server, "backlog")
    postgres_server.execute(_FILL, "ANALYZE drawcli.job", database=name)
    secret = password_file(postgres_server)
    with opened_ledger(postgres_server.url("north", name), secret) as ledger:
        due = ledger.shared.due([State.MATCHED, State.PACKAGED], MOST)
        wanted: tuple[Any, ...] = (
            ["matched", "packaged"],
            "north",
            1e6,
            ["done"],
            [],
            [],
            60.0,
            MOST,
            MOST,
        )
        query = f"EXPLAIN (ANALYZE, FORMAT JSON) {_DUE}"
        [([whole],)] = ledger.database.rows(query, *wanted)

    assert [one.priority for one in due] == [2] * MOST
    assert {one.state for one in due} == {State.MATCHED, State.PACKAGED}
    assert MOST <= rows_read(whole["Plan"]) <= 4 * MOST


def test_the_archive_is_not_read_for_the_hosts_and_their_claims(postgres_server: Postgres) -> None:
    name = emptied(postgres_server, "backlog")
    into_archive = "UPDATE drawcli.job SET month = '2026-10' WHERE id > '0000000000ff'"
    postgres_server.execute(_FILL, into_archive, "VACUUM ANALYZE drawcli.job", database=name)
    secret, read = password_file(postgres_server), list[int]()
    with opened_ledger(postgres_server.url("north", name), secret) as ledger:
        note_host(ledger.database, "north", ledger.leases.holder)
        for query, values in (
            (overview._HOSTS, ("north", "north")),
            (overview._LEASES, ("north",)),
        ):
            explained = f"EXPLAIN (ANALYZE, FORMAT JSON) {query}"
            [([whole],)] = ledger.database.rows(explained, *values)
            read.append(rows_read(whole["Plan"]))

    assert read == [254, 254]


def test_of_a_large_archive_the_first_few_show_that_a_site_is_not_new(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "_FIRST", 5)
    old = NOON - timedelta(days=90)
    jobs = [Job(id=f"{n:012x}-1", state=State.DONE, since=old) for n in range(23)]
    read, real = list[int](), Database.rows

    def rows(self: Database, query: str, *values: Any) -> list[tuple[Any, ...]]:
        found = real(self, query, *values)
        read.append(len(found))
        return found

    with opened() as ledger:
        ledger.add(*jobs)
        assert ledger.archive_finished(NOON) == len(jobs)
        monkeypatch.setattr(Database, "rows", rows)
        entries = ledger.archive.entries()
        some = [next(entries).id for _ in range(4)]
        at_first = sum(read)
        ids = [*some, *(one.id for one in entries)]

    assert at_first == 5
    assert ids == [job.id for job in jobs]


def test_a_page_reads_only_the_jobs_that_have_changed(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = [Job(id=f"{n:012x}-1", state=State.FOUND, since=NOON) for n in range(50)]
    read: list[int] = []
    real = Database.rows

    def rows(self: Database, query: str, *values: Any) -> list[tuple[Any, ...]]:
        found = real(self, query, *values)
        read.append(len(found) if "record" in query else 0)
        return found

    with opened() as page, opened("host2") as host:
        host.add(*jobs)
        page.jobs_kept()
        monkeypatch.setattr(Database, "rows", rows)
        with host.claim(jobs[7].id):
            host.commit(jobs[7].to(State.MATCHED, at=NOON))
        read.clear()
        seen = page.jobs_kept()

        assert sum(read) == 1
        assert [job.id for job in seen if job.state is State.MATCHED] == [jobs[7].id]
        assert len(seen) == len(jobs)


def test_a_change_that_is_committed_late_is_read(opened: Opened) -> None:
    """Its number is lower than those of changes that were read before."""
    jobs = [Job(id=f"{n:012x}-1", state=State.FOUND, since=NOON) for n in range(2)]
    with opened() as page, opened("host2") as host:
        host.add(*jobs)
        page.jobs_kept()
        late = "UPDATE drawcli.job SET changed = changed - 3, record = %s WHERE id = %s"
        text = json.dumps(as_row(replace(jobs[1], template="late")))
        page.database.rows(late, text, jobs[1].id)

        assert [job.template for job in page.jobs_kept()] == [None, "late"]
