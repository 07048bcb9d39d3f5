"""Watchdog: a hanging share must not block the run, and its lock, for ever.

A system call that waits for a file server cannot be interrupted. A second thread therefore watches
the progress and ends the process after a time without any: as safe as a power cut, and the next run
finds at once that the share does not answer.
"""

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from threading import Event, Thread
from time import monotonic
from typing import Final

from drawcli.adapters.state.progress import ProgressState
from drawcli.errors import OutOfReach
from drawcli.pipeline.context import Context
from drawcli.system.limits import SHARE_ANSWERS

READ_IMAGES: Final = frozenset({"match", "deidentify", "reidentify"})
_WORDS: Final = (
    "drawcli: the datastore stopped answering during {step}; nothing is lost\n"
    "  Check the file server and the mount. The next run continues.\n"
)
_log = logging.getLogger(__name__)


def _end(step: str) -> None:
    _log.error("step=%s the datastore stopped answering: this run ends", step)
    sys.stderr.write(_WORDS.format(step=step))
    sys.stderr.flush()
    os._exit(OutOfReach.exit_code)


@dataclass(frozen=True, slots=True)
class _Listener:
    """Reports the progress of a step to the watchdog."""

    heard: Callable[[], None]

    def update(self, state: ProgressState) -> None:
        """Report progress."""
        del state
        self.heard()

    def finish(self) -> None:
        """Report the end of the step."""
        self.heard()


@contextmanager
def watch_step(ctx: Context, step: str) -> Iterator[None]:
    """End the process if a step that reads images makes no progress, within the block.

    Waits for the server, during which the turn is given up, have their own limits.
    """
    seconds = SHARE_ANSWERS * ctx.settings.scan.answer_seconds
    quiet = ctx.turns.quiet_seconds
    with (
        end_when_silent(seconds, step, quiet=quiet) as heard,
        ctx.progress.watched_by(_Listener(heard)),
    ):
        yield


@contextmanager
def end_when_silent(
    seconds: float,
    step: str = "scan",
    end: Callable[[str], None] | None = None,
    quiet: Callable[[], float] = lambda: inf,
) -> Iterator[Callable[[], None]]:
    """End the process if the yielded function is not called for `seconds`, within the block.

    `quiet` returns the seconds since the step last waited for something else.
    """
    heard_at, done = monotonic(), Event()

    def hear() -> None:  # often called: it wakes no thread
        nonlocal heard_at
        heard_at = monotonic()

    def listen() -> None:
        left = seconds
        while left > 0:
            if done.wait(left):
                return
            left = seconds - min(monotonic() - heard_at, quiet())
        (end or _end)(step)

    Thread(target=listen, daemon=True).start()
    try:
        yield hear
    finally:
        done.set()
