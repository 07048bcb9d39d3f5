"""Keys of a query: their levels, relative dates, and matching (PS3.4 C.2.2.2).

Archives ignore keys that they do not know. So every answer is matched again here; one without the
attribute of a key does not match.
"""

import re
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Final, NamedTuple

STUDY, SERIES, IMAGE = "STUDY", "SERIES", "IMAGE"
_OF_STUDY: Final = {
    "StudyDate": 0x00080020,
    "AccessionNumber": 0x00080050,
    "ModalitiesInStudy": 0x00080061,
    "ReferringPhysicianName": 0x00080090,
    "StudyDescription": 0x00081030,
    "PatientName": 0x00100010,
    "PatientID": 0x00100020,
    "PatientSex": 0x00100040,
    "StudyInstanceUID": 0x0020000D,
    "StudyID": 0x00200010,
}
_OF_SERIES: Final = {
    "SeriesDate": 0x00080021,
    "Modality": 0x00080060,
    "Manufacturer": 0x00080070,
    "InstitutionName": 0x00080080,
    "StationName": 0x00081010,
    "SeriesDescription": 0x0008103E,
    "PerformingPhysicianName": 0x00081050,
    "ManufacturerModelName": 0x00081090,
    "BodyPartExamined": 0x00180015,
    "ProtocolName": 0x00181030,
    "PatientPosition": 0x00185100,
    "SeriesInstanceUID": 0x0020000E,
    "SeriesNumber": 0x00200011,
}
TAGS: Final = {**_OF_STUDY, **_OF_SERIES}  # the keys that settings may name
_DATES: Final = frozenset({"StudyDate", "SeriesDate"})
_EXACT: Final = frozenset({"StudyInstanceUID", "SeriesInstanceUID", "SeriesNumber"})  # no wildcards
_NAMES: Final = frozenset({"PatientName", "ReferringPhysicianName", "PerformingPhysicianName"})
_LONGEST: Final = 64  # characters of a value
_LONGEST_FOUND: Final = 256  # of a value in an answer
_RELATIVE: Final = re.compile(r"-(\d{1,4})d|today")
_DAY: Final = re.compile(r"(\d{4})-?(\d{2})-?(\d{2})")
_RANGE_DOTS: Final = ".."


class Days(NamedTuple):
    """A range of days, both included; None: open."""

    first: date | None
    last: date | None

    def in_query(self) -> str:
        """Return the value of a key, range matching."""
        if self.first == self.last and self.first is not None:
            return f"{self.first:%Y%m%d}"
        ends = ("" if day is None else f"{day:%Y%m%d}" for day in self)
        return "-".join(ends)

    def has(self, day: date) -> bool:
        """Return whether a day is in the range."""
        return (self.first is None or self.first <= day) and (self.last is None or day <= self.last)


class QueryKey(NamedTuple):
    """An attribute and the values it may have."""

    keyword: str
    values: tuple[str, ...]

    @property
    def level(self) -> str:
        """The level at which it is asked: STUDY or SERIES."""
        return STUDY if self.keyword in _OF_STUDY else SERIES

    @property
    def tag(self) -> int:
        """The tag of the attribute."""
        return TAGS[self.keyword]

    def in_query(self, today: date) -> str:
        """Return the value that is asked for; "" (any) for several values."""
        if len(self.values) != 1:
            return ""
        (value,) = self.values
        return parse_days(value, today).in_query() if self.keyword in _DATES else value

    def matches(self, found: Sequence[str], today: date) -> bool:
        """Return whether an answer with these values of the attribute matches."""
        values = [text for value in found if 0 < len(text := value.strip()) <= _LONGEST_FOUND]
        if self.keyword in _DATES:
            wanted = [parse_days(one, today) for one in self.values]
            days = [day for day in map(_day_of, values) if day is not None]
            return any(span.has(day) for span in wanted for day in days)
        texts = [_plain(value, self.keyword) for value in values]
        patterns = [_plain(one, self.keyword) for one in self.values]
        return any(_is_like(text, one) for one in patterns for text in texts)


def check_key(keyword: str, values: Sequence[str]) -> QueryKey:
    """Return a key of the settings; raise ValueError if it cannot be asked."""
    if not values:
        raise ValueError("should have a value")
    for value in values:
        if not 0 < len(value) <= _LONGEST:
            raise ValueError(f"a value has 1 to {_LONGEST} characters")
        if "\\" in value or not value.isprintable():
            raise ValueError("a value has no backslash and no control character; write a list")
        if keyword in _EXACT and ("*" in value or "?" in value):
            raise ValueError("takes no wildcards")
        if keyword in _DATES:
            parse_days(value, date(2000, 1, 1))
        elif not value.strip("*"):
            raise ValueError("matches everything; leave the key out")
    return QueryKey(keyword, tuple(values))


def parse_days(text: str, today: date) -> Days:
    """Return the days of a text; raise ValueError if it is none.

    >>> today = date(2026, 3, 2)
    >>> [parse_days(text, today).in_query() for text in ("-1d", "-3d..-1d", "today")]
    ['20260301-', '20260227-20260301', '20260302']
    >>> [parse_days(text, today).in_query() for text in ("2026-02-01..", "20260201-20260203")]
    ['20260201-', '20260201-20260203']
    """
    first, dots, last = text.strip().partition(_RANGE_DOTS)
    if dots:
        days = Days(_end(first, today), _end(last, today))
    elif _RELATIVE.fullmatch(first) and first != "today":
        return Days(_end(first, today), None)  # from then on
    elif _DAY.fullmatch(first) or first == "today":
        days = Days(_end(first, today), _end(first, today))
    else:
        before, dash, after = first.partition("-")  # as in DICOM: 20260201-20260203
        if not dash:
            raise _no_days()
        days = Days(_end(before, today), _end(after, today))
    if days == Days(None, None) or (days.first and days.last and days.first > days.last):
        raise _no_days()
    return days


def _end(text: str, today: date) -> date | None:
    """Return one end of a range; None for an open one."""
    text = text.strip()
    if not text:
        return None
    relative = _RELATIVE.fullmatch(text)
    if relative:
        return today - timedelta(days=int(relative[1] or 0))
    day = _day_of(text)
    if day is None:
        raise _no_days()
    return day


def _day_of(text: str) -> date | None:
    """Return the day of a DA value, or of a date in the settings; None if it is none."""
    match = _DAY.fullmatch(text.replace(".", ""))
    if match is None or not text.isascii():
        return None
    try:
        return date(*map(int, match.groups()))
    except ValueError:
        return None


def _no_days() -> ValueError:
    return ValueError("should be days: -1d (since yesterday), -3d..-1d, today, or 20260131")


def _is_like(text: str, pattern: str) -> bool:
    """Return whether a text matches wildcards, in a time that grows with both lengths only.

    >>> [_is_like(text, "a*b?") for text in ("axxbc", "ab1", "ab", "xab1")]
    [True, True, False, False]
    """
    at, star, resume = 0, -1, 0  # in the pattern; of its last "*"; where that is tried again
    place = 0
    while place < len(text):
        if at < len(pattern) and pattern[at] == "*":
            star, resume, at = at, place, at + 1
        elif at < len(pattern) and pattern[at] in (text[place], "?"):
            at, place = at + 1, place + 1
        elif star >= 0:
            resume += 1
            at, place = star + 1, resume
        else:
            return False
    return not pattern[at:].strip("*")


def _plain(value: str, keyword: str) -> str:
    """Return a value for comparison: archives differ in whether case counts, so it does not."""
    text = value.strip().casefold()
    return text.partition("=")[0].rstrip("^") if keyword in _NAMES else text
