"""A finished structure set has exactly the elements of the table, in the form of their VR."""

import struct
from collections.abc import Iterator

import pytest
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID, ImplicitVRLittleEndian

from drawcli.core.gate.acceptance import read_decimals, read_many_decimals
from drawcli.core.gate.rtstruct_table import (
    FIXED,
    Table,
    TableRow,
    differences,
    form_fits,
    is_color,
    structure_set_table,
)
from drawcli.core.gate.strict_reader import DataSet, name_of

VALID = {
    "CS": b"A ",
    "DA": b"20260314",
    "DS": b"1.5 ",
    "IS": b"1 ",
    "LO": b"a ",
    "PN": b"",
    "SH": b"a ",
    "ST": b"a ",
    "TM": b"12",
    "UI": b"1.2\0",
}
INVALID = {
    "CS": b"a ",
    "DA": b"20260230",
    "DS": b"a ",
    "IS": b"1.",
    "LO": b"\\a",
    "PN": b"a ",
    "SH": b"\\a",
    "ST": b"a\0a ",
    "TM": b"24",
    "UI": b"1.",
}
Place = tuple[int, ...]  # tags from the outermost sequence inwards


def element(tag: int, value: bytes) -> bytes:
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value


def valid(row: TableRow) -> bytes:
    fixed = FIXED.get(row.keyword, "").encode()
    pad = b"\0" if row.vr == "UI" else b" "
    return fixed + pad * (len(fixed) % 2) if fixed else VALID[row.vr]


def elements(table: Table, above: Place, changed: dict[Place, bytes | None]) -> bytes:
    """Return all elements of a table; `changed` has other values, None for no element."""
    raw = b""
    for tag, row in sorted(table.items()):
        place = (*above, tag)
        if row.vr == "SQ":
            inside = elements(row.items, place, changed)
            value = changed.get(place, element(0xFFFEE000, inside))
        else:
            value = changed.get(place, valid(row))
        raw += b"" if value is None else element(tag, value)
    return raw


def file(changed: dict[Place, bytes | None] | None = None, *, preamble: bool = True) -> DataSet:
    """Return a file of all elements of the table."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(FIXED["SOPClassUID"])
    meta.MediaStorageSOPInstanceUID = UID("1.2")
    meta.TransferSyntaxUID = ImplicitVRLittleEndian
    meta.ImplementationVersionName = "A"
    out = DicomBytesIO()
    write_file_meta_info(out, meta)
    head = bytes(128) + b"DICM" if preamble else b""
    return DataSet(head + out.getvalue() + elements(structure_set_table(), (), changed or {}))


def faults(changed: dict[Place, bytes | None], *, decimals_read: bool = False) -> list[str]:
    return list(differences(file(changed), decimals_read=decimals_read))


def rows(table: Table, above: Place = ()) -> Iterator[tuple[Place, TableRow]]:
    for tag, row in table.items():
        yield (*above, tag), row
        yield from rows(row.items, (*above, tag))


ROWS = dict(rows(structure_set_table()))
SOP = {0x00080016, 0x00080018}  # repeated in the file meta


def test_a_file_with_all_elements_of_the_table_has_no_difference() -> None:
    assert faults({}) == []
    assert len(ROWS) == 78


def test_an_element_is_missing_where_its_type_asks_for_it() -> None:
    for place, row in ROWS.items():
        found = faults({place: None})

        missing = [f"{name_of(row.tag)} is missing"] if row.type in {"1", "2"} else []
        assert [one for one in found if "differs" not in one] == missing, row
        assert any("differs" in one for one in found) is (place[0] in SOP)


def test_an_element_without_a_value_is_a_fault_in_type_1() -> None:
    for place, row in ROWS.items():
        for empty in (b"", b" \0") if row.vr != "SQ" else (b"",):
            found = [one for one in faults({place: empty}) if "differs" not in one]

            what = "has no item" if row.vr == "SQ" else "has no value"
            if row.type == "1":
                assert found == [f"{name_of(row.tag)} {what}"]
            elif not empty and row.keyword not in FIXED:
                assert found == []


def test_a_value_must_be_valid_except_where_it_is_copied_from_the_images() -> None:
    for place, row in ROWS.items():
        if row.vr == "SQ":
            continue
        found = [one for one in faults({place: INVALID[row.vr]}) if "differs" not in one]

        fixed = FIXED.get(row.keyword)
        fault = f"is not {fixed}" if fixed else f"is not a valid {row.vr}"
        copied = row.origin == "images" and row.vr != "UI"
        assert found == ([] if copied else [f"{name_of(row.tag)} {fault}"]), row


def test_an_element_beside_the_table_is_a_fault_at_every_depth() -> None:
    place = (0x30060039, 0x30060040)
    inside = elements(ROWS[place].items, place, {}) + element(0x300600B0, b"")

    found = faults({place: element(0xFFFEE000, inside) * 2})

    assert found == [f"{name_of(0x300600B0)} is not part of a delivered structure set"]


def test_a_fault_is_seen_behind_what_was_compared_before_and_in_a_long_value() -> None:
    """Equal short values are compared once: not so the ones behind them, and not long ones."""
    rois = (0x30060020,)
    fit, unfit = (
        elements(ROWS[rois].items, rois, {(*rois, 0x30060038): text})
        for text in (b"a ", b"a" * 999 + b"\0")
    )

    found = faults({rois: element(0xFFFEE000, fit) + element(0xFFFEE000, unfit)})
    assert found == ["ROIGenerationDescription (3006,0038) is not a valid LO"]
    assert faults({(0x30060006,): b"a" * 1001 + b"\0"}) == [
        "StructureSetDescription (3006,0006) is not a valid ST"
    ]


def test_the_letter_x_is_no_padding() -> None:
    assert faults({(0x30060002,): b"X "}) == []
    assert faults({(0x00080060,): b"XRTSTRUCTX"}) == ["Modality (0008,0060) is not RTSTRUCT"]


def test_the_file_meta_is_complete_and_names_the_instance() -> None:
    assert list(differences(file(preamble=False))) == [
        "the file meta information is not complete",
    ]
    incomplete = file()
    del incomplete.meta[0x00020013]
    assert list(differences(incomplete)) == ["the file meta information is not complete"]
    assert faults({(0x00080018,): b"1.3\0"}) == [
        "MediaStorageSOPInstanceUID (0002,0003) differs from SOPInstanceUID (0008,0018)"
    ]
    assert faults({(0x00080016,): b"1.3\0"}) == [
        "MediaStorageSOPClassUID (0002,0002) differs from SOPClassUID (0008,0016)",
        "SOPClassUID (0008,0016) is not 1.2.840.10008.5.1.4.1.1.481.3",
    ]


@pytest.mark.parametrize(
    ("longest", "fits"),
    [(1, True), (15, True), (16, True), (17, False), (18, False), (33, False)],
)
def test_each_coordinate_has_at_most_16_bytes(longest: int, *, fits: bool) -> None:
    data = (0x30060039, 0x30060040, 0x30060050)
    long = b"1" * longest
    for values in ([long], [long, b"1", b"2"], [b"1", long, b"2"], [b"1", b"2", long], [b"1"] * 40):
        raw = b"\\".join(values)
        is_short = fits or long not in values
        raw += b" " * (len(raw) % 2)

        fault = [] if is_short else ["ContourData (3006,0050) is not a valid DS"]
        assert faults({data: raw}) == fault, raw
        assert read_decimals(raw).plain is is_short, raw
        assert next(one.plain for one in read_many_decimals([raw, b"1"])) is is_short, raw


def test_padding_is_no_part_of_a_coordinate() -> None:
    data = (0x30060039, 0x30060040, 0x30060050)

    for raw, fits in ((b"1" * 16 + b"  ", True), (b"  " + b"1" * 16, False)):
        assert faults({data: raw}) == (
            [] if fits else ["ContourData (3006,0050) is not a valid DS"]
        )
        assert read_decimals(raw).plain is fits


def test_coordinates_that_are_known_to_be_valid_are_not_compared_again_and_others_are() -> None:
    data, kind = ((0x30060039, 0x30060040, tag) for tag in (0x30060050, 0x30060042))

    assert faults({data: b"x "}, decimals_read=True) == []
    assert [*differences(file({data: b"x "}))] == ["ContourData (3006,0050) is not a valid DS"]
    assert faults({data: b"x ", kind: b"x "}, decimals_read=True) == [
        "ContourGeometricType (3006,0042) is not a valid CS"
    ]
    assert faults({data: None}, decimals_read=True) == ["ContourData (3006,0050) is missing"]


@pytest.mark.parametrize(
    ("vr", "raw", "fits"),
    [
        *(("DS", raw, True) for raw in (b"", b"1", b"-1.5E+3", b" +.5 ", b"5.\\07", b"1" * 16)),
        *(("DS", raw, False) for raw in (b"1" * 17, b"1e", b"1\\", b"1,5", b"1\\" + b"1" * 17)),
        ("DS", b"1" * 16 + b"  ", True),
        ("DS", b"  " + b"1" * 16, False),
        *(("IS", raw, True) for raw in (b"", b"-2147483647", b" +7 ", b"1\\2147483647")),
        *(("IS", raw, False) for raw in (b"2147483648", b"-2147483648", b"1\\2147483648", b"1.0")),
        *(("UI", raw, True) for raw in (b"", b"1.2.0\0", b"2." + b"1" * 62)),
        *(("UI", raw, False) for raw in (b"2." + b"1" * 63, b"3.1", b"1.02", b"1")),
        *(("DA", raw, True) for raw in (b"", b"20240229")),
        *(("DA", raw, False) for raw in (b"20250229", b"2025021", b"2025.2.1", b"        ")),
        *(("TM", raw, True) for raw in (b"", b"23", b"2359", b"235959.123456", b"1200 ")),
        *(("TM", raw, False) for raw in (b"24", b"2360", b"1", b"12:00")),
        *(("CS", raw, True) for raw in (b"", b"A_1 B", b"A" * 16)),
        *(("CS", raw, False) for raw in (b"A" * 17, b"a")),
        *(("LO", raw, False) for raw in (b"a\\b", b"a\0", b"\n")),
        *(("ST", raw, True) for raw in (b"a\\b", b"\x1b$B")),
        *(("PN", raw, not raw) for raw in (b"", b"A^B")),
    ],
)
def test_the_form_of_a_value_is_that_of_its_vr(vr: str, raw: bytes, *, fits: bool) -> None:
    assert form_fits(vr, raw) is fits


@pytest.mark.parametrize(
    ("raw", "color"),
    [
        *((raw, True) for raw in (b"0\\0\\0", b"255\\255\\255", b" 1 \\2\\3\0", b"0\\1\\0 ")),
        *((raw, False) for raw in (b"256\\0\\0", b"0\\0\\-1", b"0\\0", b"0\\0\\0\\0", b"")),
        *((raw, False) for raw in (b"1\\\\3", b"1\\ \\3", b"1.0\\2\\3", b"red", b"a\\b\\c")),
        (b"1\\2\\3X", False),
    ],
)
def test_a_colour_is_three_integers_from_0_to_255(raw: bytes, *, color: bool) -> None:
    assert bool(is_color(raw)) is color


def test_the_table_is_read_with_its_sections_and_items() -> None:
    table = structure_set_table()

    assert table[0x00080005] == (
        *(0x00080005, "CS", "SpecificCharacterSet", "1C", "images"),
        *("PS3.3 C.12.1 SOP Common", {}),
    )
    contours = table[0x30060039].items[0x30060040]
    assert (contours.source, [*table][-1]) == ("PS3.3 C.8.8.6 ROI Contour", 0x0018A001)
    assert [*contours.items] == [0x30060016, 0x30060042, 0x30060046, 0x30060050]
