"""The items of a structure set's sequences, in Implicit VR Little Endian, tags ascending."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from drawcli.core.dicom.elements import dictionary_vr
from drawcli.core.dicom.header import encode, encode_item
from drawcli.core.rtstruct.presentation import Contribution

_ROI_NUMBER: Final = 0x30060022
_FRAME_OF_ROI: Final = 0x30060024  # ReferencedFrameOfReferenceUID
_NAME: Final = 0x30060026  # ROIName
_COLOR: Final = 0x3006002A  # ROIDisplayColor
_ALGORITHM: Final = 0x30060036  # ROIGenerationAlgorithm
_DESCRIPTION: Final = 0x30060038  # ROIGenerationDescription
_CONTOURS: Final = 0x30060040  # ContourSequence
_TYPE: Final = 0x30060042  # ContourGeometricType
_COUNT: Final = 0x30060046  # NumberOfContourPoints
_DATA: Final = 0x30060050  # ContourData
_OBSERVATION_NUMBER: Final = 0x30060082
_REFERENCED_ROI: Final = 0x30060084
_INTERPRETED_TYPE: Final = 0x300600A4  # RTROIInterpretedType
_INTERPRETER: Final = 0x300600A6  # ROIInterpreter
_IMAGES: Final = 0x30060016  # ContourImageSequence

Values = Mapping[int, bytes]  # tag -> value, or the items of a sequence


@dataclass(slots=True)
class StructureItem:
    """One structure, as it is written into the three lists."""

    number: int
    name: bytes  # in the character set of the delivered file
    description: str
    color: str
    type: str
    contours: list[bytes]  # items of ContourSequence


def contour_item(images: Sequence[bytes], kind: str, count: str, data: bytes) -> bytes:
    """Return an item of ContourSequence (PS3.3 C.8.8.6)."""
    named = {_IMAGES: b"".join(images)} if images else {}
    values = {_TYPE: kind.encode("ascii"), _COUNT: count.encode("ascii"), _DATA: data}
    return item_of(named | values)


def listed(one: StructureItem, frame: bytes) -> bytes:
    """Return the item of a structure in StructureSetROISequence."""
    return item_of(
        {
            _ROI_NUMBER: b"%d" % one.number,
            _FRAME_OF_ROI: frame,
            _NAME: one.name,
            _ALGORITHM: b"AUTOMATIC",
            _DESCRIPTION: one.description.encode("ascii"),
        }
    )


def contoured(one: StructureItem) -> bytes:
    """Return the item of a structure in ROIContourSequence."""
    return item_of(
        {
            **({_COLOR: one.color.encode("ascii")} if one.color else {}),
            **({_CONTOURS: b"".join(one.contours)} if one.contours else {}),
            _REFERENCED_ROI: b"%d" % one.number,
        }
    )


def observed(one: StructureItem) -> bytes:
    """Return the item of a structure in RTROIObservationsSequence."""
    number = b"%d" % one.number
    return item_of(
        {
            _OBSERVATION_NUMBER: number,
            _REFERENCED_ROI: number,
            _INTERPRETED_TYPE: one.type.encode("ascii"),
            _INTERPRETER: b"",
        }
    )


def contributor(one: Contribution) -> bytes:
    """Return an item of ContributingEquipmentSequence (PS3.3 C.12.1)."""
    code, meaning = one.purpose
    purpose = {0x00080100: code, 0x00080102: "DCM", 0x00080104: meaning}
    texts = {0x00080070: one.maker, 0x00181020: one.version, 0x0018A003: one.text}
    return item_of(
        {
            **{tag: text.encode("ascii") for tag, text in texts.items() if text},
            0x0040A170: item_of({tag: text.encode("ascii") for tag, text in purpose.items()}),
        }
    )


def item_of(values: Values) -> bytes:
    """Return an item of defined length."""
    return encode_item(joined(values))


def joined(values: Values) -> bytes:
    """Return elements in Implicit VR Little Endian, in ascending order."""
    return b"".join(
        encode(tag, dictionary_vr(tag).encode("ascii"), values[tag], explicit=False)
        for tag in sorted(values)
    )
