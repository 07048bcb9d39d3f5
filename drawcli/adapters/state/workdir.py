"""The work folders of jobs, their locks, and the lock of a run.

state_dir/run.lock                 one `run-once` at a time
state_dir/work/<job>.lock          one process works on a job; held for the length of a step
state_dir/work/<job>.manifest      which files the machines of a site share; see adapters/work_store
state_dir/work/<job>/vault, header   what identifies the patient, what rules read; both sealed
                     explanation.json   which rules fired, and why
                     template.yml  as it goes to the server
                     template.json the same with display data and derived structures
                     package.zip   as it goes to the server
                     received.dcm  the RTSTRUCT as it came
                     received.refused   the same, if the acceptance gate refused it
                     report.json   findings of the acceptance gate
                     node.json     the files of the job that the DICOM node may have
                     node-<address>.json   the same of one of `deliver.targets`
                     commitment-<address>.json   what such a node has yet to commit to
                     deliveries.json   which of them have confirmed the structure set
                     sheet.png, preview.html   preview pictures, if any
                     unpacked/     images of a one-off job that came in a zip
"""

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import chain, count
from pathlib import Path
from typing import Any, Final, NamedTuple

from drawcli.adapters.state.progress_file import FILE_NAME as PROGRESS
from drawcli.core.jobs.ledger import Busy
from drawcli.errors import AnotherRun, DiskFull, LedgerError
from drawcli.system.failures import raise_shortage
from drawcli.system.files import make_private, write_durably
from drawcli.system.platforms import fsync_folder

VAULT: Final = "vault"
PACKAGE: Final = "package.zip"
TEMPLATE: Final = "template.yml"
AS_SENT: Final = "template.json"
RECEIVED: Final = "received.dcm"
EXPLANATION: Final = "explanation.json"
REFUSED: Final = "received.refused"
REPORT: Final = "report.json"
PREVIEW_SHEET: Final = "sheet.png"
PREVIEW_PAGE: Final = "preview.html"
UNPACKED: Final = "unpacked"
_OWNER: Final = "run.json"
_SPARE_BYTES: Final = 64 << 20  # left free beside a package


class RunOwner(NamedTuple):
    """The process of a run, as it recorded itself; a killed run leaves its record."""

    pid: int
    host: str
    since: datetime


class WorkDir:
    """The work folders and locks below `state_dir`."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        self._work = state_dir / "work"

    def folder(self, job_id: str) -> Path:
        """Return the work folder of a job; create it if needed."""
        folder = self._of(job_id)
        make_private(self._work)
        return make_private(folder)

    def _of(self, job_id: str) -> Path:
        """Return the folder of a job; raise LedgerError for an id that could lead outside."""
        if not job_id.isprintable() or Path(job_id).name != job_id or job_id in ("", ".."):
            raise LedgerError(
                "the ledger has a job whose id is a path",
                hint="Restore the newest good copy with 'drawcli ledger restore'.",
            )
        return self._work / job_id

    def file(self, job_id: str, name: str) -> Path:
        """Return the path of a file of a job; it need not exist."""
        return self._of(job_id) / name

    def write(self, job_id: str, name: str, data: bytes) -> None:
        """Write a file of a job; durable when this returns."""
        write_durably(self.folder(job_id) / name, data)

    def write_json(self, job_id: str, name: str, plain: Mapping[str, Any]) -> None:
        """Write a record of a job as JSON; durable when this returns."""
        text = json.dumps(plain, indent=1, ensure_ascii=False)
        self.write(job_id, name, text.encode("utf-8"))

    def read_json(self, job_id: str, name: str) -> Any:
        """Return a record of a job; None if it is missing or damaged."""
        try:
            return json.loads(self.file(job_id, name).read_bytes())
        except (OSError, ValueError) as err:
            raise_shortage(err)
            return None

    def check_space(self, needed: int) -> None:
        """Raise DiskFull if fewer than `needed` bytes and a reserve are free."""
        free = self.free_bytes()
        if free < needed + _SPARE_BYTES:
            raise DiskFull(
                f"{self.state_dir} has {free >> 20} MiB free; the next package may need "
                f"{(needed + _SPARE_BYTES) >> 20} MiB",
                hint="Free some space, or lower deliver.keep_days; the job waits.",
            )

    def unpacked(self, job_id: str) -> Path:
        """Return an empty folder for the images of a job from a zip."""
        folder = self.folder(job_id) / UNPACKED
        if folder.exists():
            shutil.rmtree(folder)
        return make_private(folder)

    def remove_unpacked(self, job_id: str) -> None:
        """Remove the unpacked images of a job, and its folder if that is empty then."""
        folder = self._of(job_id)
        shutil.rmtree(folder / UNPACKED, ignore_errors=True)
        with contextlib.suppress(OSError):
            folder.rmdir()

    def copy_foreign_images(self, job_id: str, paths: Iterable[str]) -> dict[str, str]:
        """Link or copy files that were unpacked for another job; return old and new paths.

        The other job may be finished, and its folder removed, before this one.
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
        """Return whether a file is in a work folder."""
        return self._work in path.parents

    def remove_leftovers(self, is_known: Callable[[str], bool] = lambda _job_id: True) -> None:
        """Remove temporary files of dead processes; call it under the run lock.

        Also images unpacked for a job that is not in the ledger. Files of a job are removed under
        its lock: another command may be working on it.
        """
        for name in (_OWNER, PROGRESS):
            for path in self.state_dir.glob(f".{name}.*.tmp"):
                path.unlink(missing_ok=True)
        for path in self._work.glob(".*.manifest.*.tmp"):
            path.unlink(missing_ok=True)
        for path in self._work.glob("*/.*.tmp"):
            with contextlib.suppress(Busy), self.job_lock(path.parent.name):
                path.unlink(missing_ok=True)
        for path in self._work.glob(f"*/{UNPACKED}"):
            with contextlib.suppress(Busy), self.job_lock(path.parent.name):
                if not is_known(path.parent.name):
                    self.remove_unpacked(path.parent.name)

    def free_bytes(self) -> int:
        """Return the free bytes of the disk."""
        return shutil.disk_usage(self.state_dir).free

    def size_of(self, job_id: str) -> int:
        """Return the size of the files of a job, bytes."""
        return sum(size for _, size in self.files_of(job_id))

    def files_of(self, job_id: str) -> Iterator[tuple[str, int]]:
        """Yield the name within the work folder and the size of each file of a job."""
        folder = self._of(job_id)
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            yield path.relative_to(folder).as_posix(), path.stat().st_size

    def remove(self, job_id: str) -> None:
        """Remove the work folder of a finished job, and its lock, unless a step is using it."""
        with contextlib.suppress(Busy), self.job_lock(job_id):
            shutil.rmtree(self._of(job_id), ignore_errors=True)
            self._of(job_id).with_name(f"{job_id}.manifest").unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                self.job_lock_file(job_id).unlink()

    def keep_altered(self, job_id: str, name: str) -> None:
        """Rename an altered file of a job, if it exists, to `<name>.altered`, for inspection."""
        path = self.file(job_id, name)
        with contextlib.suppress(FileNotFoundError):
            path.replace(path.with_name(f"{name}.altered"))
            fsync_folder(path.parent)

    def move_away(self, job_id: str, folder: str) -> None:
        """Move the work folder of a job that is not in the ledger into another folder."""
        target = make_private(self.state_dir / folder)
        names = chain([job_id], (f"{job_id}.{number}" for number in count(2)))
        self._of(job_id).rename(next(p for n in names if not (p := target / n).exists()))
        fsync_folder(target)
        fsync_folder(self._work)

    def has_jobs(self) -> bool:
        """Return whether there is a work folder of a job that was in the ledger.

        A vault alone is no evidence: it is sealed before the job is in the ledger.
        """
        later = (EXPLANATION, TEMPLATE, PACKAGE)
        return any(path.name in later for path in self._work.glob("*/*"))

    def job_ids(self) -> list[str]:
        """Return the ids of the jobs that have a work folder."""
        return sorted(path.name for path in self._work.glob("*-*") if path.is_dir())

    def has_folder(self, job_id: str) -> bool:
        """Return whether a job has a work folder."""
        return self._of(job_id).is_dir()

    @property
    def run_lock_file(self) -> Path:
        """The lock of a whole run."""
        return self.state_dir / "run.lock"

    def job_lock_file(self, job_id: str) -> Path:
        """Return the lock of a job."""
        return self._of(job_id).with_name(f"{job_id}.lock")

    def run_owner(self) -> RunOwner | None:
        """Return the recorded process of the current run, or of one that was killed."""
        try:
            plain = json.loads((self.state_dir / _OWNER).read_bytes())
            since = datetime.fromisoformat(plain["since"])
            since = since if since.tzinfo else since.replace(tzinfo=UTC)
            return RunOwner(int(plain["pid"]), str(plain["host"]), since)
        except (OSError, ValueError, KeyError, TypeError) as err:
            raise_shortage(err)
            return None

    @contextmanager
    def run_lock(self, now: datetime) -> Iterator[RunOwner | None]:
        """Hold the lock of a whole run; yield the run before it, if that was killed.

        Raises
        ------
        AnotherRun
            If another run holds it; names its process and begin.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(self.run_lock_file, mode=0o600)
        owner = self.state_dir / _OWNER
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise AnotherRun(f"another run is at work{_describe(self.run_owner())}") from None
        try:
            before = self.run_owner()
            write_durably(owner, _owner(now))
            yield before
        finally:
            owner.unlink(missing_ok=True)
            lock.release()

    @contextmanager
    def job_lock(self, job_id: str) -> Iterator[None]:
        """Hold the lock of a job; raise Busy if another process holds it."""
        from filelock import FileLock, Timeout

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
    """Return the record of this process, used in messages only."""
    import socket

    plain = {"pid": os.getpid(), "host": socket.gethostname(), "since": now.isoformat()}
    return json.dumps(plain).encode("utf-8")


def _describe(owner: RunOwner | None) -> str:
    if owner is None:
        return ""
    return f": process {owner.pid} on {owner.host} since {owner.since.isoformat()}"
