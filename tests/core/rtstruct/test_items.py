"""The items of a structure set, as pydicom reads them."""

from io import BytesIO

from pydicom import Dataset
from pydicom.filereader import read_dataset

from drawcli.core.rtstruct.items import (
    StructureItem,
    encode_file,
    equipment_item,
    item_of,
    observation_item,
    roi_item,
)
from drawcli.core.rtstruct.presentation import Contribution

STRUCTURE = StructureItem(7, b"Bladder", "DRAW model 720", "1\\2\\3", "ORGAN", iter(()))


def read(item: bytes) -> Dataset:
    """Return the data set of an item, whose length must be that of its content."""
    assert item[:4] == b"\xfe\xff\x00\xe0"
    assert int.from_bytes(item[4:8], "little") == len(item) - 8
    return read_dataset(BytesIO(item[8:]), is_implicit_VR=True, is_little_endian=True)


def plain(dataset: Dataset) -> dict[str, object]:
    """Return the elements by keyword, those of items in lists."""
    return {
        element.keyword: [plain(one) for one in element.value]
        if element.VR == "SQ"
        else str(element.value)
        for element in dataset
    }


def structure(number: int, color: str, *contours: bytes) -> StructureItem:
    return StructureItem(number, b"", "", color, "", iter(contours))


def test_equipment_has_a_coded_purpose_and_only_the_texts_that_there_are() -> None:
    purpose = ("109103", "Modifying Equipment")
    code = {
        "CodeValue": "109103",
        "CodingSchemeDesignator": "DCM",
        "CodeMeaning": "Modifying Equipment",
    }

    whole = read(equipment_item(Contribution(purpose, "drawcli", "1.2", "checked")))
    bare = read(equipment_item(Contribution(purpose, "DRAW", "", "")))

    assert plain(whole) == {
        "Manufacturer": "drawcli",
        "SoftwareVersions": "1.2",
        "ContributionDescription": "checked",
        "PurposeOfReferenceCodeSequence": [code],
    }
    assert plain(bare) == {"Manufacturer": "DRAW", "PurposeOfReferenceCodeSequence": [code]}


def test_a_structure_is_listed_and_observed_under_its_number() -> None:
    assert plain(read(roi_item(STRUCTURE, b"1.3\0"))) == {
        "ROINumber": "7",
        "ReferencedFrameOfReferenceUID": "1.3",
        "ROIName": "Bladder",
        "ROIGenerationAlgorithm": "AUTOMATIC",
        "ROIGenerationDescription": "DRAW model 720",
    }
    assert plain(read(observation_item(STRUCTURE))) == {
        "ObservationNumber": "7",
        "ReferencedROINumber": "7",
        "RTROIInterpretedType": "ORGAN",
        "ROIInterpreter": "",
    }


def test_contours_are_written_between_the_other_elements_without_empty_lists() -> None:
    contour = item_of({0x30060042: b"POINT", 0x30060046: b"1", 0x30060050: b"1\\2\\3"})
    structures = [structure(1, "9\\8\\7", contour, contour), structure(2, ""), structure(3, "0")]

    whole = encode_file(b"META", {0x30060002: b"DRAW", 0x300E0002: b"UNAPPROVED"}, structures)

    assert whole[:4] == b"META"
    dataset = read_dataset(BytesIO(whole[4:]), is_implicit_VR=True, is_little_endian=True)
    read_contour = plain(read(contour))
    assert plain(dataset) == {
        "StructureSetLabel": "DRAW",
        "ROIContourSequence": [
            {
                "ROIDisplayColor": "[9, 8, 7]",
                "ContourSequence": [read_contour, read_contour],
                "ReferencedROINumber": "1",
            },
            {"ReferencedROINumber": "2"},
            {"ROIDisplayColor": "0", "ReferencedROINumber": "3"},
        ],
        "ApprovalStatus": "UNAPPROVED",
    }
