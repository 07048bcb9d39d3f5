"""`drawcli worker`: keeps the lanes running, feeds the queues, and writes a heartbeat.

The claims of a lane that died are released here at once; other hosts would have to wait until the
lease ends. While the database does not answer, the worker retries.
"""

import logging
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

from drawcli.adapters.ledger.postgres.shared import WorkerSeen
from drawcli.adapters.state.run_log import Run, RunLog, new_run_id
from drawcli.adapters.work_queue.queue import Deferral
from drawcli.core.jobs.tasks import urgency
from drawcli.errors import DrawcliError
from drawcli.operations.after_run import report_trouble
from drawcli.operations.workers.feeder import TIDY_SECONDS, Feeder
from drawcli.operations.workers.lane import StepTrouble, TaskEnded
from drawcli.operations.workers.pool import LaneProcess, Pool
from drawcli.operations.workers.site import OpenSite, open_site
from drawcli.pipeline.runner import AT_ONCE
from drawcli.system.platforms import is_alive

BEAT_SECONDS: Final = 5.0  # between two heartbeats, each with a check of what is due
_TICK_SECONDS: Final = 0.5
_FIRST_NOTE_SECONDS: Final = 30.0  # until the first entry of the run log, which `status` reads
DIFFER_SECONDS: Final = 300.0  # in which hosts may have different rules, while these are copied
NO_WORKER: Final = "no-worker"
_DIFFERENCES: Final = "hosts"
_AGAIN: Final = timedelta(minutes=1)  # until a task is tried again whose process died
_log = logging.getLogger(__name__)


class WorkerOptions(NamedTuple):
    """The options of a worker."""

    config: Path
    queues: tuple[str, ...]  # () for those of the settings
    parallel: int
    grace: float  # s, for the running steps after the request to stop


@dataclass
class Signals:
    """The requests to stop, by SIGTERM or SIGINT."""

    count: int = 0

    def __call__(self, *_: object) -> None:
        """Count a signal."""
        self.count += 1

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Count signals during a block, instead of ending the process."""
        before = {one: signal.signal(one, self) for one in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for one, handler in before.items():
                signal.signal(one, handler)


def work(options: WorkerOptions, tell: Callable[[str], None]) -> None:
    """Work until SIGTERM or SIGINT; a changed settings file is read again.

    Parameters
    ----------
    options
        The options.
    tell
        Called with each message for the user: the start, and reasons why work stops.

    Raises
    ------
    ConfigError, LedgerError, OutOfReach
        If the site cannot be opened at the start.
    """
    signals = Signals()
    with signals.caught():
        is_first, said = True, ""
        while not signals.count:
            try:
                with open_site(options.config) as site:
                    Supervisor(options, site, signals, tell).run()
                is_first, said = False, ""
            except DrawcliError as err:
                if is_first:
                    raise
                if str(err) != said:
                    tell(f"worker waits: {err}")
                said = str(err)
                time.sleep(_TICK_SECONDS)


class Supervisor:
    """The supervising process, from one reading of the settings to the next."""

    def __init__(
        self, options: WorkerOptions, site: OpenSite, signals: Signals, tell: Callable[[str], None]
    ) -> None:
        self.options, self.site, self.signals, self.tell = options, site, signals, tell
        self.queues = options.queues or tuple(site.settings.cluster.queues)
        self.feeder = Feeder(site)
        size = options.parallel
        self.pool = Pool(options.config, self.queues, size, self._handle_message, self._lane_ended)
        self._counts: dict[str, Counter[str]] = {}
        self._troubles: dict[str, StepTrouble] = {}
        self._to_feed: set[str] = set()
        self._ended: set[str] = set()  # keys of tasks, since the queues were fed
        self._differ_since: float | None = None  # by the monotonic clock
        self._stranded: set[str] = set()  # steps that no worker on the host of the jobs does
        self._since, self._note_at = site.clock.now(), time.monotonic() + _FIRST_NOTE_SECONDS
        self._next_beat = 0.0
        self._silent = ""  # why the database could not be asked

    def run(self) -> None:
        """Work until a signal, or until the settings change."""
        self.tell(
            f"worker of site {self.site.shared.site} on {self.site.host}: "
            f"{', '.join(self.queues)}; {self.options.parallel} at once"
        )
        try:
            while not self.signals.count and not self.site.is_outdated:
                self.pool.keep()
                self._beat_if_due()
                self.pool.listen(_TICK_SECONDS)
                self._feed_now()
        finally:
            self._end()

    def _beat_if_due(self) -> None:
        if time.monotonic() < self._next_beat:
            return
        self._next_beat = time.monotonic() + BEAT_SECONDS
        self._asked(self._beat)

    def _beat(self) -> None:
        """Write the heartbeat; on the first host of the site, also defer the tasks that are due.

        With other tables or another site key, report that and write no heartbeat.
        """
        self.site.check_present()
        self._write_facts(self._facts())
        workers = self.site.workers()
        first = min(((one.host, one.pid) for one in workers), default=None)
        if first in (None, (self.site.host, os.getpid())):
            self.feeder.feed(workers)
            self._report_rules()
            self._report_stranded(workers)
            self._report_differences(workers)
        self.feeder.feed_own(workers)
        if time.monotonic() > self._note_at:
            self._note()

    def _feed_now(self) -> None:
        """Defer the tasks of steps for which a lane has reported that there may be more."""
        steps, self._to_feed = self._to_feed, set()
        ended, self._ended = self._ended, set()
        if steps:
            self._asked(lambda: self._feed_steps(steps, ended))

    def _feed_steps(self, steps: Collection[str], ended: Collection[str]) -> None:
        workers = self.site.workers()
        for step in sorted(steps):
            self.feeder.feed_step(step, workers, ended=ended)

    def _asked(self, call: Callable[[], Any]) -> None:
        """Call a function that needs the database; report once if it fails, and once its end."""
        before, self._silent, now = self._silent, "", StepTrouble("", "", "", 0)
        try:
            call()
        except DrawcliError as err:
            self._silent = str(err)
            now = StepTrouble("", err.code, str(err), err.exit_code)
            self.site.close_round()
        if self._silent != before:
            self._handle_message(now)

    def _facts(self) -> dict[str, Any]:
        running = [lane.task for lane in self.pool.lanes if lane.task is not None]
        return {
            "queues": list(self.queues),
            "parallel": self.options.parallel,
            "running": [{"step": task.step, "job": task.job_id} for task in running],
            "policy": self.site.policy,
        }

    def _write_facts(self, facts: dict[str, Any] | None) -> None:
        stored = [one.pid for one in self.site.shared.workers() if one.host == self.site.host]
        alive = [pid for pid in stored if is_alive(pid)]
        self.site.shared.beat(os.getpid(), facts, alive)

    def _handle_message(self, message: Any) -> None:
        """Handle a message of a lane."""
        if isinstance(message, TaskEnded):
            counts = self._counts.setdefault(message.task.step, Counter())
            counts.update(what for _, what in message.outcomes)
            self._to_feed.update(message.feed)
            self._ended.add(message.task.key)
        elif isinstance(message, StepTrouble):
            self._note_trouble(message)

    def _note_trouble(self, now: StepTrouble) -> None:
        """Report a trouble once, and its end."""
        before = self._troubles.pop(now.step, None)
        if now.code:
            self._troubles[now.step] = now
        if before is not None and (before.code, before.text) == (now.code, now.text):
            return
        what = now.step or "worker"
        if now.code:
            _log.error("step=%s outcome=waits code=%s", what, now.code)
            self.tell(f"{what}: {now.text}")
            report_trouble(self.site.settings, now.code, self.site.clock.now())
        elif before is not None:
            _log.info("step=%s outcome=goes-on", what)
            self.tell(f"{what}: solved")

    def _report_rules(self) -> None:
        err = self.feeder.broken_rules
        if err is not None:
            self._note_trouble(StepTrouble("match", err.code, str(err), err.exit_code))
        elif "match" in self._troubles:
            self._note_trouble(StepTrouble("match", "", "", 0))

    def _report_stranded(self, workers: Collection[WorkerSeen]) -> None:
        reasons = self.feeder.stranded(workers)
        for step in self._stranded - reasons.keys():
            self._note_trouble(StepTrouble(f"{step} on its host", "", "", 0))
        for step, text in reasons.items():
            self._note_trouble(StepTrouble(f"{step} on its host", NO_WORKER, text, 0))
        self._stranded = set(reasons)

    def _report_differences(self, workers: Collection[WorkerSeen]) -> None:
        """Report hosts that have had other rules or settings than this one for some time."""
        others = {one.host for one in workers if one.facts.get("policy", "") != self.site.policy}
        now = time.monotonic()
        self._differ_since = (self._differ_since or now) if others else None
        if self._differ_since is None:
            if _DIFFERENCES in self._troubles:
                self._note_trouble(StepTrouble(_DIFFERENCES, "", "", 0))
        elif now - self._differ_since >= DIFFER_SECONDS:
            text = (
                f"{', '.join(sorted(others))} and {self.site.host} have different rules, "
                "templates, or settings of match, deidentify, accept or deliver. Those of the "
                "host that takes a job apply to it: copy the same files to all hosts"
            )
            self._note_trouble(StepTrouble(_DIFFERENCES, "hosts-differ", text, 0))

    def _lane_ended(self, lane: LaneProcess) -> None:
        """Release the claims of a lane that died, and return its task to the queue."""
        task = lane.task
        if lane.has_failed:
            _log.error(
                "step=%s outcome=died job=%s exit=%s",
                task.step if task else "worker",
                (task and task.job_id) or "-",
                lane.process.exitcode,
            )

        def give_back() -> None:
            self.site.release_dead()
            if task is not None:
                self.site.queue.drop(task)
                at = self.site.clock.now() + _AGAIN if lane.has_failed else None
                self.site.queue.defer(Deferral(task, at, urgency(task.step)))

        self._asked(give_back)

    def _note(self) -> None:
        """Write what was done since the last time into the run log, as one run."""
        now = self.site.clock.now()
        trouble = next(iter(self._troubles.values()), None)
        counts = {step: dict(found) for step, found in self._counts.items() if found}
        server = "answered" if AT_ONCE & counts.keys() else ""
        code, error = (trouble.exit_code, trouble.code) if trouble else (0, "")
        run = Run(new_run_id(), self._since, now, code, error, server, counts)
        with suppress(OSError):
            RunLog(self.site.settings.state_dir).add(run)
        self._counts.clear()
        self._since, self._note_at = now, time.monotonic() + TIDY_SECONDS

    def _end(self) -> None:
        """Wait for the running steps to end; return their tasks when the grace time is over."""
        self.pool.stop()
        signals, until = self.signals.count, time.monotonic() + self.options.grace
        while not self.pool.collect(_TICK_SECONDS / 5):
            if time.monotonic() >= until or self.signals.count > max(signals, 1):
                self.pool.kill()
        self._note()
        self._asked(lambda: self._write_facts(None))
