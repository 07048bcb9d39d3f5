"""Escaping of untrusted text for terminals, logs and JSON.

DICOM values, file names, rules and server answers may contain terminal escape sequences, C1
controls, bidirectional overrides, line breaks or lone surrogates. They are replaced visibly.
"""

import re
import unicodedata
from math import floor, log10
from typing import Final

INSTEAD: Final = "·"
_LAYOUT: Final = frozenset("\n\t")
_MIB: Final = 1 << 20


def size(count: int | None) -> str:
    """Return a size as text.

    >>> size(2_345), size(64_000_000), size(None)
    ('2,345 bytes', '61.0 MiB', '0 bytes')
    """
    count = count or 0
    return f"{count:,} bytes" if count < _MIB else f"{count / _MIB:,.1f} MiB"


def counted(count: float, noun: str, plural: str = "") -> str:
    """Return a number with its noun.

    >>> counted(1, "job"), counted(2_000, "job"), counted(0, "series", "series")
    ('1 job', '2,000 jobs', '0 series')
    """
    shown = f"{count:,}".removesuffix(".0")
    return f"{shown} {noun if count == 1 else plural or f'{noun}s'}"


def volume_text(cm3: float | None) -> str:
    """Return a volume in cm³ with three significant figures; "none" without contours.

    >>> volume_text(1234.5), volume_text(88.04), volume_text(0.12349), volume_text(0)
    ('1,230', '88.0', '0.123', 'none')
    """
    if not cm3:
        return "none"
    rounded = float(f"{cm3:.2e}")
    decimals = max(0, 2 - floor(log10(abs(rounded))))
    return f"{rounded:,.{decimals}f}"


def volume_with_unit(cm3: float | None) -> str:
    """Return a volume as `volume_text`, with its unit.

    >>> volume_with_unit(88.04), volume_with_unit(0)
    ('88.0 cm³', 'none')
    """
    return f"{volume_text(cm3)} cm³" if cm3 else volume_text(cm3)


def plain(text: str) -> str:
    r"""Return a text for one line of a terminal; line breaks are replaced too.

    >>> plain("A\x1b[2J\nB"), plain("\u202egnp.exe"), plain("half \ud800")
    ('A·[2J·B', '·gnp.exe', 'half ·')
    """
    return text if text.isprintable() else "".join(map(_shown, text))


def plain_lines(text: str) -> str:
    r"""Return a text of several lines for a terminal.

    >>> plain_lines("one\n\ttwo\x9b2J")
    'one\n\ttwo·2J'
    """
    if text.isprintable() or text == "\n":
        return text
    return "".join(char if char in _LAYOUT else _shown(char) for char in text)


def plain_json(text: str, *, ascii_only: bool = False) -> str:
    r"""Return equivalent JSON with unprintable characters escaped.

    >>> plain_json('{"name": "\x9b2J \u202e \ud800 \xe9"}')
    '{"name": "\\u009b2J \\u202e \\ud800 é"}'
    """
    pattern = _NOT_ASCII if ascii_only else _OTHERS
    return text if text.isprintable() and not ascii_only else re.sub(pattern, _escaped, text)


_NOT_ASCII: Final = r"[^\x00-\x7e]"
_OTHERS: Final = r"[^\x00-\x7e\xa1-\xac\xae-\u02ff]"  # may be unprintable


def _shown(char: str) -> str:
    return char if char.isprintable() or unicodedata.category(char) == "Zs" else INSTEAD


def _escaped(match: re.Match[str]) -> str:
    char = match[0]
    if char.isprintable() and match.re.pattern == _OTHERS:
        return char
    pair = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{pair[at : at + 4]}" for at in range(0, len(pair), 4))
