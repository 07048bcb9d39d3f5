"""The audit log: each transfer to the server and each action of a user, with time, user and host.

state_dir/audit/disclosures-00000001.jsonl    lines of `hash_chain`; named after its first line
                disclosures-00021874.jsonl    begun when the file before was full: one chain
                .lock                         held while a line is added

Lines are only added, and no file is removed. A line is durable when `add` returns: the attempt is
on disk before the first byte of a package is sent. The log names no patient; it names the user
running drawcli.
"""

import getpass
import os
import socket
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
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
    find_breaks,
    make_line,
    read_line,
    torn_note,
)
from drawcli.adapters.state.run_log import new_run_id
from drawcli.errors import TryLater
from drawcli.system.files import PRIVATE, make_private, report_disk_full
from drawcli.system.platforms import fsync_folder

FOLDER: Final = "audit"
ATTEMPT: Final = "attempt"  # a package is about to be sent
ANSWERED: Final = "answered"  # the server has accepted it and returned a task id
REFUSED: Final = "refused"  # the server has refused it
UNANSWERED: Final = "unanswered"  # it may have arrived
NOT_SENT: Final = "not-sent"  # the server could not be reached: nothing was sent
CONFIRMED: Final = "confirmed"  # the server was asked to delete its copy
ACTION: Final = "action"  # a user is about to do something; `action` says what
OUTCOMES: Final = frozenset({ANSWERED, REFUSED, UNANSWERED, NOT_SENT})
_LARGEST: Final = 8_000_000  # bytes of a file, about 14,000 lines
_TAIL: Final = 65_536  # bytes: more than the longest line
_LOCK_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Actor:
    """The user running drawcli, the host, and whether it runs at a terminal; or one of the page."""

    user: str
    host: str
    attended: bool  # False: cron, or a service
    page_user: str | None = None  # who uses the page; "" with its one password; None: not the page

    @classmethod
    @cache
    def present(cls) -> "Actor":
        """Return the actor of this process."""
        return cls(_user(), socket.gethostname(), bool(sys.stdin and sys.stdin.isatty()))

    @classmethod
    def of_page(cls, name: str) -> "Actor":
        """Return a user of the page, which this process serves."""
        return replace(cls.present(), attended=False, page_user=name)

    @property
    def source(self) -> str:
        """Where the action comes from: page, terminal or unattended."""
        if self.page_user is not None:
            return "page"
        return "terminal" if self.attended else "unattended"

    @property
    def label(self) -> str:
        """Name and source for people, such as `alice (page)` and `drawcli@host`."""
        if self.page_user is not None:
            return f"{self.page_user} (page)" if self.page_user else "page"
        return f"{self.user}@{self.host}"

    def as_plain(self) -> dict[str, Any]:
        """Return the actor as JSON."""
        plain = {"user": self.user, "host": self.host, "attended": self.attended}
        return plain if self.page_user is None else plain | {"page_user": self.page_user}


@dataclass(frozen=True, slots=True)
class ChainReport:
    """The result of `audit verify`."""

    files: int
    lines: int
    head: Link
    mended: int = 0  # lines torn by a crash and accounted for
    breaks: list[Break] = field(default_factory=list)
    unended: list[str] = field(default_factory=list)  # jobs with an attempt without outcome


class AuditLog:
    """The audit log of a site. Any number of processes and threads may add to it."""

    def __init__(self, state_dir: Path) -> None:
        self.folder = state_dir / FOLDER

    def add(self, what: str, at: datetime, run: str, facts: Mapping[str, Any]) -> Link:
        """Add a line; durable when this returns.

        Raises
        ------
        TryLater
            If another process keeps the log locked.
        DiskFull, OSError
            If the line cannot be written.
        """
        make_private(self.folder)
        plain: dict[str, Any] = {"at": at.isoformat(), "what": what, "run": run}
        plain |= {"who": Actor.present().as_plain(), **facts}
        with self._lock(), report_disk_full(self.folder):
            end = self._end()
            if end.torn:
                note = {"at": at.isoformat(), "run": run, **torn_note(end.torn)}
                end = self._write_line(end, note)
            return self._write_line(end, plain).link

    def add_action(
        self, action: str, at: datetime, run: str, actor: Actor, facts: Mapping[str, Any]
    ) -> Link:
        """Add what a user is about to do; `facts` name no patient. Otherwise as `add`."""
        about = {"who": actor.as_plain(), "action": action, "source": actor.source}
        return self.add(ACTION, at, run, about | dict(facts))

    def lines(self) -> Iterator[ChainLine]:
        """Yield the lines, oldest first; torn lines are skipped."""
        for _, raw in self._raw():
            line = read_line(raw)
            if line is not None:
                yield line

    def newest_first(self) -> Iterator[ChainLine]:
        """Yield the lines, newest first; each file is read as a whole."""
        for path in reversed(self._files()):
            for raw in reversed(path.read_bytes().split(b"\n")):
                line = read_line(raw) if raw else None
                if line is not None:
                    yield line

    @property
    def stamp(self) -> tuple[tuple[str, int, int], ...]:
        """What changes with the files: names, sizes and times."""
        found = ((path.name, path.stat()) for path in self._files())
        return tuple((name, status.st_size, status.st_mtime_ns) for name, status in found)

    def head(self) -> Link:
        """Return the link of the newest line; noted elsewhere, it proves all lines before it."""
        return self._end().link

    def verify(self, kept: Link | None = None) -> ChainReport:
        """Check the whole chain, and that it contains `kept`, a head that was noted elsewhere."""
        breaks = [*find_breaks(self._raw())]
        head, count, mended = BEFORE_ALL, 0, 0
        begun, unended = set[str](), set[str]()
        kept_is_there = kept is None
        for line in self.lines():
            head, count = line.link, count + 1
            kept_is_there = kept_is_there or line.link == kept
            what, job = line.facts.get("what"), str(line.facts.get("job"))
            mended += "torn_bytes" in line.facts
            if what == ATTEMPT:
                unended |= begun & {job}  # tried again: the outcome of the first try is unknown
                begun.add(job)
            elif what in OUTCOMES:
                begun.discard(job)
        if not kept_is_there and kept is not None:
            where = f"line {kept.number}"
            breaks.append(Break(where, "differs from the digest that was noted, or is missing"))
        return ChainReport(len(self._files()), count, head, mended, breaks, sorted(begun | unended))

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

    def _write_line(self, end: "_End", facts: Mapping[str, Any]) -> "_End":
        """Write a line; into a new file if the newest is full."""
        raw, path = make_line(end.link, facts), end.path
        if path is None or (path.stat().st_size > _LARGEST and not end.torn):
            path = self.folder / f"disclosures-{end.link.number + 1:08d}.jsonl"
        is_open = end.is_open and path == end.path
        _append(path, b"\n" * is_open + raw + b"\n")  # in one write
        if path != end.path:
            fsync_folder(self.folder)
        line = read_line(raw)
        return end if line is None else _End(path, line.link)

    def _lock(self) -> Any:
        lock = FileLock(self.folder / ".lock", mode=PRIVATE)
        try:
            return lock.acquire(timeout=_LOCK_SECONDS)
        except Timeout:
            raise TryLater(
                f"another process has locked the audit log for {_LOCK_SECONDS:.0f} s",
                code="audit-busy",
                hint="Look for a hanging drawcli process; its lock is released when it ends.",
            ) from None


def who_in_words(facts: Mapping[str, Any]) -> str:
    """Return the actor of a line, for people; "" if it names none."""
    who = facts.get("who") or {}
    if who.get("page_user") is not None:
        return f"{who['page_user']} (page)" if who["page_user"] else "page"
    unattended = "" if who.get("attended") else " (unattended)"
    return f"{who['user']}@{who['host']}{unattended}" if who else ""


def record_action(state_dir: Path, action: str, at: datetime, **facts: Any) -> None:
    """Record what the user of this process is about to do, without a context of the site."""
    AuditLog(state_dir).add_action(action, at, new_run_id(), Actor.present(), facts)


@dataclass(frozen=True, slots=True)
class _End:
    """The end of the log."""

    path: Path | None  # the newest file
    link: Link  # the last complete line
    torn: bytes = b""  # torn lines after it
    is_open: bool = False  # the file does not end with a line feed


def _append(path: Path, raw: bytes) -> None:
    """Append to a file; durable when this returns."""
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
    except (OSError, KeyError, ImportError):  # a uid without a name, as in a container
        return f"uid {os.getuid()}" if hasattr(os, "getuid") else "unknown"
