"""A bar on standard error for the step that runs: gone when the step has ended."""

import sys
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Final

from drawcli.cli.door import Door

if TYPE_CHECKING:
    from rich.progress import Progress as Drawn
    from rich.progress import TaskID

    from drawcli.progress import Progress, Standing

_WHOLE: Final = 1000.0  # of a bar


def shown(door: Door, progress: "Progress") -> AbstractContextManager[Any]:
    """Draw a bar where a person reads along at a terminal, nothing elsewhere."""
    watched = door.to_person and sys.stderr.isatty()
    return progress.watched_by(Bar()) if watched else nullcontext()


class Bar:
    """Draws how far a step is."""

    def __init__(self) -> None:
        self._drawn: Drawn | None = None
        self._row: TaskID | None = None

    def moved(self, standing: "Standing") -> None:
        """Draw it; several times a second at most, whatever is told."""
        if self._drawn is None or self._row is None:
            self._drawn = _new()
            self._row = self._drawn.add_task(str(standing), total=None)
            self._drawn.start()
        share = standing.share
        self._drawn.update(
            self._row,
            description=str(standing),
            total=None if share is None else _WHOLE,
            completed=0 if share is None else share * _WHOLE,
        )

    def ended(self) -> None:
        """Take it away."""
        if self._drawn is not None:
            self._drawn.stop()
        self._drawn = self._row = None


def _new() -> "Drawn":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    return Progress(
        SpinnerColumn(),
        BarColumn(bar_width=30),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        transient=True,
    )
