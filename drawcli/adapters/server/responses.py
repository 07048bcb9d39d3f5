"""What an answer of the server means: a good one is returned, any other is an error of ours.

Nothing of an answer is trusted: its length is bounded on the way and decompressed, its words are
decoded as UTF-8 whatever it says of itself, and of JSON only what has one meaning is taken.
"""

import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

import httpx

from drawcli.adapters.server.tls import proxy_refusal, tls_trouble
from drawcli.errors import (
    ConfigError,
    RequestRefused,
    ServerRefused,
    ServerSilent,
    ServerUnavailable,
)
from drawcli.system.files import CHUNK
from drawcli.system.limits import bytes_in_words
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
    "Ask the administrator whose task this is; 'drawcli release' asks again. Where it is so with "
    "every job, compare server.url and server.endpoints with what the administrator gave you."
)
_LONGEST_WORDS: Final = 200
_LONGEST_PAUSE: Final = 86_400.0  # seconds; a server that asks for more is asked again all the same


def checked_response(answer: httpx.Response, endpoint: str) -> httpx.Response:
    """Return a good answer; turn any other into one of our errors."""
    code = answer.status_code
    what = f"{endpoint}: {code}"
    if answer.is_success:
        return answer
    if code == HTTPStatus.UNAUTHORIZED:
        raise ServerRefused(what)
    if code == PROXY_ASKS:
        raise proxy_refusal(answer.request.url.scheme)
    redirects = 300 <= code < 400  # noqa: PLR2004 - RFC 9110, section 15.4
    if code in TRY_LATER or not (redirects or code in _OF_OUR_REQUEST):
        busy = code in _NOT_NOW
        raise ServerUnavailable(
            what, code="server-busy" if busy else None, wait_seconds=_retry_after(answer)
        )
    where = f"the server answers {code} at {answer.request.url.path}"
    if endpoint in _OF_ONE_TASK and code in _NOT_YOU:
        raise RequestRefused(where, code="endpoint", hint=_TASK_HINT)
    if redirects or code in NO_SUCH_ENDPOINT | _NOT_YOU:
        raise ConfigError(where, code="endpoint", hint=ENDPOINT_HINT)
    secret = answer.request.headers.get("authorization", "").removeprefix("Bearer ")
    raise RequestRefused(f"{what}: {_safe_words(answer.content, secret)}")


def pieces_of(answer: httpx.Response, most: int) -> Iterator[bytes]:
    """Yield the body of an answer as it comes, decompressed; no piece is empty.

    Parameters
    ----------
    answer
        Its head is here.
    most
        How many bytes the body may have, on the way and decompressed.

    Raises
    ------
    TooLong
        Where it has more.
    ServerUnavailable
        Where it is coded in a way that was not asked for, or not as it says.
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
def oddities_named() -> Iterator[None]:
    """Turn errors that a peer can cause over HTTP/2 in httpcore (1.0.9) into those of httpx.

    A status that is no number ends in a ValueError, and a body that is not as long as its head says
    in an error of h2.
    """
    try:
        yield
    except _oddities() as err:
        raise httpx.RemoteProtocolError(type(err).__name__) from None


def _oddities() -> tuple[type[Exception], ...]:
    from h2.exceptions import H2Error  # not loaded where it is not spoken

    return ValueError, LookupError, AssertionError, H2Error


def _as_it_comes(answer: httpx.Response) -> Iterator[bytes]:
    with oddities_named():
        yield from answer.stream  # type: ignore[misc] # of a synchronous client


class TooLong(ServerUnavailable):
    """An answer is longer than any that the protocol needs."""


def _unpacker(answer: httpx.Response) -> "_Plain":
    coding = answer.headers.get("content-encoding", "").strip().lower()
    if coding in ("", "identity"):
        return _Plain()
    if coding in ("gzip", "x-gzip"):  # what `connection` asks for
        return _Gzip()
    raise ServerUnavailable("an answer in a coding that was not asked for")


class _Plain:
    """A body that is not compressed."""

    def __call__(self, raw: bytes) -> Iterator[bytes]:
        """Yield what is in the next bytes."""
        if raw:
            yield raw

    def check_end(self) -> None:
        """Raise ServerUnavailable where the body ends too early."""


class _Gzip(_Plain):
    """A body in gzip, unpacked by pieces of a fixed size."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)

    def __call__(self, raw: bytes) -> Iterator[bytes]:
        """Yield what is in the next bytes."""
        full = True
        while (raw or full) and not self._stream.eof:
            try:
                piece = self._stream.decompress(raw, CHUNK)
            except zlib.error:
                raise ServerUnavailable("an answer that is not coded as it says") from None
            raw, full = self._stream.unconsumed_tail, len(piece) == CHUNK
            if piece:
                yield piece

    def check_end(self) -> None:
        """Raise ServerUnavailable where the body ends too early."""
        if not self._stream.eof:
            raise ServerUnavailable("an answer that ends too early")


def _safe_words(content: bytes, secret: str = "") -> str:
    """Return the server's own words: one line, printable, cut short, without our token."""
    text = content.decode("utf-8", "replace")
    words = " ".join((text.replace(secret, "...") if secret else text).split())
    return plain(words)[:_LONGEST_WORDS]


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
    return plain_json(answer.content)


def plain_json(content: bytes, *, strict: bool = True) -> Any:
    """Return what a JSON text holds; None where it is none.

    Nor is it one where a key has two values, or a number is none (RFC 8259, sections 4 and 6);
    unless it is not strict: then the last value counts.
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


def _no_number(word: str) -> Any:
    raise ValueError(word)


def _retry_after(answer: httpx.Response) -> float | None:
    """Return how long the server asks us to wait, seconds: it names a span or a date (RFC 9110)."""
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


def check_empty_or_object(answer: httpx.Response, endpoint: str) -> None:
    """Raise ServerUnavailable where an answer is neither empty nor a JSON object."""
    if answer.content:
        json_object(answer, endpoint)


def bearer(token: str) -> dict[str, str]:
    """Return the header that carries a token (RFC 6750)."""
    return {"authorization": f"Bearer {token}"}
