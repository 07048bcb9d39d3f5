"""What the step alone does: beside the engine, the package and the gate, tested on their own."""

import hashlib
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread

from drawcli.adapters import gate
from drawcli.adapters.state.workdir import PACKAGE
from drawcli.core.deid.profile import fingerprint
from drawcli.core.dicom.sop_classes import CT_IMAGE
from drawcli.core.jobs.job import State
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_step
from drawcli.pipeline.steps import deidentify as packing
from drawcli.system.files import sha256_of
from tests.conftest import PELVIS, SLICES, Clock, made_site, opened
from tests.fake_draw import FakeDraw
from tests.phantoms.planning import write_planning_ct

WARNING = "warning: a corner of the pixels looks like writing"


def packaged(ctx: Context) -> list[str]:
    """Bring the one series to its package; return what happened to it."""
    for step in ("scan", "match", "deidentify"):
        run_step(step, ctx, Selection())
    (job,) = ctx.ledger.jobs()
    assert job.state is State.PACKAGED
    return [event.what for event in job.events]


def write_into_a_corner(path: Path) -> None:
    dataset = dcmread(path)
    pixels = dataset.pixel_array.copy()
    pixels[:6, :9:2] = pixels.max() + 100
    dataset.PixelData = pixels.tobytes()
    dataset.save_as(path)


@pytest.mark.parametrize("which", [0, -1])
def test_writing_in_the_pixels_is_a_warning_and_no_obstacle(
    ctx: Context, pelvis: list[Path], which: int
) -> None:
    write_into_a_corner(sorted(pelvis)[which])

    assert packaged(ctx) == ["found", "matched", "packaged", WARNING]


@pytest.mark.usefixtures("pelvis")
def test_a_scan_without_writing_goes_without_a_warning(ctx: Context) -> None:
    assert packaged(ctx) == ["found", "matched", "packaged"]


@pytest.mark.usefixtures("pelvis")
def test_the_vault_says_by_which_policy_a_series_left(ctx: Context) -> None:
    packaged(ctx)

    (job,) = ctx.ledger.jobs()

    assert ctx.crosswalk(job).policy == fingerprint(CT_IMAGE)


@pytest.mark.usefixtures("pelvis")
def test_a_package_of_earlier_settings_is_made_again_before_it_is_sent(
    ctx: Context, draw: FakeDraw, clock: Clock
) -> None:
    packaged(ctx)
    stricter = ctx.settings.deidentify.replace(patient_characteristics="remove")
    ctx = replace(ctx, settings=ctx.settings.replace(deidentify=stricter))

    run_step("upload", ctx, Selection())
    unsent = (draw.posts(), ctx.ledger.jobs()[0].state)
    clock.advance(minutes=2)
    for step in ("deidentify", "upload"):
        run_step(step, ctx, Selection())

    (package,) = draw.uploads.values()
    with ZipFile(BytesIO(package)) as members:
        slices = [dcmread(BytesIO(members.read(one))) for one in members.namelist() if "dcm" in one]
    assert unsent == (0, State.MATCHED)
    assert len(slices) == SLICES
    assert not any(one.get("PatientSex") or "PatientAge" in one for one in slices)


@settings(max_examples=6, suppress_health_check=list(HealthCheck))
@given(st.binary(min_size=1, max_size=4), st.integers(0, 100_000), st.sampled_from(["", "late"]))
def test_the_bytes_that_leave_are_the_bytes_that_the_gate_approved(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, place: int, late: str
) -> None:
    """Whatever lies in the sources, and whatever happens to the package on the disk."""
    site = made_site(tmp_path_factory.mktemp("site") / "site")
    paths = write_planning_ct(site.store / "a", PELVIS, slices=SLICES, size=16, seed=1)
    draw, approved = FakeDraw(), list[str]()
    read = gate.findings

    def noted(package: Path, *others: Any, **more: Any) -> Any:
        found = read(package, *others, **more)
        if not found:
            approved.append(sha256_of(package))
        return found

    with pytest.MonkeyPatch.context() as patch, opened(site, draw, Clock()) as ctx:
        patch.setattr(packing, "findings", noted)
        if not late:
            spoil(paths[0], noise, place)
        for step in ("scan", "match", "deidentify"):
            run_step(step, ctx, Selection())
        for job in ctx.ledger.jobs():
            package = ctx.work.file(job.id, PACKAGE)
            if package.exists() and late:
                spoil(package, noise, place)
        for step in ("upload", "deidentify", "upload"):
            run_step(step, ctx, Selection())

    left = {hashlib.sha256(one).hexdigest() for one in draw.uploads.values()}
    assert left <= set(approved)
    assert not late or left  # what was spoilt on the disk is built again


def spoil(path: Path, noise: bytes, place: int) -> None:
    data = path.read_bytes()
    at = place % len(data)
    path.write_bytes(data[:at] + noise + data[at + len(noise) :])
