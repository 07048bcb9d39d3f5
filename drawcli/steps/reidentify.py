"""FETCHED -> DELIVERED: give the RTSTRUCT its patient back and put it where it belongs.

Safe to repeat: the same file under the same name, and a file that is already there is left alone.
Nothing is confirmed to the server before the delivered file is durable.
"""

from pathlib import Path
from typing import Final

from drawcli.adapters.datastore import open_slice
from drawcli.adapters.delivery import deliver, file_name
from drawcli.adapters.workdir import RECEIVED
from drawcli.context import Context
from drawcli.core import tags
from drawcli.core.crosswalk import Crosswalk, header_digest
from drawcli.core.dicom import Header, Incomplete, NotDicom, read_header
from drawcli.core.job import Job, State
from drawcli.core.reidentify import reidentified
from drawcli.core.structure_set import facts_of
from drawcli.errors import (
    BadStructureSet,
    NeedsPerson,
    SeriesRefused,
    SourceUnsettled,
    TryLater,
)
from drawcli.files import sha256_of

_SHORT_COMMIT: Final = 12  # hex digits


def reidentify(job: Job, ctx: Context) -> Job:
    """Restore identity and references of a job's RTSTRUCT, and deliver it."""
    received = ctx.work.file(job.id, RECEIVED)
    if not received.exists() or sha256_of(received) != job.received_sha256:
        return job.to(State.SEGMENTED, at=ctx.now(), received_sha256=None)
    crosswalk = ctx.crosswalk(job)
    check_sources(crosswalk)
    data = restored(job, received.read_bytes(), crosswalk, ctx)
    folder, name = destination(job, crosswalk, ctx)
    sha256 = deliver(folder, name, data, job.id)
    return job.to(State.DELIVERED, at=ctx.now(), delivered_sha256=sha256)


def check_sources(crosswalk: Crosswalk) -> None:
    """Raise where an image that the contours were drawn on is not there any more, or is another."""
    for file in crosswalk.files:
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


def destination(job: Job, crosswalk: Crosswalk, ctx: Context) -> tuple[Path, str]:
    """Return the folder and the name of the delivered file; both may name the patient."""
    folder = ctx.settings.deliver.folder
    beside = Path(crosswalk.files[0].path).parent
    name = file_name(crosswalk.patient_id, job.template or "", job.id)
    return (beside if folder == "beside" else Path(folder)), name


def restored(job: Job, data: bytes, crosswalk: Crosswalk, ctx: Context) -> bytes:
    """Return the delivered file; raise BadStructureSet where it would not be right."""
    header, (sop_uid, series_uid) = _header(data), own_uids(job, ctx)
    own = {
        header.text(tags.SOPInstanceUID): sop_uid,
        header.text(tags.SeriesInstanceUID): series_uid,
    }
    whole = reidentified(header, crosswalk, own, labels(job, ctx))
    check_delivered(whole, crosswalk, {sop_uid, series_uid})
    return whole


def labels(job: Job, ctx: Context) -> dict[int, str]:
    """Return what the planning system shows of a structure set: the same each time for a job."""
    deliver = ctx.settings.deliver
    day = "" if job.uploaded_at is None else f"{job.uploaded_at:%Y%m%d}"
    facts = {"template": job.template or "", "date": day, "modality": job.modality or ""}
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
    return stand_ins.own_uid("rtstruct", job.id), stand_ins.own_uid("rtstruct-series", job.id)


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
