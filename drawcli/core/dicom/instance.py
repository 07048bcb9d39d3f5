"""The facts of one image file that the scan uses, read from its header."""

import re
from dataclasses import dataclass
from typing import Final

from drawcli.core.dicom import tags
from drawcli.core.dicom.geometry import Triple
from drawcli.core.dicom.header import Header
from drawcli.core.dicom.multiframe import (
    SLICE_THICKNESS,
    Frames,
    ImagePlane,
    frames_of,
    is_orthonormal,
    number_of_frames,
    numbers_in,
)
from drawcli.core.dicom.references import references
from drawcli.core.dicom.sop_classes import IMAGE_CLASSES
from drawcli.core.dicom.streaming import ElementStream, is_all_zeros

_OVERLAY_BIT_POSITION: Final = 0x60000102
_PROTOCOL_NAME: Final = 0x00181030
_INSTANCE_NUMBER: Final = 0x00200013
_UNITS: Final = 0x00541001
_PHILIPS_PET: Final = 0x7053  # group with the factors from counts to SUV and Bq/ml
_LONGEST_CS: Final = 16  # characters (PS3.5 table 6.2-1)
_LONGEST_WHOLE: Final = 11  # digits of an IS
_SCOUT: Final = re.compile(
    r"locali[sz]er|scout|topogra|surview|scanogra|scano\b|pilot|survey|three.?plane|3.?pl(?:ane)?\b",
    re.IGNORECASE,
)
_DESCRIPTIONS: Final = (tags.SeriesDescription, _PROTOCOL_NAME)
_PERSON: Final = (
    tags.PatientID,
    tags.IssuerOfPatientID,
    tags.PatientName,
    tags.PatientBirthDate,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slice:
    """The facts of one image file."""

    path: str
    size: int  # bytes
    mtime_ns: int
    modality: str
    sop_class: str
    sop_uid: str
    series_uid: str
    study_uid: str
    patient_id: str
    patient_name: str  # ASCII with surrogates; shown only with --identify
    frame_of_reference: str
    study_date: str
    image_type: tuple[str, ...]
    transfer_syntax: str
    burned_in: bool
    shape: tuple[int, int]  # rows, columns
    position: Triple | None  # ImagePositionPatient, mm, LPS
    orientation: tuple[float, ...] | None  # ImageOrientationPatient, six direction cosines
    spacing: tuple[float, ...] | None  # PixelSpacing: between rows, between columns, mm
    samples: int  # per pixel: 1 is grey, 3 is colour
    person: tuple[str, ...]  # identity of the patient: equal in all slices
    pixels_missing: int  # missing bytes of pixel data; -1: no pixel data
    pixels_extra: int  # bytes of pixel data after the image, except a pad byte
    overlay_in_pixels: bool  # an overlay in unused bits of the pixels
    character_set: str = ""  # SpecificCharacterSet (0008,0005) of the patient's name
    called_scout: bool = False  # by the description of its series or protocol
    frames: Frames | None = None  # of a multi-frame image
    pet_counts: bool = False  # the factor to Bq/ml is in private elements, which are not sent
    number: int | None = None  # InstanceNumber
    thickness: float | None = None  # SliceThickness, mm: nominal
    frames_named: int = 1  # NumberOfFrames (0028,0008), of any SOP class
    references: tuple[str, ...] = ()  # UIDs that an RT object names; see `references`

    @property
    def planes(self) -> tuple[ImagePlane, ...]:
        """The plane of the slice, or of each frame."""
        if self.frames is not None:
            return self.frames.planes
        return (ImagePlane(self.position, self.orientation, self.spacing, self.thickness),)

    @property
    def count(self) -> int:
        """The number of slices in the file."""
        return 1 if self.frames is None else self.frames.count


def slice_of(header: Header, *, path: str, size: int, mtime_ns: int) -> Slice:
    """Return the facts of a header."""
    orientation = _numbers(header, tags.ImageOrientationPatient, 6)
    position = _numbers(header, tags.ImagePositionPatient, 3)
    thickness = _numbers(header, SLICE_THICKNESS, 1)
    return Slice(
        path=path,
        size=size,
        mtime_ns=mtime_ns,
        modality=_modality(header),
        sop_class=header.text(tags.SOPClassUID),
        sop_uid=header.text(tags.SOPInstanceUID),
        series_uid=header.text(tags.SeriesInstanceUID),
        study_uid=header.text(tags.StudyInstanceUID),
        patient_id=header.text(tags.PatientID),
        patient_name=header.text(tags.PatientName),
        character_set=header.text(tags.SpecificCharacterSet),
        frame_of_reference=header.text(tags.FrameOfReferenceUID),
        study_date=header.text(tags.StudyDate).replace(".", ""),
        image_type=tuple(word.strip() for word in header.text(tags.ImageType).upper().split("\\")),
        transfer_syntax=header.transfer_syntax,
        burned_in=header.text(tags.BurnedInAnnotation).upper() == "YES",
        shape=(header.number(tags.Rows) or 0, header.number(tags.Columns) or 0),
        position=None if position is None else (position[0], position[1], position[2]),
        orientation=orientation if orientation and is_orthonormal(orientation) else None,
        spacing=_numbers(header, tags.PixelSpacing, 2),
        samples=header.number(tags.SamplesPerPixel) or 1,
        person=tuple(header.text(tag) for tag in _PERSON),
        pixels_missing=_pixels_missing(header, size),
        pixels_extra=pixels_extra(header),
        overlay_in_pixels=any(map(header.number, _overlay_bit_positions(header))),
        called_scout=any(_SCOUT.search(header.text(tag)) for tag in _DESCRIPTIONS),
        frames=frames_of(header),
        pet_counts=_has_private_factor(header),
        number=_whole(header.text(_INSTANCE_NUMBER)),
        thickness=None if thickness is None else thickness[0],
        frames_named=number_of_frames(header),
        references=references(header),
    )


def _has_private_factor(header: Header) -> bool:
    """Return whether a PET is in counts, with the factor to Bq/ml in private elements."""
    return header.text(_UNITS) == "CNTS" and any(
        tag >> 16 == _PHILIPS_PET for tag in header.elements
    )


def _modality(header: Header) -> str:
    """Return Modality (0008,0060) in capitals; if it is empty or no CS, that of the SOP class.

    Ledger, index and lists show it. An image without it would be left alone without a word.
    """
    text = header.text(tags.Modality).strip().upper()
    is_valid = text.isascii() and text.isprintable() and len(text) <= _LONGEST_CS
    usual = IMAGE_CLASSES.get(header.text(tags.SOPClassUID), "")
    return text if text and is_valid else usual


def _whole(text: str) -> int | None:
    """Return the value of an IS (PS3.5 6.2), or None."""
    sign, digits = text[:1] in ("+", "-"), text.lstrip("+-")
    short = digits.isascii() and digits.isdigit() and len(text) - len(digits) == sign
    return int(text) if short and len(digits) <= _LONGEST_WHOLE else None


def _numbers(header: Header, tag: int, count: int) -> tuple[float, ...] | None:
    """Return the values of a DS if they are `count` numbers, else None."""
    return numbers_in(header.text(tag), count)


def _pixels_missing(header: Header, size: int) -> int:
    """Return the number of missing bytes of pixel data; -1 without pixel data."""
    pixels = header.pixels
    if pixels is None:
        return -1
    if pixels.undefined:
        return 0  # encapsulated: checked when the fragments are read
    expected = image_bytes(header)
    present = min(pixels.end, size) - pixels.value
    return max(expected - present, pixels.end - size, 0)


def pixels_extra(header: Header) -> int:
    """Return the number of bytes after the image in the pixel data, except a pad byte."""
    pixels = header.pixels
    if pixels is None or pixels.undefined:
        return 0
    expected = image_bytes(header)
    return max(pixels.end - pixels.value - expected - expected % 2, 0)


def is_padded(stream: ElementStream, header: Header, extra: int) -> bool:
    """Return whether the bytes after the image are zero padding, which need not be sent.

    References
    ----------
    PS3.5 8.1.1: older scanners padded Pixel Data.
    """
    assert header.pixels is not None  # noqa: S101 - extra bytes imply pixels
    stream.seek(header.pixels.end - extra)
    return is_all_zeros(stream, extra)


def _overlay_bit_positions(header: Header) -> list[int]:
    """Return the tags of Overlay Bit Position (60xx,0102), which is other than 0 if one is hidden.

    References
    ----------
    PS3.5 8.1.2.
    """
    return [tag for tag in header.elements if tag & 0xFF00FFFF == _OVERLAY_BIT_POSITION]


def image_bytes(header: Header) -> int:
    """Return the length of native pixel data, bytes, without a pad byte."""
    rows, columns = header.number(tags.Rows) or 0, header.number(tags.Columns) or 0
    samples = header.number(tags.SamplesPerPixel) or 1
    bits = header.number(tags.BitsAllocated) or 0
    return rows * columns * samples * bits * number_of_frames(header) // 8
