"""Deliver a finished structure set to each target of the site."""

from functools import partial
from pathlib import Path

from drawcli.adapters.delivery import folder_of
from drawcli.adapters.delivery.folder import filled, made_below
from drawcli.adapters.delivery.target import Delivery, Destination
from drawcli.adapters.state.workdir import RECEIVED
from drawcli.core.jobs.job import Job
from drawcli.core.series.crosswalk import Crosswalk
from drawcli.errors import NeedsPerson
from drawcli.pipeline.context import Context


def deliver(
    job: Job, data: bytes, crosswalk: Crosswalk, ctx: Context, to: Path | None = None
) -> list[str]:
    """Deliver a structure set to the site's targets in order; return their reports.

    With `to`, or a folder of a one-off job, that folder is the only target.
    """
    place = destination(job, crosswalk, ctx)
    if to is not None:
        place = place._replace(folder=to, below=None)
    work_folder = ctx.work.file(job.id, RECEIVED).parent
    delivery = Delivery(job_id=job.id, data=data, destination=place, work_folder=work_folder)
    is_elsewhere = to is not None or crosswalk.deliver_to
    targets = [partial(folder_of, ctx.settings)] if is_elsewhere else ctx.targets
    with ctx.turns.released():  # targets have their own deadlines
        reports = [open_target().send(delivery) for open_target in targets]
    return [report for report in reports if report]


def destination(job: Job, crosswalk: Crosswalk, ctx: Context) -> Destination:
    """Return the folder and file name of a job's structure set: the same each time.

    Raises
    ------
    NeedsPerson
        If the images came in a zip and no folder is set.
    """
    deliver = ctx.settings.deliver
    facts = {**facts_of(job), "patient_id": crosswalk.patient_id, "job": job.id}
    name = filled(deliver.name, facts)
    if crosswalk.deliver_to:
        return Destination(Path(crosswalk.deliver_to), name)
    if isinstance(deliver.folder, Path):
        folder = Path(filled(str(deliver.folder), facts))
        return Destination(folder, name, made_below(deliver.folder))
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
