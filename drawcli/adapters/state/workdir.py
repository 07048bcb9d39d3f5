"""The work folders of jobs, their locks, and the lock of a run.

state_dir/run.lock                 one `run-once` at a time
state_dir/work/<job>.lock          one process works on a job; held for the length of a step
state_dir/work/<job>/vault         what identifies the patient, sealed
                     explanation.json   which rules fired, and why
                     template.yml  as it goes to the server
                     template.json the same with what is for people: looks, made structures
                     package.zip   as it goes to the server
                     received.dcm  the RTSTRUCT as it came
                     report.json   what the acceptance gate found
                     node.json     which files of the job the DICOM node may have
                     sheet.png, preview.html   pictures, where they were made
                     unpacked/     images of a one-off job that came in a zip
"""

import contextlib
import json
import os
import shutil
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path
from typing import Any, Final

from filelock import FileLock, Timeout

from drawcli.adapters.state.progress_file import FILE_NAME as PROGRESS
from drawcli.errors import AnotherRun, DiskFull, LedgerError
from drawcli.system.files import make_private, write_durably
from drawcli.system.platforms import fsync_folder

VAULT: Final = "vault"
PACKAGE: Final = "package.zip"
TEMPLATE: Final = "template.yml"
AS_SENT: Final = "template.json"
RECEIVED: Final = "received.dcm"
EXPLANATION: Final = "explanation.json"
REPORT: Final = "report.json"
PREVIEW_SHEET: Final = "sheet.png"
PREVIEW_PAGE: Final = "preview.html"
UNPACKED: Final = "unpacked"
_OWNER: Final = "run.json"
_SPARE_BYTES: Final = 64 << 20  # left free beside a package


class Busy(Exception):
    """Another process works on the job at this moment."""


@dataclass(frozen=True, slots=True)
class Runner:
    """Who says that a run is at work; a run that was killed goes on saying so."""

    pid: int
    host: str
    since: datetime


class WorkDir:
    """Everything below `state_dir` but the ledger and the key."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self._work = state_dir / "work"

    def folder(self, job_id: str) -> Path:
        """Return the work folder of a job, made if it is not there."""
        folder = self._of(job_id)
        make_private(self._work)
        return make_private(folder)

    def _of(self, job_id: str) -> Path:
        """Return the folder of a job; never one outside, whatever the ledger says."""
        if not job_id.isprintable() or Path(job_id).name != job_id or job_id in ("", ".."):
            raise LedgerError(
                "the ledger has a job whose id is none: a path",
                hint="'drawcli ledger restore' puts the newest good copy back.",
            )
        return self._work / job_id

    def file(self, job_id: str, name: str) -> Path:
        """Return where a file of a job lies; the folder may not be there."""
        return self._of(job_id) / name

    def write(self, job_id: str, name: str, data: bytes) -> None:
        """Write a file of a job; durable when this returns."""
        write_durably(self.folder(job_id) / name, data)

    def write_json(self, job_id: str, name: str, plain: Mapping[str, Any]) -> None:
        """Write a record of a job as JSON; durable when this returns."""
        text = json.dumps(plain, indent=1, ensure_ascii=False)
        self.write(job_id, name, text.encode("utf-8"))

    def read_json(self, job_id: str, name: str) -> Any:
        """Return a record of a job, or None where it is missing or damaged."""
        try:
            return json.loads(self.file(job_id, name).read_bytes())
        except (OSError, ValueError):
            return None

    def check_space(self, needed: int) -> None:
        """Raise DiskFull where less than `needed` bytes and some to spare are free."""
        free = self.free_bytes()
        if free < needed + _SPARE_BYTES:
            raise DiskFull(
                f"{self.state_dir} has {free >> 20} MiB free; the next package may need "
                f"{(needed + _SPARE_BYTES) >> 20} MiB",
                hint="Free some space, or lower deliver.keep_days; the job waits.",
            )

    def unpacked(self, job_id: str) -> Path:
        """Return an empty folder for the images of a job that came in a zip."""
        folder = self.folder(job_id) / UNPACKED
        if folder.exists():
            shutil.rmtree(folder)
        return make_private(folder)

    def remove_unpacked(self, job_id: str) -> None:
        """Remove the images of a job that came in a zip, and its folder if that is all of it."""
        folder = self._of(job_id)
        shutil.rmtree(folder / UNPACKED, ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.rmdir()

    def own_images(self, job_id: str, paths: Iterable[str]) -> dict[str, str]:
        """Return where files lie that were unpacked for another job, linked or copied for this one.

        The other job may be finished, and its folder removed, before this one is done.
        """
        foreign = [path for path in map(Path, paths) if self._is_of_other(path, job_id)]
        if not foreign:
            return {}
        folder = self.unpacked(job_id)
        for path in foreign:
            try:
                (folder / path.name).hardlink_to(path)
            except OSError:  # the file system knows no hard links
                shutil.copy2(path, folder)
        fsync_folder(folder)
        return {str(path): str(folder / path.name) for path in foreign}

    def _is_of_other(self, path: Path, job_id: str) -> bool:
        of_other = self.holds(path) and self._work / job_id not in path.parents
        return of_other and path.is_file()

    def holds(self, path: Path) -> bool:
        """Tell whether a file lies in a work folder."""
        return self._work in path.parents

    def remove_leftovers(self, is_known: Callable[[str], bool] = lambda _job_id: True) -> None:
        """Remove what processes that died have left; call it under the run lock.

        That is temporary files, and images that were unpacked for a job that the ledger never came
        to know. What lies with a job is removed under the lock of that job only: a person may be at
        work on it by hand. The ledger does the same for its own.
        """
        for name in (_OWNER, PROGRESS):
            for path in self.state_dir.glob(f".{name}.*.tmp"):
                path.unlink(missing_ok=True)
        for path in self._work.glob("*/.*.tmp"):
            with contextlib.suppress(Busy), self.job_lock(path.parent.name):
                path.unlink(missing_ok=True)
        for path in self._work.glob(f"*/{UNPACKED}"):
            with contextlib.suppress(Busy), self.job_lock(path.parent.name):
                if not is_known(path.parent.name):
                    self.remove_unpacked(path.parent.name)

    def free_bytes(self) -> int:
        """Return how much of the disk is free."""
        return shutil.disk_usage(self.state_dir).free

    def size_of(self, job_id: str) -> int:
        """Return how much the files of a job take, bytes."""
        return sum(size for _, size in self.files_of(job_id))

    def files_of(self, job_id: str) -> Iterator[tuple[str, int]]:
        """Yield the files of a job, by their names in its work folder, with their sizes."""
        folder = self._of(job_id)
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            yield path.relative_to(folder).as_posix(), path.stat().st_size

    def remove(self, job_id: str) -> None:
        """Remove the work folder of a finished job, and its lock; not while a step is at it."""
        with contextlib.suppress(Busy), self.job_lock(job_id):
            shutil.rmtree(self._of(job_id), ignore_errors=True)
            with contextlib.suppress(OSError):
                self.job_lock_file(job_id).unlink()

    def put_aside(self, job_id: str, name: str) -> None:
        """Rename a file of a job that is not what it was, if it is there; it is kept to look at."""
        path = self.file(job_id, name)
        with contextlib.suppress(FileNotFoundError):
            path.replace(path.with_name(f"{name}.altered"))
            fsync_folder(path.parent)

    def set_aside(self, job_id: str, folder: str) -> None:
        """Move the work folder of a job that nobody knows out of the way; nothing is removed."""
        target = make_private(self.state_dir / folder)
        names = chain([job_id], (f"{job_id}.{number}" for number in count(2)))
        self._of(job_id).rename(next(p for n in names if not (p := target / n).exists()))
        fsync_folder(target)
        fsync_folder(self._work)

    def has_jobs(self) -> bool:
        """Tell whether there is any work folder of a job that the ledger has known.

        The vault alone does not say so: it is sealed before the job is in the ledger, and a crash
        may lie between the two.
        """
        later = (EXPLANATION, TEMPLATE, PACKAGE)
        return any(path.name in later for path in self._work.glob("*/*"))

    def job_ids(self) -> list[str]:
        """Return the ids of the jobs that have a work folder."""
        return sorted(path.name for path in self._work.glob("*-*") if path.is_dir())

    def has_folder(self, job_id: str) -> bool:
        """Tell whether a job still has a work folder."""
        return self._of(job_id).is_dir()

    @property
    def run_lock_file(self) -> Path:
        """The lock of a whole run."""
        return self.state_dir / "run.lock"

    def job_lock_file(self, job_id: str) -> Path:
        """Return the lock of a job."""
        return self._of(job_id).with_name(f"{job_id}.lock")

    def runner(self) -> Runner | None:
        """Return who says that a run is at work."""
        try:
            plain = json.loads((self.state_dir / _OWNER).read_bytes())
            since = datetime.fromisoformat(plain["since"])
            since = since if since.tzinfo else since.replace(tzinfo=UTC)
            return Runner(int(plain["pid"]), str(plain["host"]), since)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    @contextmanager
    def run_lock(self, now: datetime) -> Iterator[Runner | None]:
        """Hold the lock of a whole run; return the one before it, if that did not end by itself.

        Raises
        ------
        AnotherRun
            Where another run holds it; says which and since when.
        """
        lock = FileLock(self.run_lock_file, mode=0o600)
        owner = self.state_dir / _OWNER
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise AnotherRun(f"another run is at work{_named(self.runner())}") from None
        try:
            before = self.runner()
            write_durably(owner, _owner(now))
            yield before
        finally:
            owner.unlink(missing_ok=True)
            lock.release()

    @contextmanager
    def job_lock(self, job_id: str) -> Iterator[None]:
        """Hold the lock of one job; raise Busy where another process does."""
        make_private(self._work)
        lock = FileLock(self.job_lock_file(job_id), mode=0o600)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise Busy(job_id) from None
        try:
            yield
        finally:
            lock.release()


def _owner(now: datetime) -> bytes:
    """Return who holds a lock: for messages only, nothing decides by it."""
    plain = {"pid": os.getpid(), "host": socket.gethostname(), "since": now.isoformat()}
    return json.dumps(plain).encode("utf-8")


def _named(runner: Runner | None) -> str:
    if runner is None:
        return ""
    return f": process {runner.pid} on {runner.host} since {runner.since.isoformat()}"
