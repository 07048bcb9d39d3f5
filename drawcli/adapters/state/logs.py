"""Logging without values of datasets, so that logs can be mailed.

One line per event, of pairs such as job=..., step=..., outcome=...; each line of the file has the
id of its run. As JSON, the pairs are keys.
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
PAIR: Final = re.compile(r"(?<!\S)([a-z_]+)=(\S+)")
_MB: Final = 1_000_000

_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class WithholdValues(logging.Filter):
    """Replace the messages of libraries: many quote a value of a dataset, drawcli's own never."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Keep the record and its logger; replace the text."""
        if record.name.partition(".")[0] != _OUR_OWN:
            record.msg, record.args = "%s: text withheld, it may quote a value", (record.name,)
        return True


class FramesOnly(logging.Formatter):
    """Format a traceback as frames and type, without the message, which may quote a value."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record, ignoring a traceback that another handler has cached."""
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
        """Return the line of a record, without line feeds."""
        return plain(super().formatMessage(record))


class JsonLines(logging.Formatter):
    """Format a record as a JSON object: time (UTC), level, logger, run, and drawcli's pairs."""

    def __init__(self, run: str) -> None:
        super().__init__()
        self._run = run

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as JSON; a traceback as frames and type."""
        import json

        message = record.getMessage()
        pairs = {name: value for name, value in PAIR.findall(message) if value != "None"}
        plain: dict[str, Any] = pairs | {
            "message": message,
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "run": self._run,
        }
        if record.exc_info and record.exc_info[0]:
            frames = traceback.extract_tb(record.exc_info[2])
            plain["trace"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames]
            plain["error"] = record.exc_info[0].__name__
        return plain_json(json.dumps(plain, ensure_ascii=False))


class _LogFile(logging.Handler):
    """The log file of a site. Any number of processes may write and rotate it.

    Unlike the standard library's handler, it opens the file for each line and appends it in one
    write. Errors are ignored.
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
                self._rotate_under_lock(line)
            self._append(line)

    def _rotate_under_lock(self, line: bytes) -> None:
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


def log_path(state_dir: Path) -> Path:
    """Return the newest log file of a site; older ones have a number behind its name."""
    return state_dir / "logs" / "drawcli.log"


def to_file(state_dir: Path, settings: "Logs", run: str) -> None:
    """Log to `state_dir/logs/drawcli.log`, rotated; replaces an earlier log file."""
    path = log_path(state_dir)
    make_private(path.parent)
    root = logging.getLogger()
    for earlier in [handler for handler in root.handlers if isinstance(handler, _LogFile)]:
        root.removeHandler(earlier)
        earlier.close()
    as_json = settings.format == "json"
    form = JsonLines(run) if as_json else FramesOnly(_FILE_FORM.format(run=run))
    _add(_LogFile(path, settings), logging.INFO, form)


def keep_off_stderr() -> None:
    """Never print warnings and logs by default: they may quote a value."""
    logging.lastResort = logging.NullHandler()
    logging.captureWarnings(capture=True)


def to_stderr(verbosity: int) -> None:
    """Log to standard error as well: INFO with -v, DEBUG with -vv."""
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
