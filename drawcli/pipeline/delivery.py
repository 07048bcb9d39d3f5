"""Delivers a finished structure set to each target of the site."""

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
    """Deliver a structure set to the site's targets in their order; return what to report of it.

    What belongs into a folder of its own, that of a one-off job or `to`, goes nowhere else.
    """
    place = destination(job, crosswalk, ctx)
    if to is not None:
        place = place._replace(folder=to, below=None)
    work_folder = ctx.work.file(job.id, RECEIVED).parent
    delivery = Delivery(job_id=job.id, data=data, destination=place, work_folder=work_folder)
    is_elsewhere = to is not None or crosswalk.deliver_to
    targets = [folder_of(ctx.settings)] if is_elsewhere else ctx.targets
    with ctx.turns.released():  # each has its deadlines; no file of the datastore is waited for
        told = [target.send(delivery) for target in targets]
    return [what for what in told if what]


def destination(job: Job, crosswalk: Crosswalk, ctx: Context) -> Destination:
    """Return where the structure set of a job is delivered to: the same each time.

    Raises
    ------
    NeedsPerson
        Where that cannot be told.
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
            "the images came in a zip, and nothing says any more where the structure set belongs",
            code="no-place",
            hint="Set deliver.folder to a folder and release the job.",
        )
    return Destination(beside, name)


def facts_of(job: Job) -> dict[str, str]:
    """Return what the names of a structure set may hold besides the patient."""
    day = "" if job.uploaded_at is None else f"{job.uploaded_at:%Y%m%d}"
    return {"template": job.template or "", "date": day, "modality": job.modality or ""}
