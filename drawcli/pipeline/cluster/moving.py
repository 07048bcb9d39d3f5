"""Move the files of jobs together with the ledger, to a database or back."""

from contextlib import suppress
from typing import TYPE_CHECKING

from drawcli.adapters.ledger.postgres.site import database_ledger
from drawcli.adapters.state.keys.key_source import site_keys
from drawcli.adapters.state.workdir import WorkDir
from drawcli.core.jobs.ledger import Busy
from drawcli.pipeline.cluster.opening import job_files

if TYPE_CHECKING:
    from drawcli.config.load import Settings


def share_files(settings: "Settings") -> int:
    """Store the files of all work folders of this host in the database; return their jobs.

    Parameters
    ----------
    settings
        With the database in `ledger`.
    """
    work, count = WorkDir(settings.state_dir), 0
    with database_ledger(settings, guard=False) as ledger:
        ledger.database.rows("SET drawcli.moving = 'on'")  # other hosts are kept out meanwhile
        files = job_files(settings, ledger, site_keys(settings))
        for job in ledger.find(work.job_ids()):
            with suppress(Busy), work.job_lock(job.id), ledger.claim(job.id):
                if job.one_off:
                    files.bind(job.id)
                files.keep(job.id)
                count += 1
    return count


def bring_files(settings: "Settings") -> int:
    """Bring the files of all jobs from the database to this host; return their jobs."""
    work, count = WorkDir(settings.state_dir), 0
    with database_ledger(settings, guard=False) as ledger:
        files = job_files(settings, ledger, site_keys(settings))
        for job_id in ledger.files.job_ids():
            with suppress(Busy), work.job_lock(job_id):
                files.bring(job_id)
                count += 1
    return count
