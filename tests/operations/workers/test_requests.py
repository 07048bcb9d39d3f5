"""The number of requests to the database for each step: each crosses the network."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from drawcli.adapters.ledger.postgres.database import Database
from drawcli.core.jobs.job import State
from drawcli.pipeline.runner import Selection, run_step
from tests.conftest import PELVIS, SLICES
from tests.operations.workers.test_lane import at, host_of, scan, with_pelvis
from tests.phantoms.planning import write_planning_ct
from tests.postgres import needs_postgres

pytestmark = needs_postgres
__all__ = ["at"]  # the fixture
# Requests of a step: its claim, its files, two reads of the job, its commit, the task that follows.
MOST = {"match": 10, "deidentify": 9, "upload": 14, "poll": 9, "fetch": 9, "reidentify": 17}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list of what the database is asked: queries, and "transaction"."""
    seen: list[str] = []
    rows, run = Database.rows_once, Database.run_once

    def rows_once(self: Database, query: str, *values: Any) -> Any:
        seen.append(query)
        return rows(self, query, *values)

    def run_once(self: Database, work: Callable[..., Any]) -> Any:
        seen.append("transaction")
        return run(self, work)

    monkeypatch.setattr(Database, "rows_once", rows_once)
    monkeypatch.setattr(Database, "run_once", run_once)
    return seen


def test_a_step_asks_the_database_a_bounded_number_of_times(
    at: Callable[..., Any], asked: list[str]
) -> None:
    counts: Counter[str] = Counter()
    with at() as bench:
        with_pelvis(bench)
        scan(bench)
        for _ in range(20):
            bench.feed()
            for task in bench._due():
                bench.site.queue.drop(task)
                before = len(asked)
                bench.lane.handle(bench.site, task)
                counts[task.step] = max(counts[task.step], len(asked) - before)
        assert bench.ward.states() == ["done"]

    assert {step: count for step, count in counts.items() if count > MOST[step]} == {}


def test_a_chosen_job_is_not_read_for_states_that_it_is_not_in(
    at: Callable[..., Any], asked: list[str]
) -> None:
    with at() as bench:
        bench.add(State.CANCELLED)
        asked.clear()
        report = run_step("poll", bench.site.context(), Selection(job_id="0123456789ab-1"))

    assert report.outcomes == []
    assert len([one for one in asked if "FROM drawcli.job WHERE" in one]) == 1


def test_a_scan_asks_for_the_archived_jobs_of_many_series_at_once(
    at: Callable[..., Any], asked: list[str]
) -> None:
    with at() as bench:
        for seed in (1, 2, 3):
            folder = host_of(bench).site.store / str(seed)
            write_planning_ct(folder, PELVIS, slices=SLICES, size=16, seed=seed)
        scan(bench)
        archived = bench.ward.rows(
            "UPDATE drawcli.job SET month = '2026-01', state = 'done' RETURNING id"
        )
        asked.clear()
        scan(bench)

    assert len(archived) == 3
    assert len([one for one in asked if "series_key" in one]) == 1
