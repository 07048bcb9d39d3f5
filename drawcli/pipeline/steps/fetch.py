"""SEGMENTED -> FETCHED: download the RTSTRUCT and check it with the acceptance gate.

Safe to repeat: a file that was already downloaded is used; the server keeps its copy until the
delivery is confirmed.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from drawcli.adapters.state.workdir import RECEIVED, REPORT
from drawcli.core.gate.acceptance import Finding, Severity
from drawcli.core.jobs.job import Job, State
from drawcli.core.rtstruct.contour_checks import MeasuredStructure
from drawcli.core.rtstruct.inspection import (
    StructureCriteria,
    accept_hint,
    expect_received,
    inspect_received,
)
from drawcli.core.templates.appearance import Structure
from drawcli.errors import BadStructureSet, DrawcliError, NeedsPerson, TryLater
from drawcli.pipeline.context import Context

LOST_AFTER: Final = 4
PARTIAL_WAIT_SECONDS: Final = 60.0


def fetch(job: Job, ctx: Context) -> Job:
    """Download the RTSTRUCT of a job, if necessary, and check it."""
    received = ctx.work.folder(job.id) / RECEIVED
    if not received.exists():
        _download(job, received, ctx)
    data = received.read_bytes()
    found, measured = _inspect(data, job, ctx)
    plain = {
        "findings": [finding.as_plain() for finding in found],
        "structures": [structure.as_plain() for structure in measured],
    }
    ctx.work.write_json(job.id, REPORT, plain)
    _judge(found, received, job)
    digest = hashlib.sha256(data).hexdigest()  # of the checked bytes
    return job.to(State.FETCHED, at=ctx.now(), received_sha256=digest)


def _download(job: Job, received: Path, ctx: Context) -> None:
    """Download the file; other jobs go on meanwhile."""
    room, tell = ctx.work.check_space, ctx.progress.meter("bytes received")
    server = ctx.server
    with ctx.turns.released():
        found = server.download(job.task_id or "", received, check_space=room, tell=tell)
    if found is None:
        _lost(job)


def _inspect(data: bytes, job: Job, ctx: Context) -> tuple[list[Finding], list[MeasuredStructure]]:
    """Return the findings of the gate, and the measures of the structures if it passes."""
    crosswalk, settings = ctx.crosswalk(job), _structures(job, ctx)
    required = {name: s.required for name, s in settings.items() if s.required is not None}
    expected = expect_received(crosswalk, ctx.structures_sent(job), required)
    wanted = StructureCriteria(
        bounds={name: s.volume_cm3 for name, s in settings.items() if s.volume_cm3},
        severities=ctx.settings.accept.severities,
    )
    return inspect_received(data, expected, crosswalk, wanted)


def _structures(job: Job, ctx: Context) -> Mapping[str, Structure]:
    """Return the settings of the structures in the current template.

    Invalid templates stop matching, but not the download of results.
    """
    try:
        template = ctx.rulebook.templates.get(job.template or "")
    except DrawcliError:
        return {}
    return {} if template is None else template.structures


def _judge(found: list[Finding], received: Path, job: Job) -> None:
    """Raise an error if the findings block the file, or ask for another download."""
    blocking = [finding for finding in found if finding.severity is Severity.BLOCK]
    if blocking:
        kept = received.with_suffix(".refused")
        again_hint = f"'drawcli retry {job.id}' sends the series again."
        received.replace(kept)
        raise BadStructureSet(
            "; ".join(finding.text for finding in blocking),
            code=blocking[0].code,
            hint="Nothing was delivered; the file is kept in the work folder as "
            f"{kept.name}. {accept_hint(blocking, job.id) or again_hint}",
        )
    again = [finding for finding in found if finding.severity is Severity.AGAIN]
    if again:
        received.unlink()  # the server may not have finished writing; its copy stays
        raise TryLater(
            "; ".join(finding.text for finding in again),
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
