"""Series outside the datastore: read in place and judged at once, without the scan index.

They are not checked for files that still arrive, but by every other check.
"""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from drawcli.adapters.datastore.walk import Walk, read_images
from drawcli.config.sections import Scan
from drawcli.core.deid.pseudonyms import StandIns
from drawcli.core.dicom.instance import Slice
from drawcli.core.jobs.job import Job
from drawcli.core.series.members import count_non_slices, drop_copies, main_modality, scan_slices
from drawcli.core.series.readiness import Criteria, assess
from drawcli.core.series.verdict import Readiness, Verdict, waiting
from drawcli.errors import JobError
from drawcli.pipeline.context import Context
from drawcli.pipeline.survey.folder_settings import criteria_of
from drawcli.pipeline.survey.judge import SeriesSnapshot, same_images

Same = Callable[[str, str], bool]
_UNLISTABLE: Final = "unreadable-folder"


def snapshot_series(
    walk: Walk, ctx: Context, *, is_same: Same = same_images, deliver_to: str = ""
) -> Iterator[SeriesSnapshot]:
    """Yield each series of a walk over files outside the datastore.

    Parameters
    ----------
    walk
        The files.
    ctx
        The site.
    is_same
        Returns whether two files contain the same image.
    deliver_to
        The folder for the structure sets; "" for that of the settings.
    """
    demands = _demands(ctx.settings.scan)
    files = walk.by_series()
    for slices, verdict in judge_series(walk, demands, is_same):
        stand_ins = _known_under(slices[0].series_uid, ctx)
        names = sorted(f"{slice_.sop_uid} {slice_.size}" for slice_ in slices)
        places = sorted(f"{slice_.path} {slice_.mtime_ns}" for slice_ in slices)
        yield SeriesSnapshot(
            key=stand_ins.series_key(slices[0].series_uid),
            key_id=stand_ins.key_id,
            modality=main_modality(slices),
            files=len(slices),
            verdict=verdict,
            digest=stand_ins.digest("source", *names),
            stamp=stand_ins.digest("stamp", *places),
            load=partial(list, slices),
            load_aside=partial(count_non_slices, files[slices[0].series_uid]),
            judge=partial(assess, slices, demands),
            wanted=ctx.settings.scan,
            deliver_to=deliver_to,
        )


def snapshot_one_off(job: Job, ctx: Context) -> SeriesSnapshot | None:
    """Return the present state of a one-off job's series; None if its images are missing."""
    try:
        crosswalk = ctx.crosswalk(job)
    except JobError:
        return None
    walk = read_images(Path(file.path) for file in crosswalk.files)
    found = snapshot_series(walk, ctx, deliver_to=crosswalk.deliver_to)
    return next((seen for seen in found if seen.key == job.series_key), None)


def judge_series(
    walk: Walk, demands: Criteria, is_same: Same = same_images
) -> Iterator[tuple[list[Slice], Verdict]]:
    """Yield the slices of each series and its verdict.

    Unreadable files beside a series, or in a folder that cannot be listed, may belong to it.
    """
    for series in walk.by_series().values():
        files = sorted(series, key=lambda slice_: slice_.path)
        slices = drop_copies(scan_slices(files) or files, is_same)
        verdict = assess(slices, demands)
        unread = sum(walk.unread[place] for place in {str(Path(s.path).parent) for s in slices})
        if verdict.readiness is Readiness.READY and unread:
            text = f"{unread} files beside the series cannot be read, are empty, or end too early"
            verdict = waiting("unreadable-files", text)
        elif verdict.readiness is Readiness.READY and walk.passed_over[_UNLISTABLE]:
            verdict = waiting(_UNLISTABLE, "a folder that may hold more of it cannot be listed")
        yield slices, verdict


def _demands(wanted: Scan) -> Criteria:
    """Return the criteria of a site, without those on age."""
    return criteria_of(wanted)._replace(quiet_seconds=0, min_age_seconds=0, studied_after="")


def _known_under(uid: str, ctx: Context) -> StandIns:
    """Return the stand-ins under which a series has jobs, or those of the current key."""
    has_jobs = (
        stand_ins for stand_ins in ctx.retired if ctx.ledger.of_series(stand_ins.series_key(uid))
    )
    return next(has_jobs, ctx.stand_ins)
