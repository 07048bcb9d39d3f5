"""The ten categories of the MIDI-B benchmark, each as a test.

References
----------
The Cancer Imaging Archive, Medical Image De-Identification Benchmark (MIDI-B), scoring actions.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest
from pydicom import Dataset, dcmread

from tests.deidentification import engine
from tests.deidentification.patients import ZOERVIK, Patient
from tests.deidentification.search import Judge, pixels_of
from tests.deidentification.usual import MODALITIES, usual
from tests.deidentification.writing import File, text

PERSON: Final = replace(ZOERVIK, charset="ISO_IR 100", name="Zörvik^Ule^Dun")
STUDIES: Final = (date(2024, 5, 21), date(2024, 6, 18))
WEEKS: Final = range(52, 521)

Send = Callable[..., list[Dataset]]


@pytest.fixture(params=MODALITIES)
def modality(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def slices(modality: str, number: int = 0, *, day: date = STUDIES[0], count: int = 2) -> list[File]:
    """Return a series of the person on a day; another number is another study."""
    values = {name: getattr(PERSON, name) for name in PERSON.__dataclass_fields__}
    person = Patient(**{**values, "studied": day})
    return [usual(person, modality, number, index) for index in range(count)]


@pytest.fixture
def send(tmp_path: Path) -> Send:
    """Write the slices of a series; return the de-identified data sets."""

    def sent(files: list[File], *, key: bytes = engine.KEY) -> list[Dataset]:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        paths = [folder / file.name for file in files]
        for path, file in zip(paths, files, strict=True):
            path.write_bytes(file.written())
        made = engine.series(paths, key=key)
        for name, raw in made.items():
            (folder / f"sent {name}").write_bytes(raw)
        found = [dcmread(folder / f"sent {name}") for name in made]
        return sorted(found, key=lambda one: int(one.InstanceNumber))

    return sent


def source(file: File, path: Path) -> Dataset:
    path.write_bytes(file.written())
    return dcmread(path)


def day(value: str) -> date:
    return datetime.strptime(value[:8], "%Y%m%d").date()  # noqa: DTZ007 - a DA has no zone


TEXTS: Final = {
    "CT": "ConvolutionKernel RescaleType KVP",
    "MR": "ScanningSequence SequenceVariant RepetitionTime EchoTime ImagedNucleus",
    "PT": "CorrectedImage SeriesType Units DecayCorrection FrameReferenceTime",
}
COMMON: Final = """
    Manufacturer ManufacturerModelName Modality ImageType PatientPosition PatientSex PatientAge
    PatientWeight StudyTime SliceThickness ImagePositionPatient ImageOrientationPatient PixelSpacing
    PhotometricInterpretation Rows Columns SeriesNumber InstanceNumber
"""


def test_text_kept(modality: str, send: Send, tmp_path: Path) -> None:
    (file,) = files = slices(modality, count=1)
    before = source(file, tmp_path / "source.dcm")

    (after,) = send(files)

    for keyword in (COMMON + TEXTS[modality]).split():
        assert after[keyword].value == before[keyword].value, keyword


def test_text_removed(modality: str, send: Send, tmp_path: Path) -> None:
    gone = "StudyDescription InstitutionName StationName DeviceSerialNumber OtherPatientIDs"
    gone += " PatientAddress PatientTelephoneNumbers PatientComments DateOfLastCalibration"
    (file,) = files = slices(modality, count=1)
    before = source(file, tmp_path / "source.dcm")
    assert not [keyword for keyword in gone.split() if not before.get(keyword)]

    (after,) = send(files)

    assert [keyword for keyword in gone.split() if keyword in after] == []
    empty = ["PatientBirthDate", "AccessionNumber", "ReferringPhysicianName"]
    assert [after[keyword].value for keyword in empty] == ["", "", ""]
    path = next(tmp_path.rglob("sent *"))
    assert Judge(PERSON).leaks(path.read_bytes(), file.pixels) == set()


def test_date_shifted(modality: str, send: Send) -> None:
    days = "StudyDate SeriesDate AcquisitionDate ContentDate AcquisitionDateTime".split()

    first = send(slices(modality, 0, day=STUDIES[0]))
    second = send(slices(modality, 1, day=STUDIES[1]))

    (moved,) = {day(after[keyword].value) for after in first for keyword in days}
    weeks = (STUDIES[0] - moved) / timedelta(weeks=1)
    assert weeks in WEEKS
    (later,) = {day(after[keyword].value) for after in second for keyword in days}
    assert later - moved == STUDIES[1] - STUDIES[0]
    assert first[0].LongitudinalTemporalInformationModified == "MODIFIED"
    if modality == "PT":  # decay: from injection to acquisition
        (tracer,) = first[0].RadiopharmaceuticalInformationSequence
        assert day(tracer.RadiopharmaceuticalStartDateTime) == moved
        assert tracer.RadiopharmaceuticalStartDateTime[8:14] == "072500"


def test_uid_changed(modality: str, send: Send, tmp_path: Path) -> None:
    (file,) = files = slices(modality, count=1)
    before = source(file, tmp_path / "source.dcm")

    (after,) = send(files)

    for keyword in "SOPInstanceUID StudyInstanceUID SeriesInstanceUID FrameOfReferenceUID".split():
        assert after[keyword].value != before[keyword].value
        assert after[keyword].value.startswith("2.25.")
    assert after.SOPClassUID == before.SOPClassUID
    assert after.file_meta.TransferSyntaxUID == before.file_meta.TransferSyntaxUID
    assert after.file_meta.MediaStorageSOPInstanceUID == after.SOPInstanceUID


def test_uid_consistent(modality: str, send: Send) -> None:
    files = slices(modality, count=3)
    shown = PERSON.uid("0.1.2")  # the third slice is referred to by the first
    reference = files[0].tree[0x00081140].value
    assert not isinstance(reference, bytes)
    reference[0][0x00081155] = text("UI", shown)

    first, second, third = send(files)

    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        assert first[keyword].value == second[keyword].value == third[keyword].value
    assert len({one.SOPInstanceUID for one in (first, second, third)}) == 3
    assert first.ReferencedImageSequence[0].ReferencedSOPInstanceUID == third.SOPInstanceUID
    (again,) = send(slices(modality, count=1))
    assert again.SOPInstanceUID == first.SOPInstanceUID


def test_patid_consistent(modality: str, send: Send) -> None:
    (first,) = send(slices(modality, 0, count=1))
    (second,) = send(slices("CT", 1, day=STUDIES[1], count=1))
    stranger = slices(modality, 2, count=1)
    stranger[0].tree[0x00100020] = text("LO", "731904463")
    (other,) = send(stranger)
    (elsewhere,) = send(slices(modality, 0, count=1), key=engine.OTHER_KEY)

    assert first.PatientID == second.PatientID
    assert str(first.PatientName) == f"DEID^{first.PatientID.removeprefix('DEID-')}"
    assert len({first.PatientID, other.PatientID, elsewhere.PatientID}) == 3


def test_pixels_kept(modality: str, tmp_path: Path) -> None:
    for number, file in enumerate(slices(modality, count=3)):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(file.written())
        assert pixels_of(engine.one(path)) == file.pixels


@pytest.mark.parametrize(
    ("tag", "value"),
    [
        (0x00280301, "YES"),
        (0x00080008, "DERIVED\\SECONDARY\\SCREEN SAVE"),
        (0x00080016, "1.2.840.10008.5.1.4.1.1.7"),
    ],
    ids=["said so", "a picture of a screen", "secondary capture"],
)
def test_pixels_hidden(tag: int, value: str, modality: str, tmp_path: Path) -> None:
    """Pixels that may hold a name are not painted over: the series is refused."""
    for number, file in enumerate(slices(modality)):
        if number:
            file.tree[tag] = text("UI" if tag == 0x00080016 else "CS", value)
        (tmp_path / f"{number}.dcm").write_bytes(file.written())

    with pytest.raises(engine.REFUSED):
        engine.series(sorted(tmp_path.glob("*.dcm")))


def test_tag_retained(modality: str, send: Send) -> None:
    geometry = """
        SOPClassUID SOPInstanceUID StudyDate StudyTime AccessionNumber Modality Manufacturer
        ReferringPhysicianName PatientName PatientID PatientBirthDate PatientSex StudyInstanceUID
        SeriesInstanceUID StudyID SeriesNumber InstanceNumber ImagePositionPatient
        ImageOrientationPatient FrameOfReferenceUID PixelSpacing SliceThickness Rows Columns
        BitsAllocated BitsStored HighBit PixelRepresentation SamplesPerPixel RescaleIntercept
        RescaleSlope PixelData PatientIdentityRemoved DeidentificationMethod
        DeidentificationMethodCodeSequence
    """.split()

    for after in send(slices(modality)):
        assert [keyword for keyword in geometry if keyword not in after] == []


def test_text_notnull(modality: str, send: Send) -> None:
    """Elements that the server needs have a value, even if the source has none."""
    files = slices(modality)
    for file in files:
        del file.tree[0x00200010]
        file.tree[0x00100010] = text("PN", "")

    for after in send(files):
        for keyword in "PatientID PatientName StudyID StudyDate StudyTime PatientSex".split():
            assert after[keyword].value, keyword
        assert {one.CodeMeaning for one in after.DeidentificationMethodCodeSequence} == {
            "Basic Application Confidentiality Profile",
            "Retain Patient Characteristics Option",
            "Retain Longitudinal Temporal Information Modified Dates Option",
        }
