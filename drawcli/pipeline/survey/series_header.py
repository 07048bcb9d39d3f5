"""The header of a job's series for the rules.

It is kept, encrypted, while no rule takes the series: after a change of the rules no image is
opened if size, times and inode of every file are as they were.
"""

from drawcli.adapters.datastore.rule_header import header_of
from drawcli.adapters.datastore.series_elements import SeriesElements, stamp_of_files
from drawcli.adapters.state.vault import HEADER
from drawcli.core.jobs.job import Job, State
from drawcli.core.rules.decision import Choice, Decision, decide
from drawcli.pipeline.context import Context
from drawcli.pipeline.stored_explanation import write_explanation


class SeriesHeader:
    """The header of a job's series, as it was kept or read from the images.

    Parameters
    ----------
    job
        The job.
    ctx
        The site.

    Raises
    ------
    JobError
        If the images are away or cannot be read.
    """

    def __init__(self, job: Job, ctx: Context) -> None:
        crosswalk = ctx.images_of(job)
        self._job, self._ctx = job, ctx
        paths = dict.fromkeys(file.path for file in crosswalk.files)
        self._stamp = stamp_of_files(paths)
        self._folder, kept = ctx.work.file(job.id, HEADER).parent, None
        if self._stamp is not None:
            kept = ctx.vault.kept_header(self._folder, job.id, self._stamp)
        if kept is None:
            self._elements = SeriesElements.of(ctx.progress.count_items(paths, "files read"))
        else:
            self._elements = SeriesElements.from_plain(kept, paths)
        self.header = header_of(crosswalk, ctx.now().date(), self._elements)

    def decision(self) -> Decision:
        """Return the decision of the rules for the series."""
        on_many = self._ctx.settings.match.on_many
        return decide(self.header, self._ctx.rulebook.rules, on_many=on_many)

    def keep(self) -> None:
        """Keep what has been learned of the header, for other rules."""
        if self._stamp is not None and self._elements.learned:
            plain = self._elements.as_plain()
            self._ctx.vault.keep_header(self._folder, self._job.id, self._stamp, plain)


def excluded_since(job: Job, ctx: Context) -> Job | None:
    """Return a packaged job as excluded, if rules that changed since exclude its series.

    A rule that is added after a patient has objected also stops packages that wait. A job with a
    template that a user assigned is sent nevertheless.
    """
    if job.rule is None or job.rules_digest == ctx.rulebook.digest:
        return None
    series = SeriesHeader(job, ctx)
    decision = series.decision()
    if decision.choice is not Choice.EXCLUDED:
        return None
    write_explanation(job, decision, ctx.work)
    series.keep()
    facts = {"rules_digest": ctx.rulebook.digest, "rules_commit": ctx.rulebook.commit}
    after = job.to(State.EXCLUDED, at=ctx.now(), **facts)
    return after.postponed(None, code=str(decision.choice), reason=decision.sentence)
