"""What becomes of a job whose images came, went or changed after they were sent."""

from dataclasses import replace
from datetime import datetime
from typing import Literal

from drawcli.core.jobs.job import Job, State
from drawcli.errors import NeedsPerson

Late = Literal["ignore", "flag", "resend"]  # what to do about images that change once sent


def cancel_replaced(job: Job, at: datetime, newest: str) -> Job:
    """Return a job cancelled in favour of another, which sends the series as it is now."""
    reason = f"the series changed after it was sent; job {newest} sends it as it is now"
    return job.to(State.CANCELLED, at=at).postponed(None, code="sent-again", reason=reason)


def hold_changed(job: Job, at: datetime, files: int, digest: str) -> Job:
    """Return the job held, once for each change: the contours would be those of other images."""
    err = NeedsPerson(
        f"the series changed after it was sent: {job.slices} files then, {files} now",
        code="changed-after-upload",
        hint=f"'drawcli release {job.id}' delivers the contours of what was sent; "
        "'drawcli assign' sends the series as it is now.",
    )
    return replace(job.held_for(err, at=at), late_digest=digest)


def note_changed(job: Job, at: datetime, files: int, digest: str) -> Job:
    """Return a delivered job that says, once for each change, that its contours are of others."""
    why = f"{job.slices} files were sent, there are {files} now"
    return replace(job.noted(at, "changed later", why), late_digest=digest)
