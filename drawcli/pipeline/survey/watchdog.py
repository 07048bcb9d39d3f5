"""A share that hangs while images are read must not keep the run, and its lock, for ever.

Who waits for a file server in a system call hears nobody. So a second thread listens for signs of
life, and where there are none for too long it ends the process: as safe as a power cut, and the
next run finds out at once that the share does not answer.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from threading import Event, Thread
from typing import Final

from drawcli.adapters.state.progress import ProgressState
from drawcli.errors import OutOfReach
from drawcli.pipeline.context import Context
from drawcli.system.limits import SHARE_ANSWERS

READ_IMAGES: Final = frozenset({"match", "deidentify", "reidentify"})
_WORDS: Final = (
    "drawcli: the datastore stopped answering in the middle of {step}; nothing is lost\n"
    "  Look at the file server and at the mount. The next run goes on.\n"
)
_log = logging.getLogger(__name__)


def _end(step: str) -> None:
    _log.error("step=%s the datastore stopped answering: this run ends", step)
    sys.stderr.write(_WORDS.format(step=step))
    sys.stderr.flush()
    os._exit(OutOfReach.exit_code)


@dataclass(frozen=True, slots=True)
class _Listener:
    """Takes each sign of progress of a step for a sign of life."""

    heard: Callable[[], None]

    def update(self, _state: ProgressState) -> None:
        """Take note of how far a step is."""
        self.heard()

    def finish(self) -> None:
        """Take note that the step has come to its end."""
        self.heard()


@contextmanager
def reading(ctx: Context, step: str) -> Iterator[None]:
    """End the process where a step that reads images makes no progress, within the block.

    What it waits for while it has given up its turn is no file server, and has its own limits.
    """
    seconds = SHARE_ANSWERS * ctx.settings.scan.answer_seconds
    quiet = ctx.turns.quiet_seconds
    with (
        watched(seconds, step, quiet=quiet) as heard,
        ctx.progress.watched_by(_Listener(heard)),
    ):
        yield


@contextmanager
def watched(
    seconds: float,
    step: str = "scan",
    end: Callable[[str], None] | None = None,
    quiet: Callable[[], float] = lambda: inf,
) -> Iterator[Callable[[], None]]:
    """End the process where what is given is not called for so many seconds, within the block.

    `quiet` returns for how many seconds something else has not been waited for.
    """
    heard, done = Event(), Event()

    def listen() -> None:
        left = seconds
        while left > 0:
            if heard.wait(left):
                heard.clear()
                left = seconds
            else:
                left = seconds - quiet()
            if done.is_set():
                return
        (end or _end)(step)

    Thread(target=listen, daemon=True).start()
    try:
        yield heard.set
    finally:
        done.set()
        heard.set()
