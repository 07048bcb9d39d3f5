"""Structure sets from a server: the readers of the gate and of the writer, and the gate."""

import re
import warnings
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from io import BytesIO
from typing import Any, Final

from pydicom import dcmread
from pydicom.charset import python_encoding

from drawcli.core.dicom.elements import every_element
from drawcli.core.dicom.header import Header, Incomplete, NotDicom, read_header
from drawcli.core.gate.acceptance import FileContour, Finding, Severity, read_many_decimals
from drawcli.core.gate.rtstruct_table import differences
from drawcli.core.gate.strict_reader import DataSet, Elements, Malformed
from drawcli.core.gate.structure_set import read_contours, read_structure_set
from drawcli.core.rtstruct.contours import contours_of, names_of, points_of
from drawcli.core.rtstruct.inspection import (
    StructureCriteria,
    expect_finished,
    expect_received,
    inspect_delivered,
    inspect_finished,
    inspect_received,
)
from drawcli.core.rtstruct.reidentify import OwnUids, reidentify_file
from drawcli.core.series.crosswalk import Crosswalk, SourceFile
from drawcli.errors import BadStructureSet
from tests.fuzz import dicom_tree
from tests.fuzz.image_files import elements_of, with_elements
from tests.fuzz.targets import READ, UNITS, Units, target

WANTED: Final = ("Bladder", "Rectum")
OWN: Final = OwnUids("2.25.901", "2.25.902")
CROSSWALK: Final = Crosswalk(
    series_uid="1.1",
    study_uid="1.2",
    patient_id="PID-0815",
    patient_name="Muster^Maria",
    files=tuple(
        SourceFile(f"/{n}", 1, 1, f"1.5.{n}", positions=((0.0, 0.0, 3.0 * n),)) for n in (1, 2, 3)
    ),
    frame_uid="1.3",
    pseudonym="DEID-AAAA",
    study_id="PACKAGE1",
    sop_class="1.2.840.10008.5.1.4.1.1.2",
    uids={
        "2.25.1": "1.1",
        "2.25.2": "1.2",
        "2.25.3": "1.3",
        **{f"2.25.5{n}": f"1.5.{n}" for n in (1, 2, 3)},
    },
    identity={
        0x00100010: b"Muster^Maria",
        0x00100020: b"PID-0815",
        0x00100030: b"19640229",
        0x00100040: b"F ",
        0x00080020: b"20260314",
        0x00080030: b"083000",
        0x00080050: b"ACC4711 ",
        0x00080090: b"",
        0x00200010: b"S77 ",
    },
    character_set=b"ISO_IR 100",
    orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
    spacing=(1.0, 1.0),
    shape=(64, 64),
)
SENT: Final = expect_received(CROSSWALK, WANTED)
Errors = type[Exception] | tuple[type[Exception], ...]
UNITS["structure_set"] = UNITS["acceptance_gate"] = Units(
    elements_of, with_elements, dicom_tree.altered
)


def attempt(read: Callable[[], Any], errors: Errors) -> Any:
    """Return what is read; None after one of the errors."""
    try:
        return read()
    except errors:
        return None


@target
def structure_set(data: bytes) -> None:
    """What the strict reader accepts, the reader of the writer reads the same way."""
    file = attempt(lambda: DataSet(data), Malformed)
    header = attempt(lambda: read_header(data, complete=True), (NotDicom, Incomplete))
    if header is not None:
        attempt(lambda: list(every_element(header)), (BadStructureSet, NotDicom))
        attempt(lambda: names_of(header), BadStructureSet)
        theirs = attempt(lambda: list(contours_of(header)), BadStructureSet)
        check_points(theirs or [])
    if file is None:
        return
    facts = attempt(lambda: read_structure_set(file), Malformed)
    contours = attempt(lambda: list(read_contours(file)), Malformed)
    attempt(lambda: list(differences(file)), Malformed)
    check_strict(file)
    if facts is None or contours is None or facts.has_pixels or not facts.sop_class:
        return  # of no interest to the writer: the gate refuses it
    assert header is not None
    assert [*header.elements] == [*file.elements]
    assert same(contours, contours_of(header))
    check_points(contours)
    names = {one.number: one.name.lstrip(" \0") for one in facts.rois}
    assert names == names_or(header, facts.rois, names)
    assert sum(one.contours for one in facts.rois) <= len(contours) or len(
        {one.number for one in facts.rois}
    ) < len(facts.rois)
    READ["structure_set"] += 1


def names_or(header: Header, rois: Any, names: dict[int, str]) -> dict[int, str]:
    """Return the names of structures; those of the gate where a number occurs twice."""
    return names if len(names) < len(rois) else names_of(header)  # the writer refuses the former


def same(contours: list[FileContour], others: Any) -> bool:
    """Return whether contours have the same bytes: the readers keep those beyond ASCII apart.

    A null character before a text is a part of it for the gate, which then refuses it.
    """

    def of_gate(one: FileContour) -> tuple[Any, ...]:
        images = [(encoded(uid), frame) for uid, frame in one.images]
        return one.roi, encoded(one.kind), images, one.data

    def encoded(text: str) -> bytes:
        return text.lstrip(" \0").encode("latin-1")

    def of_writer(one: FileContour) -> tuple[Any, ...]:
        images = [(uid.encode("ascii", "surrogateescape"), frame) for uid, frame in one.images]
        return one.roi, one.kind.encode("ascii", "surrogateescape"), images, one.data

    return list(map(of_gate, contours)) == list(map(of_writer, others))


def check_strict(file: DataSet) -> None:
    """Check that the elements of a file fill it, in order and each once."""

    def check(elements: Elements, start: int) -> None:
        for tag, span in elements.items():
            size = span.start - start
            assert size in (8, 12)
            assert file.data[start : start + 4] == (tag >> 16).to_bytes(2, "little") + (
                tag & 0xFFFF
            ).to_bytes(2, "little")
            stated = int.from_bytes(file.data[span.start - 4 : span.start], "little")
            short = file.data[span.start - 2 : span.start]
            lengths = (stated, int.from_bytes(short, "little"))
            assert span.end - span.start in lengths or stated == 0xFFFFFFFF
            assert (span.end - span.start) % 2 == 0
            start = span.end
        assert start == len(file.data)

    first = next(iter(file.elements.values()), None)
    if first is not None:
        tag = next(iter(file.elements))
        head = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little")
        sizes = [n for n in (8, 12) if file.data[first.start - n :].startswith(head)]
        assert sizes
        check(file.elements, first.start - sizes[0])


DECIMAL: Final = re.compile(rb" *[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,6})? *")
CHARACTER_SETS: Final = {*python_encoding, "ISO_IR 203", "ISO 2022 IR 203"}
COUNT: Final = re.compile(r"[+-]?[0-9]{1,12}")
FARTHEST: Final = 10**6  # mm


def decimals_in(raw: bytes) -> list[float] | None:
    """Return the numbers of a DS by a parser of the test; None if one is none, or too large."""
    values = raw.rstrip(b" \0").split(b"\\")
    if not all(map(DECIMAL.fullmatch, values)):
        return None
    numbers = [Decimal(value.decode("ascii").strip(" ")) for value in values]
    return [*map(float, numbers)] if all(abs(one) < FARTHEST for one in numbers) else None


def check_points(contours: list[FileContour]) -> None:
    """Compare the readers of coordinates with the parser of the test."""
    together = read_many_decimals([one.data for one in contours])
    for contour, (values, _) in zip(contours, together, strict=True):
        numbers = decimals_in(contour.data)
        assert contour.numbers() == numbers
        assert (None if values is None else values.tolist()) == numbers
        points = (
            [tuple(numbers[at : at + 3]) for at in range(0, len(numbers or []), 3)]
            if numbers
            else []
        )
        stated = contour.count
        if stated == "" or COUNT.fullmatch(stated):
            fits = len(numbers or ()) == 3 * (int(stated) if stated else len(points))
            assert contour.points() == (points if fits and numbers else None)
        careful = contour.points() or []
        assert careful in ([], points)
        assert [tuple(point) for point in points_of(contour).tolist()] == careful


@cache
def criteria() -> StructureCriteria:
    return StructureCriteria()


def blocks(found: list[Finding]) -> bool:
    return any(one.severity is not Severity.WARN for one in found)


@target
def acceptance_gate(data: bytes) -> None:
    """What passes the gate belongs to the series, and what is made of it, too."""
    found, measured = inspect_received(data, SENT, CROSSWALK, criteria())
    texts = " ".join(one.text for one in found)
    assert "Muster" not in texts
    assert "PID-0815" not in texts
    if blocks(found):
        return
    check_passed(data)
    header = read_header(data, complete=True)
    try:
        finished = reidentify_file(header, CROSSWALK, OWN)
    except BadStructureSet:
        return
    expected = expect_finished(CROSSWALK, frozenset(OWN), [one.name for one in measured])
    plain = {one.name: one.as_plain() for one in measured}
    after = inspect_finished(finished, expected, CROSSWALK, StructureCriteria(measured=plain))
    assert not blocks(after), after
    assert inspect_delivered(finished, expected, CROSSWALK) == []
    check_home(finished)
    READ["acceptance_gate"] += 1


def check_passed(data: bytes) -> None:
    """Check a file that passed as pydicom reads it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = dcmread(BytesIO(data), force=True)
        sets = whole.get("SpecificCharacterSet") or ""
        assert {*([sets] if isinstance(sets, str) else sets)} <= CHARACTER_SETS
        assert whole.PatientID.strip(" ") == "DEID-AAAA"
        assert whole.StudyInstanceUID.strip(" ") == "2.25.2"
        images = {f"2.25.5{n}" for n in (1, 2, 3)}
        numbers = [int(roi.ROINumber) for roi in whole.StructureSetROISequence]
        assert len(numbers) == len(set(numbers))
        assert {str(roi.ROIName).strip() for roi in whole.StructureSetROISequence} >= {*WANTED}
        contoured = [int(roi.ReferencedROINumber) for roi in whole.ROIContourSequence]
        assert len(contoured) == len(set(contoured))
        for roi in whole.ROIContourSequence:
            assert int(roi.ReferencedROINumber) in numbers
            for contour in roi.get("ContourSequence") or ():
                stated = contour.get("NumberOfContourPoints")  # delivered in any case
                assert len(contour.ContourData) == 3 * int(stated) if stated else True
                for image in contour.get("ContourImageSequence") or ():
                    assert image.ReferencedSOPInstanceUID.strip(" ") in images


def check_home(finished: bytes) -> None:
    """Check that no UID is a stand-in, and no value of the patient a pseudonym."""
    for element in dcmread(BytesIO(finished)).iterall():
        assert element.VR != "UI" or not str(element.value).startswith("2.25.5")
        assert element.tag.group != 0x0010 or "DEID" not in str(element.value)
