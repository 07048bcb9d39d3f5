"""The audit log: what left this building, when, to whom, who acted, and what came of it.

state_dir/audit/disclosures-00000001.jsonl    lines of `core.chain`; the name has the first's number
                disclosures-00021874.jsonl    begun where the one before is full: one chain
                .lock                         held while a line is added

Lines are only ever added, and nothing here removes a file. Each is durable when `add` returns: the
attempt is on disk before the first byte of a package goes out. It names no patient; of persons it
names who ran drawcli.
"""

import getpass
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout

from drawcli.adapters.state.hash_chain import (
    BEFORE_ALL,
    Break,
    ChainLine,
    Link,
    breaks,
    linked,
    mend,
    read_line,
)
from drawcli.errors import TryLater
from drawcli.system.files import PRIVATE, make_private, report_disk_full
from drawcli.system.platforms import fsync_folder

FOLDER: Final = "audit"
ATTEMPT: Final = "attempt"  # a package is about to go out
ANSWERED: Final = "answered"  # the server has it and named a task
REFUSED: Final = "refused"  # the server answered and did not take it
UNANSWERED: Final = "unanswered"  # it may have arrived
NOT_SENT: Final = "not-sent"  # the server could not be reached: nothing left
CONFIRMED: Final = "confirmed"  # the server was told to delete its copy
OUTCOMES: Final = frozenset({ANSWERED, REFUSED, UNANSWERED, NOT_SENT})
_LARGEST: Final = 8_000_000  # bytes of a file, some 14,000 lines
_TAIL: Final = 65_536  # bytes: more than the longest line
_PATIENCE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: the user who runs drawcli, on which machine, and whether a person sits there."""

    user: str
    host: str
    attended: bool  # False: cron, or a service

    @classmethod
    @cache
    def present(cls) -> "Actor":
        """Return who runs this process."""
        return cls(_user(), socket.gethostname(), bool(sys.stdin and sys.stdin.isatty()))

    def as_plain(self) -> dict[str, Any]:
        """Return it as a line holds it."""
        return {"user": self.user, "host": self.host, "attended": self.attended}


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What `audit verify` found."""

    files: int
    lines: int
    head: Link
    mended: int = 0  # lines that a crash cut short, and that are accounted for
    breaks: list[Break] = field(default_factory=list)
    unended: list[str] = field(default_factory=list)  # jobs with an attempt without an outcome


class AuditLog:
    """The audit log of a site. Any number of processes and threads may add to it."""

    def __init__(self, state_dir: Path) -> None:
        self.folder = state_dir / FOLDER

    def add(self, what: str, at: datetime, run: str, facts: Mapping[str, Any]) -> Link:
        """Add a line; it is on disk when this returns.

        Raises
        ------
        TryLater
            Where another process keeps the log locked.
        DiskFull, OSError
            Where the disk refuses.
        """
        make_private(self.folder)
        plain: dict[str, Any] = {"at": at.isoformat(), "what": what, "run": run}
        plain |= {"who": Actor.present().as_plain(), **facts}
        with self._locked(), report_disk_full(self.folder):
            end = self._end()
            if end.torn:
                note = {"at": at.isoformat(), "run": run, **mend(end.torn)}
                end = self._added(end, note)
            return self._added(end, plain).link

    def lines(self) -> Iterator[ChainLine]:
        """Yield what the log says, the first line first; what is no line is passed over."""
        for _, raw in self._raw():
            line = read_line(raw)
            if line is not None:
                yield line

    def head(self) -> Link:
        """Return the newest line; kept elsewhere, it proves all that came before it."""
        return self._end().link

    def verify(self, kept: Link | None = None) -> ChainReport:
        """Follow the whole chain.

        Parameters
        ----------
        kept
            A head that was noted elsewhere: the chain must still hold that line as it was.
        """
        found = [*breaks(self._raw())]
        head, count, mended = BEFORE_ALL, 0, 0
        begun, unended = set[str](), set[str]()
        kept_is_there = kept is None
        for line in self.lines():
            head, count = line.link, count + 1
            kept_is_there = kept_is_there or line.link == kept
            what, job = line.facts.get("what"), str(line.facts.get("job"))
            mended += "torn_bytes" in line.facts
            if what == ATTEMPT:
                unended |= begun & {job}  # tried again: of the first try nobody knows
                begun.add(job)
            elif what in OUTCOMES:
                begun.discard(job)
        if not kept_is_there and kept is not None:
            where = f"line {kept.number}"
            found.append(Break(where, "is not the one whose digest was kept, or is missing"))
        return ChainReport(len(self._files()), count, head, mended, found, sorted(begun | unended))

    def _raw(self) -> Iterator[tuple[str, bytes]]:
        for path in self._files():
            with path.open("rb") as stream:
                for number, raw in enumerate(stream, 1):
                    yield f"{path.name}:{number}", raw.removesuffix(b"\n")

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob("disclosures-*.jsonl"))

    def _end(self) -> "_End":
        newest, open_end, torn = None, False, list[bytes]()
        for path in reversed(self._files()):
            *pieces, last = _tail_of(path).split(b"\n")
            if newest is None:
                newest, open_end = path, bool(last)
            for raw in reversed([*pieces, *([last] if last else [])]):
                line = read_line(raw)
                if line is not None:
                    return _End(newest, line.link, b"\n".join(reversed(torn)), open_end)
                torn.append(raw)
        return _End(newest, BEFORE_ALL, b"\n".join(reversed(torn)), open_end)

    def _added(self, end: "_End", facts: Mapping[str, Any]) -> "_End":
        """Write one more line; into a new file, where the newest is full."""
        raw, path = linked(end.link, facts), end.path
        if path is None or (path.stat().st_size > _LARGEST and not end.torn):
            path = self.folder / f"disclosures-{end.link.number + 1:08d}.jsonl"
        is_open = end.is_open and path == end.path
        _append(path, b"\n" * is_open + raw + b"\n")  # in one: a crash cuts it somewhere
        if path != end.path:
            fsync_folder(self.folder)
        line = read_line(raw)
        return end if line is None else _End(path, line.link)

    def _locked(self) -> Any:
        lock = FileLock(self.folder / ".lock", mode=PRIVATE)
        try:
            return lock.acquire(timeout=_PATIENCE_SECONDS)
        except Timeout:
            raise TryLater(
                f"another process holds the audit log for more than {_PATIENCE_SECONDS:.0f} s",
                code="audit-busy",
                hint="Look for a drawcli that hangs; the lock is free once it has ended.",
            ) from None


@dataclass(frozen=True, slots=True)
class _End:
    """Where the log ends."""

    path: Path | None  # the newest file
    link: Link  # the last line that is one
    torn: bytes = b""  # what stands behind it and is no line: crashes cut it short
    is_open: bool = False  # the file does not end with a line feed


def _append(path: Path, raw: bytes) -> None:
    """Write at the end of a file; durable when this returns."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    with open(os.open(path, flags, PRIVATE), "ab") as stream:  # noqa: PTH123 - the mode
        stream.write(raw)
        stream.flush()
        os.fsync(stream.fileno())


def _tail_of(path: Path) -> bytes:
    with path.open("rb") as stream:
        stream.seek(0, os.SEEK_END)
        stream.seek(max(stream.tell() - _TAIL, 0))
        return stream.read()


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a number without a name, as in a container
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"
