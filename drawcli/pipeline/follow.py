"""Scan whenever something changes in the datastore: for sites that prefer a service to cron.

Each look is an ordinary scan, opened and closed for itself: settings may change in between, and
other processes have ledger and index to themselves most of the time.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from drawcli.adapters.datastore.watch import Changes
from drawcli.config.sections import Scan
from drawcli.core.jobs.job import State
from drawcli.errors import AnotherRun
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_step
from drawcli.pipeline.step_report import StepReport
from drawcli.system.mounts_and_locks import remote_disk

_SOON: Final = 60.0  # seconds, where a folder of the datastore is away or another process scans
_AT_MOST: Final = 600.0  # seconds, where every scan is a full walk, or nobody tells of changes
_ARRIVING: Final = frozenset({"arriving", "too-young"})


@dataclass(frozen=True, slots=True)
class ScanTick:
    """One scan, and when to look again even if nothing changes, seconds."""

    report: StepReport
    again_in: float

    @property
    def is_partial(self) -> bool:
        """Whether a folder of the datastore was away."""
        return self.report.scanned is not None and bool(self.report.scanned.lost)


def listening(datastore: Sequence[Path]) -> Changes:
    """Begin to listen for changes in the datastore.

    Raises
    ------
    ConfigError
        Where watchfiles is not installed.
    """
    return Changes(datastore, {kind for folder in datastore if (kind := remote_disk(folder))})


def follow(
    opened: Callable[[], AbstractContextManager[Context]],
    changes: Changes,
    go_on: Callable[[], bool],
) -> Iterator[StepReport]:
    """Yield what each scan did: one at once, then one after each change or when time brings one.

    Parameters
    ----------
    opened
        Opens the site for one scan.
    changes
        Tells of changes in the datastore.
    go_on
        Asked before each further scan.
    """
    while True:
        changes.listen()  # before the scan: what changes during it is looked at after it
        again_in = _SOON
        with suppress(AnotherRun):  # the other process sees what we would
            with opened() as ctx:
                look = look_once(ctx, blind=bool(changes.blind))
            again_in = look.again_in
            yield look.report
            if look.is_partial:
                changes.forget()  # a folder that comes back is not listened to yet
        if go_on():
            changes.wait(again_in)
        if not go_on():
            return


def look_once(ctx: Context, *, blind: bool) -> ScanTick:
    """Scan; tell when time alone may bring something new."""
    report = run_step("scan", ctx, Selection())
    codes = {job.reason_code for job in ctx.ledger.jobs([State.WAITING])}
    arriving = not _ARRIVING.isdisjoint(codes)
    wait = pause(ctx.settings.scan, arriving=arriving, blind=blind)
    look = ScanTick(report, wait)
    return ScanTick(report, min(wait, _SOON)) if look.is_partial else look


def pause(wanted: Scan, *, arriving: bool, blind: bool) -> float:
    """Return how long to wait for a change before looking again all the same, seconds.

    >>> pause(Scan(), arriving=False, blind=False)
    3600.0
    >>> pause(Scan(), arriving=True, blind=False)
    601.0
    >>> pause(Scan(), arriving=True, blind=True)
    300.0
    """
    folders = [wanted, *map(wanted.in_folder, wanted.folders)]
    quiet = [one.quiet_minutes * 60 for one in folders if one.quiet_minutes]
    young = [one.min_age_minutes * 60 for one in folders if one.min_age_minutes]
    waits = [wanted.full_walk_hours * 3600 or _AT_MOST]
    if arriving:
        waits += [one + 1 for one in (*quiet, *young)]
    if blind:
        waits.append(min([_AT_MOST, *(max(one / 2, 1.0) for one in quiet)]))
    return min(waits)
