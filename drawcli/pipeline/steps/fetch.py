"""SEGMENTED -> FETCHED: download the RTSTRUCT and check that it is the one that was asked for.

Safe to repeat: a file that is already here and passes the gate is used; the server's copy stays
until the delivery is confirmed.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from drawcli.adapters.state.workdir import RECEIVED, REPORT
from drawcli.core.gate.acceptance import Finding, Severity
from drawcli.core.jobs.job import Job, State
from drawcli.core.rtstruct.contour_checks import Measured
from drawcli.core.rtstruct.inspection import (
    StructureCriteria,
    inspect_received,
    sent_by_server,
    to_accept,
)
from drawcli.core.templates.appearance import Structure
from drawcli.errors import BadStructureSet, DrawcliError, NeedsPerson, TryLater
from drawcli.pipeline.context import Context

LOST_AFTER: Final = 4
PARTIAL_WAIT_SECONDS: Final = 60.0


def fetch(job: Job, ctx: Context) -> Job:
    """Download the RTSTRUCT of a job, unless it is here, and let the acceptance gate read it."""
    received = ctx.work.folder(job.id) / RECEIVED
    if not received.exists():
        _download(job, received, ctx)
    data = received.read_bytes()
    found, measured = _inspected(data, job, ctx)
    plain = {
        "findings": [one.as_plain() for one in found],
        "structures": [one.as_plain() for one in measured],
    }
    ctx.work.write_json(job.id, REPORT, plain)
    _judge(found, received, job)
    digest = hashlib.sha256(data).hexdigest()  # of the bytes that the gate has read
    return job.to(State.FETCHED, at=ctx.now(), received_sha256=digest)


def _download(job: Job, received: Path, ctx: Context) -> None:
    """Bring the file home; others may go on meanwhile."""
    room, tell = ctx.work.check_space, ctx.progress.meter("bytes received")
    server = ctx.server
    with ctx.turns.released():
        found = server.download(job.task_id or "", received, check_space=room, tell=tell)
    if found is None:
        _lost(job)


def _inspected(data: bytes, job: Job, ctx: Context) -> tuple[list[Finding], list[Measured]]:
    """Return what the gate finds, and what the structures measure if they belong here."""
    crosswalk, said = ctx.crosswalk(job), _structures(job, ctx)
    required = {name: one.required for name, one in said.items() if one.required is not None}
    expected = sent_by_server(crosswalk, ctx.structures_sent(job), required)
    wanted = StructureCriteria(
        bounds={name: one.volume_cm3 for name, one in said.items() if one.volume_cm3},
        severities=ctx.settings.accept.severities,
    )
    return inspect_received(data, expected, crosswalk, wanted)


def _structures(job: Job, ctx: Context) -> Mapping[str, Structure]:
    """Return what the site says about structures in the template, as it is now.

    Broken templates stop matching, but not the retrieval of results.
    """
    try:
        template = ctx.rulebook.templates.get(job.template or "")
    except DrawcliError:
        return {}
    return {} if template is None else template.structures


def _judge(found: list[Finding], received: Path, job: Job) -> None:
    """Raise what the findings ask for: hold, or fetch again later."""
    blocking = [one for one in found if one.severity is Severity.BLOCK]
    if blocking:
        kept = received.with_suffix(".refused")
        received.replace(kept)
        raise BadStructureSet(
            "; ".join(one.text for one in blocking),
            code=blocking[0].code,
            hint="Nothing was delivered; the file is kept in the work folder as "
            f"{kept.name}. {_way_forward(blocking, job)}",
        )
    again = [one for one in found if one.severity is Severity.AGAIN]
    if again:
        received.unlink()  # the server may not have finished writing; its copy stays
        raise TryLater(
            "; ".join(one.text for one in again),
            code=again[0].code,
            wait_seconds=PARTIAL_WAIT_SECONDS,
        )


def _way_forward(blocking: list[Finding], job: Job) -> str:
    """Return what to do with a structure set that was refused."""
    again = f"'drawcli retry {job.id}' sends the series again."
    return to_accept(blocking, job.id) or again


def _lost(job: Job) -> None:
    if job.tries("result-missing") + 1 < LOST_AFTER:
        raise TryLater("the server has no RTSTRUCT for the task", code="result-missing")
    raise NeedsPerson(
        "the server has no RTSTRUCT for the task",
        code="result-missing",
        hint=f"'drawcli retry {job.id}' sends the series again.",
    )
