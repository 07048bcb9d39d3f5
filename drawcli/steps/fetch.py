"""SEGMENTED -> FETCHED: bring the RTSTRUCT home and see whether it is the one asked for.

Safe to repeat: a file that is already here and passes the gate is taken; the server's copy stays
until the delivery is confirmed.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from drawcli.adapters.workdir import RECEIVED, REPORT, TEMPLATE
from drawcli.context import Context
from drawcli.core.acceptance import Finding, Severity, inspect
from drawcli.core.appearance import Structure
from drawcli.core.contours import contours_of
from drawcli.core.dicom import Incomplete, NotDicom, read_header
from drawcli.core.drawing import Measured, inspect_contours, weighed
from drawcli.core.grid import Grid
from drawcli.core.job import Job, State
from drawcli.core.structure_set import facts_of
from drawcli.core.templates import structures_of
from drawcli.errors import BadStructureSet, DrawcliError, NeedsPerson, TryLater
from drawcli.files import sha256_of

LOST_AFTER: Final = 4
PARTIAL_WAIT_SECONDS: Final = 60.0


def fetch(job: Job, ctx: Context) -> Job:
    """Download the RTSTRUCT of a job, unless it is here, and let the acceptance gate read it."""
    received = ctx.work.folder(job.id) / RECEIVED
    if not received.exists():
        _download(job, received, ctx)
    found, measured = _inspected(received, job, ctx)
    plain = {
        "findings": [one.as_plain() for one in found],
        "structures": [one.as_plain() for one in measured],
    }
    ctx.work.write_json(job.id, REPORT, plain)
    _judge(found, received)
    return job.to(State.FETCHED, at=ctx.now(), received_sha256=sha256_of(received))


def _download(job: Job, received: Path, ctx: Context) -> None:
    """Bring the file home; others may go on meanwhile."""
    room, tell = ctx.work.check_space, ctx.progress.meter("bytes received")
    server = ctx.server
    with ctx.turns.given_up():
        found = server.download(job.task_id or "", received, room=room, tell=tell)
    if found is None:
        _lost(job)


def _inspected(received: Path, job: Job, ctx: Context) -> tuple[list[Finding], list[Measured]]:
    """Return what the gate finds, and what the structures measure where they belong here."""
    try:
        header = read_header(received.read_bytes(), complete=True)
    except (NotDicom, Incomplete):
        text = "what the server sent is no DICOM file, or ends too early"
        return [Finding(Severity.BLOCK, "not-dicom", text)], []
    facts, crosswalk = facts_of(header), ctx.crosswalk(job)
    said = _structures(job, ctx)
    required = {name: one.required for name, one in said.items() if one.required is not None}
    found = inspect(facts, crosswalk, _wanted(job, ctx), required)
    if any(one.severity is not Severity.WARN for one in found):
        return found, []
    grid = Grid.of(crosswalk)
    if grid is None:
        text = "the vault does not say where the slices lie; 'drawcli assign' sends the series anew"
        return [*found, Finding(Severity.BLOCK, "no-grid", text)], []
    names = {roi.number: roi.name for roi in facts.rois}
    bounds = {name: one.volume_cm3 for name, one in said.items() if one.volume_cm3}
    drawn, measured = inspect_contours(contours_of(header), names, grid, crosswalk.uids, bounds)
    return [*found, *weighed(drawn, ctx.settings.accept.severities)], measured


def _wanted(job: Job, ctx: Context) -> tuple[str, ...]:
    """Return the structures of the template that was sent."""
    try:
        return structures_of(ctx.work.file(job.id, TEMPLATE).read_bytes())
    except OSError:
        raise NeedsPerson(
            "the template that was sent is missing from the work folder",
            code="template-missing",
            hint=f"'drawcli retry {job.id}' builds the package anew and sends it again.",
        ) from None


def _structures(job: Job, ctx: Context) -> Mapping[str, Structure]:
    """Return what the site says about structures in the template, as it is now.

    Broken templates stop matching, not the way home.
    """
    try:
        template = ctx.rulebook.templates.get(job.template or "")
    except DrawcliError:
        return {}
    return {} if template is None else template.structures


def _judge(found: list[Finding], received: Path) -> None:
    """Raise what the findings ask for: hold, or fetch again later."""
    blocking = [one for one in found if one.severity is Severity.BLOCK]
    if blocking:
        kept = received.with_suffix(".refused")
        received.replace(kept)
        raise BadStructureSet(
            "; ".join(one.text for one in blocking),
            code=blocking[0].code,
            hint=f"Nothing was delivered; the file is kept in the work folder as {kept.name}.",
        )
    again = [one for one in found if one.severity is Severity.AGAIN]
    if again:
        received.unlink()  # the server may not have finished writing; its copy stays
        raise TryLater(
            "; ".join(one.text for one in again),
            code=again[0].code,
            wait_seconds=PARTIAL_WAIT_SECONDS,
        )


def _lost(job: Job) -> None:
    if job.tries("result-missing") + 1 < LOST_AFTER:
        raise TryLater("the server has no RTSTRUCT for the task", code="result-missing")
    raise NeedsPerson(
        "the server has no RTSTRUCT for the task",
        code="result-missing",
        hint=f"'drawcli retry {job.id}' sends the series again.",
    )
