"""Text that others wrote, made fit to be printed: the one way of it to a terminal, a log or JSON.

Names in images, file names, rules, answers of servers and files from elsewhere may hold what steers
a terminal (escape sequences, C1), turns the order of letters round, breaks a line in two, or is no
text at all (half of a surrogate pair). None of that is printed; what stands for it is visible.
"""

import re
import unicodedata
from typing import Final

INSTEAD: Final = "·"
_LAID_OUT: Final = frozenset("\n\t")  # what our own texts are laid out with
_MIB: Final = 1 << 20


def size(count: int | None) -> str:
    """Return a number of bytes as people read it.

    >>> size(2_345), size(64_000_000), size(None)
    ('2,345 bytes', '61.0 MiB', '0 bytes')
    """
    count = count or 0
    return f"{count:,} bytes" if count < _MIB else f"{count / _MIB:,.1f} MiB"


def plain(text: str) -> str:
    r"""Return a text for one line of a terminal; a line break in it is a sign like any other.

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
    return "".join(char if char in _LAID_OUT else _shown(char) for char in text)


def plain_json(text: str, *, ascii_only: bool = False) -> str:
    r"""Return JSON that says the same, with everything that no terminal should get as escapes.

    >>> plain_json('{"name": "\x9b2J \u202e \ud800 \xe9"}')
    '{"name": "\\u009b2J \\u202e \\ud800 é"}'
    """
    pattern = _NOT_ASCII if ascii_only else _OTHERS
    return text if text.isprintable() and not ascii_only else pattern.sub(_escaped, text)


_NOT_ASCII: Final = re.compile(r"[^\x00-\x7e]")
_OTHERS: Final = re.compile(r"[^\x00-\x7e\xa1-\xac\xae-\u02ff]")  # of these each is looked at


def _shown(char: str) -> str:
    return char if char.isprintable() or unicodedata.category(char) == "Zs" else INSTEAD


def _escaped(found: re.Match[str]) -> str:
    char = found[0]
    if char.isprintable() and found.re is _OTHERS:
        return char
    pair = char.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{pair[at : at + 4]}" for at in range(0, len(pair), 4))
