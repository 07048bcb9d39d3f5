"""Pictures of a job: what they show, what they never say, and when runs make them."""

import base64
import io
import logging
import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, dcmread

from drawcli.adapters.state.workdir import PREVIEW_PAGE, PREVIEW_SHEET, RECEIVED, REPORT
from drawcli.core.gate.acceptance import Severity
from drawcli.core.jobs.job import Job, State
from drawcli.core.pictures.frame import Plane
from drawcli.errors import ConfigError, UsageError
from drawcli.pipeline.context import Context
from drawcli.pipeline.preview import Preview, preview_of, store_preview
from drawcli.pipeline.runner import Selection, run_step
from drawcli.sandbox.patients import identifying_values
from tests.conftest import PELVIS, SLICES, Clock, Site, made_site, opened
from tests.fake_draw import FakeDraw
from tests.phantoms.planning import write_planning_ct
from tests.segmented import segmented

OUT = ("scan", "match", "deidentify", "upload", "poll")


def taken(ctx: Context, *steps: str) -> Job:
    for step in steps:
        run_step(step, ctx, Selection())
    (job,) = ctx.ledger.jobs()
    return job


@pytest.fixture
def home(ctx: Context, pelvis: list[Path]) -> Job:
    assert pelvis
    return taken(ctx, *OUT, "fetch", "reidentify")


@pytest.fixture(scope="module")
def well(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Preview]:
    """Return the preview of a delivered job: for the tests that change nothing."""
    site = made_site(tmp_path_factory.mktemp("previewing") / "site")
    write_planning_ct(site.store / "pelvis", PELVIS, slices=SLICES, size=32, seed=1)
    with opened(site, FakeDraw(), Clock()) as ctx:
        yield preview_of(taken(ctx, *OUT, "fetch", "reidentify"), ctx)


@pytest.fixture
def shifted(draw: FakeDraw) -> None:
    """Let the server draw two contours on each other's slices: the gate holds that."""

    def change(dataset: Dataset) -> None:
        first, second = dataset.ROIContourSequence[0].ContourSequence[:2]
        first.ContourData, second.ContourData = second.ContourData, first.ContourData

    draw.change = change


def delivered(site: Site) -> Path:
    (path,) = site.store.rglob("RS.*")
    return path


def pixels(png: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.int_]]:
    with Image.open(io.BytesIO(png)) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def red_mm(preview: Preview, plane: Plane) -> tuple[float, float, float, float]:
    """Return the box of the red outlines in a picture, mm from its edges at left and top."""
    index = preview.best_picture(plane, 1)
    seen = pixels(preview.picture(plane, index, width=500))
    down, right = np.nonzero((seen[..., 0] > 180) & (seen[..., 1] < 60))
    mm = preview.scene.whole_region(plane).size[0] / 500
    return (
        float(right.min()) * mm,
        float(down.min()) * mm,
        float(right.max()) * mm,
        float(down.max()) * mm,
    )


def test_structures_are_told_as_they_were_delivered(well: Preview) -> None:
    preview, first = well, well.structures[0]

    assert [one.name for one in preview.structures][:2] == ["Bladder", "Rectum"]
    assert (first.number, first.color, first.slices) == (1, "#ff0001", SLICES)
    assert first.volume_cm3 == pytest.approx(30 * 30 * 300 / 1000, rel=0.01)  # squares of 30 mm
    assert preview.warnings == ()
    assert "as delivered" in preview.caption.facts


def test_what_was_drawn_is_what_lies_at_the_planning_system(
    ctx: Context, home: Job, site: Site
) -> None:
    before = red_mm(preview_of(home, ctx), Plane.AXIAL)
    moved = dcmread(delivered(site))
    for contour in moved.ROIContourSequence[0].ContourSequence:
        xyz = [float(one) for one in contour.ContourData]
        contour.ContourData = [one + 60 * (n % 3 == 0) for n, one in enumerate(xyz)]
    moved.save_as(delivered(site))

    preview = preview_of(home, ctx)

    after = red_mm(preview, Plane.AXIAL)
    assert before == pytest.approx((18, 18, 48, 48), abs=4)  # half a pixel of 15.6 mm, and 10 mm
    assert after == pytest.approx((before[0], 18, before[2] + 60, 48), abs=4)  # others stayed
    assert [one.code for one in preview.warnings] == ["changed"]


def test_pictures_are_counted_by_plane_and_found_by_structure(well: Preview) -> None:
    preview = well

    assert {plane: preview.count(plane) for plane in Plane} == {
        Plane.AXIAL: SLICES,
        Plane.CORONAL: 32,
        Plane.SAGITTAL: 32,
    }
    assert preview.best_picture(Plane.SAGITTAL, 1) in (1, 2)
    assert preview.best_picture(Plane.SAGITTAL, 999) == preview.best_picture(Plane.SAGITTAL)
    for plane, index, width in ((Plane.AXIAL, SLICES, 100), (Plane.AXIAL, 0, 0)):
        with pytest.raises(UsageError):
            preview.picture(plane, index, width=width)


@pytest.mark.usefixtures("pelvis")
def test_before_the_delivery_that_is_drawn_which_would_be_delivered(ctx: Context) -> None:
    job = taken(ctx, *OUT, "fetch")

    preview = preview_of(job, ctx)

    assert job.state is State.FETCHED
    assert "as they would be delivered" in preview.caption.facts
    assert red_mm(preview, Plane.AXIAL) == pytest.approx((18, 18, 48, 48), abs=4)


@pytest.mark.usefixtures("shifted")
def test_of_a_held_job_that_is_drawn_which_came_with_the_reason(
    ctx: Context, pelvis: list[Path]
) -> None:
    assert pelvis
    job = taken(ctx, *OUT, "fetch")

    preview = preview_of(job, ctx)

    assert job.held
    assert "as the server sent them" in preview.caption.facts
    assert [one.severity for one in preview.warnings] == [Severity.BLOCK]
    assert preview.warnings[0].code == "contour-off-slice"


def test_a_file_that_the_planning_system_took_away_is_drawn_anew_and_told(
    ctx: Context, home: Job, site: Site
) -> None:
    delivered(site).unlink()

    preview = preview_of(home, ctx)

    assert "as they would be delivered" in preview.caption.facts
    assert [one.code for one in preview.warnings] == ["not-there"]


def test_a_delivered_file_that_was_damaged_is_drawn_anew_and_told(
    ctx: Context, home: Job, site: Site
) -> None:
    delivered(site).write_bytes(delivered(site).read_bytes()[:-9])

    preview = preview_of(home, ctx)

    assert "as they would be delivered" in preview.caption.facts
    assert [one.code for one in preview.warnings] == ["changed", "not-dicom"]


def test_that_the_gate_found_nothing_is_not_said_where_nobody_knows(
    ctx: Context, home: Job
) -> None:
    ctx.work.file(home.id, REPORT).unlink()

    assert [one.code for one in preview_of(home, ctx).warnings] == ["report-missing"]


def test_images_that_changed_since_are_told(ctx: Context, home: Job, pelvis: list[Path]) -> None:
    one = dcmread(pelvis[0])
    one.SeriesDescription = "another"
    one.save_as(pelvis[0])

    assert [one.code for one in preview_of(home, ctx).warnings] == ["source-changed"]


@pytest.mark.usefixtures("pelvis")
def test_without_a_structure_set_there_is_nothing_to_draw(
    ctx: Context, in_state: Callable[..., Job]
) -> None:
    job = taken(ctx, *OUT)

    with pytest.raises(UsageError, match="no structure set"):
        preview_of(job, ctx)
    with pytest.raises(UsageError, match="gone"):
        preview_of(in_state(State.DONE), ctx)


def test_packages_that_are_missing_are_named(
    ctx: Context, home: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)

    with pytest.raises(ConfigError) as caught:
        preview_of(home, ctx)

    assert "pillow" in caught.value.hint
    assert "extra 'preview'" in caught.value.hint


def chunks(png: bytes) -> Iterator[bytes]:
    at = 8
    while at < len(png):
        yield png[at + 4 : at + 8]
        at += 12 + int.from_bytes(png[at : at + 4], "big")


def test_a_png_holds_pixels_and_not_a_word(well: Preview) -> None:
    for png in (well.sheet(), well.picture(Plane.CORONAL, 3, width=100)):
        assert set(chunks(png)) == {b"IHDR", b"IDAT", b"IEND"}


def test_the_page_tells_all_of_the_structures_and_nothing_of_the_patient(
    ctx: Context, home: Job, pelvis: list[Path], site: Site
) -> None:
    one = dcmread(pelvis[0])
    uids = [one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID]
    secrets = [*identifying_values(PELVIS), *uids, one.StudyDate, str(site.folder), "RS."]
    delivered(site).write_bytes(delivered(site).read_bytes()[:-9])  # findings are told, too

    preview = preview_of(home, ctx)

    page = preview.page().decode()
    words = re.sub(r"data:image/jpeg;base64,[^\"]+", "", page)
    assert '<li class="block"><strong>changed</strong>' in page
    assert 'fill="#ff0001"' in page
    assert "270.0 cm³, slices with contours: 6" in page
    assert [one for one in secrets if one in words or one in str(preview.caption)] == []
    assert "<script" not in page
    assert "http" not in words.replace("http-equiv", "")


def test_pictures_in_the_page_carry_no_comment(well: Preview) -> None:
    page = well.page().decode()

    found = re.findall(r"data:image/jpeg;base64,([^\"]+)", page)
    assert len(found) > 3 * len(well.structures)
    for text in found[:4]:
        jpeg = base64.b64decode(text)
        markers = {bytes(pair) for pair in pairwise(jpeg[: jpeg.index(b"\xff\xda")])}
        assert b"\xff\xe1" not in markers  # Exif
        assert b"\xff\xfe" not in markers  # comments


def test_what_is_kept_is_private_and_goes_with_the_work_folder(ctx: Context, home: Job) -> None:
    paths = store_preview(preview_of(home, ctx), home, ctx)

    assert [path.name for path in paths] == [PREVIEW_SHEET, PREVIEW_PAGE]
    assert {path.stat().st_mode & 0o777 for path in paths} == {0o600}
    ctx.work.remove(home.id)
    assert not any(path.exists() for path in paths)


def picture(site: Site, which: str) -> None:
    """Let the site have pictures of the jobs that it wants to see."""
    site.config.write_text(site.config.read_text().replace("preview: never", f"preview: {which}"))


def pictured(site: Site) -> bool:
    return bool(list(site.state.rglob(PREVIEW_SHEET)))


@pytest.mark.parametrize(("wanted", "made"), [("always", True), ("on_hold", False)])
@pytest.mark.usefixtures("pelvis")
def test_pictures_of_every_job_where_the_site_wants_them(
    site: Site, draw: FakeDraw, clock: Clock, wanted: str, *, made: bool
) -> None:
    picture(site, wanted)

    with opened(site, draw, clock) as ctx:
        taken(ctx, *OUT, "fetch")
        assert not pictured(site)
        taken(ctx, "reidentify")

    assert pictured(site) is made


@pytest.mark.usefixtures("shifted")
@pytest.mark.parametrize(("wanted", "made"), [("on_hold", True), ("never", False)])
def test_a_held_job_is_pictured_unless_the_site_never_wants_it(  # noqa: PLR0913 - fixtures
    site: Site, draw: FakeDraw, clock: Clock, pelvis: list[Path], wanted: str, *, made: bool
) -> None:
    assert pelvis
    picture(site, wanted)

    with opened(site, draw, clock) as ctx:
        assert taken(ctx, *OUT, "fetch").held

    assert pictured(site) is made


@pytest.mark.usefixtures("pelvis")
def test_pictures_of_a_held_job_do_not_outlive_its_delivery(
    site: Site, draw: FakeDraw, clock: Clock
) -> None:
    picture(site, "on_hold")
    with opened(site, draw, clock) as ctx:
        job = taken(ctx, *OUT, "fetch")
        ctx.work.write(job.id, PREVIEW_SHEET, b"held")

        taken(ctx, "reidentify")

        assert ctx.work.file(job.id, PREVIEW_SHEET).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("error", [ZeroDivisionError("Kulkarnee"), ConfigError("no", code="x")])
@pytest.mark.usefixtures("pelvis")
def test_a_preview_that_fails_costs_no_job(  # noqa: PLR0913, PLR0917 - fixtures
    site: Site,
    draw: FakeDraw,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    picture(site, "always")

    def fail(_job: Job, _ctx: Context) -> Preview:
        raise error

    monkeypatch.setattr("drawcli.pipeline.preview.preview_of", fail)
    with caplog.at_level(logging.WARNING), opened(site, draw, clock) as ctx:
        job = taken(ctx, *OUT, "fetch", "reidentify")

    assert (job.state, job.held, job.reason) == (State.DONE, False, None)
    assert f"job={job.id} no preview" in caplog.text


@pytest.mark.usefixtures("pelvis")
def test_contours_of_the_sandbox_lie_on_its_phantom(ctx: Context, draw: FakeDraw) -> None:
    taken(ctx, "scan", "match", "deidentify", "upload")
    draw.results = {task: segmented(package) for task, package in draw.uploads.items()}
    job = taken(ctx, "poll", "fetch", "reidentify")

    preview = preview_of(job, ctx)

    bladder = preview.structures[0]
    report = ctx.work.read_json(job.id, "report.json")
    measured = next(one for one in report["structures"] if one["name"] == bladder.name)
    assert bladder.volume_cm3 == pytest.approx(measured["volume_cm3"], rel=0.01)
    assert (ctx.work.file(job.id, RECEIVED)).exists()
