"""Checks of the server's responses, and their errors as drawcli errors.

A response is not trusted: its length is limited before and after decompression, text is decoded
as UTF-8 whatever charset it declares, and ambiguous JSON is refused.
"""

import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

import httpx

from drawcli.adapters.server.tls import proxy_auth_error, tls_error
from drawcli.errors import (
    ConfigError,
    RequestRefused,
    ServerRefused,
    ServerSilent,
    ServerUnavailable,
)
from drawcli.system.failures import cause_in_words
from drawcli.system.files import CHUNK
from drawcli.system.network.limit import bytes_in_words
from drawcli.system.printable import plain

TRY_LATER: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
_NOT_NOW: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
_OF_OUR_REQUEST: Final = range(400, 500)
PROXY_ASKS: Final = HTTPStatus.PROXY_AUTHENTICATION_REQUIRED
NO_SUCH_ENDPOINT: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED})
ENDPOINT_HINT: Final = (
    "Compare server.url and server.endpoints with what the administrator gave you."
)
_OF_ONE_TASK: Final = frozenset({"status", "rtstruct", "confirm"})
_NOT_YOU: Final = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.METHOD_NOT_ALLOWED})
_TASK_HINT: Final = (
    "Ask the administrator whose task this is; retry with 'drawcli release'. If it affects every "
    "job, compare server.url and server.endpoints with what the administrator gave you."
)
_TRANSPORT: Final[tuple[tuple[type[Exception], str], ...]] = (
    (httpx.ConnectTimeout, "no connection in time"),
    (httpx.ConnectError, "no connection"),
    (httpx.ProxyError, "the proxy refuses the connection"),
    (httpx.WriteTimeout, "the upload came to a standstill"),
    (httpx.TimeoutException, "no answer in time"),
    (httpx.ProtocolError, "the connection broke off, or the answer is not HTTP"),
    (httpx.NetworkError, "the connection broke"),
    (httpx.UnsupportedProtocol, "the address begins with neither https:// nor http://"),
    (httpx.DecodingError, "the answer cannot be decompressed"),
    (httpx.TooManyRedirects, "the server redirects without end"),
)
_LONGEST_EXCERPT: Final = 200
_LONGEST_PAUSE: Final = 86_400.0  # seconds; a longer Retry-After is cut to this


def check_response(answer: httpx.Response, endpoint: str) -> httpx.Response:
    """Return a successful response; raise any other as a drawcli error.

    Raises
    ------
    ServerRefused
        On 401.
    ServerUnavailable
        On 408, 429, 5xx and statuses outside 200 to 499.
    ConfigError
        On redirects, 403, 404, 405 and 407.
    RequestRefused
        On every other 4xx, and 403 or 405 of a single task.
    """
    code = answer.status_code
    text = f"{endpoint}: {code}"
    if answer.is_success:
        return answer
    if code == HTTPStatus.UNAUTHORIZED:
        raise ServerRefused(text)
    if code == PROXY_ASKS:
        raise proxy_auth_error(answer.request.url.scheme)
    redirects = 300 <= code < 400  # noqa: PLR2004 - RFC 9110, section 15.4
    if code in TRY_LATER or not (redirects or code in _OF_OUR_REQUEST):
        busy = code in _NOT_NOW
        raise ServerUnavailable(
            text, code="server-busy" if busy else None, wait_seconds=_retry_after(answer)
        )
    where = f"the server answers {code} at {answer.request.url.path}"
    if endpoint in _OF_ONE_TASK and code in _NOT_YOU:
        raise RequestRefused(where, code="endpoint", hint=_TASK_HINT)
    if redirects or code in NO_SUCH_ENDPOINT | _NOT_YOU:
        raise ConfigError(where, code="endpoint", hint=ENDPOINT_HINT)
    secret = answer.request.headers.get("authorization", "").removeprefix("Bearer ")
    hint = "Ask the DRAW administrator why the server refuses this request."
    raise RequestRefused(f"{text}: {_excerpt(answer.content, secret)}", hint=hint)


def iter_body(answer: httpx.Response, most: int) -> Iterator[bytes]:
    """Yield the body of a streamed response as it arrives, decompressed, in non-empty pieces.

    Parameters
    ----------
    answer
        A response whose body has not been read.
    most
        Largest size of the body in bytes, compressed and decompressed.

    Raises
    ------
    TooLong
        If the body is larger.
    ServerUnavailable
        If its content coding was not requested, or its bytes are not of that coding.
    """
    came, total = 0, 0
    unpack = _unpacker(answer)
    for raw in _as_it_comes(answer):
        came += len(raw)
        for piece in unpack(raw):
            total += len(piece)
            if total > most:
                break
            yield piece
        if max(came, total) > most:
            raise TooLong(f"an answer of more than {bytes_in_words(most)}")
    if came:
        unpack.check_end()


@contextmanager
def convert_http2_errors() -> Iterator[None]:
    """Raise errors that a peer can cause over HTTP/2 in httpcore (1.0.9) as errors of httpx.

    A status that is not a number raises ValueError, a body of the wrong length an error of h2.
    """
    try:
        yield
    except _oddities() as err:
        raise httpx.RemoteProtocolError(type(err).__name__) from None


def _oddities() -> tuple[type[Exception], ...]:
    from h2.exceptions import H2Error  # loaded only when needed

    return ValueError, LookupError, AssertionError, H2Error


def _as_it_comes(answer: httpx.Response) -> Iterator[bytes]:
    with convert_http2_errors():
        yield from answer.stream  # type: ignore[misc] # of a synchronous client


class TooLong(ServerUnavailable):
    """A response is larger than the protocol needs."""


def _unpacker(answer: httpx.Response) -> "_Plain":
    coding = answer.headers.get("content-encoding", "").strip().lower()
    if coding in ("", "identity"):
        return _Plain()
    if coding in ("gzip", "x-gzip"):  # the coding that `tls.open_client` asks for
        return _Gzip()
    raise ServerUnavailable("the answer has a content coding that was not requested")


class _Plain:
    """Decoder of a body that is not compressed."""

    def __call__(self, raw: bytes) -> Iterator[bytes]:
        """Yield the next bytes decoded."""
        if raw:
            yield raw

    def check_end(self) -> None:
        """Raise ServerUnavailable where the body ends too early."""


class _Gzip(_Plain):
    """Decoder of a gzip body, in pieces of limited size."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)

    def __call__(self, raw: bytes) -> Iterator[bytes]:
        """Yield the next bytes decompressed."""
        full = True
        while (raw or full) and not self._stream.eof:
            try:
                piece = self._stream.decompress(raw, CHUNK)
            except zlib.error:
                raise ServerUnavailable("the answer is not valid gzip") from None
            raw, full = self._stream.unconsumed_tail, len(piece) == CHUNK
            if piece:
                yield piece

    def check_end(self) -> None:
        """Raise ServerUnavailable where the body ends too early."""
        if not self._stream.eof:
            raise ServerUnavailable("the answer ends too early")


def _excerpt(content: bytes, secret: str = "") -> str:
    """Return the beginning of a response text: one line, printable, without the token."""
    text = content.decode("utf-8", "replace")
    line = " ".join((text.replace(secret, "...") if secret else text).split())
    return plain(line)[:_LONGEST_EXCERPT]


def json_object(answer: httpx.Response, endpoint: str) -> dict[str, Any]:
    """Return the JSON object of a response; raise ServerUnavailable if there is none."""
    plain = _parsed(answer)
    if not isinstance(plain, dict):
        raise ServerUnavailable(f"{endpoint}: an answer without JSON; is a proxy in the way?")
    return plain


def json_list(answer: httpx.Response, endpoint: str) -> list[Any]:
    """Return the JSON array of a response; raise ServerUnavailable if there is none."""
    plain = _parsed(answer)
    if not isinstance(plain, list):
        raise ServerUnavailable(f"{endpoint}: an answer without a list; is a proxy in the way?")
    return plain


def _parsed(answer: httpx.Response) -> Any:
    return plain_json(answer.content)


def plain_json(content: bytes, *, strict: bool = True) -> Any:
    """Return the value of a JSON text; None if it is not JSON.

    `strict` also refuses a key with two values, NaN and Infinity (RFC 8259, sections 4 and 6).
    """
    hooks: dict[str, Any] = {"object_pairs_hook": _object, "parse_constant": _no_number}
    try:
        return json.loads(content, **(hooks if strict else {}))
    except (ValueError, RecursionError):
        return None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    plain = dict(pairs)
    if len(plain) < len(pairs) and any(plain[key] != value for key, value in pairs):
        raise ValueError("a key with two values")
    return plain


def _no_number(text: str) -> Any:
    raise ValueError(text)


def _retry_after(answer: httpx.Response) -> float | None:
    """Return the Retry-After of a response in seconds: a number or a date (RFC 9110, 10.2.3)."""
    text = answer.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), _LONGEST_PAUSE)
    try:
        until = parsedate_to_datetime(text)
        since = parsedate_to_datetime(answer.headers.get("date", ""))  # the same clock
        return min(max((until - since).total_seconds(), 0.0), _LONGEST_PAUSE)
    except (ValueError, TypeError, OverflowError):
        return None


@contextmanager
def convert_transport_errors(endpoint: str) -> Iterator[None]:
    """Raise errors of httpx as drawcli errors, without their texts, which may quote addresses."""
    try:
        yield
    except httpx.TransportError as err:
        if (trouble := tls_error(err)) is not None:
            raise trouble from None
        if isinstance(err, httpx.ProxyError) and str(err).startswith(f"{PROXY_ASKS:d} "):
            raise proxy_auth_error("https") from None  # only https sends CONNECT to a proxy
        text = f"{endpoint}: {_transport_words(err)}"
        if isinstance(err, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
            raise ServerUnavailable(text, code="server-down") from None
        if isinstance(err, httpx.TimeoutException):
            raise ServerSilent(text) from None
        raise ServerUnavailable(text, code="server-lost") from None
    except httpx.HTTPError as err:
        raise ServerUnavailable(f"{endpoint}: {_transport_words(err)}") from None


def _transport_words(err: httpx.HTTPError) -> str:
    """Return what happened to a request, with the cause that the operating system gives."""
    words = next((text for kind, text in _TRANSPORT if isinstance(err, kind)), "no usable answer")
    cause = cause_in_words(err)
    return f"{words}; {cause}" if cause and isinstance(err, httpx.ConnectError) else words


def check_empty_or_object(answer: httpx.Response, endpoint: str) -> None:
    """Raise ServerUnavailable if a response is neither empty nor a JSON object."""
    if answer.content:
        json_object(answer, endpoint)


def bearer(token: str) -> dict[str, str]:
    """Return the header that carries a token (RFC 6750)."""
    return {"authorization": f"Bearer {token}"}
