"""Structure sets to a real archive: by C-STORE with commitment, and by STOW-RS."""

import time
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from drawcli.adapters.delivery.dicom_node import opened_target
from drawcli.adapters.delivery.stow import opened_stow
from drawcli.adapters.dicom_network import commitments
from drawcli.config.sections_network import Receive
from drawcli.config.sections_targets import Target
from drawcli.core.jobs.job import State
from drawcli.errors import TryLater
from drawcli.pipeline.runner import Selection, run_step
from tests.adapters.delivery.structure_sets import rtstruct
from tests.adapters.delivery.test_commitment import COMMITTING, delivery
from tests.conftest import Clock, Site, opened
from tests.dicom_sender import receiving
from tests.fake_draw import FakeDraw
from tests.orthanc import needs_orthanc, orthanc
from tests.ports import free_port
from tests.waiting import PATIENCE

__all__ = ["rtstruct"]
STEPS = ("scan", "match", "deidentify", "upload", "poll", "fetch", "reidentify")
pytestmark = needs_orthanc


def test_orthanc_stores_by_stow_what_was_delivered_and_once(rtstruct: Path, tmp_path: Path) -> None:
    with orthanc(tmp_path / "orthanc") as archive:
        target = opened_stow(Target(stow=archive.url))
        assert target.check() is None
        assert archive.files() == []
        first = target.store(rtstruct.read_bytes(), tmp_path / target.record)
        second = target.store(rtstruct.read_bytes(), tmp_path / target.record)
        (stored,) = archive.files()

    assert first == ""
    assert "C000" not in second
    assert dcmread(BytesIO(stored)) == dcmread(rtstruct)


def test_orthanc_commits_in_a_later_association_to_receive(
    rtstruct: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commitments, "REPORT_SECONDS", 0.1)
    ours = free_port()
    site = tmp_path / "site"
    listen = f'"127.0.0.1:{ours}"'
    with (
        receiving(site, ["ARCHIVE@127.0.0.1"], listen=listen, more=COMMITTING),
        orthanc(tmp_path / "orthanc", drawcli=("DRAWCLI", ours)) as archive,
    ):
        settings = Target(node=f"ARCHIVE@127.0.0.1:{archive.dicom}", commitment=True)
        node = opened_target(settings, "DRAWCLI", site / "state")
        assert node.echo() == ""
        said = _until_committed(settings, site / "state", rtstruct)
        (stored,) = archive.files()

    assert said.startswith("sent to the DICOM node ARCHIVE")
    assert dcmread(BytesIO(stored)) == dcmread(rtstruct)


def test_orthanc_commits_to_a_run_that_listens_while_it_waits(
    rtstruct: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commitments, "REPORT_SECONDS", PATIENCE)  # it ends when the report is there
    ours = free_port()
    listens = Receive.read({"listen": f"127.0.0.1:{ours}", "callers": ["ARCHIVE@127.0.0.1"]})
    with orthanc(tmp_path / "orthanc", drawcli=("DRAWCLI", ours)) as archive:
        target = Target(node=f"ARCHIVE@127.0.0.1:{archive.dicom}", commitment=True)
        node = opened_target(target, "DRAWCLI", tmp_path / "state", listens)
        said = node.send(delivery(rtstruct))
        (stored,) = archive.files()

    assert said.startswith("sent to the DICOM node ARCHIVE")
    assert dcmread(BytesIO(stored)) == dcmread(rtstruct)


def _until_committed(settings: Target, state: Path, path: Path) -> str:
    """Deliver as one run after another would; at least the first finds no report."""
    reasons = []
    for _ in range(480):
        try:
            said = opened_target(settings, "DRAWCLI", state).send(delivery(path))
        except TryLater as err:
            reasons.append((err.code, str(err)))
            time.sleep(0.25)
        else:
            assert {code for code, _ in reasons} <= {"commitment"}
            return said
    raise AssertionError(reasons[-1])


@pytest.mark.usefixtures("pelvis")
def test_a_whole_cycle_ends_in_two_archives_with_every_reference_intact(
    site: Site, draw: FakeDraw, clock: Clock, tmp_path: Path
) -> None:
    with orthanc(tmp_path / "one") as by_store, orthanc(tmp_path / "two") as by_stow:
        site.add_line("deliver:\n  targets:")
        site.add_line(f"  - {{node: 'ARCHIVE@127.0.0.1:{by_store.dicom}'}}")
        site.add_line(f"  - {{stow: '{by_stow.url}'}}")
        with opened(site, draw, clock) as ctx:
            for step in STEPS:
                run_step(step, ctx, Selection())
            (job,) = ctx.ledger.jobs()
        (first,), (second,) = by_store.files(), by_stow.files()

    images = {str(dcmread(path).SOPInstanceUID) for path in site.store.rglob("*.dcm")}
    structure_set = dcmread(BytesIO(first))
    referred = {
        str(image.ReferencedSOPInstanceUID)
        for roi in structure_set.ROIContourSequence
        for contour in roi.ContourSequence
        for image in contour.ContourImageSequence
    }
    assert job.state is State.DONE
    assert structure_set == dcmread(BytesIO(second))
    assert referred
    assert referred <= images
    assert len(draw.confirmed) == 1
