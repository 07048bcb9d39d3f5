"""Names and colours of structures, as the file has them."""

from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from drawcli.core.dicom.header import read_header
from drawcli.core.rtstruct.displayed import Displayed, read_display
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
