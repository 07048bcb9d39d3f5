"""Nothing of a patient is in the database, its log, the shared storage, the queues or the views."""

import base64
import json
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from drawcli.adapters.ledger.postgres.database import Database
from drawcli.adapters.ledger.postgres.jobs import DatabaseLedger
from drawcli.adapters.state import logs
from drawcli.adapters.work_queue.queue import Deferral, WorkQueue
from drawcli.adapters.work_queue.tables import install_queues
from drawcli.config.sections_cluster import Cluster
from drawcli.core.jobs.tasks import QueueTask
from drawcli.operations import after_run
from drawcli.operations.cluster.status import status_of
from drawcli.operations.metrics import metrics_text
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_once
from drawcli.sandbox.patients import identifying_values
from tests.conftest import HEAD_NECK, PELVIS, Clock, Site
from tests.fake_draw import FakeDraw
from tests.phantoms.planning import write_planning_ct
from tests.pipeline.cluster.conftest import Hosts
from tests.postgres import PASSWORD, PROGRAMS, Postgres, needs_postgres, password_file, postgres

pytestmark = [needs_postgres, pytest.mark.sweep]
PEOPLE = (PELVIS, HEAD_NECK)
HOSTS = ("north-a", "north-b")


@pytest.fixture
def postgres_server(tmp_path: Path) -> Iterator[Postgres]:
    """Run PostgreSQL that writes each statement and its parameters into its log."""
    with postgres(tmp_path / "postgres", log_statement="'all'") as running:
        yield running


@pytest.fixture
def work(tmp_path: Path) -> str:
    (tmp_path / "shared").mkdir()
    return f"work: {tmp_path / 'shared'}"


def forms(value: str) -> Iterator[bytes]:
    """Yield a value as text, in hex, and in base64 wherever it begins."""
    plain = value.encode()
    yield plain
    yield plain.hex().encode()
    for before in range(3):
        coded = base64.b64encode(b"\0" * before + plain)
        yield coded[4 if before else 0 : -4]


@pytest.fixture
def dumped(postgres_server: Postgres, database: str) -> Callable[[], bytes]:
    """Return a function that returns the whole database as text, and what runs in it."""
    assert PROGRAMS is not None
    command = [str(PROGRAMS / "pg_dump"), "--dbname", postgres_server.url(database=database)]

    def dump() -> bytes:
        env = os.environ | {"PGPASSWORD": PASSWORD}
        done = subprocess.run(command, env=env, check=True, capture_output=True)
        query = "SELECT query, application_name FROM pg_stat_activity"
        # Its commands for psql have a random word, in which four characters may be of a name.
        said = re.sub(rb"(?m)^\\(un)?restrict .*$", b"", done.stdout)
        return said + repr(postgres_server.execute(query)).encode()

    return dump


def a_run(ctx: Context, clock: Clock) -> str:
    """Run the whole cycle as cron does, with tasks in the queue; return what is shown."""
    logs.to_file(ctx.settings.state_dir, ctx.settings.logs, ctx.run_id)
    began, reports = clock.now(), list(run_once(ctx, Selection()))
    after_run.note_run(ctx, began, reports, exit_code=0)
    after_run.report_out(ctx, "")
    assert isinstance(ctx.ledger, DatabaseLedger)
    queue = WorkQueue(ctx.ledger.database, ctx.ledger.site)
    for job in ctx.ledger.jobs():
        queue.defer(Deferral(QueueTask(ctx.ledger.site, "poll", job.id)))
    return json.dumps(status_of(ctx.ledger), default=str) + metrics_text(ctx)


@pytest.fixture
def contents(
    on: Hosts,
    host: Callable[[str], Site],
    draw: FakeDraw,
    clock: Clock,
    dumped: Callable[[], bytes],
) -> Callable[[], dict[str, bytes]]:
    """Return a function that runs two hosts in turn, and returns all that a stranger could read."""

    def of() -> dict[str, bytes]:
        said, found = "", dict[str, bytes]()
        for number, name in enumerate(HOSTS * 3):
            if number == len(HOSTS):  # a server that returns patient data
                draw.answers = [
                    httpx.Response(200, json={"status": "FAILED", "error": PELVIS.patient_id}),
                    httpx.Response(503, json={"detail": f"not for {HEAD_NECK.patient_id}"}),
                ]
            with on(name) as ctx:
                said += a_run(ctx, clock)
                found[f"pg_dump {number}"] = dumped()
            clock.advance(hours=1)
        found["what is shown"] = said.encode()
        for name in HOSTS:
            state = host(name).state
            written = [*state.glob("logs/*"), *state.glob("audit/*"), state / "runs.jsonl"]
            written += [*state.glob("work/*.manifest")]
            found |= {f"{name} {path.name}": path.read_bytes() for path in written}
        return found

    return of


@pytest.mark.usefixtures("logging_as_it_was")
def test_values_of_a_patient_are_stored_only_sealed(
    site: Site,
    contents: Callable[[], dict[str, bytes]],
    postgres_server: Postgres,
    database: str,
    tmp_path: Path,
) -> None:
    secret = Cluster(password_file=password_file(postgres_server))
    with Database(postgres_server.url(database=database), secret) as owner:
        install_queues(owner)
    for person in PEOPLE:
        write_planning_ct(site.store / person.file_name, person, slices=4, size=32, seed=1)

    found = contents()
    found["server log"] = (postgres_server.data.parent / "log").read_bytes()
    shared = [path for path in (tmp_path / "shared").rglob("*") if path.is_file()]
    found |= {f"shared {path.name}": path.name.encode() + path.read_bytes() for path in shared}

    assert shared
    assert b'"state":"done"' in found["pg_dump 5"]
    assert b"procrastinate_jobs" in found["pg_dump 5"]
    assert b"INSERT INTO drawcli.job" in found["server log"]
    values = [
        value
        for person in PEOPLE
        for value in (*identifying_values(person), person.file_name, str(site.store))
    ]
    leaks = [
        (where, value)
        for where, content in found.items()
        for value in values
        for form in forms(value)
        if form and form in content
    ]
    assert leaks == []
