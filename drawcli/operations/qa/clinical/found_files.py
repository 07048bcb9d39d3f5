"""The structure sets of a job with their paths: for a person who asks, never recorded."""

from collections.abc import Iterator
from pathlib import Path

from drawcli.adapters.state.qa_watch import read_watch, shares_frame
from drawcli.core.jobs.job import Job
from drawcli.core.qa.records import PairRecord
from drawcli.errors import DrawcliError
from drawcli.operations.qa.clinical.finder import SetFinder
from drawcli.operations.qa.clinical.pair import PairMaker
from drawcli.pipeline.context import Context


def found_files(job: Job, record: PairRecord, ctx: Context) -> Iterator[tuple[Path, str]]:
    """Yield each structure set that names the series of a job, and what it is, at present.

    Nothing is written; nothing is yielded if the work folder is gone, or a share is silent.
    """
    every = read_watch(ctx.settings.state_dir) or {}
    watched = every.get(job.id)
    if watched is None or not ctx.work.has_folder(job.id):
        return
    finder = SetFinder(ctx=ctx, answer_seconds=ctx.settings.scan.answer_seconds, throwaway=True)
    try:
        paths = finder.look({job.id: watched}, lambda _job: True).sightings[job.id].paths or ()
        maker = PairMaker(
            job=job,
            ctx=ctx,
            finder=finder,
            paths=paths,
            earlier=record,
            frame_is_shared=shares_frame(watched, every.values()),
        )
        maker.judge()
    except (DrawcliError, OSError):
        return
    for candidate in maker.candidates:
        yield candidate.path, maker.role_of(candidate)
