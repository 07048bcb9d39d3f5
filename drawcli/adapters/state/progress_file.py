"""The progress of a run in a file, for other processes to read."""

import json
import os
import time
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from threading import RLock, Timer
from typing import Final, Self

from drawcli.adapters.state.progress import ProgressState
from drawcli.system.files import PRIVATE

FILE_NAME: Final = "progress.json"
_OFTEN_SECONDS: Final = 1.0  # the file is not written more often


@dataclass(slots=True)
class ProgressFile:
    """Writes how far a step is into a file that `status --watch` reads.

    A step without a job writes nothing in its first second: a run with nothing to do leaves the
    disk in peace. One that hangs before it has moved at all is written down after that second. The
    file is replaced as a whole, and not made durable: after a crash it says nothing anyway.
    """

    path: Path
    _next: float = field(default=0.0)  # by the monotonic clock
    _step: str = ""
    _written: bool = False
    _latest: ProgressState = field(default=ProgressState(step=""))
    _moved: float = 0.0  # when, s since 1970
    _first: Timer | None = None  # writes what the step has not moved to write
    _lock: RLock = field(default_factory=RLock)

    @classmethod
    def of(cls, state_dir: Path) -> Self:
        """Return the file of a site."""
        return cls(state_dir / FILE_NAME)

    def moved(self, standing: ProgressState) -> None:
        """Write it, if the last time is long enough ago."""
        now = time.monotonic()
        with self._lock:
            self._latest, self._moved = standing, time.time()
            if standing.step != self._step:
                self._step, self._next = standing.step, now + _OFTEN_SECONDS
                self._begin_to_wait()
            if now < self._next and (self._written or not standing.job):
                return
            self._next = now + _OFTEN_SECONDS
            with suppress(OSError):
                self._write(replace(standing, at=self._moved))

    def ended(self) -> None:
        """Remove it."""
        with self._lock:
            self._step = ""
            if self._first is not None:
                self._first.cancel()
            if self._written:
                self._written = False
                with suppress(OSError):
                    self.path.unlink(missing_ok=True)

    def _begin_to_wait(self) -> None:
        if self._first is not None:
            self._first.cancel()
        step = self._step
        self._first = Timer(_OFTEN_SECONDS, lambda: self._write_first(step))
        self._first.daemon = True
        with suppress(RuntimeError):  # no room for a thread: then it is not written
            self._first.start()

    def _write_first(self, step: str) -> None:
        with self._lock, suppress(OSError):
            if self._step == step and not self._written:
                self._write(replace(self._latest, at=self._moved))

    def _write(self, standing: ProgressState) -> None:
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with open(os.open(temporary, flags, PRIVATE), "wb") as stream:  # noqa: PTH123 - the mode
            stream.write(json.dumps(asdict(standing)).encode("ascii"))
        temporary.replace(self.path)
        self._written = True

    def read(self) -> ProgressState | None:
        """Return what another process wrote last; None where no step runs, or it cannot be read.

        A process that was killed leaves its last words: who reads looks whether it is still there.
        """
        names = {one.name for one in fields(ProgressState)}
        try:
            plain = json.loads(self.path.read_bytes())
            return ProgressState(**{name: plain[name] for name in names & plain.keys()})
        except (OSError, ValueError, TypeError, AttributeError):
            return None
