"""Structure sets from the server to the delivered file: facts, references, names, broken files."""

import io
import random
import struct
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom import DataElement, Dataset, dcmread
from pydicom.datadict import tag_for_keyword
from pydicom.uid import ExplicitVRLittleEndian

from drawcli.core.deid.engine import Replacements, deidentify_header
from drawcli.core.deid.pseudonyms import StandIns
from drawcli.core.dicom import elements
from drawcli.core.dicom.header import Header, Incomplete, NotDicom, read_header
from drawcli.core.gate.acceptance import FileContour, Finding, Severity
from drawcli.core.gate.strict_reader import DataSet, Malformed, decode_text
from drawcli.core.gate.structure_set import read_contours, read_structure_set
from drawcli.core.gate.structure_set_checks import inspect
from drawcli.core.rtstruct.derived import DerivedStructure
from drawcli.core.rtstruct.inspection import (
    StructureCriteria,
    expect_finished,
    expect_received,
    inspect_finished,
    inspect_received,
)
from drawcli.core.rtstruct.presentation import Presentation
from drawcli.core.rtstruct.reidentify import OwnUids, reidentify_file
from drawcli.core.series.crosswalk import Crosswalk, SourceFile, read_identity
from drawcli.core.templates.appearance import Derived
from drawcli.errors import BadStructureSet
from tests.core.files import CT, ROOT, as_bytes, ct_slice, item, parsed
from tests.core.real_data import needs_real, real_files, unpacked
from tests.structure_sets import RT_STRUCTURE_SET, structure_set, written

KEY = StandIns(b"site key of the tests, 32 bytes.")
NAMES = ["Bladder", "Femur_Head_L"]
MUTATIONS = 1250  # of each kind, in each form
OWN = OwnUids("2.25.1001", "2.25.1002")


class Trip:
    """A series of three slices before and after de-identification, and its crosswalk."""

    def __init__(self, **values: object) -> None:
        self.sources = [
            ct_slice(
                SOPInstanceUID=f"{ROOT}.1.{number}",
                ImagePositionPatient=["-250", "-250", str(3 * number)],
                **values,
            )
            for number in range(3)
        ]
        raw = [as_bytes(source) for source in self.sources]
        headers = [read_header(data, complete=True) for data in raw]
        known = Replacements.of(headers[0], KEY)
        self.sent = [parsed(deidentify_header(header, known) + bytes(8)) for header in headers]
        self.crosswalk = Crosswalk(
            series_uid=f"{ROOT}.3",
            study_uid=f"{ROOT}.2",
            frame_uid=headers[0].text(0x00200052),
            patient_id=headers[0].text(0x00100020),
            patient_name="",
            files=tuple(
                SourceFile("x", 1, 1, f"{ROOT}.1.{n}", positions=((-250.0, -250.0, 3.0 * n),))
                for n in range(3)
            ),
            orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
            spacing=(10.0, 10.0),
            shape=(32, 32),
            pseudonym=f"DEID-{known.pseudonym}",
            uids=known.uids,
            dates=known.dates,
            identity=read_identity(headers[0]),
            character_set=headers[0].raw(0x00080005) or b"",
            sop_class=CT,
        )

    def received(self, change: Callable[[Dataset], None] | None = None) -> Header:
        """Return the structure set of the server, with an optional fault."""
        return read_header(structure_set(self.sent, NAMES, change=change), complete=True)

    def home(self, header: Header) -> bytes:
        return reidentify_file(header, self.crosswalk, OWN)

    def found(self, data: bytes) -> list[Finding]:
        """Return the findings in a file from the server."""
        expected = expect_received(self.crosswalk, NAMES)
        return inspect_received(data, expected, self.crosswalk, StructureCriteria())[0]

    def found_finished(self, data: bytes) -> list[Finding]:
        """Return the findings in a finished file."""
        expected = expect_finished(self.crosswalk, frozenset(OWN), NAMES)
        return inspect_finished(data, expected, self.crosswalk, StructureCriteria())


@pytest.fixture
def trip() -> Trip:
    return Trip()


# --- facts ------------------------------------------------------------------------------------


def test_the_facts_are_those_that_pydicom_sees(trip: Trip) -> None:
    data = trip.received().data

    facts = read_structure_set(DataSet(data))

    seen = dcmread(io.BytesIO(data))
    images = {(str(one.SOPInstanceUID), 1) for one in trip.sent}
    assert (facts.sop_class, facts.sop_uid) == (RT_STRUCTURE_SET, str(seen.SOPInstanceUID))
    assert (facts.study_uid, facts.series_uid) == (seen.StudyInstanceUID, seen.SeriesInstanceUID)
    assert (facts.patient_id, facts.patient_name) == (seen.PatientID, seen.PatientName)
    assert facts.study_id == seen.StudyID
    assert facts.studies == {seen.StudyInstanceUID}
    assert facts.referenced_series == {str(trip.sent[0].SeriesInstanceUID)}
    assert facts.frames == {str(trip.sent[0].FrameOfReferenceUID)}
    assert facts.images == facts.contour_images == images
    assert facts.image_classes == {CT}
    assert [(roi.number, roi.name, roi.contours) for roi in facts.rois] == [
        (1, "Bladder", 3),
        (2, "Femur_Head_L", 3),
    ]
    assert (facts.contoured, facts.observed, facts.has_pixels) == ((1, 2), (1, 2), False)
    assert trip.found(data) == []


def framed(number: object) -> Callable[[Dataset], None]:
    """Return a change that names a frame of each image that a contour lies on."""

    def change(dataset: Dataset) -> None:
        for roi in dataset.ROIContourSequence:
            for contour in roi.ContourSequence:
                contour.ContourImageSequence[0].add_new("ReferencedFrameNumber", "IS", number)

    return change


def test_frames_of_images_are_read_and_delivered(trip: Trip) -> None:
    received = trip.received(framed([1, 3]))
    files = tuple(file._replace(frames=3) for file in trip.crosswalk.files)

    facts = read_structure_set(DataSet(received.data))
    codes = [one.code for one in trip.found(received.data)]
    trip.crosswalk = trip.crosswalk._replace(files=files)
    finished = parsed(trip.home(received))

    images = {str(one.SOPInstanceUID) for one in trip.sent}
    assert facts.contour_images == {(uid, number) for uid in images for number in (1, 3)}
    assert codes == ["foreign-frame-number"]
    first, second = finished.ROIContourSequence[0].ContourSequence[0].ContourImageSequence
    assert (first.ReferencedFrameNumber, second.ReferencedFrameNumber) == (1, 3)
    assert first.ReferencedSOPInstanceUID == trip.sources[0].SOPInstanceUID


@pytest.mark.parametrize("tag", ["ROINumber", "ReferencedROINumber", "ReferencedFrameNumber"])
def test_an_invalid_number_is_refused_with_its_element(trip: Trip, tag: str) -> None:
    data = structure_set(trip.sent, NAMES, change=framed("7"))
    element = struct.pack("<HH", *divmod(tag_for_keyword(tag) or 0, 1 << 16))
    at = data.index(element) + 8
    data = data[:at] + b"x " + data[at + 2 :]

    with pytest.raises(Malformed, match=tag):
        read_structure_set(DataSet(data))


@pytest.mark.sweep
def test_a_flood_of_frame_numbers_fills_no_memory(trip: Trip) -> None:
    def flood(dataset: Dataset) -> None:
        (image, *_) = dataset.ROIContourSequence[0].ContourSequence[0].ContourImageSequence
        image.add_new("ReferencedFrameNumber", "IS", [1] * 600_000)

    data = structure_set(trip.sent, NAMES, change=flood)

    with pytest.raises(Malformed, match="more values than an image has frames"):
        read_structure_set(DataSet(data))


@pytest.mark.parametrize("number", ["4294967297", "2147483648", "-2147483648", "1\\2", "", "1.0"])
def test_a_structure_has_one_number_of_32_bits(trip: Trip, number: str) -> None:
    """4294967297 is 1 in 32 bits: the contours would be those of another structure."""

    def renumber(dataset: Dataset) -> None:
        for one, tag in (
            (dataset.StructureSetROISequence[1], 0x30060022),
            (dataset.ROIContourSequence[1], 0x30060084),
            (dataset.RTROIObservationsSequence[1], 0x30060084),
        ):
            del one[tag]
            one.add_new(tag, "LO", number)  # written as any text is

    (finding,) = trip.found(trip.received(renumber).data)

    assert (finding.code, finding.severity) == ("not-dicom", Severity.BLOCK)
    assert "ROINumber" in finding.text


def test_values_longer_than_planning_systems_accept_are_reported(trip: Trip) -> None:
    identity = trip.crosswalk.identity | {0x00200010: b"STUDY-WITH-17-LET"}  # type: ignore[operator] # a dict
    trip.crosswalk = trip.crosswalk._replace(identity=identity)

    found = trip.found_finished(trip.home(trip.received()))

    assert [(one.code, one.severity) for one in found] == [("value-too-long", Severity.WARN)]
    assert found[0].text.endswith(": StudyID")


def test_a_structure_without_contours_has_no_outline(trip: Trip) -> None:
    def empty(dataset: Dataset) -> None:
        del dataset.ROIContourSequence[0].ContourSequence

    facts = read_structure_set(DataSet(trip.received(empty).data))

    assert [roi.contours for roi in facts.rois] == [0, 3]


def test_a_name_is_read_in_the_character_set_of_the_file(trip: Trip) -> None:
    def rename(dataset: Dataset) -> None:
        dataset.StructureSetROISequence[0].ROIName = "Harnröhre"

    assert read_structure_set(DataSet(trip.received(rename).data)).rois[0].name == "Harnröhre"


def test_a_name_that_is_not_in_its_character_set_is_not_guessed(trip: Trip) -> None:
    def rename(dataset: Dataset) -> None:
        dataset.SpecificCharacterSet = "ISO_IR 192"
        dataset.StructureSetROISequence[0].ROIName = "Harnröhre"

    data = trip.received(rename).data.replace("Harnröhre".encode(), b"Harnr\xf6hre ")

    with pytest.raises(Malformed, match="character set"):
        read_structure_set(DataSet(data))


DEFINED = [  # as servers and devices write them
    *("ISO_IR 100", "ISO_IR 192", "ISO_IR 6", "GB18030", "ISO 2022 IR 6", ""),
    *(["", "ISO 2022 IR 87"], ["ISO_IR 13", "ISO 2022 IR 87"]),
]
UNDEFINED = [  # of ten bytes, as `ISO_IR 100`
    *(b"ISO_IR\x00100", b"A\0B       ", b"ISO_IR_100", b"utf_16    ", b"\0ISO_IR 13"),
    *(b"GBK\\GBK   ", b"ISO_IR 100"[::-1], b"\xc4SO_IR 100"[:10], b"ISO_IR 6\\ "),
]


@pytest.mark.parametrize("names", DEFINED, ids=str)
def test_a_structure_set_may_have_any_character_set_of_the_standard(
    trip: Trip, names: str | list[str]
) -> None:
    def change(dataset: Dataset) -> None:
        dataset.SpecificCharacterSet = names
        dataset.ROIContourSequence[0].SpecificCharacterSet = names

    assert {one.code for one in trip.found(trip.received(change).data)} <= {"elements-removed"}


def named_at_the_top(dataset: Dataset) -> None:
    dataset.SpecificCharacterSet = "ISO_IR 101"


def named_in_an_item(dataset: Dataset) -> None:
    dataset.ROIContourSequence[1].ContourSequence[2].SpecificCharacterSet = "ISO_IR 101"


def named_in_what_is_not_delivered(dataset: Dataset) -> None:
    inside = item(SpecificCharacterSet="ISO_IR 101")
    dataset.ROIContourSequence[0].ReferencedStudySequence = [
        item(RequestAttributesSequence=[inside])
    ]


def named_in_an_item_without_length(dataset: Dataset) -> None:
    named_in_what_is_not_delivered(dataset)
    dataset.ROIContourSequence[0]["ReferencedStudySequence"].is_undefined_length = True


@pytest.mark.parametrize("raw", UNDEFINED)
@pytest.mark.parametrize(
    "change",
    [
        named_at_the_top,
        named_in_an_item,
        named_in_what_is_not_delivered,
        named_in_an_item_without_length,
    ],
)
def test_a_character_set_that_no_reader_knows_is_refused(
    trip: Trip, change: Callable[[Dataset], None], raw: bytes
) -> None:
    usual = trip.received(change).data

    (found,) = trip.found(usual.replace(b"ISO_IR 101", raw))

    assert {one.code for one in trip.found(usual)} <= {"elements-removed"}
    assert (found.severity, found.code) == (Severity.BLOCK, "not-dicom")
    assert found.text.endswith("SpecificCharacterSet (0008,0005) has no defined term")


def test_a_finished_file_has_the_character_set_of_the_images_whatever_it_is(trip: Trip) -> None:
    trip.crosswalk = trip.crosswalk._replace(character_set=b"ISO_IR_100")

    assert trip.found_finished(trip.home(trip.received())) == []


@needs_real
def test_the_character_sets_of_real_structure_sets_are_known() -> None:
    known = 0
    for path in real_files():
        try:
            file = DataSet(path.read_bytes())
            facts = read_structure_set(file)
        except Malformed:
            continue
        known += facts.sop_class == RT_STRUCTURE_SET
        assert facts.is_decodable, path

    assert known > 10


@pytest.mark.filterwarnings("ignore:Invalid value")
@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "PatientID"])
def test_a_null_character_before_a_value_is_a_part_of_it(trip: Trip, keyword: str) -> None:
    def change(dataset: Dataset) -> None:
        value = str(dataset[keyword].value).encode()
        dataset[keyword] = DataElement(tag_for_keyword(keyword) or 0, "UN", b"\0\0" + value)

    (found,) = trip.found(trip.received(change).data)

    assert found.code in ("foreign-study", "foreign-patient")


@pytest.mark.parametrize("read", [decode_text, elements.decode_text])
@pytest.mark.parametrize("character_set", [b"A\0B", b"ISO_IR 9999", b"\xff", b"idna"])
def test_a_text_in_a_character_set_that_is_none_is_an_error(
    read: Callable[[bytes, bytes], str], character_set: bytes
) -> None:
    with pytest.raises((Malformed, BadStructureSet), match="character set"):
        read(b"Harnr\xf6hre", character_set)


# --- the way back -----------------------------------------------------------------------------


def test_every_reference_gets_its_original_uid(trip: Trip) -> None:
    home = parsed(trip.home(trip.received()))

    sops = [source.SOPInstanceUID for source in trip.sources]
    frame = home.ReferencedFrameOfReferenceSequence[0]
    study = frame.RTReferencedStudySequence[0]
    series = study.RTReferencedSeriesSequence[0]
    assert (home.StudyInstanceUID, study.ReferencedSOPInstanceUID) == (f"{ROOT}.2",) * 2
    assert (frame.FrameOfReferenceUID, series.SeriesInstanceUID) == (f"{ROOT}.4", f"{ROOT}.3")
    assert [image.ReferencedSOPInstanceUID for image in series.ContourImageSequence] == sops
    for roi in home.ROIContourSequence:
        on = [c.ContourImageSequence[0].ReferencedSOPInstanceUID for c in roi.ContourSequence]
        assert on == sops
    assert (home.SOPInstanceUID, home.SeriesInstanceUID) == (OWN.sop, OWN.series)
    assert home.file_meta.MediaStorageSOPInstanceUID == OWN.sop
    assert home.SOPClassUID == home.file_meta.MediaStorageSOPClassUID == RT_STRUCTURE_SET


def test_no_stand_in_is_left(trip: Trip) -> None:
    raw = trip.home(trip.received())

    assert b"DEID" not in raw
    assert not [uid for uid in trip.crosswalk.uids if uid.encode() in raw]
    assert not [day for day in trip.crosswalk.dates if day.encode() in raw]


def test_patient_and_study_are_copied_from_the_source() -> None:
    trip = Trip(StudyDescription="Becken", PatientBirthTime="0815", IssuerOfPatientID="KH-1")

    home = parsed(trip.home(trip.received()))

    for keyword in (
        *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientBirthTime"),
        *("PatientSex", "StudyDate", "StudyTime", "StudyID", "AccessionNumber"),
        *("ReferringPhysicianName", "StudyDescription"),
    ):
        assert home[keyword].value == trip.sources[0][keyword].value
    assert home.SeriesDate == trip.sources[0].StudyDate  # the server had copied the moved one
    assert home.StructureSetDate == "20261114"


def test_elements_missing_in_the_source_are_empty_or_absent(trip: Trip) -> None:
    trip.crosswalk = trip.crosswalk._replace(identity={0x00100020: b"PID-0815"})

    home = parsed(trip.home(trip.received()))

    for keyword in "PatientName StudyDate StudyID AccessionNumber ReferringPhysicianName".split():
        assert str(home[keyword].value or "") == ""
    assert "StudyDescription" not in home
    assert home.PatientID == "PID-0815"


def test_the_marks_of_de_identification_are_those_of_the_images(trip: Trip) -> None:
    def mark(dataset: Dataset) -> None:
        dataset.PatientIdentityRemoved = "YES"
        dataset.DeidentificationMethod = "drawcli"
        dataset.DeidentificationMethodCodeSequence = [item(CodeValue="113100")]
        dataset.LongitudinalTemporalInformationModified = "MODIFIED"

    clinical = parsed(trip.home(trip.received(mark)))
    research = Trip(PatientIdentityRemoved="YES", DeidentificationMethod="by the archive")
    delivered = parsed(research.home(research.received(mark)))

    for keyword in (
        *("PatientIdentityRemoved", "DeidentificationMethod"),
        *("DeidentificationMethodCodeSequence", "LongitudinalTemporalInformationModified"),
    ):
        assert keyword not in clinical
    assert delivered.PatientIdentityRemoved == "YES"
    assert delivered.DeidentificationMethod == "by the archive"


def test_private_elements_and_group_lengths_are_removed(trip: Trip) -> None:
    def add(dataset: Dataset) -> None:
        dataset.private_block(0x3007, "SERVER", create=True).add_new(1, "LO", "secret")
        dataset.StructureSetROISequence[0].private_block(0x0099, "X", create=True)
        dataset.add_new(0x30060000, "UL", 4)

    home = trip.home(trip.received(add))

    assert b"secret" not in home
    assert [e.tag for e in parsed(home).iterall() if e.tag.is_private or not e.tag.element] == []


def test_coordinates_do_not_move_and_fit_what_a_planning_system_takes(trip: Trip) -> None:
    def lengthen(dataset: Dataset) -> None:
        for roi in dataset.ROIContourSequence:
            for contour in roi.ContourSequence:
                points = [float(value) for value in contour.ContourData]
                contour["ContourData"]._value = "\\".join(
                    f"{value + 0.123456789012345:.17f}" if number % 2 else f"{value:.2f}"
                    for number, value in enumerate(points)
                )

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydicom warns of what is tried here
        received = trip.received(lengthen)
    home = trip.home(received)

    before, after = coordinates(received.data), coordinates(home)
    assert len(before) == len(after) == 2 * 3 * 12
    assert any(len(value) > 16 for value in before)
    assert all(len(value) <= 16 for value in after)
    for was, now in zip(before, after, strict=True):
        assert abs(float(was) - float(now)) < 0.01
        assert len(was) > 16 or was == now


def coordinates(data: bytes) -> list[str]:
    """Return every value of ContourData as it is written."""
    found = []
    for element in dcmread(io.BytesIO(data), force=True).iterall():
        if element.tag != 0x30060050:
            continue
        if isinstance(element.value, bytes):  # too long for explicit VR
            found += element.value.decode().rstrip().split("\\")
        else:
            found += [getattr(value, "original_string", str(value)) for value in element.value]
    return found


# --- what must not be delivered ---------------------------------------------------------------


def reference_at(depth: int, uid: str) -> Callable[[Dataset], None]:
    """Return a change that hides a reference in nested sequences."""

    def change(dataset: Dataset) -> None:
        inside = item(ReferencedSOPClassUID=CT, ReferencedSOPInstanceUID=uid)
        for _ in range(depth):
            inside = item(ReferencedImageSequence=[inside])
        dataset.StructureSetROISequence[0].ReferencedImageSequence = [inside]

    return change


@pytest.mark.parametrize("depth", [0, 5, 12])
@pytest.mark.parametrize("uid", ["1.2.3.4", "2.25.7", "1.2.840.10008.20260314.1"])
def test_a_misplaced_reference_is_removed_and_reported(trip: Trip, depth: int, uid: str) -> None:
    received = trip.received(reference_at(depth, uid))

    (finding,) = trip.found(received.data)
    finished = trip.home(received)

    assert (finding.code, finding.severity) == ("elements-removed", Severity.WARN)
    assert finding.text.endswith(": ReferencedImageSequence")
    assert uid not in finding.text
    assert uid.encode() not in finished
    assert trip.found_finished(finished) == []


FOREIGN = ["1.2.3.4", f"{ROOT}.1.1", "2.25.7", "1.2.840.10008.1.4.1.1", "1.2.840.10008.1.2"]


@pytest.mark.parametrize("uid", FOREIGN)
def test_no_uid_is_kept_for_its_form(trip: Trip, uid: str) -> None:
    def study(dataset: Dataset) -> None:
        dataset.StudyInstanceUID = uid

    def frame(dataset: Dataset) -> None:
        dataset.StructureSetROISequence[0].ReferencedFrameOfReferenceUID = uid

    def series(dataset: Dataset) -> None:
        frame = dataset.ReferencedFrameOfReferenceSequence[0]
        frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0].SeriesInstanceUID = uid

    def image(dataset: Dataset) -> None:
        contour = dataset.ROIContourSequence[0].ContourSequence[0]
        contour.ContourImageSequence[0].ReferencedSOPInstanceUID = uid

    for change, code in (
        (study, "foreign-study"),
        (frame, "foreign-frame"),
        (series, "foreign-series"),
        (image, "foreign-reference"),
    ):
        found = trip.found(trip.received(change).data)
        assert [(one.code, one.severity) for one in found] == [(code, Severity.BLOCK)]
        assert uid not in found[0].text


def test_the_servers_own_uids_are_never_delivered(trip: Trip) -> None:
    def rename(dataset: Dataset) -> None:
        dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.481.3"
        dataset.SeriesInstanceUID = "1.2.840.10008.5.1.4.1.1.2"

    finished = parsed(trip.home(trip.received(rename)))

    assert (finished.SOPInstanceUID, finished.SeriesInstanceUID) == OWN


def besides(dataset: Dataset) -> None:
    """Add elements that a structure set does not need, at every depth."""
    dataset.PatientPosition = "FFS"
    dataset.ClinicalTrialSubjectID = "TRIAL-7"
    dataset.add_new("EncapsulatedDocument", "OB", b"%PDF")
    dataset.add_new("RetrieveURL", "UR", "http://example.com/")
    for roi in dataset.StructureSetROISequence:
        roi.ApprovalStatus = "APPROVED"
        roi.ROIDescription = "of Mr Smith"
    for observation in dataset.RTROIObservationsSequence:
        observation.ROIObservationLabel = "Rectum"
        observation.RTROIInterpretedType = "GTV"
        observation.ROIInterpreter = "House^Gregory"


def test_unlisted_elements_are_removed_at_every_depth(trip: Trip) -> None:
    received = trip.received(besides)

    (finding,) = trip.found(received.data)
    finished = trip.home(received)

    assert finding.code == "elements-removed"
    for keyword in ("ApprovalStatus", "EncapsulatedDocument", "PatientPosition"):
        assert keyword in finding.text
    assert trip.found_finished(finished) == []
    whole = parsed(finished)
    assert whole.ApprovalStatus == "UNAPPROVED"
    assert {str(o.RTROIInterpretedType) for o in whole.RTROIObservationsSequence} == {""}
    for text in (
        b"TRIAL",
        b"%PDF",
        b"example",
        b"APPROVED",
        b"Smith",
        b"Rectum",
        b"GTV",
        b"House",
    ):
        assert text not in finished.replace(b"UNAPPROVED", b"")


def test_elements_that_move_the_contours_are_blocked(trip: Trip) -> None:
    def transformed(dataset: Dataset) -> None:
        dataset.ReferencedFrameOfReferenceSequence[0].FrameOfReferenceRelationshipSequence = [
            item(RelatedFrameOfReferenceUID=dataset.StudyInstanceUID)
        ]

    def moved(dataset: Dataset) -> None:
        dataset.ROIContourSequence[0].ContourSequence[0].add_new(0x30060045, "DS", [0, 0, 9])

    def with_matrix(dataset: Dataset) -> None:
        matrix = [1, 0, 0, 50, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]
        dataset.StructureSetROISequence[0].add_new(0x300600C6, "DS", matrix)

    def registered(dataset: Dataset) -> None:
        dataset.RegistrationSequence = [item(FrameOfReferenceUID=dataset.StudyInstanceUID)]

    def not_moved(dataset: Dataset) -> None:
        dataset.ROIContourSequence[0].ContourSequence[0].add_new(0x30060045, "DS", [0, "-0.0", 0])

    for change, codes in (
        (transformed, ["contours-moved"]),
        (moved, ["contours-moved"]),
        (with_matrix, ["contours-moved"]),
        (registered, ["contours-moved"]),
        (not_moved, ["elements-removed"]),
    ):
        assert [one.code for one in trip.found(trip.received(change).data)] == codes


def test_another_patient_in_an_item_is_blocked(trip: Trip) -> None:
    def other(dataset: Dataset) -> None:
        dataset.RTROIObservationsSequence[0].PatientID = "4711"

    codes = [one.code for one in trip.found(trip.received(other).data)]

    assert codes == ["foreign-patient", "elements-removed"]


# --- what the IOD asks for, and the server forgets ----------------------------------------------


def without_modality(dataset: Dataset) -> None:
    del dataset.Modality


def without_frames_of_structures(dataset: Dataset) -> None:
    for roi in dataset.StructureSetROISequence:
        del roi.ReferencedFrameOfReferenceUID


def without_observations(dataset: Dataset) -> None:
    del dataset.RTROIObservationsSequence


def without_numbers_of_observations(dataset: Dataset) -> None:
    for observation in dataset.RTROIObservationsSequence:
        del observation.ObservationNumber


def without_counts_of_points(dataset: Dataset) -> None:
    for roi in dataset.ROIContourSequence:
        for contour in roi.ContourSequence:
            del contour.NumberOfContourPoints


def without_referenced_series(dataset: Dataset) -> None:
    del dataset.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence


def without_its_own_uids(dataset: Dataset) -> None:
    del dataset.SeriesInstanceUID


def with_blanks_around_names(dataset: Dataset) -> None:
    for roi in dataset.StructureSetROISequence:
        roi.ROIName = f" {roi.ROIName} "


def with_counts_as_decimals(dataset: Dataset) -> None:
    for roi in dataset.ROIContourSequence:
        for contour in roi.ContourSequence:
            del contour.NumberOfContourPoints
            contour.add_new(0x30060046, "LO", "4.0")


@pytest.mark.parametrize(
    "change",
    [
        with_counts_as_decimals,
        *(without_modality, without_frames_of_structures, without_observations),
        *(without_numbers_of_observations, without_counts_of_points, without_referenced_series),
        *(without_its_own_uids, with_blanks_around_names),
    ],
)
def test_unambiguous_values_are_corrected(trip: Trip, change: Callable[[Dataset], None]) -> None:
    received = trip.received(change)

    assert trip.found(received.data) == []
    assert data_set_of(trip.home(received)) == data_set_of(trip.home(trip.received()))


def test_coordinates_that_are_padded_with_zeros_are_delivered_without(trip: Trip) -> None:
    def padded(dataset: Dataset) -> None:
        contour = dataset.ROIContourSequence[0].ContourSequence[0]
        text = "\\".join(map(str, contour.ContourData))
        del contour.ContourData
        contour.add_new(0x30060050, "LO", text + "\0" * (1 + len(text) % 2))

    received = trip.received(padded)
    finished = trip.home(received)

    assert trip.found(received.data) == trip.found_finished(finished) == []
    assert coordinates(finished) == coordinates(trip.home(trip.received()))


@pytest.mark.parametrize(
    ("day", "time"), [("20269999", "9999"), ("20260230", "2460"), ("00000000", "246000")]
)
def test_a_day_or_time_that_does_not_exist_is_not_delivered(
    trip: Trip, day: str, time: str
) -> None:
    def dated(dataset: Dataset) -> None:
        for tag in (0x30060008, 0x00080021, 0x00080012):
            dataset.pop(tag, None)
            dataset.add_new(tag, "LO", day)
        for tag in (0x30060009, 0x00080031):
            dataset.pop(tag, None)
            dataset.add_new(tag, "LO", time)

    finished = trip.home(trip.received(dated))

    whole = parsed(finished)
    assert trip.found_finished(finished) == []
    assert (whole.StructureSetDate, whole.StructureSetTime) == ("", "")
    assert not {"SeriesDate", "SeriesTime", "InstanceCreationDate"} & set(whole.dir())


def data_set_of(finished: bytes) -> bytes:
    assert finished[128:132] == b"DICM"
    return finished[132:]


@pytest.mark.parametrize(
    ("color", "delivered"),
    [
        (b"255.0\\128.0\\0.0", [255, 128, 0]),
        (b"300\\-5\\0 ", [90, 210, 90]),
        (b"1\\2 ", [90, 210, 90]),
        (b"red ", [90, 210, 90]),
    ],
)
def test_an_invalid_colour_is_corrected_or_replaced_and_reported(
    trip: Trip, color: bytes, delivered: list[int]
) -> None:
    data = trip.received().data
    element = b"\x06\x30\x2a\0" + struct.pack("<I", 8) + b"255\\0\\1 "
    assert element in data
    color += b" " * (len(color) % 2)
    spoilt = with_first_contour_item(
        data,
        lambda item: item.replace(element, element[:4] + struct.pack("<I", len(color)) + color),
    )

    (finding,) = trip.found(spoilt)
    first = parsed(trip.home(read_header(spoilt, complete=True))).ROIContourSequence[0]

    assert (finding.code, finding.severity) == ("color-invalid", Severity.WARN)
    assert finding.text.endswith(": Bladder")
    assert list(first.ROIDisplayColor) == delivered


def with_first_contour_item(data: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """Return a structure set of implicit VR with the first item of ROIContourSequence changed."""
    at = data.index(b"\x06\x30\x39\0") + 8
    (length,) = struct.unpack("<I", data[at + 4 : at + 8])
    if length == 0xFFFFFFFF:
        raise AssertionError("the tests write items of defined length")
    item = change(data[at + 8 : at + 8 + length])
    (whole,) = struct.unpack("<I", data[at - 4 : at])
    return (
        data[: at - 4]
        + struct.pack("<I", whole + len(item) - length)
        + data[at : at + 4]
        + struct.pack("<I", len(item))
        + item
        + data[at + 8 + length :]
    )


# --- two readers of one file --------------------------------------------------------------------


def doubled(item: bytes, tag: bytes, second: bytes) -> bytes:
    """Return an item in which an element is followed by another one with the same tag."""
    at = item.index(tag)
    (length,) = struct.unpack("<I", item[at + 4 : at + 8])
    end = at + 8 + length
    return item[:end] + tag + struct.pack("<I", len(second)) + second + item[end:]


def test_an_element_that_occurs_twice_in_an_item_is_blocked(trip: Trip) -> None:
    number = b"\x06\x30\x84\0"  # ReferencedROINumber: the contours would change their structure
    data = with_first_contour_item(trip.received().data, lambda item: doubled(item, number, b"2 "))

    (finding,) = trip.found(data)

    assert (finding.code, finding.severity) == ("not-dicom", Severity.BLOCK)
    assert "ReferencedROINumber (3006,0084) occurs twice" in finding.text


def test_elements_out_of_order_in_an_item_are_blocked(trip: Trip) -> None:
    def swap(item: bytes) -> bytes:
        at = item.index(b"\x06\x30\x84\0")
        return item[at:] + item[:at]

    (finding,) = trip.found(with_first_contour_item(trip.received().data, swap))

    assert finding.code == "not-dicom"
    assert "out of order" in finding.text


def test_a_reference_under_a_wrong_vr_is_not_delivered(trip: Trip) -> None:
    received = explicit(trip.received().data)
    uid = str(trip.sent[0].SOPInstanceUID).encode()
    old = b"\x08\0\x55\x11UI" + struct.pack("<H", len(uid) + len(uid) % 2) + uid
    assert old in received

    spoilt = received.replace(old, old.replace(b"UI", b"LO", 1))

    assert trip.found(spoilt) == []
    assert uid not in trip.home(read_header(spoilt, complete=True))


def test_the_finished_file_is_compared_with_the_one_that_was_accepted(trip: Trip) -> None:
    received = trip.received()
    expected = expect_received(trip.crosswalk, NAMES)
    _, measured = inspect_received(received.data, expected, trip.crosswalk, StructureCriteria())
    accepted = StructureCriteria(measured={one.name: one.as_plain() for one in measured})
    finished_as = expect_finished(trip.crosswalk, frozenset(OWN), NAMES)
    finished = trip.home(received)
    moved = finished.replace(b"-240\\-240\\", b"-200\\-240\\", 1)
    assert moved != finished

    assert inspect_finished(finished, finished_as, trip.crosswalk, accepted) == []
    (finding,) = inspect_finished(moved, finished_as, trip.crosswalk, accepted)
    assert (finding.code, finding.severity) == ("not-conformant", Severity.BLOCK)
    assert finding.text.startswith("Bladder is not what the server sent")


FAULTS = {
    "another patient": lambda raw: raw.replace(b"PID-0815", b"PID-0816"),
    "another study": lambda raw: raw.replace(f"{ROOT}.2".encode(), f"{ROOT}.9".encode()),
    "another frame": lambda raw: raw.replace(f"{ROOT}.4".encode(), f"{ROOT}.9".encode()),
    "an approved file": lambda raw: raw.replace(b"UNAPPROVED", b"APPROVED  "),
    "another modality": lambda raw: raw.replace(b"RTSTRUCT", b"RTPLAN  "),
    "another meta": lambda raw: raw.replace(OWN.sop.encode(), b"2.25.1009", 1),
    "a byte behind the end": lambda raw: raw + b"\0",
    "a truncated file": lambda raw: raw[:-2],
    "a private element": lambda raw: raw + struct.pack("<HHI2s", 0x3011, 0x0010, 2, b"XY"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_finished_file_with_a_fault_is_never_delivered(trip: Trip, fault: str) -> None:
    finished = trip.home(trip.received())

    found = trip.found_finished(FAULTS[fault](finished))

    assert trip.found_finished(finished) == []
    assert Severity.BLOCK in {one.severity for one in found}


# --- names ------------------------------------------------------------------------------------

WORLD = {
    "Latin-1": ("ISO_IR 100", "Müller^Zoë"),
    "Devanagari": ("ISO_IR 192", "Kulkarni^Ashok=कुलकर्णी^अशोक"),
    "Chinese": ("GB18030", "Wang^XiaoDong=王^小东"),
    "Japanese": (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎=やまだ^たろう"),
    "Korean": (["", "ISO 2022 IR 149"], "Hong^Gildong=洪^吉洞=홍^길동"),
    "Greek": ("ISO_IR 126", "Διονυσιος"),
}


@pytest.mark.parametrize("script", WORLD)
def test_a_name_is_delivered_byte_for_byte(script: str) -> None:
    character_set, name = WORLD[script]
    trip = Trip(SpecificCharacterSet=character_set, PatientName=name)
    original = read_header(as_bytes(trip.sources[0]), complete=True).raw(0x00100010)

    home = trip.home(trip.received())

    assert read_header(home, complete=True).raw(0x00100010) == original
    assert str(parsed(home).PatientName) == name
    assert parsed(home).StructureSetROISequence[0].ROIName == "Bladder"


@pytest.mark.parametrize("script", WORLD)
def test_a_name_stays_readable_beside_structures_in_another_script(script: str) -> None:
    character_set, name = WORLD[script]
    trip = Trip(SpecificCharacterSet=character_set, PatientName=name)

    def rename(dataset: Dataset) -> None:
        dataset.StructureSetROISequence[0].ROIName = "Harnröhre"

    home = parsed(trip.home(trip.received(rename)))

    assert str(home.PatientName) == name
    assert home.StructureSetROISequence[0].ROIName == "Harnröhre"


def test_a_name_stays_readable_beside_structures_in_escapes() -> None:
    trip = Trip(PatientName="Müller^Zoë")

    def rename(dataset: Dataset) -> None:
        dataset.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
        dataset.StructureSetROISequence[0].ROIName = "膀胱"  # seven bits and an escape: ASCII bytes

    home = parsed(trip.home(trip.received(rename)))

    assert str(home.PatientName) == "Müller^Zoë"
    assert home.StructureSetROISequence[0].ROIName == "膀胱"


@pytest.mark.parametrize(
    "character_set", [b"", b"ISO_IR 100\\ISO_IR 144", b"ISO_IR_100", b"ISO_IR 13", b"ISO_IR 126"]
)
def test_a_name_that_the_character_set_of_the_images_lacks_is_written_in_utf_8(
    character_set: bytes,
) -> None:
    trip = Trip()
    identity = trip.crosswalk.identity | {0x00100010: b"MUSTER^MARIA"}  # type: ignore[operator] # a dict
    trip.crosswalk = trip.crosswalk._replace(identity=identity, character_set=character_set)
    made = DerivedStructure(9, "Lèvre_PRV", Derived(margin="Bladder", mm=5), ())

    finished = reidentify_file(trip.received(), trip.crosswalk, OWN, Presentation(made=(made,)))

    whole = parsed(finished)
    assert whole.SpecificCharacterSet == "ISO_IR 192"
    assert [roi.ROIName for roi in whole.StructureSetROISequence] == [*NAMES, "Lèvre_PRV"]
    assert [one.name for one in read_structure_set(DataSet(finished)).rois] == [*NAMES, "Lèvre_PRV"]


def test_bytes_without_a_declared_character_set_are_delivered_unchanged() -> None:
    trip = Trip()
    raw = as_bytes(trip.sources[0]).replace(b"Muster^Maria", b"M\xfcster^Maria")
    identity = read_identity(read_header(raw, complete=True))
    trip.crosswalk = trip.crosswalk._replace(identity=identity, character_set=b"")

    home = trip.home(trip.received())

    assert read_header(home, complete=True).raw(0x00100010) == b"M\xfcster^Maria"


@pytest.mark.parametrize("character_set", [b"ISO_IR 9999", b"ISO_IR 192"])
def test_a_name_that_cannot_be_recoded_is_not_guessed(character_set: bytes) -> None:
    trip = Trip()
    identity = trip.crosswalk.identity | {0x00100010: b"M\xfcster "}  # type: ignore[operator] # a dict
    trip.crosswalk = trip.crosswalk._replace(identity=identity, character_set=character_set)

    def rename(dataset: Dataset) -> None:
        dataset.StructureSetROISequence[0].ROIName = "Harnröhre"

    received = trip.received(rename)
    with pytest.raises(BadStructureSet, match="character set"):
        trip.home(received)


# --- structure sets of vendors ----------------------------------------------------------------


def structure_set_files() -> Iterator[Path]:
    for path in real_files():
        try:
            header = read_header(path.read_bytes(), complete=True)
        except (NotDicom, Incomplete):
            continue
        if header.text(0x00080016) == RT_STRUCTURE_SET:
            yield path


def check_delivery(path: Path) -> None:
    """Deliver a vendor's structure set as if the server had sent it."""
    data = path.read_bytes()
    facts = read_structure_set(DataSet(data))
    images = sorted({uid for uid, _ in facts.images | facts.contour_images})
    (frame,) = facts.frames
    (series, *_) = [*facts.referenced_series, "1.2.3"]
    uids = {uid: KEY.uid(f"there {uid}") for uid in (facts.study_uid, series, frame, *images)}
    header = read_header(data, complete=True)
    crosswalk = Crosswalk(
        series_uid=uids[series],
        study_uid=uids[facts.study_uid],
        patient_id="",
        patient_name="",
        files=tuple(SourceFile("x", 1, 1, uids[uid]) for uid in images),
        frame_uid=uids[frame],
        identity=read_identity(header),
        character_set=header.raw(0x00080005) or b"",
        uids=uids,
        sop_class=CT,
    )

    finished = reidentify_file(header, crosswalk, OWN)

    expected = expect_finished(crosswalk, frozenset(OWN), [roi.name for roi in facts.rois])
    now = read_structure_set(DataSet(finished))
    assert not [one for one in inspect(now, expected) if one.severity is not Severity.WARN]
    assert now.rois == facts.rois
    assert {uid for uid, _ in now.contour_images} == {uids[u] for u, _ in facts.contour_images}
    before, after = read_contours(DataSet(data)), read_contours(DataSet(finished))
    for was, is_now in zip(before, after, strict=True):
        assert (was.roi, was.kind, was.count) == (is_now.roi, is_now.kind, is_now.count)
        assert [uids[uid] for uid, _ in was.images] == [uid for uid, _ in is_now.images]
        for one, other in zip(was.data.split(b"\\"), is_now.data.split(b"\\"), strict=True):
            same = one.strip(b" \0") == other.strip(b" \0")
            assert same or (len(one) > 16 and abs(float(one) - float(other)) < 0.01)


@needs_real
def test_no_contour_of_any_vendor_moves() -> None:
    paths = list(structure_set_files())

    for path in paths:
        check_delivery(path)

    assert len(paths) > 12


@needs_real
@pytest.mark.parametrize(
    "archive", ["rt/mr_t2_mim_sts001_raw.tar.xz", "rt/xio_oraw_lung1-002.tar.xz"]
)
def test_no_contour_of_a_large_structure_set_moves(archive: str, tmp_path: Path) -> None:
    paths = [
        path
        for path in unpacked(archive, tmp_path)
        if "mask" in path.parts or "RTSTRUCT" in path.parts
    ]

    for path in paths:
        check_delivery(path)

    assert len(paths) == 1


# --- broken files -----------------------------------------------------------------------------


def explicit(data: bytes) -> bytes:
    """Return a structure set in explicit VR."""
    dataset = dcmread(io.BytesIO(data))
    list(dataset.iterall())  # decoded, so that it can be encoded anew
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a list that is too long goes as UN, with a warning
        return written(dataset)


def test_a_coordinate_list_too_long_for_explicit_vr_is_delivered(trip: Trip) -> None:
    def lengthen(dataset: Dataset) -> None:
        contour = dataset.ROIContourSequence[0].ContourSequence[0]
        contour.ContourData = ["-123.456789"] * 9000

    received = explicit(trip.received(lengthen).data)

    home = trip.home(read_header(received, complete=True))

    assert coordinates(home)[:9000] == ["-123.456789"] * 9000


def bytes_changed(data: bytearray, dice: random.Random) -> bytes:
    """Change some bytes, and now and then cut off the end."""
    for _ in range(dice.randint(1, 4)):
        data[dice.randrange(132, len(data))] = dice.choice([0, 0xFF, dice.randrange(256)])
    return bytes(data[: dice.choice([len(data), len(data), dice.randrange(132, len(data))])])


def digits_changed(data: bytearray, dice: random.Random) -> bytes:
    """Change some digits: of UIDs, coordinates, dates and numbers, which stay well-formed."""
    digits = [at for at in range(400, len(data)) if chr(data[at]).isdigit()]
    for at in dice.sample(digits, dice.randint(1, 3)):
        data[at] = ord(dice.choice("0123456789"))
    return bytes(data)


def finished_if_accepted(data: bytes, trip: Trip) -> bytes | None:
    """Return the delivered file; None if the gate blocks it or it cannot be read."""
    if any(one.severity is not Severity.WARN for one in trip.found(data)):
        return None
    try:
        finished = trip.home(read_header(data, complete=True))
    except (BadStructureSet, NotDicom, Incomplete):
        return None
    blocked = any(one.severity is not Severity.WARN for one in trip.found_finished(finished))
    return None if blocked else finished


@pytest.mark.sweep
@pytest.mark.parametrize("mutated", [bytes_changed, digits_changed])
@pytest.mark.parametrize("form", [bytes, explicit], ids=["implicit", "explicit"])
def test_mutated_structure_sets_are_held_or_right(
    trip: Trip,
    mutated: Callable[[bytearray, random.Random], bytes],
    form: Callable[[bytes], bytes],
) -> None:
    dice = random.Random(20260314)  # noqa: S311 - to be the same each time
    good, delivered = form(trip.received().data), 0
    sops = [str(source.SOPInstanceUID) for source in trip.sources]

    for _ in range(MUTATIONS):
        finished = finished_if_accepted(mutated(bytearray(good), dice), trip)
        if finished is None:
            continue
        delivered += 1
        seen = parsed(finished)  # by pydicom, which has no part in it
        assert seen.PatientID == "PID-0815"
        assert [roi.ROIName for roi in seen.StructureSetROISequence] == NAMES
        for roi in seen.ROIContourSequence:
            for contour in roi.ContourSequence:
                xs, ys, zs = (list(map(float, contour.ContourData[n::3])) for n in range(3))
                images = contour.get("ContourImageSequence", ())
                named = [one.ReferencedSOPInstanceUID for one in images]
                near = [sops.index(uid) for uid in named] or range(3)
                assert any(all(abs(z - 3 * n) < 1.61 for z in zs) for n in near)
                assert all(-256 <= value <= 66 for value in (*xs, *ys))

    assert MUTATIONS / 50 < delivered < MUTATIONS / 1.2


def of_items(content: bytes) -> bytes:
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(content)) + content


def sequence(tag: int, items: bytes) -> bytes:
    return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, b"SQ", 0, len(items)) + items


def numbered(tag: int, vr: bytes, text: str) -> bytes:
    value = text.encode("ascii") + b" " * (len(text) % 2)
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


FLOODS = {
    "structures": (
        sequence(
            0x30060020, b"".join(of_items(numbered(0x30060022, b"IS", "1")) for _ in range(30))
        ),
        "more items than in any structure set",
    ),
    "items": (
        sequence(0x30060010, of_items(b"") * 60),
        "more items than in any structure set",
    ),
    "images": (
        sequence(
            0x30060039,
            of_items(
                sequence(
                    0x30060040,
                    of_items(
                        sequence(
                            0x30060016,
                            b"".join(
                                of_items(numbered(0x00081155, b"UI", f"1.{number}"))
                                for number in range(30)
                            ),
                        )
                    ),
                )
                + numbered(0x30060084, b"IS", "1")
            ),
        ),
        "more images than any series has",
    ),
}


@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_of_items_fills_no_memory(flood: str, monkeypatch: pytest.MonkeyPatch) -> None:
    body, why = FLOODS[flood]
    for name, most in (("ITEMS", 50), ("STRUCTURES", 20), ("IMAGES", 20)):
        monkeypatch.setattr(f"drawcli.core.gate.structure_set._MOST_{name}", most)
    head = numbered(0x00080060, b"CS", "RTSTRUCT")

    with pytest.raises(Malformed, match=why):
        read_structure_set(DataSet(head + body))


def test_a_contour_of_a_million_points_has_no_coordinates() -> None:
    few, many = (
        FileContour(1, "CLOSED_PLANAR", str(points), (), b"\\".join([b"1"] * 3 * points))
        for points in (100_000, 1_000_000)
    )

    assert len(few.points() or ()) == 100_000
    assert many.points() is None
