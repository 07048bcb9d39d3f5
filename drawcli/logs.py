"""Logging that can be mailed: what happened and where, never what a dataset says."""

import logging
import sys
import traceback
from logging.handlers import RotatingFileHandler
from pathlib import Path
from types import TracebackType
from typing import Final

from drawcli.files import make_private

_OUR_OWN: Final = "drawcli"
_CHATTY: Final = ("httpx", "httpcore", "filelock", "asyncio", "urllib3")
_FORM: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"
_LARGEST_LOG: Final = 5_000_000  # bytes
_OLD_LOGS: Final = 5

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
            return super().format(record)
        finally:
            record.exc_text = kept

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802 - the name is logging's
        """Return the frames and the type of the error."""
        kind = ei[0].__name__ if ei[0] else "no error"
        return "".join([*traceback.format_tb(ei[2]), kind])


class _LogFile(RotatingFileHandler):
    """The log of a site, told apart from what others have put on the root logger."""


def origin(err: BaseException) -> str:
    """Return the file and line where an error was raised."""
    frames = traceback.extract_tb(err.__traceback__)
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown line"


def to_file(state_dir: Path) -> None:
    """Log every move into `state_dir/logs/drawcli.log`, rotated; into one such file at a time."""
    path = make_private(state_dir / "logs") / "drawcli.log"
    root = logging.getLogger()
    for earlier in [one for one in root.handlers if isinstance(one, _LogFile)]:
        root.removeHandler(earlier)
        earlier.close()
    handler = _LogFile(
        path, maxBytes=_LARGEST_LOG, backupCount=_OLD_LOGS, encoding="utf-8", delay=True
    )
    _add(handler, logging.INFO)


def keep_off_stderr() -> None:
    """Keep warnings and logs from being printed where nobody asked: they may quote a value."""
    logging.lastResort = logging.NullHandler()
    logging.captureWarnings(capture=True)


def to_stderr(verbosity: int) -> None:
    """Log to standard error as well: moves with -v, everything of drawcli's own with -vv."""
    _add(logging.StreamHandler(sys.stderr), logging.INFO if verbosity == 1 else logging.DEBUG)


def _add(handler: logging.Handler, level: int) -> None:
    handler.setLevel(level)
    handler.addFilter(WithholdValues())
    handler.setFormatter(FramesOnly(_FORM))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(min(root.level or logging.WARNING, level))
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
