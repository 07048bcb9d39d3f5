"""The state of a site at a glance: whether runs work, which jobs are held, what was delivered.

Sentences and groups of jobs for `status`, `doctor` and the web page. None of them names a patient.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from drawcli.adapters.state.pause import Pause, read_pause
from drawcli.adapters.state.progress import ProgressState
from drawcli.adapters.state.progress_file import ProgressFile
from drawcli.adapters.state.run_log import ANSWERED, Run, RunLog
from drawcli.adapters.state.workdir import RunOwner, WorkDir
from drawcli.core.jobs.job import FINISHED, Job, State
from drawcli.core.jobs.ledger import Archive
from drawcli.core.jobs.waiting import delivered_at
from drawcli.errors import LedgerError
from drawcli.operations.pull.network_health import pulls_of, receiver_of
from drawcli.system.durations import duration
from drawcli.system.limits import RUN_HOURS
from drawcli.system.mounts_and_locks import has_lock_table, holder_of
from drawcli.system.platforms import is_alive
from drawcli.system.printable import counted

if TYPE_CHECKING:
    from drawcli.config.load import Settings
    from drawcli.core.jobs.ledger import SharedFacts
    from drawcli.operations.pull.health import PullHealth
    from drawcli.operations.receive.health import ReceiverHealth

RUNS_LATE: Final = timedelta(hours=1)  # cron starts one every few minutes
RUNS_STOPPED: Final = timedelta(hours=24)
_ENDED: Final = {
    0: "OK",
    1: "ended by a bug in drawcli",
    3: "settings, rules or templates cannot be used",
    4: "the ledger cannot be read",
    5: "the server refuses the token",
    6: "OK, jobs are held",
    7: "the server or the datastore cannot be reached",
    8: "the privacy gate blocked an upload",
    9: "OK, nothing to do",
    11: "another run was at work",
    12: "the disk is full",
    137: "killed",
}
_ENDED_BY: Final = {  # reason codes that say more than the exit code
    "no-token": "there is no token",
    "token-command": "the command that gives the token failed",
    "no-keyring": "the keyring with the token cannot be used",
    "token-lost": "the token was lost while it was renewed",
    "certificate": "the certificate of the server is not accepted",
    "certificates": "a certificate file in the settings cannot be used",
    "proxy": "the proxy asks for a user and password",
    "endpoint": "the server has no such address",
    "token-renewal": "the server does not renew the tokens",
    "site-key": "the site key is missing, or another one",
    "state-on-share": "state_dir is on a network share",
    "io": "a file of the site cannot be read or written",
    "out-of-memory": "there was not enough memory",
    "out-of-resources": "there were too many open files or threads",
}
_LEFT_BY_RULES: Final = frozenset({State.UNMATCHED, State.EXCLUDED})


class HealthLine(NamedTuple):
    """One line about the health of a site."""

    subject: str
    text: str
    is_alarm: bool = False


class RunHealth(NamedTuple):
    """Whether a run is active, and how the last runs ended."""

    runner: RunOwner | None  # the active run
    standing: ProgressState | None  # progress of the active step, once it has run for a second
    last: Run | None
    success: Run | None  # the newest that ended normally
    server: Run | None  # the newest that asked the server anything
    answered: Run | None  # the newest that got an answer from the server
    longest: timedelta = timedelta(hours=RUN_HOURS)  # notify.run_hours
    pause: Pause | None = None  # uploads are paused
    receiver: "ReceiverHealth | None" = None  # if the site receives by DICOM
    pulls: "PullHealth | None" = None  # if it pulls from archives
    zone: tzinfo | None = UTC  # of times in sentences; None: that of this machine
    workers: int | None = None  # of the site, alive; None if its ledger is a file

    @classmethod
    def of(
        cls, state_dir: Path, hours: float = RUN_HOURS, *, shared: "SharedFacts | None" = None
    ) -> "RunHealth":
        """Read the health of a site's runs; a run longer than `hours` is overdue."""
        runs = _newest(RunLog(state_dir).newest_first())
        return cls(
            longest=timedelta(hours=hours),
            runner=_runner(WorkDir(state_dir)),
            standing=_standing(state_dir),
            last=runs.get("last"),
            success=runs.get("success"),
            server=runs.get("server"),
            answered=runs.get("answered"),
            pause=read_pause(state_dir, shared),
            workers=None if shared is None else shared.workers_alive(),
        )

    @classmethod
    def of_site(cls, settings: "Settings", shared: "SharedFacts | None" = None) -> "RunHealth":
        """Read the health of a site with these settings; `shared` as for `of`."""
        health = cls.of(settings.state_dir, settings.notify.run_hours, shared=shared)
        receiver = None if settings.receive.folder is None else receiver_of(settings.state_dir)
        return health._replace(pulls=pulls_of(settings), receiver=receiver)

    def as_plain(self, now: datetime) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        running = self.runner and self.runner._asdict() | {
            "since": self.runner.since.isoformat(),
            "overdue": self.is_overdue(now),
        }
        return {
            "paused": None if self.pause is None else self.pause.as_plain(),
            "running": running,
            "progress": None if self.standing is None else self.standing._asdict(),
            "last_run": _plain(self.last),
            "last_success": _plain(self.success),
            "server": None
            if self.server is None
            else {"state": self.server.server, "at": self.server.ended.isoformat()},
            "pull": [] if self.pulls is None else self.pulls.as_plain(),
        }

    def is_overdue(self, now: datetime) -> bool:
        """Return whether the active run has taken longer than it should; it blocks all others."""
        return self.runner is not None and now - self.runner.since > self.longest

    def sentences(self, now: datetime) -> Iterator[HealthLine]:
        """Yield the lines "paused", "run", "step", "success", "server", "receive", "pull"."""
        if self.pause is not None:
            yield HealthLine("paused", self.pause.notice(now), is_alarm=True)
        trouble = self.has_failed or self.is_overdue(now) or self.is_late(now)
        yield HealthLine("run", self._run(now), is_alarm=trouble)
        if self.standing is not None:
            yield HealthLine("step", f"{self.standing}; for {duration(now - self.standing.began)}")
        if self.has_failed:
            since = "never" if self.success is None else self._when(self.success.ended, now)
            yield HealthLine("success", f"{since}: the last run that ended normally")
        yield HealthLine("server", self._server(now), is_alarm=self.server_is_away)
        if self.receiver is not None:
            yield HealthLine("receive", self.receiver.text(now), is_alarm=self.listener_is_down)
        yield from (
            HealthLine("pull", *one) for one in (self.pulls.texts(now) if self.pulls else ())
        )

    @property
    def has_failed(self) -> bool:
        """Whether the last run did not end normally."""
        return self.last is not None and not self.last.went_well

    @property
    def server_is_away(self) -> bool:
        """Whether the last run that asked the server got no answer."""
        return self.server is not None and self.server.server != ANSWERED

    @property
    def listener_is_down(self) -> bool:
        """Whether the site receives by DICOM, and its listener does not run."""
        return self.receiver is not None and not self.receiver.is_running

    def is_late(self, now: datetime, limit: timedelta = RUNS_LATE) -> bool:
        """Return whether cron should have started a run by now; the first one is not missed."""
        is_awaited = self.runner is None and not self.workers
        return is_awaited and self.last is not None and now - self.last.ended > limit

    @property
    def ending(self) -> str:
        """How the last run ended, in words; "" before the first."""
        return "" if self.last is None else ended_text(self.last.exit_code, self.last.error)

    def _run(self, now: datetime) -> str:
        before = ""
        if self.last is not None:
            before = f"last run {self._when(self.last.ended, now)}: {self.ending}"
        if self.runner is not None:
            said = f"running for {duration(now - self.runner.since)} (process {self.runner.pid})"
            if self.is_overdue(now):
                said += f", longer than {duration(self.longest)}: it may hang, see 'drawcli doctor'"
            return f"{said}; {before}" if before else said
        if self.workers:
            return "; ".join(filter(None, (f"{counted(self.workers, 'worker')} at work", before)))
        if not before:
            return "none yet; cron calls 'drawcli run-once'"
        if self.is_late(now):
            return f"{before}. Does cron still call it? See 'drawcli doctor'"
        return before

    def _server(self, now: datetime) -> str:
        if self.server is None:
            return "not asked by this machine yet" if self.workers else "not asked yet"
        if self.server.server == ANSWERED:
            return f"answered {self._when(self.server.ended, now)}"
        lately = "never" if self.answered is None else self._when(self.answered.ended, now)
        return f"did not answer {self._when(self.server.ended, now)}; last answer: {lately}"

    def _when(self, at: datetime, now: datetime) -> str:
        form = "%H:%M" if now - at < timedelta(hours=20) else "%Y-%m-%d %H:%M"
        utc = " UTC" if self.zone is UTC else ""
        return f"{duration(now - at)} ago ({at.astimezone(self.zone):{form}}{utc})"


class Overview(NamedTuple):
    """The jobs of a site in groups, the most urgent first."""

    held: tuple[Job, ...]  # the longest held first
    open: tuple[Job, ...]  # in progress
    left: tuple[Job, ...]  # unmatched or excluded by the rules
    finished: tuple[Job, ...]  # done or cancelled, not archived yet
    counts: Counter[State]

    @classmethod
    def of(cls, jobs: Iterable[Job]) -> "Overview":
        """Sort jobs into groups."""
        every = list(jobs)
        free = [job for job in every if not job.held]
        return cls(
            held=tuple(job for job in every if job.held),
            open=tuple(job for job in free if job.state not in FINISHED | _LEFT_BY_RULES),
            left=tuple(job for job in free if job.state in _LEFT_BY_RULES),
            finished=tuple(job for job in free if job.state in FINISHED),
            counts=Counter(job.state for job in every),
        )

    def flow(self, archived: int) -> str:
        """Return the counts in one line, in the order of the flow.

        >>> Overview.of([]).flow(3)
        '3 in the archive'
        """
        parts = [f"{len(self.held):,} HELD"] if self.held else []
        parts += [f"{self.counts[state]:,} {state}" for state in State if self.counts[state]]
        parts += [f"{archived:,} in the archive"] if archived else []
        return " · ".join(parts) or "none"


def newest_delivery(jobs: Sequence[Job], archive: Archive) -> datetime | None:
    """Return the time of the newest delivery; None without one.

    Finished jobs stay in the ledger for a day; without one, the newest archived month is read.
    """
    found = [*jobs]
    if not any(job.state is State.DONE for job in jobs):
        with suppress(LedgerError):  # 'ledger check' reports the damage
            found += [job for month in archive.months()[-1:] for job in archive.jobs(month)]
    return max(filter(None, map(delivered_at, found)), default=None)


def ended_text(exit_code: int, error: str = "") -> str:
    """Return how a run ended, by its exit code and the reason code of its error."""
    return _ENDED_BY.get(error) or _ENDED.get(exit_code, f"exit code {exit_code}")


def _newest(runs: Iterable[Run]) -> dict[str, Run]:
    """Return the newest run of each kind; reading stops once all are found."""
    found: dict[str, Run] = {}
    for run in runs:
        found.setdefault("last", run)
        if run.went_well:
            found.setdefault("success", run)
        if run.server:
            found.setdefault("server", run)
        if run.server == ANSWERED:
            found.setdefault("answered", run)
            if "success" in found:
                break
    return found


def _runner(work: WorkDir) -> RunOwner | None:
    """Return the active run; a killed run has left its record but not its lock."""
    runner = work.run_owner()
    if runner is None or not has_lock_table():
        return runner
    holder = holder_of(work.run_lock_file)
    return runner if holder is not None and holder.pid == runner.pid else None


def _standing(state_dir: Path) -> ProgressState | None:
    standing = ProgressFile.of(state_dir).read()
    return standing if standing is not None and is_alive(standing.pid) else None


def _plain(run: Run | None) -> dict[str, Any] | None:
    if run is None:
        return None
    times = {"began": run.began.isoformat(), "ended": run.ended.isoformat()}
    return run._asdict() | times | {"counts": {step: dict(n) for step, n in run.counts.items()}}
