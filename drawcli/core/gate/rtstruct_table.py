"""The elements of a delivered structure set: the RT Structure Set IOD as drawcli writes it.

An allow-list at every depth. All other elements of a server's file are removed and reported. Each
line of the table holds tag, VR, keyword, Type (PS3.5 7.4) and the origin of the value:

images     of the images sent: patient and study byte for byte, and UIDs of the job
drawcli    written by drawcli: fixed values, new UIDs, labels of the settings
template   from templates.yaml; otherwise from the server
server     from the server, if it is a valid value of the VR; otherwise empty or removed

`LEFT_OUT` are elements that servers write and that are removed without a report: they repeat other
elements, or cannot be checked.

References
----------
PS3.3 A.19.3 (RT Structure Set IOD Modules) and the modules named in the table.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import cache
from types import MappingProxyType
from typing import Final, NamedTuple

from drawcli.core.gate.strict_reader import DataSet, Elements, Span, name_of

TABLE: Final = """
# PS3.3 C.12.1 SOP Common
00080005 CS SpecificCharacterSet 1C images
00080012 DA InstanceCreationDate 3 server
00080013 TM InstanceCreationTime 3 server
00080016 UI SOPClassUID 1 drawcli
00080018 UI SOPInstanceUID 1 drawcli
# PS3.3 C.7.1.1 Patient
00100010 PN PatientName 2 images
00100020 LO PatientID 2 images
00100021 LO IssuerOfPatientID 3 images
00100030 DA PatientBirthDate 2 images
00100032 TM PatientBirthTime 3 images
00100040 CS PatientSex 2 images
00120062 CS PatientIdentityRemoved 3 images
00120063 LO DeidentificationMethod 1C images
# PS3.3 C.7.2.1 General Study
00080020 DA StudyDate 2 images
00080030 TM StudyTime 2 images
00080050 SH AccessionNumber 2 images
00080090 PN ReferringPhysicianName 2 images
00081030 LO StudyDescription 3 images
0020000D UI StudyInstanceUID 1 images
00200010 SH StudyID 2 images
# PS3.3 C.8.8.1 RT Series
00080021 DA SeriesDate 3 server
00080031 TM SeriesTime 3 server
00080060 CS Modality 1 drawcli
0008103E LO SeriesDescription 3 drawcli
00081070 PN OperatorsName 2 drawcli
0020000E UI SeriesInstanceUID 1 drawcli
00200011 IS SeriesNumber 2 server
# PS3.3 C.7.5.1 General Equipment
00080070 LO Manufacturer 2 server
00081090 LO ManufacturerModelName 3 server
00181020 LO SoftwareVersions 3 server
# PS3.3 C.7.4.1 Frame of Reference
00200052 UI FrameOfReferenceUID 1 images
00201040 LO PositionReferenceIndicator 2 drawcli
# PS3.3 C.8.8.5 Structure Set
30060002 SH StructureSetLabel 1 drawcli
30060004 LO StructureSetName 3 drawcli
30060006 ST StructureSetDescription 3 drawcli
30060008 DA StructureSetDate 2 server
30060009 TM StructureSetTime 2 server
30060010 SQ ReferencedFrameOfReferenceSequence 3 images
  00200052 UI FrameOfReferenceUID 1 images
  30060012 SQ RTReferencedStudySequence 3 images
    00081150 UI ReferencedSOPClassUID 1 drawcli
    00081155 UI ReferencedSOPInstanceUID 1 images
    30060014 SQ RTReferencedSeriesSequence 1 images
      0020000E UI SeriesInstanceUID 1 images
      30060016 SQ ContourImageSequence 1 images
        00081150 UI ReferencedSOPClassUID 1 images
        00081155 UI ReferencedSOPInstanceUID 1 images
30060020 SQ StructureSetROISequence 1 server
  30060022 IS ROINumber 1 server
  30060024 UI ReferencedFrameOfReferenceUID 1 images
  30060026 LO ROIName 2 template
  30060036 CS ROIGenerationAlgorithm 2 drawcli
  30060038 LO ROIGenerationDescription 3 template
# PS3.3 C.8.8.6 ROI Contour
30060039 SQ ROIContourSequence 1 server
  3006002A IS ROIDisplayColor 3 template
  30060040 SQ ContourSequence 3 server
    30060016 SQ ContourImageSequence 3 images
      00081150 UI ReferencedSOPClassUID 1 images
      00081155 UI ReferencedSOPInstanceUID 1 images
      00081160 IS ReferencedFrameNumber 1C server
    30060042 CS ContourGeometricType 1 server
    30060046 IS NumberOfContourPoints 1 server
    30060050 DS ContourData 1 server
  30060084 IS ReferencedROINumber 1 server
# PS3.3 C.8.8.8 RT ROI Observations
30060080 SQ RTROIObservationsSequence 1 drawcli
  30060082 IS ObservationNumber 1 drawcli
  30060084 IS ReferencedROINumber 1 drawcli
  300600A4 CS RTROIInterpretedType 2 template
  300600A6 PN ROIInterpreter 2 drawcli
# PS3.3 C.8.8.16 Approval
300E0002 CS ApprovalStatus 1 drawcli
# PS3.3 C.12.1.1.5 Contributing Equipment
0018A001 SQ ContributingEquipmentSequence 3 drawcli
  00080070 LO Manufacturer 1 drawcli
  00181020 LO SoftwareVersions 3 drawcli
  0018A003 ST ContributionDescription 3 drawcli
  0040A170 SQ PurposeOfReferenceCodeSequence 1 drawcli
    00080100 SH CodeValue 1 drawcli
    00080102 SH CodingSchemeDesignator 1 drawcli
    00080104 LO CodeMeaning 1 drawcli
"""
FIXED: Final = {  # elements with the same value in every delivered structure set
    "SOPClassUID": "1.2.840.10008.5.1.4.1.1.481.3",  # RT Structure Set Storage
    "Modality": "RTSTRUCT",
    "ROIGenerationAlgorithm": "AUTOMATIC",
    "ApprovalStatus": "UNAPPROVED",
}
# Elements that servers are known to add. Removed without a report.
LEFT_OUT: Final = frozenset(
    """
    ContourNumber DeidentificationMethodCodeSequence InstitutionName
    LongitudinalTemporalInformationModified PatientAge PatientSize PatientWeight ROIDescription
    ROIObservationDescription ReferencedFrameNumber
    """.split()
)

_DECIMAL: Final = r" *+[+-]?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][+-]?\d++)? *+"
_INTEGER: Final = r" *+[+-]?\d{1,12}+ *+"
_BRIGHTEST: Final = 255
_LONGEST_SEEN, _MOST_SEEN = 1_000, 20_000  # bytes, and number, of remembered values
_CONTOUR_DATA: Final = 0x30060050
_BEYOND: Final = 1 << 31  # of an IS (PS3.5 table 6.2-1)
_FORMS: Final = {
    vr: re.compile(pattern.encode("ascii"))
    for vr, pattern in {
        "CS": r"[A-Z0-9_ ]{0,16}",
        "DA": r"(\d{8})?",
        "DS": rf"(?:{_DECIMAL}(?:\\{_DECIMAL})*+)?",
        "IS": rf"(?:{_INTEGER}(?:\\{_INTEGER})*+)?",
        "LO": r"[^\\\0-\x1a\x1c-\x1f]*",
        "PN": r"",
        "SH": r"[^\\\0-\x1a\x1c-\x1f]*",
        "ST": r"[^\0-\x1a\x1c-\x1f]*",
        "TM": r"(([01]\d|2[0-3])([0-5]\d){0,2}(\.\d{1,6})?)? *",
        "UI": r"([0-2](\.(0|[1-9]\d*))+)?\0?",
    }.items()
}
_LONGEST: Final = {"DS": 16, "IS": 12, "UI": 64}  # bytes of one value


class TableRow(NamedTuple):
    """One line of the table."""

    tag: int
    vr: str
    keyword: str
    type: str
    origin: str
    source: str  # part and section of the standard
    items: "Table"


Table = Mapping[int, TableRow]


def form_fits(vr: str, raw: bytes) -> bool:
    r"""Return whether bytes are a value of a VR (PS3.5 table 6.2-1).

    >>> form_fits("DA", b"20260314"), form_fits("IS", b"255.0"), form_fits("UI", b"1.02\0")
    (True, False, False)
    >>> form_fits("DA", b"20260230"), form_fits("IS", b"2147483648"), form_fits("LO", b"\xe4")
    (False, False, True)
    """
    most = _LONGEST.get(vr)
    short = most is None or max(map(len, raw.rstrip(b" \0").split(b"\\"))) <= most
    fits = short and _FORMS[vr].fullmatch(raw) is not None
    if fits and vr == "IS":
        return all(abs(int(part)) < _BEYOND for part in raw.split(b"\\") if part.strip())
    return fits and (vr != "DA" or not raw or _is_day(raw.decode("ascii")))


def _is_day(text: str) -> bool:
    try:
        return bool(datetime.strptime(text, "%Y%m%d"))  # noqa: DTZ007 - a day, anywhere
    except ValueError:
        return False


def is_color(raw: bytes) -> bool:
    r"""Return whether bytes are red, green and blue, 0 to 255 each (PS3.3 C.8.8.6).

    >>> is_color(b"255\\128\\0 "), is_color(b"255.0\\128\\0"), is_color(b"300\\-5\\0")
    (True, False, False)
    """
    parts = raw.rstrip(b"\0").split(b"\\")
    return len(parts) == 3 and all(  # noqa: PLR2004 - red, green, blue
        form_fits("IS", part) and part.strip() and 0 <= int(part) <= _BRIGHTEST for part in parts
    )


@cache
def structure_set_table() -> Table:
    """Return the table by tag; sequences hold the tables of their items."""
    return _parse(TABLE.strip().splitlines(), "")


def _parse(lines: list[str], source: str) -> Table:
    """Return the rows of some lines; indented lines belong to the line above them."""
    rows: dict[int, TableRow] = {}
    while lines:
        line = lines.pop(0)
        if line.startswith("#"):
            source = line.removeprefix("# ")
            continue
        inside = []
        while lines and lines[0].startswith("  "):
            inside.append(lines.pop(0)[2:])
        tag, vr, keyword, type_, origin = line.split()
        items = _parse(inside, source)
        rows[int(tag, 16)] = TableRow(int(tag, 16), vr, keyword, type_, origin, source, items)
    return MappingProxyType(rows)


def differences(file: DataSet, *, decimals_read: bool = False) -> Iterator[str]:
    """Yield the differences of a finished file from the table: one sentence for each fault.

    If `decimals_read`, every ContourData is known to be a valid DS (`Decimals.plain`).

    Raises
    ------
    Malformed
        If the file is not an unambiguous data set.
    """
    if not file.has_preamble or file.meta.keys() != _FILE_META:
        yield "the file meta information is not complete"
    for meta, tag in ((0x00020002, 0x00080016), (0x00020003, 0x00080018)):
        if file.text(file.meta, meta) != file.text(file.elements, tag):
            yield f"{name_of(meta)} differs from {name_of(tag)}"
    check = _TableCheck(file, decimals_read=decimals_read)
    yield from dict.fromkeys(check.faults(file.elements, structure_set_table()))


_FILE_META: Final = {0x00020000 | number for number in (0, 1, 2, 3, 0x10, 0x12, 0x13)}


class _TableCheck:
    """Compares the elements of a file with the table; equal values of a row are compared once."""

    def __init__(self, file: DataSet, *, decimals_read: bool) -> None:
        self._file = file
        self._valid = {_CONTOUR_DATA} if decimals_read else set[int]()  # not compared
        self._seen = set[tuple[int, tuple[bytes, bool] | None]]()

    def faults(self, elements: Elements, table: Table) -> Iterator[str]:
        """Yield the faults of an item, except for those of values that occurred before."""
        for tag in () if elements.keys() <= table.keys() else elements.keys() - table.keys():
            yield f"{name_of(tag)} is not part of a delivered structure set"
        for tag, row in table.items():
            span = elements.get(tag)
            if (span and tag in self._valid) or not self._is_new(row, span):
                continue
            if span and row.vr == "SQ":
                count = 0
                for count, item in enumerate(self._file.items(elements, tag), start=1):  # noqa: B007
                    yield from self.faults(item, row.items)
                if row.type == "1" and not count:
                    yield f"{name_of(tag)} has no item"
            elif fault := _fault(row, self._file.raw(elements, tag)):
                yield f"{name_of(tag)} {fault}"

    def _is_new(self, row: TableRow, span: Span | None) -> bool:
        """Return whether a row has not had this value before: most values of a file occur often."""
        if span and span.end - span.start > _LONGEST_SEEN:
            return True
        key = id(row), span and (self._file.data[span.start : span.end], span.explicit)
        if key in self._seen:
            return False
        if len(self._seen) < _MOST_SEEN:
            self._seen.add(key)
        return True


def _fault(entry: TableRow, raw: bytes | None) -> str:
    """Return the fault of a value; "" if it has none."""
    if raw is None:
        return "is missing" if entry.type in ("1", "2") else ""
    if entry.type == "1" and not raw.strip(b" \0"):
        return "has no value"
    fixed = FIXED.get(entry.keyword)
    if fixed is not None and raw.strip(b" \0").decode("latin-1") != fixed:
        return f"is not {fixed}"
    of_images = entry.origin == "images" and entry.vr != "UI"  # copied unchanged, valid or not
    return "" if of_images or form_fits(entry.vr, raw) else f"is not a valid {entry.vr}"
