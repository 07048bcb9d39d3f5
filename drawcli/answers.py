"""What an answer of the server means: a good one is returned, any other is an error of ours."""

from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

import httpx

from drawcli.connection import proxy_refusal, tls_trouble
from drawcli.errors import (
    ConfigError,
    RequestRefused,
    ServerRefused,
    ServerSilent,
    ServerUnavailable,
)

TRY_LATER: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
_NOT_NOW: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
PROXY_ASKS: Final = HTTPStatus.PROXY_AUTHENTICATION_REQUIRED
NO_SUCH_ENDPOINT: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED})
ENDPOINT_HINT: Final = (
    "Compare server.url and server.endpoints with what the administrator gave you."
)
_OF_ONE_TASK: Final = frozenset({"status", "rtstruct", "confirm"})
_NOT_YOU: Final = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.METHOD_NOT_ALLOWED})
_TASK_HINT: Final = (
    "Ask the administrator whose task this is; 'drawcli release' asks again. Where it is so with "
    "every job, compare server.url and server.endpoints with what the administrator gave you."
)
_LONGEST_WORDS: Final = 200
_LONGEST_PAUSE: Final = 86_400.0  # seconds; a server that asks for more is asked again all the same


def judged(answer: httpx.Response, endpoint: str) -> httpx.Response:
    """Return a good answer; turn any other into one of our errors."""
    code = answer.status_code
    what = f"{endpoint}: {code}"
    if answer.is_success:
        return answer
    if code == HTTPStatus.UNAUTHORIZED:
        raise ServerRefused(what)
    if code == PROXY_ASKS:
        raise proxy_refusal(answer.request.url.scheme)
    if code in TRY_LATER or answer.is_server_error:
        busy = code in _NOT_NOW
        raise ServerUnavailable(
            what, code="server-busy" if busy else None, wait_seconds=_retry_after(answer)
        )
    where = f"the server answers {code} at {answer.request.url.path}"
    if endpoint in _OF_ONE_TASK and code in _NOT_YOU:
        raise RequestRefused(where, code="endpoint", hint=_TASK_HINT)
    if answer.is_redirect or code in NO_SUCH_ENDPOINT | _NOT_YOU:
        raise ConfigError(where, code="endpoint", hint=ENDPOINT_HINT)
    secret = answer.request.headers.get("authorization", "").removeprefix("Bearer ")
    raise RequestRefused(f"{what}: {_safe_words(answer.text, secret)}")


def _safe_words(text: str, secret: str = "") -> str:
    """Return the server's own words: one line, printable, cut short, without our token."""
    words = " ".join((text.replace(secret, "...") if secret else text).split())
    return "".join(char for char in words if char.isprintable())[:_LONGEST_WORDS]


def json_object(answer: httpx.Response, endpoint: str) -> dict[str, Any]:
    """Return the object an answer holds; raise ServerUnavailable where it holds none."""
    plain = _parsed(answer)
    if not isinstance(plain, dict):
        raise ServerUnavailable(f"{endpoint}: an answer without JSON; is a proxy in the way?")
    return plain


def json_list(answer: httpx.Response, endpoint: str) -> list[Any]:
    """Return the list an answer holds; raise ServerUnavailable where it holds none."""
    plain = _parsed(answer)
    if not isinstance(plain, list):
        raise ServerUnavailable(f"{endpoint}: an answer without a list; is a proxy in the way?")
    return plain


def _parsed(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except (ValueError, RecursionError):
        return None


def _retry_after(answer: httpx.Response) -> float | None:
    """Return how long the server asks us to wait, seconds: it names a span or a date (RFC 9110)."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), _LONGEST_PAUSE)
    try:
        until = parsedate_to_datetime(text)
        since = parsedate_to_datetime(answer.headers.get("date", ""))  # the same clock
        return min(max((until - since).total_seconds(), 0.0), _LONGEST_PAUSE)
    except (ValueError, TypeError):
        return None


@contextmanager
def transport_named(endpoint: str) -> Iterator[None]:
    """Turn what the network does into one of our errors; its text may hold addresses."""
    try:
        yield
    except httpx.TransportError as err:
        if (trouble := tls_trouble(err)) is not None:
            raise trouble from None
        if isinstance(err, httpx.ProxyError) and str(err).startswith(f"{PROXY_ASKS:d} "):
            raise proxy_refusal("https") from None  # only there a proxy is asked for the way itself
        what = f"{endpoint}: {type(err).__name__}"
        if isinstance(err, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
            raise ServerUnavailable(what, code="server-down") from None
        if isinstance(err, httpx.TimeoutException):
            raise ServerSilent(what) from None
        raise ServerUnavailable(what, code="server-lost") from None
    except httpx.HTTPError as err:
        raise ServerUnavailable(f"{endpoint}: {type(err).__name__}") from None
