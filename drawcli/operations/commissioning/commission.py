"""Commissioning of a template: past patients go to the server and back, and are compared.

state_dir/qa/commissioning/<template>-<version>-<round>/   a ledger and work folders of its own

A call goes on where the last one ended. Another template, catalogue entry or release of drawcli is
another version, and begins anew; so does `again`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from drawcli.adapters.state.qa_records import FOLDER
from drawcli.adapters.state.workdir import PACKAGE
from drawcli.core.jobs.job import FINISHED, Job, State
from drawcli.core.qa.criteria import NEED_DISTANCES
from drawcli.operations.commissioning.acceptance_file import AcceptanceCriteria, read_acceptance
from drawcli.operations.commissioning.models import TemplateVersion, current_catalogue, version_now
from drawcli.operations.commissioning.past_cases import PastCase, find_past_cases
from drawcli.operations.commissioning.results import CaseResult, Commissioned, compare_case
from drawcli.operations.commissioning.side_ledger import WaitOptions, open_side_ledger, run_jobs
from drawcli.operations.qa.compare import has_scipy
from drawcli.pipeline.actions import apply_action, retry
from drawcli.pipeline.context import Context
from drawcli.pipeline.steps.reidentify import check_sources, finish_structure_set, read_received
from drawcli.system.packages import not_installed

COMMISSIONING: Final = "commissioning"  # the folder, and the purpose in the audit log
_KEY_DIGITS: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class CommissionRequest:
    """What is to be commissioned, and how."""

    folder: Path  # of the past patients
    template: str
    accept: Path  # the acceptance file
    again: bool = False  # send every series once more
    retry: bool = False  # try held series once more


def commission(ctx: Context, request: CommissionRequest, waiting: WaitOptions) -> Commissioned:
    """Send past patients to the server, and compare what comes back with the clinical sets.

    Parameters
    ----------
    ctx
        The site.
    request
        What is to be commissioned.
    waiting
        How to wait for the server.

    Raises
    ------
    UsageError
        If the template is unknown, or the folder has no case.
    ConfigError
        If the acceptance file is wrong, or needs what is not installed.
    AnotherRun
        If another process commissions the same version.
    DrawcliError
        As the steps of the pipeline.
    """
    template = ctx.rulebook.template_named(request.template)
    acceptance = read_acceptance(request.accept, template.shown)
    _check_distances(acceptance)
    waiting.tell("reading the headers in the folder")
    past = find_past_cases(request.folder, ctx)
    version = version_now(template, current_catalogue(ctx))
    folder = _round(ctx, request, version)
    with open_side_ledger(ctx, folder, COMMISSIONING, waiting.progress) as side:
        jobs = [_job_of(case, request, side) for case in past.cases]
        if request.retry:
            for job in (job for job in jobs if job.held):
                apply_action(job, retry, side)
        run = run_jobs(side, keep, waiting)
        cases = _compared(past.cases, jobs, acceptance, side)
    return Commissioned(
        name=folder.name,
        template_name=request.template,
        template=template,
        version=version,
        acceptance=acceptance,
        past=past,
        cases=cases,
        stopped=run.stopped,
    )


def _compared(
    cases: Sequence[PastCase], jobs: Sequence[Job], acceptance: AcceptanceCriteria, side: Context
) -> tuple[CaseResult, ...]:
    """Compare each case that is back with its clinical structure set."""
    found = []
    with side.progress.step("compare"):
        side.progress.expect(len(cases))
        for case, job in zip(cases, jobs, strict=True):
            with side.progress.job(job.id):
                now = side.ledger.get(job.id) or job
                found.append(compare_case(case, now, acceptance.taus_mm, side))
    return tuple(found)


def keep(job: Job, side: Context) -> Job:
    """Check the finished structure set as for a delivery, and deliver nothing.

    The package is not needed any more; what came back is kept.
    """
    sent = read_received(job, side)
    if sent is None:
        return job.to(State.SEGMENTED, at=side.now(), received_sha256=None)
    crosswalk = side.images_of(job)
    check_sources(crosswalk, job, side.progress.count_items)
    finish_structure_set(job, sent, crosswalk, side)
    side.work.file(job.id, PACKAGE).unlink(missing_ok=True)
    return job.to(State.DELIVERED, at=side.now())


def _check_distances(acceptance: AcceptanceCriteria) -> None:
    fields = {one.field for found in acceptance.criteria.values() for one in found}
    if fields & NEED_DISTANCES and not has_scipy():
        raise not_installed(f"the criterion on {min(fields & NEED_DISTANCES)}", "qa")


def _round(ctx: Context, request: CommissionRequest, version: TemplateVersion) -> Path:
    """Return the folder of the present round, or of a new one."""
    above = ctx.site_dir / FOLDER / COMMISSIONING
    stem = f"{request.template}-{version.name}-"
    names = (path.name.removeprefix(stem) for path in above.glob(f"{stem}*"))
    last = max((int(name) for name in names if name.isdecimal()), default=0)
    return above / f"{stem}{last + 1 if request.again or not last else last}"


def _job_of(case: PastCase, request: CommissionRequest, side: Context) -> Job:
    """Return the job of a case; a new one if there is none, or the series has changed since."""
    seen = case.series
    stand_ins = next(one for one in (side.stand_ins, *side.retired) if one.key_id == seen.key_id)
    key = stand_ins.digest(COMMISSIONING, seen.key)[:_KEY_DIGITS]
    jobs = side.ledger.of_series(key)
    if jobs and jobs[-1].source_digest == seen.digest:
        if jobs[-1].state not in FINISHED:
            _follow(jobs[-1], case, side)
        return jobs[-1]
    facts = {**seen.facts, "key_id": seen.key_id, "template": request.template}
    fresh = Job(id=f"{key}-{len(jobs) + 1}", state=State.FOUND, since=side.now(), **facts)
    job = fresh.begun(at=side.now())
    side.begin(job, seen.crosswalk)
    return job


def _follow(job: Job, case: PastCase, side: Context) -> None:
    """Let a job find its images where they are now."""
    crosswalk = side.crosswalk(job)
    moved = crosswalk.moved_to(case.series.slices)
    if moved != crosswalk:
        side.seal(job.id, moved)
