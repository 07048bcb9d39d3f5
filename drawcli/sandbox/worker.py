"""The sandbox's segmentation job: one task at a time, in its own thread, without a GPU."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime
from functools import partial
from threading import Event
from typing import Final

from drawcli.sandbox.accounts import utc_now
from drawcli.sandbox.options import SandboxOptions
from drawcli.sandbox.segmentation.rtstruct import DrawnStructure, file_bytes, structure_set
from drawcli.sandbox.segmentation.segmenter import Segmenter
from drawcli.sandbox.segmentation.volume import BadSeries, volume
from drawcli.sandbox.tasks import Status, Task, Tasks
from drawcli.sandbox.template import BadTemplate
from drawcli.sandbox.upload_reader import BadUpload, Upload, check_as_real_job, read_upload

_UNFINISHED: Final = (Status.PENDING, Status.PROCESSING)


class Worker:
    """Draws the structures of tasks; at a start it takes up unfinished tasks again."""

    def __init__(
        self, tasks: Tasks, options: SandboxOptions, *, now: Callable[[], datetime] = utc_now
    ) -> None:
        self._tasks = tasks
        self._options = options
        self._now = now
        self._stopping = Event()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sandbox-worker")
        for task in tasks.all():
            if task.status in _UNFINISHED:
                self.take(task)

    def take(self, task: Task) -> None:
        """Queue a task."""
        future = self._thread.submit(self._work, task)
        future.add_done_callback(partial(self._note_bug, task))

    def close(self) -> None:
        """Stop after the present task; the queue is on disk."""
        self._stopping.set()
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _work(self, task: Task) -> None:
        if self._stopping.wait(self._options.queue_seconds):
            return
        task = replace(task, status=Status.PROCESSING)
        self._tasks.put(task)
        if self._stopping.wait(self._options.work_seconds):
            return
        try:
            upload = read_upload(self._tasks.upload(task.task_id), self._options.catalogue)
            task = replace(
                task, template=upload.template.name, structures=upload.template.structures
            )
            self._tasks.complete(task, self._draw(upload))
        except (BadUpload, BadTemplate, BadSeries) as err:
            self._tasks.put(replace(task, status=Status.FAILED, error=str(err)))

    def _draw(self, upload: Upload) -> bytes:
        """Return the RTSTRUCT of an upload."""
        if self._options.realistic:
            check_as_real_job(upload.slices)
        slices = volume(upload.slices)
        segmenter = Segmenter(slices, self._options.model_version)
        template = upload.template
        structures = [
            DrawnStructure(name, [] if number in template.undrawn else segmenter.contours(name))
            for number, name in enumerate(template.structures)
        ]
        return file_bytes(
            structure_set(
                slices,
                structures,
                at=self._now(),
                long_coordinates=self._options.long_coordinates,
            )
        )

    def _note_bug(self, task: Task, done: Future[None]) -> None:
        """Mark a task as failed after an unexpected error, so that the client is informed."""
        if not done.cancelled() and (error := done.exception()) is not None:
            text = f"bug in the sandbox: {type(error).__name__}"
            self._tasks.put(replace(task, status=Status.FAILED, error=text))
