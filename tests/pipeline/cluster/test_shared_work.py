"""Work folders in storage that all hosts reach."""

import os
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from drawcli.adapters.state.workdir import PACKAGE, RECEIVED
from drawcli.core.jobs.job import State
from drawcli.errors import OutOfReach
from drawcli.operations.doctor.outcome import CheckContext, Grade, run_checks
from drawcli.operations.doctor.outward import shared_storage
from drawcli.pipeline.actions import find_job
from drawcli.pipeline.runner import Selection, run_once, run_step
from drawcli.pipeline.tidying import tidy
from tests.adapters.work_store.conftest import S3, bucket, running_s3, s3
from tests.conftest import PELVIS, Clock, Site, only_job
from tests.fake_draw import FakeDraw
from tests.pipeline.cluster.conftest import Hosts
from tests.postgres import Postgres, needs_postgres

pytestmark = [needs_postgres, pytest.mark.usefixtures("pelvis")]
ALL = Selection()
__all__ = ["bucket", "running_s3", "s3"]  # fixtures


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    folder = tmp_path / "shared"
    folder.mkdir()
    return folder


@pytest.fixture
def work(shared: Path) -> str:
    return f"work: {shared}"


def objects(shared: Path) -> list[Path]:
    return sorted(path for path in shared.rglob("*") if path.is_file())


def test_each_step_is_on_another_host(on: Hosts, site: Site, draw: FakeDraw, shared: Path) -> None:
    with on("north-a") as a, on("north-b") as b:
        for number, step in enumerate(
            ("scan", "match", "deidentify", "upload", "poll", "fetch", "reidentify", "poll")
        ):
            run_step(step, (a, b)[number % 2], ALL)

        assert only_job(a).state is State.DONE
        read = [ctx.work.file(only_job(a).id, RECEIVED) for ctx in (a, b)]
        b.look(only_job(b))
        assert read[0].read_bytes() == read[1].read_bytes()
        assert b.work.file(only_job(b).id, PACKAGE).exists()  # which has uploaded it
    assert draw.posts() == 1
    assert len(list(site.store.rglob("RS.*"))) == 1
    for path in objects(shared):
        assert PELVIS.patient_id.encode() not in path.read_bytes()
        assert b"DICM" not in path.read_bytes()


def test_an_object_that_is_lost_is_made_again(on: Hosts, draw: FakeDraw, shared: Path) -> None:
    with on("north-a") as a, on("north-b") as b:
        for step in ("scan", "match", "deidentify"):
            run_step(step, a, ALL)
        (package,) = objects(shared)
        package.unlink()

        for _ in range(4):
            list(run_once(b, ALL))

        assert only_job(b).state is State.DONE
    assert draw.posts() == 1


def test_storage_that_does_not_answer_ends_a_run_and_loses_nothing(
    on: Hosts, draw: FakeDraw, shared: Path
) -> None:
    away = shared.with_name("away")
    with on("north-a") as a, on("north-b") as b:
        for step in ("scan", "match"):
            run_step(step, a, ALL)
        shared.rename(away)
        with pytest.raises(OutOfReach, match="is not there") as refused:
            run_step("deidentify", a, ALL)
        assert refused.value.exit_code == 7
        assert only_job(b).state is State.MATCHED
        away.rename(shared)
        run_step("deidentify", a, ALL)
        shared.rename(away)
        with pytest.raises(OutOfReach):
            run_step("upload", b, ALL)
        away.rename(shared)

        for _ in range(3):
            list(run_once(b, ALL))

        assert only_job(b).state is State.DONE
    assert draw.posts() == 1


def test_a_job_can_be_read_while_its_storage_is_away(on: Hosts, shared: Path) -> None:
    with on("north-a") as a, on("north-b") as b:
        for step in ("scan", "match", "deidentify"):
            run_step(step, a, ALL)
        shared.rename(shared.with_name("away"))

        job = find_job(only_job(b).id, b)

        assert b.crosswalk(job).patient_id == PELVIS.patient_id


def test_files_of_finished_jobs_are_removed_everywhere(
    on: Hosts, clock: Clock, shared: Path, postgres_server: Postgres, database: str
) -> None:
    count = "SELECT count(*) FROM drawcli.job_file"
    with on("north-a") as a, on("north-b") as b:
        for _ in range(3):
            list(run_once(a, ALL))
        job = only_job(a)
        b.look(job)
        assert objects(shared)
        clock.at += timedelta(days=31)

        tidy(b)

        assert objects(shared) == []
        assert postgres_server.execute(count, database=database) == [(0,)]
        assert not b.work.has_folder(job.id)
        assert a.work.has_folder(job.id)
        tidy(a)
        assert not a.work.has_folder(job.id)
        b.look(job)
        assert not b.work.has_folder(job.id)


def test_objects_left_by_a_crash_are_removed_after_a_day(
    on: Hosts, shared: Path, clock: Clock
) -> None:
    with on("north-a") as a:
        for step in ("scan", "match", "deidentify"):
            run_step(step, a, ALL)
        (kept,) = objects(shared)
        lost = kept.with_name("lost")
        lost.write_bytes(b"of a step that did not end")
        os.utime(lost, (0, 0))
        old = clock.at.timestamp() - 7 * 86400
        os.utime(kept, (old, old))

        tidy(a)

        assert objects(shared) == [kept]


@pytest.mark.parametrize(
    ("endpoint", "grade"),
    [
        ("http://store.example:9000", Grade.WARN),
        ("http://127.0.0.1:9000", Grade.PASS),
        ("https://store.example:9000", Grade.PASS),
    ],
)
def test_doctor_warns_of_an_object_store_by_plain_http(
    on: Hosts, shared: Path, endpoint: str, grade: Grade
) -> None:
    with on("north-a") as a:
        cluster = a.settings.cluster.replace(work="s3://bucket/draw", s3_endpoint=endpoint)
        settings = a.settings.replace(cluster=cluster)
        site = CheckContext(settings=settings, config=shared, now=a.now(), ctx=a)

        [found] = run_checks([("shared storage", shared_storage)], site)

        assert found.result.grade is grade
        assert ("plain http" in found.result.text) == (grade is Grade.WARN)


def test_doctor_tries_the_shared_storage(on: Hosts, shared: Path) -> None:
    with on("north-a") as a:
        site = CheckContext(settings=a.settings, config=shared, now=a.now(), ctx=a)
        [good] = run_checks([("shared storage", shared_storage)], site)
        assert (good.result.grade, objects(shared)) == (Grade.PASS, [])
        shared.rename(shared.with_name("away"))

        [bad] = run_checks([("shared storage", shared_storage)], site)

        assert bad.result.grade is Grade.FAIL
        assert "is not there" in bad.result.text


@pytest.mark.sweep
def test_a_site_works_with_an_object_store(
    on: Hosts, host: Callable[[str], Site], s3: S3, bucket: str, draw: FakeDraw
) -> None:
    for name in ("north-a", "north-b"):
        config = host(name).config
        place = f"work: s3://{bucket}/draw, s3_endpoint: 'http://127.0.0.1:{s3.port}'"
        text = re.sub(r"work: [^}]*", f"{place}, s3_region: us-east-1", config.read_text())
        config.write_text(text)
    with on("north-a") as a, on("north-b") as b:
        steps = ("scan", "match", "deidentify", "upload", "poll", "fetch", "reidentify", "poll")
        for number, step in enumerate(steps):
            run_step(step, (a, b)[number % 2], ALL)
        assert only_job(a).state is State.DONE
        assert a.files.probe().startswith("the object store work")
    assert draw.posts() == 1
