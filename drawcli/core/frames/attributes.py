"""Where the attributes of a single slice stand in a multi-frame image.

Functional groups use the attributes of single slices for most values, so these are copied. The
others are listed here, by modality.

References
----------
PS3.3 C.7.6.16.2 (functional groups), A.3, A.4, A.21 (CT, MR and PET images), C.8.9 (PET),
C.8.13.5 (MR), C.8.15.3 (CT), C.8.22.5 (PET).
"""

from collections.abc import Mapping
from typing import Final

from drawcli.core.deid.profile import Action
from drawcli.core.dicom.sop_classes import CT_IMAGE, MR_IMAGE, MULTI_FRAME, PT_IMAGE

CLASSIC: Final = {"CT": CT_IMAGE, "MR": MR_IMAGE, "PT": PT_IMAGE}

PIXEL_MEASURES: Final = 0x00289110
FRAME_CONTENT: Final = 0x00209111
VALUE_TRANSFORMATION: Final = 0x00289145
REAL_WORLD_VALUES: Final = 0x00409096
MR_ECHO: Final = 0x00189114
MR_MODIFIER: Final = 0x00189115
MR_IMAGING_MODIFIER: Final = 0x00189006
MR_DIFFUSION: Final = 0x00189117
FRAME_TYPES: Final = (0x00189329, 0x00189226, 0x00189751)  # of CT, MR, PET
UNASSIGNED: Final = (0x00209170, 0x00209171)  # of converted images: shared, per frame

# Groups whose attributes a single slice has at its top level.
SAME: Final = (
    *(PIXEL_MEASURES, 0x00209113, 0x00209116),  # plane position, plane orientation
    *(VALUE_TRANSFORMATION, 0x00289132),  # and frame VOI LUT
    *(0x00189304, 0x00189314, 0x00189325),  # CT: acquisition details, reconstruction, X-ray
    *(0x00189112, 0x00189125, MR_IMAGING_MODIFIER, 0x00189119),  # MR: timing, FOV, averages
    *(0x00189732, 0x00189736, 0x00189749),  # PET: acquisition, correction factors, reconstruction
)
COPIED: Final = frozenset({Action.KEEP, Action.DATE, Action.TIME})
# Attributes of the whole image, which no group can change: SamplesPerPixel,
# PhotometricInterpretation, NumberOfFrames, FrameIncrementPointer, Rows, Columns, BitsAllocated,
# BitsStored, HighBit, PixelRepresentation.
OF_ALL_PIXELS: Final = frozenset(
    {
        *(0x00280002, 0x00280004, 0x00280008, 0x00280009, 0x00280010, 0x00280011),
        *(0x00280100, 0x00280101, 0x00280102, 0x00280103),
    }
)

# Top-level attributes of the whole image that are not those of a frame.
NOT_OF_A_FRAME: Final = frozenset(
    {
        0x00080008,  # ImageType
        0x00080018,  # SOPInstanceUID
        0x00081140,  # ReferencedImageSequence
        0x00082112,  # SourceImageSequence
        0x00280008,  # NumberOfFrames
        0x00280009,  # FrameIncrementPointer
        0x00280106,  # SmallestImagePixelValue
        0x00280107,  # LargestImagePixelValue
    }
)
# Attributes of Type 2: sent empty if the image has no value.
_EVERY_TYPE_2: Final = (0x00080070, 0x00180050, 0x00200011, 0x00200012)
TYPE_2: Final[Mapping[str, tuple[int, ...]]] = {
    "CT": (*_EVERY_TYPE_2, 0x00180060),  # KVP
    # ScanOptions, MRAcquisitionType, RepetitionTime, EchoTime, EchoTrainLength
    "MR": (*_EVERY_TYPE_2, 0x00180022, 0x00180023, 0x00180080, 0x00180081, 0x00180091),
    # AcquisitionDate, AcquisitionTime, CollimatorType, ActualFrameDuration, CorrectedImage,
    # RadiopharmaceuticalInformationSequence, both orientation code sequences
    "PT": (
        *(*_EVERY_TYPE_2, 0x00080022, 0x00080032, 0x00181181, 0x00181242, 0x00280051),
        *(0x00540016, 0x00540410, 0x00540414),
    ),
}
# Attributes that a slice must have (Type 1) and that cannot be derived.
NEEDED: Final[Mapping[str, tuple[int, ...]]] = {
    "CT": (0x00281052, 0x00281053),  # RescaleIntercept, RescaleSlope
    "MR": (),
    "PT": (0x00281052, 0x00281053),
}
# Attributes that must be the same in all frames: several values are several volumes, or values
# that slices of one series cannot have.
ALIKE: Final = (
    ((FRAME_CONTENT,), 0x00209056, "stacks (StackID)"),
    ((FRAME_CONTENT,), 0x00209128, "temporal positions (TemporalPositionIndex)"),
    (FRAME_TYPES, 0x00089007, "kinds of frames (FrameType)"),
    (FRAME_TYPES, 0x00089208, "components (ComplexImageComponent)"),
    ((MR_ECHO,), 0x00189082, "echo times (EffectiveEchoTime)"),
    ((MR_DIFFUSION,), 0x00189087, "b-values (DiffusionBValue)"),
    ((VALUE_TRANSFORMATION,), 0x00281054, "units (RescaleType)"),
)


def modality_of(sop_class: str) -> str:
    """Return the modality of a multi-frame SOP class; "" for any other class."""
    return MULTI_FRAME.get(sop_class, "")


def sent_class(sop_class: str) -> str:
    """Return the SOP class in which images of a class are sent after splitting."""
    return CLASSIC.get(modality_of(sop_class), sop_class)
