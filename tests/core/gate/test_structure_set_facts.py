"""The facts of a structure set, each exactly: a missed one would be delivered unchecked."""

import io
import re
import struct
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.config import disable_value_validation

from drawcli.core.gate import contour_places, structure_set
from drawcli.core.gate.acceptance import FileContour, Roi, StructureSet
from drawcli.core.gate.contour_places import FoundContours, KnownImages
from drawcli.core.gate.strict_reader import DataSet, Malformed
from drawcli.core.gate.structure_set import read_contours, read_structure_set
from tests.core.files import item

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
UNICODE = {"SpecificCharacterSet": "ISO_IR 192"}
RT = "1.2.840.10008.5.1.4.1.1.481.3"


def image(uid: str, frames: Any = None, sop_class: str = CT) -> Dataset:
    one = item(ReferencedSOPClassUID=sop_class, ReferencedSOPInstanceUID=uid)
    if frames is not None:
        one.ReferencedFrameNumber = frames
    return one


def contour(*images: Dataset, points: str = "1\\2\\3", kind: str = "POINT") -> Dataset:
    one = item(ContourGeometricType=kind, NumberOfContourPoints="1")
    one.add_new(0x30060050, "DS", points.split("\\"))
    if images:
        one.ContourImageSequence = list(images)
    return one


def sample(**values: object) -> Dataset:
    """Return a structure set with two structures; `values` replace or add elements."""
    series = item(SeriesInstanceUID="1.3", ContourImageSequence=[image("1.5"), image("1.6", "2")])
    study = item(ReferencedSOPInstanceUID="1.2", RTReferencedSeriesSequence=[series])
    frame = item(FrameOfReferenceUID="1.4", RTReferencedStudySequence=[study])
    usual: dict[str, object] = {
        "SOPClassUID": RT,
        "SOPInstanceUID": "1.1",
        "StudyInstanceUID": "1.20",
        "SeriesInstanceUID": "1.30",
        "PatientID": "ID",
        "PatientName": "A^B",
        "StudyID": "PACKAGE",
        "FrameOfReferenceUID": "1.40",
        "ReferencedFrameOfReferenceSequence": [frame],
        "StructureSetROISequence": [
            item(ROINumber="7", ROIName="Blase", ReferencedFrameOfReferenceUID="1.41"),
            item(ROINumber="9", ROIName="Rectum"),
        ],
        "ROIContourSequence": [
            item(
                ReferencedROINumber="9",
                ROIDisplayColor=["255", "0", "0"],
                ContourSequence=[
                    contour(image("1.5", sop_class=MR), image("1.7", ["1", "3"])),
                    contour(points="4\\5\\6", kind="CLOSED_PLANAR"),
                ],
            ),
            item(ReferencedROINumber="7"),
        ],
        "RTROIObservationsSequence": [
            item(ReferencedROINumber="7"),
            item(ReferencedROINumber="8"),
        ],
    }
    return item(**usual | values)


def opened(one: Dataset, *, implicit: bool = True) -> DataSet:
    out = io.BytesIO()
    one.save_as(out, implicit_vr=implicit, little_endian=True)
    return DataSet(out.getvalue())


FACTS = StructureSet(
    sop_class=RT,
    sop_uid="1.1",
    series_uid="1.30",
    study_uid="1.20",
    patient_id="ID",
    patient_name="A^B",
    study_id="PACKAGE",
    has_pixels=False,
    rois=(Roi(number=7, name="Blase", contours=0), Roi(number=9, name="Rectum", contours=2)),
    contoured=(9, 7),
    observed=(7, 8),
    studies=frozenset({"1.2"}),
    referenced_series=frozenset({"1.3"}),
    frames=frozenset({"1.4", "1.40", "1.41"}),
    images=frozenset({("1.5", 1), ("1.6", 2)}),
    contour_images=frozenset({("1.5", 1), ("1.7", 1), ("1.7", 3)}),
    image_classes=frozenset({CT, MR}),
)


def difference(one: Dataset) -> dict[str, object]:
    """Return the facts that differ from those of the sample."""
    found = read_structure_set(opened(one))
    names = StructureSet.__dataclass_fields__
    return {
        name: getattr(found, name) for name in names if getattr(found, name) != getattr(FACTS, name)
    }


@pytest.mark.parametrize("implicit", [False, True])
def test_the_facts_of_a_structure_set_are_all_read(*, implicit: bool) -> None:
    assert read_structure_set(opened(sample(), implicit=implicit)) == FACTS


FIRST = "StructureSetROISequence"
CONTOURS = "ROIContourSequence"
OFFSET = "ContourOffsetVector"


@pytest.mark.parametrize(
    ("sequence", "values", "facts"),
    [
        ("", {"PixelData": b"\0\0"}, {"has_pixels": True, "unlisted": {"PixelData"}}),
        ("", {"FrameOfReferenceUID": ""}, {"frames": {"1.4", "1.41"}}),
        ("", {"ClinicalTrialSubjectID": "4"}, {"unlisted": {"ClinicalTrialSubjectID"}}),
        ("", {"PatientAge": "061Y"}, {}),  # servers are known to add it
        ("", {"OtherPatientIDs": "4"}, {"unlisted": {"OtherPatientIDs"}}),
        (FIRST, {"OtherPatientIDs": "4"}, {"unlisted": {"OtherPatientIDs"}, "persons": {"4"}}),
        (CONTOURS, {"PatientID": "4"}, {"unlisted": {"PatientID"}, "persons": {"4"}}),
        (FIRST, {"PatientID": ""}, {"unlisted": {"PatientID"}}),
        (FIRST, {"AccessionNumber": "4"}, {"unlisted": {"AccessionNumber"}}),
        (FIRST, {"ContourNumber": "4"}, {}),
        ("", {"RegistrationSequence": []}, {"moving": {"RegistrationSequence"}}),
        (FIRST, {"MatrixSequence": []}, {"moving": {"MatrixSequence"}}),
        (FIRST, {OFFSET: ["0", "-0.0", "+0"]}, {"unlisted": {OFFSET}}),
        (FIRST, {OFFSET: ["0", "0", "0.5"]}, {"moving": {OFFSET}}),
        (FIRST, {OFFSET: ["10", "0", "0"]}, {"moving": {OFFSET}}),
        (CONTOURS, {"ROIDisplayColor": ["256", "0", "0"]}, {"invalid_colors": {9}}),
        ("", {"StudyDescription": "x" * 64}, {}),
        ("", {"StudyDescription": "x" * 65}, {"too_long": {"StudyDescription"}}),
        ("", {"StudyID": "x" * 17}, {"study_id": "x" * 17, "too_long": {"StudyID"}}),
        ("", {"StudyDescription": ["x" * 40, "x" * 40]}, {}),
        ("", {"StudyDescription": ["x", "x" * 65]}, {"too_long": {"StudyDescription"}}),
        ("", {"StudyDescription": "é" * 64, **UNICODE}, {}),
        ("", {"StudyDescription": "é" * 65, **UNICODE}, {"too_long": {"StudyDescription"}}),
        (FIRST, {"ROIGenerationDescription": "x" * 65}, {"too_long": {"ROIGenerationDescription"}}),
        (
            "",
            {"Manufacturer": "x" * 65, "StructureSetDescription": "x" * 1025},
            {"too_long": {"Manufacturer", "StructureSetDescription"}},
        ),
    ],
)
def test_each_further_element_changes_its_own_fact(
    sequence: str, values: dict[str, object], facts: dict[str, object]
) -> None:
    with disable_value_validation():
        one = sample()
        place = one[sequence].value[0] if sequence else one
        for keyword, value in values.items():
            setattr(place, keyword, value)
        if "PixelData" in values:
            one["PixelData"].VR = "OB"

        assert difference(one) == facts


def test_an_offset_that_is_no_number_moves_the_contours() -> None:
    one = sample()
    one[FIRST].value[0].add_new(0x30060045, "LO", ["0", "0", "X"])

    assert difference(one) == {"moving": {OFFSET}}


def test_private_elements_are_reported_without_their_tags() -> None:
    for sequence in ("", FIRST):
        one = sample()
        place = one[sequence].value[0] if sequence else one
        place.add_new(0x00090010, "LO", "ACME")

        assert difference(one) == {"unlisted": {"private element"}}


def test_a_group_length_is_no_element_that_is_removed() -> None:
    data = opened(sample()).data  # pydicom writes no group lengths
    at = data.index(struct.pack("<HH", 0x0010, 0x0010))
    length = struct.pack("<HHII", 0x0009, 0, 4, 0)

    file = DataSet(data[:at] + length + data[at:])

    assert 0x00090000 in file.elements
    assert read_structure_set(file) == FACTS


def test_a_structure_may_lack_its_name() -> None:
    one = sample()
    del one[FIRST].value[1].ROIName

    assert difference(one) == {
        "rois": (FACTS.rois[0], Roi(number=9, name="", contours=2)),
    }


def test_a_text_is_decoded_where_the_file_names_no_character_set_and_only_if_it_may_be_long() -> (
    None
):
    for raw, too_long in ((b"\xe9" * 64, False), (b"\xe9" * 66, True)):
        one = sample()
        one.add_new(0x00081030, "OB", raw)
        assert difference(one) == ({"too_long": {"StudyDescription"}} if too_long else {})
    one = sample(**UNICODE)
    one.add_new(0x00081030, "OB", b"\xe9" * 64)
    assert difference(one) == {}
    one.add_new(0x00081030, "OB", b"\xe9" * 66)
    with pytest.raises(Malformed, match="not in the character set"):
        read_structure_set(opened(one))


@pytest.mark.parametrize("character_set", [None, "", "ISO_IR 6", "ISO 2022 IR 6"])
def test_a_name_beyond_ascii_needs_a_character_set(character_set: str | None) -> None:
    """Read as Latin-1, a name in UTF-8 would be delivered as another name."""
    with disable_value_validation():
        one = sample(SpecificCharacterSet=character_set)
        if character_set is None:
            del one.SpecificCharacterSet
        del one[FIRST].value[0].ROIName
        one[FIRST].value[0].add_new(0x30060026, "OB", "Lèvre".encode())

    with pytest.raises(Malformed, match=r"ROIName \(3006,0026\) needs a character set"):
        read_structure_set(opened(one))
    one.SpecificCharacterSet = "ISO_IR 192"
    assert read_structure_set(opened(one)).rois[0].name == "Lèvre"


@pytest.mark.parametrize("keyword", ["ROINumber", "ReferencedROINumber"])
@pytest.mark.parametrize("value", ["", " ", "1\\2", "a", "2147483648", "1.0", "1X", "1\t"])
def test_a_structure_has_one_whole_number(keyword: str, value: str) -> None:
    sequence = FIRST if keyword == "ROINumber" else "ROIContourSequence"
    with disable_value_validation():
        one = sample()
        first = one[sequence].value[0]
        tag = first.data_element(keyword).tag
        del first[tag]
        first.add_new(tag, "LO", value.split("\\"))
    said = f"{keyword} ({tag.group:04X},{tag.element:04X}) is missing or not one whole number"

    with pytest.raises(Malformed, match=re.escape(f"{said} of 32 bits")):
        read_structure_set(opened(one))


def test_a_number_may_be_padded_and_negative() -> None:
    one = sample()
    for padded in ("-7 ", "-7 \0"):
        one[FIRST].value[0].add_new(0x30060022, "LO", padded)
        assert [roi.number for roi in read_structure_set(opened(one)).rois] == [-7, 9]


@pytest.mark.parametrize(
    ("value", "frames"),
    [
        ("", {1}),
        ("3", {3}),
        ("1\\3", {1, 3}),
        (" 12 ", {12}),
        ("1\\ 4\\2", {1, 4, 2}),
        ("3\0", {3}),
    ],
)
def test_a_reference_names_frames_or_means_the_first(value: str, frames: set[int]) -> None:
    one = sample()
    place = one.ROIContourSequence[0].ContourSequence[0].ContourImageSequence[0]
    place.add_new(0x00081160, "LO", value.split("\\"))

    images = read_structure_set(opened(one)).contour_images

    assert {frame for uid, frame in images if uid == "1.5"} == frames


def test_a_frame_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    one = sample()
    place = one.ROIContourSequence[0].ContourSequence[0].ContourImageSequence[0]
    said = re.escape("ReferencedFrameNumber (0008,1160)")
    for value in ("first", "X1", "\t1"):
        place.add_new(0x00081160, "LO", value)
        with pytest.raises(Malformed, match=f"^{said} is not a whole number$"):
            read_structure_set(opened(one))

    place.add_new(0x00081160, "LO", "1234")
    monkeypatch.setattr(contour_places, "_LONGEST_FRAMES", 4)
    read_structure_set(opened(one))
    monkeypatch.setattr(contour_places, "_LONGEST_FRAMES", 3)
    with pytest.raises(Malformed, match=f"^{said} has more values than an image has frames$"):
        read_structure_set(opened(one))


@pytest.mark.parametrize(
    ("limit", "enough", "said"),
    [
        ("_MOST_ITEMS", 15, "more items than in any structure set"),
        ("_MOST_STRUCTURES", 2, "more items than in any structure set"),
        ("_MOST_IMAGES", 3, "names more images than any series has"),
    ],
)
def test_a_file_holds_no_more_than_any_structure_set(
    monkeypatch: pytest.MonkeyPatch, limit: str, enough: int, said: str
) -> None:
    file = opened(sample())
    monkeypatch.setattr(structure_set, limit, enough)
    assert read_structure_set(file) == FACTS

    monkeypatch.setattr(structure_set, limit, enough - 1)
    with pytest.raises(Malformed, match=said):
        read_structure_set(file)


def test_each_contour_counts_its_images_also_if_they_are_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = sample()
    one.ROIContourSequence[0].ContourSequence = [contour(image("1.5"), image("1.6"))] * 5
    file = opened(one)
    items = (
        5 + 2 + 2 + 5 * 3 + 2
    )  # frame to images, structures, their lists, contours, observations

    monkeypatch.setattr(structure_set, "_MOST_ITEMS", items)
    assert read_structure_set(file).contour_images == {("1.5", 1), ("1.6", 1)}
    monkeypatch.setattr(structure_set, "_MOST_ITEMS", items - 1)
    with pytest.raises(Malformed, match="more items than in any structure set"):
        read_structure_set(file)


def test_the_images_of_the_series_and_of_all_contours_count_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(structure_set, "_MOST_IMAGES", 3)
    one, first = sample(), contour(image("1.7", ["1", "2", "3"]))  # two images of the series
    one.ROIContourSequence[0].ContourSequence = [first, contour(image("1.8")), contour()]
    assert len(read_structure_set(opened(one)).contour_images) == 4

    one.ROIContourSequence[0].ContourSequence[1] = contour(image("1.8", ["1", "2"]))
    with pytest.raises(Malformed, match=r"ContourSequence .* names more images"):
        read_structure_set(opened(one))


def test_an_image_that_is_named_again_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    one = sample()
    first = one.ROIContourSequence[0].ContourSequence[0]
    first.ContourImageSequence = [image("1.5", ["1", "2", "1", "2", "2"])]
    monkeypatch.setattr(structure_set, "_MOST_IMAGES", 2)

    assert read_structure_set(opened(one)).contour_images == {("1.5", 1), ("1.5", 2)}
    first.ContourImageSequence = [image("1.5", ["1", "2", "3"])]
    with pytest.raises(Malformed, match=r"ContourImageSequence .* names more images"):
        read_structure_set(opened(one))


def test_few_and_short_references_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contour_places, "_LONGEST_KNOWN", 4)
    monkeypatch.setattr(contour_places, "_MOST_KNOWN", 2)
    known = KnownImages()

    for raw in (b"long.", b"four", b"1", b"2", b"long."):
        known.keep((raw, False), (("1.5", 1),), 1)

    assert known.images == {(raw, False): ((("1.5", 1),), 1) for raw in (b"four", b"1")}


def test_contours_are_read_in_the_order_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [
        FileContour(9, "POINT", "1", (("1.5", 1), ("1.7", 1), ("1.7", 3)), b"1\\2\\3 "),
        FileContour(9, "CLOSED_PLANAR", "1", (), b"4\\5\\6 "),
    ]
    file = opened(sample())

    for most in (2, 1):  # places that are kept: all, or too few to be used
        monkeypatch.setattr(contour_places, "_MOST_PLACES", most)
        found = FoundContours()
        read_structure_set(file, found)
        assert (found.count, len(found.places)) == (2, most)
        assert list(read_contours(file, found)) == expected
    assert list(read_contours(file)) == expected


def test_a_contour_without_coordinates_has_none() -> None:
    one = sample()
    del one.ROIContourSequence[0].ContourSequence[1].ContourData

    assert [found.data for found in read_contours(opened(one))] == [b"1\\2\\3 ", b""]
