"""Encode the sequence items of a structure set: Implicit VR Little Endian, ascending tags."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from drawcli.core.dicom import tags
from drawcli.core.dicom.elements import dictionary_vr
from drawcli.core.dicom.encoding import encode, encode_item
from drawcli.core.rtstruct.presentation import Contribution

Values = Mapping[int, bytes]  # tag -> value, or the items of a sequence


@dataclass(slots=True)
class StructureItem:
    """A structure as written to the three sequences of structures."""

    number: int
    name: bytes  # in the character set of the delivered file
    description: str
    color: str
    type: str
    contours: list[bytes]  # items of ContourSequence


def contour_item(images: Sequence[bytes], kind: str, count: str, data: bytes) -> bytes:
    """Return an item of ContourSequence (PS3.3 C.8.8.6)."""
    named = {tags.ContourImageSequence: b"".join(images)} if images else {}
    values = {
        tags.ContourGeometricType: kind.encode("ascii"),
        tags.NumberOfContourPoints: count.encode("ascii"),
        tags.ContourData: data,
    }
    return item_of(named | values)


def roi_item(structure: StructureItem, frame: bytes) -> bytes:
    """Return the item of a structure in StructureSetROISequence."""
    return item_of(
        {
            tags.ROINumber: b"%d" % structure.number,
            tags.ReferencedFrameOfReferenceUID: frame,
            tags.ROIName: structure.name,
            tags.ROIGenerationAlgorithm: b"AUTOMATIC",
            tags.ROIGenerationDescription: structure.description.encode("ascii"),
        }
    )


def roi_contour_item(structure: StructureItem) -> bytes:
    """Return the item of a structure in ROIContourSequence."""
    return item_of(
        {
            **({tags.ROIDisplayColor: structure.color.encode("ascii")} if structure.color else {}),
            **({tags.ContourSequence: b"".join(structure.contours)} if structure.contours else {}),
            tags.ReferencedROINumber: b"%d" % structure.number,
        }
    )


def observation_item(structure: StructureItem) -> bytes:
    """Return the item of a structure in RTROIObservationsSequence."""
    number = b"%d" % structure.number
    return item_of(
        {
            tags.ObservationNumber: number,
            tags.ReferencedROINumber: number,
            tags.RTROIInterpretedType: structure.type.encode("ascii"),
            tags.ROIInterpreter: b"",
        }
    )


def equipment_item(contribution: Contribution) -> bytes:
    """Return an item of ContributingEquipmentSequence (PS3.3 C.12.1)."""
    code, meaning = contribution.purpose
    purpose = {0x00080100: code, 0x00080102: "DCM", 0x00080104: meaning}
    texts = {
        0x00080070: contribution.maker,
        0x00181020: contribution.version,
        0x0018A003: contribution.text,
    }
    return item_of(
        {
            **{tag: text.encode("ascii") for tag, text in texts.items() if text},
            0x0040A170: item_of({tag: text.encode("ascii") for tag, text in purpose.items()}),
        }
    )


def item_of(values: Values) -> bytes:
    """Return an item of defined length."""
    return encode_item(encode_elements(values))


def encode_elements(values: Values) -> bytes:
    """Return elements in Implicit VR Little Endian, in ascending order."""
    return b"".join(
        encode(tag, dictionary_vr(tag).encode("ascii"), values[tag], explicit=False)
        for tag in sorted(values)
    )
