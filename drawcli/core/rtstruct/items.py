"""Encode the sequence items of a structure set: Implicit VR Little Endian, ascending tags."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO

from drawcli.core.dicom import tags
from drawcli.core.dicom.elements import dictionary_vr
from drawcli.core.dicom.encoding import encode, encode_item, implicit_head
from drawcli.core.dicom.header import ITEM
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
    contours: Iterator[bytes]  # items of ContourSequence, encoded when they are written


def contour_item(references: bytes, kind: str, count: str, data: bytes) -> bytes:
    """Return an item of ContourSequence (PS3.3 C.8.8.6); `references` by `image_references`."""
    value = encode(tags.ContourData, b"DS", data, explicit=False)
    return encode_item(b"".join((references, _described(kind, count), value)))


def image_references(images: Sequence[bytes]) -> bytes:
    """Return the encoded ContourImageSequence of a contour; nothing without images."""
    return encode_elements({tags.ContourImageSequence: b"".join(images)}) if images else b""


@lru_cache(maxsize=1024)
def _described(kind: str, count: str) -> bytes:
    return encode_elements(
        {
            tags.ContourGeometricType: kind.encode("ascii"),
            tags.NumberOfContourPoints: count.encode("ascii"),
        }
    )


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


def encode_file(meta: bytes, values: Values, structures: Iterable[StructureItem]) -> bytes:
    """Return a file of its meta information, values, and the contours of structures."""
    split, out = tags.ROIContourSequence, BytesIO()
    out.write(meta)
    out.write(encode_elements({tag: value for tag, value in values.items() if tag < split}))
    _write_contours(out, structures)
    out.write(encode_elements({tag: value for tag, value in values.items() if tag > split}))
    return out.getvalue()


def _write_contours(out: BytesIO, structures: Iterable[StructureItem]) -> None:
    """Write ROIContourSequence, contour by contour: it is nearly the whole file."""
    with _lengthened(out, tags.ROIContourSequence):
        for structure in structures:
            with _lengthened(out, ITEM):
                if structure.color:
                    color = structure.color.encode("ascii")
                    out.write(encode_elements({tags.ROIDisplayColor: color}))
                begin = out.tell()
                with _lengthened(out, tags.ContourSequence) as start:
                    out.writelines(structure.contours)
                    is_empty = out.tell() == start
                if is_empty:
                    out.seek(begin)
                    out.truncate()
                out.write(encode_elements({tags.ReferencedROINumber: b"%d" % structure.number}))


@contextmanager
def _lengthened(out: BytesIO, tag: int) -> Iterator[int]:
    """Write the head of an element or item, and its length when its value is written."""
    out.write(implicit_head(tag, 0))
    start = out.tell()
    yield start
    end = out.tell()
    head = implicit_head(tag, end - start)
    out.seek(start - len(head))
    out.write(head)
    out.seek(end)


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
