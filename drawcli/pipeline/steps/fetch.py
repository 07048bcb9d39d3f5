"""SEGMENTED -> FETCHED: download the RTSTRUCT and check it with the acceptance gate.

Safe to repeat: a file that was already downloaded is used; the server keeps its copy until the
delivery is confirmed. A refused file is checked again with the present settings before another is
downloaded.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from drawcli.adapters.state.workdir import RECEIVED, REFUSED, REPORT
from drawcli.core.gate.acceptance import Finding, Severity
from drawcli.core.jobs.job import EventKind, Job, State
from drawcli.core.jobs.warned import with_findings
from drawcli.core.protocol.task_status import SENT_AGAIN, TaskState
from drawcli.core.rtstruct.inspection import (
    StructureCriteria,
    accept_hint,
    expect_received,
    inspect_received,
)
from drawcli.core.rtstruct.measured_structure import MeasuredStructure
from drawcli.core.templates.appearance import Structure
from drawcli.errors import BadStructureSet, DrawcliError, NeedsPerson, TryLater
from drawcli.pipeline.context import Context
from drawcli.pipeline.delivery import structures_sent

LOST_AFTER: Final = 4
PARTIAL_WAIT_SECONDS: Final = 60.0


def fetch(job: Job, ctx: Context) -> Job:
    """Download the RTSTRUCT of a job, if necessary, and check it."""
    received, refused = ctx.work.folder(job.id) / RECEIVED, ctx.work.file(job.id, REFUSED)
    if not received.exists() and refused.exists() and _is_acceptable(refused, job, ctx):
        refused.replace(received)
    if not received.exists() and not _download(job, received, ctx):
        return _lost(job, ctx)
    data = received.read_bytes()
    found, measured = _inspect(data, job, ctx)
    plain = {
        "findings": [finding.as_plain() for finding in found],
        "structures": [structure.as_plain() for structure in measured],
    }
    ctx.work.write_json(job.id, REPORT, plain)
    _judge(found, received, refused, job)
    digest = hashlib.sha256(data).hexdigest()  # of the checked bytes
    after = job.to(State.FETCHED, at=ctx.now(), received_sha256=digest)
    return with_findings(after, ctx.now(), [finding.text for finding in found])


def _is_acceptable(refused: Path, job: Job, ctx: Context) -> bool:
    """Return whether a refused file passes the checks as they are now set."""
    found, _ = _inspect(refused.read_bytes(), job, ctx)
    return all(finding.severity is Severity.WARN for finding in found)


def _download(job: Job, received: Path, ctx: Context) -> bool:
    """Download the file, other jobs go on meanwhile; return False if the server has none."""
    room, tell = ctx.work.check_space, ctx.progress.meter("bytes received")
    server = ctx.server
    with ctx.turns.released():
        found = server.download(job.task_id or "", received, check_space=room, tell=tell)
    return found is not None


def _inspect(data: bytes, job: Job, ctx: Context) -> tuple[list[Finding], list[MeasuredStructure]]:
    """Return the findings of the gate, and the measures of the structures if it passes."""
    crosswalk, settings = ctx.crosswalk(job), _structures(job, ctx)
    required = {name: s.required for name, s in settings.items() if s.required is not None}
    expected = expect_received(crosswalk, structures_sent(job, ctx), required)
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


def _judge(found: list[Finding], received: Path, refused: Path, job: Job) -> None:
    """Raise an error if the findings block the file, or ask for another download."""
    blocking = [finding for finding in found if finding.severity is Severity.BLOCK]
    if blocking:
        received.replace(refused)
        raise BadStructureSet(
            "; ".join(finding.text for finding in blocking),
            code=blocking[0].code,
            hint=f"Nothing was delivered; the file is kept as {refused}. "
            f"{accept_hint(blocking, job.id) or _refused_hint(job)}",
        )
    again = [finding for finding in found if finding.severity is Severity.AGAIN]
    if again:
        received.unlink()  # the server may not have finished writing; its copy stays
        raise TryLater(
            "; ".join(finding.text for finding in again),
            code=again[0].code,
            wait_seconds=PARTIAL_WAIT_SECONDS,
            hint=f"If the organ is not in the scan, set 'required: false' for it under the "
            f"'structures' of template {job.template}, then 'drawcli retry {job.id}'. Else ask the "
            f"DRAW administrator, or have it segmented again: 'drawcli retry {job.id} --resend'.",
        )


def _refused_hint(job: Job) -> str:
    return (
        f"View it with 'drawcli preview {job.id}'. No setting accepts it. 'drawcli retry {job.id}' "
        "downloads it again, in case it was damaged; with --resend the series is uploaded and "
        "segmented again. If it comes back the same, ask the DRAW administrator."
    )


def _lost(job: Job, ctx: Context) -> Job:
    """Return a job to be sent again, if a user has retried it and the server knows no such task.

    Raises
    ------
    JobError
        In all other cases.
    """
    if _was_retried(job):
        server = ctx.server
        with ctx.turns.released():
            status = server.status(job.task_id or "")
        if status.state is TaskState.UNKNOWN:
            lost = job.noted(ctx.now(), "task-unknown", SENT_AGAIN, EventKind.FAILED)
            return lost.to(State.PACKAGED, at=ctx.now(), task_id=None, uploaded_at=None, posts=0)
    if job.tries("result-missing") + 1 < LOST_AFTER:
        raise TryLater("the server has no RTSTRUCT for the task", code="result-missing")
    raise NeedsPerson(
        "the server has no RTSTRUCT for the task",
        code="result-missing",
        hint=f"'drawcli retry {job.id}' uploads the series again; it is segmented once more.",
    )


def _was_retried(job: Job) -> bool:
    """Return whether a user has retried or released the job since the task ended."""
    for event in reversed(job.events):
        if event.kind is EventKind.RELEASED:
            return True
        if event.kind is EventKind.REACHED:
            return False
    return False
