"""The way back: made structure sets, those of vendors, foreign references, names, broken files."""

import io
import random
import struct
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian

from drawcli.core.acceptance import Severity, inspect
from drawcli.core.contours import contours_of
from drawcli.core.crosswalk import RESTORED, Crosswalk, SourceFile, identity_of
from drawcli.core.deidentify import Replacements, deidentified
from drawcli.core.dicom import Header, Incomplete, NotDicom, encoded, encoded_item, read_header
from drawcli.core.drawing import inspect_contours, weighed
from drawcli.core.grid import Grid
from drawcli.core.pseudonym import StandIns
from drawcli.core.reidentify import reidentified
from drawcli.core.structure_set import facts_of
from drawcli.errors import BadStructureSet
from tests.core.files import CT, ROOT, as_bytes, ct_slice, item, parsed
from tests.core.real_data import needs_real, real_files, unpacked
from tests.structure_sets import RT_STRUCTURE_SET, structure_set, written

KEY = StandIns(b"site key of the tests, 32 bytes.")
NAMES = ["Bladder", "Femur_Head_L"]
MUTATIONS = 1250  # of each kind, in each form
OWN_SOP, OWN_SERIES = "2.25.1001", "2.25.1002"


class Trip:
    """A series of three slices, as it was, as it was sent, and the way back."""

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
        self.sent = [parsed(deidentified(header, known) + bytes(8)) for header in headers]
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
            identity=identity_of(headers[0]),
            character_set=headers[0].raw(0x00080005) or b"",
        )

    def received(self, change: Callable[[Dataset], None] | None = None) -> Header:
        """Return the structure set of the server, perhaps spoilt."""
        return read_header(structure_set(self.sent, NAMES, change=change), complete=True)

    def home(self, header: Header) -> bytes:
        own = {header.text(0x00080018): OWN_SOP, header.text(0x0020000E): OWN_SERIES}
        return reidentified(header, self.crosswalk, own)


@pytest.fixture
def trip() -> Trip:
    return Trip()


def values_of(dataset: Dataset, vr: str) -> list[str]:
    """Return all values of a VR at every depth, in the order of the file."""
    return [
        str(value)
        for element in dataset.iterall()
        if vr == element.VR
        for value in (element.value if element.VM > 1 else [element.value])
    ]


# --- facts ------------------------------------------------------------------------------------


def test_the_facts_are_those_that_pydicom_sees(trip: Trip) -> None:
    header = trip.received()

    facts = facts_of(header)

    seen = dcmread(io.BytesIO(header.data))
    uids = {uid for uid in values_of(seen, "UI") if not uid.startswith("1.2.840.10008.")}
    assert facts.uids == uids
    assert (facts.sop_class, facts.sop_uid) == (RT_STRUCTURE_SET, str(seen.SOPInstanceUID))
    assert (facts.study_uid, facts.series_uid) == (seen.StudyInstanceUID, seen.SeriesInstanceUID)
    assert facts.patient_id == seen.PatientID
    assert facts.referenced_series == {str(trip.sent[0].SeriesInstanceUID)}
    assert facts.contour_images == {str(one.SOPInstanceUID) for one in trip.sent}
    assert [(roi.number, roi.name, roi.contours) for roi in facts.rois] == [
        (1, "Bladder", 3),
        (2, "Femur_Head_L", 3),
    ]
    assert (facts.contoured, facts.observed, facts.has_pixels) == ((1, 2), (1, 2), False)
    assert inspect(facts, trip.crosswalk, NAMES) == []


def framed(number: object) -> Callable[[Dataset], None]:
    """Return a change that names a frame of each image that a contour lies on."""

    def change(dataset: Dataset) -> None:
        for roi in dataset.ROIContourSequence:
            for contour in roi.ContourSequence:
                contour.ContourImageSequence[0].add_new("ReferencedFrameNumber", "IS", number)

    return change


def test_the_frames_of_contours_are_read_and_come_home(trip: Trip) -> None:
    received = trip.received(framed([1, 3]))

    facts = facts_of(received)

    images = {str(one.SOPInstanceUID) for one in trip.sent}
    assert facts.contour_frames == {(uid, number) for uid in images for number in (1, 3)}
    found = [one.code for one in inspect(facts, trip.crosswalk, NAMES)]
    assert found == ["foreign-frame-number"]
    home = parsed(trip.home(received))
    (image,) = home.ROIContourSequence[0].ContourSequence[0].ContourImageSequence
    assert image.ReferencedFrameNumber == [1, 3]
    assert image.ReferencedSOPInstanceUID == trip.sources[0].SOPInstanceUID


def test_a_frame_that_is_no_number_is_refused(trip: Trip) -> None:
    data = structure_set(trip.sent, NAMES, change=framed("7")).replace(b"7 ", b"x ")

    with pytest.raises(BadStructureSet):
        facts_of(read_header(data, complete=True))


def test_values_longer_than_their_vr_allows_are_told(trip: Trip) -> None:
    def lengthen(dataset: Dataset) -> None:
        dataset.add_new(0x00081010, "SH", "STATION-NAME-OF-17")
        dataset.add_new(0x0008103E, "LO", "x" * 64)
        dataset.RTROIObservationsSequence[0].add_new(0x30060085, "SH", "\u00c4" * 16)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        header = trip.received(lengthen)
    found = inspect(facts_of(header), trip.crosswalk, NAMES)

    assert [(one.code, one.severity) for one in found] == [("value-too-long", Severity.WARN)]
    assert found[0].text.endswith(": StationName")
    assert inspect(facts_of(trip.received()), trip.crosswalk, NAMES) == []


def test_a_structure_without_contours_has_none(trip: Trip) -> None:
    def empty(dataset: Dataset) -> None:
        del dataset.ROIContourSequence[0].ContourSequence

    assert [roi.contours for roi in facts_of(trip.received(empty)).rois] == [0, 3]


def test_a_name_is_read_in_the_character_set_of_the_file(trip: Trip) -> None:
    def rename(dataset: Dataset) -> None:
        dataset.StructureSetROISequence[0].ROIName = "Harnröhre"

    assert facts_of(trip.received(rename)).rois[0].name == "Harnröhre"


def test_a_name_that_is_not_in_its_character_set_is_not_guessed(trip: Trip) -> None:
    def rename(dataset: Dataset) -> None:
        dataset.SpecificCharacterSet = "ISO_IR 192"
        dataset.StructureSetROISequence[0].ROIName = "Harnröhre"

    data = trip.received(rename).data.replace("Harnröhre".encode(), b"Harnr\xf6hre ")

    with pytest.raises(BadStructureSet, match="character set"):
        facts_of(read_header(data, complete=True))


# --- the way back -----------------------------------------------------------------------------


def test_every_reference_comes_home(trip: Trip) -> None:
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
    assert (home.SOPInstanceUID, home.SeriesInstanceUID) == (OWN_SOP, OWN_SERIES)
    assert home.file_meta.MediaStorageSOPInstanceUID == OWN_SOP
    assert home.SOPClassUID == home.file_meta.MediaStorageSOPClassUID == RT_STRUCTURE_SET


def test_nothing_of_the_stand_ins_is_left(trip: Trip) -> None:
    raw = trip.home(trip.received())

    assert b"DEID" not in raw
    assert not [uid for uid in trip.crosswalk.uids if uid.encode() in raw]
    assert not [day for day in trip.crosswalk.dates if day.encode() in raw]


def test_patient_and_study_are_the_sources_and_nothing_is_made_up() -> None:
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


def test_what_the_source_lacks_is_empty_or_absent(trip: Trip) -> None:
    trip.crosswalk = replace(trip.crosswalk, identity={0x00100020: b"PID-0815"})

    home = parsed(trip.home(trip.received()))

    for keyword in "PatientName StudyDate StudyID AccessionNumber ReferringPhysicianName".split():
        assert str(home[keyword].value or "") == ""
    assert "StudyDescription" not in home
    assert home.PatientID == "PID-0815"


def test_the_marks_of_de_identification_are_gone(trip: Trip) -> None:
    def mark(dataset: Dataset) -> None:
        dataset.PatientIdentityRemoved = "YES"
        dataset.DeidentificationMethod = "drawcli"
        dataset.DeidentificationMethodCodeSequence = [item(CodeValue="113100")]
        dataset.LongitudinalTemporalInformationModified = "MODIFIED"

    home = parsed(trip.home(trip.received(mark)))

    assert home.PatientIdentityRemoved == "NO"
    for keyword in "DeidentificationMethod DeidentificationMethodCodeSequence".split():
        assert keyword not in home
    assert "LongitudinalTemporalInformationModified" not in home


def test_private_elements_and_group_lengths_stay_behind(trip: Trip) -> None:
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


# --- what must not come home ------------------------------------------------------------------


def reference_at(depth: int, uid: str) -> Callable[[Dataset], None]:
    """Return a change that hides a reference in sequences in each other."""

    def change(dataset: Dataset) -> None:
        inside = item(ReferencedSOPClassUID=CT, ReferencedSOPInstanceUID=uid)
        for _ in range(depth):
            inside = item(ReferencedImageSequence=[inside])
        dataset.StructureSetROISequence[0].ReferencedImageSequence = [inside]

    return change


@pytest.mark.parametrize("depth", [0, 1, 2, 5, 12, 25])
@pytest.mark.parametrize("uid", ["1.2.3.4", f"{ROOT}.1.1", "2.25.7", "1.2.840.10008.20260314.1"])
def test_a_foreign_reference_is_refused_at_any_depth(trip: Trip, depth: int, uid: str) -> None:
    received = trip.received(reference_at(depth, uid))

    assert "foreign-reference" in [
        found.code for found in inspect(facts_of(received), trip.crosswalk, NAMES)
    ]
    with pytest.raises(BadStructureSet) as refused:
        trip.home(received)
    assert refused.value.code == "foreign-reference"
    assert uid not in str(refused.value)


def test_a_reference_of_the_job_is_mapped_at_any_depth(trip: Trip) -> None:
    stand_in = str(trip.sent[1].SOPInstanceUID)

    home = trip.home(trip.received(reference_at(25, stand_in)))

    assert parsed(home).StructureSetROISequence[0].ReferencedImageSequence
    assert home.count(f"{ROOT}.1.1".encode()) == 1 + 1 + len(NAMES)  # series, hidden, contours


def test_a_reference_under_a_wrong_vr_is_not_overlooked(trip: Trip) -> None:
    received = explicit(trip.received().data)
    uid = str(trip.sent[0].SOPInstanceUID).encode()
    old = b"\x08\0\x55\x11UI" + struct.pack("<H", len(uid) + len(uid) % 2) + uid
    assert old in received

    home = trip.home(
        read_header(received.replace(old, old.replace(b"UI", b"LO", 1)), complete=True)
    )

    assert uid not in home


def test_sequences_nested_too_deep_are_refused(trip: Trip) -> None:
    inside = b""
    for _ in range(500):
        inside = encoded(0x00080051, b"SQ", encoded_item(inside), explicit=False)
    data = trip.received().data
    first = data.index(b"\x08\0\x60\0")
    header = read_header(data[:first] + inside + data[first:], complete=True)

    for use in (facts_of, trip.home):
        with pytest.raises(BadStructureSet):
            use(header)


def test_what_nobody_can_check_is_refused(trip: Trip) -> None:
    def add(dataset: Dataset) -> None:
        dataset.add_new(0x3006FFF0, "UN", b"what")

    with pytest.raises(BadStructureSet, match="unknown kind"):
        trip.home(trip.received(add))


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
def test_a_name_comes_home_byte_for_byte(script: str) -> None:
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


def test_bytes_without_a_declared_character_set_come_home_as_they_were() -> None:
    trip = Trip()
    raw = as_bytes(trip.sources[0]).replace(b"Muster^Maria", b"M\xfcster^Maria")
    identity = identity_of(read_header(raw, complete=True))
    trip.crosswalk = replace(trip.crosswalk, identity=identity, character_set=b"")

    home = trip.home(trip.received())

    assert read_header(home, complete=True).raw(0x00100010) == b"M\xfcster^Maria"


@pytest.mark.parametrize("character_set", [b"ISO_IR 9999", b"ISO_IR 192"])
def test_a_name_that_cannot_be_recoded_is_not_guessed(character_set: bytes) -> None:
    trip = Trip()
    identity = trip.crosswalk.identity | {0x00100010: b"M\xfcster "}  # type: ignore[operator] # a dict
    trip.crosswalk = replace(trip.crosswalk, identity=identity, character_set=character_set)

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


def there_and_back(data: bytes) -> tuple[bytes, bytes]:
    """Map every UID of a structure set to a stand-in, and back."""
    header = read_header(data, complete=True)
    there = {uid: KEY.uid(uid) for uid in facts_of(header).uids}
    crosswalk = Crosswalk(
        series_uid="",
        study_uid="",
        patient_id="",
        patient_name="",
        files=(),
        identity=identity_of(header),
        character_set=header.raw(0x00080005) or b"",
        uids=there,
    )
    away = reidentified(header, crosswalk, {})
    back = replace(crosswalk, uids={stand_in: uid for uid, stand_in in there.items()})
    return away, reidentified(read_header(away, complete=True), back, {})


def public(data: bytes, *vrs: str) -> list[str]:
    """Return what stands in elements of some VRs, but for private ones, in the file's order."""
    found = []

    def walk(dataset: Dataset) -> None:
        for element in dataset:
            marks = element.tag.group in (0x0012, 0x300E) or element.tag == 0x00280303
            person = element.VR == "PN" or element.tag.group == 0x0010
            marks = marks or (person and element.tag not in RESTORED)  # these do change
            if element.tag.is_private or marks or not element.value:
                continue
            if element.VR == "SQ":
                for inside in element.value:
                    walk(inside)
            elif element.VR in vrs:
                found.append(f"{element.tag} {element.value}")

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        walk(dcmread(io.BytesIO(data), force=True))
    return found


def check_there_and_back(path: Path) -> None:
    data = path.read_bytes()

    away, home = there_and_back(data)

    ours = facts_of(read_header(data, complete=True)).uids
    assert ours
    assert ours.isdisjoint(line.split(") ")[1] for line in public(away, "UI"))
    text = ("UI", "IS", "CS", "DA", "TM", "LO", "SH", "PN", "ST", "LT")
    assert public(home, *text) == public(data, *text)
    before, after = coordinates(data), coordinates(home)
    assert len(before) == len(after)
    for was, now in zip(before, after, strict=True):
        assert was == now or (len(was) > 16 and abs(float(was) - float(now)) < 0.01)


@needs_real
def test_every_vendors_structure_set_goes_there_and_back_unchanged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from pydicom import config

    monkeypatch.setattr(config.settings, "reading_validation_mode", config.IGNORE)
    paths = list(structure_set_files())

    for path in paths:
        check_there_and_back(path)

    assert len(paths) > 12


@needs_real
@pytest.mark.parametrize(
    "archive", ["rt/mr_t2_mim_sts001_raw.tar.xz", "rt/xio_oraw_lung1-002.tar.xz"]
)
def test_large_structure_sets_go_there_and_back_unchanged(
    archive: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pydicom import config

    monkeypatch.setattr(config.settings, "reading_validation_mode", config.IGNORE)
    paths = [
        path
        for path in unpacked(archive, tmp_path)
        if "mask" in path.parts or "RTSTRUCT" in path.parts
    ]

    for path in paths:
        check_there_and_back(path)

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


def test_a_coordinate_list_too_long_for_explicit_vr_comes_home(trip: Trip) -> None:
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


def home_if_accepted(data: bytes, trip: Trip) -> bytes | None:
    """Return what would be delivered; None where the gate holds it or it cannot be read."""
    try:
        header = read_header(data, complete=True)
        facts = facts_of(header)
        found = inspect(facts, trip.crosswalk, NAMES)
        names = {roi.number: roi.name for roi in facts.rois}
        grid = Grid.of(trip.crosswalk)
        assert grid is not None
        drawn, _ = inspect_contours(contours_of(header), names, grid, trip.crosswalk.uids)
        found += weighed(drawn, {})
        if any(one.severity is not Severity.WARN for one in found):
            return None
        return trip.home(header)
    except (BadStructureSet, NotDicom, Incomplete):
        return None


@pytest.mark.parametrize("mutated", [bytes_changed, digits_changed])
@pytest.mark.parametrize("form", [bytes, explicit], ids=["implicit", "explicit"])
def test_mutated_structure_sets_are_held_or_right(
    trip: Trip,
    mutated: Callable[[bytearray, random.Random], bytes],
    form: Callable[[bytes], bytes],
) -> None:
    dice = random.Random(20260314)  # noqa: S311 - to be the same each time
    ours = set(trip.crosswalk.uids.values()) | {OWN_SOP, OWN_SERIES}
    good, delivered = form(trip.received().data), 0

    for _ in range(MUTATIONS):
        home = home_if_accepted(mutated(bytearray(good), dice), trip)
        if home is None:
            continue
        delivered += 1
        facts = facts_of(read_header(home, complete=True))
        assert facts.uids <= ours
        assert facts.patient_id == "PID-0815"
        assert [roi.name for roi in facts.rois] == NAMES
        for contour in contours_of(read_header(home, complete=True)):
            points = contour.points() or []
            named = [] if contour.image is None else [int(contour.image[0].rpartition(".")[2])]
            near = [n for n in named or range(3) if all(abs(p[2] - 3 * n) < 1.52 for p in points)]
            assert near
            assert all(-256 <= value <= 66 for point in points for value in point[:2])

    assert MUTATIONS / 50 < delivered < MUTATIONS / 1.2
