"""Multi-frame images: planes, completeness, and de-identification of functional groups."""

import struct
import time
from collections.abc import Callable
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset, Sequence, dcmread
from pydicom.uid import UID

from drawcli.core.deid.coded_entries import meaning_of
from drawcli.core.deid.engine import Replacements, deidentify_header
from drawcli.core.deid.pseudonyms import StandIns, shift_datetime
from drawcli.core.dicom.header import NotDicom, read_header
from drawcli.core.dicom.instance import slice_of
from drawcli.core.dicom.multiframe import frames_of
from drawcli.core.dicom.sop_classes import ENHANCED_CT, MULTI_FRAME
from drawcli.core.series.readiness import Criteria, assess
from tests.core.files import ROOT, as_bytes, ct_slice, item
from tests.core.real_data import REAL, needs_real
from tests.validator import errors_of, needs_validator

DEMANDS = Criteria(modalities=frozenset({"CT", "MR", "PT"}), min_slices=3, quiet_seconds=0)
NAMES = ("Muster", "Maria", "Geheim")  # of the patient, and of somebody no other element names
Change = Callable[[Dataset], None]


def one(**values: object) -> Sequence:
    return Sequence([item(**values)])


def enhanced_ct(frames: int = 5, *, sop_class: str = ENHANCED_CT) -> Dataset:
    """Return an enhanced CT of 2 x 2 pixels, 3 mm from frame to frame."""
    image = ct_slice(SOPClassUID=sop_class, NumberOfFrames=frames, PixelData=bytes(8 * frames))
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "KVP"):
        delattr(image, keyword)
    image.SharedFunctionalGroupsSequence = one(
        PixelMeasuresSequence=one(PixelSpacing=[1, 1], SliceThickness=3),
        PlaneOrientationSequence=one(ImageOrientationPatient=[1, 0, 0, 0, 1, 0]),
        CTImageFrameTypeSequence=one(FrameType=["ORIGINAL", "PRIMARY", "AXIAL", "NONE"]),
    )
    image.PerFrameFunctionalGroupsSequence = Sequence(
        [
            item(
                FrameContentSequence=one(
                    FrameAcquisitionDateTime=f"20260314083{number % 6}00.25",
                    FrameReferenceDateTime="20260315",
                    StackID="1",
                    InStackPositionNumber=number + 1,
                    DimensionIndexValues=[1, number + 1],
                ),
                PlanePositionSequence=one(ImagePositionPatient=[-5, -5, 3 * number]),
            )
            for number in range(frames)
        ]
    )
    return image


def groups(image: Dataset, number: int) -> Dataset:
    found: Dataset = image.PerFrameFunctionalGroupsSequence[number]
    return found


def verdict(*images: Dataset, syntax: str = "explicit") -> tuple[str, str]:
    slices = []
    for image in images:
        data = as_bytes(image, syntax)
        header = read_header(data, complete=True)
        slices.append(slice_of(header, path="x", size=len(data), mtime_ns=0))
    found = assess(slices, DEMANDS)
    return str(found.readiness), found.code


def sent(image: Dataset, syntax: str = "explicit") -> tuple[bytes, Dataset, Replacements]:
    """Return a de-identified image as bytes and data set, and the replacements."""
    data = as_bytes(image, syntax)
    header = read_header(data, complete=True)
    replacements = Replacements.of(header, StandIns(b"k" * 32))
    assert header.pixels is not None
    raw = deidentify_header(header, replacements) + data[header.pixels.value :]
    return raw, dcmread(BytesIO(raw)), replacements


# --- where frames lie -------------------------------------------------------------------------


@pytest.mark.parametrize("sop_class", MULTI_FRAME)
@pytest.mark.parametrize("syntax", ["explicit", "implicit"])
def test_a_whole_volume_is_ready(sop_class: str, syntax: str) -> None:
    assert verdict(enhanced_ct(sop_class=sop_class), syntax=syntax) == ("ready", "")


def in_per_frame_groups(image: Dataset) -> None:
    shared = image.SharedFunctionalGroupsSequence[0]
    for frame in image.PerFrameFunctionalGroupsSequence:
        frame.PixelMeasuresSequence = shared.PixelMeasuresSequence
        frame.PlaneOrientationSequence = shared.PlaneOrientationSequence
    image.SharedFunctionalGroupsSequence = Sequence()


def backwards(image: Dataset) -> None:
    frames = list(image.PerFrameFunctionalGroupsSequence)
    image.PerFrameFunctionalGroupsSequence = Sequence(frames[::-1])


def undefined_lengths(image: Dataset) -> None:
    for element in image:
        element.is_undefined_length = element.VR == "SQ"
    for frame in image.PerFrameFunctionalGroupsSequence:
        frame.is_undefined_length_sequence_item = True


@pytest.mark.parametrize("change", [in_per_frame_groups, backwards, undefined_lengths])
def test_the_encoding_of_the_groups_does_not_matter(change: Change) -> None:
    image = enhanced_ct()
    change(image)

    assert verdict(image) == ("ready", "")


def set_position(number: int, *position: float) -> Change:
    def change(image: Dataset) -> None:
        groups(image, number).PlanePositionSequence[0].ImagePositionPatient = list(position)

    return change


def drop_frame(image: Dataset) -> None:
    image.PerFrameFunctionalGroupsSequence.pop(2)


def drop_frame_and_pixels(image: Dataset) -> None:
    drop_frame(image)
    image.NumberOfFrames = 4
    image.PixelData = bytes(32)


def tilt(image: Dataset) -> None:
    groups(image, 3).PlaneOrientationSequence = one(ImageOrientationPatient=[1, 0, 0, 0, 0, 1])


def finer(image: Dataset) -> None:
    groups(image, 3).PixelMeasuresSequence = one(PixelSpacing=[0.5, 0.5])


def localizer(image: Dataset) -> None:
    kind = ["ORIGINAL", "PRIMARY", "LOCALIZER", "NONE"]
    groups(image, 3).CTImageFrameTypeSequence = one(FrameType=kind)


def setting(**values: object) -> Change:
    def change(image: Dataset) -> None:
        for keyword, value in values.items():
            setattr(image, keyword, value)

    return change


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (set_position(3, -5, -5, 6), ("waiting", "same-position")),
        (set_position(4, -5, -5, 30), ("waiting", "missing-slices")),
        (set_position(2, 5, -5, 6), ("waiting", "crooked")),
        (drop_frame, ("waiting", "frames-missing")),
        (drop_frame_and_pixels, ("waiting", "missing-slices")),
        (tilt, ("waiting", "mixed-orientations")),
        (finer, ("waiting", "mixed-spacings")),
        (localizer, ("refused", "localizer-frames")),
        (setting(PixelData=bytes(32)), ("waiting", "truncated")),
        (setting(PixelData=bytes(48)), ("refused", "extra-pixels")),
        (setting(SharedFunctionalGroupsSequence=Sequence()), ("waiting", "no-geometry")),
        (setting(PerFrameFunctionalGroupsSequence=Sequence()), ("waiting", "frames-missing")),
        (setting(ConcatenationUID=f"{ROOT}.9"), ("refused", "concatenation")),
        (setting(PixelPresentation="COLOR"), ("refused", "colour")),
        (setting(SOPClassUID="1.2.840.10008.5.1.4.1.1.4.3"), ("refused", "colour")),
        (setting(SOPClassUID="1.2.840.10008.5.1.4.1.1.4.2"), ("refused", "spectroscopy")),
    ],
)
def test_each_fault_has_its_finding(change: Change, expected: tuple[str, str]) -> None:
    image = enhanced_ct()
    change(image)

    assert verdict(image) == expected


def test_a_series_of_two_volumes_is_refused() -> None:
    second = enhanced_ct()
    second.SOPInstanceUID = f"{ROOT}.1.2"

    assert verdict(enhanced_ct(), second) == ("refused", "several-multiframe")
    assert verdict(enhanced_ct(), ct_slice()) == ("waiting", "mixed-kinds")


def test_few_frames_are_few_slices() -> None:
    assert verdict(enhanced_ct(2)) == ("ignored", "few-slices")


def test_truncated_groups_give_no_frames() -> None:
    data = as_bytes(enhanced_ct())
    header = read_header(data, complete=True)
    element = header.elements[0x52009230]
    short = element._replace(end=element.value + 20)
    cut = header._replace(elements={**header.elements, 0x52009230: short})

    found = frames_of(cut)

    assert found is not None
    assert (found.count, found.planes) == (5, ())
    with pytest.raises(NotDicom):
        deidentify_header(cut, Replacements.of(header, StandIns(b"k" * 32)))


# --- what leaves ------------------------------------------------------------------------------


def plant(groups_of: Dataset) -> None:
    """Write names into texts of a frame."""
    content = groups_of.FrameContentSequence[0]
    content.FrameComments = "ask Geheim"
    content.FrameLabel = "Geheim"
    content.StackID = "Geheim"
    content.CardiacCyclePosition = None
    block = groups_of.private_block(0x0029, "GEHEIM INC", create=True)
    block.add_new(1, "LO", "Muster^Maria")
    inner = content.private_block(0x0029, "GEHEIM INC", create=True)
    inner.add_new(1, "SQ", one(PatientName="Geheim^Gerd"))
    groups_of.FrameAnatomySequence = one(
        FrameLaterality="U",
        AnatomicRegionSequence=Sequence(
            [
                item(CodeValue="T-D1100", CodingSchemeDesignator="SRT", CodeMeaning="Maria's head"),
                item(CodeValue="GEHEIM", CodingSchemeDesignator="99X", CodeMeaning="Geheim"),
                item(CodeValue="GEHEIM", CodingSchemeDesignator="SCT", CodeMeaning="Muster"),
            ]
        ),
    )
    groups_of.RealWorldValueMappingSequence = one(LUTExplanation="Geheim", LUTLabel="Muster")
    groups_of.ReferencedImageSequence = one(ReferencedSOPInstanceUID=f"{ROOT}.77")
    groups_of.DerivationImageSequence = one(DerivationDescription="for Geheim")
    groups_of.PatientName = "Muster^Maria"
    groups_of.CTExposureSequence = one(ExposureInmAs=struct.unpack("<d", b"MusterMA")[0])


@pytest.mark.parametrize("syntax", ["explicit", "implicit"])
def test_names_in_frame_200_and_in_shared_groups_are_not_sent(syntax: str) -> None:
    image = enhanced_ct(220)
    plant(groups(image, 199))
    shared = image.SharedFunctionalGroupsSequence[0]
    shared.FrameContentSequence = one(StackID="1")
    plant(shared)

    raw, after, _ = sent(image, syntax)

    assert [name for name in NAMES if name.lower().encode() in raw.lower()] == []
    assert f"{ROOT}.77".encode() not in raw
    frame = groups(after, 199)
    assert frame.PlanePositionSequence[0].ImagePositionPatient == [-5, -5, 597]
    (region,) = frame.FrameAnatomySequence[0].AnatomicRegionSequence
    assert (region.CodeValue, region.CodeMeaning) == ("T-D1100", "Head")
    assert not any(element.tag.is_private for element in after.iterall())


def test_dates_of_frames_move_with_the_study() -> None:
    image = enhanced_ct()

    _, after, replacements = sent(image)

    assert isinstance(replacements.shift, timedelta)
    for number in range(5):
        before = groups(image, number).FrameContentSequence[0]
        content = groups(after, number).FrameContentSequence[0]
        for keyword in ("FrameAcquisitionDateTime", "FrameReferenceDateTime"):
            moved = shift_datetime(str(before[keyword].value), replacements.shift)
            assert str(content[keyword].value) == moved
            assert replacements.dates[moved] == str(before[keyword].value)
    assert replacements.dates[after.StudyDate] == image.StudyDate


def test_uids_within_groups_get_stand_ins_and_numbers_stay() -> None:
    image = enhanced_ct()
    organization = f"{ROOT}.5"
    image.DimensionOrganizationSequence = one(DimensionOrganizationUID=organization)
    image.DimensionIndexSequence = one(
        DimensionOrganizationUID=organization,
        DimensionIndexPointer=0x00209057,
        FunctionalGroupPointer=0x00209111,
    )

    _, after, replacements = sent(image)

    (index,) = after.DimensionIndexSequence
    assert replacements.uids[index.DimensionOrganizationUID] == organization
    (named,) = after.DimensionOrganizationSequence
    assert named.DimensionOrganizationUID == index.DimensionOrganizationUID
    assert (index.DimensionIndexPointer, index.FunctionalGroupPointer) == (0x00209057, 0x00209111)
    assert [
        list(frame.FrameContentSequence[0].DimensionIndexValues)
        for frame in after.PerFrameFunctionalGroupsSequence
    ] == [[1, number] for number in range(1, 6)]


def test_unassigned_converted_attributes_follow_the_policy() -> None:
    image = enhanced_ct(sop_class="1.2.840.10008.5.1.4.1.1.2.2")
    shared = image.SharedFunctionalGroupsSequence[0]
    shared.UnassignedSharedConvertedAttributesSequence = one(
        KVP="120", StudyComments="Geheim", ProtocolName="Geheim", AcquisitionDate="20260314"
    )
    for number in range(5):
        groups(image, number).ConversionSourceAttributesSequence = one(
            ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2",
            ReferencedSOPInstanceUID=f"{ROOT}.8.{number}",
        )

    raw, after, replacements = sent(image)

    assert b"Geheim" not in raw
    (rest,) = after.SharedFunctionalGroupsSequence[0].UnassignedSharedConvertedAttributesSequence
    assert {element.keyword for element in rest} == {"KVP"}
    for number in range(5):
        (source,) = groups(after, number).ConversionSourceAttributesSequence
        assert source.ReferencedSOPClassUID == "1.2.840.10008.5.1.4.1.1.2"
        assert replacements.uids[source.ReferencedSOPInstanceUID] == f"{ROOT}.8.{number}"


@pytest.mark.parametrize(
    ("value", "scheme", "meaning"),
    [
        ("T-D3000", "SRT", "Chest"),
        ("T-D3000", "SNM3", "Chest"),
        ("818981001", "SCT", "Abdomen"),
        ("Bq/ml", "UCUM", "Becquerels/milliliter"),
        ("113691", "DCM", "IEC Body Dosimetry Phantom"),
        ("T-D3000", "99LOCAL", ""),
        ("", "", ""),
        ("MUSTER", "SCT", ""),
    ],
)
def test_a_code_has_the_meaning_of_its_scheme(value: str, scheme: str, meaning: str) -> None:
    assert meaning_of(value, scheme) == meaning


def test_a_thousand_frames_take_no_longer_each_than_a_hundred() -> None:
    seconds: dict[int, float] = {}
    for frames in (100, 1000):
        data = as_bytes(enhanced_ct(frames))
        for _ in range(3):
            begun = time.process_time()
            header = read_header(data, complete=True)
            found = slice_of(header, path="x", size=len(data), mtime_ns=0)
            deidentify_header(header, Replacements.of(header, StandIns(b"k" * 32)))
            took = time.process_time() - begun
            seconds[frames] = min(took, seconds.get(frames, took))
        assert len(found.planes) == frames

    assert seconds[1000] < 40 * seconds[100]  # 14 times were measured; a square takes 100
    assert seconds[1000] < 5


# --- real files -------------------------------------------------------------------------------

FILES = {
    "Siemens enhanced MR": (
        "odd/dicom2nifti/siemens_multiframe/anatomical/001/IM-0001-0001-0001.dcm",
        ("ready", ""),
    ),
    "converted CT": ("odd/dcmqi/segmentations/23x38x3/multiframe/mf.dcm", ("ready", "")),
    "enhanced CT, a map in colours": (
        "odd/dicomparser/encapsulated/multi-frame/CT0012.explicit_little_endian.dcm",
        ("refused", "colour"),
    ),
}


@needs_real
@pytest.mark.parametrize(("name", "expected"), FILES.values(), ids=FILES)
def test_real_images_are_judged_as_recorded(name: str, expected: tuple[str, str]) -> None:
    data = (REAL / name).read_bytes()
    header = read_header(data, complete=True)
    one_slice = slice_of(header, path="x", size=len(data), mtime_ns=0)

    found = assess([one_slice], DEMANDS)

    assert len(one_slice.planes) == int(header.text(0x00280008))
    assert (str(found.readiness), found.code) == expected


@needs_real
@needs_validator
@pytest.mark.parametrize("name", [FILES["Siemens enhanced MR"][0], FILES["converted CT"][0]])
def test_real_images_have_no_other_errors_than_before(name: str, tmp_path: Path) -> None:
    data = (REAL / name).read_bytes()
    header = read_header(data, complete=True)
    assert header.pixels is not None
    after = tmp_path / "after.dcm"

    raw = deidentify_header(header, Replacements.of(header, StandIns(b"k" * 32)))
    after.write_bytes(raw + data[header.pixels.value :])

    assert errors_of(after) - errors_of(REAL / name) == set()
    assert UID(str(dcmread(after).SOPClassUID)) in MULTI_FRAME
