"""What a scan found and changed, and the one way in which it changes a job."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from drawcli.core.jobs.job import Job
from drawcli.core.jobs.ledger import Busy
from drawcli.errors import OutOfReach
from drawcli.pipeline.context import Context


@dataclass(slots=True)
class ScanResult:
    """The outcome of a scan: new and changed jobs, and counts of what was skipped, by reason."""

    jobs: list[Job] = field(default_factory=list)
    series: int = 0  # in the datastore, also known and ignored ones
    files: int = 0  # of these series
    passed_over: Counter[str] = field(default_factory=Counter)  # files
    ignored: Counter[str] = field(default_factory=Counter)  # series
    contoured: int = 0  # new series that a structure set in the datastore references
    changed_later: list[str] = field(default_factory=list)  # jobs whose images changed after upload
    late: list[Job] = field(default_factory=list)  # of these, delivered jobs; each change once
    rebuilt: str = ""  # why the scan index was rebuilt
    folders_missing: list[str] = field(default_factory=list)  # of scan.folders
    lost: list[OutOfReach] = field(default_factory=list)  # folders of the datastore


def change_job(
    job: Job,
    make: Callable[[], Job],
    ctx: Context,
    done: ScanResult,
    into: list[Job] | None = None,
) -> None:
    """Change a job under its lock, unless another process holds it or was faster."""
    changed = done.jobs if into is None else into
    try:
        with ctx.job_lock(job.id):
            stored = ctx.ledger.get(job.id)
            if stored is None or stored.revision != job.revision:
                return
            after = make()
            if after != job:
                changed.append(ctx.ledger.commit(after))
    except Busy:
        return
