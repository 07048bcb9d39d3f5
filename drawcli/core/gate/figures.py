"""Search numbers, counts and times of day for a patient's numbers: ids, phones, dates.

For the privacy gate. Any number may occur in a header by chance, so only a whole number counts, of
a length that depends on its element.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

# Numbers that an image needs, and that are always copied: here only matches as long as a record
# number count.
_NEEDED: Final = frozenset(
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
_LABELS: Final = frozenset({"AcquisitionNumber", "SeriesNumber"})
_LEAST: Final = 4  # digits of a number that counts
_LEAST_OF_LABELS: Final = 3
_LEAST_OF_NEEDED: Final = 6
_LEAST_OF_PARTS: Final = 7  # on both sides of a decimal point, or in several values together
_LEAST_OF_DAYS: Final = 5  # 050461 is 50461 as a number
_SHORTEST: Final = 3
_CLOCK: Final = 6  # digits: hhmmss
_PLAIN: Final = re.compile(r"-?[0-9]*\.?[0-9]*")
_DIGITS: Final = re.compile(r"[0-9]+")


def digit_runs(text: str) -> Iterator[str]:
    """Yield the digits of an id, a phone number or an address: each run, and all of a value.

    >>> sorted(digit_runs("MRN-0047-11"))
    ['0047', '004711', '11']
    """
    for value in text.split("\\"):
        runs = _DIGITS.findall(value)
        yield from (*runs, "".join(runs))


def day_spellings(day: str) -> set[str]:
    """Return the common all-digit forms of a date yyyymmdd.

    >>> sorted(day_spellings("19610405"))
    ['04051961', '040561', '05041961', '050461', '19610405', '19610504', '610405']
    """
    year, month, number = day[:4], day[4:6], day[6:]
    long = {day, year + number + month, number + month + year, month + number + year}
    short = {day_and_month + year[2:] for day_and_month in (number + month, month + number)}
    return long | short | {year[2:] + month + number}


class Figures(NamedTuple):
    """The numbers of a patient."""

    numbers: frozenset[str]  # without leading zeros
    clocks: frozenset[str]  # as written, six digits or more

    @classmethod
    def of(cls, texts: Iterable[str], days: Iterable[str]) -> "Figures":
        """Return the numbers of ids as written, and of dates."""
        of_days = {form for day in days for form in day_spellings(day)}
        ids = {text.lstrip("0") for text in texts}
        dates = {form.lstrip("0") for form in of_days}
        return cls(
            frozenset(number for number in ids if len(number) >= _SHORTEST)
            | {number for number in dates if len(number) >= _LEAST_OF_DAYS},
            frozenset(digits for digits in {*texts, *of_days} if len(digits) >= _CLOCK),
        )

    def in_number(self, keyword: str, text: str) -> bool:
        """Return whether a decimal number of an element is a number of the patient."""
        whole, _, fraction = _decimal_digits(text.strip(" +")).partition(".")
        if not fraction.strip("0"):
            return self._has(whole.lstrip("0"), self._least(keyword))
        parts = (whole + fraction.rstrip("0")).lstrip("0")
        return keyword not in _NEEDED and self._has(parts, _LEAST_OF_PARTS)

    def in_parts(self, keyword: str, texts: Iterable[str]) -> bool:
        """Return whether the joined values of an element are a number of the patient."""
        whole = "".join(_DIGITS.findall("".join(texts))).lstrip("0")
        return keyword not in _NEEDED and self._has(whole, _LEAST_OF_PARTS)

    def in_clock(self, text: str) -> bool:
        """Return whether a time of day, or its fraction, equals a number of the patient."""
        whole, _, fraction = text.replace(":", "").strip().partition(".")
        return not self.clocks.isdisjoint((whole, fraction, whole + fraction))

    def _has(self, digits: str, least: int) -> bool:
        return len(digits) >= least and digits in self.numbers

    @staticmethod
    def _least(keyword: str) -> int:
        if keyword in _NEEDED:
            return _LEAST_OF_NEEDED
        return _LEAST_OF_LABELS if keyword in _LABELS else _LEAST


def _decimal_digits(text: str) -> str:
    """Return a number without sign and exponent; "" if it is none, or not finite.

    >>> _decimal_digits("-07.50"), _decimal_digits("1.25e3"), _decimal_digits("NaN")
    ('07.50', '1250', '')
    """
    if _PLAIN.fullmatch(text):
        return text.lstrip("-")
    from decimal import Decimal, InvalidOperation

    try:
        number = abs(Decimal(text))
    except InvalidOperation:
        return ""
    return f"{number:f}" if number.is_finite() else ""
