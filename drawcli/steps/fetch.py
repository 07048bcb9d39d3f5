"""SEGMENTED -> FETCHED: bring the RTSTRUCT home and see whether it is the one asked for.

Safe to repeat: a file that is already here and passes the gate is taken; the server's copy stays
until the delivery is confirmed.
"""

from pathlib import Path
from typing import Final

from drawcli.adapters.workdir import RECEIVED, REPORT, TEMPLATE
from drawcli.context import Context
from drawcli.core.acceptance import Finding, Severity, inspect
from drawcli.core.dicom import Incomplete, NotDicom, read_header
from drawcli.core.job import Job, State
from drawcli.core.structure_set import facts_of
from drawcli.core.templates import structures_of
from drawcli.errors import BadStructureSet, NeedsPerson, TryLater
from drawcli.files import sha256_of

LOST_AFTER: Final = 4
PARTIAL_WAIT_SECONDS: Final = 60.0


def fetch(job: Job, ctx: Context) -> Job:
    """Download the RTSTRUCT of a job, unless it is here, and let the acceptance gate read it."""
    received = ctx.work.folder(job.id) / RECEIVED
    if not received.exists() and ctx.server.download(job.task_id or "", received) is None:
        _lost(job)
    found = _inspected(received, job, ctx)
    plain = {"findings": [one.as_plain() for one in found]}
    ctx.work.write_json(job.id, REPORT, plain)
    _judge(found, received)
    return job.to(State.FETCHED, at=ctx.now(), received_sha256=sha256_of(received))


def _inspected(received: Path, job: Job, ctx: Context) -> list[Finding]:
    try:
        facts = facts_of(read_header(received.read_bytes(), complete=True))
    except (NotDicom, Incomplete):
        text = "what the server sent is no DICOM file, or ends too early"
        return [Finding(Severity.BLOCK, "not-dicom", text)]
    try:
        template = ctx.work.file(job.id, TEMPLATE).read_bytes()
    except OSError:
        raise NeedsPerson(
            "the template that was sent is missing from the work folder",
            code="template-missing",
            hint=f"'drawcli retry {job.id}' builds the package anew and sends it again.",
        ) from None
    wanted = structures_of(template)
    return inspect(facts, ctx.crosswalk(job), wanted)


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
