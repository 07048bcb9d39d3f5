"""How far a running step is: reported to watchers, such as `progress_file`.

    with progress.step("deidentify"):                  what runs
        progress.expect(3)                             jobs of it
        with progress.job(job.id):                     one of them is begun, and counted at its end
            for one in progress.counted(files, "files packed"):  what it does meanwhile
                ...

    with progress.part("bytes sent", of=size) as part:  the same, where nothing is iterated over
        part.advance(len(piece))
    tell = progress.meter("bytes sent")                 or where somebody wants to call back
    tell(done, total)

Jobs that are worked on at the same time, in several threads, are told as one: their parts add up.

Nothing here may stop a run: a file that cannot be written is not written. Names of files, paths and
patients have no place in it; job ids and counts do.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from threading import RLock
from typing import Protocol, TypeVar

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressState:
    """How far a step is; all of it may be printed and mailed."""

    step: str
    done: int = 0  # jobs of the step
    of: int = 0  # jobs that are due; 0: not known yet
    job: str = ""  # the one it is at
    unit: str = ""  # what is counted within the job, such as "files packed"
    part: int = 0  # so many of it
    parts: int | None = None  # of so many; None: nobody knows
    since: float = 0.0  # when the step began, s since 1970
    at: float = 0.0  # when this was written, s since 1970
    pid: int = 0  # of the process

    @property
    def began(self) -> datetime:
        """When the step began, UTC."""
        return datetime.fromtimestamp(self.since, UTC)

    @property
    def share(self) -> float | None:
        """How much of the step is done, 0 to 1; None where nobody knows.

        >>> ProgressState(step="upload", done=1, of=2, part=5, parts=10).share
        0.75
        """
        within = min(self.part / self.parts, 1.0) if self.parts else 0.0
        if self.of:
            return min((self.done + within) / self.of, 1.0)
        return within if self.parts else None

    def __str__(self) -> str:
        """Return it as people say it.

        >>> jobs = ProgressState(step="deidentify", done=1, of=3)
        >>> str(replace(jobs, unit="files packed", part=88, parts=143))
        'deidentify: job 2 of 3, 88 of 143 files packed'
        """
        said = [f"job {min(self.done + 1, self.of)} of {self.of}"] if self.of else []
        if self.unit:
            counts = [self.part] if self.parts is None else [self.part, self.parts]
            said.append(_counted(counts, self.unit))
        return f"{self.step}: {', '.join(said)}" if said else self.step


def _counted(counts: Iterable[int], unit: str) -> str:
    """Return counts as people read them.

    >>> _counted([1_500_000, 88_000_000], "bytes sent"), _counted([7], "files read")
    ('1.5 of 88.0 MB sent', '7 files read')
    """
    if unit.startswith("bytes"):
        sizes = " of ".join(f"{count / 1e6:,.1f}" for count in counts)
        return f"{sizes} MB{unit.removeprefix('bytes')}"
    return f"{' of '.join(f'{count:,}' for count in counts)} {unit}"


class CountedItems(Protocol):
    """Yields items and counts those that are dealt with, as `Progress.counted` does."""

    def __call__(self, items: Iterable[_Item], unit: str, /) -> Iterator[_Item]:
        """Yield the items."""


def uncounted(items: Iterable[_Item], _unit: str, /) -> Iterator[_Item]:
    """Yield items; nobody counts them."""
    return iter(items)


class Watcher(Protocol):
    """Who is told."""

    def moved(self, standing: ProgressState) -> None:
        """Take note of how far a step is; called for every file and piece, so be quick."""

    def ended(self) -> None:
        """Take note that the step has come to its end."""


class Progress:
    """How far the step that runs is; silent while nobody watches. Any thread may tell it."""

    def __init__(self, *watchers: Watcher) -> None:
        self._watchers = list(watchers)
        self._lock = RLock()
        self._now = ProgressState(step="")
        self._jobs: list[str] = []  # begun and not ended
        self._parts: list[ProgressPart] = []  # likewise

    @contextmanager
    def watched_by(self, watcher: Watcher) -> Iterator[None]:
        """Tell one more watcher, until the block ends."""
        with self._lock:
            self._watchers = [*self._watchers, watcher]
        try:
            yield
        finally:
            with self._lock:
                self._watchers = [one for one in self._watchers if one is not watcher]

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Begin a step; it ends with the block, however that ends."""
        with self._lock:
            self._jobs, self._parts = [], []
            self._now = ProgressState(step=name, since=time.time(), pid=os.getpid())
            self._tell()
        try:
            yield
        finally:
            with self._lock:
                self._now = ProgressState(step="")
                for watcher in self._watchers:
                    watcher.ended()

    def expect(self, jobs: int) -> None:
        """Say of how many more jobs the step consists."""
        with self._lock:
            self._tell(of=self._now.of + jobs)

    @contextmanager
    def job(self, job_id: str) -> Iterator[None]:
        """Begin a job of the step; it counts as done when the block ends."""
        with self._lock:
            self._jobs.append(job_id)
            self._tell(job=job_id)
        try:
            yield
        finally:
            with self._lock:
                self._jobs.remove(job_id)
                if not self._jobs:
                    self._parts = []  # what broke off has not ended by itself
                last = self._jobs[-1] if self._jobs else ""
                self._tell(job=last, done=self._now.done + 1, unit="", part=0, parts=None)

    @contextmanager
    def part(self, unit: str, of: int | None = None) -> "Iterator[ProgressPart]":
        """Begin something within a job that is counted, such as "bytes sent"."""
        part = ProgressPart(self, unit, of)
        part.to(0)
        try:
            yield part
        finally:
            self._close(part)

    def counted(
        self, items: Iterable[_Item], unit: str, of: int | None = None
    ) -> "Iterator[_Item]":
        """Yield items, and count those that are dealt with."""
        known = len(items) if of is None and isinstance(items, Sized) else of
        with self.part(unit, known) as part:
            for item in items:
                yield item
                part.advance()

    def meter(self, unit: str) -> Callable[[int, int | None], None]:
        """Return what to call with how much is done, and of how much (None: nobody knows)."""
        part = ProgressPart(self, unit)

        def tell(done: int, total: int | None) -> None:
            part.of = total
            part.to(done)
            if done == total:
                self._close(part)

        return tell

    def moved(self, part: "ProgressPart") -> None:
        """Take note of how far a part is; those of the same unit add up."""
        with self._lock:
            if part not in self._parts:
                self._parts.append(part)
            alike = [one for one in self._parts if one.unit == part.unit]
            sizes = [one.of for one in alike if one.of is not None]
            whole = sum(sizes) if len(sizes) == len(alike) else None
            self._tell(unit=part.unit, part=sum(one.done for one in alike), parts=whole)

    def _close(self, part: "ProgressPart") -> None:
        with self._lock:
            if part in self._parts:
                self._parts.remove(part)

    def _tell(self, **changes: int | str | None) -> None:
        if self._now.step:  # else whoever tells is late: the step has ended
            self._now = replace(self._now, **changes)  # type: ignore[arg-type] # fields of ProgressState
            for watcher in self._watchers:
                watcher.moved(self._now)


@dataclass(slots=True, eq=False)
class ProgressPart:
    """Counts within a job."""

    progress: Progress
    unit: str
    of: int | None = None
    done: int = 0

    def advance(self, more: int = 1) -> None:
        """Count so many more."""
        self.to(self.done + more)

    def to(self, done: int) -> None:
        """Count so many in all."""
        self.done = done
        self.progress.moved(self)
