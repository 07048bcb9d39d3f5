"""Compressed series, from the scan to the structure set beside them."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000Lossless, JPEGLSLossless, RLELossless

from drawcli.core.jobs.job import State
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_step
from drawcli.sandbox.patients import identifying_values
from tests.conftest import PELVIS, Site
from tests.fake_draw import FakeDraw
from tests.test_enhanced import drawn_by_the_job

STEPS = ("scan", "match", "deidentify", "upload", "poll", "fetch", "reidentify")
NAME = b"Kulkarnee^Meera 4711"


def remark(frame: bytes, syntax: str) -> bytes:
    """Return a compressed frame that names the patient where decoders do not look."""
    if syntax == RLELossless:
        return frame + NAME
    comment = b"\xff\xfe" if syntax == JPEGLSLossless else b"\xff\x64"
    segment = comment + (len(NAME) + 2).to_bytes(2, "big") + NAME
    at = 2 if syntax == JPEGLSLossless else 4 + int.from_bytes(frame[4:6], "big")  # behind SIZ
    return frame[:at] + segment + frame[at:]


@pytest.fixture(params=[RLELossless, JPEGLSLossless, JPEG2000Lossless], ids=lambda uid: uid.name)
def series(
    request: pytest.FixtureRequest, pelvis: list[Path], monkeypatch: pytest.MonkeyPatch
) -> list[Dataset]:
    """Compress a planning CT in the datastore; the server draws as the sandbox does."""
    monkeypatch.setattr("tests.fake_draw.drawn_for", drawn_by_the_job)
    sources: list[Dataset] = []
    for path in pelvis:
        one = dcmread(path)
        one.compress(request.param, generate_instance_uid=False)
        (frame,) = generate_frames(one.PixelData, number_of_frames=1)
        one.PixelData = encapsulate([remark(frame, request.param)])
        one.save_as(path)
        sources.append(dcmread(path))
    return sources


@pytest.mark.filterwarnings("ignore:The decoded RLE segment")  # of the sources
def test_the_whole_cycle(ctx: Context, site: Site, draw: FakeDraw, series: list[Dataset]) -> None:
    for step in STEPS:
        run_step(step, ctx, Selection())

    (job,) = ctx.ledger.jobs()
    assert (job.state, job.reason) == (State.DONE, None)
    with zipfile.ZipFile(io.BytesIO(draw.uploads["task-1"])) as archive:
        members = [archive.read(name) for name in archive.namelist()]
    sent = {place(one): one for one in map(dcmread, map(io.BytesIO, members[:-1]))}
    for source in series:
        assert NAME in source.PixelData
        after = sent[place(source)]
        syntax = source.file_meta.TransferSyntaxUID
        decoded = syntax == JPEGLSLossless  # for which the server has no decoder
        assert after.file_meta.TransferSyntaxUID == (ExplicitVRLittleEndian if decoded else syntax)
        assert np.array_equal(after.pixel_array, source.pixel_array)
    raw = b"".join(members).lower()
    for text in (*identifying_values(PELVIS), NAME.decode()):
        assert text.lower().encode() not in raw
    (delivered,) = site.store.rglob("RS.*")
    assert dcmread(delivered).PatientID == PELVIS.patient_id


def place(one: Dataset) -> tuple[float, ...]:
    return tuple(map(float, one.ImagePositionPatient))
