"""Parsers of element values from their text, by VR (PS3.5 6.2)."""

import re
from datetime import date
from math import isfinite
from typing import Final

_AGE: Final = re.compile(r"([0-9]{1,9})([DWMY])", re.IGNORECASE)
_CLOCK: Final = re.compile("(?:[0-9]{2}){1,3}")
DAYS: Final = {"D": 1.0, "W": 7.0, "M": 30.4375, "Y": 365.25}


def number_of(text: str) -> float | None:
    """Return a DS or IS value; None if it is not a number."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if isfinite(number) and "_" not in text else None


def date_of(text: str) -> date | None:
    """Return a DA value, or the day of a DT value; None if it is not a date."""
    digits = text.strip().replace("-", "").replace(".", "")[:8]
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return None


def seconds_of(text: str) -> float | None:
    """Return the seconds since midnight of a TM value or of "08:30"; None if it is not a time."""
    clock, _, fraction = text.strip().replace(":", "").partition(".")
    if not _CLOCK.fullmatch(clock):
        return None
    hours, minutes, seconds = (int(clock.ljust(6, "0")[at : at + 2]) for at in (0, 2, 4))
    if hours > 23 or minutes > 59 or seconds > 60:  # noqa: PLR2004 - a leap second
        return None
    return hours * 3600 + minutes * 60 + seconds + float(f"0.{fraction or 0}")


def age_of(text: str) -> float | None:
    """Return an AS value in days: nnnD, nnnW, nnnM or nnnY; None if it is not an age."""
    found = _AGE.fullmatch(text.strip())
    return int(found[1]) * DAYS[found[2].upper()] if found else None


def groups_of(text: str) -> frozenset[str]:
    """Return a PN value and each of its component groups, without empty components."""
    groups = [group.strip().rstrip("^") for group in text.split("=")]
    spoken = (group.replace("^", " ").strip() for group in groups)
    return frozenset(filter(None, (*groups, *spoken, "=".join(groups))))
