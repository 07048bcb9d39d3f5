from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from drawcli.core.deid.engine import Replacements, deidentify_header
from drawcli.core.deid.pseudonyms import StandIns
from drawcli.core.dicom.header import read_header
from drawcli.sandbox.patients import identifying_values
from drawcli.sandbox.phantom import PEOPLE
from drawcli.sandbox.segmentation.rtstruct import DrawnStructure, structure_set
from drawcli.sandbox.segmentation.segmenter import DrawnContour
from drawcli.sandbox.segmentation.volume import volume
from tests.conftest import NOON
from tests.phantoms.enhanced import write_enhanced
from tests.phantoms.mr_pt import write_mr, write_pt
from tests.phantoms.planning import write_planning_ct
from tests.validator import errors_of, needs_validator

WRITE = {"CT": write_planning_ct, "MR": write_mr, "PT": write_pt}
KINDS = ("CT", "CT implicit", "CT converted", "MR", "MR converted", "PT", "PT converted implicit")
every_kind = pytest.mark.parametrize("kind", KINDS)


def written(folder: Path, kind: str) -> tuple[Path, list[Path]]:
    """Return a multi-frame image, and the classic slices it was made from."""
    modality, *flags = kind.split()
    classic = WRITE[modality](folder / "classic", PEOPLE[0], slices=4, size=32)
    path = folder / "enhanced.dcm"
    return write_enhanced(path, PEOPLE[0], classic, **dict.fromkeys(flags, True)), classic


@every_kind
def test_the_frames_are_the_slices(tmp_path: Path, kind: str) -> None:
    path, classic = written(tmp_path, kind)

    frames = volume([dcmread(path)])
    slices = volume(dcmread(one) for one in classic)

    assert [frame.frame for frame in frames] == [1, 2, 3, 4]
    for frame, one in zip(frames, slices, strict=True):
        assert np.array_equal(frame.values(), one.values())
        assert np.array_equal(frame.to_mm(np.eye(2)), one.to_mm(np.eye(2)))


def test_a_contour_names_its_frame_and_the_series_its_image(tmp_path: Path) -> None:
    frames = volume([dcmread(written(tmp_path, "CT")[0])])
    drawn = DrawnStructure("Bladder", [DrawnContour(2, np.zeros((3, 3)))])

    made = structure_set(frames, [drawn], at=NOON)

    (contour,) = made.ROIContourSequence[0].ContourSequence
    assert contour.ContourImageSequence[0].ReferencedFrameNumber == 3
    study = made.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
    (image,) = study.RTReferencedSeriesSequence[0].ContourImageSequence
    assert "ReferencedFrameNumber" not in image


@every_kind
def test_the_patient_is_in_it_as_in_a_real_file(tmp_path: Path, kind: str) -> None:
    path, _ = written(tmp_path, kind)
    groups = dcmread(path).SharedFunctionalGroupsSequence[0]

    said = str(groups)

    assert sum(text in said for text in identifying_values(PEOPLE[0])) > 1
    assert any(element.tag.is_private for element in groups)


@needs_validator
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "PT converted implicit"])
def test_an_independent_validator_finds_no_error(tmp_path: Path, kind: str) -> None:
    assert errors_of(written(tmp_path, kind)[0]) == set()


@pytest.mark.sweep
@needs_validator
@every_kind
def test_it_has_no_new_errors_once_de_identified(tmp_path: Path, kind: str) -> None:
    path, _ = written(tmp_path, kind)
    data = path.read_bytes()
    header = read_header(data, complete=True)
    assert header.pixels is not None
    after = tmp_path / "after.dcm"

    raw = deidentify_header(header, Replacements.of(header, StandIns(b"k" * 32)))
    after.write_bytes(raw + data[header.pixels.value :])

    assert errors_of(after) - errors_of(path) == set()
