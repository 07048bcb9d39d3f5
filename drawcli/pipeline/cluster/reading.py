"""Copy files of other hosts to this one for reading, and remove files that no host needs."""

import logging
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

from drawcli.core.jobs.ledger import Busy
from drawcli.errors import OutOfReach

if TYPE_CHECKING:
    from drawcli.pipeline.context import Context

_log = logging.getLogger(__name__)


def look_at_all(ctx: "Context") -> None:
    """Bring the identity of every job that has one to this host; once for each job."""
    for job_id in ctx.files.unseen():
        with suppress(Busy), ctx.work.job_lock(job_id):
            ctx.files.bring(job_id, small=True)


def remove_old_files(ctx: "Context") -> None:
    """Remove the shared files of jobs that finished `deliver.keep_days` ago, on any host."""
    for job_id in ctx.files.old(ctx.now() - timedelta(days=ctx.settings.deliver.keep_days)):
        with suppress(Busy), ctx.work.job_lock(job_id), ctx.ledger.claim(job_id):
            ctx.files.forget(job_id)
    try:
        ctx.files.sweep()
    except OutOfReach as err:
        _log.warning("lost files were not removed: %s", err)
