"""`status` prints the same for a ledger in a database as for the same jobs in a file."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from drawcli.adapters.ledger import FileLedger
from drawcli.adapters.ledger.postgres.site import database_ledger
from drawcli.adapters.state.site_key import read_site_key
from drawcli.core.deid.pseudonyms import StandIns
from drawcli.core.jobs.job import EventKind, Job, State
from drawcli.operations.verdict import site as verdict
from drawcli.pipeline.context import utc_now
from tests.cli.conftest import Run
from tests.conftest import Site
from tests.postgres import needs_postgres

pytestmark = needs_postgres
NOW = utc_now()


def jobs(key_id: str, count: int = 60) -> Iterator[Job]:
    """Yield jobs in every state: held, waiting for a node, with warnings, and usual ones."""
    states = list(State)
    for n in range(count):
        since = NOW - timedelta(hours=n + 1)
        job = Job(
            id=f"{n * 7_919_000_001 % 2**48:012x}-1",
            state=states[n % len(states)],
            since=since,
            template="Pelvis",
            modality="CT",
            slices=100,
            key_id=key_id,
            held=n % 11 == 0,
            reason_code="gate" if n % 11 == 0 else None,
            reason="because" if n % 11 == 0 else None,
        ).begun(at=since)
        if job.state in (State.DELIVERED, State.DONE):
            job = job.noted(since, "delivered", kind=EventKind.REACHED)
            if n % 2:
                job = job.noted(since, "warning: gap", "slice 7 has no contour")
        yield job


def of_one_machine(text: str) -> str:
    """Return the output of `status` in one line, without the parts about workers."""
    line = " ".join(text.split()).replace("no worker is alive, and ", "")
    line = line.replace("No worker is alive, and cron", "Cron")
    return line.replace(verdict._WORKERS, verdict._CRON)


@pytest.mark.parametrize("count", [0, 1, 60])
def test_status_is_the_same_for_a_file_and_a_database(
    drawcli: Run, site: Site, address: str, count: int
) -> None:
    key = StandIns(read_site_key(site.state)).key_id
    with FileLedger(site.state / "ledger.json") as ledger:
        ledger.add(*jobs(key, count))
    of_file = drawcli("status", "--no-color")
    (site.state / "ledger.json").rename(site.folder / "aside.json")
    settings = site.settings().replace(ledger=address)
    with database_ledger(settings) as database:
        database.add(*jobs(key, count))
    of_database = drawcli("status", "--no-color", DRAWCLI_LEDGER=address)

    assert of_database.code == of_file.code == 0, of_database.err
    assert of_one_machine(of_database.out) == of_one_machine(of_file.out)


def test_a_site_whose_jobs_are_all_done_is_not_new(drawcli: Run, site: Site, address: str) -> None:
    key = StandIns(read_site_key(site.state)).key_id
    usual = [job for job in jobs(key) if not (job.held or "warning" in repr(job.events))]
    done = [job for job in usual if job.state is State.DONE]
    with database_ledger(site.settings().replace(ledger=address)) as database:
        database.add(*done)

    told = drawcli("status", DRAWCLI_LEDGER=address).out

    assert f"{len(done)} done" in told
    assert "No jobs" not in told


def test_a_ledger_without_jobs_is_refused_where_there_are_work_folders(
    drawcli: Run, site: Site, address: str
) -> None:
    folder = site.state / "work" / "0123456789ab-1"
    folder.mkdir(parents=True)
    (folder / "package.zip").write_bytes(b"x")

    told = drawcli("status", DRAWCLI_LEDGER=address)

    assert told.code == 4
    assert "work folders of jobs, but no ledger" in told.err
