"""Clean the values of kept elements: each stays whole, in part, or not at all.

The format is checked first (`value_shapes.py`), then the content: texts may hold words of scanners
(`vocabulary.py`), numbers must be in the range of measurements, and neither may be a name, number
or date of a person in the header (`persons.py`). Values that an image needs are not changed here;
the privacy gate checks them too.
"""

import struct
from collections.abc import Iterator
from typing import Final

from drawcli.core.deid import value_shapes
from drawcli.core.deid.persons import Persons
from drawcli.core.deid.vocabulary import SHAPED, keep_known_words, kind_of

# Numbers that an image needs: pixel format, geometry, scaling.
NEEDED: Final = frozenset(
    """
    ActualFrameDuration BitsAllocated BitsStored Columns ConcatenationFrameOffsetNumber
    DataCollectionCenterPatient DecayFactor DimensionIndexPointer DimensionIndexValues
    DoseCalibrationFactor FrameIncrementPointer FrameReferenceTime FunctionalGroupPointer HighBit
    ImageIndex ImageOrientationPatient ImagePositionPatient InConcatenationNumber
    InConcatenationTotalNumber InStackPositionNumber NumberOfFrames NumberOfRRIntervals
    NumberOfSlices NumberOfTimeSlices NumberOfTimeSlots PixelAspectRatio PixelPaddingRangeLimit
    PixelPaddingValue PixelRepresentation PixelSpacing PlanarConfiguration RadionuclideHalfLife
    RadionuclidePositronFraction RealWorldValueFirstValueMapped RealWorldValueIntercept
    RealWorldValueLastValueMapped RealWorldValueSlope ReconstructionTargetCenterPatient
    ReferencedFrameNumber RescaleIntercept RescaleSlope Rows SamplesPerPixel SliceThickness
    SpacingBetweenSlices TemporalPositionIndex
    """.split()
)
# Numbers that label series: they are searched for shorter record numbers, too.
_LABELS: Final = frozenset({"AcquisitionNumber", "SeriesNumber"})
# Few quantities in mm, ms, degrees, mA or kV, and few counts, are larger.
_LARGEST: Final = 99_999
_LARGER: Final = {
    **dict.fromkeys(("ExposureTime", "Exposure", "PixelBandwidth"), 999_999),
    **dict.fromkeys(("WindowCenter", "WindowWidth", "FrameAcquisitionDuration"), 999_999),
    **dict.fromkeys(("TerminationTimeThreshold", "AcquisitionDuration"), 9_999_999),
    **dict.fromkeys(("RadionuclideTotalDose", "PrimaryPromptsCountsAccumulated"), 1e15),
}
_BINARY: Final = {"FD": "d", "FL": "f", "SL": "i", "SS": "h", "UL": "I", "US": "H", "xs": "H"}
_OF_A_LABEL: Final = 3  # least digits of a record number in a label
_OF_A_NUMBER: Final = 4
_SPLIT_NUMBER: Final = 7  # if several values make it up
_TEXTS: Final = frozenset({"CS", "LO", "LT", "SH", "ST"})


def clean_value(keyword: str, vr: str, raw: bytes, persons: Persons) -> bytes:
    """Return the part of a value that may stay.

    Parameters
    ----------
    keyword, vr
        Of the attribute, as in the policy.
    raw
        The value.
    persons
        Named in the header.
    """
    if not value_shapes.fits(keyword, vr, raw):
        return b""
    if vr in _TEXTS:
        return _words(keyword, vr, raw, persons)
    if vr == "TM":
        return _time(raw, persons)
    if keyword in NEEDED or vr in ("AS", "AT", "UI"):
        return raw
    texts = list(_numbers(vr, raw))
    split = len(texts) > 1 and persons.in_number("".join(texts).replace(".", ""), _SPLIT_NUMBER)
    return b"" if split or any(_is_identifying(keyword, text, persons) for text in texts) else raw


def clean_time_of_day(digits: str, persons: Persons) -> str:
    """Return a time of day, cut to minutes if it equals a number or a date of a person."""
    if not _is_personal(digits, persons):
        return digits
    whole = digits.partition(".")[0]
    return whole.replace(":", "")[:4] if _is_personal(whole, persons) else whole


def _words(keyword: str, vr: str, raw: bytes, persons: Persons) -> bytes:
    if kind := kind_of(keyword, vr):
        known = keep_known_words(kind, raw, persons.names_someone)
        return known if kind == "terms" or not persons.in_ids(known) else b""
    return raw if keyword in SHAPED or not persons.in_text(raw) else b""


def _is_identifying(keyword: str, text: str, persons: Persons) -> bool:
    """Return whether a number is too large for a measurement, or is a person's number or a date."""
    if not text:
        return False
    shortest = _OF_A_LABEL if keyword in _LABELS else _OF_A_NUMBER
    too_large = abs(float(text)) > _LARGER.get(keyword, _LARGEST)
    return too_large or persons.in_number(text, shortest)


def _numbers(vr: str, raw: bytes) -> Iterator[str]:
    """Yield the values of a number as text."""
    letter = _BINARY.get(vr)
    if letter is None:
        yield from (part.strip(" \0") for part in raw.decode("ascii").split("\\"))
        return
    size = struct.calcsize(letter)
    for (value,) in struct.iter_unpack(f"<{letter}", raw[: len(raw) // size * size]):
        yield repr(value)


def _time(raw: bytes, persons: Persons) -> bytes:
    """Return a time, without fraction and seconds if it equals a number or date of a person."""
    text = raw.decode("ascii").strip(" \0")
    left = clean_time_of_day(text, persons)
    return raw if left == text else left.encode("ascii")


def _is_personal(text: str, persons: Persons) -> bool:
    whole, _, fraction = text.replace(":", "").partition(".")
    return any(map(persons.in_clock, (whole, fraction, whole + fraction)))
