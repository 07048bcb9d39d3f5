"""The tasks of a sandbox, each in a folder on disk, so that they survive a restart.

    tasks/<task id>/upload.zip     the upload
    tasks/<task id>/rtstruct.dcm   the result
    tasks/<task id>/task.json      the status; a folder without it is not a task

After the confirmation only the third is kept, so that a client that lost the response can still
query the status.
"""

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from threading import Lock
from typing import BinaryIO, Final
from uuid import uuid4

from drawcli.sandbox import NOTICE
from drawcli.sandbox.accounts import utc_now
from drawcli.sandbox.whole_files import write_json, write_whole

_CHUNK: Final = 1 << 20


class Status(StrEnum):
    """The status words of the server."""

    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    COMPLETED = "SEGMENTATION COMPLETED"
    FAILED = "FAILED"
    CONFIRMED = "TRANSFER COMPLETED"


class WrongChecksum(Exception):
    """The upload does not have the client's checksum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """An upload and its status, without values from datasets."""

    task_id: str
    zip_name: str
    sha256: str  # of the zip
    size: int  # of the zip, bytes
    client_id: str
    received: str  # ISO 8601, UTC
    status: Status = Status.PENDING
    error: str | None = None
    template: str | None = None
    structures: tuple[str, ...] = ()
    idempotency_key: str | None = None
    rtstruct_sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """The client's description of an upload."""

    zip_name: str
    checksum: str  # SHA-256, hex
    client_id: str
    idempotency_key: str | None = None


class Tasks:
    """All tasks of a sandbox, in files and in memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = Lock()
        folder.mkdir(parents=True, exist_ok=True)
        tasks = [_read(path) for path in folder.glob("*/task.json")]
        self._tasks = {task.task_id: task for task in tasks}
        self._sweep()

    def all(self) -> list[Task]:
        """Return the tasks, oldest first."""
        with self._lock:
            return sorted(self._tasks.values(), key=lambda task: task.received)

    def get(self, task_id: str) -> Task | None:
        """Return a task, or None if it is unknown."""
        with self._lock:
            return self._tasks.get(task_id)

    def by_key(self, key: str) -> Task | None:
        """Return the task of an earlier upload with this idempotency key."""
        return next((task for task in self.all() if task.idempotency_key == key), None)

    def accept(self, stream: BinaryIO, arrival: Arrival) -> Task:
        """Store an upload as a new task, or raise `WrongChecksum` and delete it."""
        task_id = str(uuid4())
        folder = self._folder / task_id
        folder.mkdir()
        sha256 = _copy(stream, self.upload(task_id))
        if sha256 != arrival.checksum.strip().lower():
            shutil.rmtree(folder)
            raise WrongChecksum
        task = Task(
            task_id=task_id,
            zip_name=arrival.zip_name,
            sha256=sha256,
            size=self.upload(task_id).stat().st_size,
            client_id=arrival.client_id,
            received=utc_now().isoformat(),
            idempotency_key=arrival.idempotency_key,
        )
        with self._lock:
            self._tasks[task_id] = task
        self.put(task)
        return task

    def put(self, task: Task) -> None:
        """Store the new status of a task, unless the task was deleted."""
        with self._lock:
            if task.task_id not in self._tasks:
                return
            path = self._folder / task.task_id / "task.json"
            write_json(path, {"notice": NOTICE, **asdict(task)})
            self._tasks[task.task_id] = task

    def complete(self, task: Task, rtstruct: bytes) -> None:
        """Store the result, then the status."""
        write_whole(self.rtstruct(task.task_id), rtstruct)
        sha256 = hashlib.sha256(rtstruct).hexdigest()
        self.put(replace(task, status=Status.COMPLETED, rtstruct_sha256=sha256))

    def confirm(self, task: Task) -> None:
        """Store the confirmation, and delete the files."""
        self.put(replace(task, status=Status.CONFIRMED))
        self._delete_files(task)

    def forget(self) -> None:
        """Delete every task, also one in progress."""
        with self._lock:
            task_ids, self._tasks = list(self._tasks), {}
        for task_id in task_ids:
            shutil.rmtree(self._folder / task_id, ignore_errors=True)

    def upload(self, task_id: str) -> Path:
        """Return the path of a task's zip."""
        return self._folder / task_id / "upload.zip"

    def rtstruct(self, task_id: str) -> Path:
        """Return the path of a task's result."""
        return self._folder / task_id / "rtstruct.dcm"

    def _delete_files(self, task: Task) -> None:
        self.upload(task.task_id).unlink(missing_ok=True)
        self.rtstruct(task.task_id).unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Delete the remains of a sandbox that was killed."""
        for folder in self._folder.iterdir():
            if folder.name not in self._tasks:
                shutil.rmtree(folder)
        for task in self._tasks.values():
            if task.status is Status.CONFIRMED:
                self._delete_files(task)


def _read(path: Path) -> Task:
    stored = json.loads(path.read_text(encoding="utf-8"))
    del stored["notice"]
    stored["status"] = Status(stored["status"])
    stored["structures"] = tuple(stored["structures"])
    return Task(**stored)


def _copy(stream: BinaryIO, path: Path) -> str:
    """Copy a stream to a file; return its SHA-256."""
    digest = hashlib.sha256()
    with path.open("wb") as out:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
            out.write(chunk)
    return digest.hexdigest()
