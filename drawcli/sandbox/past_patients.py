"""Past patients with clinical structure sets, to practise commissioning with the sandbox.

The clinical contours are those of the first version of the sandbox's models, moved and resized a
little for each patient and structure, as one person's contours differ from another's.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import numpy as np
from pydicom import dcmread

from drawcli.sandbox.patients import PEOPLE
from drawcli.sandbox.phantom import write_planning_ct
from drawcli.sandbox.segmentation.rtstruct import DrawnStructure, file_bytes, structure_set
from drawcli.sandbox.segmentation.segmenter import DrawnContour, Segmenter
from drawcli.sandbox.segmentation.volume import volume

STRUCTURES: Final = ("Bladder", "Rectum", "Femur_Head_L", "Femur_Head_R")
_SHIFT_MM: Final = 1.0  # standard deviation, in each direction of the slice
_RESIZED: Final = 0.02  # standard deviation of the size
_APPROVED_AT: Final = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def write_past_patients(
    folder: Path, count: int, *, slices: int, size: int, tell: Callable[[str], None]
) -> list[Path]:
    """Write planning CTs of the pelvis with approved structure sets; return the structure sets.

    Parameters
    ----------
    folder
        Gets a folder for each patient.
    count
        The number of patients. The same number gives the same files.
    slices, size
        Of each scan: slices, and rows and columns of each.
    tell
        Gets a line for each patient.
    """
    return [_write(folder, number, slices, size, tell) for number in range(1, count + 1)]


def _write(folder: Path, number: int, slices: int, size: int, tell: Callable[[str], None]) -> Path:
    pelvis = next(person for person in PEOPLE if person.site == "pelvis")
    person = replace(pelvis, patient_id=f"PAST-{number:03d}", name=f"PAST^PATIENT {number}")
    own = folder / f"past-{number:03d}"
    images = write_planning_ct(own, person, slices=slices, size=size, seed=number)
    scan = volume(dcmread(path) for path in images)
    segmenter, random = Segmenter(scan), np.random.default_rng(number)
    drawn = [
        DrawnStructure(name, _redrawn(segmenter.contours(name), random)) for name in STRUCTURES
    ]
    dataset = structure_set(scan, drawn, at=_APPROVED_AT, long_coordinates=False)
    dataset.SOPInstanceUID = person.uid("clinical", number)
    dataset.SeriesInstanceUID = person.uid("clinical series", number)
    dataset.StructureSetLabel = "CLINICAL"
    dataset.ApprovalStatus = "APPROVED"
    dataset.ReviewDate = f"{_APPROVED_AT:%Y%m%d}"
    dataset.ReviewTime = f"{_APPROVED_AT:%H%M%S}"
    dataset.ReviewerName = "SANDBOX"
    path = own / "clinical.dcm"
    path.write_bytes(file_bytes(dataset))
    tell(f"   {person.name}: {len(images)} slices, approved structure set")
    return path


def _redrawn(contours: list[DrawnContour], random: np.random.Generator) -> list[DrawnContour]:
    """Return the contours of a structure, moved and resized within their slices."""
    shift = np.append(random.normal(0, _SHIFT_MM, 2), 0.0)
    size = 1 + random.normal(0, _RESIZED)
    redrawn = []
    for contour in contours:
        middle = contour.points.mean(axis=0)
        redrawn.append(replace(contour, points=middle + (contour.points - middle) * size + shift))
    return redrawn
