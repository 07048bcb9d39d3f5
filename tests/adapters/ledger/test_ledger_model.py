"""Any sequence of changes by two handles gives the same as a dict, for both kinds of ledger."""

import contextlib
import os
import time
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from drawcli.adapters.ledger import FileLedger
from drawcli.adapters.ledger.postgres.jobs import DatabaseLedger
from drawcli.core.jobs.job import FINISHED, Job, State
from drawcli.core.jobs.ledger import Ledger
from drawcli.errors import LedgerError
from drawcli.system.files import write_durably
from tests.adapters.ledger.conftest import Store, committed, database_store
from tests.adapters.ledger.samples import NOON, a_job
from tests.postgres import Postgres, needs_postgres

TIMES = int(os.environ.get("TORTURE", "1"))  # the long form: make torture


class Killed(BaseException):
    """Represents a process that has ended."""


class LedgerAgainstDict(RuleBasedStateMachine):
    """What both kinds have in common; a subclass opens handles."""

    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.begin()
        self.entered: list[AbstractContextManager[Ledger]] = [self.opened(), self.opened()]
        self.handles = [one.__enter__() for one in self.entered]
        self.model: dict[str, Job] = {}

    def begin(self) -> None:
        """Make an empty ledger."""
        raise NotImplementedError

    def opened(self) -> AbstractContextManager[Ledger]:
        """Return a handle."""
        raise NotImplementedError

    @rule(
        target=ids,
        series=st.integers(0, 2**48 - 1),
        number=st.integers(1, 9),
        handle=st.integers(0, 1),
        state=st.sampled_from(State),
    )
    def add(self, series: int, number: int, handle: int, state: State) -> str:
        job = a_job(f"{series:012x}-{number}", state)

        added = self.handles[handle].add(job)

        assert added == ([] if job.id in self.model else [job])
        self.model.setdefault(job.id, job)
        return job.id

    @rule(job_id=ids, handle=st.integers(0, 1), posts=st.integers(0, 99), reason=st.text())
    def commit(self, job_id: str, handle: int, posts: int, reason: str) -> None:
        job = replace(self.model[job_id], posts=posts, reason=reason)

        after = committed(self.handles[handle], job)

        assert after == replace(job, revision=job.revision + 1)
        self.model[job_id] = after

    @rule(job_id=ids, handle=st.integers(0, 1), behind=st.integers(1, 3))
    def commit_something_stale(self, job_id: str, handle: int, behind: int) -> None:
        stale = replace(self.model[job_id], revision=self.model[job_id].revision - behind)

        with pytest.raises(LedgerError):
            committed(self.handles[handle], stale)

    @rule(handle=st.integers(0, 1))
    def open_again(self, handle: int) -> None:
        self.entered[handle].__exit__(None, None, None)
        self.entered[handle] = self.opened()
        self.handles[handle] = self.entered[handle].__enter__()

    @rule(target=ids, handle=st.integers(0, 1), count=st.integers(0, 3))
    def add_some_at_once(self, handle: int, count: int) -> object:
        jobs = [a_job(f"{len(self.model) + n:012x}-10") for n in range(count)]
        wanted = [job for job in jobs if job.id not in self.model]

        assert self.handles[handle].add(*jobs) == wanted
        self.model |= {job.id: job for job in wanted}
        return multiple(*(job.id for job in jobs))

    @rule(handle=st.integers(0, 1), days=st.integers(0, 60))
    def archive(self, handle: int, days: int) -> None:
        self.handles[handle].archive_finished(NOON + timedelta(days=days))

    @rule(job_id=ids, handle=st.integers(0, 1), days=st.integers(0, 60))
    def finish_or_take_up_again(self, job_id: str, handle: int, days: int) -> None:
        """A job changes its state on another day, perhaps in another month."""
        job = self.model[job_id]
        state = State.WAITING if job.state is State.CANCELLED else State.CANCELLED
        after = replace(job, state=state, since=NOON + timedelta(days=days))

        self.model[job_id] = committed(self.handles[handle], after)

    @invariant()
    def both_handles_hold_what_the_dict_holds(self) -> None:
        for handle in self.handles:
            every = list(handle.all_jobs())
            assert {job.id: job for job in every} == self.model
            assert len(every) == len(self.model)
        for job_id, job in self.model.items():
            assert self.handles[0].get(job_id) == job
            assert job in self.handles[1].of_series(job.series_key)
        open_jobs = {job.id for job in self.model.values() if job.state not in FINISHED}
        assert open_jobs <= {job.id for job in self.handles[0].jobs()}

    def teardown(self) -> None:
        for handle in self.entered:
            handle.__exit__(None, None, None)


class FileAgainstDict(LedgerAgainstDict):
    """A file, whose writer may die at any write."""

    folder: ClassVar[Path]

    def begin(self) -> None:
        self.path = self.folder / f"{time.monotonic_ns()}" / "ledger.json"
        self.path.parent.mkdir()

    def opened(self) -> FileLedger:
        return FileLedger(self.path)

    @rule(handle=st.integers(0, 1), days=st.integers(2, 60), writes=st.integers(0, 4))
    def die_while_archiving(self, handle: int, days: int, writes: int) -> None:
        """The process dies at some write; another process continues."""
        left = iter(range(writes))

        def write(path: Path, data: bytes, **_: object) -> None:
            if next(left, None) is None:
                raise Killed
            write_durably(path, data)

        with pytest.MonkeyPatch.context() as patch, contextlib.suppress(Killed):
            patch.setattr("drawcli.adapters.ledger.archive.write_durably", write)
            patch.setattr("drawcli.adapters.ledger.storage.write_durably", write)
            self.handles[handle].archive_finished(NOON + timedelta(days=days))
        self.open_again(handle)

    @rule(handle=st.integers(0, 1))
    def keep_a_copy(self, handle: int) -> None:
        ledger = self.handles[handle]
        assert isinstance(ledger, FileLedger)
        ledger.keep_copy()

        if self.path.exists():
            assert ledger.copies[0].read_bytes() == self.path.read_bytes()


class DatabaseAgainstDict(LedgerAgainstDict):
    """A database, which may end any connection between two statements."""

    server: ClassVar[Postgres]
    store: Store

    def begin(self) -> None:
        self.store = database_store(self.server)

    def opened(self) -> AbstractContextManager[Ledger]:
        return self.store.opened()

    @rule()
    def end_all_connections(self) -> None:
        self.server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = 'ledgers' AND pid <> pg_backend_pid()"
        )

    @rule(job_id=Bundle("ids"), handle=st.integers(0, 1))
    def die_with_a_claim(self, job_id: str, handle: int) -> None:
        """A killed process releases nothing; its lease ends later."""
        dying = self.handles[handle]
        assert isinstance(dying, DatabaseLedger)
        assert dying.leases.claim(job_id) is not None
        self.open_again(handle)
        self.server.execute("UPDATE drawcli.job SET lease_until = NULL", database="ledgers")


def of_file(folder: Path) -> type[LedgerAgainstDict]:
    FileAgainstDict.folder = folder
    return FileAgainstDict


def judged(machine: type[LedgerAgainstDict], examples: int, steps: int) -> None:
    machine.TestCase.settings = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None
    )
    machine.TestCase("runTest").runTest()


@pytest.mark.sweep
def test_any_sequence_of_changes_of_a_file_gives_the_same_as_a_dict(tmp_path: Path) -> None:
    judged(of_file(tmp_path), 40 * TIMES, 20)


@needs_postgres
@pytest.mark.sweep
def test_any_sequence_of_changes_of_a_database_gives_the_same_as_a_dict(
    postgres_server: Postgres,
) -> None:
    DatabaseAgainstDict.server = postgres_server
    judged(DatabaseAgainstDict, 40 * TIMES, 20)


@needs_postgres
def test_some_sequences_of_changes_of_a_database_give_the_same_as_a_dict(
    postgres_server: Postgres,
) -> None:
    DatabaseAgainstDict.server = postgres_server
    judged(DatabaseAgainstDict, 3, 12)
