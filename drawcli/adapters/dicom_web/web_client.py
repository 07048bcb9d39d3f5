"""HTTP requests to a DICOMweb target: TLS, proxy, credentials, deadlines, bounded answers."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple

import httpx

from drawcli import __version__
from drawcli.adapters.dicom_web.credentials import Credentials
from drawcli.errors import ServerSilent
from drawcli.system.addresses import is_loopback
from drawcli.system.failures import cause_in_words, in_words
from drawcli.system.limits import NODE_ANSWER_BYTES, NODE_SECONDS
from drawcli.system.network.client_tls import (
    TlsFiles,
    client_context,
    empty_context,
    tls_failure,
)
from drawcli.system.network.http_client import open_http_client
from drawcli.system.pacing import (
    Deadline,
    after_abandoned_calls,
    read_with_deadline,
    with_deadline,
)

if TYPE_CHECKING:
    import ssl

    from drawcli.config.sections_pull import PullSource
    from drawcli.config.sections_targets import Target

_STALL_SECONDS: Final = 60.0  # while sending, without progress
_TLS_HINT: Final = (
    "Compare 'tls' of the target with what its administrator gave you; tls.ca_file names the "
    "authority that has signed its certificate."
)
_NOT_CONNECTED: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError)
_TRANSPORT: Final[tuple[tuple[type[Exception], str], ...]] = (
    (httpx.ConnectTimeout, "did not accept a connection in time"),
    (httpx.ConnectError, "cannot be reached"),
    (httpx.ProxyError, "cannot be reached: the proxy refuses the connection"),
    (httpx.WriteTimeout, f"accepted no data for {_STALL_SECONDS:.0f} seconds"),
    (httpx.TimeoutException, "did not answer in time"),
    (httpx.ProtocolError, "closed the connection before it answered, or does not answer by HTTP"),
    (httpx.NetworkError, "broke the connection"),
)


class WebFailure(Exception):
    """A request got no valid answer; the text is a predicate, the hint may be ""."""

    def __init__(self, why: str, hint: str = "", *, never_connected: bool = False) -> None:
        super().__init__(why)
        self.hint, self.never_connected = hint, never_connected


class Answer(NamedTuple):
    """The answer to a request."""

    status: int
    media_type: str
    body: bytes
    allow: str = ""  # the header of that name
    warning: str = ""  # the header of that name
    tls: str = ""  # such as TLSv1.3; "" over plain http
    certificate: Mapping[str, object] | None = None  # of the other side

    @property
    def is_redirect(self) -> bool:
        """Whether it names another address."""
        return HTTPStatus.MULTIPLE_CHOICES <= self.status < HTTPStatus.BAD_REQUEST

    @property
    def accepts_post(self) -> bool:
        """Whether an answer to OPTIONS allows POST; also if it names no methods."""
        return not self.allow or "POST" in self.allow.upper()


@dataclass(frozen=True, slots=True)
class WebTarget:
    """How to connect to a DICOMweb target."""

    is_local: bool  # plain http on this machine: no proxy, no TLS
    is_plain: bool
    tls: "ssl.SSLContext"
    credentials: Credentials

    @classmethod
    def of(cls, target: "Target | PullSource", url: str) -> "WebTarget":
        """Return the connection of a target or a source; raise ConfigError if a file is bad."""
        is_plain, files = url.startswith("http:"), TlsFiles()
        if target.tls is not None:
            files = TlsFiles(target.tls.ca_file, target.tls.cert, target.tls.key)
        return cls(
            is_local=is_plain and is_loopback(url),
            is_plain=is_plain,
            tls=empty_context() if is_plain else client_context(files),
            credentials=Credentials(target.token_file, target.token_command),
        )


@contextmanager
def open_target_client(web: WebTarget) -> Iterator[httpx.Client]:
    """Yield an HTTP client; nothing is sent yet."""
    headers = {"user-agent": f"drawcli/{__version__}", "accept-encoding": "identity"}
    if authorization := web.credentials.header():
        headers["authorization"] = authorization
    timeout = httpx.Timeout(
        NODE_SECONDS["answer"], connect=NODE_SECONDS["connect"], write=_STALL_SECONDS
    )
    with open_http_client(timeout, headers, web.tls, with_proxy=not web.is_local) as client:
        yield client


class WebRequest(NamedTuple):
    """A request."""

    method: str
    url: str
    headers: Mapping[str, str] = {}
    content: Callable[[], Iterator[bytes]] | None = None


def exchange(
    client: httpx.Client, request: WebRequest, deadline: Deadline, most: int = NODE_ANSWER_BYTES
) -> Answer:
    """Send a request; return its whole answer, of at most so many bytes.

    Raises
    ------
    WebFailure
        If there is no answer in time, or it is too long or compressed.
    """

    def ask() -> Answer:
        body = None if request.content is None else request.content()
        headers = dict(request.headers)
        with client.stream(request.method, request.url, headers=headers, content=body) as response:
            return _read(response, deadline, most)

    with translated_failures():
        return with_deadline(deadline, ask, lambda _late: None)


class WebDownload(NamedTuple):
    """An answer that is being received."""

    status: int
    media_type: str
    pieces: Iterator[bytes]  # raise WebFailure


@contextmanager
def open_download(
    client: httpx.Client, request: WebRequest, deadline: Deadline
) -> Iterator[WebDownload]:
    """Send a request; yield its answer, piece by piece; each piece extends the deadline.

    Raises
    ------
    WebFailure
        If there is no answer in time, or it is compressed.
    """
    built = client.build_request(request.method, request.url, headers=dict(request.headers))

    def send() -> httpx.Response:
        return client.send(built, stream=True)

    with translated_failures():
        response = with_deadline(deadline, send, lambda late: late.close())
    try:
        _check_plain(response)
        pieces = read_with_deadline(response.iter_raw(), deadline, response.close)
        yield WebDownload(
            response.status_code, response.headers.get("content-type", ""), _translated(pieces)
        )
    finally:
        after_abandoned_calls(response.close)


def _translated(pieces: Iterator[bytes]) -> Iterator[bytes]:
    with translated_failures():
        yield from pieces


@contextmanager
def translated_failures() -> Iterator[None]:
    """Raise WebFailure for the errors of a request."""
    try:
        yield
    except ServerSilent:
        raise WebFailure("did not answer in time") from None
    except httpx.HTTPError as err:
        raise _failure(err) from None
    except OSError as err:  # of TLS while reading
        raise WebFailure(f"broke the connection: {in_words(err)}") from None


def _check_plain(response: httpx.Response) -> None:
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise WebFailure("sends a compressed answer, which was not asked for")


def _read(response: httpx.Response, deadline: Deadline, most: int) -> Answer:
    _check_plain(response)
    body = bytearray()
    for piece in response.iter_raw():
        deadline.check()
        body += piece
        deadline.grow(len(piece))
        if len(body) > most:
            raise WebFailure(f"sends an answer of more than {most:,} bytes")
    secured = response.extensions["network_stream"].get_extra_info("ssl_object")
    return Answer(
        status=response.status_code,
        media_type=response.headers.get("content-type", ""),
        body=bytes(body),
        allow=response.headers.get("allow", ""),
        warning=response.headers.get("warning", ""),
        tls="" if secured is None else str(secured.version()),
        certificate=None if secured is None else secured.getpeercert(),
    )


def _failure(err: httpx.HTTPError) -> WebFailure:
    """Return the failure of a request; no text of a library, which may quote an address."""
    never = isinstance(err, _NOT_CONNECTED)
    failure = tls_failure(err)
    if failure is not None:
        return WebFailure(failure.in_words(), _TLS_HINT, never_connected=True)
    for kind, words in _TRANSPORT:
        if isinstance(err, kind):
            cause = cause_in_words(err)
            return WebFailure(f"{words}: {cause}" if cause else words, never_connected=never)
    return WebFailure("gives no valid answer")
