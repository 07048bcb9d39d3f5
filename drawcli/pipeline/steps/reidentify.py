"""FETCHED -> DELIVERED: re-identify the RTSTRUCT, check the finished file, and deliver it.

Safe to repeat: it writes the same file under the same name, and does not overwrite a file. The
delivery is confirmed only after the file is durable.
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
from drawcli.core.rtstruct.contours import contours_of, in_frames, names_of
from drawcli.core.rtstruct.derived import DerivedStructure, derive_structures, empty_structures
from drawcli.core.rtstruct.inspection import (
    StructureCriteria,
    accept_hint,
    expect_finished,
    inspect_finished,
)
from drawcli.core.rtstruct.presentation import PLAIN, Presentation, contributors, presentation_of
from drawcli.core.rtstruct.reidentify import OwnUids, reidentify_file
from drawcli.core.series.crosswalk import Crosswalk, SourceFile, header_digest
from drawcli.core.series.slice_grid import Grid
from drawcli.core.templates.appearance import Derived
from drawcli.core.templates.template import Template, from_json
from drawcli.errors import (
    BadStructureSet,
    NeedsPerson,
    SeriesRefused,
    SourceUnsettled,
    TryLater,
)
from drawcli.pipeline.context import Context
from drawcli.pipeline.delivery import deliver, facts_of, structures_sent

_EMPTY: Final = "warning: derived structures without contours"
_SHORT_COMMIT: Final = 12  # hex digits


def reidentify(job: Job, ctx: Context) -> Job:
    """Re-identify a job's RTSTRUCT, check it, and deliver it."""
    sent = read_received(job, ctx)
    if sent is None:
        return job.to(State.SEGMENTED, at=ctx.now(), received_sha256=None)
    crosswalk = ctx.images_of(job)
    check_sources(crosswalk, job, ctx.progress.count_items)
    data, empty = build_structure_set(job, sent, crosswalk, ctx)
    del sent  # a large file is in memory once while the other is checked
    _report(job, check_finished(data, job, crosswalk, ctx), ctx)
    reports = deliver(job, data, crosswalk, ctx)
    if empty:
        reports.append(f"{_EMPTY}: {', '.join(empty)}")
    sha256 = hashlib.sha256(data).hexdigest()
    job = job.to(State.DELIVERED, at=ctx.now(), delivered_sha256=sha256)
    for report in reports:
        job = job.noted(ctx.now(), report)
    return job


def read_received(job: Job, ctx: Context) -> bytes | None:
    """Return the RTSTRUCT as it came; None if it is missing or was altered since."""
    received = ctx.work.file(job.id, RECEIVED)
    sent = received.read_bytes() if received.exists() else b""
    if hashlib.sha256(sent).hexdigest() == job.received_sha256:
        return sent
    ctx.work.keep_altered(job.id, RECEIVED)  # else it would be taken for the file that came
    return None


def check_sources(crosswalk: Crosswalk, job: Job, counted: ItemCounter = no_counting) -> None:
    """Raise an error if an image of the series is missing or has changed since it was sent.

    Every header is read; pixels are read only if the change time of the file is another.
    """
    for file in counted(crosswalk.files, "files compared"):
        changed = _changed(file)
        if changed:
            raise NeedsPerson(
                f"an image of the series has changed since it was sent: {changed}",
                code="source-moved",
                hint="The contours may not fit it. Restore the images, then 'drawcli retry "
                f"{job.id}'; or 'drawcli assign {job.id} {job.template}' uploads the series as it "
                "is now.",
            )


def _changed(file: SourceFile) -> str:
    """Return what has changed in an image since it was sent; "" if nothing has."""
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
            "an image of the series is missing or cannot be read",
            code="source-moved",
            hint="Restore the series. If it was moved, the next scan finds it.",
        ) from err


def finish_structure_set(
    job: Job, data: bytes, crosswalk: Crosswalk, ctx: Context
) -> tuple[bytes, tuple[str, ...], list[Finding]]:
    """Return the finished file, the empty derived structures, and the findings of the gate.

    Raises
    ------
    BadStructureSet
        If the acceptance gate blocks the finished file.
    """
    whole, empty = build_structure_set(job, data, crosswalk, ctx)
    return whole, empty, check_finished(whole, job, crosswalk, ctx)


def build_structure_set(
    job: Job, data: bytes, crosswalk: Crosswalk, ctx: Context
) -> tuple[bytes, tuple[str, ...]]:
    """Return the finished file, which must be checked, and the empty derived structures."""
    header, own = _header(data), own_uids(job, ctx)
    crosswalk = _with_class(crosswalk)
    template = _template_sent(job, ctx)
    presentation = _presentation(job, header, template, crosswalk, ctx)
    whole = reidentify_file(header, crosswalk, own, presentation)
    vain = (s for s in presentation.made if not s.outlines and isinstance(s.rule, Derived))
    return whole, tuple(s.name for s in vain)


def check_finished(whole: bytes, job: Job, crosswalk: Crosswalk, ctx: Context) -> list[Finding]:
    """Check the finished file with the acceptance gate; return its findings.

    The expected contents come from the template and from the report on the received file, not from
    the code that has written the file.

    Raises
    ------
    BadStructureSet
        If the gate blocks the file.
    """
    crosswalk, template = _with_class(crosswalk), _template_sent(job, ctx)
    labels: dict[str, str] = {}
    derived, empty = frozenset[str](), frozenset[str]()
    if template is not None:
        labels = {name: s.label for name, s in template.structures.items() if s.label}
        shown = {name: s for name, s in template.derived.items() if not s.hidden}
        derived = frozenset(s.label or name for name, s in shown.items())
        empty = frozenset(s.label or name for name, s in template.empty.items())
    names = [labels.get(name, name) for name in structures_sent(job, ctx)]
    own = frozenset(own_uids(job, ctx))
    expected = expect_finished(crosswalk, own, [*names, *derived], empty)
    report = ctx.work.read_json(job.id, REPORT) or {}
    wanted = StructureCriteria(
        severities=ctx.settings.accept.severities,
        derived=derived | empty,
        measured={labels.get(s["name"], s["name"]): s for s in report.get("structures", [])},
    )
    found = inspect_finished(whole, expected, crosswalk, wanted)
    blocking = [finding for finding in found if finding.severity is not Severity.WARN]
    if blocking:
        raise BadStructureSet(
            "; ".join(finding.text for finding in blocking),
            code=blocking[0].code,
            hint=accept_hint(blocking, job.id)
            or f"Nothing was delivered. View it with 'drawcli preview {job.id}', and report it: no "
            f"setting accepts it. 'drawcli retry {job.id}' checks it again.",
        )
    return found


def _report(job: Job, found: list[Finding], ctx: Context) -> None:
    """Add the findings on the finished file to the report on the received one."""
    report = ctx.work.read_json(job.id, REPORT) or {"findings": [], "structures": []}
    codes = {finding["code"] for finding in report["findings"]}
    more = [finding.as_plain() for finding in found if finding.code not in codes]
    if more:
        ctx.work.write_json(job.id, REPORT, report | {"findings": [*report["findings"], *more]})


def _with_class(crosswalk: Crosswalk) -> Crosswalk:
    """Return a crosswalk with the SOP class of the images; earlier versions do not have it."""
    if crosswalk.sop_class:
        return crosswalk
    stream, header = open_slice(crosswalk.files[0].path)
    stream.close()
    return crosswalk._replace(sop_class=header.text(tags.SOPClassUID))


def _presentation(
    job: Job, header: Header, template: Template | None, crosswalk: Crosswalk, ctx: Context
) -> Presentation:
    """Return what the settings and the template that was sent add to the file."""
    names = names_of(header)
    looks = PLAIN if template is None else presentation_of(template, names)
    made: tuple[DerivedStructure, ...] = ()
    grid = Grid.of(crosswalk)
    if template is not None and template.derived and grid is not None:
        contours = (
            in_frames(structure, crosswalk.frame_numbers) for structure in contours_of(header)
        )
        every = derive_structures(template.derived, names, contours, grid, crosswalk.uids)
        made = tuple(
            structure for structure in every if not template.derived[structure.name].hidden
        )
    if template is not None:
        taken = {*names, *(structure.number for structure in made)}
        made += tuple(empty_structures(template.empty, taken))
    return replace(
        looks,
        made=made,
        equipment=contributors(template, __version__),
        labels=labels(job, ctx),
        utf_8=ctx.settings.deliver.character_set == "utf-8",
    )


def _template_sent(job: Job, ctx: Context) -> Template | None:
    """Return the template that was sent; None for jobs of early versions."""
    path = ctx.work.file(job.id, AS_SENT)
    return from_json(path.read_bytes()) if path.exists() else None


def labels(job: Job, ctx: Context) -> dict[int, str]:
    """Return the labels of a structure set: the same each time for a job."""
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
