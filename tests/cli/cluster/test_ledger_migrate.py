"""ledger migrate: every job arrives as it was, once, and the place that is left refuses."""

import json
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from drawcli.adapters.ledger import FileLedger
from drawcli.adapters.ledger.moves import FilePlace
from drawcli.adapters.ledger.postgres.moves import DatabasePlace
from drawcli.adapters.ledger.postgres.site import database_ledger
from drawcli.adapters.state.workdir import WorkDir
from drawcli.core.jobs.job import Job, State
from drawcli.errors import LedgerError
from drawcli.operations.cluster.ledger_move import move_ledger
from drawcli.pipeline.context import open_context
from drawcli.system.files import make_private
from tests.cli.conftest import Run
from tests.conftest import NOON, PELVIS, Site
from tests.postgres import needs_postgres

pytestmark = needs_postgres
OLD = NOON - timedelta(days=40)
OPEN = [
    Job(id="0123456789ab-1", state=State.MATCHED, since=NOON, template="Pelvis").begun(at=NOON),
    Job(id="0123456789ab-2", state=State.UPLOADED, since=NOON, task_id="7", posts=2, revision=9),
]
ARCHIVED = [
    Job(id=f"{n:012x}-1", state=State.DONE, since=OLD + timedelta(days=n), source_digest="d" * 16)
    for n in range(30)
]


@pytest.fixture
def jobs(site: Site) -> dict[str, Job]:
    """Put open and archived jobs into the file of the site."""
    with FileLedger(site.state / "ledger.json") as ledger:
        ledger.add(*ARCHIVED, *OPEN)
        ledger.archive_finished(NOON + timedelta(days=2))
        return {job.id: job for job in ledger.all_jobs()}


def jobs_of(drawcli: Run) -> dict[str, dict[str, object]]:
    exported = drawcli("ledger", "export", "--json")
    assert exported.code == 0, exported.err
    return {job["id"]: job for job in exported.answer["data"]["jobs"]}


def test_a_ledger_moves_to_the_database_and_back(
    drawcli: Run, jobs: dict[str, Job], address: str
) -> None:
    before = jobs_of(drawcli)
    moved = drawcli("ledger", "migrate", "--to", address, "--json")
    left = drawcli("status")
    in_database = {"DRAWCLI_LEDGER": address}
    there = drawcli("ledger", "export", "--json", **in_database).answer["data"]["jobs"]
    back = drawcli("ledger", "migrate", "--to", "file", **in_database)
    refused = drawcli("status", **in_database)

    assert (moved.answer["data"]["jobs"], moved.answer["data"]["archived"]) == (2, 30)
    assert left.code == 4
    assert f"was moved to the database {address.rpartition('/')[2]}" in left.err
    assert {job["id"]: job for job in there} == before
    assert back.code == 0, back.err
    assert jobs_of(drawcli) == before
    assert refused.code == 3  # the state folder has a ledger of its own
    assert len(jobs) == 32


def test_a_ledger_moves_again_after_it_was_moved_back(
    drawcli: Run, jobs: dict[str, Job], address: str
) -> None:
    before = jobs_of(drawcli)
    for _ in range(2):
        assert drawcli("ledger", "migrate", "--to", address).code == 0
        back = drawcli("ledger", "migrate", "--to", "file", DRAWCLI_LEDGER=address)
        assert back.code == 0, back.err

    assert jobs_of(drawcli) == before
    assert jobs


def test_another_host_does_not_use_the_database_that_the_ledger_has_left(
    drawcli: Run, site: Site, jobs: dict[str, Job], address: str
) -> None:
    assert drawcli("ledger", "migrate", "--to", address).code == 0
    elsewhere = {"DRAWCLI_LEDGER": address, "DRAWCLI_STATE_DIR": str(site.folder / "other")}
    make_private(site.folder / "other")
    shutil.copy2(site.state / "site.key", site.folder / "other")
    before = drawcli("status", **elsewhere)
    settings = site.settings().replace(ledger=address)
    with database_ledger(settings, guard=False) as at_work:
        at_work.check_present()
        assert drawcli("ledger", "migrate", "--to", "file", DRAWCLI_LEDGER=address).code == 0
        with pytest.raises(LedgerError, match="was moved to the file"):
            at_work.check_present()
        with pytest.raises(LedgerError) as refused:
            at_work.add(Job(id="fedcba987654-1", state=State.FOUND, since=NOON))

    told = [drawcli(command, **elsewhere) for command in ("status", "run-once")]

    assert jobs
    assert before.code == 0, before.err
    assert [one.code for one in told] == [4, 4]
    assert all("was moved to the file" in one.err for one in told)
    assert all("'ledger' in drawcli.yaml of every host" in one.err for one in told)
    assert refused.value.code == "ledger-moved"


def test_a_database_is_not_used_beside_a_ledger_in_a_file(
    drawcli: Run, jobs: dict[str, Job], address: str
) -> None:
    told = drawcli("status", DRAWCLI_LEDGER=address)

    assert jobs
    assert told.code == 3
    assert "they would be sent again" in told.err
    assert "ledger migrate" in told.err


def test_a_run_in_progress_refuses_the_move(
    drawcli: Run, site: Site, jobs: dict[str, Job], address: str
) -> None:
    with WorkDir(site.state).run_lock(NOON):
        told = drawcli("ledger", "migrate", "--to", address)

    assert told.code == 11
    assert jobs_of(drawcli).keys() == jobs.keys()


def test_a_job_that_a_host_works_on_refuses_the_move_back(
    drawcli: Run, site: Site, jobs: dict[str, Job], address: str
) -> None:
    assert drawcli("ledger", "migrate", "--to", address).code == 0
    settings = site.settings().replace(ledger=address)
    with database_ledger(settings) as ledger, ledger.claim(OPEN[0].id):
        told = drawcli("ledger", "migrate", "--to", "file", DRAWCLI_LEDGER=address)
        ledger.commit(OPEN[0].noted(NOON, "still here"))

    assert jobs
    assert told.code == 11
    assert "works on jobs of the site" in told.err


def test_a_database_that_was_in_use_is_refused(
    drawcli: Run, site: Site, jobs: dict[str, Job], address: str
) -> None:
    other = Job(id="ffffffffffff-1", state=State.FOUND, since=NOON)
    aside = (site.state / "ledger.json").rename(site.folder / "aside.json")
    archive = (site.state / "archive").rename(site.folder / "archive")
    with database_ledger(site.settings().replace(ledger=address)) as ledger:
        ledger.add(other)
    aside.rename(site.state / "ledger.json")
    archive.rename(site.state / "archive")

    told = drawcli("ledger", "migrate", "--to", address)

    assert told.code == 4
    assert "1 job of its own" in told.err
    assert jobs_of(drawcli).keys() == jobs.keys()


def test_a_dry_run_moves_nothing(
    drawcli: Run, site: Site, jobs: dict[str, Job], address: str
) -> None:
    before = (site.state / "ledger.json").read_bytes()
    planned = drawcli("ledger", "migrate", "--to", address, "--dry-run")

    assert jobs
    assert "2 open jobs and 30 archived would be moved" in " ".join(planned.out.split())
    assert (site.state / "ledger.json").read_bytes() == before


@pytest.mark.parametrize("password", ["x:y", "secret"])
def test_a_password_in_the_address_is_refused(drawcli: Run, password: str) -> None:
    told = drawcli("ledger", "migrate", "--to", f"postgresql://u:{password}@db/draw")

    assert told.code == 2
    assert "no password" in told.err
    assert password not in told.err


class Cut(Exception):
    """The process ends here."""


@pytest.mark.parametrize("at", range(12))
def test_a_move_that_was_interrupted_is_finished_by_the_next(
    site: Site, jobs: dict[str, Job], address: str, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    at, to_file = at % 6, at >= 6
    settings = site.settings().replace(ledger=address)
    file = FilePlace(site.state / "ledger.json")
    with database_ledger(settings, guard=False) as ledger:
        base = DatabasePlace(ledger, "database")
        if to_file:
            move_ledger(file, base, NOON)
        source, target = (base, file) if to_file else (file, base)
        steps = [(target, "take"), (source, "leave"), (target, "settle")]
        place, name = steps[at // 2]
        real = getattr(place, name)

        def cut(*given: object) -> None:
            if at % 2:
                real(*given)
            raise Cut

        monkeypatch.setattr(place, name, cut)
        with pytest.raises(Cut):
            move_ledger(source, target, NOON)
        monkeypatch.undo()
        move_ledger(source, target, NOON)

        assert {job.id: job for job in (*target.open_jobs(), *target.archived_jobs())} == jobs
        assert target.exists()
        assert not source.exists()


def test_a_copy_that_differs_is_not_taken_for_the_ledger(
    site: Site,
    jobs: dict[str, Job],
    address: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = site.settings().replace(ledger=address)
    file = FilePlace(site.state / "ledger.json")
    with database_ledger(settings, guard=False) as ledger:
        base = DatabasePlace(ledger, "database")
        real = base.take

        def lose(cursor: Any) -> None:
            cursor.execute("SET LOCAL drawcli.moving = 'on'")
            cursor.execute("UPDATE drawcli.job SET record = replace(record, 'Pelvis', 'Thorax')")

        def take_and_lose(*given: object) -> None:
            real(*given)  # type: ignore[arg-type]
            ledger.database.run(lose)

        monkeypatch.setattr(base, "take", take_and_lose)
        with pytest.raises(LedgerError, match="differs in 1 job"):
            move_ledger(file, base, NOON)

    with FileLedger(site.state / "ledger.json") as ledger_file:
        assert {job.id: job for job in ledger_file.all_jobs()} == jobs


def test_an_older_release_refuses_the_note_of_a_move(
    drawcli: Run, site: Site, jobs: dict[str, Job], address: str
) -> None:
    assert drawcli("ledger", "migrate", "--to", address).code == 0
    note = json.loads((site.state / "ledger.json").read_bytes())

    assert jobs
    assert note["_ledger"]["1"]["format"] > 100
    assert (site.state / "ledger.json.moved").stat().st_size > 1000


@pytest.mark.usefixtures("pelvis")
def test_the_files_of_jobs_move_with_them(
    drawcli: Run, site: Site, address: str, tmp_path: Path
) -> None:
    for step in ("scan", "match", "deidentify"):
        assert drawcli(step).code == 0
    assert drawcli("ledger", "migrate", "--to", address).code == 0
    there = site.settings().replace(ledger=address)
    other = there.replace(state_dir=tmp_path / "other", cluster=there.cluster.replace(host="other"))
    make_private(other.state_dir)
    shutil.copy2(site.state / "site.key", other.state_dir)

    with open_context(other) as ctx:
        (job,) = ctx.ledger.jobs()
        assert ctx.files.home_of(job.id)
        assert ctx.crosswalk(job).patient_id == PELVIS.patient_id
    for path in site.state.glob("work/*"):  # this machine has lost its folders, too
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert drawcli("ledger", "migrate", "--to", "file", DRAWCLI_LEDGER=address).code == 0

    assert drawcli("vault", "show", job.id).code == 0


def test_no_host_takes_up_a_job_before_its_files_are_there(
    site: Site, jobs: dict[str, Job], address: str
) -> None:
    settings = site.settings().replace(ledger=address)
    file, [first, _] = FilePlace(site.state / "ledger.json"), OPEN
    told: list[str] = []
    with database_ledger(settings, guard=False) as ledger:

        def carry() -> None:
            with database_ledger(settings, guard=False) as other:
                for change in (
                    lambda: other.leases.claim(first.id),
                    lambda: other.add(Job(id="fedcba987654-1", state=State.FOUND, since=NOON)),
                ):
                    with pytest.raises(LedgerError) as caught:
                        change()
                    told.append(str(caught.value))

        move_ledger(file, DatabasePlace(ledger, "database"), NOON, carry)

        assert len(told) == 2
        assert all("is being moved to this database" in one for one in told)
        assert {job.id for job in ledger.all_jobs()} == jobs.keys()
        with ledger.claim(first.id):
            assert ledger.leases.fence_of(first.id) is not None
