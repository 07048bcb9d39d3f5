"""Scan whenever the datastore changes: for sites that prefer a service to cron.

Each scan opens and closes the site: settings may change between scans, and other processes can use
ledger and index in between.
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

_SOON: Final = 60.0  # seconds, if a folder of the datastore is missing or another process scans
_AT_MOST: Final = 600.0  # seconds, if every scan is a full walk, or changes are not reported
_ARRIVING: Final = frozenset({"arriving", "too-young"})


@dataclass(frozen=True, slots=True)
class ScanTick:
    """One scan, and the seconds until the next scan if nothing changes."""

    report: StepReport
    again_in: float

    @property
    def is_partial(self) -> bool:
        """Whether a folder of the datastore was missing."""
        return self.report.scanned is not None and bool(self.report.scanned.lost)


def watch_datastore(datastore: Sequence[Path], marks: Sequence[Path] = ()) -> Changes:
    """Watch the datastore for changes; raise ConfigError if watchfiles is not installed.

    Parameters
    ----------
    datastore
        Its folders.
    marks
        Local folders in which a file changes when images have come, also to a share.
    """
    shares = {kind for folder in datastore if (kind := remote_disk(folder))}
    return Changes([*datastore, *marks], shares)


def follow(
    opened: Callable[[], AbstractContextManager[Context]],
    changes: Changes,
    go_on: Callable[[], bool],
) -> Iterator[StepReport]:
    """Yield the report of each scan: one at once, then one after each change or timeout.

    Parameters
    ----------
    opened
        Opens the site for one scan.
    changes
        Reports changes in the datastore.
    go_on
        Returns whether to scan again.
    """
    while True:
        changes.listen()  # before the scan: changes during it cause the next one
        again_in = _SOON
        with suppress(AnotherRun):  # the other process finds the same
            with opened() as ctx:
                look = scan_once(ctx, blind=bool(changes.blind))
            again_in = look.again_in
            yield look.report
            if look.is_partial:
                changes.forget()  # a folder that comes back is not watched yet
        if go_on():
            changes.wait(again_in)
        if not go_on():
            return


def scan_once(ctx: Context, *, blind: bool) -> ScanTick:
    """Scan; return the report and when to scan again."""
    report = run_step("scan", ctx, Selection())
    codes = {job.reason_code for job in ctx.ledger.jobs([State.WAITING])}
    arriving = not _ARRIVING.isdisjoint(codes)
    wait = pause(ctx.settings.scan, arriving=arriving, blind=blind)
    look = ScanTick(report, wait)
    return ScanTick(report, min(wait, _SOON)) if look.is_partial else look


def pause(wanted: Scan, *, arriving: bool, blind: bool) -> float:
    """Return how long to wait for a change before the next scan, seconds.

    >>> pause(Scan(), arriving=False, blind=False)
    3600.0
    >>> pause(Scan(), arriving=True, blind=False)
    601.0
    >>> pause(Scan(), arriving=True, blind=True)
    300.0
    """
    folders = [wanted, *map(wanted.in_folder, wanted.folders)]
    quiet = [folder.quiet_minutes * 60 for folder in folders if folder.quiet_minutes]
    young = [folder.min_age_minutes * 60 for folder in folders if folder.min_age_minutes]
    waits = [wanted.full_walk_hours * 3600 or _AT_MOST]
    if arriving:
        waits += [seconds + 1 for seconds in (*quiet, *young)]
    if blind:
        waits.append(min([_AT_MOST, *(max(seconds / 2, 1.0) for seconds in quiet)]))
    return min(waits)
