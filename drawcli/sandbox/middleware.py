"""Around the endpoints: requests are counted, responses bear the notice, faults are injected.

In strict mode, a request that neither of the DRAW clients nor drawcli sends is refused.
"""

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from http import HTTPStatus
from json import JSONDecodeError
from typing import Final

from starlette.datastructures import FormData, MutableHeaders, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Message, Receive, Scope, Send

from drawcli.sandbox import NOTICE
from drawcli.sandbox.fault_injection import FaultlessServer, play, wrapped
from drawcli.sandbox.faults import Panel

Endpoint = Callable[[Request], Awaitable[Response]]
_UPLOAD: Final = "/api/upload/"
_REFRESH: Final = "/api/token/refresh/"
_OLD_REFRESH: Final = "/auth/refresh"
_SENT_PATHS: Final = re.compile(
    rf"/|/api/health/?|/api/models/?|{_UPLOAD}([^/]+/status/)?|/api/rtstruct/[^/]+/(confirm/)?"
    rf"|{_REFRESH}|{_OLD_REFRESH}"
)
_SENT_FIELDS: Final = ({"file", "checksum"}, {"file", "checksum", "client_id"})
_CONFIRMATION: Final = {"task_id", "status", "timestamp"}


class SandboxMiddleware:
    """An ASGI application around another; it knows the names of the endpoints."""

    def __init__(
        self,
        server: FaultlessServer,
        panel: Panel,
        *,
        endpoints: Sequence[Route],
        requests: Counter[str],
    ) -> None:
        self._server = server
        self._panel = panel
        self._endpoints = endpoints
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count a request, inject its faults, and add the notice to its response."""
        name = self._name(scope)
        self._requests[name] += 1

        async def send_with_notice(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Sandbox-Notice"] = NOTICE
            await send(message)

        faults = self._panel.next(name)
        await play(faults, self._server, scope, receive, wrapped(send_with_notice, send))

    def _name(self, scope: Scope) -> str:
        """Return the name of the endpoint of a request."""
        found = [(each.matches(scope)[0], each.name) for each in self._endpoints]
        exact = (name for match, name in found if match is Match.FULL)
        of_path = (name for match, name in found if match is Match.PARTIAL)  # another method
        return next(exact, next(of_path, "unknown"))


def strictly(endpoint: Endpoint) -> Endpoint:
    """Return an endpoint that refuses, with 400, what no client sends."""

    async def checked(request: Request) -> Response:
        _refuse(_oddity(request) or await _odd_body(request))
        return await endpoint(request)

    return checked


def check_form(request: Request, form: FormData) -> None:
    """Refuse an upload that no client sends (strict mode)."""
    file, checksum = form.get("file"), str(form.get("checksum"))
    names = [name for name, _value in form.multi_items()]
    if set(names) not in _SENT_FIELDS or len(set(names)) < len(names):
        _refuse(f"a form of {', '.join(sorted(names))}")
    if not isinstance(file, UploadFile) or file.content_type != "application/zip":
        _refuse("a file that is not application/zip")
    elif not re.fullmatch(r"[A-Za-z0-9_.-]+\.zip", file.filename or ""):
        _refuse("such a name of the zip; they have letters, digits, '_', '.' and '-'")
    if not re.fullmatch(r"[0-9a-f]{64}", checksum):
        _refuse("a checksum that is not 64 hex digits in lower case")
    if request.headers.get("Idempotency-Key", checksum) != checksum:
        _refuse("an Idempotency-Key other than the checksum")


def _oddity(request: Request) -> str | None:
    """Return what no client sends: path, method or headers; None if all is as usual."""
    headers, path = request.headers, request.url.path
    length = headers.get("Content-Length")
    has_body = length not in (None, "0") or "Transfer-Encoding" in headers
    if not _SENT_PATHS.fullmatch(path) or request.url.query:
        return f"{request.method} {path}{'?' if request.url.query else ''}: see the trailing slash"
    if not re.fullmatch(r"Bearer \S+", headers.get("Authorization", "Bearer none")):
        return "an Authorization that is not 'Bearer TOKEN'"
    if request.method != "POST" and (request.method != "GET" or has_body):
        return f"{request.method} {'with a body' if has_body else path}"
    if path == _UPLOAD and length is None:
        return "an upload without Content-Length"
    return None


async def _odd_body(request: Request) -> str | None:
    """Return which body no client sends; None if it is as usual. A form is not read here."""
    path = request.url.path
    if request.method != "POST" or path == _UPLOAD:
        return None
    try:
        keys = set(await request.json()) if await request.body() else set()
    except (JSONDecodeError, UnicodeDecodeError, TypeError):
        return "a body that is not a JSON object"
    if path in (_REFRESH, _OLD_REFRESH):
        usual = keys == ({"client_id"} if path == _OLD_REFRESH else set())
    else:
        usual = keys in (set(), _CONFIRMATION)
    return None if usual else f"a body of {sorted(keys)} to {path}"


def _refuse(what: str | None) -> None:
    if what is not None:
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"strict: no client sends {what}")
