"""FETCHED -> DELIVERED: give the RTSTRUCT its patient back and put it where it belongs.

Safe to repeat: the same file under the same name, and a file that is already there is left alone.
Nothing is confirmed to the server before the delivered file is durable.
"""

from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from drawcli import __version__
from drawcli.adapters.datastore import open_slice
from drawcli.adapters.delivery import deliver, filled, made_below
from drawcli.adapters.workdir import AS_SENT, RECEIVED
from drawcli.context import Context
from drawcli.core import tags
from drawcli.core.contours import contours_of, image_class
from drawcli.core.crosswalk import Crosswalk, header_digest
from drawcli.core.dicom import Header, Incomplete, NotDicom, read_header
from drawcli.core.dressing import PLAIN, Dressing, contributors, looks_of
from drawcli.core.grid import Grid
from drawcli.core.job import Job, State
from drawcli.core.made import Made, made_of
from drawcli.core.reidentify import reidentified
from drawcli.core.structure_set import facts_of
from drawcli.core.templates import Template
from drawcli.errors import (
    BadStructureSet,
    NeedsPerson,
    SeriesRefused,
    SourceUnsettled,
    TryLater,
)
from drawcli.files import sha256_of
from drawcli.progress import Counted, uncounted

_EMPTY: Final = "warning: made of others, and empty"
_SHORT_COMMIT: Final = 12  # hex digits


def reidentify(job: Job, ctx: Context) -> Job:
    """Restore identity and references of a job's RTSTRUCT, and deliver it."""
    received = ctx.work.file(job.id, RECEIVED)
    if not received.exists() or sha256_of(received) != job.received_sha256:
        ctx.work.put_aside(job.id, RECEIVED)  # else it would be taken for the file that came
        return job.to(State.SEGMENTED, at=ctx.now(), received_sha256=None)
    crosswalk = ctx.images_of(job)
    check_sources(crosswalk, ctx.progress.counted)
    data, empty = restored(job, received.read_bytes(), crosswalk, ctx)
    place = destination(job, crosswalk, ctx)
    seconds = ctx.settings.scan.answer_seconds
    sha256 = deliver(place.folder, place.name, data, job.id, below=place.below, seconds=seconds)
    told = [*sent_on(place, crosswalk, ctx), *([f"{_EMPTY}: {', '.join(empty)}"] if empty else [])]
    job = job.to(State.DELIVERED, at=ctx.now(), delivered_sha256=sha256)
    for what in told:
        job = job.noted(ctx.now(), what)
    return job


def sent_on(place: "Place", crosswalk: Crosswalk, ctx: Context) -> list[str]:
    """Send a delivered file to the site's DICOM node, if it has one; return what to tell of it.

    A one-off that a person wants in a folder of their own goes nowhere else.
    """
    if ctx.node is None or crosswalk.deliver_to:
        return []
    said = ctx.node.store(place.folder / place.name)
    if said:
        return [f"warning: the DICOM node {ctx.node.node} {said}"]
    return [f"sent to the DICOM node {ctx.node.node}"]


def check_sources(crosswalk: Crosswalk, counted: Counted = uncounted) -> None:
    """Raise where an image that the contours were drawn on is not there any more, or is another."""
    for file in counted(crosswalk.files, "files compared"):
        try:
            stream, header = open_slice(file.path)
        except (SourceUnsettled, SeriesRefused) as err:
            raise TryLater(
                "an image of the series is not where it was, or cannot be read",
                code="source-moved",
                hint="Put the series back. If it was moved, the next scan notices.",
            ) from err
        stream.close()
        if header_digest(header) != file.header_sha256:
            raise NeedsPerson(
                "an image of the series is not the one that was sent any more",
                code="source-moved",
                hint="The contours may not fit it. 'drawcli assign' sends the series as it is now.",
            )


class Place(NamedTuple):
    """Where a structure set belongs; both names may be those of the patient."""

    folder: Path
    name: str
    below: Path | None = None  # the part of the folder that must be there; None: all of it


def destination(job: Job, crosswalk: Crosswalk, ctx: Context) -> Place:
    """Return where the structure set of a job is delivered to: the same each time.

    Raises
    ------
    NeedsPerson
        Where that cannot be told.
    """
    deliver = ctx.settings.deliver
    facts = {**_facts(job), "patient_id": crosswalk.patient_id, "job": job.id}
    name = filled(deliver.name, facts)
    if crosswalk.deliver_to:
        return Place(Path(crosswalk.deliver_to), name)
    if isinstance(deliver.folder, Path):
        folder = Path(filled(str(deliver.folder), facts))
        return Place(folder, name, made_below(deliver.folder))
    beside = Path(crosswalk.files[0].path).parent
    if ctx.work.holds(beside):
        raise NeedsPerson(
            "the images came in a zip, and nothing says any more where the structure set belongs",
            code="no-place",
            hint="Set deliver.folder to a folder and release the job.",
        )
    return Place(beside, name)


def restored(
    job: Job, data: bytes, crosswalk: Crosswalk, ctx: Context
) -> tuple[bytes, tuple[str, ...]]:
    """Return the delivered file, and which structures made of others are empty.

    Raises
    ------
    BadStructureSet
        Where the file would not be right.
    """
    header, (sop_uid, series_uid) = _header(data), own_uids(job, ctx)
    own = {
        header.text(tags.SOPInstanceUID): sop_uid,
        header.text(tags.SeriesInstanceUID): series_uid,
    }
    dressing = _dressing(job, header, crosswalk, ctx)
    whole = reidentified(header, crosswalk, own, dressing)
    check_delivered(whole, crosswalk, {sop_uid, series_uid})
    return whole, tuple(one.name for one in dressing.made if not one.outlines)


def _dressing(job: Job, header: Header, crosswalk: Crosswalk, ctx: Context) -> Dressing:
    """Return what the file says besides whose it is, by the template as it was sent."""
    template = _as_sent(job, ctx)
    names = {roi.number: roi.name for roi in facts_of(header).rois}
    looks = PLAIN if template is None else looks_of(template, names)
    made: tuple[Made, ...] = ()
    grid = Grid.of(crosswalk)
    if template is not None and template.derived and grid is not None:
        contours = contours_of(header)
        made = tuple(made_of(template.derived, names, contours, grid, crosswalk.uids))
    return replace(
        looks,
        made=made,
        image_class=image_class(header),
        has_frames=any(file.frames > 1 for file in crosswalk.files),
        frame_uid=crosswalk.frame_uid,
        equipment=contributors(template, __version__),
        labels=labels(job, ctx),
        utf_8=ctx.settings.deliver.character_set == "utf-8",
    )


def _as_sent(job: Job, ctx: Context) -> Template | None:
    """Return the template as it was when the package was built; None of jobs before that."""
    path = ctx.work.file(job.id, AS_SENT)
    return Template.model_validate_json(path.read_bytes()) if path.exists() else None


def _facts(job: Job) -> dict[str, str]:
    day = "" if job.uploaded_at is None else f"{job.uploaded_at:%Y%m%d}"
    return {"template": job.template or "", "date": day, "modality": job.modality or ""}


def labels(job: Job, ctx: Context) -> dict[int, str]:
    """Return what the planning system shows of a structure set: the same each time for a job."""
    deliver, facts = ctx.settings.deliver, _facts(job)
    name = deliver.description.format(**facts)
    rules = f", rules {job.rules_commit[:_SHORT_COMMIT]}" if job.rules_commit else ""
    return {
        tags.SeriesDescription: name,
        tags.StructureSetLabel: deliver.label.format(**facts),
        tags.StructureSetName: name,
        tags.StructureSetDescription: f"DRAW, template {job.template}{rules}; not reviewed",
    }


def own_uids(job: Job, ctx: Context) -> tuple[str, str]:
    """Return SOPInstanceUID and SeriesInstanceUID of a job's RTSTRUCT: the same each time."""
    stand_ins = ctx.stand_ins_of(job)
    root = ctx.settings.deliver.uid_root
    of_file, of_series = ("rtstruct", job.id), ("rtstruct-series", job.id)
    return stand_ins.own_uid(*of_file, root=root), stand_ins.own_uid(*of_series, root=root)


def check_delivered(data: bytes, crosswalk: Crosswalk, own: set[str]) -> None:
    """Read a finished file once more: every reference resolves, the patient is that patient.

    Raises
    ------
    BadStructureSet
        Where that is not so.
    """
    facts = facts_of(_header(data))
    if facts.uids - set(crosswalk.uids.values()) - own:
        raise BadStructureSet("a reference does not resolve", code="foreign-reference")
    if facts.referenced_series != {crosswalk.series_uid} or facts.study_uid != crosswalk.study_uid:
        raise BadStructureSet("the series or study is another", code="foreign-series")
    if facts.patient_id != crosswalk.patient_id:
        raise BadStructureSet("the patient is another", code="foreign-patient")


def _header(data: bytes) -> Header:
    try:
        return read_header(data, complete=True)
    except (NotDicom, Incomplete):
        raise BadStructureSet("the RTSTRUCT cannot be read", code="not-dicom") from None
