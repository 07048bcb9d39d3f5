"""Where the images of a job are: on a file server, or on one host only."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from drawcli.errors import HOST_AWAY, SILENT, JobError, TryLater

if TYPE_CHECKING:
    from drawcli.config.load import Settings
    from drawcli.core.jobs.job import Job
    from drawcli.core.series.crosswalk import Crosswalk
    from drawcli.pipeline.context import Context

JobErrorT = TypeVar("JobErrorT", bound=JobError)
IMAGES_GONE: Final = frozenset({"source-changed", "source-moved"})  # or replaced


def is_on_this_host(job: "Job", crosswalk: "Crosswalk", settings: "Settings") -> bool:
    """Return whether no other host may have the images of a new job: received, pulled, one-off."""
    sources = (source.folder for source in settings.pull.sources)
    own = [folder for folder in (settings.receive.folder, *sources) if folder is not None]
    parents = Path(crosswalk.files[0].path).parents
    return job.one_off or any(folder in parents for folder in own)


def check_images_here(job: "Job", crosswalk: "Crosswalk", ctx: "Context") -> None:
    """Check that the images of a job can be read on this host.

    Raises
    ------
    TryLater
        If their file server does not answer, they are on another host, or this one of several hosts
        has no datastore.
    """
    from drawcli.adapters.datastore.walk import is_silent

    first = Path(crosswalk.files[0].path)
    folder = first.parent
    stores = (root for root in ctx.settings.datastore if root in (folder, *folder.parents))
    store = next(stores, folder)
    if store not in ctx.silent:
        ctx.silent[store] = is_silent(store, ctx.settings.scan.answer_seconds)
    if ctx.silent[store]:
        raise TryLater(
            "the file server with the images of the series does not answer",
            code=SILENT,
            hint="Check the file server and the mount; scan.answer_seconds is the limit.",
        )
    if ctx.files.host and store != folder and not first.exists() and not _has_content(store):
        raise TryLater(
            f"the datastore is missing or empty on host {ctx.files.host}: is it mounted?",
            code=SILENT,
            hint=f"Mount it on {ctx.files.host} as on the other hosts, or give its workers other "
            "queues: cluster.queues.",
        )
    if ctx.files.host and not first.exists() and (home := ctx.files.home_of(job.id)):
        raise TryLater(
            f"the images of the series are only on host {home}, which is not active",
            code=HOST_AWAY,
            hint=f"Start {home} again; or scan the images again on another host, and then "
            f"'drawcli retry {job.id}'.",
        )


def _has_content(store: Path) -> bool:
    """Return whether a datastore folder is there and has anything in it; a bare mount has not."""
    try:
        with os.scandir(store) as found:
            return next(found, None) is not None
    except OSError:
        return False


def with_remedy(err: JobErrorT, job: "Job") -> JobErrorT:
    """Add to an error how to restore the images of a one-off job, which no scan finds."""
    if not job.one_off or err.code not in IMAGES_GONE:
        return err
    return err.replaced(
        hint="Reconnect the medium, or scan the images again with 'drawcli scan PATH'; "
        f"then 'drawcli retry {job.id}'."
    )
