"""One-off jobs: series from outside the datastore, named by the user with `scan PATH`.

A complete series becomes an ordinary job; an incomplete one is rejected at once with the reason.
The folder for the structure set is stored encrypted: its path may name the patient.
"""

import logging
import os
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from drawcli.core.jobs.job import FINISHED, Job, State
from drawcli.core.series.crosswalk import SourceFile
from drawcli.core.series.verdict import Readiness
from drawcli.errors import NeedsPerson, SeriesRefused, UsageError
from drawcli.pipeline.actions import act_locked
from drawcli.pipeline.cluster.images import IMAGES_GONE
from drawcli.pipeline.context import Context
from drawcli.pipeline.one_off_sources import Sources
from drawcli.pipeline.survey import SeriesSnapshot, snapshot_series
from drawcli.system.failures import raise_shortage
from drawcli.system.platforms import is_within
from drawcli.system.printable import counted

_OVER: Final = FINISHED | {State.DELIVERED}
# Reason codes of waiting jobs that lack their images.
_WANTS_IMAGES: Final = frozenset({None, "assigned", "not-seen"})
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OneOffRequest:
    """The arguments of `scan PATH`."""

    paths: tuple[Path, ...]  # folders, images and zips; absolute
    deliver_to: str = ""  # an absolute path; "" for the folder of the settings


@dataclass(slots=True)
class OneOffResult:
    """The outcome of `scan PATH` for each series."""

    found: list[Job] = field(default_factory=list)
    known: list[tuple[Job, str]] = field(default_factory=list)  # and what was changed, or ""
    refused: list[SeriesRefused] = field(default_factory=list)
    ready: list[SeriesSnapshot] = field(default_factory=list)  # of a dry run
    ignored: Counter[str] = field(default_factory=Counter)  # series
    passed_over: Counter[str] = field(default_factory=Counter)  # files


def check_request(request: OneOffRequest, ctx: Context) -> None:
    """Raise UsageError if a path or the target cannot be used.

    Messages give the number of a path, not the path: it may name a patient.
    """
    settings = ctx.settings
    for number, path in enumerate(request.paths, start=1):
        if not path.is_dir() and not path.is_file():
            raise UsageError(f"PATH {number} of {len(request.paths)}: no such file or folder")
        for folder in (settings.state_dir, *settings.datastore):
            if is_within(path, folder) or is_within(folder, path):
                raise UsageError(
                    f"PATH {number} of {len(request.paths)} is in {folder}, or contains it",
                    hint="'drawcli scan' without PATH scans the datastore.",
                )
    _check_target(request, ctx)


def _check_target(request: OneOffRequest, ctx: Context) -> None:
    """Raise UsageError if structure sets cannot be written."""
    folders = ctx.settings.deliver.folders
    if "beside" not in folders and not request.deliver_to:
        return
    if not request.deliver_to and not all(path.is_dir() for path in request.paths):
        raise UsageError(
            "the structure sets need a folder: --deliver-to DIR",
            hint="They can be written beside the images only if every PATH is a folder.",
        )
    target = Path(request.deliver_to)
    if request.deliver_to and not target.is_dir():
        raise UsageError("--deliver-to: no such folder", hint="Create it first.")
    if request.deliver_to and is_within(target, ctx.settings.state_dir):
        raise UsageError(f"--deliver-to is in {ctx.settings.state_dir}; choose another folder")
    for folder in [target] if request.deliver_to else request.paths:
        if not os.access(folder, os.W_OK):
            raise UsageError(
                "the folder for the structure sets is not writable",
                hint="Choose a writable folder with --deliver-to.",
            )


def scan_paths(request: OneOffRequest, ctx: Context, *, dry_run: bool = False) -> OneOffResult:
    """Make jobs of the series at some paths; in a dry run, write nothing.

    Raises
    ------
    UsageError
        If a path cannot be used, or there is no series.
    OutOfReach
        If a medium cannot be read.
    SeriesRefused
        If a zip is damaged, unsafe or too large.
    DiskFull
        If there is not enough space for the images of a zip.
    """
    with ExitStack() as opened:
        check_request(request, ctx)
        sources = Sources(request.paths, ctx, opened)
        shown = OneOffResult(passed_over=sources.walk.passed_over)
        for seen in snapshot_series(
            sources.walk, ctx, is_same=sources.is_same, deliver_to=request.deliver_to
        ):
            _look_at(seen, sources, ctx, shown, dry_run=dry_run)
    if not (shown.found or shown.known or shown.refused or shown.ready):
        seen_too = sorted((shown.ignored + shown.passed_over).items())
        counts = ", ".join(f"{count} {reason}" for reason, count in seen_too)
        raise UsageError(
            f"no series to send{counts and f': {counts}'}",
            hint="'drawcli reasons CODE' explains a reason; see also scan.modalities.",
        )
    return shown


def _look_at(
    seen: SeriesSnapshot, sources: Sources, ctx: Context, shown: OneOffResult, *, dry_run: bool
) -> None:
    """Make a job of a series, or record why not."""
    jobs = ctx.ledger.of_series(seen.key)
    latest = jobs[-1] if jobs else None
    if latest is not None and not _wants_images(latest):
        did = "" if dry_run else _show_again(latest, seen, sources, ctx)
        shown.known.append((latest, did))
    elif seen.verdict.readiness is Readiness.IGNORED:
        shown.ignored[seen.verdict.code] += 1
    elif seen.verdict.readiness is not Readiness.READY:
        shown.refused.append(_refused(seen))
    elif dry_run:
        shown.ready.append(seen)
    else:
        try:
            _take_up(latest, seen, sources, ctx, shown)
        except SeriesRefused as err:  # a member of a zip is damaged behind its header
            shown.refused.append(err)


def _wants_images(job: Job) -> bool:
    """Return whether a job waits only for its images."""
    is_waiting = job.state is State.WAITING
    return is_waiting and (job.one_off or job.reason_code in _WANTS_IMAGES)


def _refused(seen: SeriesSnapshot) -> SeriesRefused:
    _log.info("series=%s step=scan outcome=refused code=%s", seen.key, seen.verdict.code)
    return SeriesRefused(
        f"{seen.modality} series of {counted(seen.files, 'file')} rejected: {seen.verdict.text}",
        code=seen.verdict.code,
        hint="No job was made. Give the complete series and run the command again.",
    )


def _take_up(
    waiting: Job | None, seen: SeriesSnapshot, sources: Sources, ctx: Context, shown: OneOffResult
) -> None:
    """Make a job of a series, or give its images to the job that waits for them."""
    facts = {**seen.facts, "one_off": True}
    if waiting is None:
        fresh = Job(id=f"{seen.key}-1", state=State.FOUND, since=ctx.now(), **facts)
        job = replace(fresh, key_id=seen.key_id).begun(at=ctx.now())
        is_taken = ctx.begin(job, seen.crosswalk, sources.bring(job.id, ctx))
    else:

        def found(now: Job) -> Job:
            if not _wants_images(now):
                return now
            ctx.seal(now.id, sources.bring(now.id, ctx)(seen.crosswalk))
            return ctx.ledger.commit(now.to(State.FOUND, at=ctx.now(), **facts))

        job = act_locked(waiting, ctx, found)
        is_taken = job.state is State.FOUND
    if is_taken:
        _log.info("job=%s step=scan outcome=found one-off", job.id)
        shown.found.append(job)
    else:  # another process was faster
        shown.known.append((job, ""))


def _show_again(job: Job, seen: SeriesSnapshot, sources: Sources, ctx: Context) -> str:
    """Restore the images of a one-off job, or set another folder for its structure set.

    Returns
    -------
    str
        What was changed; "" for nothing.
    """
    if not job.one_off or job.state in _OVER:
        return ""

    def change(now: Job) -> str:
        if now.state in _OVER:
            return ""
        if now.source_digest != seen.digest:
            return "not changed: these are other images than before"
        try:
            crosswalk = ctx.crosswalk(now)
        except NeedsPerson:
            return ""
        after = crosswalk
        if not all(map(_is_there, crosswalk.files)):
            after = sources.bring(now.id, ctx)(crosswalk.moved_to(seen.slices))
        after = after._replace(deliver_to=seen.deliver_to or after.deliver_to)
        if after == crosswalk:
            return ""
        ctx.seal(now.id, after)
        freed = now.released(at=ctx.now()) if now.reason_code in IMAGES_GONE else now
        ctx.ledger.commit(freed.noted(ctx.now(), "scanned again"))
        return "continues with these images"

    return act_locked(job, ctx, change)


def _is_there(file: SourceFile) -> bool:
    """Return whether a file has not changed since it was scanned."""
    try:
        at = Path(file.path).stat()
    except OSError as err:
        raise_shortage(err)
        return False
    return (at.st_size, at.st_mtime_ns) == (file.size, file.mtime_ns)
