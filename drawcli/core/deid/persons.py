"""Names and numbers of persons, cases and places in a header.

The engine removes them from the values that it keeps. They are read once for a series, at every
depth of a header, in every spelling that an ASCII text can have.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from drawcli.core.deid.vocabulary import TERMS
from drawcli.core.dicom import tags
from drawcli.core.dicom.elements import NestedElement, decode_text, every_element
from drawcli.core.dicom.header import Header, NotDicom
from drawcli.errors import BadStructureSet

# Of persons and their cases, in addition to VR PN.
_OF_PERSONS: Final = frozenset(
    {
        *(0x00080050, 0x00080090, 0x00080092, 0x00080094, 0x00081048, 0x00081050, 0x00081060),
        *(0x00081070, 0x00100010, 0x00100020, 0x00100021, 0x00101000, 0x00101001, 0x00101005),
        *(0x00101040, 0x00101060, 0x00101090, 0x00102154, 0x00102155, 0x00102297, 0x001021F0),
        *(0x00200010, 0x00321032, 0x00380010, 0x00380400),
    }
)
_OF_PLACES: Final = frozenset({0x00080080, 0x00080081, 0x00081040})
_SHORTEST_WORD: Final = 2  # letters: Wu, Li
_SHORTEST_PLACE: Final = 4
_WITHIN: Final = 5  # letters of a name that is also searched within longer words
_SHORTEST_ID: Final = 6  # characters of a record id with digits
_SHORTEST_NUMBER: Final = 3  # digits of a record number in a label
_SHORT_NUMBER: Final = 4  # likewise, in a measurement
_SHORTEST_DAY: Final = 5  # digits of a date without leading zeros: 050461
_SPLIT_NUMBER: Final = 7  # digits of a number with a decimal point in it
_WORDS: Final = re.compile(r"[^\W\d_]+|\d+")
_MIXED: Final = re.compile(r"[^\W_]+")
_PLAIN: Final = re.compile(rb"[0-9A-Za-z]+")
_DECIMAL: Final = re.compile(r"[+-]?0*(\d*)(?:\.(\d*))?")
_DAYS: Final = ("%Y%m%d", "%d%m%Y", "%m%d%Y", "%y%m%d", "%d%m%y", "%m%d%y", "%Y%d%m")
_STROKES: Final = str.maketrans(
    {"ø": "o", "đ": "d", "ð": "d", "ł": "l", "\u0131": "i", "æ": "ae", "œ": "oe", "þ": "th"}
)
_UMLAUTS: Final = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})


@dataclass(frozen=True, slots=True)
class Persons:
    """Words and digits that identify a person, in lower case."""

    words: frozenset[bytes] = frozenset()
    places: frozenset[bytes] = frozenset()
    ids: frozenset[bytes] = frozenset()  # letters and digits, without separators
    numbers: frozenset[str] = frozenset()  # without leading zeros
    clocks: frozenset[str] = frozenset()  # with leading zeros, six digits or more

    @classmethod
    def of(cls, header: Header) -> "Persons":
        """Return the persons and places named in a header."""
        words: set[str] = set()
        places: set[str] = set()
        digits: set[str] = set()
        charset = header.raw(tags.SpecificCharacterSet) or b""
        for element in _elements(header):
            if element.vr in ("DA", "DT"):
                digits.update(_date_spellings(element.raw))
            elif element.vr == "PN" or element.tag in _OF_PERSONS:
                for text in _texts(element.raw, charset):
                    words.update(_spellings(text))
                    digits.update(_numbers(text))
            elif element.tag in _OF_PLACES:
                for text in _texts(element.raw, charset):
                    places.update(w for w in _spellings(text) if len(w) >= _SHORTEST_PLACE)
        plain = {word.encode("ascii") for word in words if word.isascii()}
        return cls(
            frozenset(word for word in plain if len(word) >= _SHORTEST_WORD),
            frozenset(word.encode("ascii") for word in places if word.isascii()),
            frozenset(word for word in plain if len(word) >= _SHORTEST_ID and not word.isalpha()),
            frozenset(n for digit_run in digits if _is_long(n := digit_run.lstrip("0"), digit_run)),
            frozenset(digit_run for digit_run in digits if len(digit_run) >= 6),  # noqa: PLR2004 - hhmmss
        )

    def names_someone(self, word: bytes) -> bool:
        """Return whether a word of a text, in lower case, names a person or a place."""
        if word.isdigit():
            return word.lstrip(b"0").decode("ascii") in self.numbers
        return word in self.words or word in self.places

    def is_name(self, word: str) -> bool:
        """Return whether a word is part of a person's name, or a person's number."""
        plain = word.lower().encode("ascii", "replace")
        return plain in self.words or (plain.isdigit() and self.names_someone(plain))

    def in_text(self, raw: bytes) -> bool:
        """Return whether a free text names a person or a place."""
        plain = raw.lower()
        whole = b"".join(_PLAIN.findall(plain))  # also a name that is split over values
        vocabulary = {term.lower().encode("ascii") for term in TERMS}
        return (
            self.in_ids(raw)
            or any(self.names_someone(word) for word in _PLAIN.findall(plain))
            or any(
                word in whole
                for word in self.words | self.places - vocabulary
                if len(word) >= _WITHIN
            )
        )

    def in_ids(self, raw: bytes) -> bool:
        """Return whether a text holds a record id, with any separators."""
        whole = b"".join(_PLAIN.findall(raw.lower()))
        return any(record_id in whole for record_id in self.ids)

    def in_number(self, text: str, shortest: int = _SHORT_NUMBER) -> bool:
        """Return whether a decimal number is a number of a person or a case, or a date.

        >>> born = Persons(numbers=frozenset({"5041961", "4711"}))
        >>> [born.in_number(text) for text in ("-5041961.00", "504.1961", "4711", "47.11", "12")]
        [True, True, True, False, False]
        """
        match = _DECIMAL.fullmatch(text)
        if match is None:
            return self._is_ours(_spelt_out(text), shortest)
        whole, fraction = match[1], (match[2] or "").rstrip("0")
        if not fraction:
            return self._is_ours(whole, shortest)
        return self._is_ours((whole + fraction).lstrip("0"), _SPLIT_NUMBER)

    def in_clock(self, digits: str) -> bool:
        """Return whether the digits of a time are a number of a person or a date."""
        return digits in self.clocks

    def _is_ours(self, digits: str, shortest: int) -> bool:
        return len(digits) >= shortest and digits in self.numbers


def _spelt_out(text: str) -> str:
    """Return the digits of a number with an exponent; "" if it is not an integer."""
    try:
        number = float(text)
    except ValueError:
        return ""
    return str(abs(int(number))) if number.is_integer() and abs(number) < 1e18 else ""  # noqa: PLR2004 - exact


def _is_long(number: str, spelt: str) -> bool:
    """Return whether a number is long enough to search for; the date 2000-01-05 gives 105."""
    return len(number) >= (_SHORTEST_DAY if len(spelt) == 6 else _SHORTEST_NUMBER)  # noqa: PLR2004 - yymmdd


def _elements(header: Header) -> Iterator[NestedElement]:
    """Yield every element up to the first unreadable one; the gate reads the header, too."""
    try:
        yield from every_element(header)
    except (NotDicom, BadStructureSet, UnicodeDecodeError):
        return


def _texts(raw: bytes, charset: bytes) -> Iterator[str]:
    """Yield a value decoded by the character set of the file, and by common ones."""
    if raw.isascii() and b"\x1b" not in raw:
        yield raw.decode("ascii")
        return
    try:
        yield decode_text(raw, charset)
    except (BadStructureSet, UnicodeDecodeError):
        yield raw.decode("latin-1")
    try:
        yield raw.decode("utf-8")
    except UnicodeDecodeError:
        return


def _spellings(text: str) -> Iterator[str]:
    """Yield the words of a name, folded: without accents, also with umlauts spelt out."""
    lower = unicodedata.normalize("NFC", text).casefold()
    for spelt in {lower, lower.translate(_UMLAUTS)}:
        apart = unicodedata.normalize("NFKD", spelt.translate(_STROKES))
        plain = "".join(char for char in apart if unicodedata.category(char) != "Mn")
        yield from (word for word in _WORDS.findall(plain) if not word.isdigit())
        yield from (word for word in _MIXED.findall(plain) if not word.isdigit())
        for part in re.split(r"[\^=\\ ]+", plain):  # O'Brien, Al-Sayed
            yield "".join(_MIXED.findall(part))


def _numbers(text: str) -> Iterator[str]:
    """Yield the numbers in a name, an id or a phone number; also joined."""
    yield from re.findall(r"[0-9]+", text)
    for value in text.split("\\"):
        yield "".join(re.findall(r"[0-9]+", value))


def _date_spellings(raw: bytes) -> Iterator[str]:
    for value in raw.decode("latin-1").split("\\"):
        digits = value.replace(".", "").replace("-", "").strip(" \0")[:8]
        try:
            day = datetime.strptime(digits, "%Y%m%d").date()  # noqa: DTZ007 - a day has no zone
        except ValueError:
            continue
        yield from (day.strftime(form).zfill(len("ddmmyy")) for form in _DAYS)
