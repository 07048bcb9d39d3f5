"""Lines that hold together: each names the digest of the one before, and its own.

    {"n":7,"after":"<digest of line 6>","at":"...","what":"attempt", ... ,"sha256":"<its own>"}

The digest of a line is the SHA-256 of its bytes up to the last comma, so that anybody can follow
the chain with ordinary tools. A line that is changed no longer fits its own digest; one that is
taken out, put in or moved no longer fits its neighbours. What a crash cut short is never removed:
the next line is of the kind MENDED and says how many bytes were cut short, and their digest. If a
crash cuts that short in turn, the next one tells of both pieces, as they lie in the file. Only the
beginning of a line is taken for such a piece.

No secret goes into the digests: whoever may write the file could make all of it anew, and would
find any key in the same folder. Against that helps a digest that is kept elsewhere (a `Link`).
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

START: Final = "0" * 64  # what the first line is after
MENDED: Final = "mended"
_END: Final = re.compile(rb',"sha256":"([0-9a-f]{64})"\}')
_ENDING: Final = re.compile(rb',"sha256":"(?!(?:[0-9a-f]{0,63}|[0-9a-f]{64}"?)\Z)')  # not cut off
_CUT_LETTER: Final = re.compile(r"\\u[0-9a-f]{0,4}\Z")
_CUT_WORD: Final = re.compile(r"|-|t|tr|tru|f|fa|fal|fals|n|nu|nul")
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
class ChainLine:
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


def read_line(raw: bytes) -> ChainLine | None:
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
    return ChainLine(
        link, after, facts, hashlib.sha256(raw[: end.start()]).hexdigest() == link.digest
    )


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
    before, torn = BEFORE_ALL, list[tuple[str, bytes]]()
    for where, raw in lines:
        line = read_line(raw)
        if line is None:
            torn.append((where, raw))
            continue
        yield from _breaks_of_torn(torn, line, where, before)
        yield from _breaks_at(where, line, before)
        before, torn = line.link, []
    if torn:
        yield Break(torn[0][0], "is cut short: by a crash, if nothing was written since")


def _breaks_of_torn(
    torn: Sequence[tuple[str, bytes]], line: ChainLine, where: str, before: Link
) -> Iterator[Break]:
    """Yield what is wrong with the pieces, if any, that lie before a line."""
    if line.facts.get("what") != MENDED:
        yield from (Break(at, "is no line of the log, and nothing says why") for at, _ in torn)
    elif not torn:
        yield Break(where, "tells of a line that was cut short, which is not there")
    else:
        if not _tells_of(line, b"\n".join(raw for _, raw in torn)):
            yield Break(torn[0][0], "is no line of the log, and nothing says why")
        for at, raw in torn:
            if not is_beginning(raw, before):
                yield Break(at, "was changed: no crash leaves a line like this")


def is_beginning(raw: bytes, before: Link) -> bool:
    """Tell whether a crash may have left this of a line that was to come next.

    Where the power fails, a file system may leave zeros in place of the rest.
    """
    cut = raw.rstrip(b"\0")
    head = b'{"n":%d,"after":"%s"' % (before.number + 1, before.digest.encode("ascii"))
    if not raw or cut[: len(head)] != head[: len(cut)]:
        return False
    return _ENDING.search(cut) is None and _ends_too_early(cut)


def _ends_too_early(raw: bytes) -> bool:
    """Tell whether all that is wrong with a JSON text is that it does not go on."""
    try:
        json.loads(_CUT_LETTER.sub("", raw.decode("ascii")))
    except json.JSONDecodeError as err:
        rest = err.doc[err.pos :]
        return err.msg.startswith("Unterminated") or _CUT_WORD.fullmatch(rest) is not None
    except (ValueError, RecursionError):
        return False
    return False


def _breaks_at(where: str, line: ChainLine, before: Link) -> Iterator[Break]:
    if not line.is_whole:
        yield Break(where, "was changed: its digest does not fit")
    number = before.number + 1
    if line.link.number > number:
        yield Break(where, f"lines {number} to {line.link.number - 1} are missing before it")
    elif line.link.number < number:
        yield Break(where, f"says it is number {line.link.number}, where {number} belongs")
    elif line.after != before.digest:
        yield Break(where, "does not follow the line before it: one of them is another")


def _tells_of(line: ChainLine, torn: bytes) -> bool:
    return line.facts == {**line.facts, **mend(torn)}


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
