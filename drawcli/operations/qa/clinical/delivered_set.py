"""The delivered structure set of a job, and what produced its contours."""

import hashlib
from contextlib import suppress
from typing import Final

from drawcli import __version__
from drawcli.adapters.server.catalogue_cache import load_catalogue
from drawcli.adapters.state.workdir import AS_SENT, RECEIVED
from drawcli.core.dicom import tags
from drawcli.core.dicom.elements import item_value
from drawcli.core.dicom.header import Header, NotDicom, ascii_text
from drawcli.core.jobs.job import Job
from drawcli.core.jobs.waiting import delivered_at
from drawcli.core.qa.records import PairRecord, PairStatus
from drawcli.core.rtstruct.contours import items_of
from drawcli.core.series.crosswalk import Crosswalk
from drawcli.core.templates.template import from_json
from drawcli.errors import JobError
from drawcli.operations.qa.clinical.structure_files import (
    StructureSetBytes,
    Unreadable,
    as_structure_set,
)
from drawcli.pipeline.context import Context
from drawcli.pipeline.results import delivery_path
from drawcli.pipeline.steps.reidentify import finish_structure_set

_MAKER: Final = 0x00080070  # Manufacturer
_SOFTWARE: Final = 0x00181020  # SoftwareVersions
NO_SET: Final = "no structure set of the series was found yet"


def first_record(job: Job, ctx: Context) -> PairRecord:
    """Return the record of a job that was just delivered: it keeps what produced its contours."""
    template, catalogue = "", ""
    with suppress(OSError, ValueError):
        sent = from_json(ctx.work.file(job.id, AS_SENT).read_bytes())
        template, known = sent.contours_digest, load_catalogue(ctx.settings.state_dir)
        catalogue = known.digest_of(sent.models) if known is not None else ""
    return PairRecord(
        job=job.id,
        status=PairStatus.MISSING,
        at=ctx.now(),
        delivered_at=delivered_at(job) or job.since,
        template=job.template or "",
        modality=job.modality,
        template_digest=template,
        catalogue_digest=catalogue,
        drawcli=__version__,
        rules_commit=job.rules_commit,
        a_sha256=job.delivered_sha256 or "",
        note=NO_SET,
    )


def read_delivered(job: Job, crosswalk: Crosswalk, ctx: Context) -> StructureSetBytes | None:
    """Return the delivered structure set; made again if its file is gone or has changed.

    None if neither is possible. Planning systems move and change files that they import.
    """
    with suppress(JobError, OSError, Unreadable):
        path = delivery_path(job, ctx)
        data = b"" if path is None else path.read_bytes()
        if hashlib.sha256(data).hexdigest() == job.delivered_sha256:
            return as_structure_set(data, ctx.now())
    with suppress(JobError, OSError, Unreadable):
        received = ctx.work.file(job.id, RECEIVED).read_bytes()
        if hashlib.sha256(received).hexdigest() == job.received_sha256:
            data, _, _ = finish_structure_set(job, received, crosswalk, ctx)
            return as_structure_set(data, ctx.now())
    return None


def drawcli_of(header: Header) -> str:
    """Return the version of drawcli that made a delivered structure set, or ""."""
    with suppress(NotDicom):
        for item in items_of(header, tags.ContributingEquipmentSequence):
            if ascii_text(item_value(header, item, _MAKER) or b"") == "drawcli":
                return ascii_text(item_value(header, item, _SOFTWARE) or b"")
    return ""
