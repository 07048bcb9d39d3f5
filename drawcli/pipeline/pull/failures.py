"""Why a series is not complete, as errors for people."""

from typing import TYPE_CHECKING, Final

from drawcli.core.dicom_service.object_store import NotStored
from drawcli.errors import DiskFull, JobError, NeedsPerson, TryLater
from drawcli.system.printable import counted

if TYPE_CHECKING:
    from drawcli.pipeline.pull.collecting import Collector

FEWER: Final = "archive-fewer"


def has_fewer(who: str, other: str) -> TryLater:
    """Return the error for an archive without images that another one has named."""
    return TryLater(
        f"{who} has not all images of a series that {other} has named",
        code=FEWER,
        hint="The series is complete when the other archive has sent it.",
    )


def no_room(err: NotStored) -> DiskFull:
    """Return the error for a folder without room."""
    return DiskFull(
        f"no pulled image can be stored: {err.outcome.comment}",
        hint="Free some space: see receive.keep_free_gib. The next pull continues.",
    )


def incomplete(who: str, left: int, asked: int, collector: "Collector") -> JobError:
    """Return the error for a retrieval after which instances are missing."""
    images = counted(asked, "image")
    if collector.conflicts:
        return NeedsPerson(
            f"{who} has {counted(collector.conflicts, 'image')} whose SOP Instance UID is known "
            "with other content; kept apart",
            code="pull-conflict",
            hint="Compare them in .drawcli-conflicts of the folder.",
        )
    refused = collector.refused()
    why = f": {refused}" if refused else ""
    extra = f"; it sent {collector.unexpected} others" if collector.unexpected else ""
    return TryLater(
        f"{who} did not send {left} of {images}{why}{extra}",
        code="archive-incomplete",
        hint="Does it have the images online, and does it send them to this AE title?",
    )
