"""Progress of a running step, reported to watchers such as `progress_file`.

    with progress.step("deidentify"):
        progress.expect(3)                              jobs of the step
        with progress.job(job.id):                      counted when the block ends
            for path in progress.count_items(files, "files packed"):
                ...

    with progress.part("bytes sent", of=size) as part:  the same without an iterable
        part.advance(len(piece))
    tell = progress.meter("bytes sent")                 the same as a callback
    tell(done, total)

The parts of jobs that run in several threads at once are added up. An error here never stops a run.
Progress consists of job ids and counts, without names of files or patients.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import RLock
from typing import NamedTuple, Protocol, TypeVar

_Item = TypeVar("_Item")


class ProgressState(NamedTuple):
    """Progress of a step; contains nothing confidential."""

    step: str
    done: int = 0  # jobs of the step
    of: int = 0  # jobs that are due; 0: not known yet
    job: str = ""  # current job
    unit: str = ""  # counted within the job, such as "files packed"
    part: int = 0  # count
    parts: int | None = None  # total; None: unknown
    since: float = 0.0  # begin of the step, s since 1970
    at: float = 0.0  # time of writing, s since 1970
    pid: int = 0  # of the process

    @property
    def began(self) -> datetime:
        """When the step began, UTC."""
        return datetime.fromtimestamp(self.since, UTC)

    @property
    def share(self) -> float | None:
        """Share of the step that is done, 0 to 1; None if unknown.

        >>> ProgressState(step="upload", done=1, of=2, part=5, parts=10).share
        0.75
        """
        within = min(self.part / self.parts, 1.0) if self.parts else 0.0
        if self.of:
            return min((self.done + within) / self.of, 1.0)
        return within if self.parts else None

    def __str__(self) -> str:
        """Return the progress as text.

        >>> jobs = ProgressState(step="deidentify", done=1, of=3)
        >>> str(jobs._replace(unit="files packed", part=88, parts=143))
        'deidentify: job 2 of 3, 88 of 143 files packed'
        """
        texts = [f"job {min(self.done + 1, self.of)} of {self.of}"] if self.of else []
        if self.unit:
            counts = [self.part] if self.parts is None else [self.part, self.parts]
            texts.append(_format_counts(counts, self.unit))
        return f"{self.step}: {', '.join(texts)}" if texts else self.step


def _format_counts(counts: Iterable[int], unit: str) -> str:
    """Return counts as text.

    >>> _format_counts([1_500_000, 88_000_000], "bytes sent"), _format_counts([7], "files read")
    ('1.5 of 88.0 MB sent', '7 files read')
    """
    if unit.startswith("bytes"):
        sizes = " of ".join(f"{count / 1e6:,.1f}" for count in counts)
        return f"{sizes} MB{unit.removeprefix('bytes')}"
    return f"{' of '.join(f'{count:,}' for count in counts)} {unit}"


class ItemCounter(Protocol):
    """Yields items and counts them, as `Progress.count_items` does."""

    def __call__(self, items: Iterable[_Item], unit: str, /) -> Iterator[_Item]:
        """Yield the items."""


def no_counting(items: Iterable[_Item], _unit: str, /) -> Iterator[_Item]:
    """Return the items without counting them."""
    return iter(items)


class Watcher(Protocol):
    """Receives the progress of a step."""

    def update(self, state: ProgressState) -> None:
        """Receive the progress; called for each file and piece, so it must be fast."""

    def finish(self) -> None:
        """Receive the end of the step."""


class Progress:
    """Progress of the running step. Thread-safe."""

    def __init__(self, *watchers: Watcher) -> None:
        self._watchers = list(watchers)
        self._lock = RLock()
        self._now = ProgressState(step="")
        self._jobs: list[str] = []  # running
        self._parts: list[ProgressPart] = []  # running

    @contextmanager
    def watched_by(self, watcher: Watcher) -> Iterator[None]:
        """Add a watcher until the block ends."""
        with self._lock:
            self._watchers = [*self._watchers, watcher]
        try:
            yield
        finally:
            with self._lock:
                self._watchers = [other for other in self._watchers if other is not watcher]

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Begin a step; it ends with the block."""
        with self._lock:
            self._jobs, self._parts = [], []
            self._now = ProgressState(step=name, since=time.time(), pid=os.getpid())
            self._notify()
        try:
            yield
        finally:
            with self._lock:
                self._now = ProgressState(step="")
                for watcher in self._watchers:
                    watcher.finish()

    def expect(self, jobs: int) -> None:
        """Add to the number of jobs of the step."""
        with self._lock:
            self._notify(of=self._now.of + jobs)

    @contextmanager
    def job(self, job_id: str) -> Iterator[None]:
        """Begin a job of the step; it counts as done when the block ends."""
        with self._lock:
            self._jobs.append(job_id)
            self._notify(job=job_id)
        try:
            yield
        finally:
            with self._lock:
                self._jobs.remove(job_id)
                if not self._jobs:
                    self._parts = []  # parts that failed
                last = self._jobs[-1] if self._jobs else ""
                self._notify(job=last, done=self._now.done + 1, unit="", part=0, parts=None)

    @contextmanager
    def part(self, unit: str, of: int | None = None) -> "Iterator[ProgressPart]":
        """Begin to count within a job, such as "bytes sent"."""
        part = ProgressPart(self, unit, of)
        part.to(0)
        try:
            yield part
        finally:
            self._close(part)

    def count_items(
        self, items: Iterable[_Item], unit: str, of: int | None = None
    ) -> "Iterator[_Item]":
        """Yield items; count each when the next one is requested."""
        total = len(items) if of is None and isinstance(items, Sized) else of
        with self.part(unit, total) as part:
            for item in items:
                yield item
                part.advance()

    def meter(self, unit: str) -> Callable[[int, int | None], None]:
        """Return a callback for the amount done and the total (None: unknown)."""
        part = ProgressPart(self, unit)

        def tell(done: int, total: int | None) -> None:
            part.of = total
            part.to(done)
            if done == total:
                self._close(part)

        return tell

    def update(self, part: "ProgressPart") -> None:
        """Report the progress of a part; parts of the same unit are added up."""
        with self._lock:
            if part not in self._parts:
                self._parts.append(part)
            same_unit = [other for other in self._parts if other.unit == part.unit]
            sizes = [other.of for other in same_unit if other.of is not None]
            total = sum(sizes) if len(sizes) == len(same_unit) else None
            self._notify(unit=part.unit, part=sum(p.done for p in same_unit), parts=total)

    def _close(self, part: "ProgressPart") -> None:
        with self._lock:
            if part in self._parts:
                self._parts.remove(part)

    def _notify(self, **changes: int | str | None) -> None:
        if self._now.step:  # else a late thread: the step has ended
            self._now = self._now._replace(**changes)  # type: ignore[arg-type] # fields of it
            for watcher in self._watchers:
                watcher.update(self._now)


@dataclass(slots=True, eq=False)
class ProgressPart:
    """Counts within a job."""

    progress: Progress
    unit: str
    of: int | None = None
    done: int = 0

    def advance(self, more: int = 1) -> None:
        """Add to the count."""
        self.to(self.done + more)

    def to(self, done: int) -> None:
        """Set the count."""
        self.done = done
        self.progress.update(self)
