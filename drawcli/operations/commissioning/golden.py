"""Golden cases: kept, sent again when due, compared with last time.

Their jobs have a ledger of their own (`side_ledger`): nothing is delivered. The package is sent as
it was sent first, byte by byte, so that only the model can make a difference.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from drawcli.adapters.server.catalogue_cache import Catalogue
from drawcli.adapters.state.golden_store import GOLDEN, NEWEST, REFERENCE, GoldenStore
from drawcli.adapters.state.workdir import AS_SENT, PACKAGE, TEMPLATE
from drawcli.core.dicom.header import read_header
from drawcli.core.jobs.job import FINISHED, Job, State
from drawcli.core.qa.comparison import CompareOptions, compare_structure_sets
from drawcli.core.qa.golden import (
    GoldenCase,
    GoldenOutcome,
    GoldenResult,
    differing,
    last_runs,
    why_due,
)
from drawcli.core.qa.outcomes import StructureComparison
from drawcli.core.qa.structures import read_rois
from drawcli.errors import UsageError
from drawcli.operations.commissioning.models import catalogue_of_the_day, current_catalogue
from drawcli.operations.commissioning.side_ledger import (
    WaitOptions,
    open_jobs,
    open_side_ledger,
    run_jobs,
    run_pass,
)
from drawcli.operations.qa.compare import has_scipy
from drawcli.pipeline.actions import apply_action, cancel
from drawcli.pipeline.context import Context
from drawcli.pipeline.steps import Step
from drawcli.pipeline.steps.reidentify import read_received
from drawcli.system.files import sha256_of

KEPT: Final = (PACKAGE, TEMPLATE, AS_SENT)


@dataclass(slots=True)
class GoldenRun:
    """What a run of golden cases has done."""

    sent: dict[str, str] = field(default_factory=dict)  # case: why
    results: list[GoldenResult] = field(default_factory=list)
    stopped: str = ""  # why jobs are left that could go on
    waiting: int = 0  # cases at the server

    @property
    def changes(self) -> list[GoldenResult]:
        """The new changes."""
        return [one for one in self.results if one.outcome is GoldenOutcome.CHANGED]


@dataclass(frozen=True, slots=True)
class _Cases:
    """The cases, and the digest of the server's present entries of their models."""

    store: GoldenStore
    by_id: Mapping[str, GoldenCase]
    digests: Mapping[str, str]

    @classmethod
    def of(cls, store: GoldenStore, catalogue: Catalogue | None) -> "_Cases":
        """Return the cases of a store; without a catalogue, the digests are ""."""
        by_id = {case.id: case for case in store.cases()}
        digests = {
            case.id: "" if catalogue is None else catalogue.digest_of(case.models)
            for case in by_id.values()
        }
        return cls(store, by_id, digests)


def run_golden(
    ctx: Context, waiting: WaitOptions | None = None, *, everything: bool = False
) -> GoldenRun:
    """Send the cases that are due, and compare what has come back.

    Parameters
    ----------
    ctx
        The site.
    waiting
        How to wait for the server; None: go as far as possible without waiting.
    everything
        Send all cases, whether they are due or not.

    Raises
    ------
    AnotherRun
        If another process does the same.
    DrawcliError
        As the steps of the pipeline.
    """
    store, run = GoldenStore(ctx.site_dir), GoldenRun()
    if not store.cases():
        return run
    catalogue = current_catalogue(ctx) if everything else catalogue_of_the_day(ctx)
    cases = _Cases.of(store, catalogue)
    with open_side_ledger(ctx, store.folder, GOLDEN, waiting.progress if waiting else None) as side:
        for case, why in _due(cases, side, everything=everything):
            _send(case, store, side)
            run.sent[case.id] = why
        if open_jobs(side):
            compare = _comparing(cases, run)
            done = run_pass(side, compare) if waiting is None else run_jobs(side, compare, waiting)
            run.stopped = done.stopped
            _end_held(cases, side, run)
        _clear(side)
        run.waiting = len(open_jobs(side))
    return run


def _due(cases: _Cases, side: Context, *, everything: bool) -> list[tuple[GoldenCase, str]]:
    """Return the cases to send now, and why; one on its way is not sent again."""
    runs = last_runs(cases.store.results())
    busy = {job.series_key for job in open_jobs(side)}
    every = timedelta(days=side.settings.qa.golden_days)
    found = []
    for case in cases.by_id.values():
        digest = cases.digests[case.id]
        due = why_due(runs.get(case.id), catalogue_digest=digest, now=side.now(), every=every)
        why = due or ("asked for" if everything else "")
        if why and case.id not in busy:
            found.append((case, why))
    return found


def _send(case: GoldenCase, store: GoldenStore, side: Context) -> None:
    """Make a job of a case: its package as it was sent first."""
    if sha256_of(store.file(case.id, PACKAGE)) != case.zip_sha256:
        raise UsageError(
            f"the package of golden case {case.id} has changed on disk",
            hint=f"'drawcli qa golden remove {case.id}', then add the scan again.",
        )
    earlier = [one.id for one in side.ledger.of_series(case.id)]
    earlier += [one.id for one in side.ledger.archive.of_series(case.id)]
    number = max(map(_number, earlier), default=0) + 1
    job = Job(
        id=f"{case.id}-{number}",
        state=State.PACKAGED,
        since=side.now(),
        modality=case.modality,
        slices=case.slices,
        key_id=case.key_id,
        template=case.template,
        zip_sha256=case.zip_sha256,
        zip_bytes=case.zip_bytes,
    )
    for name in KEPT:
        _link(store.file(case.id, name), side.work.folder(job.id) / name)
    crosswalk = side.vault.open(store.place(case.id), case.id)
    side.begin(job.begun(at=side.now()), crosswalk, lambda kept: kept)


def _number(job_id: str) -> int:
    return int(job_id.partition("-")[2])


def _link(source: Path, target: Path) -> None:
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:  # the file system knows no hard links
        shutil.copyfile(source, target)


def _comparing(cases: _Cases, run: GoldenRun) -> Step:
    """Return the step from FETCHED to DELIVERED: compare, keep, deliver nothing."""

    def compare(job: Job, side: Context) -> Job:
        came = read_received(job, side)
        if came is None:
            return job.to(State.SEGMENTED, at=side.now(), received_sha256=None)
        case = cases.by_id.get(job.series_key)
        if case is not None:  # else it was removed meanwhile
            result = _result_of(case, came, job, cases, side)
            cases.store.note(result)
            run.results.append(result)
        return job.to(State.DELIVERED, at=side.now())

    return compare


def _result_of(
    case: GoldenCase, came: bytes, job: Job, cases: _Cases, side: Context
) -> GoldenResult:
    """Compare what came with the reference; keep it if it differs."""
    store = cases.store
    reference, newest = store.file(case.id, REFERENCE), store.file(case.id, NEWEST)
    facts: dict[str, Any] = {
        "at": side.now(),
        "case": case.id,
        "template": case.template,
        "job": job.id,
        "catalogue_digest": cases.digests[case.id],
    }
    if not reference.exists():
        store.set_contours(case.id, REFERENCE, came)
        return GoldenResult(outcome=GoldenOutcome.REFERENCE, **facts)
    facts["since"] = datetime.fromtimestamp(reference.stat().st_mtime, UTC)
    changed = _differences(reference.read_bytes(), came)
    if not changed:
        newest.unlink(missing_ok=True)  # the model is again what it was
        return GoldenResult(outcome=GoldenOutcome.UNCHANGED, **facts)
    known = newest.exists() and not _differences(newest.read_bytes(), came)
    outcome = GoldenOutcome.STILL_CHANGED if known else GoldenOutcome.CHANGED
    if not known:
        store.set_contours(case.id, NEWEST, came)
    return GoldenResult(outcome=outcome, structures=changed, **facts)


def _differences(before: bytes, now: bytes) -> tuple[StructureComparison, ...]:
    """Return the structures that differ between two files as received."""
    first, second = (read_rois(read_header(data, complete=True)) for data in (before, now))
    options = CompareOptions(with_distances=has_scipy())
    return differing(compare_structure_sets(first, second, options).structures)


def _end_held(cases: _Cases, side: Context, run: GoldenRun) -> None:
    """Note cases that did not come back, and end their jobs: the next run sends them anew."""
    for job in side.ledger.jobs():
        if not job.held or job.state in FINISHED:
            continue
        case = cases.by_id.get(job.series_key)
        if case is not None:
            result = GoldenResult(
                at=side.now(),
                case=case.id,
                template=case.template,
                outcome=GoldenOutcome.FAILED,
                job=job.id,
                catalogue_digest=cases.digests[case.id],
                note=f"{job.reason_code}: {job.reason}",
            )
            cases.store.note(result)
            run.results.append(result)
        apply_action(job, cancel, side)


def _clear(side: Context) -> None:
    """Remove the work folders of finished jobs."""
    for job in side.ledger.jobs(FINISHED):
        if not job.replaced:
            side.work.remove(job.id)
    side.ledger.archive_finished(side.now())
