"""The log of a site as `logs` writes it, read back: entries of text or JSON, newest files last."""

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from drawcli.adapters.state.logs import PAIR, log_path
from drawcli.system.printable import plain, plain_lines

_LINE: Final = re.compile(
    r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d{3}) ([A-Z]+) (\S+) run=(\S+) (.*)", re.DOTALL
)
_EVERY_SECONDS: Final = 1.0


@dataclass(slots=True)
class Entry:
    """One entry of the log."""

    at: datetime  # UTC
    level: str
    logger: str
    run: str
    message: str
    trace: list[str] = field(default_factory=list)  # lines of a traceback

    @property
    def pairs(self) -> dict[str, str]:
        """The pairs in the message, such as job and step."""
        return {name: text for name, text in PAIR.findall(self.message) if text != "None"}

    def as_plain(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return {
            **self.pairs,
            "at": self.at.isoformat(timespec="milliseconds"),
            "level": self.level,
            "logger": self.logger,
            "run": self.run,
            "message": self.message,
            "trace": self.trace,
        }

    def text(self) -> str:
        """Return it as text; a traceback is on lines of its own."""
        level = "" if self.level == "INFO" else f"{self.level} "
        head = f"{self.at:%Y-%m-%d %H:%M:%S} {self.run} {level}{self.message}"
        return plain_lines("\n".join([plain(head), *self.trace]))


def read_entries(lines: Iterable[str]) -> Iterator[Entry]:
    """Yield the entries in lines of the log, the oldest first; other lines are left out."""
    entry: Entry | None = None
    for line in lines:
        new = _entry_of(line)
        if new is None:
            if entry is not None and line.strip():
                entry.trace.append(line)
            continue
        if entry is not None:
            yield entry
        entry = new
    if entry is not None:
        yield entry


def log_lines(state_dir: Path) -> Iterator[str]:
    """Yield the lines of all log files of a site, the oldest first."""
    newest = log_path(state_dir)
    numbers = (path.suffix[1:] for path in newest.parent.glob(f"{newest.name}.*"))
    older = sorted((int(number) for number in numbers if number.isdecimal()), reverse=True)
    for path in (*(Path(f"{newest}.{number}") for number in older), newest):
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            continue
        yield from content.decode("utf-8", "replace").splitlines()


def follow_lines(state_dir: Path, go_on: Callable[[], bool] = lambda: True) -> Iterator[list[str]]:
    """Return an iterator over the lines that are added from now on; also after a rotation."""
    path = log_path(state_dir)
    return _follow(path, *_place(path), go_on)


def _follow(path: Path, inode: int, at: int, go_on: Callable[[], bool]) -> Iterator[list[str]]:
    while go_on():
        now, size = _place(path)
        if now != inode:  # rotated: the rest of the old file is not waited for
            inode, at = now, 0
        if size > at:
            with path.open("rb") as stream:
                stream.seek(at)
                whole, _, _ = stream.read(size - at).rpartition(b"\n")
            if whole:
                at += len(whole) + 1
                yield whole.decode("utf-8", "replace").splitlines()
        time.sleep(_EVERY_SECONDS)


def _place(path: Path) -> tuple[int, int]:
    """Return the inode and the size of a file; zeros without one."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return 0, 0
    return status.st_ino, status.st_size


def _entry_of(line: str) -> Entry | None:
    if line.startswith("{"):
        return _of_json(line)
    found = _LINE.fullmatch(line)
    if found is None:
        return None
    local = datetime.strptime(found[1], "%Y-%m-%d %H:%M:%S").astimezone()  # of this machine
    at = local.astimezone(UTC).replace(microsecond=int(found[2]) * 1000)
    level, logger, run, message = found.groups()[2:]
    return Entry(at, level, logger, run, message)


def _of_json(line: str) -> Entry | None:
    try:
        whole = json.loads(line)
        at = datetime.fromisoformat(whole["at"]).astimezone(UTC)
        level, logger, run = (str(whole[name]) for name in ("level", "logger", "run"))
        trace = list(map(str, whole.get("trace", ())))
        return Entry(at, level, logger, run, str(whole["message"]), trace)
    except (ValueError, KeyError, TypeError):
        return None
