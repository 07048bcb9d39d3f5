"""Values that a single slice has under another attribute than a multi-frame image.

References
----------
PS3.3 C.8.3.1, C.8.13.4 (MR), C.8.9.1, C.8.9.4, C.8.22.4 (PET), C.7.6.16.2.2 (frame content).
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Final

from drawcli.core.dicom import tags
from drawcli.core.dicom.header import Header
from drawcli.core.dicom.multiframe import number_of_frames
from drawcli.core.frames import attributes
from drawcli.core.frames.groups import Values, first_of, units_of

_MOST: Final = 0xFFFF  # of a US
_INSTANCE_NUMBER: Final = 0x00200013
_ACQUISITION_NUMBER: Final = 0x00200012
_ACQUISITION_DATE: Final = 0x00080022
_ACQUISITION_TIME: Final = 0x00080032
_ACQUIRED_AT: Final = 0x00189074  # FrameAcquisitionDateTime
_REFERENCE_AT: Final = 0x00189151  # FrameReferenceDateTime
_CONTENT: Final = (attributes.FRAME_CONTENT,)
_COMPONENTS: Final = {b"MAGNITUDE": b"M", b"PHASE": b"P", b"REAL": b"R", b"IMAGINARY": b"I"}
_VARIANTS: Final = (  # of a pulse sequence: attribute, values without it, term
    (0x00189033, (b"", b"SINGLE"), b"SK"),  # SegmentedKSpaceTraversal
    (0x00189017, (b"", b"NONE"), b"SS"),  # SteadyStatePulseSequence
)
UNITS: Final = 0x00541001
_UNITS: Final = {
    b"Bq/ml": b"BQML",
    b"Bq/mL": b"BQML",
    b"{counts}": b"CNTS",
    b"{counts}/s": b"CPS",
    b"g/ml{SUVbw}": b"GML",
    b"g/ml": b"GML",
}
_CORRECTIONS: Final = (  # PS3.3 C.8.9.1.1.3 and the attributes of C.8.22.4
    (0x00189758, b"DECY"),
    (0x00189759, b"ATTN"),
    (0x00189760, b"SCAT"),
    (0x00189761, b"DTIM"),
    (0x00189762, b"MOTN"),
    (0x00189763, b"PMOT"),
    (0x00189764, b"CLN"),
    (0x00189765, b"RAN"),
    (0x00189766, b"RADL"),
    (0x00189767, b"DCAL"),
    (0x00189768, b"NORM"),
)

Derived = Mapping[int, bytes]  # tag -> value


def derived_values(modality: str, header: Header, values: Values, number: int) -> dict[int, bytes]:
    """Return the attributes of a frame that are derived from other ones.

    Parameters
    ----------
    modality
        CT, MR or PT.
    header
        Of the multi-frame image.
    values
        Of the frame's functional groups.
    number
        Of the frame, from 1.
    """
    further = _BY_MODALITY[modality]
    found = {**dict(_common(modality, header, values)), **dict(further(header, values, number))}
    return {tag: value for tag, value in found.items() if value}


def _common(modality: str, header: Header, values: Values) -> Iterator[tuple[int, bytes]]:
    kind = first_of(values, attributes.FRAME_TYPES, 0x00089007)
    words = (kind or header.raw(tags.ImageType) or b"").strip(b" \0").split(b"\\")
    yield tags.ImageType, b"\\".join([*words[:2], *_third(modality, header, values)])
    number = values.get((attributes.FRAME_CONTENT, 0x00209156), b"")
    yield _ACQUISITION_NUMBER, _whole(number)
    digits = _without_offset(first_of(values, _CONTENT, _ACQUIRED_AT))
    yield _ACQUISITION_DATE, digits[:8]
    yield _ACQUISITION_TIME, digits[8:]


def _third(modality: str, header: Header, values: Values) -> list[bytes]:
    """Return value 3 of ImageType (PS3.3 C.8.2.1.1.1, C.8.3.1.1.1, C.8.9.4.1.1)."""
    if modality == "MR":
        part = first_of(values, attributes.FRAME_TYPES, 0x00089208)
        return [_COMPONENTS.get(part or _text(header, 0x00089208), b"OTHER")]
    return [b"AXIAL"] if modality == "CT" else []


def _ct(_header: Header, _values: Values, _number: int) -> Iterator[tuple[int, bytes]]:
    yield from ()


def _mr(header: Header, values: Values, _number: int) -> Iterator[tuple[int, bytes]]:
    yield 0x00180081, _decimal(values.get((attributes.MR_ECHO, 0x00189082), b""))  # EchoTime
    inverted = values.get((attributes.MR_MODIFIER, 0x00189079), b"")
    yield 0x00180082, _decimal(inverted[:8])  # InversionTime
    frequency = values.get((attributes.MR_IMAGING_MODIFIER, 0x00189098), b"")
    yield 0x00180084, _decimal(frequency[:8])  # ImagingFrequency
    yield 0x00180085, _text(header, 0x00189100)  # ImagedNucleus
    pulse = {b"SPIN": [b"SE"], b"GRADIENT": [b"GR"], b"BOTH": [b"SE", b"GR"]}
    terms = list(pulse.get(_text(header, 0x00189008), [b"RM"]))
    if _text(header, 0x00189018) == b"YES":  # EchoPlanarPulseSequence
        terms.append(b"EP")
    if first_of(values, (attributes.MR_MODIFIER,), 0x00189009) == b"YES":  # InversionRecovery
        terms.append(b"IR")
    yield 0x00180020, b"\\".join(terms)  # ScanningSequence
    variants = [term for tag, none, term in _VARIANTS if _text(header, tag) not in none]
    yield 0x00180021, b"\\".join(variants) or b"NONE"  # SequenceVariant


def _pt(header: Header, values: Values, number: int) -> Iterator[tuple[int, bytes]]:
    rescaled = first_of(values, (attributes.VALUE_TRANSFORMATION,), 0x00281054)
    by_rescale = rescaled if rescaled in _UNITS.values() else b""
    yield UNITS, _UNITS.get(units_of(values), by_rescale)
    yield 0x00541000, b"STATIC\\IMAGE"  # SeriesType
    yield 0x00541330, struct.pack("<H", number)  # ImageIndex
    frames = number_of_frames(header) if header.text(tags.NumberOfFrames) else 0
    yield 0x00540081, struct.pack("<H", frames) if 0 < frames <= _MOST else b""  # NumberOfSlices
    done = [term for tag, term in _CORRECTIONS if _text(header, tag) == b"YES"]
    yield 0x00280051, b"\\".join(done)  # CorrectedImage
    yield 0x00541102, b"START" if b"DECY" in done else b"NONE"  # DecayCorrection
    duration = values.get((attributes.FRAME_CONTENT, 0x00189220), b"")
    yield 0x00181242, _decimal(duration).partition(b".")[0]  # ActualFrameDuration, ms
    taken = _without_offset(first_of(values, _CONTENT, _ACQUIRED_AT))
    yield 0x00541300, _milliseconds(first_of(values, _CONTENT, _REFERENCE_AT), taken)
    if not header.text(0x00080021):  # SeriesDate
        yield 0x00080021, taken[:8]
        yield 0x00080031, taken[8:]


_BY_MODALITY: Final[Mapping[str, Callable[[Header, Values, int], Iterator[tuple[int, bytes]]]]] = {
    "CT": _ct,
    "MR": _mr,
    "PT": _pt,
}


def _text(header: Header, tag: int) -> bytes:
    return (header.raw(tag) or b"").strip(b" \0")


def _whole(raw: bytes) -> bytes:
    """Return a US as IS."""
    return b"%d" % int.from_bytes(raw, "little") if len(raw) == 2 else b""  # noqa: PLR2004


def _decimal(raw: bytes) -> bytes:
    """Return an FD as DS; b"" if it is missing or not a finite number of 16 characters."""
    if len(raw) != 8:  # noqa: PLR2004 - one number
        return b""
    text = f"{struct.unpack('<d', raw)[0]:.10g}"
    return text.encode("ascii") if text.lstrip("-")[:1].isdigit() and len(text) <= 16 else b""  # noqa: PLR2004


def _without_offset(moment: bytes) -> bytes:
    """Return a DT without its offset from UTC."""
    return moment.partition(b"+")[0].partition(b"-")[0].strip()


def _milliseconds(moment: bytes, since: bytes) -> bytes:
    """Return the time from one DT to another, ms; 0 if one is missing or not valid."""
    try:
        later, before = (
            datetime.strptime(part[:14].decode("ascii"), "%Y%m%d%H%M%S")  # noqa: DTZ007 - both local
            for part in (_without_offset(moment), since)
        )
    except ValueError:
        return b"0"
    return b"%d" % max(0, round((later - before).total_seconds() * 1000))
