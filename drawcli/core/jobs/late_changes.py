"""Changes to jobs whose images were added, removed or changed after the upload."""

from dataclasses import replace
from datetime import datetime
from typing import Final, Literal

from drawcli.core.jobs.job import Job, State
from drawcli.errors import NeedsPerson

SENT_ANEW: Final = "sent-again"  # the reason code of a job that a newer one replaces
CHANGED: Final = "changed-after-upload"
Late = Literal["ignore", "flag", "resend"]  # for images that change after the upload


def cancel_replaced(
    job: Job, at: datetime, newest: str, why: str = "the series changed after it was sent"
) -> Job:
    """Return a job cancelled in favour of a newer one for the current series."""
    reason = f"{why}; job {newest} sends the current images"
    after = job.to(State.CANCELLED, at=at, task_id=None)
    return after.postponed(None, code=SENT_ANEW, reason=reason)


def hold_changed(job: Job, at: datetime, files: int, digest: str) -> Job:
    """Return the job held, once per change, because its contours are of the former images."""
    err = NeedsPerson(
        f"the series changed after it was sent: {job.slices} files then, {files} now",
        code=CHANGED,
        hint=f"'drawcli release {job.id}' delivers the contours of the images that were sent; "
        f"'drawcli assign {job.id} {job.template}' uploads the current images.",
    )
    return replace(job.held_for(err, at=at), late_digest=digest)


def note_changed(job: Job, at: datetime, files: int, digest: str) -> Job:
    """Return a delivered job with a note, once per change, that its images changed."""
    why = f"{job.slices} files were sent, there are {files} now"
    return replace(job.noted(at, "changed later", why), late_digest=digest)
