"""Names and colours of structures, as the file has them."""

from pathlib import Path

import pytest
from pydicom import DataElement, Dataset, dcmread

from drawcli.core.dicom.header import read_header
from drawcli.core.rtstruct.contours import names_of
from drawcli.core.rtstruct.displayed import Displayed, default_color, read_display
from drawcli.errors import BadStructureSet
from tests.structure_sets import structure_set


def changed(pelvis: list[Path], **elements: object) -> bytes:
    def change(dataset: Dataset) -> None:
        for keyword, value in elements.items():
            setattr(dataset.ROIContourSequence[0], keyword, value)
        dataset.SpecificCharacterSet = "ISO_IR 192"
        dataset.StructureSetROISequence[1].ROIName = "Blåse"

    return structure_set([dcmread(one) for one in pelvis], ["Rectum", "Bladder"], change=change)


def test_names_and_colours_are_those_that_were_sent(pelvis: list[Path]) -> None:
    seen = read_display(read_header(changed(pelvis), complete=True))

    assert seen == {1: Displayed("Rectum", (255, 0, 1)), 2: Displayed("Blåse", (255, 0, 2))}


def test_a_name_is_one_line(pelvis: list[Path]) -> None:
    """Pictures cannot be lettered with more than one."""

    def rename(dataset: Dataset) -> None:
        dataset.SpecificCharacterSet = "ISO_IR 192"
        dataset.StructureSetROISequence[0].add_new(0x30060026, "UT", "Rec\ntum\x07")

    data = structure_set([dcmread(one) for one in pelvis], ["Rectum"], change=rename)

    assert read_display(read_header(data, complete=True))[1].name == "Rec tum "


def test_a_structure_without_a_colour_gets_one(pelvis: list[Path]) -> None:
    seen = read_display(read_header(changed(pelvis, ROIDisplayColor=None), complete=True))

    assert seen[1].color not in ((0, 0, 0), seen[2].color)


def test_a_broken_list_is_told_by_name(pelvis: list[Path]) -> None:
    data = changed(pelvis).replace(
        b"\x06\x30\x22\x00\x02\0\0\x001 ", b"\x06\x30\x22\x00\x02\0\0\0x "
    )

    with pytest.raises(BadStructureSet, match="cannot be read"):
        read_display(read_header(data, complete=True))


def test_missing_elements_have_defaults(pelvis: list[Path]) -> None:
    def spoil(dataset: Dataset) -> None:
        dataset.PatientName = "A"
        del dataset.SpecificCharacterSet
        rois, contours = dataset.StructureSetROISequence, dataset.ROIContourSequence
        del rois[0].ROIName, contours[0].ROIDisplayColor
        del rois[1].ROINumber, contours[1].ReferencedROINumber
        del rois[2].ROIName
        rois[2].add_new(0x30060026, "UT", " \0Bladder \0")

    data = structure_set([dcmread(one) for one in pelvis], ["A", "B", "C"], change=spoil)

    assert read_display(read_header(data, complete=True)) == {
        1: Displayed("", default_color(0)),
        -1: Displayed("B", (255, 0, 2)),
        3: Displayed("Bladder", (255, 0, 3)),
    }


@pytest.mark.parametrize(
    ("received", "shown"),
    [
        ("1\\2\\3", (1, 2, 3)),
        (" 1\\ 2 \\3", (1, 2, 3)),
        ("300\\255\\256", (255, 255, 255)),
        ("1\\2", default_color(0)),
        ("1\\2\\3\\4", default_color(0)),
        ("1\\2\\x", default_color(0)),
        ("1\\2\\3\\x", default_color(0)),
    ],
)
def test_a_colour_is_three_numbers(
    pelvis: list[Path], received: str, shown: tuple[int, int, int]
) -> None:
    def paint(dataset: Dataset) -> None:
        dataset.PatientName = "A"
        del dataset.ROIContourSequence[0].ROIDisplayColor
        dataset.ROIContourSequence[0].add_new(0x3006002A, "UT", received)

    data = structure_set([dcmread(pelvis[0])], ["A"], change=paint)

    assert read_display(read_header(data, complete=True))[1].color == shown


def test_default_colours_are_taken_in_turn() -> None:
    assert len({default_color(rank) for rank in range(8)}) == 8
    assert default_color(8) == default_color(0)


def test_a_name_without_a_character_set_is_read_as_latin_1(pelvis: list[Path]) -> None:
    def rename(dataset: Dataset) -> None:
        dataset.PatientName = "A"
        del dataset.SpecificCharacterSet
        rois = dataset.StructureSetROISequence
        rois[0][0x30060026] = DataElement(0x30060026, "OB", "Blåse ".encode("latin-1"))
        rois[1][0x30060026] = DataElement(0x30060026, "OB", b" Rectum\0")
        del rois[2].ROIName

    data = structure_set([dcmread(pelvis[0])], ["A", "B", "C"], change=rename)
    header = read_header(data, complete=True)

    assert [shown.name for shown in read_display(header).values()] == ["Blåse", "Rectum", ""]
    assert names_of(header) == {1: "Blåse", 2: "Rectum", 3: ""}
