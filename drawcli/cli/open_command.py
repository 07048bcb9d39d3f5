"""open: the picture, work folder or structure set of a job, with the program of the desktop."""

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drawcli.cli import render
from drawcli.cli.door import Door, IdentifyOption, command
from drawcli.cli.job_commands import JobArgument
from drawcli.cli.render import Result
from drawcli.errors import UsageError

if TYPE_CHECKING:
    from drawcli.core.jobs.job import Job
    from drawcli.pipeline.context import Context


class JobPart(StrEnum):
    """What of a job is opened."""

    PICTURE = "picture"
    PAGE = "page"
    FOLDER = "folder"
    FILE = "file"


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "open")(open_)


def open_(
    door: Door,
    job: JobArgument,
    part: Annotated[
        JobPart,
        typer.Argument(
            help="picture: the contours on the images, drawn if need be; page: all slices in a "
            "browser; folder: the job's work folder; file: its delivered structure set."
        ),
    ] = JobPart.PICTURE,
    only_print: Annotated[
        bool, typer.Option("--print", help="Print the path; open nothing.")
    ] = False,
    identify: IdentifyOption = False,
) -> Result:
    """Open the picture, folder or structure set of a job.

    Without a desktop, as over ssh, its path is printed. The path of a structure set may name the
    patient: it is printed only with --identify.
    """
    from drawcli.pipeline.actions import find_job

    door.check_identify(identify=identify)
    with door.context(dry_run=True) as ctx:
        found = find_job(job, ctx)
        path = _path_of(part, found, ctx)
    why = "" if only_print else _opened(path)
    shown = str(path) if identify or part is not JobPart.FILE else ""
    if only_print and not shown:
        raise UsageError("the path may name the patient: --identify prints it, on a terminal")
    data = {
        "job": found.id,
        "part": str(part),
        "path": shown or None,
        "opened": not (only_print or why),
        "why_not": why or None,
    }
    if only_print:
        return Result(data=data, show=render.verbatim(f"{shown}\n"))
    where = shown or "it may name the patient: --identify prints it"
    rows = [("not opened", why), ("path", where)] if why else [("opened", shown or found.id)]
    return Result(data=data, show=render.lines(rows))


def _opened(path: Path) -> str:
    """Open a path; return why it cannot be opened, or ""."""
    from drawcli.system.desktop import NoDesktop, open_path

    try:
        open_path(path, os.environ)
    except NoDesktop as err:
        return str(err)
    return ""


def _path_of(part: JobPart, job: "Job", ctx: "Context") -> Path:
    """Return what to open; a picture that is missing is drawn."""
    from drawcli.pipeline.results import delivery_path

    if part is JobPart.FILE:
        path = delivery_path(job, ctx) if job.delivered_sha256 else None
        if path is None and job.delivered_sha256:
            raise UsageError(
                f"the structure set of job {job.id} is in no folder: it was delivered by DICOM",
                hint=f"'drawcli redeliver {job.id} --to DIR' writes it into one.",
            )
        if path is None or not path.is_file():
            gone = "was delivered, and is not there any more" if path else "is not delivered yet"
            again = f"'drawcli redeliver {job.id}' delivers it again."
            hint = again if path else f"'drawcli show {job.id}' says what the job waits for."
            raise UsageError(f"the structure set of job {job.id} {gone}", hint=hint)
        return path
    if not ctx.work.has_folder(job.id):
        raise UsageError(
            f"job {job.id} has no work folder any more",
            hint="It is removed some time after a job is finished: deliver.keep_days.",
        )
    if part is JobPart.FOLDER:
        return ctx.work.file(job.id, "")
    return _drawn(part, job, ctx)


def _drawn(part: JobPart, job: "Job", ctx: "Context") -> Path:
    from drawcli.adapters.state.workdir import PREVIEW_PAGE, PREVIEW_SHEET

    path = ctx.work.file(job.id, PREVIEW_SHEET if part is JobPart.PICTURE else PREVIEW_PAGE)
    if not path.is_file():
        from drawcli.pipeline.preview import preview_of, store_preview

        store_preview(preview_of(job, ctx), job, ctx)
    return path
