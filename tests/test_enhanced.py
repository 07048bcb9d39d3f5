"""Multi-frame images, from the scan to the structure set beside them.

The server is as strict as the real job: it takes single slices only. What it received is compared
with the source by pydicom and numpy alone.
"""

import io
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import JPEG2000Lossless, JPEGLSLossless, RLELossless

from drawcli.adapters.package import read_range
from drawcli.config.sections import Deidentify
from drawcli.core.deid.profile import Choices
from drawcli.core.jobs.job import Job, State
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_step
from drawcli.pipeline.steps import upload
from drawcli.sandbox.patients import identifying_values
from drawcli.sandbox.upload_reader import check_as_real_job
from tests.conftest import PELVIS, Clock, Site, opened
from tests.fake_draw import FakeDraw
from tests.phantoms.enhanced import write_enhanced
from tests.phantoms.mr_pt import write_mr, write_pt
from tests.phantoms.planning import write_planning_ct
from tests.segmented import segmented

Image = Callable[[str], Path]
FRAMES = 6
WRITE = {"CT": write_planning_ct, "MR": write_mr, "PT": write_pt}
STEPS = ("scan", "match", "deidentify", "upload", "poll", "fetch", "reidentify")
CODED = {"jpeg-ls": JPEGLSLossless, "jpeg-2000": JPEG2000Lossless, "rle": RLELossless}
CLASSIC = {"CT": "CT Image", "MR": "MR Image", "PT": "Positron Emission Tomography Image"}
KINDS = (
    *("CT", "CT implicit", "CT converted", "MR", "MR converted implicit", "PT", "PT converted"),
    *("CT jpeg-ls", "MR jpeg-2000", "PT rle"),
)


def drawn_by_the_job(package: bytes) -> bytes:
    """Return the structure set of a job that takes what the real one takes."""
    check_as_real_job(images_in(package))
    return segmented(package)


@pytest.fixture
def image(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Image:
    """Put one multi-frame image into the datastore."""
    monkeypatch.setattr("tests.fake_draw.drawn_for", drawn_by_the_job)

    def write(kind: str) -> Path:
        modality, *flags = kind.split()
        classic = WRITE[modality](tmp_path / "classic", PELVIS, slices=FRAMES, size=32, seed=1)
        path = site.store / "multi" / f"{modality}.dcm"
        ways = [flag for flag in flags if flag not in CODED]
        write_enhanced(path, PELVIS, classic, **dict.fromkeys(ways, True))
        for coding in CODED.keys() & set(flags):
            whole = dcmread(path)
            whole.compress(CODED[coding], generate_instance_uid=False)
            whole.save_as(path)
        return path

    return write


def run(ctx: Context, *steps: str) -> Job:
    """Run steps; the job gets a template where the example rules have none for its modality."""
    for step in steps:
        run_step(step, ctx, Selection())
        for job in ctx.ledger.jobs() if step == "match" else ():
            if job.state is not State.MATCHED:
                template = next(iter(ctx.rulebook.templates))
                ctx.ledger.commit(job.to(State.MATCHED, at=ctx.now(), template=template))
    (job,) = ctx.ledger.jobs()
    return job


@pytest.mark.parametrize("kind", KINDS)
def test_frames_are_sent_as_slices_and_contours_come_back_on_frames(
    ctx: Context, site: Site, draw: FakeDraw, image: Image, kind: str
) -> None:
    source = dcmread(image(kind))
    pixels = source.pixel_array

    job = run(ctx, *STEPS)

    assert (job.state, job.reason) == (State.DONE, None)
    sent = sorted(images_in(draw.uploads["task-1"]), key=lambda one: one.InstanceNumber)
    assert [one.InstanceNumber for one in sent] == [*range(1, FRAMES + 1)]
    assert len({one.SOPInstanceUID for one in sent}) == FRAMES
    for number, one in enumerate(sent):
        assert one.SOPClassUID.name.startswith(CLASSIC[source.Modality])
        assert np.array_equal(one.pixel_array, pixels[number])
        assert facts(one, one) == frame_facts(source, number)
        assert one.file_meta.TransferSyntaxUID != JPEGLSLossless  # the job has no decoder
    (delivered,) = site.store.rglob("RS.*")
    home = dcmread(delivered)
    assert (home.PatientName, home.PatientID) == (source.PatientName, source.PatientID)
    check_contours(home, source)


def check_contours(home: Dataset, source: Dataset) -> None:
    """Check that each contour names the frame whose plane it lies in."""
    heights = {n: frame_facts(source, n - 1)[0][2] for n in range(1, FRAMES + 1)}
    named = set()
    for roi in home.ROIContourSequence:
        for contour in roi.get("ContourSequence", ()):
            (one,) = contour.ContourImageSequence
            assert one.ReferencedSOPInstanceUID == source.SOPInstanceUID
            assert one.ReferencedSOPClassUID == source.SOPClassUID
            height = heights[int(one.ReferencedFrameNumber)]
            assert {round(float(z) - height, 2) for z in contour.ContourData[2::3]} == {0}
            named.add(int(one.ReferencedFrameNumber))
    assert len(named) > 1


def images_in(package: bytes) -> list[Dataset]:
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        names = [name for name in archive.namelist() if name.endswith(".dcm")]
        return [dcmread(io.BytesIO(archive.read(name))) for name in names]


def facts(plane: Any, scaling: Any) -> tuple[Any, ...]:
    """Return position, orientation, spacing, thickness and scaling of a slice."""
    many = (plane.ImagePositionPatient, plane.ImageOrientationPatient, plane.PixelSpacing)
    vectors = (tuple(map(float, one)) for one in many)
    scales = float(scaling.RescaleSlope), float(scaling.RescaleIntercept)
    return (*vectors, float(plane.SliceThickness), *scales)


def frame_facts(source: Dataset, number: int) -> tuple[Any, ...]:
    """Return the same of a frame, from 0."""
    plane = Dataset()
    shared = source.SharedFunctionalGroupsSequence[0]
    for groups in (shared, source.PerFrameFunctionalGroupsSequence[number]):
        for sequence in ("PlanePosition", "PlaneOrientation", "PixelMeasures"):
            for item in groups.get(f"{sequence}Sequence", ()):
                plane.update(item)
    return facts(plane, shared.PixelValueTransformationSequence[0])


def test_nothing_of_the_patient_is_in_the_package(
    ctx: Context, draw: FakeDraw, image: Image
) -> None:
    image("CT converted")

    run(ctx, *STEPS[:4])

    with zipfile.ZipFile(io.BytesIO(draw.uploads["task-1"])) as archive:
        raw = b"".join(archive.read(name) for name in archive.namelist()).lower()
    for text in identifying_values(PELVIS):
        assert text.lower().encode("utf-8") not in raw


def test_the_same_package_is_built_again(ctx: Context, image: Image) -> None:
    image("PT")
    first = run(ctx, *STEPS[:3])

    ctx.ledger.commit(first.to(State.MATCHED, at=ctx.now()))
    again = run(ctx, "deidentify")

    assert first.zip_sha256 == again.zip_sha256 is not None


def test_a_site_may_hold_multi_frame_images(
    site: Site, draw: FakeDraw, clock: Clock, image: Image
) -> None:
    image("CT")
    site.add_line("deidentify: {multiframe: hold}")

    with opened(site, draw, clock) as ctx:
        job = run(ctx, *STEPS[:3])

    assert (job.held, job.reason_code) == (True, "multiframe-held")


def test_a_source_that_changes_between_two_frames_makes_no_package(
    ctx: Context, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = image("CT")

    def touched(*where: Any) -> Any:
        os.utime(path, ns=(1, 1))
        return read_range(*where)

    monkeypatch.setattr("drawcli.pipeline.sent_frames.read_range", touched)

    job = run(ctx, *STEPS[:3])

    assert (job.state, job.reason_code) == (State.MATCHED, "source-changed")


@pytest.fixture
def former(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Let the steps package as a version did that sent multi-frame images as they are."""
    whole = property(lambda _self: Choices(multiframe="whole"))
    monkeypatch.setattr(Deidentify, "choices", whole)
    monkeypatch.setattr("tests.fake_draw.drawn_for", segmented)
    return monkeypatch


@pytest.mark.usefixtures("image")
def test_a_job_that_was_uploaded_whole_comes_back_as_before(
    ctx: Context, site: Site, image: Image, former: pytest.MonkeyPatch
) -> None:
    source = dcmread(image("MR"))
    with former.context() as then:
        then.setattr(upload, "_is_of_frames", lambda _crosswalk: False)
        assert run(ctx, *STEPS[:4]).state is State.UPLOADED
    former.undo()

    job = run(ctx, *STEPS[4:])

    assert (job.state, job.reason) == (State.DONE, None)
    (delivered,) = site.store.rglob("RS.*")
    check_contours(dcmread(delivered), source)


def test_a_package_that_was_not_uploaded_is_built_again(
    ctx: Context, draw: FakeDraw, image: Image, former: pytest.MonkeyPatch
) -> None:
    image("CT")
    assert run(ctx, *STEPS[:3]).state is State.PACKAGED
    former.undo()

    run(ctx, "upload")
    job = run(ctx, "deidentify", "upload")

    assert job.state is State.UPLOADED
    assert len(images_in(draw.uploads["task-1"])) == FRAMES
