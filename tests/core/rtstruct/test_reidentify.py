"""The values of received file, images, template and settings in the delivered file."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from pydicom import Dataset

from drawcli.core.dicom import tags
from drawcli.core.dicom.header import read_header
from drawcli.core.rtstruct.derived import DerivedStructure
from drawcli.core.rtstruct.displayed import default_color
from drawcli.core.rtstruct.presentation import PLAIN, Contribution, Presentation
from drawcli.core.rtstruct.reidentify import reidentify_file
from drawcli.core.templates.appearance import Derived, Empty
from drawcli.errors import BadStructureSet
from tests.core.files import CT, ROOT, item, parsed
from tests.core.gate.test_structure_set import NAMES, OWN, Trip
from tests.structure_sets import RT_STRUCTURE_SET, STUDY_MANAGEMENT

Change = Callable[[Dataset], None]


@pytest.fixture
def trip() -> Trip:
    return Trip()


def delivered(trip: Trip, change: Change | None = None, dressing: Presentation = PLAIN) -> Dataset:
    return parsed(reidentify_file(trip.received(change), trip.crosswalk, OWN, dressing))


def refused(trip: Trip, change: Change) -> BadStructureSet:
    with pytest.raises(BadStructureSet) as error:
        delivered(trip, change)
    return error.value


# --- the file ---------------------------------------------------------------------------------


def test_values_that_drawcli_sets_are_not_those_of_the_server(trip: Trip) -> None:
    def said(dataset: Dataset) -> None:
        dataset.ApprovalStatus = "APPROVED"
        dataset.StructureSetLabel = "LABEL"
        dataset.OperatorsName = "Someone"

    whole = delivered(trip, said)

    assert whole.file_meta.MediaStorageSOPInstanceUID == whole.SOPInstanceUID == OWN.sop
    assert whole.file_meta.MediaStorageSOPClassUID == whole.SOPClassUID == RT_STRUCTURE_SET
    assert whole.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2"
    assert (whole.SeriesInstanceUID, whole.StudyInstanceUID) == (OWN.series, f"{ROOT}.2")
    assert (whole.Modality, whole.ApprovalStatus) == ("RTSTRUCT", "UNAPPROVED")
    assert (whole.StructureSetLabel, whole["OperatorsName"].value) == ("DRAW", "")
    assert whole.FrameOfReferenceUID == trip.crosswalk.frame_uid
    assert whole["PositionReferenceIndicator"].value == ""
    assert "ContributingEquipmentSequence" not in whole


def test_every_image_of_the_series_is_referenced(trip: Trip) -> None:
    whole = delivered(trip)

    (frame,) = whole.ReferencedFrameOfReferenceSequence
    (study,) = frame.RTReferencedStudySequence
    (series,) = study.RTReferencedSeriesSequence
    assert frame.FrameOfReferenceUID == trip.crosswalk.frame_uid
    assert study.ReferencedSOPClassUID == STUDY_MANAGEMENT
    assert study.ReferencedSOPInstanceUID == f"{ROOT}.2"
    assert series.SeriesInstanceUID == f"{ROOT}.3"
    assert [
        (image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID, len(image))
        for image in series.ContourImageSequence
    ] == [(CT, f"{ROOT}.1.{n}", 2) for n in range(3)]
    assert {roi.ReferencedFrameOfReferenceUID for roi in whole.StructureSetROISequence} == {
        trip.crosswalk.frame_uid
    }


def test_images_of_two_frames_are_referenced_whole_and_by_contours_with_their_frame(
    trip: Trip,
) -> None:
    files = tuple(file._replace(frames=2) for file in trip.crosswalk.files)
    trip.crosswalk = trip.crosswalk._replace(files=files)

    whole = delivered(trip)

    (frame,) = whole.ReferencedFrameOfReferenceSequence
    (series,) = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence
    contours = whole.ROIContourSequence[0].ContourSequence
    assert not any("ReferencedFrameNumber" in image for image in series.ContourImageSequence)
    assert [contour.ContourImageSequence[0].ReferencedFrameNumber for contour in contours] == [
        1
    ] * 3


def test_images_without_a_frame_of_reference_get_none(trip: Trip) -> None:
    trip.crosswalk = trip.crosswalk._replace(frame_uid="")

    whole = delivered(trip)

    assert "FrameOfReferenceUID" not in whole
    assert "PositionReferenceIndicator" not in whole


def test_labels_of_the_site_are_as_long_as_their_elements_allow(trip: Trip) -> None:
    labels = {
        tags.StructureSetLabel: "ABCDEFGHIJKLMNO PQ",
        tags.SeriesDescription: "x" * 70,
        tags.StructureSetName: " name ",
    }

    whole = delivered(trip, dressing=Presentation(labels=labels))

    assert whole.StructureSetLabel == "ABCDEFGHIJKLMNO"
    assert whole.SeriesDescription == "x" * 64
    assert whole.StructureSetName == "name"


def test_equipment_is_listed_in_its_order(trip: Trip) -> None:
    equipment = tuple(Contribution(("1", "x"), maker, "", "") for maker in ("DRAW", "drawcli"))

    whole = delivered(trip, dressing=Presentation(equipment=equipment))

    assert [one.Manufacturer for one in whole.ContributingEquipmentSequence] == ["DRAW", "drawcli"]


@pytest.mark.parametrize("tag", [tags.PatientID, tags.StudyID])
def test_a_value_that_the_images_lack_is_empty_if_the_standard_requires_it(
    trip: Trip, tag: int
) -> None:
    identity = {key: value for key, value in trip.crosswalk.identity.items() if key != tag}
    trip.crosswalk = trip.crosswalk._replace(identity=identity)

    assert delivered(trip)[tag].value in {None, ""}


# --- text -------------------------------------------------------------------------------------


def named(name: str, character_set: str = "ISO_IR 100") -> Change:
    def change(dataset: Dataset) -> None:
        dataset.SpecificCharacterSet = character_set
        dataset.StructureSetROISequence[0].ROIName = name

    return change


def test_a_name_in_the_character_set_of_the_images_keeps_it() -> None:
    trip = Trip(PatientName="Müller^Zoë")

    whole = delivered(trip, named("Lèvre"))

    assert whole.SpecificCharacterSet == "ISO_IR 100"
    assert whole.StructureSetROISequence[0].ROIName == "Lèvre"


def test_the_name_of_the_character_set_may_be_padded_with_zero_bytes() -> None:
    trip = Trip(PatientName="Müller^Zoë")
    trip.crosswalk = trip.crosswalk._replace(character_set=b"ISO_IR 100\0\0")
    short, long = b"\x0a\0\0\0ISO_IR 100", b"\x0c\0\0\0ISO_IR 100\0\0"
    data = trip.received(named("Lèvre")).data.replace(short, long)

    whole = reidentify_file(read_header(data, complete=True), trip.crosswalk, OWN)

    assert long in data
    assert short in whole
    assert parsed(whole).StructureSetROISequence[0].ROIName == "Lèvre"


def test_a_derived_name_that_the_character_set_lacks_is_written_in_utf_8() -> None:
    trip = Trip(PatientName="Müller^Zoë")
    known = DerivedStructure(9, "Lèvre", Derived(margin="Bladder", mm=5), ())
    labelled = DerivedStructure(8, "膀胱", Derived(margin="Bladder", mm=5, label="PRV"), ())
    other = replace(known, name="膀胱")

    whole = delivered(trip, dressing=Presentation(made=(labelled, known)))
    beyond = delivered(trip, dressing=Presentation(made=(other,)))

    assert whole.SpecificCharacterSet == "ISO_IR 100"
    assert [roi.ROIName for roi in whole.StructureSetROISequence[2:]] == ["PRV", "Lèvre"]
    assert beyond.SpecificCharacterSet == "ISO_IR 192"
    assert beyond.StructureSetROISequence[2].ROIName == "膀胱"
    assert str(beyond.PatientName) == "Müller^Zoë"


def test_a_derived_name_beyond_ascii_does_not_keep_a_character_set_of_ascii() -> None:
    trip = Trip()
    trip.crosswalk = trip.crosswalk._replace(character_set=b"ISO_IR 6")
    made = DerivedStructure(9, "Lèvre", Derived(margin="Bladder", mm=5), ())

    whole = delivered(trip, dressing=Presentation(made=(made,)))

    assert whole.SpecificCharacterSet == "ISO_IR 192"
    assert whole.StructureSetROISequence[2].ROIName == "Lèvre"


def test_a_site_may_ask_for_utf_8() -> None:
    trip = Trip(PatientName="Müller^Zoë")

    whole = delivered(trip, named("Lèvre"), Presentation(utf_8=True))

    assert whole.SpecificCharacterSet == "ISO_IR 192"
    assert str(whole.PatientName) == "Müller^Zoë"
    assert whole.StructureSetROISequence[0].ROIName == "Lèvre"


# --- structures -------------------------------------------------------------------------------


def test_structures_have_the_looks_order_and_descriptions_of_the_template(trip: Trip) -> None:
    dressing = Presentation(
        looks={
            2: {
                tags.ROIName: "Femur",
                tags.ROIGenerationDescription: "by hand",
                tags.ROIDisplayColor: "1\\2\\3",
                tags.RTROIInterpretedType: "ORGAN",
            }
        },
        usual={1: "DRAW model 720", 2: "DRAW model 721"},
        ranks={1: 1, 2: 0},
    )

    whole = delivered(trip, dressing=dressing)

    assert [
        (roi.ROINumber, roi.ROIName, roi.ROIGenerationDescription, roi.ROIGenerationAlgorithm)
        for roi in whole.StructureSetROISequence
    ] == [(2, "Femur", "by hand", "AUTOMATIC"), (1, "Bladder", "DRAW model 720", "AUTOMATIC")]
    assert [
        (roi.ReferencedROINumber, list(roi.ROIDisplayColor)) for roi in whole.ROIContourSequence
    ] == [(2, [1, 2, 3]), (1, [255, 0, 1])]
    assert [
        (one.ReferencedROINumber, one.RTROIInterpretedType)
        for one in whole.RTROIObservationsSequence
    ] == [(2, "ORGAN"), (1, "")]


def test_a_structure_that_the_template_does_not_name_is_described_as_of_draw(trip: Trip) -> None:
    (first, second) = delivered(trip).StructureSetROISequence

    assert (first.ROIName, first.ROIGenerationDescription) == (NAMES[0], "DRAW")
    assert (second.ROIName, second.ROIGenerationDescription) == (NAMES[1], "DRAW")


DEFAULT = list(default_color(1))


@pytest.mark.parametrize(
    ("received", "delivered_as"),
    [
        ("0\\255\\7", [0, 255, 7]),
        ("255.0\\ 0.0 \\1 ", [255, 0, 1]),
        ("256\\0\\0", DEFAULT),
        ("-1\\0\\0", DEFAULT),
        ("1\\2", DEFAULT),
        ("1\\2\\3\\4", DEFAULT),
        ("red", DEFAULT),
        ("1.5\\2\\3", DEFAULT),
        ("", None),
    ],
)
def test_colours_are_three_numbers_of_a_byte(
    trip: Trip, received: str, delivered_as: list[int] | None
) -> None:
    def paint(dataset: Dataset) -> None:
        roi = dataset.ROIContourSequence[0]
        del roi.ROIDisplayColor
        roi.add_new(tags.ROIDisplayColor, "LO", received)

    first, second = delivered(trip, paint).ROIContourSequence

    assert (list(first.ROIDisplayColor) if "ROIDisplayColor" in first else None) == delivered_as
    assert list(second.ROIDisplayColor) == [255, 0, 2]


@pytest.mark.parametrize("count", ["4.0", "", "four", None])
def test_a_count_that_is_no_whole_number_is_that_of_the_points(
    trip: Trip, count: str | None
) -> None:
    def recount(dataset: Dataset) -> None:
        contour = dataset.ROIContourSequence[0].ContourSequence[0]
        del contour.NumberOfContourPoints
        if count is not None:
            contour.add_new(tags.NumberOfContourPoints, "LO", count)

    first, *_ = delivered(trip, recount).ROIContourSequence[0].ContourSequence

    assert first.NumberOfContourPoints == 4


def test_a_contour_has_images_only_if_it_refers_to_any(trip: Trip) -> None:
    def change(dataset: Dataset) -> None:
        first, second, _ = dataset.ROIContourSequence[0].ContourSequence
        del first.ContourImageSequence
        second.ContourImageSequence.append(first_image)

    first_image = item(
        ReferencedSOPClassUID=CT, ReferencedSOPInstanceUID=trip.sent[0].SOPInstanceUID
    )

    first, second, third = delivered(trip, change).ROIContourSequence[0].ContourSequence

    assert "ContourImageSequence" not in first
    assert [
        [image.ReferencedSOPInstanceUID for image in contour.ContourImageSequence]
        for contour in (second, third)
    ] == [[f"{ROOT}.1.1", f"{ROOT}.1.0"], [f"{ROOT}.1.2"]]


def test_contours_of_a_structure_that_is_not_listed_are_refused(trip: Trip) -> None:
    def unlist(dataset: Dataset) -> None:
        del dataset.StructureSetROISequence[1]

    def unlist_empty(dataset: Dataset) -> None:
        unlist(dataset)
        del dataset.ROIContourSequence[1].ContourSequence

    error = refused(trip, unlist)

    assert (error.code, str(error)) == (
        "roi-numbers",
        "contours of a structure that is not listed",
    )
    assert len(delivered(trip, unlist_empty).ROIContourSequence) == 1


def test_references_to_images_of_others_are_refused(trip: Trip) -> None:
    def foreign(uid: str) -> Change:
        def change(dataset: Dataset) -> None:
            contour = dataset.ROIContourSequence[1].ContourSequence[2]
            contour.ContourImageSequence[0].ReferencedSOPInstanceUID = uid

        return change

    study = str(trip.sent[0].StudyInstanceUID)  # a stand-in, and of no image

    errors = [refused(trip, foreign(uid)) for uid in ("1.2.3.4", study, f"{ROOT}.1.0")]

    assert [error.code for error in errors] == ["foreign-reference"] * 3
    assert all("1.2.3.4" not in str(error) for error in errors)


def test_contours_of_two_lists_of_a_structure_are_joined(trip: Trip) -> None:
    def part(dataset: Dataset) -> None:
        first = dataset.ROIContourSequence[0]
        later = item(ReferencedROINumber=1, ContourSequence=first.ContourSequence[2:])
        first.ContourSequence = first.ContourSequence[:2]
        dataset.ROIContourSequence.append(later)

    whole = delivered(trip, part)

    assert [
        (roi.ReferencedROINumber, [contour.ContourData[2] for contour in roi.ContourSequence])
        for roi in whole.ROIContourSequence
    ] == [(1, [0, 3, 6]), (2, [0, 3, 6])]


def test_derived_structures_follow_with_the_points_that_were_computed(trip: Trip) -> None:
    outline = ((1.0, 2.0, 3.0), (4.00051, -5.0, 3.0), (7.0, 8.0, 3.0))
    rule = Derived(margin="Bladder", mm=5, color=(9, 8, 7), type="PTV")
    structures = (
        DerivedStructure(3, "PRV", rule, (((f"{ROOT}.1.1", 1), outline),)),
        DerivedStructure(4, "GTV", Empty(label="GTV_1", description="to do"), ()),
        DerivedStructure(5, "CTV", Empty(), ()),
    )

    whole = delivered(trip, dressing=Presentation(made=structures))

    _, _, prv, gtv, ctv = whole.StructureSetROISequence
    assert [(roi.ROINumber, roi.ROIName) for roi in (prv, gtv, ctv)] == [
        (3, "PRV"),
        (4, "GTV_1"),
        (5, "CTV"),
    ]
    assert prv.ROIGenerationDescription == rule.sentence
    assert gtv.ROIGenerationDescription == "to do"
    _, _, drawn, empty, plain = whole.ROIContourSequence
    (contour,) = drawn.ContourSequence
    (image,) = contour.ContourImageSequence
    assert list(drawn.ROIDisplayColor) == [9, 8, 7]
    assert contour.ContourData == [1, 2, 3, 4.001, -5, 3, 7, 8, 3]
    assert (contour.ContourGeometricType, contour.NumberOfContourPoints) == ("CLOSED_PLANAR", 3)
    assert (image.ReferencedSOPInstanceUID, "ReferencedFrameNumber" in image) == (
        f"{ROOT}.1.1",
        False,
    )
    assert "ContourSequence" not in empty
    assert "ROIDisplayColor" not in plain
    assert [one.RTROIInterpretedType for one in whole.RTROIObservationsSequence[2:]] == [
        "PTV",
        "",
        "",
    ]


def test_a_file_that_cannot_be_read_is_refused_without_its_values(trip: Trip) -> None:
    def spoil(dataset: Dataset) -> None:
        roi = dataset.ROIContourSequence[0]
        del roi.ReferencedROINumber
        roi.add_new(tags.ReferencedROINumber, "LO", "Muster")

    error = refused(trip, spoil)

    assert "cannot be read" in str(error)
    assert "Muster" not in str(error)
