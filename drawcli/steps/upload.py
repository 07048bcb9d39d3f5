"""PACKAGED -> UPLOADED: send the zip, keep the server's task id.

The one step that cannot be repeated without trace: if the answer to a POST is lost, the client
cannot learn the task id. So the attempt is in the ledger before the first byte goes out, the same
bytes go up again, and the number of blind tries is bounded. An attempt that the server plainly did
not take is not counted; one without an answer stays counted, for it may have left an orphan there.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from zipfile import ZipFile

from drawcli import __version__
from drawcli.adapters.workdir import PACKAGE, RECEIVED, TEMPLATE
from drawcli.auditlog import ANSWERED, ATTEMPT, NOT_SENT, REFUSED, UNANSWERED
from drawcli.context import Context
from drawcli.core.job import Job, State
from drawcli.errors import SERVER_TOOK_NOTHING, DrawcliError, NeedsPerson, ServerUnavailable
from drawcli.files import sha256_of

MOST_POSTS: Final = 5


def upload(job: Job, ctx: Context) -> Job:
    """Send the package of a job to the DRAW server."""
    package, template = ctx.work.file(job.id, PACKAGE), ctx.work.file(job.id, TEMPLATE)
    whole = package.exists() and template.exists()
    if not whole or sha256_of(package) != job.zip_sha256:
        return job.to(State.MATCHED, at=ctx.now())  # built again, bit for bit the same
    if job.posts >= MOST_POSTS:
        raise NeedsPerson(
            _told(job),
            code="uploads-unanswered",
            hint="Ask the server's administrator what arrived; 'drawcli retry' sends it again.",
        )
    ctx.check_uploads_welcome()
    ctx.work.file(job.id, RECEIVED).unlink(missing_ok=True)  # it belonged to an earlier task
    ctx.attest(ATTEMPT, job, **_disclosed(job, ctx, package))  # else nothing may leave
    begun = {name: getattr(job, name) + 1 for name in ("posts", "unanswered", "attested")}
    recorded = ctx.ledger.commit(replace(job, **begun))
    name, tell = ctx.package_name(job, ctx.crosswalk(job)), ctx.progress.meter("bytes sent")
    server = ctx.server
    try:
        with ctx.turns.given_up():
            task_id = server.upload(package, name=name, sha256=job.zip_sha256 or "", tell=tell)
    except DrawcliError as err:
        what = _outcome(err)
        ctx.attest_outcome(what, job, code=err.code)
        if what != UNANSWERED:
            ctx.ledger.commit(replace(recorded, posts=job.posts, unanswered=job.unanswered))
        raise
    ctx.attest_outcome(ANSWERED, job, task=task_id)
    facts = {"task_id": task_id, "uploaded_at": ctx.now(), "unanswered": job.unanswered}
    return recorded.to(State.UPLOADED, at=ctx.now(), **facts)


def _disclosed(job: Job, ctx: Context, package: Path) -> dict[str, Any]:
    """Return what is about to leave, and to whom, as the audit log has it."""
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
    """Return what an upload that failed means for what has left."""
    if err.code in ("server-down", "certificate"):
        return NOT_SENT
    answered = not isinstance(err, ServerUnavailable) or err.code in SERVER_TOOK_NOTHING
    return REFUSED if answered else UNANSWERED


def _told(job: Job) -> str:
    """Return how the uploads of a job went that were one too many."""
    if job.unanswered < job.posts:
        return f"{job.posts} uploads were begun; {job.unanswered} of them were not answered"
    return f"{job.posts} uploads were begun and none was answered"
