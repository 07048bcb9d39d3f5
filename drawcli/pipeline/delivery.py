"""Deliver a finished structure set to the targets of the site.

Of a list, a target that has confirmed is recorded in the work folder before the next is tried, and
is not sent the file again. The structure set is delivered when every required target has confirmed,
or, with `use: first`, one of them.
"""

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final

from drawcli.adapters.datastore.images import sending_title
from drawcli.adapters.delivery import folder_of
from drawcli.adapters.delivery.confirmations import Confirmations
from drawcli.adapters.delivery.folder import filled, made_below
from drawcli.adapters.delivery.target import Delivery, DeliveryTarget, Destination, SiteTarget
from drawcli.adapters.state.workdir import RECEIVED, TEMPLATE
from drawcli.core.jobs.job import Job
from drawcli.core.jobs.ledger import check_claim
from drawcli.core.series.crosswalk import Crosswalk
from drawcli.core.templates.template import structures_of
from drawcli.errors import COMMITMENT, ConfigError, DrawcliError, JobError, NeedsPerson
from drawcli.pipeline.context import Context

_AGAIN: Final = "it is not tried again for this job: 'drawcli redeliver' sends it"


def deliver(  # noqa: PLR0913 - what, and where to
    job: Job,
    data: bytes,
    crosswalk: Crosswalk,
    ctx: Context,
    to: Path | None = None,
    *,
    again: bool = False,
) -> list[str]:
    """Deliver a structure set to the site's targets in order; return their reports.

    Parameters
    ----------
    job, data, crosswalk, ctx
        The job, its finished structure set, its identity and the site.
    to
        The only folder to deliver to. A folder of a one-off job is the only target, too.
    again
        Whether targets of a list that have confirmed the file before get it once more.
    """
    is_elsewhere = bool(to is not None or crosswalk.deliver_to)
    delivery = Delivery(
        job_id=job.id,
        data=data,
        destination_in=partial(_destination_in, job, crosswalk, ctx, to),
        sender=partial(sending_title, crosswalk.files[0].path),
        work_folder=ctx.work.file(job.id, RECEIVED).parent,
        kept=partial(ctx.files.keep, job.id),
    )
    if ctx.settings.deliver.targets and not is_elsewhere:
        with ctx.turns.released():
            return _deliver_to_list(delivery, ctx, again=again)
    targets = [target.open for target in ctx.targets]
    targets = [partial(folder_of, ctx.settings)] if is_elsewhere else targets
    with ctx.turns.released():  # targets have their own deadlines
        reports = [_send(delivery, open_target, ctx) for open_target in targets]
    return [report for report in reports if report]


def _deliver_to_list(delivery: Delivery, ctx: Context, *, again: bool) -> list[str]:
    """Deliver a structure set; return the reports of the targets, and warnings.

    Raises
    ------
    NeedsPerson
        If a required target refuses it, or, with `use: first`, all do.
    TryLater
        If a required target cannot store it now; the others were tried all the same.
    """
    confirmed = Confirmations(delivery.work_folder, hashlib.sha256(delivery.data).hexdigest())
    if again:
        confirmed.forget()
    if ctx.settings.deliver.use == "first":
        return _to_first(delivery, ctx, confirmed)
    return _to_all(delivery, ctx, confirmed)


def _to_all(delivery: Delivery, ctx: Context, confirmed: Confirmations) -> list[str]:
    """Deliver to every target; raise the error of a required one after all were tried."""
    reports, failures = [], list[DrawcliError]()
    for target in ctx.targets:
        try:
            reports.append(_sent(delivery, target, ctx, confirmed))
        except (JobError, ConfigError) as err:
            if target.required:
                failures.append(err)
            else:
                reports.append(f"warning: optional target: {err}; {_AGAIN}")
    _raise_worst(failures)
    return [report for report in reports if report]


def _to_first(delivery: Delivery, ctx: Context, confirmed: Confirmations) -> list[str]:
    """Deliver to the first target that confirms; the failures of those before are warnings."""
    had = [target for target in ctx.targets if target.name in confirmed.names()]
    failures = list[DrawcliError]()
    for target in had or ctx.targets:
        try:
            report = _sent(delivery, target, ctx, confirmed)
        except (JobError, ConfigError) as err:
            if err.code == COMMITMENT:
                raise  # it has the file, and its report may still come
            failures.append(err)
        else:
            warnings = [f"warning: another target was used: {err}" for err in failures]
            return [*warnings, *filter(None, [report])]
    _raise_worst(failures)
    return []


def _sent(delivery: Delivery, target: SiteTarget, ctx: Context, confirmed: Confirmations) -> str:
    """Return the report of a target: of now, or of the time when it confirmed."""
    earlier = confirmed.report_of(target.name)
    if earlier is not None:
        return earlier
    report = _send(delivery, target.open, ctx)
    confirmed.add(target.name, report)
    ctx.files.keep(delivery.job_id)
    return report


def _send(delivery: Delivery, open_target: Callable[[], DeliveryTarget], ctx: Context) -> str:
    """Send a structure set to a target, unless the claim of the job has ended."""
    target = open_target()
    check_claim(ctx.ledger, delivery.job_id)
    return target.send(delivery)


def _raise_worst(failures: list[DrawcliError]) -> None:
    """Raise the failure that says most: settings that cannot be used, then what needs a person."""
    for kind in (ConfigError, NeedsPerson, DrawcliError):
        for failure in failures:
            if isinstance(failure, kind):
                raise failure


def destination(job: Job, crosswalk: Crosswalk, ctx: Context) -> Destination | None:
    """Return the folder and file name of a job's structure set: the same each time.

    None if it is in no folder: no target of the site is a folder, or none has confirmed it.

    Raises
    ------
    NeedsPerson
        If the images came in a zip and no folder is set.
    """
    if crosswalk.deliver_to:
        return _destination_in(job, crosswalk, ctx, None, None)
    folders = ctx.settings.deliver.folders
    confirmed = confirmations_of(job, ctx).names() if ctx.settings.deliver.targets else set()
    held = [folder for folder in folders if str(folder) in confirmed] if confirmed else folders
    if not held:
        return None
    folder = held[0]
    return _destination_in(job, crosswalk, ctx, None, folder if isinstance(folder, Path) else None)


def confirmations_of(job: Job, ctx: Context) -> Confirmations:
    """Return the record of which targets have confirmed the delivered file of a job."""
    work_folder = ctx.work.file(job.id, RECEIVED).parent
    return Confirmations(work_folder, job.delivered_sha256 or "")


def _destination_in(
    job: Job, crosswalk: Crosswalk, ctx: Context, to: Path | None, pattern: Path | None
) -> Destination:
    """Return the destination in a folder: `to`, that of a one-off job, or that of a pattern."""
    facts = {**facts_of(job), "patient_id": crosswalk.patient_id, "job": job.id}
    name = filled(ctx.settings.deliver.name, facts)
    if to is not None or crosswalk.deliver_to:
        return Destination(to or Path(crosswalk.deliver_to), name)
    if pattern is not None:
        return Destination(Path(filled(str(pattern), facts)), name, made_below(pattern))
    beside = Path(crosswalk.files[0].path).parent
    if ctx.work.holds(beside):
        raise NeedsPerson(
            "the images came in a zip, and no delivery folder is known",
            code="no-place",
            hint="Set deliver.folder in drawcli.yaml to a folder, then 'drawcli release "
            f"{job.id}'.",
        )
    return Destination(beside, name)


def facts_of(job: Job) -> dict[str, str]:
    """Return the values for the name templates of a structure set, without the patient's."""
    day = "" if job.uploaded_at is None else f"{job.uploaded_at:%Y%m%d}"
    return {"template": job.template or "", "date": day, "modality": job.modality or ""}


def structures_sent(job: Job, ctx: Context) -> tuple[str, ...]:
    """Return the names of the structures in the template that was sent.

    Raises
    ------
    NeedsPerson
        If the template is missing from the work folder.
    """
    try:
        return structures_of(ctx.work.file(job.id, TEMPLATE).read_bytes())
    except OSError:
        raise NeedsPerson(
            "the template that was sent is missing from the work folder",
            code="template-missing",
            hint=f"'drawcli retry {job.id}' rebuilds the package and sends it again.",
        ) from None
