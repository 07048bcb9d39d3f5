"""What of the value of a kept element may stay: all of it, a part, or nothing.

Its form is looked at first (`value_shapes.py`), then what the value can mean: words are those of
scanners (`vocabulary.py`), numbers are as large as what is measured, and neither is a name, number
or day of the persons in the header (`persons.py`). What an image cannot be used without is not
changed here; the privacy gate looks at it as well.
"""

import struct
from collections.abc import Iterator
from typing import Final

from drawcli.core.deid import value_shapes
from drawcli.core.deid.persons import Persons
from drawcli.core.deid.vocabulary import SHAPED, keep_known_words, kind_of

# Numbers that an image cannot be used without: the pixels, where they lie, what they mean.
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
# Numbers by which people name series: any record number is looked for in them.
_LABELS: Final = frozenset({"AcquisitionNumber", "SeriesNumber"})
# Above this hardly anything is measured in mm, ms, degrees, mA, kV; nor counted.
_LARGEST: Final = 99_999
_LARGER: Final = {
    **dict.fromkeys(("ExposureTime", "Exposure", "PixelBandwidth"), 999_999),
    **dict.fromkeys(("WindowCenter", "WindowWidth", "FrameAcquisitionDuration"), 999_999),
    **dict.fromkeys(("TerminationTimeThreshold", "AcquisitionDuration"), 9_999_999),
    **dict.fromkeys(("RadionuclideTotalDose", "PrimaryPromptsCountsAccumulated"), 1e15),
}
_BINARY: Final = {"FD": "d", "FL": "f", "SL": "i", "SS": "h", "UL": "I", "US": "H", "xs": "H"}
_OF_A_LABEL: Final = 3  # digits of a record number that is looked for
_OF_A_NUMBER: Final = 4
_SPLIT_NUMBER: Final = 7  # of one that several values make up
_TEXTS: Final = frozenset({"CS", "LO", "LT", "SH", "ST"})


def clean_value(keyword: str, vr: str, raw: bytes, persons: Persons) -> bytes:
    """Return what of a value may stay.

    Parameters
    ----------
    keyword, vr
        Of the attribute, as the policy has them.
    raw
        The value.
    persons
        Whom the header names.
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
    return b"" if split or any(_says(keyword, one, persons) for one in texts) else raw


def clean_time_of_day(digits: str, persons: Persons) -> str:
    """Return a time of day; where it is a number of a person or a day, no more than the minute.

    A time is of use without its seconds, and every minute of a day is a time.
    """
    if not _is_personal(digits, persons):
        return digits
    whole = digits.partition(".")[0]
    return whole.replace(":", "")[:4] if _is_personal(whole, persons) else whole


def _words(keyword: str, vr: str, raw: bytes, persons: Persons) -> bytes:
    if kind := kind_of(keyword, vr):
        known = keep_known_words(kind, raw, persons.names_someone)
        return known if kind == "terms" or not persons.in_ids(known) else b""
    return raw if keyword in SHAPED or not persons.in_text(raw) else b""


def _says(keyword: str, text: str, persons: Persons) -> bool:
    """Tell whether a number is one that nobody measures, or of a person or a day."""
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
    """Return a time; one that is a number of a person or a day, without fraction or seconds."""
    text = raw.decode("ascii").strip(" \0")
    left = clean_time_of_day(text, persons)
    return raw if left == text else left.encode("ascii")


def _is_personal(text: str, persons: Persons) -> bool:
    whole, _, fraction = text.replace(":", "").partition(".")
    return any(persons.in_clock(one) for one in (whole, fraction, whole + fraction))
