"""Check and repair the ledger against work folders, vaults, audit log and archive.

Every check has a code, a sentence and, if possible, a repair that loses nothing: the job goes back
to the step that makes the missing file again, or is held.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final

from drawcli.adapters.ledger import FileLedger
from drawcli.adapters.state.audit_log import ANSWERED, ATTEMPT
from drawcli.adapters.state.workdir import PACKAGE, RECEIVED, TEMPLATE
from drawcli.core.jobs.job import BEFORE_UPLOAD, FINISHED, EventKind, Job, State
from drawcli.core.jobs.ledger import Busy
from drawcli.errors import LedgerError, NeedsPerson
from drawcli.pipeline.cluster.reading import look_at_all
from drawcli.pipeline.context import Context
from drawcli.system.files import sha256_of
from drawcli.system.printable import counted

_WITH_VAULT: Final = frozenset(State) - FINISHED - {State.WAITING}
_WITH_TASK: Final = frozenset({State.UPLOADED, State.SEGMENTED})
_WITH_RESULT: Final = frozenset({State.FETCHED, State.DELIVERED})
_WITH_TEMPLATE: Final = frozenset(
    {State.MATCHED, State.PACKAGED, State.UPLOADED, State.SEGMENTED, State.FETCHED}
    | {State.DELIVERED}
)
_ORPHANS: Final = "orphans"
_OF_LARGE: Final = frozenset({"no-package", "no-result"})

Repair = Callable[[Context], None]


@dataclass(frozen=True, slots=True)
class Trouble:
    """An inconsistency between the ledger and the files of a site."""

    code: str
    where: str  # a job's id, or a file of the site's own
    text: str
    repair: str = ""  # what `ledger repair` does about it; "" if it cannot
    action: Repair | None = None

    def as_plain(self) -> dict[str, str]:
        """Return it as plain values for JSON."""
        return {"code": self.code, "where": self.where, "text": self.text, "repair": self.repair}


def check(ctx: Context, *, deep: bool = False) -> list[Trouble]:
    """Compare the ledger with the work folders, the vaults and the archive.

    Parameters
    ----------
    ctx
        The site.
    deep
        Whether to read files and compare their digests, rather than presence and size only.
    """
    found: list[Trouble] = []
    look_at_all(ctx)
    answered = _answered_here(ctx)
    for job in ctx.ledger.jobs():
        found += _of_job(job, ctx, deep=deep)
        found += _sent_before(job, ctx.files.host, answered[job.id])
    elsewhere = ctx.files.elsewhere()  # their large files are not on this host
    found = [one for one in found if not (one.code in _OF_LARGE and one.where in elsewhere)]
    return [*found, *_orphans(ctx), *_of_archive(ctx)]


def repair(troubles: Iterable[Trouble], ctx: Context) -> list[Trouble]:
    """Repair what can be repaired and return it. The caller holds the run lock."""
    repaired = []
    for trouble in troubles:
        if trouble.action is not None:
            with suppress(Busy):
                trouble.action(ctx)
                repaired.append(trouble)
    return repaired


def _of_job(job: Job, ctx: Context, *, deep: bool) -> Iterator[Trouble]:
    if job.held and not (job.reason_code and job.reason):
        yield Trouble("no-reason", job.id, "is held without a reason")
    if job.state in _WITH_TEMPLATE and not job.template:
        yield _held_for(job, "no-template", "has no template")
    if job.state in _WITH_VAULT:
        yield from _vault(job, ctx)
    if job.state in _WITH_TASK:
        yield from _at_server(job, ctx)
    if job.state is State.PACKAGED:
        yield from _package(job, ctx, deep=deep)
    if job.state in _WITH_RESULT:
        yield from _result(job, ctx)


def _answered_here(ctx: Context) -> Counter[str]:
    """Return the number of uploads of each job that the server took, by this host's audit log."""
    lines = (line.facts for line in ctx.audit.lines())
    mine = (one for one in lines if one.get("what") == ANSWERED and "purpose" not in one)
    return Counter(str(one.get("job")) for one in mine)


def _sent_before(job: Job, host: str, answered: int) -> Iterator[Trouble]:
    """Find a job that was sent according to the audit log but not to the ledger: an old backup.

    The ledger counts an upload before it begins, so it never has fewer than the audit log.
    """
    begun = _begun_here(job, host) + (job.attested - len(job.attested_at)) * bool(host)
    is_chosen = any(event.kind is EventKind.RELEASED for event in job.events[-3:])
    if job.state in BEFORE_UPLOAD and answered > begun and not job.held and not is_chosen:
        yield _held_for(
            job,
            "sent-before",
            f"was sent from here {counted(answered, 'time')}, of which the ledger has {begun}; "
            "the ledger is from an older backup",
        )


def _at_server(job: Job, ctx: Context) -> Iterator[Trouble]:
    if not job.task_id:
        yield _held_for(job, "no-task", "was uploaded, but its task id is missing")
    if not ctx.work.file(job.id, TEMPLATE).is_file():
        yield _held_for(job, "template-missing", "the template that was sent is missing")


def _package(job: Job, ctx: Context, *, deep: bool) -> Iterator[Trouble]:
    path = ctx.work.file(job.id, PACKAGE)
    whole = path.is_file() and path.stat().st_size == job.zip_bytes
    if not whole or (deep and sha256_of(path) != job.zip_sha256):
        action = _moved(job, State.MATCHED, zip_sha256=None, zip_bytes=None)
        text = "its package is missing or altered"
        yield Trouble("no-package", job.id, text, "goes back to matched: it is built again", action)


def _result(job: Job, ctx: Context) -> Iterator[Trouble]:
    path = ctx.work.file(job.id, RECEIVED)
    if path.is_file() and sha256_of(path) == job.received_sha256:
        return
    if job.state is State.FETCHED:
        action = _fetched_again(job)
        text = "the downloaded structure set is missing or altered"
        repaired = "goes back to segmented: it is downloaded again"
        yield Trouble("no-result", job.id, text, repaired, action)
    else:
        text = "the downloaded structure set is missing; the delivered file is not affected"
        yield Trouble("no-result", job.id, text)


def _vault(job: Job, ctx: Context) -> Iterator[Trouble]:
    try:
        ctx.crosswalk(job)
    except NeedsPerson as err:
        hint = f"try 'drawcli vault rebuild {job.id}'"
        yield Trouble(err.code, job.id, f"{err}; {hint}")


def _held_for(job: Job, code: str, text: str) -> Trouble:
    def act(ctx: Context) -> None:
        err = NeedsPerson(
            f"the ledger check found that it {text}",
            code=code,
            hint=f"'drawcli retry {job.id}' sends the series again."
            if job.template
            else f"'drawcli assign {job.id} TEMPLATE' sends the series with a template.",
        )
        _commit(job, lambda now: now.held_for(err, at=ctx.now()), ctx)

    return Trouble(code, job.id, text, "" if job.held else "is held", None if job.held else act)


def _moved(job: Job, state: State, **facts: Any) -> Repair:
    """Return the repair that takes a job to a state; a held job stays held."""

    def move(now: Job, ctx: Context) -> Job:
        after = now.to(state, at=ctx.now(), **facts)
        why = {name: getattr(now, name) for name in ("reason_code", "reason", "hint")}
        return replace(after, held=True, **why) if now.held else after

    return lambda ctx: _commit(job, lambda now: move(now, ctx), ctx)


def _fetched_again(job: Job) -> Repair:
    def act(ctx: Context) -> None:
        ctx.work.keep_altered(job.id, RECEIVED)  # else it would be taken for the file that came
        _moved(job, State.SEGMENTED, received_sha256=None)(ctx)

    return act


def _commit(job: Job, change: Callable[[Job], Job], ctx: Context) -> None:
    """Change a job under its lock, unless it has changed meanwhile."""
    with ctx.job_lock(job.id):
        now = ctx.ledger.get(job.id)
        if now is not None and now.revision == job.revision:
            after = change(now)
            ctx.ledger.commit(after.noted(ctx.now(), "repaired"))


def _orphans(ctx: Context) -> Iterator[Trouble]:
    """Yield work folders of jobs that are not in the ledger."""
    known = {job.id for job in ctx.ledger.jobs()}
    try:
        known |= {one.id for one in ctx.ledger.archive.entries()}
    except LedgerError:
        return  # unknown now; the damaged index is reported
    for job_id in ctx.work.job_ids():
        if job_id not in known:
            text = "has a work folder but is not in the ledger"
            repaired = f"the folder is moved to {_ORPHANS}/"
            yield Trouble("orphan", job_id, text, repaired, _moved_to_orphans(job_id))


def _moved_to_orphans(job_id: str) -> Repair:
    def act(ctx: Context) -> None:
        with ctx.job_lock(job_id):
            if ctx.ledger.get(job_id) is None:  # still: a scan may have taken it up
                ctx.work.move_away(job_id, _ORPHANS)

    return act


def _of_archive(ctx: Context) -> Iterator[Trouble]:
    ledger = ctx.ledger
    if not isinstance(ledger, FileLedger):
        return  # a database checks its own index
    archive, months = ledger.archive, []
    for month in archive.months():
        try:
            archive.check(month)
            months.append(month)
        except LedgerError as err:
            yield Trouble("archive", f"archive/{month}.json", str(err))
    if months != archive.months():
        return  # an index made now would leave jobs out
    try:
        wrong = archive.differences()
    except LedgerError as err:
        wrong = [str(err)]
    if wrong:
        yield Trouble(
            "archive-index",
            "archive/index",
            f"differs from the monthly files in {counted(len(wrong), 'job')}",
            "is rebuilt from them",
            lambda _ctx: ledger.rebuild_archive_index(),
        )


@dataclass(frozen=True, slots=True)
class Lacking:
    """A job with more uploads in the ledger than in the audit log."""

    job: str
    begun: int  # uploads by the ledger, since the audit log exists
    logged: int  # uploads by the audit log

    def __str__(self) -> str:
        """Return it as a sentence."""
        return f"uploads of job {self.job}: {self.begun} in ledger, {self.logged} in audit log"


def unattested(ctx: Context) -> list[Lacking]:
    """Return the jobs with fewer uploads in the audit log than in the ledger.

    The ledger counts an upload only after its line in the log is on disk, so a difference means
    that lines were lost. Uploads from before the audit log existed are not counted, nor those of
    other hosts, which are in their logs. The ledger is read first because a run may be active.
    """
    counted = {job.id: _begun_here(job, ctx.files.host) for job in ctx.ledger.all_jobs()}
    lines = (line.facts for line in ctx.audit.lines())
    logged = Counter(facts.get("job") for facts in lines if facts.get("what") == ATTEMPT)
    return [Lacking(job, n, logged[job]) for job, n in counted.items() if logged[job] < n]


def _begun_here(job: Job, host: str) -> int:
    """Return how many uploads of a job should be in the audit log of this host."""
    return job.attested_at.count(host) if host else job.attested - len(job.attested_at)
