"""A process that holds a lock for too long: found by a run that needs the lock, reported once.

Also a run that was killed: the next run finds its record at the run lock.

state_dir/hung.json    by lock: the process, since when at least, whether it was reported

The process keeps its lock and is not ended: it may only be slow. On a full disk the file is kept by
`spare_file`.
"""

import json
import logging
import socket
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple, Self

from drawcli.adapters.state.progress_file import ProgressFile
from drawcli.adapters.state.run_log import BROKE_OFF, KILLED, Run, new_run_id
from drawcli.adapters.state.workdir import RunOwner, WorkDir
from drawcli.config.load import Settings
from drawcli.errors import AnotherRun, DiskFull, DrawcliError, NeedsPerson
from drawcli.operations.alarm_conditions import Alarm, AlarmKind
from drawcli.operations.overview import RunHealth
from drawcli.system import spare_file
from drawcli.system.durations import duration
from drawcli.system.files import write_durably
from drawcli.system.mounts_and_locks import Holder, holder_of

FILE_NAME: Final = "hung.json"
_RUN: Final = "run"
_END_IT: Final = (
    "Nothing is lost; the next run continues. If the process does not end, it waits for a disk or "
    "file server that does not answer: check that."
)
_log = logging.getLogger(__name__)


class Hang(NamedTuple):
    """A process that has held a lock for longer than `notify.run_hours`."""

    error: DrawcliError
    alarm: Alarm
    is_new: bool  # not reported before


class _Met(NamedTuple):
    """A process that was found holding a lock."""

    who: str
    since: str  # held since then at least, ISO 8601, UTC
    reported: bool = False

    @classmethod
    def of(cls, plain: object) -> Self | None:
        """Return an entry of the file; None if it is damaged."""
        try:
            return cls(**plain) if isinstance(plain, dict) else None
        except TypeError:
            return None


def hanging_run(settings: Settings, now: datetime) -> Hang | None:
    """Return the run that holds the run lock, if it has held it for longer than it should.

    Call this after failing to get the lock. A run that gets the lock calls `forget_run`.
    """
    work = WorkDir(settings.state_dir)
    holder, runner = holder_of(work.run_lock_file), work.run_owner()
    if runner is not None and holder is not None and holder.pid != runner.pid:
        runner = None  # the record of an earlier run: the present one has not written its own yet
    pid = runner.pid if runner else holder.pid if holder else None
    host = runner.host if runner else socket.gethostname()
    begun = runner.since if runner else now
    notes = _read(settings.state_dir)
    met = _met(notes.get(_RUN), f"{host} {pid} {begun.isoformat() if runner else ''}", begun, now)
    since = datetime.fromisoformat(met.since)
    over = now - since > timedelta(hours=settings.notify.run_hours)
    noted = _Met(met.who, met.since, reported=over)
    if noted != notes.get(_RUN):
        _write(settings.state_dir, {**notes, _RUN: noted})
    if not over:
        return None
    who = f"process {pid} on {host}" if pid else f"a process on {host}"
    error = AnotherRun(
        f"no run can start: {who} has been running since {since:%Y-%m-%d %H:%M} UTC, for "
        f"{duration(now - since)}{_progress(settings, pid, now)}",
        code="run-hangs",
        hint=f"If it hangs, run 'kill -9 {pid or 'PID'}' on {host}. {_END_IT}",
    )
    return Hang(error, Alarm(AlarmKind.HUNG, met.who, f"{error}. {error.hint}"), not met.reported)


def hanging_jobs(settings: Settings, busy: Iterable[str], now: datetime) -> list[Hang]:
    """Return the processes that have held a job for too long.

    Parameters
    ----------
    settings
        Of the site.
    busy
        The jobs that a run could not take, because another process was at work on them.
    now
        Our clock.
    """
    notes = _read(settings.state_dir)
    kept = {_RUN: notes[_RUN]} if _RUN in notes else {}
    found = []
    for job_id in sorted(set(busy)):
        holder = holder_of(WorkDir(settings.state_dir).job_lock_file(job_id))
        met = _met(notes.get(job_id), str(holder.pid) if holder else "", now, now)
        since = datetime.fromisoformat(met.since)
        over = now - since > timedelta(hours=settings.notify.run_hours)
        kept[job_id] = _Met(met.who, met.since, reported=over)
        if over:
            found.append(_held_up(job_id, holder, since, now, is_new=not met.reported))
    if kept != notes:
        _write(settings.state_dir, kept)
    return found


def forget_run(state_dir: Path) -> None:
    """Forget the previous holder of the run lock: this run has the lock."""
    notes = _read(state_dir)
    if notes.pop(_RUN, None) is not None:
        _write(state_dir, notes)


def broken_off(state_dir: Path, runner: RunOwner, now: datetime) -> tuple[Run, Alarm]:
    """Return the entry in the run log for a killed run, and its alarm.

    Several killed runs in a row are one alarm. It clears when a run ends normally.
    """
    standing = ProgressFile.of(state_dir).read()
    began, at = min(runner.since, now), ""
    ended = began
    if standing is not None and standing.pid == runner.pid:
        with suppress(ValueError, OverflowError, OSError, TypeError):
            ended = min(max(began, datetime.fromtimestamp(standing.at, UTC)), now)
            at = f" It was at {standing}."
    run = Run(id=new_run_id(), began=began, ended=ended, exit_code=KILLED, error=BROKE_OFF)
    text = (
        f"the run of {began:%Y-%m-%d %H:%M} UTC was killed: process {runner.pid} on {runner.host} "
        f"ended for lack of memory, by a restart, by someone, or because the datastore stopped "
        f"answering.{at} Nothing is lost; the next run continues. See 'drawcli logs' and the "
        "system's log"
    )
    return run, Alarm(AlarmKind.FAILED, BROKE_OFF, text)


def _held_up(
    job_id: str, holder: Holder | None, since: datetime, now: datetime, *, is_new: bool
) -> Hang:
    who = f"process {holder.pid} ({holder.command})" if holder else "another process"
    error = NeedsPerson(
        f"job {job_id} is blocked: {who} has been working on it since "
        f"{since:%Y-%m-%d %H:%M} UTC at least, for {duration(now - since)}",
        code="job-lock-held",
        hint=f"If it hangs, run 'kill -9 {holder.pid if holder else 'PID'}'. {_END_IT}",
    )
    alarm = Alarm(AlarmKind.HUNG, f"{job_id} {since.isoformat()}", f"{error}. {error.hint}")
    return Hang(error, alarm, is_new)


def _met(before: _Met | None, who: str, since: datetime, now: datetime) -> _Met:
    """Return the record of a process that holds a lock: the one from before, or a new one.

    A time in the future comes from a clock that was wrong.
    """
    first = min(since, now)
    if before is None or before.who != who:
        return _Met(who, first.isoformat())
    with suppress(ValueError, TypeError):
        known = datetime.fromisoformat(before.since)
        return _Met(who, min(known, first).isoformat(), before.reported)
    return _Met(who, first.isoformat())


def _progress(settings: Settings, pid: int | None, now: datetime) -> str:
    """Return the last recorded progress of the run, as part of a sentence."""
    standing = RunHealth.of(settings.state_dir).standing
    if standing is None or standing.pid != pid:
        return ""
    still = duration(timedelta(seconds=max(now.timestamp() - standing.at, 0.0)))
    return f"; it is at {standing}; its last sign of progress was {still} ago"


def _read(state_dir: Path) -> dict[str, _Met]:
    path = state_dir / FILE_NAME
    try:
        kept = spare_file.read(path)
        plain = json.loads(path.read_bytes() if kept is None else kept)
        found = {str(lock): _Met.of(one) for lock, one in plain.items()}
    except (OSError, ValueError, AttributeError):
        return {}
    return dict(_known(found))


def _known(found: dict[str, _Met | None]) -> Iterator[tuple[str, _Met]]:
    for lock, met in found.items():
        if met is not None:
            yield lock, met


def _write(state_dir: Path, notes: dict[str, _Met]) -> None:
    path = state_dir / FILE_NAME
    data = json.dumps({lock: met._asdict() for lock, met in notes.items()}, indent=1).encode(
        "ascii"
    )
    try:
        if notes:
            write_durably(path, data)
        else:
            path.unlink(missing_ok=True)
    except (OSError, DiskFull):
        outcome = "elsewhere" if spare_file.put(path, data) else "not-kept"
        _log.warning("step=hung memory=%s", outcome)
    else:
        spare_file.drop(path)
