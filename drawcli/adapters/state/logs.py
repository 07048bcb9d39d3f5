"""Logging that can be mailed: what happened and where, never what a dataset says.

One line a move, of words such as job=..., step=..., outcome=...; each line of the file names the
run that wrote it. As JSON, the same words are keys.
"""

import logging
import os
import re
import sys
import traceback
from contextlib import suppress
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from drawcli.system.files import PRIVATE, make_private
from drawcli.system.printable import plain, plain_json, plain_lines

if TYPE_CHECKING:
    from drawcli.config.sections_monitoring import Logs

_OUR_OWN: Final = "drawcli"
_CHATTY: Final = ("httpx", "httpcore", "filelock", "asyncio", "urllib3", "apprise", "requests")
_FORM: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"
_FILE_FORM: Final = "%(asctime)s %(levelname)s %(name)s run={run} %(message)s"
_PAIR: Final = re.compile(r"(?<!\S)([a-z_]+)=(\S+)")
_MB: Final = 1_000_000

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class WithholdValues(logging.Filter):
    """Drop the words of libraries: many of them quote the value they complain about.

    Only drawcli's own words are known to hold no value of a dataset.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the record and where it came from; replace its words."""
        if record.name.partition(".")[0] != _OUR_OWN:
            record.msg, record.args = "%s: text withheld, it may quote a value", (record.name,)
        return True


class FramesOnly(logging.Formatter):
    """Write a traceback as frames and a type; the message of a ValueError quotes the value."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record anew: another handler may have left the words of the error in it."""
        kept, record.exc_text = record.exc_text, None
        try:
            return plain_lines(super().format(record))
        finally:
            record.exc_text = kept

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802 - the name is logging's
        """Return the frames and the type of the error."""
        kind = ei[0].__name__ if ei[0] else "no error"
        return "".join([*traceback.format_tb(ei[2]), kind])

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - likewise
        """Return the line of a record: what others wrote makes no second one of it."""
        return plain(super().formatMessage(record))


class JsonLines(logging.Formatter):
    """Write one object a line: time (UTC), level, logger, run, and the words of drawcli as keys."""

    def __init__(self, run: str) -> None:
        super().__init__()
        self._run = run

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as JSON; of a traceback the places and the type, without words."""
        import json

        message = record.getMessage()
        said = {name: value for name, value in _PAIR.findall(message) if value != "None"}
        plain: dict[str, Any] = said | {
            "message": message,
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "run": self._run,
        }
        if record.exc_info and record.exc_info[0]:
            frames = traceback.extract_tb(record.exc_info[2])
            plain["trace"] = [f"{one.filename}:{one.lineno} {one.name}" for one in frames]
            plain["error"] = record.exc_info[0].__name__
        return plain_json(json.dumps(plain, ensure_ascii=False))


class _LogFile(logging.Handler):
    """The log of a site. Any number of processes may write and rotate it.

    The file of the standard library stays open and is renamed under the feet of other processes;
    this one is opened for each line, which is added in one piece. Who cannot write goes on.
    """

    def __init__(self, path: Path, settings: "Logs") -> None:
        super().__init__()
        self._path, self._keep = path, settings.keep
        self._largest = int(settings.max_mb * _MB)

    def emit(self, record: logging.LogRecord) -> None:
        """Add a line."""
        line = f"{self.format(record)}\n".encode("utf-8", "backslashreplace")
        with suppress(OSError):
            if self._is_full(line):
                self._make_room(line)
            self._append(line)

    def _make_room(self, line: bytes) -> None:
        from filelock import FileLock, Timeout

        lock = FileLock(self._path.with_name(".rotating"), timeout=1.0, mode=PRIVATE)
        with suppress(Timeout), lock:
            if self._is_full(line):  # else another process was quicker
                self._rotate()

    def _is_full(self, line: bytes) -> bool:
        return self._path.exists() and self._path.stat().st_size + len(line) > self._largest

    def _rotate(self) -> None:
        names = [self._path, *(Path(f"{self._path}.{n}") for n in range(1, self._keep + 1))]
        for younger, older in reversed([*pairwise(names)]):
            if younger.exists():
                younger.replace(older)

    def _append(self, line: bytes) -> None:
        flags = os.O_WRONLY | os.O_APPEND
        try:
            descriptor = os.open(self._path, flags)
        except FileNotFoundError:
            descriptor = os.open(self._path, flags | os.O_CREAT, PRIVATE)
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)


def origin(err: BaseException) -> str:
    """Return the file and line where an error was raised."""
    frames = traceback.extract_tb(err.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown line"


def to_file(state_dir: Path, settings: "Logs", run: str) -> None:
    """Log every move into `state_dir/logs/drawcli.log`, rotated; into one such file at a time."""
    path = make_private(state_dir / "logs") / "drawcli.log"
    root = logging.getLogger()
    for earlier in [one for one in root.handlers if isinstance(one, _LogFile)]:
        root.removeHandler(earlier)
        earlier.close()
    as_json = settings.format == "json"
    form = JsonLines(run) if as_json else FramesOnly(_FILE_FORM.format(run=run))
    _add(_LogFile(path, settings), logging.INFO, form)


def keep_off_stderr() -> None:
    """Keep warnings and logs from being printed where nobody asked: they may quote a value."""
    logging.lastResort = logging.NullHandler()
    logging.captureWarnings(capture=True)


def to_stderr(verbosity: int) -> None:
    """Log to standard error as well: moves with -v, everything of drawcli's own with -vv."""
    level = logging.INFO if verbosity == 1 else logging.DEBUG
    _add(logging.StreamHandler(sys.stderr), level, FramesOnly(_FORM))


def _add(handler: logging.Handler, level: int, form: logging.Formatter) -> None:
    handler.setLevel(level)
    handler.addFilter(WithholdValues())
    handler.setFormatter(form)
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(min(root.level or logging.WARNING, level))
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
