"""Several hosts work on the jobs of one site."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from drawcli.adapters.state.site_key import site_key_path
from drawcli.adapters.state.workdir import PACKAGE, RECEIVED, REPORT, VAULT
from drawcli.core.jobs.job import State
from drawcli.errors import MODEL_CHANGED, ConfigError
from drawcli.operations.keys import rotate
from drawcli.operations.ledger_check import check, repair, unattested
from drawcli.pipeline import holds
from drawcli.pipeline.actions import apply_action, release
from drawcli.pipeline.cluster.opening import first_site_key
from drawcli.pipeline.cluster.reading import look_at_all
from drawcli.pipeline.identity import patient_of
from drawcli.pipeline.runner import Selection, run_once, run_step
from tests.conftest import Site, only_job
from tests.fake_draw import FakeDraw
from tests.pipeline.cluster.conftest import Hosts, gone
from tests.postgres import Postgres, needs_postgres

pytestmark = needs_postgres
ALL = Selection()


def test_each_step_may_be_on_another_host(
    on: Hosts, pelvis: list[Path], site: Site, draw: FakeDraw
) -> None:
    assert pelvis
    with on("north-a") as a, on("north-b") as b:
        for ctx, step in ((a, "scan"), (b, "match")):
            run_step(step, ctx, ALL)
        assert only_job(a).state is State.MATCHED
        run_step("deidentify", a, ALL)

        run_step("upload", b, ALL)

        assert only_job(b).state is State.PACKAGED  # the package is on the other host
        for step in ("upload", "poll", "fetch", "reidentify", "poll"):
            run_step(step, a, ALL)
        assert only_job(b).state is State.DONE
    assert draw.posts() == 1
    assert len(list(site.store.rglob("RS.*"))) == 1


@pytest.mark.usefixtures("pelvis")
def test_the_small_files_of_a_job_are_readable_on_a_host_that_has_none(on: Hosts) -> None:
    with on("north-a") as a, on("north-b") as b:
        list(run_once(a, ALL))
        list(run_once(a, ALL))
        job = only_job(b)
        assert job.state is State.DONE
        assert not b.work.has_folder(job.id)

        b.look(job)

        assert b.crosswalk(job) == a.crosswalk(job)
        for name in (VAULT, REPORT):
            read = [ctx.work.file(job.id, name).read_bytes() for ctx in (a, b)]
            assert read[0] == read[1]
        assert not b.work.file(job.id, RECEIVED).exists()


@pytest.mark.usefixtures("pelvis")
def test_a_dead_host_is_replaced_and_its_package_made_again(
    on: Hosts, postgres_server: Postgres, database: str, draw: FakeDraw
) -> None:
    with on("north-a") as a:
        for step in ("scan", "match", "deidentify"):
            run_step(step, a, ALL)
        first = only_job(a).zip_sha256
    with on("north-b") as b:
        gone(postgres_server, database, "north-a")

        for _ in range(3):
            list(run_once(b, ALL))

        assert only_job(b).state is State.DONE
        assert only_job(b).zip_sha256 == first
        assert draw.posts() == 1


@pytest.mark.usefixtures("pelvis")
def test_a_result_of_an_earlier_upload_is_not_used_by_a_host_that_comes_back(
    on: Hosts, postgres_server: Postgres, database: str
) -> None:
    with on("north-a") as a:
        list(run_once(a, ALL))
        for step in ("poll", "fetch"):
            run_step(step, a, ALL)
        job = only_job(a)
        assert job.state is State.FETCHED
    stale = a.work.file(job.id, RECEIVED)
    stale.write_bytes(b"the result of an earlier task")
    gone(postgres_server, database, "north-a")
    with on("north-b") as b:
        for step in ("reidentify", "fetch", "reidentify"):  # received again on the other host
            run_step(step, b, ALL)
        run_step("poll", b, ALL)  # which confirms
        assert only_job(b).state is State.DONE

    with on("north-a") as a, a.job_lock(job.id):
        assert not stale.exists()
        assert not a.work.file(job.id, PACKAGE).exists()


@pytest.mark.usefixtures("pelvis")
def test_files_left_by_a_crash_are_replaced_by_those_that_another_host_stored(on: Hosts) -> None:
    with on("north-a") as a, on("north-b") as b:
        run_step("scan", a, ALL)
        job = only_job(a)
        a.work.write_json(job.id, "explanation.json", {"of": "a step that did not end"})

        run_step("match", b, ALL)
        a.look(job)

        left = a.work.read_json(job.id, "explanation.json")
        assert left == b.work.read_json(job.id, "explanation.json")
        assert left["choice"] == "matched"


@pytest.mark.usefixtures("pelvis")
def test_the_database_has_no_text_about_the_patient(
    on: Hosts, postgres_server: Postgres, database: str
) -> None:
    with on("north-a") as a:
        list(run_once(a, ALL))
        job = only_job(a)
        name, patient_id = a.crosswalk(job).patient

    rows = postgres_server.execute(
        "SELECT f.name, f.digest, coalesce(f.place, ''), f.sealed, j.record "
        "FROM drawcli.job_file f JOIN drawcli.job j ON j.id = f.job_id",
        database=database,
    )
    sealed = b"".join(row[3] for row in rows if row[3])
    assert {row[0] for row in rows} >= {VAULT, "explanation.json", "template.yml", PACKAGE}
    for value in (name, patient_id, a.crosswalk(job).series_uid):
        assert value
        assert value.encode() not in sealed
        assert not any(value in part for row in rows for part in (*row[:3], row[4]))


@pytest.mark.usefixtures("pelvis")
def test_a_series_that_two_hosts_scan_at_once_is_one_job(on: Hosts) -> None:
    with on("north-a") as a, on("north-b") as b:
        run_step("scan", a, ALL)
        job = only_job(a)
        crosswalk = a.crosswalk(job)

        assert not b.begin(job, crosswalk)
        run_step("scan", b, ALL)

        assert only_job(b) == job


@pytest.mark.usefixtures("pelvis")
def test_a_host_without_folders_reads_the_patients_of_all_jobs(on: Hosts) -> None:
    with on("north-a") as a:
        run_step("scan", a, ALL)
        who = patient_of(only_job(a), a)
    with on("north-b") as b:
        assert b.files.unseen()

        look_at_all(b)

        assert b.files.unseen() == []
        assert [patient_of(job, b) for job in b.kept_jobs()] == [who]


@pytest.mark.usefixtures("pelvis")
def test_each_host_answers_for_the_uploads_in_its_own_audit_log(on: Hosts) -> None:
    with on("north-a") as a, on("north-b") as b:
        list(run_once(a, ALL))
        assert only_job(b).attested == 1

        assert [*unattested(a), *unattested(b)] == []
        for path in a.site_dir.glob("audit/*.jsonl"):
            path.unlink()
        assert [one.job for one in unattested(a)] == [only_job(a).id]


@pytest.mark.usefixtures("pelvis")
def test_the_ledger_check_of_a_host_misses_no_file_of_another(on: Hosts) -> None:
    with on("north-a") as a, on("north-b") as b:
        for step in ("scan", "match", "deidentify"):
            run_step(step, a, ALL)

        assert check(b) == []


@pytest.mark.usefixtures("pelvis")
@pytest.mark.parametrize("steps", [[], ["scan"]])  # also before the site has a job
def test_a_host_with_another_site_key_is_refused_before_it_writes(
    on: Hosts, host: Callable[[str], Site], steps: list[str]
) -> None:
    with on("north-a") as a:
        for step in steps:
            run_step(step, a, ALL)
    stranger = host("north-b")
    site_key_path(stranger.state).write_bytes(b"07" * 32)
    before = sorted(stranger.state.rglob("*"))

    with pytest.raises(ConfigError, match="is not that of the other hosts"), on("north-b"):
        pass

    written = set(stranger.state.rglob("*")) - set(before)
    assert {path.name for path in written} <= {"host.id"}


@pytest.mark.usefixtures("pelvis")
def test_a_run_stops_on_every_other_host_when_one_replaces_the_site_key(on: Hosts) -> None:
    with on("north-a") as a, on("north-b") as b:
        assert rotate(a).retired

        with pytest.raises(ConfigError, match="not that of the other hosts"):
            b.ledger.beat()
        with pytest.raises(ConfigError, match="not that of the other hosts"):
            run_step("scan", b, ALL)
        assert b.ledger.jobs() == []
        a.ledger.beat()
    with on("north-a") as a:
        assert len(run_step("scan", a, ALL).outcomes) == 1


def test_a_fresh_host_of_a_site_makes_no_key_of_its_own(
    on: Hosts, host: Callable[[str], Site]
) -> None:
    with on("north-a") as a:
        key_id = a.stand_ins.key_id
    fresh = host("north-b")
    site_key_path(fresh.state).unlink()

    with pytest.raises(ConfigError, match=f"the other hosts of the site have key {key_id}"):
        first_site_key(fresh.settings())

    assert not site_key_path(fresh.state).exists()


@dataclass
class Store:
    """The golden cases of a host: on one of them, one has changed."""

    state_dir: Path

    def changed(self) -> set[str]:
        there = self.state_dir.parent.name == "north-a" and not (self.state_dir / "seen").exists()
        return {"Prostate_OAR"} if there else set()


@pytest.mark.usefixtures("pelvis")
def test_a_changed_model_that_one_host_saw_holds_the_jobs_of_all(
    on: Hosts, host: Callable[[str], Site], monkeypatch: pytest.MonkeyPatch, draw: FakeDraw
) -> None:
    monkeypatch.setattr(holds, "GoldenStore", Store)
    for name in ("north-a", "north-b"):
        host(name).add_line("qa: {on_change: hold}")
    with on("north-a") as a, on("north-b") as b:
        run_step("match", a, ALL)
        for step in ("scan", "match", "deidentify"):
            run_step(step, b, ALL)
        job = only_job(b)
        assert (job.template, job.held, job.reason_code) == ("Prostate_OAR", True, MODEL_CHANGED)
        (a.settings.state_dir / "seen").touch()
        run_step("match", a, ALL)
        apply_action(job, release, b)
        for step in ("deidentify", "upload"):
            run_step(step, b, ALL)
    assert draw.posts() == 1


@pytest.mark.usefixtures("pelvis")
def test_a_series_that_was_sent_after_the_backup_is_held_before_it_is_sent_again(
    on: Hosts, postgres_server: Postgres, database: str, draw: FakeDraw
) -> None:
    with on("north-a") as a:
        run_step("scan", a, ALL)
        run_step("match", a, ALL)
    postgres_server.execute(f"CREATE DATABASE {database}_old TEMPLATE {database}")
    with on("north-a") as a:
        for step in ("deidentify", "upload"):
            run_step(step, a, ALL)
        assert [one.code for one in check(a)] == []
    postgres_server.execute(
        f"DROP DATABASE {database} WITH (FORCE)",
        f"ALTER DATABASE {database}_old RENAME TO {database}",
    )

    with on("north-b") as b:
        assert [one.code for one in check(b)] == []  # it has sent nothing
    with on("north-a") as a:
        found = check(a)
        assert [one.code for one in found] == ["sent-before"]
        repair(found, a)
        for _ in range(2):
            list(run_once(a, ALL))
        job = only_job(a)
        assert (job.held, job.reason_code, draw.posts()) == (True, "sent-before", 1)
        assert check(a) == []
        apply_action(job, release, a)
        assert check(a) == []
        list(run_once(a, ALL))
        assert (only_job(a).state, draw.posts()) == (State.UPLOADED, 2)
