"""Which multi-frame images are split into slices, and what a slice has from its frame."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.sequence import Sequence

from drawcli.core.deid.profile import policy_for
from drawcli.core.dicom.encoding import encode_pixel_head
from drawcli.core.dicom.header import Header, read_header
from drawcli.core.dicom.sop_classes import CT_IMAGE
from drawcli.core.frames.attributes import sent_class
from drawcli.core.frames.split import SplitImage
from drawcli.errors import SeriesRefused
from tests.conftest import PELVIS
from tests.core.files import item
from tests.phantoms.enhanced import write_enhanced
from tests.phantoms.mr_pt import write_mr, write_pt
from tests.phantoms.planning import write_planning_ct

FRAMES = 4
WRITE = {"CT": write_planning_ct, "MR": write_mr, "PT": write_pt}
Change = Callable[[Dataset], None]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Write one multi-frame image of each modality."""
    folder = tmp_path_factory.mktemp("frames")
    return {
        modality: write_enhanced(
            folder / f"{modality}.dcm",
            PELVIS,
            write(folder / modality, PELVIS, slices=FRAMES, size=8, seed=1),
        )
        for modality, write in WRITE.items()
    }


def header_of(image: Dataset) -> Header:
    out = BytesIO()
    image.save_as(out, enforce_file_format=True)
    return read_header(out.getvalue(), complete=True)


def split(header: Header) -> SplitImage:
    return SplitImage(header, policy_for(sent_class(header.text(0x00080016))))


def frame_of(image: SplitImage, number: int) -> Dataset:
    """Return a frame as a data set, read by pydicom."""
    head = encode_pixel_head(0, 16, explicit=True)
    header = image.header_of(number, head, "1.2.840.10008.1.2.1")
    return dcmread(BytesIO(bytes(128) + b"DICM" + header.data), force=True)


def shared(image: Dataset) -> Any:
    return image.SharedFunctionalGroupsSequence[0]


def frames(image: Dataset) -> Any:
    return image.PerFrameFunctionalGroupsSequence


def in_content(keyword: str, value: object) -> Change:
    return lambda image: setattr(frames(image)[1].FrameContentSequence[0], keyword, value)


def in_second_frame(sequence: str, **values: object) -> Change:
    """Give the second frame a group that the others share."""

    def change(image: Dataset) -> None:
        group = Dataset()
        group.update(shared(image)[sequence].value[0])
        group.update(item(**values))
        setattr(frames(image)[1], sequence, Sequence([group]))

    return change


def without(sequence: str, *keywords: str) -> Change:
    def change(image: Dataset) -> None:
        for keyword in keywords:
            delattr(shared(image)[sequence].value[0], keyword)

    return change


def with_two_scalings(image: Dataset) -> None:
    scaling = shared(image).PixelValueTransformationSequence
    shared(image).PixelValueTransformationSequence = Sequence([scaling[0], scaling[0]])


def without_position(image: Dataset) -> None:
    del frames(image)[2].PlanePositionSequence


def without_units(image: Dataset) -> None:
    del shared(image).RealWorldValueMappingSequence
    shared(image).PixelValueTransformationSequence[0].RescaleType = "US"


def with_units_of_another_scale(image: Dataset) -> None:
    shared(image).RealWorldValueMappingSequence[0].RealWorldValueSlope = 17.0
    shared(image).PixelValueTransformationSequence[0].RescaleType = "US"


def without_a_frame(image: Dataset) -> None:
    frames(image).pop()


AGAINST: tuple[tuple[str, Change, str], ...] = (
    ("CT", in_content("StackID", "2"), "2 stacks"),
    ("PT", in_content("TemporalPositionIndex", 2), "2 temporal positions"),
    (
        "CT",
        in_second_frame("CTImageFrameTypeSequence", FrameType=["DERIVED", "PRIMARY", "AXIAL"]),
        "2 kinds of frames",
    ),
    (
        "MR",
        in_second_frame("MRImageFrameTypeSequence", ComplexImageComponent="PHASE"),
        "2 components",
    ),
    ("MR", in_second_frame("MREchoSequence", EffectiveEchoTime=12.5), "2 echo times"),
    (
        "CT",
        in_second_frame("PixelValueTransformationSequence", RescaleType="Z_EFF"),
        "2 units",
    ),
    ("CT", without("PixelValueTransformationSequence", "RescaleSlope"), "without rescale slope"),
    ("CT", with_two_scalings, "several positions, spacings or scalings"),
    ("CT", without_position, "1 frames have no position"),
    ("CT", without_a_frame, "declares 4 frames and describes 3"),
    ("CT", lambda image: setattr(image, "BitsAllocated", 1), "pixels are not of 8, 16 or 32"),
    ("PT", without_units, "no term for the units"),
    ("PT", with_units_of_another_scale, "no term for the units"),
)


@pytest.mark.parametrize(("modality", "change", "reason"), AGAINST, ids=[x[2] for x in AGAINST])
def test_frames_that_are_not_one_volume_are_refused(
    images: dict[str, Path], modality: str, change: Change, reason: str
) -> None:
    image = dcmread(images[modality])
    split(header_of(image))  # it can be split as it is
    change(image)

    with pytest.raises(SeriesRefused, match=reason) as refused:
        split(header_of(image))

    assert refused.value.code == "not-split"


def test_each_frame_has_its_own_scaling(images: dict[str, Path]) -> None:
    image = dcmread(images["PT"])
    in_second_frame("PixelValueTransformationSequence", RescaleSlope="7.5")(image)

    made = split(header_of(image))

    assert [float(frame_of(made, n).RescaleSlope) for n in (1, 2, 3)] == [2.5, 7.5, 2.5]


def test_the_units_are_those_of_the_mapping_that_rescales_alike(images: dict[str, Path]) -> None:
    image = dcmread(images["PT"])
    uptake = Dataset()
    uptake.update(dcmread(images["PT"])[0x52009229].value[0].RealWorldValueMappingSequence[0])
    uptake.RealWorldValueSlope = 0.001
    uptake.MeasurementUnitsCodeSequence[0].CodeValue = "g/ml{SUVbw}"
    shared(image).RealWorldValueMappingSequence.insert(0, uptake)

    assert frame_of(split(header_of(image)), 1).Units == "BQML"


def test_no_group_changes_how_the_pixels_are_stored(images: dict[str, Path]) -> None:
    image = dcmread(images["CT"])
    group = shared(image).PixelMeasuresSequence[0]
    group.update(item(Rows=4, Columns=16, SamplesPerPixel=3, HighBit=7, BitsAllocated=8))
    group.update(item(NumberOfFrames="2"))
    group.PhotometricInterpretation = "MONOCHROME1"

    slice_ = frame_of(split(header_of(image)), 1)

    assert "NumberOfFrames" not in slice_
    for keyword in ("Rows", "Columns", "SamplesPerPixel", "HighBit", "BitsAllocated"):
        assert slice_[keyword].value == image[keyword].value
    assert slice_.PhotometricInterpretation == image.PhotometricInterpretation


@pytest.mark.parametrize(("sign", "vr"), [(0, "US"), (1, "SS")])
def test_a_padding_value_among_the_unassigned_ones_keeps_its_sign(
    images: dict[str, Path], sign: int, vr: str
) -> None:
    image = dcmread(images["CT"])
    image.PixelRepresentation, rest = sign, Dataset()
    rest.add_new(0x00280120, vr, -2000 if sign else 63536)
    shared(image).UnassignedSharedConvertedAttributesSequence = Sequence([rest])

    padding = frame_of(split(header_of(image)), 1)[0x00280120]

    assert (padding.VR, padding.value) == (vr, rest[0x00280120].value)


def test_a_frame_has_the_values_of_its_groups_under_the_names_of_a_slice(
    images: dict[str, Path],
) -> None:
    mr = frame_of(split(header_of(dcmread(images["MR"]))), 2)
    pt = frame_of(split(header_of(dcmread(images["PT"]))), 3)

    assert (mr.EchoTime, mr.RepetitionTime, mr.ImagedNucleus) == (102, 4500, "1H")
    assert (mr.ScanningSequence, list(mr.ImageType)) == ("SE", ["ORIGINAL", "PRIMARY", "M"])
    assert (pt.Units, pt.DecayCorrection, pt.ActualFrameDuration) == ("BQML", "START", 500)
    assert (pt.NumberOfSlices, pt.ImageIndex, pt.InstanceNumber) == (FRAMES, 3, 3)
    assert pt.AcquisitionDate == PELVIS.study_date


def test_nothing_of_the_groups_is_left_over(images: dict[str, Path]) -> None:
    image = dcmread(images["CT"])

    slice_ = frame_of(split(header_of(image)), 1)

    assert slice_.SOPClassUID == CT_IMAGE
    assert not {"NumberOfFrames", "DimensionIndexSequence", "SOPInstanceUID"} & set(slice_.dir())
    assert {int(one.tag) for one in slice_} <= policy_for(CT_IMAGE).keys() | {0x7FE00010}


def test_an_identifier_in_a_group_does_not_replace_that_of_the_image(
    images: dict[str, Path],
) -> None:
    image = dcmread(images["CT"])
    other = item(PatientID="other", StudyInstanceUID="1.2.3", Modality="MR", Rows=1, SeriesNumber=9)
    shared(image).UnassignedSharedConvertedAttributesSequence = Sequence([other])
    shared(image).PixelMeasuresSequence[0].StudyInstanceUID = "1.2.3"

    slice_ = frame_of(split(header_of(image)), 1)

    assert slice_.StudyInstanceUID == image.StudyInstanceUID
    assert (slice_.PatientID, slice_.Modality) == (image.PatientID, "CT")
    assert (slice_.Rows, slice_.SeriesNumber) == (image.Rows, image.SeriesNumber)
