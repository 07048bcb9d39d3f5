"""What comes back is held against the slices it was drawn on before it may go on."""

from pathlib import Path

import pytest
from pydicom import Dataset

from drawcli.adapters.state.workdir import REPORT
from drawcli.core.jobs.job import Job, State
from drawcli.core.jobs.warned import CHECKS
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_step
from tests.conftest import Clock, Site, opened
from tests.fake_draw import FakeDraw

BEFORE = ("scan", "match", "deidentify", "upload", "poll")


def fetched(ctx: Context) -> Job:
    for step in (*BEFORE, "fetch"):
        run_step(step, ctx, Selection())
    (job,) = ctx.ledger.jobs()
    return job


def contours(dataset: Dataset) -> list[Dataset]:
    return [c for roi in dataset.ROIContourSequence for c in roi.ContourSequence]


def shifted(dataset: Dataset) -> None:
    """Let two contours lie on each other's slices."""
    first, second = contours(dataset)[:2]
    first.ContourData, second.ContourData = second.ContourData, first.ContourData


def short(dataset: Dataset) -> None:
    one = min(dataset.ROIContourSequence[0].ContourSequence, key=lambda c: c.ContourData[2])
    one.ContourData, one.NumberOfContourPoints = one.ContourData[:6], 2


def test_what_was_drawn_is_measured_and_the_measures_are_kept(
    ctx: Context, pelvis: list[Path]
) -> None:
    job = fetched(ctx)

    report = ctx.work.read_json(job.id, REPORT)
    assert job.state is State.FETCHED
    assert report["findings"] == []
    names = [one["name"] for one in report["structures"]]
    assert names == ["Bladder", "Rectum", "Femur_Head_L", "Femur_Head_R"]
    assert {one["slices"] for one in report["structures"]} == {len(pelvis)}
    assert all(one["volume_cm3"] > 0 for one in report["structures"])


@pytest.mark.usefixtures("pelvis")
def test_contours_beside_their_slices_hold_the_job(ctx: Context, draw: FakeDraw) -> None:
    draw.change = shifted

    job = fetched(ctx)

    assert (job.state, job.held) == (State.SEGMENTED, True)
    assert job.reason is not None
    assert "closer to another slice" in job.reason
    assert "Bladder 2" in job.reason


@pytest.mark.usefixtures("pelvis")
def test_a_short_contour_is_told_and_delivered(ctx: Context, draw: FakeDraw) -> None:
    draw.change = short

    job = fetched(ctx)

    (finding,) = ctx.work.read_json(job.id, REPORT)["findings"]
    assert job.state is State.FETCHED
    assert (finding["severity"], finding["code"]) == ("warn", "contour-short")
    assert (job.events[-1].code, job.events[-1].why) == (CHECKS, finding["text"])


@pytest.mark.parametrize(
    ("weight", "state", "held"),
    [("block", State.SEGMENTED, True), ("off", State.FETCHED, False)],
)
@pytest.mark.usefixtures("pelvis")
def test_a_site_weighs_it_otherwise(  # noqa: PLR0913 - fixtures
    site: Site,
    draw: FakeDraw,
    clock: Clock,
    weight: str,
    state: State,
    *,
    held: bool,
) -> None:
    draw.change = short
    with site.config.open("a") as config:
        config.write(f"accept: {{checks: {{contour-short: {weight}}}}}\n")

    with opened(site, draw, clock) as ctx:
        job = fetched(ctx)
        report = ctx.work.read_json(job.id, REPORT)

    assert (job.state, job.held) == (state, held)
    assert [one["severity"] for one in report["findings"]] == ["block"] * held


@pytest.mark.parametrize(
    ("bounds", "state"), [("[0, 1000]", State.FETCHED), ("[500, 1000]", State.SEGMENTED)]
)
@pytest.mark.usefixtures("pelvis")
def test_volumes_are_held_against_the_template_as_it_is_now(
    ctx: Context, site: Site, bounds: str, state: State
) -> None:
    templates = site.folder / "templates.yaml"
    described = "    description: Bladder, rectum, femoral heads\n"
    text = templates.read_text()
    assert described in text
    templates.write_text(
        text.replace(described, f"    structures: {{Bladder: {{volume_cm3: {bounds}}}}}\n")
    )

    job = fetched(ctx)

    assert job.state is state
    assert job.held == (state is State.SEGMENTED)
    assert ("cm³, the template allows 500 to 1000" in (job.reason or "")) == job.held


@pytest.mark.usefixtures("pelvis")
def test_broken_templates_do_not_stop_the_way_home(
    ctx: Context, site: Site, draw: FakeDraw, clock: Clock
) -> None:
    for step in BEFORE:
        run_step(step, ctx, Selection())
    (site.folder / "templates.yaml").write_text("templates: [\n")

    with opened(site, draw, clock) as again:
        run_step("fetch", again, Selection())
        (job,) = again.ledger.jobs()

    assert job.state is State.FETCHED
