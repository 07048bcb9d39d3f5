"""Add golden cases, accept a change, tell which are due."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from drawcli.adapters.datastore.walk import read_datastore
from drawcli.adapters.state.golden_store import GOLDEN, REFERENCE, GoldenStore
from drawcli.adapters.state.workdir import AS_SENT, RECEIVED
from drawcli.core.jobs.job import Job, State
from drawcli.core.jobs.waiting import delivered_at
from drawcli.core.qa.golden import (
    GoldenCase,
    GoldenOutcome,
    GoldenResult,
    last_results,
    last_runs,
)
from drawcli.core.series.crosswalk import Crosswalk
from drawcli.core.series.verdict import Readiness
from drawcli.core.templates.template import Template, from_json
from drawcli.errors import MODEL_CHANGED, ConfigError, OutOfReach, UsageError
from drawcli.operations.commissioning.golden import KEPT
from drawcli.operations.commissioning.side_ledger import open_side_ledger
from drawcli.pipeline.actions import apply_action, release
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_step
from drawcli.pipeline.survey import SeriesSnapshot, snapshot_series
from drawcli.system.files import sha256_of
from drawcli.system.platforms import is_within

_KEY_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class ListedCase:
    """A case with what is known of it."""

    case: GoldenCase
    last: GoldenResult | None  # of a run, or the acceptance
    due_at: datetime | None  # unless the catalogue changes before; None: at once
    is_outdated: bool = False  # whether templates.yaml asks for something else by now


def add_job(job: Job, ctx: Context) -> GoldenCase:
    """Keep the package of a job as a golden case; its contours are the reference, if they came.

    Raises
    ------
    UsageError
        If the job has no package, or is a golden case already.
    """
    package = ctx.work.file(job.id, KEPT[0])
    if not package.is_file() or sha256_of(package) != job.zip_sha256:
        raise UsageError(
            f"job {job.id} has no package in its work folder",
            hint="Packages are kept for deliver.keep_days. 'drawcli qa golden add FOLDER "
            "--template TEMPLATE' takes the images instead.",
        )
    store = GoldenStore(ctx.site_dir)
    case = _case(ctx.stand_ins.digest(GOLDEN, str(job.zip_sha256))[:_KEY_DIGITS], job, ctx)
    _check_new(case.id, store)
    _keep(case, job, ctx, store)
    received = ctx.work.file(job.id, RECEIVED)
    if received.is_file() and sha256_of(received) == job.received_sha256:
        store.set_contours(case.id, REFERENCE, received.read_bytes())
        at = delivered_at(job) or job.since
        note = f"contours of job {job.id}, {at:%Y-%m-%d}"
        store.note(
            GoldenResult(
                at=ctx.now(),
                case=case.id,
                template=case.template,
                outcome=GoldenOutcome.REFERENCE,
                note=note,
            )
        )
    return case


def add_folder(folder: Path, template: str, ctx: Context) -> list[GoldenCase]:
    """Keep the series of a folder as golden cases: de-identified and checked, not sent yet.

    Raises
    ------
    UsageError
        If there is no such template, no complete series, or one is a golden case already.
    JobError
        If a package cannot be built, or the privacy gate has found something.
    """
    ctx.rulebook.template_named(template)
    series = _series_in(folder, ctx)
    store = GoldenStore(ctx.site_dir)
    with open_side_ledger(ctx, store.folder, GOLDEN) as side:
        return [_add_series(seen, template, store, side) for seen in series]


def _series_in(folder: Path, ctx: Context) -> list[SeriesSnapshot]:
    if not folder.is_dir() or is_within(folder, ctx.site_dir):
        raise UsageError(
            f"{folder} is neither a job nor a folder with images",
            hint="'drawcli qa golden add JOB', or 'drawcli qa golden add FOLDER --template T'.",
        )
    try:
        walk = read_datastore([folder])
    except OutOfReach as err:
        raise UsageError(str(err), hint=err.hint) from None
    seen = [one for one in snapshot_series(walk, ctx) if one.modality in ("CT", "MR", "PT")]
    ready = [one for one in seen if one.verdict.readiness is Readiness.READY]
    if not ready:
        why = "; ".join(dict.fromkeys(one.verdict.text for one in seen)) or "no CT, MR or PET"
        raise UsageError(f"{folder} has no complete series: {why}")
    return ready


def _add_series(
    seen: SeriesSnapshot, template: str, store: GoldenStore, side: Context
) -> GoldenCase:
    """Build the package of a series by the steps of the pipeline, and keep it."""
    case_id = side.stand_ins.digest(GOLDEN, template, seen.key, seen.digest)[:_KEY_DIGITS]
    _check_new(case_id, store)
    known = len(side.ledger.of_series(case_id)) + len(side.ledger.archive.of_series(case_id))
    facts = {**seen.facts, "key_id": seen.key_id, "template": template}
    job = Job(id=f"{case_id}-{known + 1}", state=State.FOUND, since=side.now(), **facts)
    side.begin(job.begun(at=side.now()), seen.crosswalk)
    only = Selection(job_id=job.id)
    for command in ("match", "deidentify"):
        run_step(command, side, only)
    made = side.ledger.get(job.id) or job
    if made.state is not State.PACKAGED:
        side.ledger.commit(made.to(State.CANCELLED, at=side.now()))
        side.work.remove(made.id)
        raise UsageError(f"the series cannot be a golden case: {made.reason or made.state}")
    case = _case(case_id, made, side)
    _keep(case, made, side, store)
    return case


def _case(case_id: str, job: Job, ctx: Context) -> GoldenCase:
    template = from_json(ctx.work.file(job.id, AS_SENT).read_bytes())
    return GoldenCase(
        id=case_id,
        template=job.template or "",
        models=tuple(template.models),
        added_at=ctx.now(),
        zip_sha256=job.zip_sha256 or "",
        zip_bytes=job.zip_bytes or 0,
        template_digest=template.contours_digest,
        key_id=job.key_id,
        modality=job.modality,
        slices=job.slices,
    )


def _check_new(case_id: str, store: GoldenStore) -> None:
    if any(case.id == case_id for case in store.cases()):
        raise UsageError(f"this scan is golden case {case_id} already")


def _keep(case: GoldenCase, job: Job, ctx: Context, store: GoldenStore) -> None:
    """Copy what is sent again; of the crosswalk only what checks the contours."""
    for name in KEPT:
        store.put(case.id, ctx.work.file(job.id, name), name)
    ctx.vault.seal(store.place(case.id), case.id, without_patient(ctx.crosswalk(job)))
    store.add(case)


def without_patient(crosswalk: Crosswalk) -> Crosswalk:
    """Return a crosswalk without names, dates and paths: UIDs suffice to check contours."""
    return crosswalk._replace(
        patient_id="",
        patient_name="",
        identity={},
        dates={},
        deliver_to="",
        files=tuple(file._replace(path="") for file in crosswalk.files),
    )


def listed_cases(ctx: Context) -> Iterator[ListedCase]:
    """Yield each case with its last result and when it is due."""
    store = GoldenStore(ctx.site_dir)
    results = list(store.results())
    last, runs = last_results(results), last_runs(results)
    every = timedelta(days=ctx.settings.qa.golden_days)
    templates: Mapping[str, Template] = {}
    with suppress(ConfigError):  # templates.yaml is being edited
        templates = ctx.rulebook.templates
    for case in store.cases():
        run = runs.get(case.id)
        due_at = run.at + every if run else None
        template = templates.get(case.template)
        outdated = template is not None and template.contours_digest != case.template_digest
        yield ListedCase(case, last.get(case.id), due_at, outdated)


def accept_change(template: str, ctx: Context, why: str = "") -> list[Job]:
    """Accept the new contours of a template's golden cases; return the jobs that go on.

    Raises
    ------
    UsageError
        If no golden case of the template has changed.
    """
    store = GoldenStore(ctx.site_dir)
    pending = store.changed().get(template)
    if pending is None:
        raise UsageError(
            f"no golden case of template {template} has changed",
            hint="'drawcli qa golden list' shows the cases.",
        )
    results = last_results(store.results())
    for case in store.cases():
        if case.template != template:
            continue
        store.accept_newest(case.id)
        before = results.get(case.id)
        store.note(
            GoldenResult(
                at=ctx.now(),
                case=case.id,
                template=template,
                outcome=GoldenOutcome.ACCEPTED,
                catalogue_digest="" if before is None else before.catalogue_digest,
                note=why,
            )
        )
    return list(_released(template, ctx))


def _released(template: str, ctx: Context) -> Iterator[Job]:
    for job in ctx.ledger.jobs():
        if job.held and job.reason_code == MODEL_CHANGED and job.template == template:
            with suppress(UsageError):  # another process is at work on it
                yield apply_action(job, release, ctx)
