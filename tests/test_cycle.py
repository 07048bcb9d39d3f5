"""The whole flow, step by step, with the server in memory."""

import io
import zipfile
from pathlib import Path

import pytest
from pydicom import dcmread

from drawcli.core.jobs.job import State
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_once, run_step
from tests.conftest import PELVIS, Site
from tests.fake_draw import FakeDraw

STEPS = ("scan", "match", "deidentify", "upload", "poll", "fetch", "reidentify")


def states(ctx: Context) -> list[State]:
    return [job.state for job in ctx.ledger.jobs()]


def test_each_step_takes_the_series_one_state_on(
    ctx: Context, site: Site, pelvis: list[Path], draw: FakeDraw
) -> None:
    before = {path: path.read_bytes() for path in pelvis}

    seen = []
    for step in STEPS:
        run_step(step, ctx, Selection())
        seen += states(ctx)

    assert seen == [
        State.FOUND,
        State.MATCHED,
        State.PACKAGED,
        State.UPLOADED,
        State.SEGMENTED,
        State.FETCHED,
        State.DONE,
    ]
    assert draw.confirmed == ["task-1"]
    assert {path: path.read_bytes() for path in pelvis} == before
    (delivered,) = site.store.rglob("RS.*")
    home = dcmread(delivered)
    assert home.PatientName == dcmread(pelvis[0]).PatientName
    assert home.PatientID == PELVIS.patient_id


@pytest.mark.usefixtures("pelvis")
def test_a_second_run_has_nothing_to_do(ctx: Context, draw: FakeDraw) -> None:
    for _ in range(3):
        list(run_once(ctx, Selection()))
    asked = len(draw.asked)

    reports = list(run_once(ctx, Selection()))

    assert [report.outcomes for report in reports] == [[]] * 7
    assert len(draw.asked) == asked


def test_the_package_is_flat_and_holds_one_template(
    ctx: Context, pelvis: list[Path], draw: FakeDraw
) -> None:
    list(run_once(ctx, Selection()))

    with zipfile.ZipFile(io.BytesIO(draw.uploads["task-1"])) as archive:
        names = archive.namelist()
        uids = {str(dcmread(io.BytesIO(archive.read(n))).SOPInstanceUID) for n in names[:-1]}
    assert names == [*sorted(f"{uid}.dcm" for uid in uids), "template.yml"]
    assert len(uids) == len(pelvis)
