"""An MR and a PT series of the invented people: for templates that are not about CT.

The anatomy is that of the planning CT; the grey values are made up from its HU, tissue by tissue.
"""

from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from pydicom import Dataset
from pydicom.uid import MRImageStorage, PositronEmissionTomographyImageStorage

from drawcli.sandbox.anatomy import BODIES, LENGTH_MM, Floats, grid_mm, paint, slice_hu
from drawcli.sandbox.headers import coded, geometry, one_item, person_header, pixels, write
from drawcli.sandbox.patients import Person
from drawcli.sandbox.phantom import corner_mm

# HU of a tissue, and how bright it is on a T2-weighted MR image.
_HU: Final = (-1000, -700, -150, -95, 0, 30, 60, 150, 400, 1000)
_T2: Final = (0, 20, 120, 900, 1400, 500, 380, 300, 60, 20)
_HOT: Final = frozenset({"Bladder", "Brain", "Heart"})  # where FDG gathers
_BQML_PER_STEP: Final = 2.5  # Rescale Slope (0028,1053) of the PT series


def write_mr(
    folder: Path, person: Person, *, slices: int = 40, size: int = 256, seed: int = 0
) -> list[Path]:
    """Write an axial T2-weighted MR series; return its paths from the feet to the head."""
    header = _header(person, "MR", size=size, slices=slices, seed=seed)
    header.SOPClassUID = MRImageStorage
    header.ScanningSequence = "SE"
    header.SequenceVariant = "SK"
    header.ScanOptions = None
    header.MRAcquisitionType = "2D"
    header.RepetitionTime = 4500
    header.EchoTime = 102
    header.EchoTrainLength = 17
    header.MagneticFieldStrength = 1.5
    header.FlipAngle = 150
    header.WindowCenter, header.WindowWidth = 600, 1200
    return _write_slices(folder, person, header, slices=slices, seed=seed)


def write_pt(
    folder: Path, person: Person, *, slices: int = 40, size: int = 128, seed: int = 0
) -> list[Path]:
    """Write an FDG PT series in Bq/ml; return its paths from the feet to the head."""
    header = _header(person, "PT", size=size, slices=slices, seed=seed)
    header.SOPClassUID = PositronEmissionTomographyImageStorage
    _pet_series(header, person, slices)
    header.RescaleIntercept = 0
    header.RescaleSlope = _BQML_PER_STEP
    header.FrameReferenceTime = 60_000
    header.WindowCenter, header.WindowWidth = 10_000, 20_000
    return _write_slices(folder, person, header, slices=slices, seed=seed)


def _header(person: Person, modality: str, *, size: int, slices: int, seed: int) -> Dataset:
    header = person_header(person)
    header.Modality = modality
    header.ImageType = ["ORIGINAL", "PRIMARY", "M_SE"][: 3 if modality == "MR" else 2]
    header.SeriesInstanceUID = person.uid(modality, seed)
    header.SeriesNumber = {"MR": 20, "PT": 40}[modality] + seed
    header.SeriesDescription = f"{modality} {person.series_description}"[:64]
    header.FrameOfReferenceUID = person.uid("frame", modality, seed)
    header.AcquisitionNumber = 1
    geometry(header, size=size, thickness_mm=round(LENGTH_MM / slices, 4))
    pixels(header, size=size, signed=False, bits=16)
    return header


def _pet_series(header: Dataset, person: Person, slices: int) -> None:
    """Fill the PET Series and PET Isotope modules (PS3.3 C.8.9.1, C.8.9.2)."""
    del header.PatientPosition  # the codes below say it (PS3.3 C.7.3.1.1.2)
    header.Units = "BQML"
    header.SeriesType = ["STATIC", "IMAGE"]
    header.CountsSource = "EMISSION"
    header.NumberOfSlices = slices
    header.CorrectedImage = ["DECY", "ATTN", "SCAT", "RADL"]
    header.RandomsCorrectionMethod = "DLYD"
    header.AttenuationCorrectionMethod = "measured, CT"
    header.ReconstructionMethod = "OSEM 3i21s"
    header.DecayCorrection = "START"
    header.CollimatorType = None
    header.ActualFrameDuration = 120_000
    header.RadiopharmaceuticalInformationSequence = one_item(
        RadionuclideCodeSequence=coded("C-111A1", "SRT", "^18^Fluorine"),
        RadiopharmaceuticalCodeSequence=coded("C-B1031", "SRT", "Fluorodeoxyglucose F^18^"),
        Radiopharmaceutical="FDG",
        RadiopharmaceuticalStartTime="080500.00",
        RadiopharmaceuticalStartDateTime=person.study_date + "080500.00",
        RadionuclideTotalDose=3.7e8,
        RadionuclideHalfLife=6586.2,
        RadionuclidePositronFraction=0.967,
    )
    header.PatientOrientationCodeSequence = coded("F-10450", "SRT", "recumbent")
    header.PatientOrientationCodeSequence[0].PatientOrientationModifierCodeSequence = coded(
        "F-10340", "SRT", "supine"
    )
    header.PatientGantryRelationshipCodeSequence = coded("F-10470", "SRT", "headfirst")


def _write_slices(
    folder: Path, person: Person, header: Dataset, *, slices: int, seed: int
) -> list[Path]:
    modality, size = header.Modality, header.Rows
    thickness = float(header.SliceThickness)
    dice = np.random.default_rng(seed)
    paths = []
    for number in range(1, slices + 1):
        z = (number - (slices + 1) / 2) * thickness
        grey = _grey(person, modality, z, thickness, size)
        grey += dice.standard_normal(grey.shape, dtype=np.float32) * (12 + grey * 0.02)
        header.SOPInstanceUID = person.uid(modality, seed, number)
        header.InstanceNumber = number
        header.ImagePositionPatient = [*corner_mm(size), round(z, 4)]
        header.SliceLocation = round(z, 4)
        if modality == "PT":
            header.ImageIndex = number
            header.DecayFactor = 1.01
        header.PixelData = _stored(grey).tobytes()
        name = f"{person.file_name}.{modality}.{person.study_date}.{seed}.{number:04d}.dcm"
        paths.append(write(header, folder / name))
    return paths


def _grey(person: Person, modality: str, z: float, thickness: float, size: int) -> Floats:
    """Return a slice of an MR or PT image without noise."""
    body = BODIES[person.site]
    hu = slice_hu(body, z, thickness, size, couch=False)
    if modality == "MR":
        return np.interp(hu, _HU, _T2).astype(np.float32)
    grey = np.where(hu > -500, np.float32(800), np.float32(60))  # HU: tissue or air
    x = grid_mm(size)
    for part in body.parts:
        if part.name in _HOT:
            paint(grey, x, part.ellipse_mm(z, thickness), 6000)
    return grey


def _stored(grey: Floats) -> npt.NDArray[np.uint16]:
    return np.clip(np.rint(grey), 0, 32767).astype(np.uint16)
