"""Real series and their structure sets there and back through a server that changes nothing.

What the server does, and what is right, is told by pydicom alone.
"""

import io
import shutil
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydicom import Dataset, config, dcmread
from pydicom.uid import generate_uid

from drawcli.core.jobs.job import State
from drawcli.pipeline.runner import Selection, run_step
from tests.conftest import Clock, Site, opened
from tests.core.real_data import REAL, needs_real, unpacked
from tests.fake_draw import FakeDraw
from tests.validator import errors_of, faults_of

STEPS = ("scan", "match", "deidentify", "upload", "poll", "fetch", "reidentify")
REGISTERED = "1.2.840.10008."
PLACES = {  # place -> contours of the structure set
    "rt/cerr_pyCERR_pat_2": 7,
    "rt/eclipse_ariartm_anondicom": 8,
    "rt/monaco_proknow_nopreamble": 13,
    "rt/oncentra_rtkit": 35,
    "rt/eclipse_dcpt_headphantom.tar.xz": 281,
    "rt/xio_oraw_lung1-002.tar.xz": 26,
}
LOOSE = "quiet_minutes: 0, min_slices: 2, incomplete_hours: 0.0001"
BACK = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
)


@pytest.fixture(autouse=True)
def tolerant(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let pydicom read what vendors write."""
    monkeypatch.setattr(config.settings, "reading_validation_mode", config.IGNORE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def every(dataset: Dataset) -> Iterator[Any]:
    for element in dataset:
        yield element
        for item in element.value if element.VR == "SQ" else ():
            yield from every(item)


def split(place: str, folder: Path) -> tuple[list[Dataset], Dataset]:
    """Return the images that a structure set was drawn on, and that set."""
    root = REAL / place
    paths = unpacked(place, folder) if place.endswith(".xz") else sorted(root.rglob("*"))
    found = [dcmread(path, force=True) for path in paths if path.is_file()]
    (drawn,) = [one for one in found if one.get("Modality") == "RTSTRUCT"]
    (study,) = drawn.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence
    (series,) = study.RTReferencedSeriesSequence
    images: list[Dataset] = [
        one for one in found if one.get("SeriesInstanceUID") == series.SeriesInstanceUID
    ]
    return images, without_images_elsewhere(drawn, images)


def without_images_elsewhere(drawn: Dataset, sources: Sequence[Dataset]) -> Dataset:
    """Return a structure set that names no image which the archive does not hold."""
    here = {one.SOPInstanceUID for one in sources}
    for element in every(drawn):
        if element.keyword == "ContourImageSequence":
            element.value = [one for one in element.value if one.ReferencedSOPInstanceUID in here]
        elif element.keyword == "ReferencedFrameOfReferenceSequence":
            for study in (
                study for one in element.value for study in one.RTReferencedStudySequence
            ):
                study.ReferencedSOPInstanceUID = sources[0].StudyInstanceUID
    for contour in contours(drawn):
        if not contour.get("ContourImageSequence"):
            contour.pop("ContourImageSequence", None)
    return drawn


def place_of(image: Dataset) -> tuple[float, ...]:
    return tuple(float(value) for value in image.ImagePositionPatient)


def at_the_server(
    drawn: Dataset, sources: Sequence[Dataset], sent: Sequence[Dataset]
) -> tuple[bytes, dict[str, str]]:
    """Return the structure set as if it had been drawn on what was sent."""
    by_place = {place_of(one): one for one in sent}
    to_stand_in: dict[str, str] = {}
    for source in sources:
        there = by_place[place_of(source)]
        for keyword in (
            *("SOPInstanceUID", "SeriesInstanceUID"),
            *("StudyInstanceUID", "FrameOfReferenceUID"),
        ):
            to_stand_in[str(source[keyword].value)] = str(there[keyword].value)
    copy = dcmread(io.BytesIO(_written(drawn)))
    copy.remove_private_tags()
    for element in every(copy):
        if element.VR == "UI":
            element.value = to_stand_in.get(str(element.value), element.value)
    copy.SOPInstanceUID, copy.SeriesInstanceUID = generate_uid(), generate_uid()
    for keyword in BACK:
        if keyword in sent[0]:
            copy[keyword] = sent[0][keyword]
    return _written(copy), to_stand_in


def _written(dataset: Dataset) -> bytes:
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


@needs_real
@pytest.mark.parametrize("place", PLACES)
def test_a_real_structure_set_comes_home_as_it_was_drawn(
    place: str, site: Site, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources, drawn = split(place, tmp_path / "unpacked")
    for number, source in enumerate(sources):
        shutil.copy(str(source.filename), site.store / f"{number}.dcm")
    site.config.write_text(site.config.read_text().replace("quiet_minutes: 0", LOOSE))
    names = [roi.ROIName for roi in drawn.StructureSetROISequence]
    ask_for(site, names, sources[0].Modality)
    kept: dict[str, bytes] = {}

    def server(sent: Sequence[Dataset], _names: Sequence[str], **_more: object) -> bytes:
        kept["away"], _ = at_the_server(drawn, sources, sent)
        return kept["away"]

    monkeypatch.setattr("tests.fake_draw.structure_set", server)
    with opened(site, FakeDraw(), clock) as ctx:
        for step in STEPS:
            run_step(step, ctx, Selection())
        (job,) = ctx.ledger.jobs()
    assert job.state is State.DONE, (job.state, job.reason)
    (path,) = site.store.rglob("RS.*")
    home = dcmread(path)

    for keyword in BACK:
        assert home.get(keyword) == (sources[0].get(keyword) or home[keyword].empty_value), keyword
    assert [images_of(one) for one in contours(home)] == [images_of(one) for one in contours(drawn)]
    (frame,) = home.ReferencedFrameOfReferenceSequence
    (study,) = frame.RTReferencedStudySequence
    (series,) = study.RTReferencedSeriesSequence
    assert frame.FrameOfReferenceUID == sources[0].FrameOfReferenceUID
    assert study.ReferencedSOPInstanceUID == sources[0].StudyInstanceUID
    assert series.SeriesInstanceUID == sources[0].SeriesInstanceUID
    assert sorted(images_of(series)) == sorted(str(one.SOPInstanceUID) for one in sources)
    assert sum(1 for _ in contours(home)) == PLACES[place]
    for now, was in zip(contours(home), contours(drawn), strict=True):
        assert now.NumberOfContourPoints == was.NumberOfContourPoints
        assert [str(v) for v in now.ContourData] == pytest.approx([str(v) for v in was.ContourData])
    (tmp_path / "away.dcm").write_bytes(kept["away"])
    no_new_errors(path, tmp_path / "away.dcm")
    assert faults_of(path) == set()


def no_new_errors(path: Path, before: Path) -> None:
    from tests.validator import HAS_VALIDATOR

    if HAS_VALIDATOR:
        assert errors_of(path) <= errors_of(before)


def contours(dataset: Dataset) -> Iterator[Dataset]:
    for roi in dataset.ROIContourSequence:
        yield from roi.get("ContourSequence", ())


def images_of(item: Dataset) -> list[str]:
    return [str(one.ReferencedSOPInstanceUID) for one in item.get("ContourImageSequence", ())]


def ask_for(site: Site, names: Sequence[str], modality: str) -> None:
    """Let the site ask for the structures that are in the real file."""
    model = {
        "name": "M",
        "config": "2d",
        "trainer_name": "T",
        "postprocess": None,
        "map": dict(enumerate(names, start=1)),
    }
    templates = {"templates": {"Real": {"models": {720: model}}}}
    rule = {"name": "all", "template": "Real", "when": {"Modality": modality}}
    (site.folder / "templates.yaml").write_text(yaml.safe_dump(templates))
    (site.folder / "rules.yaml").write_text(yaml.safe_dump({"rules": [rule]}))
