"""Multi-frame images, from the scan to the structure set beside them."""

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from drawcli.core.jobs.job import State
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_step
from drawcli.sandbox.patients import identifying_values
from tests.conftest import PELVIS, Site
from tests.fake_draw import FakeDraw
from tests.phantoms.enhanced import write_enhanced
from tests.phantoms.mr_pt import write_mr, write_pt
from tests.phantoms.planning import write_planning_ct
from tests.segmented import segmented

Image = Callable[[str], Path]
FRAMES = 6
WRITE = {"CT": write_planning_ct, "MR": write_mr, "PT": write_pt}
STEPS = ("scan", "match", "deidentify", "upload", "poll", "fetch", "reidentify")
KINDS = (
    *("CT", "CT implicit", "CT converted", "MR", "MR converted implicit", "PT", "PT converted"),
)


@pytest.fixture
def image(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Image:
    """Put one multi-frame image into the datastore; the server draws as the sandbox does."""
    monkeypatch.setattr("tests.fake_draw.drawn_for", segmented)

    def write(kind: str) -> Path:
        modality, *flags = kind.split()
        classic = WRITE[modality](tmp_path / "classic", PELVIS, slices=FRAMES, size=32, seed=1)
        path = site.store / "multi" / f"{modality}.dcm"
        return write_enhanced(path, PELVIS, classic, **dict.fromkeys(flags, True))

    return write


def assigned(ctx: Context) -> None:
    """Give the job a template where the example rules have none for its modality."""
    for job in ctx.ledger.jobs():
        if job.state is not State.MATCHED:
            template = next(iter(ctx.rulebook.templates))
            ctx.ledger.commit(job.to(State.MATCHED, at=ctx.now(), template=template))


@pytest.mark.parametrize("kind", KINDS)
def test_the_whole_cycle(ctx: Context, site: Site, draw: FakeDraw, image: Image, kind: str) -> None:
    path = image(kind)
    source = dcmread(path)

    for step in STEPS:
        run_step(step, ctx, Selection())
        if step == "match":
            assigned(ctx)

    (job,) = ctx.ledger.jobs()
    assert (job.state, job.reason) == (State.DONE, None)
    (sent,) = images_in(draw.uploads["task-1"])
    assert sent.PixelData == source.PixelData
    assert positions(sent) == positions(source)
    (delivered,) = site.store.rglob("RS.*")
    home = dcmread(delivered)
    assert (home.PatientName, home.PatientID) == (source.PatientName, source.PatientID)
    named = contour_images(home)
    assert {uid for uid, _ in named} == {source.SOPInstanceUID}
    assert {number for _, number in named} <= set(range(1, FRAMES + 1))
    assert len(named) > 1


def images_in(package: bytes) -> list[Dataset]:
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        names = [name for name in archive.namelist() if name.endswith(".dcm")]
        return [dcmread(io.BytesIO(archive.read(name))) for name in names]


def positions(image: Dataset) -> list[list[float]]:
    frames = image.PerFrameFunctionalGroupsSequence
    return [list(one.PlanePositionSequence[0].ImagePositionPatient) for one in frames]


def contour_images(home: Dataset) -> set[tuple[str, int]]:
    """Return which image and frame the contours of a structure set lie on."""
    contours = (c for roi in home.ROIContourSequence for c in roi.get("ContourSequence", ()))
    images = (image for contour in contours for image in contour.ContourImageSequence)
    return {(str(i.ReferencedSOPInstanceUID), int(i.ReferencedFrameNumber)) for i in images}


def test_nothing_of_the_patient_is_in_the_package(
    ctx: Context, draw: FakeDraw, image: Image
) -> None:
    image("CT converted")

    for step in STEPS[:4]:
        run_step(step, ctx, Selection())

    with zipfile.ZipFile(io.BytesIO(draw.uploads["task-1"])) as archive:
        raw = b"".join(archive.read(name) for name in archive.namelist()).lower()
    for text in identifying_values(PELVIS):
        assert text.lower().encode("utf-8") not in raw
