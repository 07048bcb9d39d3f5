"""The endpoints of a DRAW server, each a short function."""

import re
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from json import JSONDecodeError
from typing import Any, Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from drawcli.sandbox import NOTICE
from drawcli.sandbox.accounts import Accounts, TokenPair
from drawcli.sandbox.catalogue import as_json
from drawcli.sandbox.middleware import Endpoint, check_form, strictly
from drawcli.sandbox.options import SandboxOptions
from drawcli.sandbox.page import page
from drawcli.sandbox.tasks import Arrival, Status, Task, Tasks, WrongChecksum
from drawcli.sandbox.worker import Worker

_NEW: Final = 2  # the dialect of the second client
_OLD_READY: Final = "SEGMENTATION COMPLETE"  # the word that the first client knows
_NO_STORE: Final = {"Cache-Control": "no-store"}
_ONLY_THIS_PAGE: Final = "default-src 'none'; style-src 'unsafe-inline'"


@dataclass(frozen=True, slots=True)
class ApiParts:
    """The objects that the endpoints use."""

    accounts: Accounts
    tasks: Tasks
    worker: Worker
    options: SandboxOptions


async def home(request: Request) -> Response:
    """Show the page with the tasks."""
    headers = _NO_STORE | {"Content-Security-Policy": _ONLY_THIS_PAGE}
    return HTMLResponse(page(_parts(request).tasks.all()), headers=headers)


async def health(request: Request) -> Response:
    """Report that uploads are accepted; needs no token."""
    waiting = sum(
        task.status in (Status.PENDING, Status.PROCESSING) for task in _parts(request).tasks.all()
    )
    return _json({"status": "healthy", "details": {"queue": waiting}})


async def models(request: Request) -> Response:
    """List the models; the response is a list, so the notice is in each entry."""
    options = _parts(request).options
    if options.dialect == _NEW:
        _client(request)
    version = 1 if options.same_catalogue else options.model_version
    return JSONResponse(as_json(options.catalogue, version))


async def upload(request: Request) -> Response:
    """Accept a zip; the parts of the form are on disk, not in memory, during the upload."""
    client = _client(request)
    parts = _parts(request)
    key = request.headers.get("Idempotency-Key") if parts.options.honour_idempotency_key else None
    async with request.form(max_files=1, max_fields=8) as form:
        if parts.options.strict:
            check_form(request, form)
        file, checksum = form.get("file"), form.get("checksum")
        if not isinstance(file, UploadFile) or not isinstance(checksum, str):
            raise HTTPException(HTTPStatus.BAD_REQUEST, "the form needs a file and its checksum")
        name = file.filename or ""
        if not name.endswith(".zip"):
            raise HTTPException(HTTPStatus.BAD_REQUEST, "the name of the file does not end .zip")
        if key and (known := parts.tasks.by_key(key)):
            return _accepted(known, parts.options)
        arrival = Arrival(
            zip_name=name,
            checksum=checksum,
            client_id=str(form.get("client_id") or client),
            idempotency_key=key,
        )
        try:
            task = await run_in_threadpool(parts.tasks.accept, file.file, arrival)
        except WrongChecksum:
            raise HTTPException(HTTPStatus.BAD_REQUEST, "checksum mismatch") from None
    parts.worker.take(task)
    return _accepted(task, parts.options)


async def status(request: Request) -> Response:
    """Return the status of a task."""
    _client(request)
    task = _task(request)
    options = _parts(request).options
    word = task.status.value
    if task.status is Status.COMPLETED and options.dialect != _NEW:
        word = _OLD_READY
    answer = {"task_id": task.task_id, "status": word}
    return _json(answer | ({"error": task.error} if task.error and not options.realistic else {}))


async def download(request: Request) -> Response:
    """Send the RTSTRUCT; 404 before it exists and after its confirmation."""
    _client(request)
    task = _task(request)
    if task.status is not Status.COMPLETED:
        raise HTTPException(HTTPStatus.NOT_FOUND, f"no RTSTRUCT here: {task.status}")
    content = await run_in_threadpool(_parts(request).tasks.rtstruct(task.task_id).read_bytes)
    headers = {
        "X-File-Checksum": str(task.rtstruct_sha256),
        "Content-Disposition": f'attachment; filename="SANDBOX_RTSTRUCT_{task.task_id}.dcm"',
    }
    if _parts(request).options.ranges:
        return _part(request, content, _NO_STORE | headers)
    return Response(content, media_type="application/dicom", headers=_NO_STORE | headers)


def _part(request: Request, content: bytes, headers: dict[str, str]) -> Response:
    """Return the requested range up to the end of the file (RFC 9110, 14); else the whole file."""
    etag = f'"{headers["X-File-Checksum"][:16]}"'
    headers = headers | {"Accept-Ranges": "bytes", "ETag": etag}
    found = re.fullmatch(r"bytes=(\d+)-", request.headers.get("Range", ""))
    if found is None or request.headers.get("If-Range", etag) != etag:
        return Response(content, media_type="application/dicom", headers=headers)
    start, size = int(found[1]), len(content)
    if start >= size:
        headers["Content-Range"] = f"bytes */{size}"
        return Response(status_code=416, headers=headers)
    headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
    return Response(content[start:], 206, headers, media_type="application/dicom")


async def confirm(request: Request) -> Response:
    """Delete the files of a task after the client's confirmation; 404 for a second one."""
    _client(request)
    task = _task(request)
    if await request.body():  # the first client sends none
        _check_confirmation(await _body(request), task)
    if task.status is Status.CONFIRMED:
        raise HTTPException(HTTPStatus.NOT_FOUND, "confirmed before, the files are gone")
    if task.status is not Status.COMPLETED:
        raise HTTPException(HTTPStatus.CONFLICT, f"there is nothing to confirm: {task.status}")
    await run_in_threadpool(_parts(request).tasks.confirm, task)
    return _json({"message": "Transfer confirmation received, files cleaned up"})


def _check_confirmation(body: dict[str, Any], task: Task) -> None:
    if body.get("task_id") != task.task_id or body.get("status") != "received":
        raise HTTPException(HTTPStatus.BAD_REQUEST, "not a confirmation of this task")
    try:
        datetime.fromisoformat(str(body.get("timestamp")))
    except ValueError:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "timestamp: not ISO 8601") from None


async def refresh(request: Request) -> Response:
    """Exchange a refresh token for a new pair, with its lifetime."""
    pair = _renewed(request)
    seconds = _parts(request).options.token_lifetime.total_seconds()
    return _json(_tokens(pair) | {"expires_in": int(seconds)}, headers=_NO_STORE)


async def refresh_legacy(request: Request) -> Response:
    """Exchange a refresh token of an older client, which sends its id and expects the expiry."""
    if not isinstance((await _body(request)).get("client_id"), str):
        raise HTTPException(HTTPStatus.BAD_REQUEST, "client_id is missing")
    pair = _renewed(request)
    return _json(_tokens(pair) | {"expires_at": pair.expires_at.isoformat()}, headers=_NO_STORE)


_ROUTES: Final[tuple[tuple[str, str, str, Endpoint], ...]] = (
    ("health", "GET", "/api/health", health),
    ("models", "GET", "/api/models", models),
    ("upload", "POST", "/api/upload", upload),
    ("status", "GET", "/api/upload/{task_id}/status", status),
    ("download", "GET", "/api/rtstruct/{task_id}", download),
    ("confirm", "POST", "/api/rtstruct/{task_id}/confirm", confirm),
    ("refresh", "POST", "/api/token/refresh", refresh),
    ("refresh", "POST", "/auth/refresh", refresh_legacy),
)


def routes(*, strict: bool = False) -> list[Route]:
    """Return every endpoint, with and without a trailing slash."""
    return [Route("/", home, methods=["GET"])] + [
        Route(path + slash, strictly(endpoint) if strict else endpoint, methods=[method], name=name)
        for name, method, path, endpoint in _ROUTES
        for slash in ("", "/")
    ]


async def refusal(_: Request, error: Exception) -> Response:
    """Return an error as JSON."""
    if not isinstance(error, HTTPException):
        return _json({"detail": "the client disconnected"}, status_code=HTTPStatus.BAD_REQUEST)
    return _json({"detail": error.detail}, status_code=error.status_code, headers=error.headers)


def _parts(request: Request) -> ApiParts:
    parts: ApiParts = request.app.state.parts
    return parts


def _bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _client(request: Request) -> str:
    """Return the client of the request's access token, or raise 401."""
    client = _parts(request).accounts.client_of(_bearer(request))
    if client is None:
        raise _unauthorized("access")
    return client


def _renewed(request: Request) -> TokenPair:
    pair = _parts(request).accounts.refresh(_bearer(request))
    if pair is None:
        raise _unauthorized("refresh")
    return pair


def _unauthorized(kind: str) -> HTTPException:
    headers = {"WWW-Authenticate": "Bearer"}
    return HTTPException(HTTPStatus.UNAUTHORIZED, f"no valid {kind} token", headers)


def _task(request: Request) -> Task:
    task = _parts(request).tasks.get(request.path_params["task_id"])
    if task is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "unknown task")
    return task


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = await request.json()
    except (JSONDecodeError, UnicodeDecodeError):
        body = None
    if not isinstance(body, dict):
        raise HTTPException(HTTPStatus.BAD_REQUEST, "the body is not a JSON object")
    return body


def _tokens(pair: TokenPair) -> dict[str, Any]:
    return {
        "access_token": pair.access_token,
        "refresh_token": pair.refresh_token,
        "token_type": "Bearer",
    }


def _accepted(task: Task, options: SandboxOptions) -> Response:
    word = "task_id" if options.dialect == _NEW else "transaction_token"
    return _json({word: task.task_id, "status": task.status.value}, status_code=HTTPStatus.ACCEPTED)


def _json(content: dict[str, Any], **more: Any) -> Response:
    return JSONResponse(content | {"notice": NOTICE}, **more)
