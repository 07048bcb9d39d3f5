"""The processes of a worker: started, watched, and ended."""

import multiprocessing
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from drawcli.core.jobs.tasks import QueueTask
from drawcli.operations.workers.lane import TaskBegan, TaskEnded, run_lane

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

_SOONEST_SECONDS: Final = 5.0  # between two starts of the process of a lane that fails


@dataclass
class LaneProcess:
    """The process of a lane, and the task that it has."""

    process: "BaseProcess"
    pipe: Connection
    began: float
    task: QueueTask | None = None
    has_failed: bool = False  # it ended without being asked to

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self.process.pid or 0

    def messages(self) -> list[Any]:
        """Return the messages of the process since the last call."""
        received: list[Any] = []
        with suppress(EOFError, OSError):
            while self.pipe.poll():
                received.append(self.pipe.recv())
        for message in received:
            if isinstance(message, TaskBegan):
                self.task = message.task
            elif isinstance(message, TaskEnded):
                self.task = None
        return received


@dataclass
class Pool:
    """A number of processes with the same queues."""

    config: Path
    queues: tuple[str, ...]
    size: int
    on_message: Callable[[Any], None]  # called with each message of a lane
    on_exit: Callable[[LaneProcess], None]  # called with each lane that has ended
    lanes: list[LaneProcess] = field(default_factory=list)
    _start_after: float = 0.0

    def keep(self) -> None:
        """Collect ended processes and start others in their place, with a pause if they fail."""
        now = time.monotonic()
        for lane in [one for one in self.lanes if not one.process.is_alive()]:
            lane.has_failed = lane.process.exitcode != 0
            self._remove(lane)
            if lane.has_failed and now - lane.began < _SOONEST_SECONDS:
                self._start_after = now + _SOONEST_SECONDS
        if now >= self._start_after:
            self.lanes += [self._started() for _ in range(self.size - len(self.lanes))]

    def listen(self, seconds: float) -> None:
        """Wait at most `seconds` for messages, and pass them on."""
        pipes = {lane.pipe: lane for lane in self.lanes}
        if not pipes:
            time.sleep(seconds)
            return
        for pipe in wait([*pipes], seconds):
            received = pipes[pipe].messages()  # type: ignore[index] # it is one of them
            for message in received:
                self.on_message(message)
            if not received:  # it is closed: the process ends
                pipes[pipe].process.join(seconds)  # type: ignore[index]

    def stop(self) -> None:
        """Ask every process to end after its running task."""
        for lane in self.lanes:
            lane.process.terminate()

    def kill(self) -> None:
        """End every process now; the state of its task stays as after a power cut."""
        for lane in self.lanes:
            lane.process.kill()
        for lane in [*self.lanes]:
            lane.process.join()
            self._remove(lane)

    def collect(self, seconds: float) -> bool:
        """Collect the processes that end within `seconds`; return whether none is left."""
        wait([lane.process.sentinel for lane in self.lanes], seconds)
        for lane in [one for one in self.lanes if not one.process.is_alive()]:
            self._remove(lane)
        return not self.lanes

    def _remove(self, lane: LaneProcess) -> None:
        for message in lane.messages():
            self.on_message(message)
        self.lanes.remove(lane)
        lane.pipe.close()
        self.on_exit(lane)

    def _started(self) -> LaneProcess:
        context = multiprocessing.get_context("spawn")  # a fork would inherit connections
        here, there = multiprocessing.Pipe()
        given = (self.config, self.queues, there)
        process = context.Process(target=run_lane, args=given, name="lane")
        process.start()
        there.close()
        return LaneProcess(process, here, time.monotonic())
