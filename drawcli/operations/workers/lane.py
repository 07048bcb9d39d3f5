"""A lane: a process that runs one task at a time."""

import logging
import signal
import threading
import time
from multiprocessing import parent_process
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from drawcli.adapters.state import logs
from drawcli.adapters.state.pause import read_pause
from drawcli.adapters.work_queue.queue import Deferral
from drawcli.adapters.work_queue.serve import QueueAway, serve
from drawcli.core.jobs.job import State
from drawcli.core.jobs.tasks import KINDS, LONG_STEPS, SCAN, TIDY, QueueTask, queue_of
from drawcli.errors import SILENT, DrawcliError, OutOfReach, ServerRefused
from drawcli.operations.workers.following import follow
from drawcli.operations.workers.site import OpenSite, Stamps, open_site
from drawcli.pipeline.runner import Selection, run_step
from drawcli.system.failures import refuse_libraries_without_memory, shortage_behind

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_LONGEST_WAIT: Final = 30.0  # s, until a site that cannot be opened is opened again
_BLOCKED_SECONDS: Final = 10.0  # a step that no job could do is not tried again for so long
_REFUSED_SECONDS: Final = 300.0  # the same, if the server refuses the token
_UNHURRIED: Final = 0.5  # s, for a task that is dropped, so that other hosts can take it
_MOST_AT_ONCE: Final = 200  # tasks that are deferred after a scan; the feeder brings the others
_log = logging.getLogger(__name__)


class TaskBegan(NamedTuple):
    """Message to the supervising process: a task runs now."""

    task: QueueTask


class TaskEnded(NamedTuple):
    """Message: the task has ended."""

    task: QueueTask
    outcomes: tuple[tuple[str, str], ...] = ()  # job, outcome
    feed: tuple[str, ...] = ()  # steps whose tasks are to be deferred now


class StepTrouble(NamedTuple):
    """Message: no task of a step, or none at all (""), can be done for now."""

    step: str
    code: str
    text: str
    exit_code: int


def run_lane(config: Path, queues: tuple[str, ...], pipe: "Connection") -> None:
    """Run tasks until the supervising process ends this one, or itself; the target of a process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal; the supervising process decides
    refuse_libraries_without_memory()
    lane = Lane(config, queues, pipe)
    signal.signal(signal.SIGTERM, lambda *_: lane.stop.set())
    threading.Thread(target=_end_with_parent, args=(lane.stop,), daemon=True).start()
    lane.run()


def _end_with_parent(stop: threading.Event) -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        stop.set()


class Lane:
    """Runs the tasks of some kinds of work."""

    def __init__(self, config: Path, queues: tuple[str, ...], pipe: "Connection") -> None:
        self._config, self._queues, self._pipe = config, queues, pipe
        self.stop = threading.Event()
        self._blocked: dict[str, tuple[float, Stamps]] = {}  # step: until when, with which files

    def run(self) -> None:
        """Open the site and run tasks; open it again after the database was away."""
        wait = 1.0
        while not self.stop.is_set():
            began = time.monotonic()
            try:
                self._serve()
                continue
            except QueueAway as err:
                _log.warning("step=worker outcome=waits why=%s", err)
                text = "the connection to the queues was lost"
                self._send(StepTrouble("", "ledger-away", text, OutOfReach.exit_code))
            except DrawcliError as err:
                self._send(StepTrouble("", err.code, str(err), err.exit_code))
            wait = 1.0 if time.monotonic() - began > _LONGEST_WAIT else min(2 * wait, _LONGEST_WAIT)
            self.stop.wait(wait)

    def _serve(self) -> None:
        with open_site(self._config) as site:
            settings = site.settings
            logs.keep_off_stderr()
            logs.to_file(settings.state_dir, settings.logs, site.base.run_id)
            self._send(StepTrouble("", "", "", 0))
            kinds = [kind for kind in KINDS if kind in (*self._queues, TIDY)]
            queues = [queue_of(kind) for kind in kinds]
            queues += [queue_of(kind, site.host) for kind in kinds]
            parameters = site.queue_parameters()
            serve(
                parameters,
                site.shared.site,
                queues,
                lambda task: self.handle(site, task),
                self.stop,
            )

    def handle(self, site: OpenSite, task: QueueTask) -> None:
        """Run a task; it never raises an error."""
        if site.is_outdated:  # a new process reads the settings; the feeder makes the task again
            self.stop.set()
            return
        self._send(TaskBegan(task))
        ended = TaskEnded(task)
        try:
            ended = self._done(site, task)
        except Exception as err:  # noqa: BLE001 - a bug must not end the worker
            self._stop_step(site, task, _as_trouble(err))
        self._send(ended)

    def _done(self, site: OpenSite, task: QueueTask) -> TaskEnded:
        ctx = site.context()
        if self._is_blocked(site, task.step):
            self.stop.wait(_UNHURRIED)
            return TaskEnded(task)
        if task.step == TIDY:
            from drawcli.operations.workers.ending import end_of_run

            end_of_run(site)
            return TaskEnded(task)
        if task.step == SCAN:
            return self._scanned(site, task)
        report = run_step(task.step, ctx, Selection(job_id=task.job_id))
        away = report.undelivered
        if report.unreachable or report.stopped:
            self._block(site, task.step, _BLOCKED_SECONDS)
        elif away is not None and away.code == SILENT:
            # Only on this host: others can take the jobs.
            self._block(site, task.step, _BLOCKED_SECONDS)
            self._send(StepTrouble(task.step, away.code, str(away), OutOfReach.exit_code))
        else:
            self._clear(task.step)
        left = follow(site, task.job_id, task.step)
        more = {left} if left else set[str]()
        if task.step in LONG_STEPS or task.step in ctx.settings.cluster.limits:
            more.add(task.step)  # few of these are queued, so that urgent tasks wait for few
        return TaskEnded(task, tuple(report.outcomes), tuple(more))

    def _scanned(self, site: OpenSite, task: QueueTask) -> TaskEnded:
        """Pull and scan; defer the match of what was found, and the next scan."""
        ctx, outcomes = site.context(), list[tuple[str, str]]()
        steps = ["pull"] if ctx.settings.pull.sources else []
        lost: list[OutOfReach] = []
        for step in (*steps, SCAN):
            report = run_step(step, ctx, Selection())
            outcomes += report.outcomes
            lost += report.scanned.lost if report.scanned else []
        self._clear(SCAN)
        why = StepTrouble(SCAN, lost[0].code, str(lost[0]), lost[0].exit_code) if lost else None
        self._send(why or StepTrouble(SCAN, "", "", 0))
        site_name = site.shared.site
        found = [job for job, what in outcomes if what == State.FOUND][:_MOST_AT_ONCE]
        site.queue.defer(*(Deferral(QueueTask(site_name, "match", job)) for job in found))
        return TaskEnded(task, tuple(outcomes), ("match",))

    def _stop_step(self, site: OpenSite, task: QueueTask, err: DrawcliError) -> None:
        """Report why no task of a step can be done, and do none of them for a while."""
        _log.error(
            "job=%s step=%s outcome=stopped code=%s", task.job_id or "-", task.step, err.code
        )
        is_refused = isinstance(err, ServerRefused)
        self._block(site, task.step, _REFUSED_SECONDS if is_refused else _BLOCKED_SECONDS)
        site.close_round()
        self._send(StepTrouble(task.step, err.code, str(err), err.exit_code))

    def _block(self, site: OpenSite, step: str, seconds: float) -> None:
        self._blocked[step] = (time.monotonic() + seconds, site.present_stamps())

    def _is_blocked(self, site: OpenSite, step: str) -> bool:
        """Return whether a step cannot be done now: a change of rules or tokens ends that."""
        if step == "upload" and read_pause(site.settings.state_dir) is not None:
            return True  # this host alone is paused
        until, stamps = self._blocked.get(step, (0.0, ()))
        return time.monotonic() < until and stamps == site.present_stamps()

    def _clear(self, step: str) -> None:
        if self._blocked.pop(step, None) is not None:
            self._send(StepTrouble(step, "", "", 0))

    def _send(self, message: Any) -> None:
        try:
            self._pipe.send(message)
        except OSError:  # the supervising process is gone
            self.stop.set()


def _as_trouble(err: Exception) -> DrawcliError:
    """Return the error to report for an exception that no job has caused."""
    if (shortage := shortage_behind(err)) is not None:
        return shortage
    if isinstance(err, DrawcliError):
        return err
    _log.error("step=worker outcome=bug", exc_info=err)
    return DrawcliError(f"bug: {type(err).__name__} at {logs.origin(err)}", code="bug")
