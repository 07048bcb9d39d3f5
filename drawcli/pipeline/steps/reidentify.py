"""FETCHED -> DELIVERED: re-identify the RTSTRUCT, check the finished file, and deliver it.

Safe to repeat: the same file under the same name, and a file that is already there is left alone.
Nothing is confirmed to the server before the delivered file is durable.
"""

import hashlib
import os
from contextlib import closing
from dataclasses import replace
from typing import Final

from drawcli import __version__
from drawcli.adapters.datastore.images import open_slice, pixel_crc32
from drawcli.adapters.state.progress import ItemCounter, no_counting
from drawcli.adapters.state.workdir import AS_SENT, RECEIVED, REPORT
from drawcli.core.dicom import tags
from drawcli.core.dicom.header import Header, Incomplete, NotDicom, read_header
from drawcli.core.gate.acceptance import Finding, Severity
from drawcli.core.jobs.job import Job, State
from drawcli.core.rtstruct.contours import contours_of, names_of
from drawcli.core.rtstruct.derived import DerivedStructure, made_of
from drawcli.core.rtstruct.inspection import (
    StructureCriteria,
    inspect_finished,
    to_accept,
    to_deliver,
)
from drawcli.core.rtstruct.presentation import PLAIN, Presentation, contributors, looks_of
from drawcli.core.rtstruct.reidentify import OwnUids, reidentified
from drawcli.core.series.crosswalk import Crosswalk, SourceFile, header_digest
from drawcli.core.series.slice_grid import Grid
from drawcli.core.templates.template import Template
from drawcli.errors import (
    BadStructureSet,
    NeedsPerson,
    SeriesRefused,
    SourceUnsettled,
    TryLater,
)
from drawcli.pipeline.context import Context
from drawcli.pipeline.delivery import deliver, facts_of

_EMPTY: Final = "warning: made of others, and empty"
_SHORT_COMMIT: Final = 12  # hex digits


def reidentify(job: Job, ctx: Context) -> Job:
    """Restore identity and references of a job's RTSTRUCT, and deliver it."""
    received = ctx.work.file(job.id, RECEIVED)
    sent = received.read_bytes() if received.exists() else b""
    if hashlib.sha256(sent).hexdigest() != job.received_sha256:
        ctx.work.keep_altered(job.id, RECEIVED)  # else it would be taken for the file that came
        return job.to(State.SEGMENTED, at=ctx.now(), received_sha256=None)
    crosswalk = ctx.images_of(job)
    check_sources(crosswalk, ctx.progress.count_items)
    data, empty, found = restored(job, sent, crosswalk, ctx)
    _report(job, found, ctx)
    told = deliver(job, data, crosswalk, ctx)
    if empty:
        told.append(f"{_EMPTY}: {', '.join(empty)}")
    sha256 = hashlib.sha256(data).hexdigest()
    job = job.to(State.DELIVERED, at=ctx.now(), delivered_sha256=sha256)
    for what in told:
        job = job.noted(ctx.now(), what)
    return job


def check_sources(crosswalk: Crosswalk, counted: ItemCounter = no_counting) -> None:
    """Raise if an image that the contours were drawn on is gone, or is not the one that was sent.

    The header of every image is read. Its pixels are read only if the file was changed, moved or
    restored since it was sent: if its change time is another.
    """
    for file in counted(crosswalk.files, "files compared"):
        changed = _changed(file)
        if changed:
            raise NeedsPerson(
                f"an image of the series is not the one that was sent: {changed}",
                code="source-moved",
                hint="The contours may not fit it. 'drawcli assign' sends the series as it is now.",
            )


def _changed(file: SourceFile) -> str:
    """Return what has changed of an image since it was sent; "" if nothing has."""
    try:
        stream, header = open_slice(file.path)
        with closing(stream):
            if header_digest(header) != file.header_sha256:
                return "its header has changed"
            status = os.fstat(stream.fileno())
            if file.ctime_ns in (0, status.st_ctime_ns):
                return ""
            same = pixel_crc32(stream, header) == file.pixels_crc32
            return "" if same else "its pixels have changed"
    except (SourceUnsettled, SeriesRefused) as err:
        raise TryLater(
            "an image of the series is not where it was, or cannot be read",
            code="source-moved",
            hint="Put the series back. If it was moved, the next scan notices.",
        ) from err


def restored(
    job: Job, data: bytes, crosswalk: Crosswalk, ctx: Context
) -> tuple[bytes, tuple[str, ...], list[Finding]]:
    """Return the finished file, which derived structures are empty, and what the gate reports.

    Raises
    ------
    BadStructureSet
        If the acceptance gate blocks the finished file.
    """
    header, own = _header(data), own_uids(job, ctx)
    crosswalk = (
        crosswalk if crosswalk.sop_class else replace(crosswalk, sop_class=_class(crosswalk))
    )
    template = _as_sent(job, ctx)
    dressing = _dressing(job, header, template, crosswalk, ctx)
    whole = reidentified(header, crosswalk, own, dressing)
    found = _finished(whole, job, template, crosswalk, ctx)
    return whole, tuple(one.name for one in dressing.made if not one.outlines), found


def _finished(
    whole: bytes, job: Job, template: Template | None, crosswalk: Crosswalk, ctx: Context
) -> list[Finding]:
    """Let the acceptance gate read the finished file; return what it reports.

    What the file should hold is known from the template and from the gate's report on the received
    file, not from the code that has written it.
    """
    labels: dict[str, str] = {}
    derived: frozenset[str] = frozenset()
    if template is not None:
        labels = {name: one.label for name, one in template.structures.items() if one.label}
        derived = frozenset(one.label or name for name, one in template.derived.items())
    names = [labels.get(name, name) for name in ctx.structures_sent(job)]
    expected = to_deliver(crosswalk, frozenset(own_uids(job, ctx)), [*names, *derived])
    report = ctx.work.read_json(job.id, REPORT) or {}
    wanted = StructureCriteria(
        severities=ctx.settings.accept.severities,
        derived=derived,
        measured={
            labels.get(one["name"], one["name"]): one for one in report.get("structures", [])
        },
    )
    found = inspect_finished(whole, expected, crosswalk, wanted)
    blocking = [one for one in found if one.severity is not Severity.WARN]
    if blocking:
        raise BadStructureSet(
            "; ".join(one.text for one in blocking),
            code=blocking[0].code,
            hint=to_accept(blocking, job.id) or None,
        )
    return found


def _report(job: Job, found: list[Finding], ctx: Context) -> None:
    """Add what the gate found in the finished file to the report on the received one."""
    report = ctx.work.read_json(job.id, REPORT) or {"findings": [], "structures": []}
    known = {one["code"] for one in report["findings"]}
    more = [one.as_plain() for one in found if one.code not in known]
    if more:
        ctx.work.write_json(job.id, REPORT, report | {"findings": [*report["findings"], *more]})


def _class(crosswalk: Crosswalk) -> str:
    """Return the SOP class of the images; crosswalks of earlier versions do not have it."""
    stream, header = open_slice(crosswalk.files[0].path)
    stream.close()
    return header.text(tags.SOPClassUID)


def _dressing(
    job: Job, header: Header, template: Template | None, crosswalk: Crosswalk, ctx: Context
) -> Presentation:
    """Return what template and settings add, by the template as it was sent."""
    names = names_of(header)
    looks = PLAIN if template is None else looks_of(template, names)
    made: tuple[DerivedStructure, ...] = ()
    grid = Grid.of(crosswalk)
    if template is not None and template.derived and grid is not None:
        contours = contours_of(header)
        made = tuple(made_of(template.derived, names, contours, grid, crosswalk.uids))
    return replace(
        looks,
        made=made,
        equipment=contributors(template, __version__),
        labels=labels(job, ctx),
        utf_8=ctx.settings.deliver.character_set == "utf-8",
    )


def _as_sent(job: Job, ctx: Context) -> Template | None:
    """Return the template as it was when the package was built; None of jobs before that."""
    path = ctx.work.file(job.id, AS_SENT)
    return Template.model_validate_json(path.read_bytes()) if path.exists() else None


def labels(job: Job, ctx: Context) -> dict[int, str]:
    """Return what the planning system shows of a structure set: the same each time for a job."""
    deliver, facts = ctx.settings.deliver, facts_of(job)
    name = deliver.description.format(**facts)
    rules = f", rules {job.rules_commit[:_SHORT_COMMIT]}" if job.rules_commit else ""
    return {
        tags.SeriesDescription: name,
        tags.StructureSetLabel: deliver.label.format(**facts),
        tags.StructureSetName: name,
        tags.StructureSetDescription: f"DRAW, template {job.template}{rules}; not reviewed",
    }


def own_uids(job: Job, ctx: Context) -> OwnUids:
    """Return SOPInstanceUID and SeriesInstanceUID of a job's RTSTRUCT: the same each time."""
    stand_ins = ctx.stand_ins_of(job)
    root = ctx.settings.deliver.uid_root
    of_file, of_series = ("rtstruct", job.id), ("rtstruct-series", job.id)
    return OwnUids(stand_ins.own_uid(*of_file, root=root), stand_ins.own_uid(*of_series, root=root))


def _header(data: bytes) -> Header:
    try:
        return read_header(data, complete=True)
    except (NotDicom, Incomplete):
        raise BadStructureSet("the RTSTRUCT cannot be read", code="not-dicom") from None
