"""A planning system: it takes a delivered structure set, edits it, approves it, exports it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from drawcli.core.jobs.job import Job
from drawcli.pipeline.context import Context
from drawcli.pipeline.results import delivery_path
from drawcli.pipeline.runner import Selection, run_once

EXPORTED: dict[str, Any] = {"StructureSetDate": "20261114", "StructureSetTime": "170000"}
APPROVED: dict[str, Any] = EXPORTED | {
    "ApprovalStatus": "APPROVED",
    "ReviewDate": "20261115",
    "ReviewTime": "090000",
}


def deliver(ctx: Context) -> Job:
    """Run the cycle until the only job is done."""
    for _ in range(3):
        list(run_once(ctx, Selection()))
    (job,) = ctx.ledger.jobs()
    assert job.state == "done"
    return job


def delivered_file(job: Job, ctx: Context) -> Path:
    """Return the path of the delivered structure set."""
    path = delivery_path(job, ctx)
    assert path is not None
    return path


def exported(
    job: Job,
    ctx: Context,
    change: Callable[[Dataset], None] | None = None,
    *,
    to: Path | None = None,
    **values: Any,
) -> Path:
    """Write what the planning system exports: the delivered set with another UID, and changes."""
    path = delivered_file(job, ctx)
    dataset = dcmread(path)
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.SeriesInstanceUID = generate_uid()
    for keyword, value in (EXPORTED | values).items():
        setattr(dataset, keyword, value)
    if change is not None:
        change(dataset)
    target = (to or path.parent) / f"CL.{dataset.SOPInstanceUID}.dcm"
    target.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(target)
    return target


def move_first_roi(dataset: Dataset, mm: float = 3.0) -> None:
    """Move the contours of the first ROI to the left."""
    for contour in dataset.ROIContourSequence[0].ContourSequence:
        data = [float(value) for value in contour.ContourData]
        moved = [value + mm if axis % 3 == 0 else value for axis, value in enumerate(data)]
        contour.ContourData = [f"{value:.10g}" for value in moved]
