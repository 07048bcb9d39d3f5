import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from pydicom import DataElement, Dataset, dcmread

from drawcli.sandbox.phantom import (
    PEOPLE,
    Person,
    identifying_values,
    write_dose_report,
    write_planning_ct,
    write_scout,
    write_visit,
)

PELVIS, HEAD, THORAX = PEOPLE
by_site = pytest.mark.parametrize("person", PEOPLE, ids=lambda person: person.site)

# Every text element of a slice holds an identifying value, or is one of these.
HARMLESS = """
    SpecificCharacterSet ImageType Modality Manufacturer ManufacturerModelName SoftwareVersions
    PatientSex PatientAge PatientPosition PositionReferenceIndicator BodyPartExamined ProtocolName
    ScanOptions RotationDirection FilterType ConvolutionKernel PhotometricInterpretation RescaleType
    TypeOfPatientID CodeValue CodingSchemeDesignator CodeMeaning
"""


@by_site
def test_every_identifying_value_stands_in_a_slice_or_its_name(
    tmp_path: Path, person: Person
) -> None:
    path = write_planning_ct(tmp_path, person, slices=3, size=16)[1]

    encoding = {"ISO_IR 192": "utf-8", "ISO_IR 100": "latin-1"}[person.charset]
    haystack = path.read_bytes() + path.name.encode()
    missing = [
        value for value in identifying_values(person) if value.encode(encoding) not in haystack
    ]
    assert missing == []


@by_site
def test_every_text_that_is_not_harmless_holds_an_identifying_value(
    tmp_path: Path, person: Person
) -> None:
    dataset = dcmread(write_planning_ct(tmp_path, person, slices=3, size=16)[0])
    values = identifying_values(person)

    texts = [
        element
        for element in dataset.iterall()
        if element.VR in {"CS", "LO", "LT", "PN", "SH", "ST", "DA"}
        and element.keyword not in HARMLESS.split()
        and not element.tag.is_private_creator
    ]

    assert len(texts) > 30
    assert [str(each.tag) for each in texts if not _tells(each, values)] == []


@by_site
def test_the_name_hides_in_a_private_element_a_nested_one_and_a_blob(
    tmp_path: Path, person: Person
) -> None:
    dataset = dcmread(write_planning_ct(tmp_path, person, slices=3, size=16)[0])
    scanner = person.scanner

    block = dataset.private_block(scanner.private_group, scanner.private_creator)
    nested = block[0x40].value[0].private_block(scanner.private_group, scanner.private_creator)
    assert block[0x19].value == person.name
    assert nested[0x51].value == person.name
    assert person.name.split("=")[0].encode("latin-1") in block[0x10].value


@by_site
def test_slices_are_one_series_with_even_spacing(tmp_path: Path, person: Person) -> None:
    headers = [dcmread(path) for path in write_planning_ct(tmp_path, person, slices=6, size=16)]

    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID", "PatientID"):
        assert len({header[keyword].value for header in headers}) == 1
    assert len({header.SOPInstanceUID for header in headers}) == 6
    assert [header.InstanceNumber for header in headers] == [1, 2, 3, 4, 5, 6]
    levels = [float(header.ImagePositionPatient[2]) for header in headers]
    assert np.diff(levels) == pytest.approx([50.0] * 5)
    assert headers[0].PixelSpacing == [500 / 16] * 2


def test_the_same_seed_gives_the_same_bytes_and_another_another_series(tmp_path: Path) -> None:
    first = write_planning_ct(tmp_path / "a", PELVIS, slices=3, size=16)
    again = write_planning_ct(tmp_path / "b", PELVIS, slices=3, size=16)
    other = write_planning_ct(tmp_path / "c", PELVIS, slices=3, size=16, seed=1)

    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in again]
    one, two = dcmread(first[0]), dcmread(other[0])
    assert one.StudyInstanceUID == two.StudyInstanceUID
    assert one.SeriesInstanceUID != two.SeriesInstanceUID
    assert one.PixelData != two.PixelData


@by_site
def test_pixels_are_hu_of_a_body_in_air(tmp_path: Path, person: Person) -> None:
    dataset = dcmread(write_planning_ct(tmp_path, person, slices=3, size=128)[1])

    hu = dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)

    assert hu[60:68, 8:14].mean() == pytest.approx(-1000, abs=15)
    assert hu[64, 64] > -100
    assert hu.max() > 250
    assert hu[0, 0] == person.scanner.outside - 1024
    assert hu[60:68, 8:14].std() > 3


def test_the_pelvis_can_be_told_by_its_protocol(tmp_path: Path) -> None:
    header = dcmread(write_planning_ct(tmp_path, PELVIS, slices=3, size=16)[0])

    assert (header.Modality, header.BodyPartExamined) == ("CT", "PELVIS")
    assert "pelvis" in header.ProtocolName


def test_a_visit_brings_what_a_scanner_sends_along(tmp_path: Path) -> None:
    visits = [write_visit(tmp_path / person.site, person, slices=3, size=16) for person in PEOPLE]

    kinds = [[list(dcmread(path).ImageType) for path in visit.others] for visit in visits]
    assert kinds == [
        [],
        [["ORIGINAL", "PRIMARY", "LOCALIZER"]],
        [["DERIVED", "SECONDARY", "DOSE_INFO"]],
    ]
    assert [len(visit.planning) for visit in visits] == [3, 3, 3]


def test_scout_and_dose_report_are_series_of_their_own(tmp_path: Path) -> None:
    paths = [
        *write_planning_ct(tmp_path, HEAD, slices=3, size=16)[:1],
        write_scout(tmp_path, HEAD, size=16),
        write_dose_report(tmp_path, HEAD),
    ]

    headers = [dcmread(path) for path in paths]
    assert len({header.SeriesInstanceUID for header in headers}) == 3
    assert len({header.StudyInstanceUID for header in headers}) == 1
    assert headers[2].BurnedInAnnotation == "YES"


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dicom3tools is not installed")
@by_site
def test_an_independent_validator_finds_no_error(tmp_path: Path, person: Person) -> None:
    paths = [
        *write_planning_ct(tmp_path, person, slices=3, size=32)[:1],
        write_scout(tmp_path, person, size=32),
        write_dose_report(tmp_path, person),
    ]

    for path in paths:
        found = subprocess.run(
            ["dciodvfy", "-new", str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Error" not in found.stderr + found.stdout


def _tells(element: DataElement, values: tuple[str, ...]) -> bool:
    """Tell whether an element holds an identifying value, or nothing at all."""
    text = str(element.value)
    return not text or any(value in text for value in values)


def test_nested_sequences_are_deep_enough_to_hide_in(tmp_path: Path) -> None:
    dataset = dcmread(write_planning_ct(tmp_path, THORAX, slices=3, size=16)[0])

    assert _depth(dataset) >= 2


def _depth(dataset: Dataset) -> int:
    inner = [_depth(item) for element in dataset if element.VR == "SQ" for item in element.value]
    return 1 + max(inner) if inner else 0
