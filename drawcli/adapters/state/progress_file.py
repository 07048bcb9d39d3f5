"""The progress of a run in a file, for other processes to read."""

import json
import os
import time
from contextlib import suppress
from pathlib import Path
from threading import RLock, Timer
from typing import Final, Self

from drawcli.adapters.state.progress import ProgressState
from drawcli.system.files import PRIVATE

FILE_NAME: Final = "progress.json"
_INTERVAL_SECONDS: Final = 1.0  # shortest time between two writes of the file


class ProgressFile:
    """Watcher that writes the progress to a file, which `status --watch` reads.

    A step without a job writes nothing in its first second, so that a run with nothing to do does
    not use the disk; after that second it is written even if it hangs. The file is replaced as a
    whole, not durably: after a crash it has no use.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._next = 0.0  # by the monotonic clock
        self._step = ""
        self._written = False
        self._latest = ProgressState(step="")
        self._updated = 0.0  # s since 1970
        self._first: Timer | None = None  # writes the file if the step does not
        self._lock = RLock()

    @classmethod
    def of(cls, state_dir: Path) -> Self:
        """Return the file of a site."""
        return cls(state_dir / FILE_NAME)

    def update(self, state: ProgressState) -> None:
        """Write the file, unless it was written in the last second."""
        now = time.monotonic()
        with self._lock:
            self._latest, self._updated = state, time.time()
            if state.step != self._step:
                self._step, self._next = state.step, now + _INTERVAL_SECONDS
                self._start_timer()
            if now < self._next and (self._written or not state.job):
                return
            self._next = now + _INTERVAL_SECONDS
            with suppress(OSError):
                self._write(state._replace(at=self._updated))

    def finish(self) -> None:
        """Remove the file."""
        with self._lock:
            self._step = ""
            if self._first is not None:
                self._first.cancel()
            if self._written:
                self._written = False
                with suppress(OSError):
                    self.path.unlink(missing_ok=True)

    def _start_timer(self) -> None:
        if self._first is not None:
            self._first.cancel()
        step = self._step
        self._first = Timer(_INTERVAL_SECONDS, lambda: self._write_first(step))
        self._first.daemon = True
        with suppress(RuntimeError, MemoryError):  # no thread starts: then it is not written
            self._first.start()

    def _write_first(self, step: str) -> None:
        with self._lock, suppress(OSError):
            if self._step == step and not self._written:
                self._write(self._latest._replace(at=self._updated))

    def _write(self, state: ProgressState) -> None:
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}.tmp")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with open(os.open(temporary, flags, PRIVATE), "wb") as stream:  # noqa: PTH123 - the mode
            stream.write(json.dumps(state._asdict()).encode("ascii"))
        temporary.replace(self.path)
        self._written = True

    def read(self) -> ProgressState | None:
        """Return the progress that another process wrote; None if there is none.

        A killed process leaves its file: the caller checks whether the process still exists.
        """
        try:
            plain = json.loads(self.path.read_bytes())
            names = plain.keys() & {*ProgressState._fields}
            return ProgressState(**{name: plain[name] for name in names})
        except (OSError, ValueError, TypeError, AttributeError):
            return None
