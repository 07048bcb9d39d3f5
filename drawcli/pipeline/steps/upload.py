"""PACKAGED -> UPLOADED: send the package, store the server's task id.

This step cannot be repeated without a trace: if the answer to a POST is lost, the task id is
unknown. The attempt is therefore stored in the ledger first, the same bytes are sent again, and the
number of such attempts is limited. An attempt that the server refused is not counted; an unanswered
one is, because the server may have a task for it. An attempt at an address that the server does not
have is counted, too: it ends the run.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from zipfile import ZipFile

from drawcli import __version__
from drawcli.adapters.server.responses import ENDPOINT_HINT
from drawcli.adapters.state.audit_log import ANSWERED, ATTEMPT, NOT_SENT, REFUSED, UNANSWERED
from drawcli.adapters.state.workdir import PACKAGE, RECEIVED, TEMPLATE
from drawcli.core.deid.profile import Choices, fingerprint
from drawcli.core.dicom.sop_classes import MULTI_FRAME
from drawcli.core.jobs.job import PET_COUNTS, Event, EventKind, Job, State
from drawcli.core.jobs.ledger import check_claim
from drawcli.core.series.crosswalk import Crosswalk
from drawcli.errors import (
    RENEWAL,
    SERVER_TOOK_NOTHING,
    DrawcliError,
    LeaseLost,
    NeedsPerson,
    ServerUnavailable,
    TryLater,
)
from drawcli.pipeline.context import Context
from drawcli.pipeline.sent_slices import sent_class
from drawcli.pipeline.survey.series_header import excluded_since
from drawcli.system.files import sha256_of

MOST_POSTS: Final = 5
BETWEEN_POSTS: Final = timedelta(minutes=15)  # a server that fails for an hour holds no job
_NO_PLACE: Final = "endpoint"
_REPACKED_AFTER: Final = timedelta(minutes=1)  # hosts with different settings do not take turns
_OTHER_POLICY: Final = "packaged again: the de-identification policy has changed"
_NOT_BEGUN: Final = frozenset({"server-down", "certificate", RENEWAL, LeaseLost.code})
_COUNTED: Final = frozenset({_NO_PLACE, "server-lost", "server-unavailable"})


def upload(job: Job, ctx: Context) -> Job:
    """Send the package of a job to the DRAW server."""
    package, template = ctx.work.file(job.id, PACKAGE), ctx.work.file(job.id, TEMPLATE)
    changed = _to_package_again(job, ctx, package, template) or excluded_since(job, ctx)
    if changed is not None:
        return changed
    if job.posts >= MOST_POSTS:
        raise _too_many(job)
    ctx.check_uploads_welcome()
    ctx.work.file(job.id, RECEIVED).unlink(missing_ok=True)  # it belonged to an earlier task
    ctx.audit_write(ATTEMPT, job, **_disclosed(job, ctx, package))  # else nothing may leave
    recorded = ctx.ledger.commit(_begun(job, ctx.files.host))
    name, tell = ctx.package_name(job, ctx.crosswalk(job)), ctx.progress.meter("bytes sent")
    server = ctx.server
    try:
        check_claim(ctx.ledger, job.id)
        with ctx.turns.released():
            task_id = server.upload(package, name=name, sha256=job.zip_sha256 or "", tell=tell)
    except DrawcliError as err:
        what = _outcome(err)
        ctx.audit_write_outcome(what, job, code=err.code)
        if what != UNANSWERED:
            ctx.ledger.commit(_not_taken(recorded, job, err, ctx.now()))
        elif isinstance(err, TryLater):  # the number of attempts is limited
            wait_seconds = max(err.wait_seconds or 0.0, BETWEEN_POSTS.total_seconds())
            raise err.replaced(wait_seconds=wait_seconds) from err
        raise
    ctx.audit_write_outcome(ANSWERED, job, task=task_id)
    facts = {"task_id": task_id, "uploaded_at": ctx.now(), "unanswered": job.unanswered}
    sent = recorded.to(State.UPLOADED, at=ctx.now(), **facts)
    if job.pet_counts:
        noted = sent.noted(ctx.now(), f"warning: {PET_COUNTS}")
        return noted.postponed(None, code="pet-counts", reason=PET_COUNTS)
    return sent


def _to_package_again(job: Job, ctx: Context, package: Path, template: Path) -> Job | None:
    """Return the job to be packaged again; None if its package can be sent."""
    whole = package.exists() and template.exists()
    if not whole or sha256_of(package) != job.zip_sha256:
        return job.to(State.MATCHED, at=ctx.now())  # built again, bit for bit the same
    crosswalk = ctx.crosswalk(job)
    if not job.posts and _is_of_frames(crosswalk):
        return job.to(State.MATCHED, at=ctx.now())
    if _has_other_policy(crosswalk, ctx.settings.deidentify.choices):
        after = job.to(State.MATCHED, at=ctx.now()).noted(ctx.now(), _OTHER_POLICY)
        return replace(after, due_at=ctx.now() + _REPACKED_AFTER)
    return None


def _begun(job: Job, host: str) -> Job:
    """Return a job with one more upload; its line is in the audit log of a host."""
    more = {one: getattr(job, one) + 1 for one in ("posts", "unanswered", "attested")}
    return replace(job, **more, attested_at=(*job.attested_at, *([host] if host else [])))


def _is_of_frames(crosswalk: Crosswalk) -> bool:
    """Return whether a package holds multi-frame images.

    Earlier versions sent such images, which the server cannot segment.
    """
    return crosswalk.sop_class in MULTI_FRAME and not crosswalk.frame_numbers


def _has_other_policy(crosswalk: Crosswalk, choices: Choices) -> bool:
    """Return whether a package was made under other settings, or by a version with another policy.

    Elements that the settings remove or no longer retain must not be sent.
    """
    if not crosswalk.sop_class:
        return True  # of an early version
    return crosswalk.policy != fingerprint(sent_class(crosswalk.sop_class, choices), choices)


def _disclosed(job: Job, ctx: Context, package: Path) -> dict[str, Any]:
    """Return the audit log's entry on what is sent, and to whom."""
    address = urlsplit(ctx.settings.server.url)
    with ZipFile(package) as whole:
        files = len(whole.namelist())
    return {
        "template": job.template,
        "zip_sha256": job.zip_sha256,
        "zip_bytes": package.stat().st_size,
        "files": files,
        "server": address.netloc,
        "client": ctx.settings.server.client_id,
        "number": job.posts + 1,
        "drawcli": __version__,
    }


def _outcome(err: DrawcliError) -> str:
    """Return the audit log's outcome of a failed upload."""
    if err.code in _NOT_BEGUN and not err.answered:
        return NOT_SENT
    answered = not isinstance(err, ServerUnavailable) or err.code in SERVER_TOOK_NOTHING
    return REFUSED if answered else UNANSWERED


def _not_taken(recorded: Job, before: Job, err: DrawcliError, now: datetime) -> Job:
    """Return a job whose upload the server refused; the attempt is not counted.

    An attempt at a wrong upload address is counted, because it ends the run each time.
    """
    if err.code == _NO_PLACE:
        answered = replace(recorded, unanswered=before.unanswered)
        return answered.failed(err, at=now, until=now + BETWEEN_POSTS)
    return replace(recorded, posts=before.posts, unanswered=before.unanswered)


def _too_many(job: Job) -> NeedsPerson:
    """Return the reason why a job is not sent again, with the outcomes of its uploads."""
    ends = list(_ends(job))
    outcomes = [f"{n} x {why}" for why, n in Counter(event.why for event in ends).items()]
    if job.posts > len(ends):
        outcomes.append(f"{job.posts - len(ends)} x no answer")
    text = f"{job.posts} uploads failed: {', '.join(outcomes)}"
    if {event.code for event in ends} == {_NO_PLACE}:
        hint = f"{ENDPOINT_HINT} 'drawcli retry {job.id}' sends it again."
        return NeedsPerson(text, code=_NO_PLACE, hint=hint)
    hint = (
        f"Ask the DRAW administrator what arrived. 'drawcli retry {job.id}' uploads it again; each "
        "upload that arrived is segmented, and its copy stays at the server."
    )
    return NeedsPerson(text, code="uploads-unanswered", hint=hint)


def _ends(job: Job) -> Iterator[Event]:
    """Yield the final events of counted uploads of a package, newest first."""
    for event in reversed(job.events):
        if event.kind is EventKind.RELEASED or event.reached(State.PACKAGED):
            return
        if event.kind is EventKind.FAILED and event.code in _COUNTED:
            yield event
