"""Move the ledger of a site: copy it, compare it job by job, and disable the former place."""

import hashlib
import json
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple

from drawcli.adapters.ledger.moves import Place
from drawcli.adapters.ledger.rows import as_row
from drawcli.core.jobs.job import Job
from drawcli.errors import LedgerError
from drawcli.system.printable import counted


class Moved(NamedTuple):
    """What a move did, or would do."""

    open: int  # jobs
    archived: int
    there_before: int  # of an interrupted move
    is_done: bool  # earlier: only its end was missing


class _Print(NamedTuple):
    """A job by its revision and a digest of all of its record."""

    revision: int
    digest: bytes


class _Prints(NamedTuple):
    """The jobs of a place by id."""

    open: dict[str, _Print]
    archived: dict[str, _Print]

    @property
    def all(self) -> dict[str, _Print]:
        """All jobs by id."""
        return self.open | self.archived


def move_ledger(
    source: Place,
    target: Place,
    now: datetime,
    carry: Callable[[], object] = lambda: None,
    *,
    dry_run: bool = False,
) -> Moved:
    """Move the jobs of `source` to `target`; the caller holds the run lock.

    It may be interrupted and begun again: jobs that are in the target already are compared. `carry`
    moves the files of the jobs, while no other host can use the ledger in either place.

    Raises
    ------
    AnotherRun
        If another host works on a job.
    LedgerError
        If there is no ledger in the source, if the target has jobs of its own, or if the copy
        differs from the source; the source then stays in use.
    """
    if not source.exists() and source.is_left_for(target.words):
        if not dry_run:
            carry()
            target.settle()
        return Moved(0, 0, 0, is_done=True)
    if not source.exists():
        raise LedgerError(f"there is no ledger to move: the {source.words} has no jobs")
    if dry_run:
        return _plan(_prints_of(source), target)
    with source.frozen(target.words, now):
        given = _prints_of(source)
        plan = _plan(given, target)
        target.take(source.open_jobs(), source.archived_jobs())
        _check_same(given, target, source.words)
        carry()
        source.leave(target.words, now)
    target.settle()
    return plan


def _plan(given: _Prints, target: Place) -> Moved:
    """Return what a move does; LedgerError if the target has jobs that the source has not."""
    there = _prints_of(target).all if target.exists() else {}
    known = given.all
    foreign = [
        job_id
        for job_id, one in there.items()
        if job_id not in known or one.revision > known[job_id].revision
    ]
    if foreign:
        raise LedgerError(
            f"the {target.words} has {counted(len(foreign), 'job')} of its own or changed later, "
            f"such as {min(foreign)}",
            hint="It was in use. Choose an empty one, or ask its administrator.",
        )
    return Moved(len(given.open), len(given.archived), len(there), is_done=False)


def _check_same(given: _Prints, target: Place, source_words: str) -> None:
    for here, there in zip(given, _prints_of(target), strict=True):
        if here != there:
            wrong = sorted(
                one for one in here.keys() | there.keys() if here.get(one) != there.get(one)
            )
            raise LedgerError(
                f"the copy differs in {counted(len(wrong), 'job')}, such as {wrong[0]}; the ledger "
                f"stays in the {source_words}",
                hint="Run the command again; if it differs again, report it.",
            )


def _prints_of(place: Place) -> _Prints:
    return _Prints(_prints(place.open_jobs()), _prints(place.archived_jobs()))


def _prints(jobs: Iterable[Job]) -> dict[str, _Print]:
    return {job.id: _Print(job.revision, _digest(job)) for job in jobs}


def _digest(job: Job) -> bytes:
    return hashlib.sha256(json.dumps(as_row(job), sort_keys=True).encode("ascii")).digest()
