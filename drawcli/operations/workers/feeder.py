"""The feeder: defers tasks for due jobs that have none. The ledger alone decides what is due."""

import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Final

from drawcli.adapters.work_queue.queue import Deferral
from drawcli.core.jobs.job import FINISHED, RULES_DECIDE
from drawcli.core.jobs.tasks import JOB_STEPS, LONG_STEPS, SCAN, TIDY, QueueTask, states_of, urgency
from drawcli.errors import ConfigError
from drawcli.pipeline.holds import hold_first_run, is_new_site
from drawcli.pipeline.runner import advance, due_jobs
from drawcli.pipeline.step_report import StepReport
from drawcli.system.printable import counted

if TYPE_CHECKING:
    from collections.abc import Collection

    from drawcli.adapters.ledger.postgres.shared import DueJob, WorkerSeen
    from drawcli.core.jobs.job import Job
    from drawcli.operations.workers.site import OpenSite

STOCK: Final = 500  # tasks of a step that wait at most; more would only wait with an old priority
_LONG_STOCK: Final = 4  # the same of steps that take long, for each lane that does them
TIDY_SECONDS: Final = 600.0
_FINISHED_SECONDS: Final = 60.0  # between two checks of finished jobs with tasks at the server
_HOLD_SECONDS: Final = 3.0  # spent on a first run in each round: the heartbeat waits for it
_NEW_SECONDS: Final = 60.0  # how often the feeder checks whether a site is still new
_log = logging.getLogger(__name__)


class Feeder:
    """Defers the tasks of a site; any number of hosts may do so at the same time."""

    def __init__(self, site: "OpenSite") -> None:
        self._site = site
        self._rules_fed = ""  # digest of the rules by which undecided jobs get tasks
        self._left = list[Deferral]()  # of them
        self._new_until = 0.0  # the site is new, by the monotonic clock
        self._is_new: bool | None = None
        self._finished_at = float("-inf")  # when finished jobs are looked at again
        self._ended: dict[str, float] = {}  # periodic tasks of this host: when the next is due
        self.broken_rules: ConfigError | None = None

    def feed(self, workers: "Collection[WorkerSeen]") -> int:
        """Defer what is due; `workers` are those of the whole site that are alive."""
        queue = self._site.queue
        queue.drop_stalled()
        queue.drop_queues_of_others({one.host for one in workers})
        keys = queue.keys()
        return sum(self.feed_step(step, workers, keys) for step in JOB_STEPS)

    def feed_step(
        self,
        step: str,
        workers: "Collection[WorkerSeen]",
        keys: "Collection[str] | None" = None,
        *,
        ended: "Collection[str]" = (),
    ) -> int:
        """Defer the due tasks of one step; return their number.

        Parameters
        ----------
        step, workers
            The step, and the workers of the whole site that are alive.
        keys
            The keys of all tasks; None: they are read.
        ended
            Keys of tasks that have ended, and may be in the queue for a moment yet.
        """
        site = self._site
        mine = f"{site.shared.site}/{step}/"
        keys = site.queue.keys(mine) if keys is None else keys
        known = [key.removeprefix(mine) for key in keys if key.startswith(mine)]
        room = self._stock(step, workers) - sum(f"{mine}{one}" not in ended for one in known)
        if room <= 0 or not self._may(step, workers):
            return 0
        due = self._due(step, room, workers, known)
        hosts = {one.host for one in workers}
        wanted = [
            Deferral(self._task(step, one, hosts), None, urgency(step, one.priority)) for one in due
        ]
        undecided = self._undecided(room - len(wanted)) if step == "match" else []
        added = site.queue.defer(*wanted, *undecided)
        del self._left[: len(undecided)]  # they are stored
        return added

    def stranded(self, workers: "Collection[WorkerSeen]") -> dict[str, str]:
        """Return why jobs of a step wait, by step: no worker on the host with their files does it.

        A job of cluster.work: host stays on its host while that is alive.
        """
        told: dict[str, str] = {}
        alive = {one.host for one in workers}
        for step in JOB_STEPS:
            able = {one.host for one in workers if step in one.queues}
            if alive <= able:
                continue
            states = [state for state in states_of(step) if state not in FINISHED | RULES_DECIDE]
            for host, jobs in self._site.shared.at_homes(states).items():
                if host in alive - able:
                    told[step] = (
                        f"only host {host} has the files of {counted(jobs, 'job')} due for "
                        f"{step}, and no worker there does it. Start one there with --queues "
                        f"{step}, or set cluster.work to storage that all hosts reach"
                    )
        return told

    def _stock(self, step: str, workers: "Collection[WorkerSeen]") -> int:
        """Return how many tasks of a step may wait and run."""
        limit = self._site.settings.cluster.limits.get(step)
        if limit is not None:
            return limit
        lanes = sum(int(one.facts.get("parallel", 1)) for one in workers if step in one.queues)
        return min(_LONG_STOCK * lanes, STOCK) if step in LONG_STEPS else STOCK

    def _task(self, step: str, job: "DueJob", hosts: "Collection[str]") -> QueueTask:
        """Return a task for the host that has the files of the job; else for any."""
        home = job.home if job.home in hosts else None
        return QueueTask(self._site.shared.site, step, job.id, home or "")

    def _due(
        self,
        step: str,
        room: int,
        workers: "Collection[WorkerSeen]",
        known: "Collection[str]" = (),
    ) -> "list[DueJob]":
        """Return due jobs of a step that a worker can do: at their home, while it is not gone."""
        site, states = self._site, set(states_of(step)) - RULES_DECIDE
        if not states.isdisjoint(FINISHED):
            now = time.monotonic()
            if now < self._finished_at:  # a day's finished jobs, of which hardly one has a task
                states -= FINISHED
            else:
                self._finished_at = now + _FINISHED_SECONDS
        return site.shared.due(
            sorted(states),
            room,
            without=known,
            hosts=[one.host for one in workers if step in one.queues],
            gone_seconds=site.settings.cluster.gone_minutes * 60,
        )

    def _may(self, step: str, workers: "Collection[WorkerSeen]") -> bool:
        """Return whether tasks of a step may be deferred now."""
        if step == "match":
            return self._has_rules()
        if step == "deidentify":
            return self._may_send(workers)
        if step == "upload":
            return self._site.takes_uploads()
        return True

    def _has_rules(self) -> bool:
        """Return whether the rules can be read; if not, new series wait."""
        try:
            _ = self._site.context().rulebook
        except ConfigError as err:
            self.broken_rules = err
            return False
        self.broken_rules = None
        return True

    def _undecided(self, room: int) -> list[Deferral]:
        """Return the next tasks of jobs that no rule took; they are read once after each change."""
        ctx, site = self._site.context(), self._site.shared.site
        if room > 0 and self._rules_fed != ctx.rulebook.digest:
            jobs = (job for state in sorted(RULES_DECIDE) for job in due_jobs(state, ctx))
            self._left = [_undecided_task(site, job) for job in jobs]
            self._rules_fed = ctx.rulebook.digest
        return self._left[: max(room, 0)]

    def _may_send(self, workers: "Collection[WorkerSeen]") -> bool:
        """Return whether matched series may be sent: a new site first counts them."""
        now = time.monotonic()
        if self._is_new is False:
            return True
        shared, queue = self._site.shared, self._site.queue
        if queue.keys(f"{shared.site}/{SCAN}/", running=True):
            return False
        if self._has_rules() and self._due("match", 1, workers):
            return False
        ctx = self._site.context()
        hold = partial(advance, ctx=ctx, report=StepReport("match"))
        if not hold_first_run(ctx, hold, _HOLD_SECONDS):
            return False
        if now > self._new_until:
            self._is_new, self._new_until = is_new_site(ctx), now + _NEW_SECONDS
        return True

    def feed_own(self, workers: "Collection[WorkerSeen]") -> None:
        """Defer the periodic tasks of this host: tidy, and scan if no earlier host does it."""
        site, host = self._site, self._site.host
        spans = {TIDY: TIDY_SECONDS}
        scanning = [one.host for one in workers if SCAN in one.queues]
        if scanning and min(scanning) == host:
            spans[SCAN] = site.settings.cluster.scan_minutes * 60
        now, keys = time.monotonic(), site.queue.keys()
        for step, seconds in spans.items():
            task = QueueTask(site.shared.site, step, "", host)
            if task.key not in keys and now >= self._ended.get(step, 0.0):
                site.queue.defer(Deferral(task, None, urgency(step)))
                self._ended[step] = now + seconds
            elif task.key in keys:
                self._ended[step] = now + seconds  # counted from its end


def _undecided_task(site: str, job: "Job") -> Deferral:
    return Deferral(QueueTask(site, "match", job.id), None, urgency("match", job.priority))
