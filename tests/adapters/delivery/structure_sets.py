"""Structure sets to deliver in tests."""

from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ImplicitVRLittleEndian

from tests.conftest import PELVIS
from tests.phantoms.planning import write_planning_ct
from tests.structure_sets import structure_set

__all__ = ["PELVIS", "rtstruct"]


@pytest.fixture
def rtstruct(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Return a structure set as it lies in the folder of delivery, named like its patient."""
    images = write_planning_ct(tmp_path / "ct", PELVIS, slices=3, size=16, seed=1)
    slices = [dcmread(path) for path in images]
    dataset = dcmread(BytesIO(structure_set(slices, ["Bladder"], change=_in_utf_8)))
    coding = getattr(request, "param", ImplicitVRLittleEndian)
    dataset.file_meta.TransferSyntaxUID = coding
    path = tmp_path / f"RS.{PELVIS.patient_id}.dcm"
    dataset.save_as(path, implicit_vr=coding.is_implicit_VR, little_endian=True)
    return path


def _in_utf_8(dataset: Dataset) -> None:
    dataset.SpecificCharacterSet = "ISO_IR 192"
