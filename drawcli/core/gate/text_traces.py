"""Search texts for a patient's names, ids and dates, in any spelling.

For the privacy gate. Texts are compared folded: without case, accents and marks, so that LINDQVIST
matches Lindqvíst.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from drawcli.core.gate.figures import digit_runs

LONG: Final = 4  # least characters of a word that counts anywhere
LONG_NUMBER: Final = 6  # digits; shorter numbers occur in every header by chance
_SHORT_NAME: Final = 2  # characters: Li, Ng; and 山田
_SHORT_NUMBER: Final = 3  # digits
_SHORT_BYTES: Final = 3
_SMALL_WORDS: Final = frozenset(
    "and ct ear eye hip in leg low mr mri of pet pt rt t1 t2 the".split()
)
_BETWEEN: Final = re.compile(r"[\^=\s\\,;:/|()\[\]<>\"']+")
_WORD: Final = re.compile(r"[^\W_]+")
_LETTERS: Final = re.compile(r"[^\W\d_]+")
_MAIL: Final = re.compile(r"[^\s@]@[^\s@]+\.[a-z]{2}", re.IGNORECASE)  # one letter is enough
# National ids and phone numbers are written in groups: 123-45-6789, 943 476 5919, 2345 6789 0123.
_LONG_NUMBER: Final = re.compile(r"(?<![\d.])\d(?:[ /-]?\d){7,}(?![\d.])")
_MONTHS: Final = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_IN_ASCII: Final = tuple(
    str.maketrans(dict(zip("äöüåøæœđðł\u0131þ", letters.split(), strict=True)))
    for letters in ("a o u a o ae oe d d l i th", "ae oe ue aa oe ae oe d d l i th")
)
_YEAR: Final = r"((?:18|19|20|21)\d\d)"
_ANY_YEAR: Final = re.compile(_YEAR)
_NAMED: Final = rf"({'|'.join(_MONTHS)})[a-z]{{0,12}}"  # bounded: else "janjan..." takes its square
_GAP: Final = r"(?:st|nd|rd|th)?(?: of)?[-./ ,]*"
_DAYS: Final = tuple(
    (re.compile(pattern), order)
    for pattern, order in (
        (rf"(?<!\d){_YEAR}[-./ ]?(\d\d)[-./ ]?(\d\d)", "ymd"),
        (rf"(?<!\d)(\d\d?)[-./ ](\d\d?)[-./ ]{_YEAR}(?!\d)", "dmy"),
        (rf"(?<!\d)(\d\d?)[-./ ](\d\d?)[-./ ]{_YEAR}(?!\d)", "mdy"),
        (rf"(?<!\d)(\d\d)(\d\d){_YEAR}(?!\d)", "dmy"),
        (rf"(?<!\d)(\d\d)(\d\d){_YEAR}(?!\d)", "mdy"),
        (rf"(?<!\d)(\d\d?){_GAP}{_NAMED}{_GAP}{_YEAR}(?!\d)", "dmy"),
        (rf"{_NAMED}{_GAP}(\d\d?){_GAP}{_YEAR}(?!\d)", "mdy"),
    )
)


def fold(text: str) -> str:
    """Return a text without case, accents and marks.

    >>> fold("LINDQVÍST"), fold("Strauß")
    ('lindqvist', 'strauss')
    """
    if text.isascii():
        return text.lower()
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in apart if unicodedata.category(char) != "Mn")


def spellings(text: str) -> set[str]:
    """Return a folded text, also with ASCII letters for letters such as ø.

    >>> sorted(spellings("Øhrström")), spellings("Smith")
    (['oehrstroem', 'ohrstrom', 'øhrstrom'], {'smith'})
    """
    if text.isascii():
        return {fold(text)}
    lower = unicodedata.normalize("NFC", text.casefold())
    return {fold(lower), *(fold(lower.translate(table)) for table in _IN_ASCII)}


def words(text: str, shortest: int = LONG) -> set[str]:
    """Return the words of a folded text, of letters and digits.

    >>> sorted(words("mrn-in-7734021, h.smith"))
    ['7734021', 'smith']
    """
    return {word for word in _WORD.findall(text) if len(word) >= shortest}


def days(text: str) -> Iterator[str]:
    """Yield every date that a folded text may name, as yyyymmdd.

    >>> sorted(set(days("born 19.8.1954 or 1954-08-20 or aug 21st, 1954, on 22081954")))
    ['19540819', '19540820', '19540821', '19540822']
    """
    if _ANY_YEAR.search(text) is None:
        return
    for pattern, order in _DAYS:
        for parts in pattern.findall(text):
            named = dict(zip(order, parts, strict=True))
            month = named["m"]
            number = _MONTHS.index(month) + 1 if month in _MONTHS else int(month)
            if day := day_of(f"{named['y']}{number:02}{int(named['d']):02}"):
                yield f"{day:%Y%m%d}"


def day_of(text: str) -> date | None:
    """Return the date at the start of a DA or DT value, or None.

    >>> str(day_of("20260314083000+0530"))
    '2026-03-14'
    """
    digits = text.replace(".", "")[:8]
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return None


def has_long_number(text: str) -> bool:
    """Return whether a text holds a number as long as record and phone numbers.

    >>> has_long_number("ask 040 7410-55"), has_long_number("123-45-6789"), has_long_number("b30f")
    (True, True, False)
    """
    return _LONG_NUMBER.search(text) is not None


def has_mail(text: str) -> bool:
    """Return whether a text holds an e-mail address."""
    return _MAIL.search(text) is not None


@dataclass(slots=True)
class Traces:
    """The words of names and ids of one patient.

    `names` count anywhere, also inside a longer word. `short` ones count only as whole words, in
    texts without words of the scanner. `ids` are compared without separators.
    """

    names: set[str] = field(default_factory=set)
    short: set[str] = field(default_factory=set)
    ids: set[str] = field(default_factory=set)
    figures: set[str] = field(default_factory=set)  # their digits, without leading zeros

    def learn(self, text: str) -> None:
        """Add a name, an id, a number or an address."""
        self.figures.update(digit_runs(text))
        for plain in spellings(text):
            self._learn(plain)

    def _learn(self, plain: str) -> None:
        parts = {part.strip("._-") for part in _BETWEEN.split(plain)} | words(plain, _SHORT_NAME)
        for part in parts:
            if part.isdigit() and len(part) < LONG_NUMBER:
                self.short |= {part} if len(part) >= _SHORT_NUMBER else set()
            elif part.isdigit():
                self.names.add(part)
                self.ids.add(part)
            elif len(part) >= LONG or (not part.isascii() and len(part) >= _SHORT_NAME):
                self.names.add(part)
            elif len(part) >= _SHORT_NAME:
                self.short.add(part)
        whole = join_alnum(plain)
        if len(whole) >= LONG_NUMBER and any(char.isdigit() for char in whole):
            self.ids.add(whole)

    def in_text(self, text: str) -> bool:
        """Return whether a folded text identifies the patient."""
        return any(name in text for name in self.names) or self.in_ids(text) or self.in_short(text)

    def in_short(self, text: str, but: frozenset[str] = frozenset()) -> bool:
        """Return whether a short name or number of the patient is a word of a folded text.

        Letters before digits are a word, too: `wu` is in wu30, but not in b30fwu.
        """
        parts = words(text, 1) | set(_LETTERS.findall(text))
        return bool((self.short & parts) - _SMALL_WORDS - but)

    def in_words(self, text: str, but: frozenset[str] = frozenset()) -> bool:
        """Return whether a folded text of the scanner or the site names the patient."""
        return bool((words(text) & self.names) - but)

    def in_longer_words(self, text: str, but: frozenset[str] = frozenset()) -> bool:
        """Return whether a folded text holds a long name or number within longer words.

        A name that is part of an allowed word does not count, as Philip in Philips.
        """
        names = (name for name in self.names if len(name) >= LONG_NUMBER and name in text)
        return any(not any(name in word for word in but) for name in names)

    def in_ids(self, text: str) -> bool:
        """Return whether a folded text holds an id of the patient, with any separators."""
        whole = join_alnum(text)
        return any(id_ in whole for id_ in self.ids)


def foreign_parts(raw: bytes) -> Iterator[bytes]:
    """Yield the encoded parts of a name that are not plain ASCII."""
    for part in re.split(rb"[\^= \\\0]+", raw):
        if len(part) >= _SHORT_BYTES and (b"\x1b" in part or not part.isascii()):
            yield part


def join_alnum(text: str) -> str:
    """Return the letters and digits of a text, joined.

    >>> join_alnum("943 476-5919")
    '9434765919'
    """
    return "".join(char for char in text if char.isalnum())
