"""The outermost middleware: request checks, and the security headers of every response.

The content security policy allows only our own scripts and styles, responses are not cached, and
other sites cannot frame or read the page. A request with another Host is refused, against DNS
rebinding.
"""

import re
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from drawcli.dashboard.access.devices import COOKIE
from drawcli.dashboard.access.options import DashboardOptions
from drawcli.system.limits import PAGE_EDIT_BYTES, PAGE_FORM_BYTES, PAGE_MANY_BYTES

POLICY: Final = "; ".join(
    (
        *("default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'"),
        *("connect-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"),
    )
)
HEADERS: Final = {
    "content-security-policy": POLICY,
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_OVER_TLS: Final = {"strict-transport-security": "max-age=31536000"}
_LONGEST_PATH: Final = 512  # bytes, as it is sent
_LONGEST_QUERY: Final = 4096
_ESCAPES: Final = re.compile(rb"(?:[^%]|%[0-9A-Fa-f]{2})*")
_DIGITS: Final = 9
EDITING: Final = "/edit/"  # paths whose forms carry the text of a rule or template
MANY_JOBS: Final = "/held"  # its form names many jobs
_READS: Final = frozenset({"GET", "HEAD"})


class Guard:
    """Middleware around the whole application, its error pages included."""

    def __init__(self, app: ASGIApp, options: DashboardOptions) -> None:
        self._app = app
        self._hosts = options.hosts
        self._headers = HEADERS | (_OVER_TLS if options.over_tls else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            return
        by_tls = Headers(scope=scope).get("x-forwarded-proto", "").strip().lower() == "https"

        async def sealed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(self._headers)
                headers.raw.sort(key=_is_of_device)
                if by_tls:
                    _secure_cookies(headers)
            await send(message)

        refused = self._refusal(scope)
        await (refused or self._app)(scope, receive, sealed)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        """Return the refusal of a request; None if it is accepted."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if _name_in(host) not in self._hosts:
            return PlainTextResponse("drawcli: wrong host name\n", 421)
        if not _is_valid_address(scope):
            return PlainTextResponse("drawcli: invalid address\n", 400)
        if scope["method"] in _READS:
            if _is_same_site(headers) or _is_link(headers):
                return None
            return PlainTextResponse("drawcli: other sites may only link\n", 403)
        if scope["method"] != "POST":
            return PlainTextResponse("drawcli: GET and POST only\n", 405)
        return self._refusal_of_form(headers, host, _most_bytes(scope["path"]))

    def _refusal_of_form(self, headers: Headers, host: str, most: int) -> PlainTextResponse | None:
        if not self._is_own(headers, host):
            return PlainTextResponse("drawcli: the form came from another page\n", 403)
        length = headers.get("content-length", "")
        is_known = length.isdecimal() and "transfer-encoding" not in headers  # which overrides it
        if not is_known or len(length) > _DIGITS or int(length) > most:
            return PlainTextResponse("drawcli: the form is too large\n", 413)
        return None

    @staticmethod
    def _is_own(headers: Headers, host: str) -> bool:
        """Return whether a form came from our own page, by the browser's headers."""
        origins = (None, f"http://{host}", f"https://{host}")  # TLS by a proxy
        return _is_same_site(headers) and headers.get("origin") in origins


def _most_bytes(path: str) -> int:
    """Return the largest form of an address."""
    if path == MANY_JOBS:
        return PAGE_MANY_BYTES
    return PAGE_EDIT_BYTES if path.startswith(EDITING) else PAGE_FORM_BYTES


def _is_same_site(headers: Headers) -> bool:
    """Return whether our own page, a user or a program made the request."""
    return headers.get("sec-fetch-site", "none") in ("same-origin", "none")


def _is_link(headers: Headers) -> bool:
    """Return whether a user followed a link; the other site cannot read the page then."""
    navigates = headers.get("sec-fetch-mode") == "navigate"
    return navigates and headers.get("sec-fetch-dest") == "document"


def _is_valid_address(scope: Scope) -> bool:
    """Return whether path and query are short, printable and unambiguous."""
    path: str = scope["path"]
    sent, query = scope.get("raw_path") or b"", scope["query_string"]
    if len(sent) > _LONGEST_PATH or len(path) > _LONGEST_PATH or len(query) > _LONGEST_QUERY:
        return False
    if not _ESCAPES.fullmatch(sent) or not path.isprintable() or "\ufffd" in path or "\\" in path:
        return False
    return b"%2f" not in sent.lower() and not {".", ".."} & set(path.split("/"))


def _is_of_device(header: tuple[bytes, bytes]) -> bool:
    """Return whether a header is the device cookie: it comes last, as some programs read one."""
    return header[0] == b"set-cookie" and header[1].startswith(COOKIE.encode("ascii"))


def _secure_cookies(headers: MutableHeaders) -> None:
    """Mark cookies as secure, for a client whose request came over TLS to a proxy.

    A client that forges the header affects only its own cookies.
    """
    headers.raw[:] = [
        (name, value + b"; secure")
        if name == b"set-cookie" and b"secure" not in value.lower().split(b"; ")
        else (name, value)
        for name, value in headers.raw
    ]


def _name_in(host: str) -> str:
    """Return the name of a Host header without its port.

    >>> _name_in("127.0.0.1:8043"), _name_in("[::1]:8043"), _name_in("a:b:c")
    ('127.0.0.1', '[::1]', '')
    """
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port
    except ValueError:
        return ""
    name = parts.hostname or ""
    return f"[{name}]" if ":" in name else name
