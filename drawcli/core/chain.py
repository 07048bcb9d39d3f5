"""Lines that hold together: each names the digest of the one before, and its own.

    {"n":7,"after":"<digest of line 6>","at":"...","what":"attempt", ... ,"sha256":"<its own>"}

The digest of a line is the SHA-256 of its bytes up to the last comma, so that anybody can follow
the chain with ordinary tools. A line that is changed no longer fits its own digest; one that is
taken out, put in or moved no longer fits its neighbours. What a crash cut short is never removed:
the next line is of the kind MENDED and says how many bytes were cut short, and their digest.

No secret goes into the digests: whoever may write the file could make all of it anew, and would
find any key in the same folder. Against that helps a digest that is kept elsewhere (a `Link`).
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

START: Final = "0" * 64  # what the first line is after
MENDED: Final = "mended"
_END: Final = re.compile(rb',"sha256":"([0-9a-f]{64})"\}')
_OWN: Final = frozenset({"n", "after", "sha256"})


@dataclass(frozen=True, slots=True)
class Link:
    """The place of a line in the chain: its number, from 1, and its digest."""

    number: int
    digest: str

    def __str__(self) -> str:
        """Return it as it is written down elsewhere."""
        return f"{self.number}:{self.digest}"


BEFORE_ALL: Final = Link(0, START)


@dataclass(frozen=True, slots=True)
class Line:
    """One line that was read: what it says, and whether it is as it was written."""

    link: Link
    after: str
    facts: Mapping[str, Any]
    is_whole: bool  # its digest fits


@dataclass(frozen=True, slots=True)
class Break:
    """A place where the chain does not hold."""

    where: str
    what: str


def linked(before: Link, facts: Mapping[str, Any]) -> bytes:
    """Return the line that comes next, without its line feed."""
    plain = {"n": before.number + 1, "after": before.digest, **facts}
    body = json.dumps(plain, separators=(",", ":"), ensure_ascii=True)[:-1].encode("ascii")
    return body + b',"sha256":"' + hashlib.sha256(body).hexdigest().encode("ascii") + b'"}'


def read_line(raw: bytes) -> Line | None:
    """Return a line; None where it is none, as where a crash cut it short."""
    end = _END.search(raw, max(len(raw) - 78, 0))
    if end is None or end.end() != len(raw):
        return None
    try:
        plain = json.loads(raw)
        link = Link(int(plain["n"]), end[1].decode("ascii"))
        facts = {name: value for name, value in plain.items() if name not in _OWN}
        after = str(plain["after"])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return Line(link, after, facts, hashlib.sha256(raw[: end.start()]).hexdigest() == link.digest)


def mend(torn: bytes) -> dict[str, Any]:
    """Return what is said of bytes that a crash cut short."""
    return {"what": MENDED, "torn_bytes": len(torn), "torn_sha256": _digest(torn)}


def breaks(lines: Iterable[tuple[str, bytes]]) -> Iterator[Break]:
    """Yield where a chain does not hold.

    Parameters
    ----------
    lines
        Each with where it stands, from the first line of the first file to the last.
    """
    before, torn = BEFORE_ALL, b""
    torn_where = ""
    for where, raw in lines:
        line = read_line(raw)
        told = line is not None and line.facts.get("what") == MENDED
        if torn_where and not (line is not None and told and _tells_of(line, torn)):
            yield Break(torn_where, "is no line of the log, and nothing says why")
        if told and not torn_where:
            yield Break(where, "tells of a line that was cut short, which is not there")
        torn_where, torn = ("", b"") if line is not None else (where, raw)
        if line is not None:
            yield from _breaks_at(where, line, before)
            before = line.link
    if torn_where:
        yield Break(torn_where, "is cut short: by a crash, if nothing was written since")


def _breaks_at(where: str, line: Line, before: Link) -> Iterator[Break]:
    if not line.is_whole:
        yield Break(where, "was changed: its digest does not fit")
    number = before.number + 1
    if line.link.number > number:
        yield Break(where, f"lines {number} to {line.link.number - 1} are missing before it")
    elif line.link.number < number:
        yield Break(where, f"says it is number {line.link.number}, where {number} belongs")
    elif line.after != before.digest:
        yield Break(where, "does not follow the line before it: one of them is another")


def _tells_of(line: Line, torn: bytes) -> bool:
    return line.facts == {**line.facts, **mend(torn)}


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
