"""A share that hangs in the middle of a scan must not keep the run, and its lock, for ever.

Who waits for a file server in a system call hears nobody. So a second thread listens for signs of
life, and where there are none for too long it ends the process: as safe as a power cut, and the
next run finds out at once that the share does not answer.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Final

from drawcli.errors import OutOfReach

_WORDS: Final = (
    "drawcli: the datastore stopped answering in the middle of the scan; nothing is lost\n"
    "  Look at the file server and at the mount. The next run goes on.\n"
)
_log = logging.getLogger(__name__)


def _end() -> None:
    _log.error("the datastore stopped answering: this run ends")
    sys.stderr.write(_WORDS)
    sys.stderr.flush()
    os._exit(OutOfReach.exit_code)


@contextmanager
def watched(seconds: float, end: Callable[[], None] = _end) -> Iterator[Callable[[], None]]:
    """End the process where what is given is not called for so many seconds, within the block."""
    heard, done = Event(), Event()

    def listen() -> None:
        while heard.wait(seconds):
            heard.clear()
            if done.is_set():
                return
        if not done.is_set():
            end()

    Thread(target=listen, daemon=True).start()
    try:
        yield heard.set
    finally:
        done.set()
        heard.set()
