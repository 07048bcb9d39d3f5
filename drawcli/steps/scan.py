"""(datastore) -> FOUND: take up every series that is whole, and watch those that are not yet.

Safe to repeat at any moment: a series has one key, and its job is inserted only once.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from drawcli.adapters.datastore import Walk, read_datastore
from drawcli.adapters.workdir import Busy
from drawcli.context import Context
from drawcli.core.crosswalk import Crosswalk, SourceFile
from drawcli.core.job import BEFORE_UPLOAD, Job, State
from drawcli.core.series import Demands, Readiness, Slice, Verdict, assess, scan_slices
from drawcli.errors import SeriesRefused


@dataclass(slots=True)
class Scanned:
    """What a scan did: the jobs it made or moved, and what it passed over, by reason."""

    jobs: list[Job] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)  # files
    ignored: Counter[str] = field(default_factory=Counter)  # series
    changed_later: list[str] = field(default_factory=list)  # jobs whose images changed once sent


def scan(ctx: Context, *, only: str | None = None, limit: int | None = None) -> Scanned:
    """Read the datastore and bring the ledger up to date with it.

    Parameters
    ----------
    ctx
        The site.
    only
        A job: look at its series alone.
    limit
        How many new series to take up at most.
    """
    walk, done = read_datastore(ctx.settings.datastore), Scanned()
    done.passed_over = walk.passed_over
    known = _jobs_by_series(ctx)
    for key, slices in _series_by_key(walk, ctx).items():
        jobs = known.pop(key, [])
        if only is not None and all(job.id != only for job in jobs):
            continue
        if jobs or limit is None or len(done.jobs) < limit:
            _look_at(key, slices, jobs, ctx, done)
    for job in (job for jobs in known.values() for job in jobs if only in (None, job.id)):
        _note_unseen(job, ctx, done)
    return done


def preview(ctx: Context) -> list[tuple[str, Verdict, Sequence[Slice]]]:
    """Return what a scan would make of each series without a job; write nothing."""
    known = _jobs_by_series(ctx)
    return [
        (key, _verdict(slices, ctx), slices)
        for key, slices in _series_by_key(read_datastore(ctx.settings.datastore), ctx).items()
        if key not in known or known[key][-1].state is State.WAITING
    ]


def _look_at(
    key: str, slices: Sequence[Slice], jobs: Sequence[Job], ctx: Context, done: Scanned
) -> None:
    """Bring the jobs of one series up to date."""
    if not jobs:
        verdict = _verdict(slices, ctx)
        if verdict.readiness is Readiness.IGNORED:
            done.ignored[verdict.code] += 1
        else:
            _take_up(f"{key}-1", slices, verdict, ctx, done)
        return
    digest = _digest(slices, ctx)
    for job in jobs:
        if job.state is State.WAITING:
            _look_again(job, slices, digest, ctx, done)
        elif job.state is not State.CANCELLED and job.source_digest != digest:
            _note_change(job, slices, digest, ctx, done)


def _take_up(
    job_id: str, slices: Sequence[Slice], verdict: Verdict, ctx: Context, done: Scanned
) -> None:
    """Make a job of a series: found, or waiting for what it lacks."""
    now = ctx.now()
    ready = verdict.readiness is Readiness.READY
    job = Job(
        id=job_id,
        state=State.FOUND if ready else State.WAITING,
        since=now,
        modality=slices[0].modality,
        slices=len(slices),
        source_digest=_digest(slices, ctx),
        key_id=ctx.stand_ins.key_id,
    ).begun(at=now)
    job = job if ready else _unready(job, verdict, ctx)
    if ctx.begin(job, _crosswalk(slices)):
        done.jobs.append(job)


def _look_again(
    job: Job, slices: Sequence[Slice], digest: str, ctx: Context, done: Scanned
) -> None:
    """See whether a waiting series has become whole."""
    if job.held and job.source_digest == digest:
        return

    def look() -> Job:
        verdict = _verdict(slices, ctx)
        facts: dict[str, Any] = {"slices": len(slices), "source_digest": digest}
        if verdict.readiness is Readiness.READY:
            ctx.seal(job.id, _crosswalk(slices))
            return job.to(State.FOUND, at=ctx.now(), **facts)
        if verdict.readiness is Readiness.IGNORED:
            after = job.to(State.CANCELLED, at=ctx.now(), **facts)
            return after.postponed(None, code=verdict.code, reason=verdict.text)
        moved = job.freed() if job.source_digest != digest else job
        return _unready(replace(moved, **facts), verdict, ctx)

    _change(job, look, ctx, done)


def _unready(job: Job, verdict: Verdict, ctx: Context) -> Job:
    """Return the job waiting with its reason; held if it waits too long, or can never be ready."""
    patience = timedelta(hours=ctx.settings.scan.incomplete_hours)
    if verdict.readiness is Readiness.REFUSED or ctx.now() - job.since > patience:
        err = SeriesRefused(
            verdict.text,
            code=verdict.code,
            hint="Mend the series in the datastore: the next scan sees it. Or cancel the job.",
        )
        return job.held_for(err, at=ctx.now())
    return job.postponed(None, code=verdict.code, reason=verdict.text)


def _note_change(
    job: Job, slices: Sequence[Slice], digest: str, ctx: Context, done: Scanned
) -> None:
    """Make a series wait again that changed before it was sent; tell of one that changed later."""
    if job.state not in BEFORE_UPLOAD:
        done.changed_later.append(job.id)
        return

    def send_back() -> Job:
        ctx.seal(job.id, _crosswalk(slices))
        facts: dict[str, Any] = {"slices": len(slices), "source_digest": digest}
        after = job.to(State.WAITING, at=ctx.now(), **facts)
        reason = "the series changed before it was sent"
        return after.postponed(None, code="series-changed", reason=reason)

    _change(job, send_back, ctx, done)


def _note_unseen(job: Job, ctx: Context, done: Scanned) -> None:
    """Say of a waiting job that its series is not in the datastore any more."""
    if job.state is not State.WAITING or job.held:
        return
    gone = Verdict(Readiness.WAITING, "not-seen", "the last scan saw no file of the series")
    _change(job, lambda: _unready(job, gone, ctx), ctx, done)


def _change(job: Job, make: Callable[[], Job], ctx: Context, done: Scanned) -> None:
    """Change a job under its lock, unless another process is at it or was quicker."""
    try:
        with ctx.work.job_lock(job.id):
            stored = ctx.ledger.get(job.id)
            if stored is None or stored.revision != job.revision:
                return
            after = make()
            if after != job:
                done.jobs.append(ctx.ledger.commit(after))
    except Busy:
        return


def _verdict(slices: Sequence[Slice], ctx: Context) -> Verdict:
    scan_settings = ctx.settings.scan
    after = scan_settings.studied_after
    demands = Demands(
        modalities=frozenset(scan_settings.modalities),
        min_slices=scan_settings.min_slices,
        quiet_seconds=scan_settings.quiet_minutes * 60,
        studied_after=f"{after:%Y%m%d}" if after else "",
    )
    return assess(slices, demands, now_ns=int(ctx.now().timestamp() * 1e9))


def _series_by_key(walk: Walk, ctx: Context) -> dict[str, list[Slice]]:
    """Return the slices of each series; a localizer that a scanner put into one is left out."""
    return {
        ctx.stand_ins.series_key(uid): scan_slices(files) or files
        for uid, files in walk.by_series().items()
    }


def _jobs_by_series(ctx: Context) -> dict[str, list[Job]]:
    jobs: dict[str, list[Job]] = {}
    for job in sorted(ctx.ledger.jobs(), key=lambda job: job.number):
        jobs.setdefault(job.series_key, []).append(job)
    return jobs


def _digest(slices: Sequence[Slice], ctx: Context) -> str:
    """Return a keyed digest over which files the series has, and how large they are."""
    parts = sorted(f"{one.sop_uid} {one.size}" for one in slices)
    return ctx.stand_ins.digest("source", *parts)


def _crosswalk(slices: Sequence[Slice]) -> Crosswalk:
    first = min(slices, key=lambda one: one.path)
    files = sorted(slices, key=lambda one: one.path)
    return Crosswalk(
        series_uid=first.series_uid,
        study_uid=first.study_uid,
        patient_id=first.patient_id,
        patient_name=first.patient_name,
        files=tuple(SourceFile(f.path, f.size, f.mtime_ns, f.sop_uid) for f in files),
    )
