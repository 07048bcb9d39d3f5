"""The page beside browsers that drip, flood, lie, read nothing, or vanish; over raw sockets."""

import http.client
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from drawcli.dashboard import connections
from drawcli.dashboard.access.options import DashboardOptions
from drawcli.dashboard.access.password import Secret
from drawcli.dashboard.serve import make_server, open_listener
from drawcli.dashboard.snapshot import SiteReader as Shown
from drawcli.pipeline.context import Context
from drawcli.system.limits import EXCHANGES, PAGE_FORM_BYTES, PAGE_HEAD_BYTES
from drawcli.system.network.closed_connections import ClosedConnections
from tests.conftest import Clock, Site, opened
from tests.dashboard.conftest import QUICK, WORDS
from tests.fake_draw import FakeDraw
from tests.tls import Authority

LONG = 120.0  # seconds: any machine is quicker, and nothing that hangs is
HEAD = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n"
HALF = HEAD + b"X: "
FORM = (
    b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n\r\ncsrf="
)
LIVE = b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@dataclass(frozen=True)
class Page:
    """A page that is served on loopback."""

    port: int

    def connected(self, data: bytes = b"") -> socket.socket:
        """Connect and send some bytes."""
        stream = socket.create_connection(("127.0.0.1", self.port), timeout=LONG)
        stream.sendall(data)
        return stream

    def status(self, path: str = "/login") -> int:
        """Ask as a person does; return the status."""
        asking = http.client.HTTPConnection("127.0.0.1", self.port, timeout=LONG)
        asking.request("GET", path)
        status = asking.getresponse().status
        asking.close()
        return status


Serving = Callable[..., Page]
Hurry = Callable[..., None]


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> Hurry:
    """Return a function that shortens the times of the table."""

    def shorten(**seconds: float) -> None:
        for name, value in seconds.items():
            row = f"page-{name}"
            monkeypatch.setitem(EXCHANGES, row, EXCHANGES[row]._replace(seconds=value))

    return shorten


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> int:
    """Let the page take few connections; return how many from one network."""
    monkeypatch.setattr(connections, "PAGE_CONNECTIONS", 16)
    return 8


@pytest.fixture
def serving(ctx: Context, site: Site, draw: FakeDraw, clock: Clock) -> Iterator[Serving]:
    """Return a function that serves the page of the site on loopback."""
    with ExitStack() as ends:

        def serve(*, password: str = "", **options: object) -> Page:
            secret = Secret(site.state, QUICK)
            if password:
                secret.store(password)
            shown = Shown(ctx, lambda: opened(site, draw, clock), site.config)
            return ends.enter_context(
                served(shown, DashboardOptions(port=0, **options), secret)  # type: ignore[arg-type] # any
            )

        yield serve


@contextmanager
def served(shown: Shown, options: DashboardOptions, secret: Secret) -> Iterator[Page]:
    with open_listener(options) as listener:
        port = listener.getsockname()[1]
        server = make_server(shown, replace(options, port=port), secret, listener)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        while not server.started:
            time.sleep(0.01)
        try:
            yield Page(port)
        finally:
            server.should_exit = True
            thread.join()


def answer(stream: socket.socket) -> bytes:
    """Return what comes until the other side closes; fail where it does not."""
    whole = b""
    try:
        while piece := stream.recv(1 << 16):
            whole += piece
    except ConnectionError:
        pass
    except TimeoutError:
        pytest.fail("the connection stays open")
    return whole


def answered(page: Page, data: bytes) -> bytes:
    """Return what the page says to some bytes, or b"" if it never says anything.

    On a busy machine the time of a connection may be over before the bytes are sent: then again.
    """
    for _ in range(20):
        with suppress(ConnectionError), page.connected(data) as stream:
            if said := answer(stream):
                return said
    return b""


def drip(stream: socket.socket, drop: bytes = b"a") -> None:
    """Send some bytes now and then until nobody takes them."""
    ends = time.monotonic() + LONG
    while time.monotonic() < ends:
        stream.sendall(drop)
        time.sleep(0.01)


HALVES = {
    "silent": b"",
    "a line": b"GET / HT",
    "a head": HALF,
    "a form": FORM,
    "empty lines": b"\r\n",
    "behind a whole one": HEAD + b"\r\n" + HALF,
    "behind a refused one": FORM.replace(b": 100", b": 99999"),
}


@pytest.mark.parametrize("half", HALVES.values(), ids=HALVES)
def test_half_a_request_ends_in_time(serving: Serving, hurry: Hurry, half: bytes) -> None:
    hurry(request=0.3)
    page = serving(password=WORDS)
    if half not in (HALF, FORM):
        with page.connected(half) as stream:
            answer(stream)
        return
    said = answered(page, half)

    assert said.startswith(b"HTTP/1.1 408 ")
    assert b"content-security-policy" in said


@pytest.mark.parametrize("half", [HALF, FORM, b"\r\n"], ids=["head", "form", "empty lines"])
def test_a_request_that_drips_ends_in_time(serving: Serving, hurry: Hurry, half: bytes) -> None:
    hurry(request=0.5)
    with serving(password=WORDS).connected(half) as stream:
        drop = b"\r\n" if half == b"\r\n" else b"a"
        dripping = threading.Thread(target=lambda: suppressed(lambda: drip(stream, drop)))
        dripping.start()
        answer(stream)
        dripping.join()


@pytest.mark.parametrize("begun", [b"", b"\x16\x03\x01", HALF])
def test_who_does_not_speak_tls_is_closed_in_time(
    serving: Serving, hurry: Hurry, tmp_path: Path, begun: bytes
) -> None:
    cert, key = Authority(tmp_path).certificate("127.0.0.1")
    hurry(request=0.3)
    page = serving(password=WORDS, tls_cert=cert, tls_key=key)

    with page.connected(begun) as stream:
        answer(stream)


def test_over_tls_a_newcomer_gets_in_beside_many_that_do_not_speak_it(
    serving: Serving, narrow: int, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.certificate("127.0.0.1")
    page = serving(password=WORDS, tls_cert=cert, tls_key=key)
    trusting = ssl.create_default_context(cafile=str(authority.file))

    with ExitStack() as held:
        streams = [held.enter_context(page.connected()) for _ in range(3 * narrow)]
        asking = http.client.HTTPSConnection("127.0.0.1", page.port, timeout=LONG, context=trusting)
        asking.request("GET", "/login")
        status = asking.getresponse().status
        asking.close()
        for stream in streams[:narrow]:
            answer(stream)  # it had to go, without waiting for its time

    assert status == 200


def test_what_connections_leave_is_freed_after_each_few_of_them(
    serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[ClosedConnections] = []

    def add(own: ClosedConnections) -> None:
        counted.append(own)

    monkeypatch.setattr(ClosedConnections, "add", add)
    page = serving(password=WORDS)

    for _ in range(5):
        page.status()

    assert len(counted) == 5
    assert len(set(counted)) == 1


@pytest.mark.parametrize("half", [b"", HALF, FORM])
def test_a_person_gets_answers_beside_more_half_requests_than_there_is_room_for(
    serving: Serving, narrow: int, caplog: pytest.LogCaptureFixture, half: bytes
) -> None:
    page = serving(password=WORDS)
    with ExitStack() as held:
        streams = [held.enter_context(page.connected(half)) for _ in range(10 * narrow)]
        statuses = [page.status() for _ in range(5)]
        for stream in streams[: 8 * narrow]:
            answer(stream)  # it had to go, without waiting for its time

    assert statuses == [200] * 5
    told: list[str] = []
    ends = time.monotonic() + LONG
    while not told and time.monotonic() < ends:
        told = [line for line in caplog.messages if line.startswith("page=crowded closed=")]
        time.sleep(0.05)
    assert len(told) == 1
    assert told[0].endswith(" most=this machine")


def test_a_head_without_end_is_refused_before_it_fills_anything(serving: Serving) -> None:
    with serving().connected(HEAD) as stream:
        with suppress(OSError):
            for _ in range(100):
                stream.sendall(b"X: " + b"a" * 1000 + b"\r\n")
        said = answer(stream)

    assert said[:12] in (b"HTTP/1.1 400", b"")
    assert PAGE_HEAD_BYTES < 100_000


def test_a_body_without_end_is_given_up(serving: Serving) -> None:
    sent = 0
    with serving(password=WORDS).connected(FORM.replace(b": 100", b": 999999999")) as stream:
        with suppress(OSError):
            while sent < 1 << 30:
                sent += stream.send(bytes(1 << 16))
        said = answer(stream)

    assert b"HTTP/1.1 413" in said or said == b""
    assert sent < 1 << 28  # what the system holds between two sockets
    assert PAGE_FORM_BYTES < 1 << 18


def test_who_reads_nothing_is_given_up(serving: Serving, hurry: Hurry) -> None:
    hurry(answer=0.3)
    asked = b"GET /static/style.css HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    page = serving(password=WORDS)
    with socket.socket() as stream:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 12)
        stream.settimeout(LONG)
        stream.connect(("127.0.0.1", page.port))
        with pytest.raises(ConnectionError):
            drip(stream, asked)
        assert page.status() == 200


def test_who_reads_a_little_now_and_then_is_given_up(serving: Serving, hurry: Hurry) -> None:
    hurry(answer=0.5)
    page = serving(password=WORDS)
    asked = b"GET /static/style.css HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n" * 1000
    with socket.socket() as stream:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 12)
        stream.settimeout(LONG)
        stream.connect(("127.0.0.1", page.port))
        sending = threading.Thread(target=lambda: suppressed(lambda: stream.sendall(asked)))
        sending.start()
        read, begun = 0, time.monotonic()
        with suppress(ConnectionError):
            while (piece := stream.recv(100)) and time.monotonic() < begun + LONG:
                read += len(piece)
                time.sleep(0.01)
        sending.join()

    assert time.monotonic() < begun + LONG
    assert read < 1000 * 5000


def suppressed(act: Callable[[], object]) -> None:
    with suppress(OSError):
        act()


# Streams.


def head_of(stream: socket.socket) -> bytes:
    return stream.recv(1 << 12)[:12]


def test_no_more_streams_than_the_limit_also_at_once(serving: Serving, narrow: int) -> None:
    page, most = serving(), narrow // 2
    with ExitStack() as held:
        streams = [held.enter_context(page.connected()) for _ in range(narrow)]
        for stream in streams:
            stream.sendall(LIVE)
        heads = [head_of(stream) for stream in streams]
        others = page.status("/jobs")

    assert heads.count(b"HTTP/1.1 200") == most
    assert heads.count(b"HTTP/1.1 503") == narrow - most
    assert others == 200


@pytest.mark.parametrize("leaves", [True, False], ids=["goes", "is gone without a word"])
def test_a_stream_gives_its_place_back(
    serving: Serving, narrow: int, hurry: Hurry, *, leaves: bool
) -> None:
    if not leaves:
        hurry(live=1.0)
    page, most = serving(), narrow // 2
    with ExitStack() as held:
        streams = [held.enter_context(page.connected(LIVE)) for _ in range(most)]
        assert {head_of(stream) for stream in streams} == {b"HTTP/1.1 200"}
        if leaves:
            held.close()
        ends = time.monotonic() + LONG
        again = b""
        while again != b"HTTP/1.1 200" and time.monotonic() < ends:
            with page.connected(LIVE) as stream:
                again = head_of(stream)
            time.sleep(0.05)

    assert again == b"HTTP/1.1 200"


def test_a_stream_ends_with_a_word_on_which_the_page_opens_another(
    serving: Serving, hurry: Hurry
) -> None:
    hurry(live=0.5, request=0.5)
    said = answered(serving(), LIVE)

    script = (Path(connections.__file__).parent / "static/page.js").read_text(encoding="utf-8")
    assert b"event: again" in said
    assert 'addEventListener("again", () => { stream.close(); listen(); })' in script


# Lies: what no browser sends.

ODD = (
    "x" * 5000,
    "x" * 400,
    "1" * 5000,
    "%00",
    "a%00b",
    "%2f",
    "..",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "%5c..%5c",
    "%ED%A0%80",
    "%zz",
    "%",
    "%e",
    "%FF",
    "%C3%A9",
    "%E2%80%AE",
    "%0d%0aX:y",
    "%7f",
    "%c2%80",
    "CON",
    "nul.txt",
    "a:b",
    "1" * 400,
    "-1",
    "99999999999999999999999",
    "%D9%A3",
    "1.2.840.1",
    "%7b%7b7*7%7d%7d",
)
ROUTES = (
    "/{}",
    "/jobs/{}",
    "/jobs/{}/pictures",
    "/jobs/{}/pictures/axial/3.png",
    "/jobs/feedfacecafe-1/pictures/{}/3.png",
    "/jobs/feedfacecafe-1/pictures/axial/{}.png",
    "/jobs/feedfacecafe-1/{}",
    "/templates/{}",
    "/static/{}",
    "/static/a/{}",
)
QUERIES = (
    *(f"/jobs?{key}={{}}" for key in ("in", "q", "state", "template", "page", "rows", "sort")),
    "/rules?job={}",
    "/edit/templates?template={}",
    "/templates/Prostate_OAR?saved={}",
    "/jobs/feedfacecafe-1?done={}",
    "/jobs/feedfacecafe-1/pictures?structure={}",
    "/?{}",
)


def asked(page: Page, paths: list[str], more: bytes = b"Accept: text/html\r\n") -> dict[str, bytes]:
    """Ask for some addresses, each over a connection of its own."""
    said = {}
    for path in paths:
        line = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n".encode()
        with page.connected(line + more + b"\r\n") as stream:
            said[path] = answer(stream)
    return said


@pytest.mark.usefixtures("held")
def test_an_absurd_address_is_not_there_and_no_bug(serving: Serving) -> None:
    said = asked(serving(), [route.format(odd) for route in ROUTES for odd in ODD])

    statuses = {path[:80]: one[9:12] for path, one in said.items()}
    allowed = (b"400", b"403", b"404")
    assert {path: one for path, one in statuses.items() if one not in allowed} == {}
    assert all(b"content-security-policy" in one for one in said.values())


@pytest.mark.usefixtures("held")
def test_an_absurd_query_is_no_bug(serving: Serving) -> None:
    said = asked(serving(), [query.format(odd) for query in QUERIES for odd in ODD])

    statuses = {path[:80]: one[9:12] for path, one in said.items()}
    assert set(statuses.values()) <= {b"200", b"400", b"403", b"404"}


TYPES = (
    "",
    "text/plain",
    "multipart/form-data",
    "multipart/form-data; boundary=" + "x" * 3000,
    "multipart/form-data; boundary=x; charset=zip",
    "multipart/form-data; boundary=x; charset=undefined",
    "multipart/form-data; boundary=x; charset=unicode_escape",
)
BODIES = (
    b"",
    b"\xff" * 100,
    b"=&" * 5000,
    b"csrf=%ED%A0%80&password=%00",
    b'--x\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n\\ud800\r\n--x--\r\n',
    b'--x\r\nContent-Disposition: form-data; name="csrf"; filename="a"\r\n\r\nabc\r\n--x--\r\n',
    b"--x\r\n" + b"A: b\r\n" * 900,
)


def test_a_form_that_is_none_is_refused(serving: Serving) -> None:
    page = serving(password=WORDS)
    with page.connected(
        b"GET /login HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    ) as one:
        cookie = re.search(rb"set-cookie: ([^;]+)", answer(one))
    assert cookie is not None
    statuses = set()
    for kind in TYPES:
        for body in BODIES:
            lines = (
                b"POST /login HTTP/1.1",
                b"Host: 127.0.0.1",
                b"Connection: close",
                b"Cookie: " + cookie[1],
                b"Content-Type: " + kind.encode(),
                b"Content-Length: %d" % len(body),
            )
            with page.connected(b"\r\n".join(lines) + b"\r\n\r\n" + body) as stream:
                statuses.add(answer(stream)[9:12])

    assert statuses <= {b"400", b"403"}


@pytest.mark.parametrize("length", ["-1", "1e3", "9" * 30, "0x10", "5,5", "\xb2", "", "16385"])
def test_a_length_that_is_none_is_refused(serving: Serving, length: str) -> None:
    line = f"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\r\n"
    with serving(password=WORDS).connected(line.encode("latin-1")) as stream:
        assert stream.recv(1 << 12)[9:12] in (b"400", b"403", b"413")


@pytest.mark.parametrize(
    "more",
    [
        b"Cookie: drawcli-1=\xff; theme=\xff\r\n",
        b"Cookie: " + b"a=b; " * 2000 + b"\r\n",
        b"Authorization: Bearer \xff\r\n",
        b"Accept: text/html\xff\r\n",
        b"Range: bytes=" + b"0-0," * 2000 + b"\r\n",
        b"If-Modified-Since: Mon, 99 Foo 99999 99:99:99 GMT\r\n",
        b"X-Forwarded-For: \xff\r\nX-Forwarded-Proto: \xff\r\n",
    ],
)
def test_odd_headers_are_no_bug(serving: Serving, more: bytes) -> None:
    said = asked(serving(password=WORDS), ["/", "/login", "/static/page.js", "/metrics"], more)

    assert {one[9:10] for one in said.values()} <= {b"2", b"3", b"4"}


@pytest.mark.parametrize(
    "line",
    [b"GET /\r\n\r\n", b"\x16\x03\x01\x02\r\n\r\n", b"GET / HTTP/9\r\n\r\n", b"\xff\r\n\r\n"],
)
def test_what_is_not_http_is_refused_with_the_same_headers(serving: Serving, line: bytes) -> None:
    with serving().connected(line) as stream:
        said = answer(stream)

    assert said.startswith(b"HTTP/1.1 400 ")
    assert b"content-security-policy" in said
