"""What a template and the settings make of a structure set: looks, made structures, places."""

import io
import re
import zipfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydicom import Dataset, dcmread

from drawcli import __version__
from drawcli.adapters.state.workdir import AS_SENT
from drawcli.core.jobs.job import Job, State
from drawcli.errors import ConfigError
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_step
from tests.conftest import Clock, Site, opened
from tests.fake_draw import FakeDraw
from tests.validator import errors_of, faults_of, needs_validator

STEPS = ("scan", "match", "deidentify", "upload", "poll", "fetch", "reidentify")
SQUARE_MM2 = 30 * 30  # what the fake server draws on every slice
LOOKS = {
    "Rectum": {"label": "Rectum_AI", "color": [10, 20, 30], "type": "ORGAN"},
    "Bladder": {"description": "checked by nobody"},
}
Change = dict[str, Any]
Home = Callable[..., Dataset]
Lossy = Callable[[str], AbstractContextManager[Context]]


def described(site: Site, **said: Any) -> None:
    """Say more of the pelvis template."""
    path = site.folder / "templates.yaml"
    plain = yaml.safe_load(path.read_text())
    plain["templates"]["Prostate_OAR"] |= said
    path.write_text(yaml.safe_dump(plain, sort_keys=False))


def all_steps(ctx: Context) -> Job:
    for step in STEPS:
        run_step(step, ctx, Selection())
    (job,) = ctx.ledger.jobs()
    return job


def delivered(site: Site) -> Path:
    (path,) = site.store.rglob("RS.*")
    return path


@pytest.fixture
def home(site: Site, draw: FakeDraw, clock: Clock, pelvis: list[Path]) -> Home:
    """Return what runs a whole cycle and gives the delivered file."""
    assert pelvis

    def run(deliver: str = "", **said: Any) -> Dataset:
        described(site, **said)
        if deliver:
            site.add_line(f"deliver: {deliver}")
        with opened(site, draw, clock) as ctx:
            job = all_steps(ctx)
        assert job.state is State.DONE, (job.reason, job.hint)
        return dcmread(delivered(site))

    return run


@pytest.fixture
def server(site: Site, draw: FakeDraw, clock: Clock) -> Lossy:
    """Return what opens the site with a server that loses the second structure, or its contours."""

    def lose(dataset: Dataset, lost: str) -> None:
        if lost == "contours":
            del dataset.ROIContourSequence[1].ContourSequence
            return
        for keyword in ("StructureSetROISequence", "ROIContourSequence"):
            del dataset[keyword].value[1]
        del dataset.RTROIObservationsSequence[1]

    def open_it(lost: str) -> AbstractContextManager[Context]:
        draw.change = lambda dataset: lose(dataset, lost)
        return opened(site, draw, clock)

    return open_it


def by_name(home: Dataset) -> dict[str, tuple[Dataset, Dataset, Dataset]]:
    """Return the three items of each structure: listed, drawn, observed."""
    drawn = {one.ReferencedROINumber: one for one in home.ROIContourSequence}
    observed = {one.ReferencedROINumber: one for one in home.RTROIObservationsSequence}
    assert drawn.keys() == observed.keys()
    return {
        roi.ROIName: (roi, drawn[roi.ROINumber], observed[roi.ROINumber])
        for roi in home.StructureSetROISequence
    }


def test_structures_look_as_the_template_says(home: Home) -> None:
    listed, drawn, observed = by_name(home(structures=LOOKS))["Rectum_AI"]

    assert list(drawn.ROIDisplayColor) == [10, 20, 30]
    assert observed.RTROIInterpretedType == "ORGAN"
    assert listed.ROIGenerationDescription == "DRAW model 720 TSPrime"


def test_what_the_template_does_not_say_stays_as_the_server_has_it(home: Home) -> None:
    listed, drawn, observed = by_name(home(structures=LOOKS))["Bladder"]

    assert list(drawn.ROIDisplayColor) == [255, 0, 1]
    assert observed.RTROIInterpretedType == ""
    assert listed.ROIGenerationDescription == "checked by nobody"
    assert listed.ROIGenerationAlgorithm == "AUTOMATIC"


def test_structures_come_in_the_order_of_the_template(home: Home) -> None:
    whole = home(structures=LOOKS)

    order = ["Rectum_AI", "Bladder", "Femur_Head_L", "Femur_Head_R"]
    assert [roi.ROIName for roi in whole.StructureSetROISequence] == order
    numbers = [roi.ROINumber for roi in whole.StructureSetROISequence]
    assert [one.ReferencedROINumber for one in whole.ROIContourSequence] == numbers
    assert [one.ReferencedROINumber for one in whole.RTROIObservationsSequence] == numbers


@pytest.mark.usefixtures("pelvis")
def test_a_template_changed_on_the_way_changes_nothing_of_what_was_sent(
    site: Site, draw: FakeDraw, clock: Clock
) -> None:
    described(site, structures=LOOKS)
    with opened(site, draw, clock) as ctx:
        for step in STEPS[:-1]:
            run_step(step, ctx, Selection())
    described(site, structures={"Rectum": {"label": "Other"}})

    with opened(site, draw, clock) as ctx:
        run_step("reidentify", ctx, Selection())

    assert "Rectum_AI" in by_name(dcmread(delivered(site)))


@pytest.mark.usefixtures("pelvis")
def test_jobs_from_before_looks_were_kept_come_home_as_they_are(site: Site, ctx: Context) -> None:
    for step in STEPS[:-1]:
        run_step(step, ctx, Selection())
    (job,) = ctx.ledger.jobs()
    ctx.work.file(job.id, AS_SENT).unlink()

    run_step("reidentify", ctx, Selection())

    assert next(iter(by_name(dcmread(delivered(site))))) == "Bladder"


def test_the_file_says_who_had_a_hand_in_it(home: Home) -> None:
    server, ours = home().ContributingEquipmentSequence

    assert server.PurposeOfReferenceCodeSequence[0].CodeMeaning == "Processing Equipment"
    assert (server.Manufacturer, ours.Manufacturer) == ("DRAW", "drawcli")
    assert server.ContributionDescription == "models: 720 TSPrime 3d_fullres"
    assert ours.SoftwareVersions == __version__
    assert "not reviewed" in ours.ContributionDescription


MADE = {
    "Both": {"union": ["Bladder", "Rectum"], "color": [1, 2, 3], "type": "AVOIDANCE"},
    "Bladder_05": {"margin": "Bladder", "mm": 5},
    "Rim": {"subtraction": ["Bladder_05", "Bladder"], "label": "Rim_AI"},
    "Nothing": {"subtraction": ["Bladder", "Both"]},
}


def test_structures_are_made_of_others(home: Home, pelvis: list[Path]) -> None:
    slices = {dcmread(path).SOPInstanceUID: dcmread(path) for path in pelvis}

    found = by_name(home(derived=MADE))

    listed, drawn, observed = found["Both"]
    assert (listed.ROIGenerationAlgorithm, observed.RTROIInterpretedType) == (
        "AUTOMATIC",
        "AVOIDANCE",
    )
    assert listed.ROIGenerationDescription == "drawcli: union of Bladder, Rectum"
    assert list(drawn.ROIDisplayColor) == [1, 2, 3]
    assert listed.ReferencedFrameOfReferenceUID == next(iter(slices.values())).FrameOfReferenceUID
    for contour in drawn.ContourSequence:
        (image,) = contour.ContourImageSequence
        source = slices[image.ReferencedSOPInstanceUID]
        assert image.ReferencedSOPClassUID == source.SOPClassUID
        assert contour.ContourData[2::3] == [source.ImagePositionPatient[2]] * 4
        xs, ys = contour.ContourData[::3], contour.ContourData[1::3]
        assert (max(xs) - min(xs)) * (max(ys) - min(ys)) == pytest.approx(SQUARE_MM2)
    assert len(drawn.ContourSequence) == len(slices)


def test_derived_structures_lie_in_the_planes_of_their_parent(home: Home, draw: FakeDraw) -> None:
    def raised(dataset: Dataset) -> None:
        for roi in dataset.ROIContourSequence:
            for contour in roi.ContourSequence:
                points = list(contour.ContourData)
                contour.ContourData = [float(v) + 0.3 * (n % 3 == 2) for n, v in enumerate(points)]

    draw.change = raised
    found = by_name(home(derived=MADE))

    (_, parent, _), (_, both, _), (_, wider, _) = (
        found[name] for name in ("Bladder", "Both", "Bladder_05")
    )
    planes = {contour.ContourData[2] for contour in parent.ContourSequence}
    assert {contour.ContourData[2] for contour in both.ContourSequence} == planes
    assert {contour.ContourData[2] for contour in wider.ContourSequence} == planes


def test_a_made_structure_with_a_hole_has_two_contours_a_slice(
    home: Home, pelvis: list[Path]
) -> None:
    _, drawn, _ = by_name(home(derived=MADE))["Rim_AI"]

    assert len(drawn.ContourSequence) == 2 * len(pelvis)
    assert all(
        len(one.ContourData) == 3 * one.NumberOfContourPoints for one in drawn.ContourSequence
    )


@pytest.mark.usefixtures("pelvis")
def test_a_made_structure_that_is_empty_is_listed_and_told(
    site: Site, draw: FakeDraw, clock: Clock
) -> None:
    described(site, derived=MADE)

    with opened(site, draw, clock) as ctx:
        job = all_steps(ctx)

    _, drawn, _ = by_name(dcmread(delivered(site)))["Nothing"]
    assert "ContourSequence" not in drawn
    assert any("derived structures without contours: Nothing" in event.what for event in job.events)


@needs_validator
def test_a_validator_finds_nothing_in_looks_and_made_structures(
    home: Home, site: Site, tmp_path: Path
) -> None:
    server = tmp_path / "received.dcm"
    home(structures=LOOKS, derived=MADE)
    (received,) = site.state.rglob("received.dcm")
    server.write_bytes(received.read_bytes())

    assert errors_of(delivered(site)) <= errors_of(server)
    assert faults_of(delivered(site)) == set()


@pytest.mark.parametrize(
    ("said", "lost", "code"),
    [
        ({}, "structure", "structures-missing"),
        ({"required": True}, "structure", "structures-missing"),
        ({"required": False}, "structure", None),
        ({}, "contours", None),
        ({"required": True}, "contours", "structures-empty"),
        ({"required": False}, "contours", None),
    ],
)
@pytest.mark.usefixtures("pelvis")
def test_what_is_required_is_asked_for_again(
    site: Site, server: Lossy, said: dict[str, bool], lost: str, code: str | None
) -> None:
    described(site, structures={"Rectum": said})

    with server(lost) as ctx:
        for step in STEPS[:-1]:
            run_step(step, ctx, Selection())
        (job,) = ctx.ledger.jobs()

    assert job.reason_code == code
    assert job.state is (State.FETCHED if code is None else State.SEGMENTED)


def test_folder_and_name_follow_patterns(
    site: Site, draw: FakeDraw, clock: Clock, pelvis: list[Path], tmp_path: Path
) -> None:
    imports = tmp_path / "import"
    imports.mkdir()
    site.add_line(
        f'deliver: {{folder: "{imports}/{{patient_id}}/{{date}}", '
        'name: "{modality}_{template}_{job}.dcm"}'
    )

    with opened(site, draw, clock) as ctx:
        job = all_steps(ctx)

    patient = dcmread(pelvis[0]).PatientID
    assert (imports / patient / "20261114" / f"CT_Prostate_OAR_{job.id}.dcm").is_file()


@pytest.mark.parametrize(
    ("deliver", "why"),
    [
        ('{name: "RS.{patient_id}.dcm"}', "should contain {job}"),
        ('{name: "{job}/x.dcm"}', "should be a file name"),
        ('{name: ".{job}.dcm"}', "should be a file name"),
        ('{name: "{job}.{patient_name}.dcm"}', "may contain {patient_id}, {template}, {job}"),
        ('{folder: "/x/{nobody}"}', "may contain {patient_id}"),
        ('{uid_root: "1.2.x"}', "should be a UID of at most 24 characters"),
        ('{uid_root: "1.2.826.0.1.3680043.10.12345"}', "should be a UID of at most 24 characters"),
        ('{uid_root: "1.02"}', "should be a UID"),
        ("{longest_name: 65}", "64"),
        ("{character_set: latin1}", "source"),
    ],
)
def test_settings_that_cannot_be_meant_are_told(site: Site, deliver: str, why: str) -> None:
    site.add_line(f"deliver: {deliver}")

    with pytest.raises(ConfigError, match=re.escape(why)):
        site.settings()


def test_the_site_has_a_uid_root_of_its_own(home: Home) -> None:
    whole = home('{uid_root: "1.2.826.0.1.3680043.10.1"}')

    for uid in (
        whole.SOPInstanceUID,
        whole.SeriesInstanceUID,
        whole.file_meta.MediaStorageSOPInstanceUID,
    ):
        assert uid.startswith("1.2.826.0.1.3680043.10.1.")
        assert uid.is_valid
    assert whole.SOPInstanceUID != whole.SeriesInstanceUID


def test_text_is_brought_to_utf_8_where_the_site_wants_it(
    home: Home, site: Site, pelvis: list[Path]
) -> None:
    for path in pelvis:
        one = dcmread(path)
        for element in list(one):
            if element.tag.is_private or (element.VR in {"PN", "LO", "SH"} and element.value):
                del one[element.tag]
        one.SpecificCharacterSet, one.PatientID = "ISO_IR 100", "4711"
        one.PatientName = "Lindqvist^\u00c5sa"
        one.StudyDescription, one.ProtocolName = "Pelvis", "Pelvis"
        one.save_as(path)

    whole = home("{character_set: utf-8}")

    assert whole.SpecificCharacterSet == "ISO_IR 192"
    raw = delivered(site).read_bytes()
    assert "Lindqvist^\u00c5sa".encode() in raw
    assert "Lindqvist^\u00c5sa".encode("latin-1") not in raw


@pytest.mark.usefixtures("pelvis")
def test_a_name_longer_than_the_planning_system_takes_is_told_before_anything_is_sent(
    site: Site, draw: FakeDraw, clock: Clock
) -> None:
    described(site, structures={"Femur_Head_L": {"label": "A_name_of_17_char"}})
    site.add_line("deliver: {longest_name: 16}")

    with opened(site, draw, clock) as ctx, pytest.raises(ConfigError) as told:
        _ = ctx.rulebook

    assert "longest_name is 16, longer are: A_name_of_17_char" in str(told.value)


EMPTY = {
    "PTV": {"type": "PTV", "color": [255, 0, 0]},
    "CTV 1": {"label": "CTV1", "type": "CTV"},
    "Marker": {"type": "MARKER", "description": "set by hand"},
}


def test_empty_structures_are_added_after_the_others_and_named_as_empty(
    home: Home, draw: FakeDraw
) -> None:
    hidden = {"Bladder_05": {"margin": "Bladder", "mm": 5, "hidden": True}}

    whole = home(derived=MADE | hidden, empty=EMPTY)

    found = by_name(whole)
    assert "Rim_AI" in found  # derived from the hidden one
    assert "Bladder_05" not in found
    assert [roi.ROIName for roi in whole.StructureSetROISequence][-3:] == ["PTV", "CTV1", "Marker"]
    assert len({roi.ROINumber for roi in whole.StructureSetROISequence}) == len(found)
    for name, kind in (("PTV", "PTV"), ("CTV1", "CTV"), ("Marker", "MARKER")):
        assert "ContourSequence" not in found[name][1]
        assert found[name][2].RTROIInterpretedType == kind
    assert found["PTV"][0].ROIGenerationDescription == "drawcli: empty, to be contoured"
    assert list(found["PTV"][1].ROIDisplayColor) == [255, 0, 0]
    assert found["Marker"][0].ROIGenerationDescription == "set by hand"
    for package in draw.uploads.values():
        with zipfile.ZipFile(io.BytesIO(package)) as opened_zip:
            (sent,) = (one for one in opened_zip.namelist() if one.endswith(".yml"))
            assert b"PTV" not in opened_zip.read(sent)


@pytest.mark.usefixtures("pelvis")
def test_empty_structures_are_no_warning_and_what_is_lost_stays_one(
    site: Site, server: Lossy
) -> None:
    described(site, empty=EMPTY)

    with server("contours") as ctx:
        job = all_steps(ctx)
        report = ctx.work.read_json(job.id, "report.json") or {}

    texts = [finding["text"] for finding in report["findings"]]
    assert [text for text in texts if "Rectum" in text]
    assert not [text for text in texts if "PTV" in text or "CTV" in text]
