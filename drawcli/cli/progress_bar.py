"""A progress bar on standard error, removed when the step has ended."""

import sys
import time
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from drawcli.cli import render
from drawcli.cli.door import Door
from drawcli.system.durations import long_duration

if TYPE_CHECKING:
    from rich.progress import Progress as Drawn
    from rich.progress import TaskID

    from drawcli.adapters.state.progress import Progress, ProgressState

_WHOLE: Final = 1000.0  # of a bar
_SETTLE_SECONDS: Final = 1.0  # before it, a rate says little


def shown(door: Door, progress: "Progress") -> AbstractContextManager[Any]:
    """Show a progress bar on a terminal, nothing elsewhere."""
    watched = door.to_person and sys.stderr.isatty()
    return progress.watched_by(Bar()) if watched else nullcontext()


class Bar:
    """Draws the progress of a step."""

    def __init__(self) -> None:
        self._drawn: Drawn | None = None
        self._row: TaskID | None = None
        self._pace = Pace()

    def update(self, state: "ProgressState") -> None:
        """Redraw the bar, at most a few times a second."""
        if self._drawn is None or self._row is None:
            self._drawn = _new()
            self._row = self._drawn.add_task(str(state), total=None)
            self._drawn.start()
        share = state.share
        self._drawn.update(
            self._row,
            description=f"{state}{self._pace.text(state, time.monotonic())}",
            total=None if share is None else _WHOLE,
            completed=0 if share is None else share * _WHOLE,
        )

    def finish(self) -> None:
        """Remove the bar."""
        if self._drawn is not None:
            self._drawn.stop()
        self._drawn = self._row = None


class Pace:
    """The rate of a transfer and the remaining time."""

    def __init__(self) -> None:
        self._begun = ("", 0.0, 0)  # unit, when, and how many of it there were then

    def text(self, state: "ProgressState", now: float) -> str:
        """Return what is added to a state at a time, s; nothing if bytes are not counted.

        >>> from functools import partial
        >>> from drawcli.adapters.state.progress import ProgressState
        >>> sent = partial(ProgressState, step="upload", unit="bytes sent", parts=90_000_000)
        >>> pace = Pace()
        >>> [pace.text(sent(part=mega * 1_000_000), at) for mega, at in ((0, 5.0), (8, 9.0))]
        ['', ', 2.0 MB/s, 41 s left']
        """
        unit, when, had = self._begun
        if unit != state.unit or state.part < had:
            self._begun = (state.unit, now, state.part)
            return ""
        if not unit.startswith("bytes") or now - when < _SETTLE_SECONDS:
            return ""
        rate = (state.part - had) / (now - when)
        if state.parts is None or not rate:
            return f", {rate / 1e6:.1f} MB/s"
        left = timedelta(seconds=round((state.parts - state.part) / rate))
        return f", {rate / 1e6:.1f} MB/s, {long_duration(left)} left"


def _new() -> "Drawn":
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    return Progress(
        SpinnerColumn("dots" if render.is_unicode(sys.stderr) else "line"),
        BarColumn(bar_width=30),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=render.plain_console(stderr=True),
        transient=True,
    )
