"""Files of a job to download: pictures, report, and the structure set as it was delivered.

Names of files hold the job's id, and nothing of the patient. Pictures show pixels, so they need a
login; the structure set names the patient, so it is for who may see patients, and each download is
in the audit log.
"""

import logging
from collections.abc import Callable
from functools import partial
from typing import Final, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from drawcli.adapters.state.workdir import REPORT
from drawcli.core.jobs.job import Job
from drawcli.dashboard.access.rights import Right, Visitor, require, visitor_of
from drawcli.dashboard.pages.pictures import require_login
from drawcli.dashboard.view import PageParts, parts_of
from drawcli.pipeline.preview import Preview
from drawcli.pipeline.results import delivered_data
from drawcli.system.threads import call_with_timeout

_log = logging.getLogger(__name__)
_SECONDS: Final = 60.0  # for the folder of the planning system


class Download(NamedTuple):
    """A kind of file of a job."""

    title: str
    ending: str  # of its name, after the job's id
    media_type: str
    about: str


KINDS: Final = {
    "sheet": Download("Preview sheet", "-sheet.png", "image/png", "all structures on one picture"),
    "page": Download("Preview page", ".html", "text/html", "every slice, opens without network"),
    "report": Download("Report of the checks", "-report.json", "application/json", "as JSON"),
    "structures": Download(
        "Structure set", "-RTSTRUCT.dcm", "application/dicom", "as delivered; names the patient"
    ),
}


def downloads_of(job: Job, parts: PageParts, visitor: Visitor) -> dict[str, Download]:
    """Return what a visitor may download of a job."""
    work = parts.site.ctx.work
    pictures = parts.entry.requires_login and parts.previews.can_show(job)
    named = bool(job.delivered_sha256) and work.has_folder(job.id)
    is_there = {
        "sheet": pictures,
        "page": pictures,
        "report": work.file(job.id, REPORT).is_file(),
        "structures": named and visitor.may(Right.PATIENTS),
    }
    return {kind: one for kind, one in KINDS.items() if is_there[kind]}


def download(request: Request) -> Response:
    """Return a file of a job."""
    parts, kind = parts_of(request), request.path_params["kind"]
    if kind not in KINDS:
        raise HTTPException(404, "There is no such file.")
    read = _READERS[kind](request, parts)
    job = parts.site.job(request.path_params["job"])
    if kind not in downloads_of(job, parts, visitor_of(request)):
        raise HTTPException(404, "The job has no such file.")
    if kind == "structures":
        parts.site.record(visitor_of(request).name, "download", job)
    _log.info("job=%s file=%s from=page", job.id, kind)
    name = f"drawcli-{job.id}{KINDS[kind].ending}"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(read(job), media_type=KINDS[kind].media_type, headers=headers)


def _sheet(_request: Request, parts: PageParts) -> Callable[[Job], bytes]:
    require_login(parts)
    return partial(_drawn, parts, Preview.sheet)


def _page(_request: Request, parts: PageParts) -> Callable[[Job], bytes]:
    require_login(parts)
    return partial(_drawn, parts, Preview.page)


def _drawn(parts: PageParts, draw: Callable[[Preview], bytes], job: Job) -> bytes:
    with parts.previews.use(job) as preview:
        return draw(preview)


def _report(_request: Request, parts: PageParts) -> Callable[[Job], bytes]:
    return lambda job: parts.site.ctx.work.file(job.id, REPORT).read_bytes()


def _structures(request: Request, parts: PageParts) -> Callable[[Job], bytes]:
    require(request, Right.PATIENTS)
    return partial(_delivered, parts)


def _delivered(parts: PageParts, job: Job) -> bytes:
    try:
        return call_with_timeout(partial(delivered_data, job, parts.site.ctx), _SECONDS)
    except TimeoutError:
        raise HTTPException(503, "The folder with the structure set does not answer.") from None


_READERS: Final = {"sheet": _sheet, "page": _page, "report": _report, "structures": _structures}
