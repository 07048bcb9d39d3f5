"""(datastore) -> FOUND: take up every series that is whole, and watch those that are not yet.

Safe to repeat at any moment: a series has one key, and its job is inserted only once.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from drawcli.adapters.tree import read_datastore
from drawcli.adapters.workdir import Busy
from drawcli.context import Context
from drawcli.core.crosswalk import Crosswalk
from drawcli.core.job import BEFORE_UPLOAD, Job, State
from drawcli.core.pseudonym import StandIns
from drawcli.core.series import Demands, Readiness, Verdict, assess, scan_slices
from drawcli.core.slices import Slice
from drawcli.errors import NeedsPerson, SeriesRefused
from drawcli.ledger import Archived

_ON_THE_WAY: Final = frozenset({State.UPLOADED, State.SEGMENTED, State.FETCHED})


@dataclass(slots=True)
class Scanned:
    """What a scan did: the jobs it made or moved, and what it passed over, by reason."""

    jobs: list[Job] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)  # files
    ignored: Counter[str] = field(default_factory=Counter)  # series
    changed_later: list[str] = field(default_factory=list)  # jobs whose images changed once sent


@dataclass(frozen=True, slots=True)
class Seen:
    """A series as this scan sees it."""

    key: str
    key_id: str  # of the site key under which the series is known, or will be
    slices: list[Slice]
    verdict: Verdict
    digest: str  # keyed, over which files there are and how large
    stamp: str  # keyed, over where they lie and when they were changed

    @property
    def facts(self) -> dict[str, Any]:
        """What a job remembers of it."""
        return {
            "modality": self.slices[0].modality,
            "slices": len(self.slices),
            "source_digest": self.digest,
            "source_stamp": self.stamp,
        }

    @property
    def crosswalk(self) -> Crosswalk:
        """Whose series it is, and its files."""
        return Crosswalk.of(self.slices)


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
    done = Scanned()
    known = _jobs_by_series(ctx)
    for seen in _series(ctx, done):
        jobs = known.pop(seen.key, [])
        archived = ctx.ledger.archive.of_series(seen.key)
        if only is not None and all(job.id != only for job in jobs):
            continue
        done.changed_later += [one.id for one in archived if _was_other(one, seen, jobs)]
        if jobs or (not archived and (limit is None or len(done.jobs) < limit)):
            _look_at(seen, jobs, ctx, done)
    for job in (job for jobs in known.values() for job in jobs if only in (None, job.id)):
        _note_unseen(job, ctx, done)
    return done


def preview(ctx: Context) -> list[Seen]:
    """Return each series that a scan would look at as new; write nothing."""
    known = _jobs_by_series(ctx)
    every = _series(ctx, Scanned())
    return [s for s in every if _is_new(s, known.get(s.key, []), ctx)]


def _is_new(seen: Seen, jobs: list[Job], ctx: Context) -> bool:
    if jobs:
        return jobs[-1].state is State.WAITING
    return not ctx.ledger.archive.of_series(seen.key)


def _was_other(one: Archived, seen: Seen, jobs: list[Job]) -> bool:
    """Tell whether a series has changed since its contours came home."""
    is_archived = one.id not in {job.id for job in jobs}  # else it was taken up again
    return is_archived and one.state is State.DONE and one.source_digest != seen.digest


def _look_at(seen: Seen, jobs: list[Job], ctx: Context, done: Scanned) -> None:
    """Bring the jobs of one series up to date."""
    if not jobs and seen.verdict.readiness is Readiness.IGNORED:
        done.ignored[seen.verdict.code] += 1
    elif not jobs:
        _take_up(seen, ctx, done)
    for job in jobs:
        if job.state is State.WAITING:
            _look_again(job, seen, ctx, done)
        elif job.state in BEFORE_UPLOAD:
            if (job.source_digest, job.source_stamp) != (seen.digest, seen.stamp):
                _change(job, partial(_sent_back, job, seen, ctx), ctx, done)
        elif job.state is not State.CANCELLED:
            _look_behind(job, seen, ctx, done)


def _take_up(seen: Seen, ctx: Context, done: Scanned) -> None:
    """Make a job of a series: found, or waiting for what it lacks."""
    ready = seen.verdict.readiness is Readiness.READY
    state = State.FOUND if ready else State.WAITING
    job = Job(id=f"{seen.key}-1", state=state, since=ctx.now(), **seen.facts)
    job = replace(job, key_id=seen.key_id).begun(at=ctx.now())
    job = job if ready else _unready(job, seen.verdict, ctx)
    if ctx.begin(job, seen.crosswalk):
        done.jobs.append(job)


def _look_again(job: Job, seen: Seen, ctx: Context, done: Scanned) -> None:
    """See whether a waiting series has become whole."""
    changed = job.source_digest != seen.digest
    if job.held and not changed:
        return

    def look() -> Job:
        verdict = seen.verdict
        if verdict.readiness is Readiness.READY:
            ctx.seal(job.id, seen.crosswalk)
            return job.to(State.FOUND, at=ctx.now(), **seen.facts)
        if verdict.readiness is Readiness.IGNORED:
            after = job.to(State.CANCELLED, at=ctx.now(), **seen.facts)
            return after.postponed(None, code=verdict.code, reason=verdict.text)
        return _unready(replace(job.freed() if changed else job, **seen.facts), verdict, ctx)

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


def _sent_back(job: Job, seen: Seen, ctx: Context) -> Job:
    """Return a job waiting again whose series changed before it was sent."""
    ctx.seal(job.id, seen.crosswalk)
    after = job.to(State.WAITING, at=ctx.now(), **seen.facts)
    reason = "the series changed before it was sent"
    return after.postponed(None, code="series-changed", reason=reason)


def _look_behind(job: Job, seen: Seen, ctx: Context, done: Scanned) -> None:
    """See what became of the images of a series that was sent: changed, or only moved."""
    if job.source_digest != seen.digest:
        done.changed_later.append(job.id)
        if job.state in _ON_THE_WAY and not job.held and job.late_digest != seen.digest:
            _change(job, lambda: _held_late(job, seen, ctx), ctx, done)
    elif job.state in _ON_THE_WAY and job.source_stamp != seen.stamp:
        _change(job, lambda: _followed(job, seen, ctx), ctx, done)


def _held_late(job: Job, seen: Seen, ctx: Context) -> Job:
    """Return the job held, once for each change: the contours would be those of other images."""
    err = NeedsPerson(
        f"the series changed after it was sent: {job.slices} files then, {len(seen.slices)} now",
        code="changed-after-upload",
        hint=f"'drawcli release {job.id}' delivers the contours of what was sent; "
        "'drawcli assign' sends the series as it is now.",
    )
    return replace(job.held_for(err, at=ctx.now()), late_digest=seen.digest)


def _followed(job: Job, seen: Seen, ctx: Context) -> Job:
    """Return the job with its images found where they lie now."""
    crosswalk = ctx.crosswalk(job)
    now = {one.sop_uid: one for one in seen.slices}
    files = tuple(
        replace(file, path=one.path, size=one.size, mtime_ns=one.mtime_ns)
        for file in crosswalk.files
        if (one := now.get(file.sop_uid))
    )
    ctx.seal(job.id, replace(crosswalk, files=files))
    freed = job if job.held else replace(job, due_at=None)
    return replace(freed, source_stamp=seen.stamp)


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


def _series(ctx: Context, done: Scanned) -> list[Seen]:
    """Read the datastore; return its series. A localizer within a series is left out."""
    walk = read_datastore(ctx.settings.datastore)
    done.passed_over = walk.passed_over
    found = []
    known = {job.series_key for job in ctx.ledger.jobs()}
    for uid, files in walk.by_series().items():
        stand_ins = _known_under(uid, known, ctx)
        slices = scan_slices(files) or files
        unread = sum(walk.unread[folder] for folder in {str(Path(s.path).parent) for s in slices})
        names = sorted(f"{one.sop_uid} {one.size}" for one in slices)
        places = sorted(f"{one.path} {one.mtime_ns}" for one in slices)
        found.append(
            Seen(
                key=stand_ins.series_key(uid),
                key_id=stand_ins.key_id,
                slices=slices,
                verdict=_verdict(slices, unread, ctx),
                digest=stand_ins.digest("source", *names),
                stamp=stand_ins.digest("stamp", *places),
            )
        )
    return found


def _known_under(uid: str, known: set[str], ctx: Context) -> StandIns:
    """Return the stand-ins under which a series has jobs, or those of the key of today.

    A series that was sent under a retired key must not be sent again under another.
    """
    for one in ctx.retired:
        key = one.series_key(uid)
        if key in known or ctx.ledger.archive.of_series(key):
            return one
    return ctx.stand_ins


def _verdict(slices: list[Slice], unread: int, ctx: Context) -> Verdict:
    """Return what to do with a series; files beside it that cannot be read may belong to it."""
    wanted = ctx.settings.scan
    after = wanted.studied_after
    demands = Demands(
        modalities=frozenset(wanted.modalities),
        min_slices=wanted.min_slices,
        quiet_seconds=wanted.quiet_minutes * 60,
        studied_after=f"{after:%Y%m%d}" if after else "",
    )
    verdict = assess(slices, demands, now_ns=int(ctx.now().timestamp() * 1e9))
    if unread and verdict.readiness is Readiness.READY:
        text = f"{unread} files beside the series cannot be read, are empty, or end too early"
        return Verdict(Readiness.WAITING, "unreadable-files", text)
    return verdict


def _jobs_by_series(ctx: Context) -> dict[str, list[Job]]:
    jobs: dict[str, list[Job]] = {}
    for job in sorted(ctx.ledger.jobs(), key=lambda job: job.number):
        jobs.setdefault(job.series_key, []).append(job)
    return jobs
