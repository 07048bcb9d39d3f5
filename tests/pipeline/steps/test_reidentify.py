"""From the received file to the delivered one: only what the gate approved reaches the disk."""

import hashlib
import io
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread

from drawcli.adapters.state.workdir import RECEIVED, REPORT
from drawcli.core.dicom.header import Header
from drawcli.core.gate.acceptance import Severity
from drawcli.core.jobs.job import Job, State
from drawcli.core.rtstruct import inspection
from drawcli.core.rtstruct.reidentify import reidentify_file
from drawcli.errors import BadStructureSet
from drawcli.pipeline import sent_slices
from drawcli.pipeline.actions import apply_action, assign_template, release
from drawcli.pipeline.context import Context
from drawcli.pipeline.results import redeliver, verify
from drawcli.pipeline.runner import Selection, run_step
from drawcli.pipeline.steps import reidentify as step
from drawcli.pipeline.steps.deidentify import package_id
from tests import structure_sets
from tests.conftest import HEAD_NECK, PELVIS, SLICES, Clock, Site, made_site, opened
from tests.fake_draw import FakeDraw, drawn_for
from tests.phantoms.planning import write_planning_ct
from tests.validator import errors_of, faults_of

STEPS = ("scan", "match", "deidentify", "upload", "poll", "fetch", "reidentify")


def run(ctx: Context, *steps: str) -> list[Job]:
    for one in steps:
        run_step(one, ctx, Selection())
    return ctx.ledger.jobs()


def delivered(site: Site) -> list[Path]:
    return sorted(site.store.rglob("RS.*"))


def changed_result(draw: FakeDraw, change: Callable[[Dataset], None]) -> None:
    """Let the server change what it has drawn."""
    for task, data in draw.results.items():
        dataset = dcmread(io.BytesIO(data))
        change(dataset)
        draw.results[task] = structure_sets.written(dataset)


@pytest.mark.usefixtures("pelvis")
def test_the_delivered_file_is_one_that_validators_accept(ctx: Context, site: Site) -> None:
    run(ctx, *STEPS)

    (path,) = delivered(site)

    assert faults_of(path) == set()
    assert errors_of(path) == set()


@settings(max_examples=20, suppress_health_check=list(HealthCheck))
@given(st.binary(min_size=1, max_size=4), st.integers(0, 10_000))
def test_the_bytes_on_disk_are_the_bytes_that_the_gate_approved(
    segmented: Callable[[], tuple[Site, FakeDraw]], noise: bytes, place: int
) -> None:
    """Whatever the server sends: a delivered file was read by the gate, byte for byte."""
    (site, draw), approved = segmented(), list[str]()
    read = inspection.inspect_finished

    def noted(data: bytes, *others: object) -> object:
        found = read(data, *others)  # type: ignore[arg-type] # as it was called
        if all(one.severity is Severity.WARN for one in found):
            approved.append(hashlib.sha256(data).hexdigest())
        return found

    with (
        copied(site.folder),
        pytest.MonkeyPatch.context() as patch,
        opened(site, draw, Clock()) as ctx,
    ):
        patch.setattr(step, "inspect_finished", noted)
        ((task, data),) = draw.results.items()
        at = 400 + place % (len(data) - 400)
        draw.results[task] = data[:at] + noise + data[at + len(noise) :]
        run(ctx, *STEPS[5:])
        files = [hashlib.sha256(path.read_bytes()).hexdigest() for path in delivered(site)]

    assert set(files) <= set(approved)
    assert len(files) <= 1


@pytest.fixture(scope="module")
def segmented(
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[], tuple[Site, FakeDraw]]:
    """Make a site whose only job is segmented."""
    site, draw = made_site(tmp_path_factory.mktemp("site") / "site"), FakeDraw()
    write_planning_ct(site.store / "a", PELVIS, slices=SLICES, size=16, seed=1)
    with opened(site, draw, Clock()) as ctx:
        run(ctx, *STEPS[:5])
    return lambda: (site, replace(draw, results=dict(draw.results)))


@contextmanager
def copied(folder: Path) -> Iterator[None]:
    """Put a folder back to what it was."""
    before = folder.with_name("before")
    shutil.copytree(folder, before)
    try:
        yield
    finally:
        shutil.rmtree(folder)
        before.rename(folder)


@pytest.mark.usefixtures("pelvis")
def test_a_finished_file_that_the_gate_blocks_is_not_written(
    ctx: Context, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = reidentify_file

    def faulty(*args: object) -> bytes:
        return write(*args).replace(PELVIS.patient_id.encode(), b"X" * len(PELVIS.patient_id))  # type: ignore[arg-type] # as it was called

    monkeypatch.setattr(step, "reidentify_file", faulty)
    (job,) = run(ctx, *STEPS)

    assert (job.state, job.held, job.reason_code) == (State.FETCHED, True, "not-conformant")
    assert delivered(site) == []


@pytest.mark.usefixtures("pelvis")
def test_two_structure_sets_never_have_the_same_uids(ctx: Context, site: Site) -> None:
    write_planning_ct(site.store / "b", PELVIS, slices=SLICES, size=32, seed=2)
    run(ctx, *STEPS)

    files = [dcmread(path) for path in delivered(site)]

    assert len(files) == 2
    assert len({one.SOPInstanceUID for one in files}) == 2
    assert len({one.SeriesInstanceUID for one in files}) == 2


# --- the wrong answer for the right series -----------------------------------------------------


@pytest.mark.usefixtures("pelvis")
def test_each_package_has_a_study_id_of_its_own_that_stays_the_same(ctx: Context) -> None:
    (job,) = run(ctx, *STEPS[:3])
    package = ctx.work.file(job.id, "package.zip")
    before = package.read_bytes()

    package.unlink()
    run(ctx, "upload", "deidentify")

    assert package.read_bytes() == before
    crosswalk = ctx.crosswalk(job)
    other = crosswalk._replace(files=crosswalk.files[1:])
    stand_ins = ctx.stand_ins_of(job)
    ids = {
        package_id(job.id, b"template", crosswalk, stand_ins),
        package_id(job.id, b"another", crosswalk, stand_ins),
        package_id(job.id, b"template", other, stand_ins),
        package_id(f"{job.series_key}-2", b"template", crosswalk, stand_ins),
    }
    assert len(ids) == 4
    assert crosswalk.study_id
    assert crosswalk.study_id != stand_ins.study_id(crosswalk.study_uid)


@pytest.mark.usefixtures("pelvis")
def test_the_result_of_another_package_of_the_same_series_is_held(
    ctx: Context, site: Site, draw: FakeDraw
) -> None:
    """Same patient, study, series, images and structures: only the package is another."""
    run(ctx, *STEPS[:5])
    (result,) = draw.results.values()
    (job,) = ctx.ledger.jobs()
    other = result.replace(ctx.crosswalk(job).study_id.encode(), b"ANOTHERPKG22")
    draw.results = dict.fromkeys(draw.results, other)

    (job,) = run(ctx, "fetch", "reidentify")

    assert (job.state, job.held, job.reason_code) == (State.SEGMENTED, True, "foreign-package")
    assert "another package" in (job.reason or "")
    assert delivered(site) == []


def without_study_id(dataset: Dataset) -> None:
    dataset.StudyID = ""


@pytest.mark.usefixtures("pelvis")
def test_a_result_that_names_no_package_is_held_and_a_site_may_accept_it(
    site: Site, draw: FakeDraw, clock: Clock
) -> None:
    with opened(site, draw, clock) as ctx:
        run(ctx, *STEPS[:5])
        changed_result(draw, without_study_id)
        (job,) = run(ctx, "fetch")

    assert (job.held, job.reason_code) == (True, "package-unknown")
    assert "accept.checks: {package-unknown: warn}" in (job.hint or "")
    site.add_line("accept: {checks: {package-unknown: warn}}")
    with opened(site, draw, clock) as ctx:
        apply_action(job, release, ctx)
        (job,) = run(ctx, "fetch", "reidentify")
        report = ctx.work.read_json(job.id, REPORT)

    assert job.state is State.DONE
    assert [one["code"] for one in report["findings"]] == ["package-unknown"]


def test_pixels_that_change_under_the_same_header_hold_the_delivery(
    ctx: Context, site: Site, pelvis: list[Path]
) -> None:
    run(ctx, *STEPS[:6])
    path, status = pelvis[2], pelvis[2].stat()
    data = path.read_bytes()
    path.write_bytes(data[:-2] + bytes([data[-2] ^ 1, data[-1]]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))  # as a copy that keeps times does

    (job,) = run(ctx, "reidentify")

    assert (job.state, job.held, job.reason_code) == (State.FETCHED, True, "source-moved")
    assert "its pixels have changed" in (job.reason or "")
    assert delivered(site) == []


def test_an_image_that_was_only_copied_or_moved_does_not_hold_the_delivery(
    ctx: Context, site: Site, pelvis: list[Path]
) -> None:
    run(ctx, *STEPS[:6])
    for path in pelvis:
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data)

    (job,) = run(ctx, "reidentify")

    assert job.state is State.DONE
    assert len(delivered(site)) == 1


def test_pixels_that_change_while_they_are_read_make_no_package(
    ctx: Context, pelvis: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = sent_slices.read_pixels

    def touched(stream: IO[bytes], header: Header, end: int) -> Iterator[bytes]:
        os.utime(pelvis[0], ns=(1, 1))
        yield from read(stream, header, end)

    monkeypatch.setattr(sent_slices, "read_pixels", touched)
    (job,) = run(ctx, *STEPS[:3])

    assert (job.state, job.reason_code) == (State.MATCHED, "source-changed")


# --- looking again -----------------------------------------------------------------------------


def test_verify_notices_the_structure_set_of_another_series_of_the_study(
    ctx: Context, site: Site, pelvis: list[Path]
) -> None:
    assert pelvis
    (job,) = run(ctx, *STEPS)
    (path,) = delivered(site)
    series = dcmread(pelvis[0]).SeriesInstanceUID
    other = series[:-1] + ("1" if series[-1] != "1" else "2")
    data = path.read_bytes()
    path.write_bytes(data.replace(series.encode(), other.encode()))

    codes = [one.code for one in verify(job, ctx)]

    assert codes == ["changed", "foreign-series"]


@pytest.mark.usefixtures("pelvis")
def test_a_structure_set_is_checked_again_before_it_is_delivered_again(
    ctx: Context, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    (job,) = run(ctx, *STEPS)
    (path,) = delivered(site)
    path.unlink()
    write = reidentify_file
    monkeypatch.setattr(
        step, "reidentify_file", lambda *args: write(*args).replace(b"UNAPPROVED", b"APPROVED  ")
    )

    with pytest.raises(BadStructureSet, match="ApprovalStatus"):
        redeliver(job, ctx)

    assert delivered(site) == []
    assert ctx.work.file(job.id, RECEIVED).exists()


@pytest.mark.usefixtures("pelvis")
def test_results_of_two_jobs_that_change_places_are_both_held(
    ctx: Context, site: Site, draw: FakeDraw
) -> None:
    write_planning_ct(site.store / "b", HEAD_NECK, slices=SLICES, size=32, seed=2)
    run(ctx, *STEPS[:5])
    one, other = draw.results
    draw.results[one], draw.results[other] = draw.results[other], draw.results[one]

    jobs = run(ctx, "fetch", "reidentify")

    assert {job.reason_code for job in jobs} == {"foreign-patient"}
    assert delivered(site) == []


@pytest.mark.usefixtures("pelvis")
def test_the_result_of_an_earlier_job_of_the_same_series_and_template_is_held(
    ctx: Context, site: Site, draw: FakeDraw
) -> None:
    (job,) = run(ctx, *STEPS)
    (earlier,) = draw.uploads.values()
    for path in delivered(site):
        path.unlink()
    assign_template(job, "Prostate_OAR", ctx)
    run(ctx, *STEPS[:4])
    draw.results = dict.fromkeys(draw.results, drawn_for(earlier))

    *_, job = run(ctx, "poll", "fetch", "reidentify")

    assert (job.held, job.reason_code) == (True, "foreign-package")
    assert delivered(site) == []
