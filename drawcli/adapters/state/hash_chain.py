"""A hash chain of JSON lines: each line contains its own digest and that of the line before.

    {"n":7,"after":"<digest of line 6>","at":"...","what":"attempt", ... ,"sha256":"<its own>"}

The digest is the SHA-256 of the line's bytes up to the last comma, so that the chain can be checked
with ordinary tools. A changed line does not match its digest; a line that was removed, inserted or
moved does not match its neighbours. A line torn by a crash stays: the next line is of the kind
MENDED, with the number and the digest of the torn bytes. If that line is torn too, the next one
accounts for both pieces. Only the beginning of a line is accepted as a torn line.

The digests use no secret: a process that can write the file could rewrite all of it, and read any
key in the same folder. A digest (`Link`) noted elsewhere detects that.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

START: Final = "0" * 64  # the `after` of the first line
MENDED: Final = "mended"
_END: Final = re.compile(rb',"sha256":"([0-9a-f]{64})"\}')
_ENDING: Final = re.compile(rb',"sha256":"(?!(?:[0-9a-f]{0,63}|[0-9a-f]{64}"?)\Z)')  # not torn
_CUT_LETTER: Final = re.compile(r"\\u[0-9a-f]{0,4}\Z")
_CUT_WORD: Final = re.compile(r"|-|t|tr|tru|f|fa|fal|fals|n|nu|nul")
_OWN: Final = frozenset({"n", "after", "sha256"})
_UNACCOUNTED: Final = "is no line of the log, and no later line accounts for it"


@dataclass(frozen=True, slots=True)
class Link:
    """The place of a line in the chain: its number, from 1, and its digest."""

    number: int
    digest: str

    def __str__(self) -> str:
        """Return the form to note elsewhere."""
        return f"{self.number}:{self.digest}"


BEFORE_ALL: Final = Link(0, START)


@dataclass(frozen=True, slots=True)
class ChainLine:
    """A line of the chain, parsed."""

    link: Link
    after: str
    facts: Mapping[str, Any]
    is_whole: bool  # its digest matches


@dataclass(frozen=True, slots=True)
class Break:
    """A place where the chain is broken."""

    where: str
    what: str


def make_line(before: Link, facts: Mapping[str, Any]) -> bytes:
    """Return the next line of a chain, without line feed.

    Raises
    ------
    ValueError
        If a fact has the name of a part of the chain.
    """
    if taken := _OWN & facts.keys():
        raise ValueError(f"'{min(taken)}' is a part of the chain, not a fact")
    plain = {"n": before.number + 1, "after": before.digest, **facts}
    body = json.dumps(plain, separators=(",", ":"), ensure_ascii=True)[:-1].encode("ascii")
    return body + b',"sha256":"' + hashlib.sha256(body).hexdigest().encode("ascii") + b'"}'


def read_line(raw: bytes) -> ChainLine | None:
    """Return a parsed line; None if it is torn or no line of a chain."""
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


def torn_note(torn: bytes) -> dict[str, Any]:
    """Return the facts that account for torn bytes."""
    return {"what": MENDED, "torn_bytes": len(torn), "torn_sha256": _digest(torn)}


def find_breaks(lines: Iterable[tuple[str, bytes]]) -> Iterator[Break]:
    """Yield the breaks of a chain, given all lines in order, each with its place."""
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
        yield Break(torn[0][0], "is cut short; normal if a crash has just interrupted writing")


def _breaks_of_torn(
    torn: Sequence[tuple[str, bytes]], line: ChainLine, where: str, before: Link
) -> Iterator[Break]:
    """Yield the breaks of the torn pieces, if any, before a line."""
    if line.facts.get("what") != MENDED:
        yield from (Break(at, _UNACCOUNTED) for at, _ in torn)
    elif not torn:
        yield Break(where, "accounts for a torn line that is missing")
    else:
        if not _accounts_for(line, b"\n".join(raw for _, raw in torn)):
            yield Break(torn[0][0], _UNACCOUNTED)
        for at, raw in torn:
            if not is_torn_line(raw, before):
                yield Break(at, "was changed: a crash cannot leave such a line")


def is_torn_line(raw: bytes, before: Link) -> bool:
    """Return whether bytes may be the torn next line; a file system may fill it up with zeros."""
    cut = raw.rstrip(b"\0")
    head = b'{"n":%d,"after":"%s"' % (before.number + 1, before.digest.encode("ascii"))
    if not raw or cut[: len(head)] != head[: len(cut)]:
        return False
    return _ENDING.search(cut) is None and _ends_too_early(cut)


def _ends_too_early(raw: bytes) -> bool:
    """Return whether bytes are the beginning of a JSON text."""
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
        yield Break(where, "was changed: its digest does not match")
    number = before.number + 1
    if line.link.number > number:
        yield Break(where, f"lines {number} to {line.link.number - 1} are missing before it")
    elif line.link.number < number:
        yield Break(where, f"has number {line.link.number} in place of {number}")
    elif line.after != before.digest:
        yield Break(where, "does not follow the line before it: one of them was replaced")


def _accounts_for(line: ChainLine, torn: bytes) -> bool:
    return line.facts == {**line.facts, **torn_note(torn)}


def _digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()
