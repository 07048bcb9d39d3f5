import hashlib
import json
import logging
import random
import socket
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path

import httpx
import pytest

from drawcli.adapters.server.client import DrawServer
from drawcli.adapters.server.token_file import TokenFile
from drawcli.config.sections import ServerSettings
from drawcli.core.protocol.task_status import TaskState
from drawcli.core.protocol.tokens import Tokens
from drawcli.errors import (
    BadStructureSet,
    ConfigError,
    DrawcliError,
    RequestRefused,
    ServerRefused,
    ServerUnavailable,
)
from drawcli.system.limits import EXCHANGES
from drawcli.system.threads import run_in_thread
from tests.conftest import NOON, Clock
from tests.fake_draw import FakeDraw
from tests.tls import serving
from tests.waiting import PATIENCE, wait_until

BASE = "https://draw.test/base"
PACKAGE = random.Random(1).randbytes(70_000)  # noqa: S311 - the same every time
SHA256 = hashlib.sha256(PACKAGE).hexdigest()
RESULT = b"DICM" * 5000
SECRETS = ("access-1", "refresh-1", "access-2", "refresh-2")

Answer = httpx.Response | Callable[[httpx.Request], httpx.Response] | Exception


@dataclass
class Scripted:
    """Gives prepared answers, one per request, and records the requests."""

    answers: list[Answer] = field(default_factory=list)
    asked: list[httpx.Request] = field(default_factory=list)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else answer(request)

    @property
    def paths(self) -> list[str]:
        return [f"{request.method} {request.url.path}" for request in self.asked]

    @property
    def tokens(self) -> list[str]:
        return [request.headers.get("authorization", "") for request in self.asked]


@pytest.fixture
def draw() -> Scripted:
    return Scripted()


@pytest.fixture
def package(tmp_path: Path) -> Path:
    path = tmp_path / "package.zip"
    path.write_bytes(PACKAGE)
    return path


@pytest.fixture
def server(draw: Scripted, tokens: TokenFile, clock: Clock) -> Iterator[DrawServer]:
    with opened(draw, tokens, clock) as made:
        yield made


@contextmanager
def opened(
    draw: Callable[[httpx.Request], httpx.Response],
    tokens: TokenFile,
    clock: Clock,
    **settings: object,
) -> Iterator[DrawServer]:
    site = ServerSettings.read({"url": f"{BASE}/", "client_id": "ward-7", **settings})
    with httpx.Client(transport=httpx.MockTransport(draw)) as client:
        made = DrawServer(client, site, tokens, clock.now)
        made.pause = lambda _seconds: None
        yield made


def ok(plain: object = None, status: int = 200, **headers: str) -> httpx.Response:
    return httpx.Response(status, json={} if plain is None else plain, headers=headers)


def renewed(number: int = 2, **more: object) -> httpx.Response:
    pair = {"access_token": f"access-{number}", "refresh_token": f"refresh-{number}"}
    return ok(pair | {"expires_in": 3600} | more)


def parts_of(request: httpx.Request) -> dict[str, EmailMessage]:
    head = f"content-type: {request.headers['content-type']}\r\n\r\n".encode()
    read_body = BytesParser(EmailMessage, policy=HTTP).parsebytes(head + request.content)
    parts = [part for part in read_body.iter_parts() if isinstance(part, EmailMessage)]
    return {str(part.get_param("name", header="content-disposition")): part for part in parts}


# What goes over the wire: the requests of the protocol.


def test_health_is_asked_with_the_token(server: DrawServer, draw: Scripted) -> None:
    draw.answers = [ok({"status": "ready", "details": {}})]

    server.check_ready()

    assert draw.paths == ["GET /base/api/health"]
    assert draw.tokens == ["Bearer access-1"]


def test_an_older_server_is_asked_for_its_health_with_a_slash(
    server: DrawServer, draw: Scripted
) -> None:
    draw.answers = [ok(status=404), ok({"status": "ready"})]

    server.check_ready()

    assert draw.paths == ["GET /base/api/health", "GET /base/api/health/"]


def test_an_upload_is_a_form_with_file_checksum_and_client(
    server: DrawServer, draw: Scripted, package: Path
) -> None:
    draw.answers = [ok({"task_id": "task-1"}, 201)]

    task_id = server.upload(package, name="ward-7_2.25.1.zip", sha256=SHA256)

    (request,) = draw.asked
    parts = parts_of(request)
    assert task_id == "task-1"
    assert draw.paths == ["POST /base/api/upload/"]
    assert set(parts) == {"file", "checksum", "client_id"}
    assert parts["file"].get_payload(decode=True) == PACKAGE
    assert parts["file"].get_filename() == "ward-7_2.25.1.zip"
    assert parts["file"].get_content_type() == "application/zip"
    assert parts["checksum"].get_content().strip() == SHA256
    assert parts["client_id"].get_content().strip() == "ward-7"
    assert request.headers["idempotency-key"] == SHA256
    assert request.headers["authorization"] == "Bearer access-1"


def test_a_site_without_client_id_sends_none(
    draw: Scripted, tokens: TokenFile, clock: Clock, package: Path
) -> None:
    draw.answers = [ok({"task_id": 7})]

    with opened(draw, tokens, clock, client_id="") as server:
        task_id = server.upload(package, name="drawcli_1.zip", sha256=SHA256)

    assert task_id == "7"
    assert set(parts_of(draw.asked[0])) == {"file", "checksum"}


@pytest.mark.parametrize("status", [200, 201, 202])
@pytest.mark.parametrize("key", ["task_id", "transaction_token"])
def test_either_key_of_the_task_id_is_accepted(
    server: DrawServer, draw: Scripted, package: Path, status: int, key: str
) -> None:
    draw.answers = [ok({key: " 3f9a-1 ", "message": "taken"}, status)]

    assert server.upload(package, name="a.zip", sha256=SHA256) == "3f9a-1"


@pytest.mark.parametrize(
    "plain",
    [
        {},
        *({"task_id": one} for one in (None, "", " ", "..", "a b", "é", "x" * 9000, ["x", "y"])),
    ],
)
def test_an_upload_whose_answer_has_no_task_id_fails(
    server: DrawServer, draw: Scripted, package: Path, plain: dict[str, object]
) -> None:
    draw.answers = [ok(plain, 201)]

    with pytest.raises(ServerUnavailable, match="names no task"):
        server.upload(package, name="a.zip", sha256=SHA256)

    assert len(draw.asked) == 1


def test_a_task_id_is_quoted_in_the_path_of_a_status_request(
    server: DrawServer, draw: Scripted
) -> None:
    draw.answers = [ok({"status": "SEGMENTATION_COMPLETED"})]

    assert server.status("a/../b c").state is TaskState.READY

    assert draw.asked[0].url.raw_path == b"/base/api/upload/a%2F..%2Fb%20c/status/"
    assert draw.asked[0].method == "GET"


def test_a_confirmation_has_status_and_time(server: DrawServer, draw: Scripted) -> None:
    draw.answers = [ok({"message": "files cleaned up"})]

    server.confirm("task-1", at=NOON)

    assert draw.paths == ["POST /base/api/rtstruct/task-1/confirm/"]
    assert json.loads(draw.asked[0].content) == {
        "task_id": "task-1",
        "status": "received",
        "timestamp": "2026-11-14T12:00:00+00:00",
    }


def test_an_html_page_of_a_proxy_is_no_confirmation(server: DrawServer, draw: Scripted) -> None:
    draw.answers = [httpx.Response(200, text="<html>please log in</html>") for _ in range(3)]

    with pytest.raises(ServerUnavailable, match="without JSON"):
        server.confirm("task-1", at=NOON)


def test_a_404_to_a_confirmation_is_success(server: DrawServer, draw: Scripted) -> None:
    draw.answers = [ok({"detail": "unknown"}, 404)]

    server.confirm("task-1", at=NOON)

    assert len(draw.asked) == 1


def test_an_unknown_task_is_not_an_error(
    server: DrawServer, draw: Scripted, tmp_path: Path
) -> None:
    draw.answers = [ok(status=404), ok(status=404)]

    assert server.status("task-1").state is TaskState.UNKNOWN
    assert server.download("task-1", tmp_path / "received.dcm") is None
    assert not (tmp_path / "received.dcm").exists()


@pytest.mark.parametrize(
    "checksum",
    [hashlib.sha256(RESULT).hexdigest(), hashlib.sha256(RESULT).hexdigest().upper(), " {} "],
    ids=["lower", "upper", "blanks"],
)
def test_a_download_that_matches_its_checksum_is_stored(
    server: DrawServer, draw: Scripted, tmp_path: Path, checksum: str
) -> None:
    digest = hashlib.sha256(RESULT).hexdigest()
    header = {"X-File-Checksum": checksum.format(digest)}
    draw.answers = [httpx.Response(200, content=RESULT, headers=header)]

    assert server.download("task-1", tmp_path / "received.dcm") == digest

    assert draw.paths == ["GET /base/api/rtstruct/task-1/"]
    assert (tmp_path / "received.dcm").read_bytes() == RESULT
    assert [path.name for path in tmp_path.glob("*received*")] == ["received.dcm"]


def test_a_download_without_checksum_is_stored_and_logged(
    server: DrawServer, draw: Scripted, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    draw.answers = [httpx.Response(200, content=RESULT)]

    server.download("task-1", tmp_path / "received.dcm")

    assert (tmp_path / "received.dcm").read_bytes() == RESULT
    assert "without checksum" in caplog.text


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, content=RESULT, headers={"x-file-checksum": "0" * 64}),
        httpx.Response(200, content=RESULT[:-1], headers={"x-file-checksum": SHA256}),
        httpx.Response(200, content=RESULT, headers={"x-file-checksum": "none"}),
        httpx.Response(200, content=b""),
        httpx.Response(200, html="<html>please log in</html>"),
    ],
    ids=["wrong", "short", "nonsense", "empty", "page"],
)
def test_a_download_that_differs_from_its_checksum_is_not_kept(
    server: DrawServer, draw: Scripted, tmp_path: Path, answer: httpx.Response
) -> None:
    target = tmp_path / "received.dcm"
    target.write_bytes(b"earlier")
    draw.answers = [answer]

    with pytest.raises(ServerUnavailable):
        server.download("task-1", target)

    assert target.read_bytes() == b"earlier"
    assert [path.name for path in tmp_path.glob("*received*")] == ["received.dcm"]


def test_a_download_without_end_is_given_up(
    server: DrawServer, draw: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = EXCHANGES["rtstruct"]._replace(largest=5 << 20)
    monkeypatch.setitem(EXCHANGES, "rtstruct", small)

    class Endless(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            while True:
                yield bytes(1 << 20)

    draw.answers = [httpx.Response(200, stream=Endless())]

    with pytest.raises(BadStructureSet):
        server.download("task-1", tmp_path / "received.dcm")

    assert [path.name for path in tmp_path.iterdir()] == ["token.json"]


def test_a_site_can_configure_the_paths(draw: Scripted, tokens: TokenFile, clock: Clock) -> None:
    paths = {"health": "/ready/", "status": "/v2/{task_id}"}
    draw.answers = [ok(), ok({"status": "PENDING"})]

    with opened(draw, tokens, clock, endpoints=paths) as server:
        server.check_ready()
        server.status("task-1")

    assert draw.paths == ["GET /base/ready/", "GET /base/v2/task-1"]


# How the server can fail, and as which of our errors.

CALLS: dict[str, Callable[[DrawServer, Path], object]] = {
    "health": lambda server, _package: server.check_ready(),
    "upload": lambda server, package: server.upload(package, name="a.zip", sha256=SHA256),
    "status": lambda server, _package: server.status("task-1"),
    "download": lambda server, package: server.download("task-1", package.with_name("r.dcm")),
    "confirm": lambda server, _package: server.confirm("task-1", at=NOON),
}
REPEATED = {"health": 3, "upload": 1, "status": 3, "download": 1, "confirm": 3}
each_call = pytest.mark.parametrize("call", CALLS)


@each_call
@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_failing_server_is_unavailable_and_safe_requests_are_retried(
    server: DrawServer, draw: Scripted, package: Path, call: str, status: int
) -> None:
    draw.answers = [httpx.Response(status, text="trouble")] * 5

    with pytest.raises(ServerUnavailable) as caught:
        CALLS[call](server, package)

    assert len(draw.asked) == REPEATED[call]
    assert caught.value.code == ("server-busy" if status in (429, 503) else "server-unavailable")
    assert str(status) in str(caught.value)


@each_call
@pytest.mark.parametrize(
    "case",
    [
        (httpx.ConnectError("refused by secret.proxy"), "server-down"),
        (httpx.ConnectTimeout("slow"), "server-down"),
        (httpx.ProxyError("502 Bad Gateway"), "server-down"),
        (httpx.ProxyError("user:password@proxy"), "server-down"),
        (httpx.ReadTimeout("slow"), "server-lost"),
        (httpx.ReadError("reset"), "server-lost"),
        (httpx.WriteError("broken pipe"), "server-lost"),
        (httpx.RemoteProtocolError("peer closed"), "server-lost"),
        (httpx.DecodingError("not gzip"), "server-unavailable"),
        (httpx.TooManyRedirects("round"), "server-unavailable"),
    ],
)
def test_a_broken_connection_is_unavailable_and_its_error_quotes_no_address(
    server: DrawServer,
    draw: Scripted,
    package: Path,
    call: str,
    case: tuple[Exception, str],
) -> None:
    trouble, code = case
    draw.answers = [trouble] * 5

    with pytest.raises(ServerUnavailable) as caught:
        CALLS[call](server, package)

    assert caught.value.code == code
    assert type(trouble).__name__ not in str(caught.value)
    assert str(trouble) not in str(caught.value)
    waited_long = isinstance(trouble, httpx.ReadTimeout)
    assert len(draw.asked) == (1 if waited_long else REPEATED[call])


@pytest.mark.parametrize("answer", [httpx.Response(200, html="<p>proxy</p>"), ok({"a": 1})])
def test_a_catalogue_that_is_not_a_list_is_refused(
    server: DrawServer, draw: Scripted, answer: httpx.Response
) -> None:
    draw.answers = [answer] * 5

    with pytest.raises(ServerUnavailable, match="without a list"):
        server.models()


def test_the_catalogue_is_returned_as_it_is(server: DrawServer, draw: Scripted) -> None:
    draw.answers = [httpx.Response(200, json=[{"model_id": 720}])]

    assert server.models() == [{"model_id": 720}]


def test_a_short_failure_is_retried_without_an_error(server: DrawServer, draw: Scripted) -> None:
    draw.answers = [httpx.ReadError("reset"), httpx.Response(502), ok({"status": "PENDING"})]

    assert server.status("task-1").state is TaskState.RUNNING


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "120"}, 120),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "99999999999999999999"}, 86_400),
        (
            {
                "date": "Sat, 14 Nov 2026 12:00:00 GMT",
                "retry-after": "Sat, 14 Nov 2026 12:05:30 GMT",
            },
            330,
        ),
        (
            {
                "date": "Sat, 14 Nov 2026 12:00:00 GMT",
                "retry-after": "Sat, 14 Nov 2020 12:00:00 GMT",
            },
            0,
        ),
        ({"retry-after": "Sat, 14 Nov 2026 12:05:30 GMT"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({}, None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_respected(
    server: DrawServer,
    draw: Scripted,
    status: int,
    headers: dict[str, str],
    seconds: float | None,
) -> None:
    draw.answers = [httpx.Response(status, headers=headers)] * 3

    with pytest.raises(ServerUnavailable) as caught:
        server.status("task-1")

    assert caught.value.wait_seconds == seconds
    assert len(draw.asked) == (3 if seconds is None else 1)


@each_call
@pytest.mark.parametrize("status", [301, 302, 307, 308, 403, 405])
def test_a_wrong_path_is_a_config_error_or_concerns_one_task(
    server: DrawServer, draw: Scripted, package: Path, call: str, status: int
) -> None:
    draw.answers = [httpx.Response(status, headers={"location": "https://evil.test/"})] * 3
    of_one_task = call not in ("health", "upload") and status in (403, 405)

    with pytest.raises(RequestRefused if of_one_task else ConfigError) as caught:
        CALLS[call](server, package)

    assert caught.value.code == "endpoint"
    assert "server.endpoints" in caught.value.hint
    assert len(draw.asked) == 1


@pytest.mark.parametrize("call", ["health", "upload"])
def test_a_missing_endpoint_is_a_config_error(
    server: DrawServer, draw: Scripted, package: Path, call: str
) -> None:
    draw.answers = [httpx.Response(404)] * 3

    with pytest.raises(ConfigError, match="answers 404 at /base/api/"):
        CALLS[call](server, package)


@each_call
@pytest.mark.parametrize("status", [400, 409, 415, 422])
def test_a_refused_request_quotes_the_beginning_of_the_answer(
    server: DrawServer, draw: Scripted, package: Path, call: str, status: int
) -> None:
    body = "no\nsuch \x1b[31mmodel \x00" + "x" * 5000 + " the end"
    draw.answers = [httpx.Response(status, text=body)] * 3
    no_job_is_to_blame = call == "health"

    with pytest.raises(ConfigError if no_job_is_to_blame else RequestRefused) as caught:
        CALLS[call](server, package)

    said = str(caught.value)
    assert f"{status}: no such ·[31mmodel ·xxx" in said
    assert said.isprintable()
    assert caught.value.hint  # what to do
    assert len(said) < 230
    assert len(draw.asked) == 1


def test_a_package_that_is_too_large_is_reported_with_its_size(
    server: DrawServer, draw: Scripted, package: Path
) -> None:
    package.write_bytes(bytes(2_340_000))
    draw.answers = [httpx.Response(413, html="<h1>413 Request Entity Too Large</h1>")]

    with pytest.raises(RequestRefused, match=r"413: .* refuses a package of 2\.3 MB") as caught:
        server.upload(package, name="a.zip", sha256=SHA256)

    assert "client_max_body_size" in caught.value.hint


@pytest.mark.parametrize("call", ["health", "upload", "status"])
@pytest.mark.parametrize(
    "body", [b"<html>please log in</html>", b"", b"[1]", b"null", b'"ok"', b"[" * 100_000, b"\xff"]
)
def test_html_in_place_of_json_is_unavailable(
    server: DrawServer, draw: Scripted, package: Path, call: str, body: bytes
) -> None:
    draw.answers = [httpx.Response(200, content=body)] * 3

    with pytest.raises(ServerUnavailable, match="an answer without JSON"):
        CALLS[call](server, package)


# The token: refreshed by the clock and on a 401, durable before it is used, and never said.


@each_call
def test_a_refused_token_is_refreshed_once_and_the_request_repeated(
    server: DrawServer, draw: Scripted, package: Path, tokens: TokenFile, call: str
) -> None:
    good = httpx.Response(200, content=RESULT) if call == "download" else ok({"task_id": "t"})
    draw.answers = [ok(status=401), renewed(), good]

    CALLS[call](server, package)

    assert draw.tokens == ["Bearer access-1", "Bearer refresh-1", "Bearer access-2"]
    assert draw.paths[1] == "POST /base/api/token/refresh/"
    assert draw.asked[1].content == b""
    assert draw.asked[0].content == draw.asked[2].content or call == "upload"
    assert tokens.read() == Tokens("access-2", "refresh-2", NOON + timedelta(hours=1))


def test_the_repeated_upload_carries_the_whole_package_again(
    server: DrawServer, draw: Scripted, package: Path
) -> None:
    draw.answers = [ok(status=401), renewed(), ok({"task_id": "t"})]

    server.upload(package, name="a.zip", sha256=SHA256)

    assert parts_of(draw.asked[2])["file"].get_payload(decode=True) == PACKAGE


def test_a_late_401_does_not_renew_the_pair_of_another_thread(
    tokens: TokenFile, clock: Clock
) -> None:
    """Both were asked with the first token; the one is answered when the other has a new one."""
    both, refreshed = threading.Barrier(2), threading.Event()
    refreshes: list[str] = []

    def draw(request: httpx.Request) -> httpx.Response:
        if "refresh" in request.url.path:
            refreshes.append(request.headers["authorization"])
            return renewed(len(refreshes) + 1)
        if request.headers["authorization"] == "Bearer access-1":
            if both.wait(PATIENCE) == 1:
                refreshed.wait(PATIENCE)
            return ok(status=401)
        assert request.headers["authorization"] == "Bearer access-2"  # the only good one
        refreshed.set()
        return ok({"status": "PENDING"})

    with opened(draw, tokens, clock) as server:
        asking = [run_in_thread(lambda: server.status("t")) for _ in range(2)]
        words = [one.result(PATIENCE).word for one in asking]

    assert words == ["PENDING", "PENDING"]
    assert refreshes == ["Bearer refresh-1"]


@each_call
def test_a_new_token_that_is_refused_too_is_not_refreshed_again(
    server: DrawServer, draw: Scripted, package: Path, call: str
) -> None:
    draw.answers = [ok(status=401), renewed(), ok(status=401)]

    with pytest.raises(ServerRefused) as caught:
        CALLS[call](server, package)

    assert caught.value.exit_code == 5
    assert "administrator" in caught.value.hint


@pytest.mark.parametrize("status", [400, 401, 403, 422])
def test_a_refresh_token_that_is_refused_ends_the_run(
    server: DrawServer, draw: Scripted, package: Path, tokens: TokenFile, status: int
) -> None:
    for call in CALLS.values():
        draw.answers = [ok(status=401), ok(status=status)]
        with pytest.raises(ServerRefused):
            call(server, package)

    assert tokens.read() == Tokens("access-1", "refresh-1")


@pytest.mark.parametrize(
    "trouble",
    [
        httpx.ConnectError("x"),
        httpx.ReadTimeout("x"),
        ok(status=503),
        ok(status=429),
        httpx.Response(200, text="<html>"),
        ok({}),
        *(ok({"access_token": one}) for one in (None, "two words", "x\r\nX-Evil: 1")),
    ],
)
def test_a_refresh_that_fails_for_a_while_loses_no_token(
    server: DrawServer,
    draw: Scripted,
    package: Path,
    tokens: TokenFile,
    trouble: Answer,
) -> None:
    for call in CALLS.values():
        draw.answers = [answer for _ in range(3) for answer in (ok(status=401), trouble)]
        with pytest.raises(ServerUnavailable) as caught:
            call(server, package)
        assert caught.value.code == "token-renewal"
        assert len(draw.answers) == 4  # not asked again in this run

    assert tokens.read() == Tokens("access-1", "refresh-1")


@pytest.mark.parametrize(
    ("first", "code"),
    [
        (ok(status=503), "token-refused"),
        (ok(status=429), "token-refused"),
        (httpx.ConnectError("x"), "token-refused"),
        (ok(status=502), "token-lost"),  # a gateway that has passed the request on
        (httpx.ReadTimeout("x"), "token-lost"),
    ],
)
def test_a_pair_is_lost_only_if_the_server_may_have_exchanged_it(
    server: DrawServer, draw: Scripted, package: Path, first: Answer, code: str
) -> None:
    draw.answers = [ok(status=401), first]
    with pytest.raises(ServerUnavailable):
        CALLS["upload"](server, package)

    draw.answers = [ok(status=401), ok(status=401)]
    with pytest.raises(ServerRefused) as caught:
        CALLS["upload"](server, package)

    assert caught.value.code == code


def test_a_refresh_has_a_deadline_and_a_late_pair_is_kept(tokens: TokenFile, clock: Clock) -> None:
    comes = threading.Event()

    def slowly() -> Iterator[bytes]:
        comes.wait(PATIENCE)
        yield renewed().content

    def draw(request: httpx.Request) -> httpx.Response:
        is_refresh = "refresh" in request.url.path
        return httpx.Response(200, content=slowly()) if is_refresh else ok(status=401)

    with opened(draw, tokens, clock, timeout_seconds=0.5) as server:
        with pytest.raises(ServerUnavailable, match="renewed: not done after") as caught:
            server.status("task-1")
        before = tokens.read()
        comes.set()
        wait_until(lambda: tokens.read() != before)

    assert caught.value.code == "token-renewal"
    assert before == Tokens("access-1", "refresh-1")
    assert tokens.read().refresh == "refresh-2"


@each_call
def test_an_expired_token_is_refreshed_before_it_is_used(
    draw: Scripted, tokens: TokenFile, clock: Clock, package: Path, call: str
) -> None:
    tokens.write(Tokens("access-1", "refresh-1", NOON + timedelta(minutes=4)))
    good = httpx.Response(200, content=RESULT) if call == "download" else ok({"task_id": "t"})
    draw.answers = [renewed(), good]

    with opened(draw, tokens, clock) as server:
        CALLS[call](server, package)

    assert draw.tokens == ["Bearer refresh-1", "Bearer access-2"]


def test_a_token_valid_for_an_hour_is_not_refreshed(
    draw: Scripted, tokens: TokenFile, clock: Clock
) -> None:
    tokens.write(Tokens("access-1", "refresh-1", NOON + timedelta(hours=1)))
    draw.answers = [ok(), renewed(), ok()]

    with opened(draw, tokens, clock) as server:
        server.check_ready()
        clock.advance(minutes=56)
        server.check_ready()

    assert draw.tokens == ["Bearer access-1", "Bearer refresh-1", "Bearer access-2"]


@each_call
def test_a_token_that_cannot_be_refreshed_is_used_until_it_expires(
    draw: Scripted, tokens: TokenFile, clock: Clock, package: Path, call: str
) -> None:
    tokens.write(Tokens("access-1", "", NOON - timedelta(hours=1)))
    good = httpx.Response(200, content=RESULT) if call == "download" else ok({"task_id": "t"})
    draw.answers = [good, ok(status=401)]

    with opened(draw, tokens, clock) as server:
        CALLS[call](server, package)
        with pytest.raises(ServerRefused, match="there is no other"):
            CALLS[call](server, package)


def test_a_new_pair_is_on_disk_before_it_is_used(
    server: DrawServer, draw: Scripted, tokens: TokenFile
) -> None:
    on_disk: list[str] = []

    def look(_request: httpx.Request) -> httpx.Response:
        on_disk.append(tokens.read().access)
        return ok()

    draw.answers = [ok(status=401), renewed(), look]

    server.check_ready()

    assert on_disk == ["access-2"]


def test_a_token_file_that_cannot_be_written_is_found_before_the_exchange(
    server: DrawServer, draw: Scripted, tokens: TokenFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_tokens: Tokens) -> None:
        raise ConfigError("token.json: cannot be written")

    monkeypatch.setattr(tokens, "store", refuse)
    draw.answers = [ok(status=401), renewed()]

    with pytest.raises(ConfigError, match="cannot be written"):
        server.check_ready()

    assert draw.paths == ["GET /base/api/health"]


def test_without_rotation_the_refresh_token_is_kept(
    server: DrawServer, draw: Scripted, tokens: TokenFile
) -> None:
    moment = "2027-01-31T08:00:00Z"
    draw.answers = [ok(status=401), ok({"access_token": "access-2", "expires_at": moment}), ok()]

    server.check_ready()

    assert tokens.read() == Tokens("access-2", "refresh-1", datetime(2027, 1, 31, 8, 0, tzinfo=UTC))


@pytest.mark.parametrize(
    "nonsense", [{"expires_in": 1e300}, {"expires_at": "x"}, {"expires_in": "x"}]
)
def test_an_invalid_expiry_does_not_lose_the_pair(
    server: DrawServer, draw: Scripted, tokens: TokenFile, nonsense: dict[str, object]
) -> None:
    pair = {"access_token": "access-2", "refresh_token": "refresh-2"}
    draw.answers = [ok(status=401), ok(pair | nonsense), ok()]

    server.check_ready()

    assert tokens.read() == Tokens("access-2", "refresh-2", None)


@pytest.mark.parametrize("status", [404, 405])
def test_an_older_server_is_refreshed_at_the_old_endpoint(
    server: DrawServer, draw: Scripted, status: int
) -> None:
    draw.answers = [ok(status=401), ok(status=status), renewed(), ok()]

    server.check_ready()

    assert draw.paths[1:3] == ["POST /base/api/token/refresh/", "POST /base/auth/refresh"]
    assert json.loads(draw.asked[2].content) == {"client_id": "ward-7"}
    assert draw.tokens[2] == "Bearer refresh-1"


def test_a_configured_old_endpoint_gets_its_body_at_once(
    draw: Scripted, tokens: TokenFile, clock: Clock
) -> None:
    draw.answers = [ok(status=401), renewed(), ok()]

    with opened(draw, tokens, clock, endpoints={"refresh": "/auth/refresh"}) as server:
        server.check_ready()

    assert draw.paths[1] == "POST /base/auth/refresh"
    assert json.loads(draw.asked[1].content) == {"client_id": "ward-7"}


def test_a_server_without_refresh_endpoints_is_a_config_error(
    server: DrawServer, draw: Scripted
) -> None:
    draw.answers = [ok(status=401), ok(status=404), ok(status=404)]

    with pytest.raises(ConfigError, match="answers 404 at /base/auth/refresh"):
        server.check_ready()


def test_a_pair_that_another_process_has_refreshed_is_used(
    server: DrawServer, draw: Scripted, tokens: TokenFile
) -> None:
    tokens.write(Tokens("access-7", "refresh-7"))
    draw.answers = [ok(status=401), ok()]

    server.check_ready()

    assert draw.tokens == ["Bearer access-1", "Bearer access-7"]


REFRESHING = """
import sys
from datetime import datetime, UTC
from pathlib import Path
from drawcli.adapters.server.client import DrawServer
from drawcli.adapters.server.token_file import TokenFile
from drawcli.system.limits import EXCHANGES
from drawcli.config.sections import ServerSettings
from drawcli.system.threads import run_in_thread

with DrawServer.opened(
    ServerSettings(url=sys.argv[1]), TokenFile(Path(sys.argv[2])), lambda: datetime.now(UTC)
) as server:
    print("ready", flush=True)
    sys.stdin.readline()
    server.check_ready()
"""


def test_two_processes_that_refresh_at_once_use_the_refresh_token_once(tokens: TokenFile) -> None:
    fake = FakeDraw(access="access-5", refresh="refresh-1")
    lock = threading.Lock()

    def one_at_a_time(request: httpx.Request) -> httpx.Response:
        with lock:
            return fake(request)

    with served(one_at_a_time) as url:
        words = [sys.executable, "-c", REFRESHING, url, str(tokens.path)]
        pipe = subprocess.PIPE
        both = [subprocess.Popen(words, stdin=pipe, stdout=pipe, stderr=pipe) for _ in range(2)]
        for process in both:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
        for process in both:
            assert process.stdin is not None
            process.stdin.write(b"\n")
            process.stdin.flush()
        ended = [process.communicate(timeout=PATIENCE) for process in both]

    assert [process.returncode for process in both] == [0, 0], ended
    assert fake.asked.count("POST /api/token/refresh/") == 1
    assert tokens.read().access == "access-6"


def test_the_threads_of_a_run_refresh_once(tokens: TokenFile, clock: Clock) -> None:
    fake = FakeDraw(access="access-5", refresh="refresh-1")
    lock, together = threading.Lock(), threading.Barrier(8)

    def one_at_a_time(request: httpx.Request) -> httpx.Response:
        if request.headers["authorization"] == "Bearer access-1":
            together.wait(
                timeout=PATIENCE
            )  # every thread is refused before the first one refreshes
        with lock:
            return fake(request)

    site = {"url": "https://draw.test"}
    with opened(one_at_a_time, tokens, clock, **site) as server, ThreadPoolExecutor(8) as threads:
        for done in [threads.submit(server.check_ready) for _ in range(8)]:
            done.result(timeout=PATIENCE)

    assert fake.asked.count("POST /api/token/refresh/") == 1
    assert tokens.read().access == "access-6"


@each_call
def test_no_token_is_in_any_error_or_log(
    server: DrawServer,
    draw: Scripted,
    package: Path,
    call: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    said: list[str] = []

    def echo(request: httpx.Request) -> httpx.Response:
        return httpx.Response(400, text=f"bad header {request.headers['authorization']}")

    scripts: list[list[Answer]] = [
        [echo],
        [ok(status=401), renewed(), echo],
        [ok(status=401), renewed(3), ok(status=401)],
        [ok({"access_token": "access-1"}, 403)],
        [httpx.ReadError("access-1"), httpx.ReadError("access-1"), httpx.ReadError("access-1")],
    ]
    for answers in scripts:
        draw.answers = answers
        with pytest.raises(DrawcliError) as caught:
            CALLS[call](server, package)
        said += [str(caught.value), caught.value.hint, repr(caught.value)]

    everything = " ".join(said) + caplog.text
    assert not [secret for secret in (*SECRETS, "access-3") if secret in everything]


# The address: plain http, proxies, redirects.


@pytest.mark.parametrize(
    "url", ["http://draw.test/", "HTTP://10.0.0.7:8000", "http://127.0.0.1.evil"]
)
def test_plain_http_to_another_machine_is_refused_unless_allowed(
    tokens: TokenFile, clock: Clock, url: str
) -> None:
    with (
        pytest.raises(ConfigError, match="unencrypted"),
        DrawServer.opened(ServerSettings(url=url), tokens, clock.now),
    ):
        pass
    with DrawServer.opened(ServerSettings(url=url, allow_http=True), tokens, clock.now):
        pass


@pytest.mark.parametrize(
    "url", ["http://localhost:8000/", "http://127.0.0.1/", "http://[::1]:9", "https://draw.test"]
)
def test_loopback_and_https_need_no_allow_http(tokens: TokenFile, clock: Clock, url: str) -> None:
    with DrawServer.opened(ServerSettings(url=url), tokens, clock.now) as server:
        assert isinstance(server, DrawServer)


def test_missing_tokens_are_reported_before_anything_is_sent(tmp_path: Path, clock: Clock) -> None:
    missing = TokenFile(tmp_path / "none.json")

    with (
        pytest.raises(ConfigError, match="there is no token"),
        DrawServer.opened(ServerSettings(), missing, clock.now),
    ):
        pass


@pytest.mark.parametrize("proxy", ["ftp://user:s3cret@proxy", "socks5://u:s3cret@p"])
def test_an_unusable_proxy_is_reported_without_its_password(
    tokens: TokenFile, clock: Clock, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)

    with (
        pytest.raises(ConfigError, match="proxy") as caught,
        DrawServer.opened(ServerSettings(), tokens, clock.now),
    ):
        pass

    assert "s3cret" not in f"{caught.value} {caught.value.hint}"
    assert "HTTPS_PROXY" in caught.value.hint


@pytest.fixture
def proxied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://user:s3cret@proxy.test:3128")


@each_call
@pytest.mark.usefixtures("proxied")
@pytest.mark.parametrize(
    "answer",
    [httpx.Response(407), httpx.ProxyError("407 Proxy Authentication Required")],
    ids=["forwarded", "tunnel"],
)
def test_a_407_names_the_proxy_without_the_password(
    server: DrawServer,
    draw: Scripted,
    package: Path,
    call: str,
    answer: Answer,
) -> None:
    for answers in ([answer], [ok(status=401), answer]):  # to the request, and to a refresh
        draw.answers = list(answers)
        with pytest.raises(ConfigError, match=r"the proxy proxy\.test asks") as caught:
            CALLS[call](server, package)
        assert caught.value.code == "proxy"
        assert "NO_PROXY" in caught.value.hint
        assert "s3cret" not in f"{caught.value} {caught.value.hint}"


def test_missing_certificates_are_reported(
    tokens: TokenFile, clock: Clock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))

    with (
        pytest.raises(ConfigError, match="certificates of authorities"),
        DrawServer.opened(ServerSettings(), tokens, clock.now),
    ):
        pass


# On a real connection.


@contextmanager
def served(draw: Callable[[httpx.Request], httpx.Response]) -> Iterator[str]:
    """Serve on loopback; yield the address."""
    with serving(draw) as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def answering(raw: bytes) -> Iterator[str]:
    """Answer one connection with these bytes, to any request, and close it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(raw)

        thread = threading.Thread(target=answer)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread.join()


def test_the_whole_protocol_on_a_real_connection(
    tokens: TokenFile, clock: Clock, tmp_path: Path
) -> None:
    from tests.adapters.packages import TEMPLATE, repacked

    package = repacked({"template.yml": TEMPLATE}, tmp_path / "package.zip")
    fake = FakeDraw()
    fake_result = {"task-1": RESULT}

    def draw(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/upload/":
            return httpx.Response(201, json={"task_id": "task-1"})
        fake.results = fake_result
        fake.uploads = {"task-1": b""}
        return fake(request)

    with (
        served(draw) as url,
        DrawServer.opened(ServerSettings(url=url), tokens, clock.now) as server,
    ):
        server.check_ready()
        sha256 = hashlib.sha256(package.read_bytes()).hexdigest()
        task_id = server.upload(package, name="a.zip", sha256=sha256)
        state = server.status(task_id).state
        received = server.download(task_id, tmp_path / "received.dcm")
        server.confirm(task_id, at=NOON)

    assert state is TaskState.READY
    assert received == hashlib.sha256(RESULT).hexdigest()
    assert (tmp_path / "received.dcm").read_bytes() == RESULT
    assert fake.confirmed == ["task-1"]


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 20000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4E20\r\n",
    ],
    ids=["length", "chunked"],
)
def test_a_download_that_is_cut_short_is_not_kept(
    tokens: TokenFile, clock: Clock, tmp_path: Path, head: bytes
) -> None:
    with (
        answering(head + RESULT[:9000]) as url,
        DrawServer.opened(ServerSettings(url=url), tokens, clock.now) as server,
        pytest.raises(ServerUnavailable) as caught,
    ):
        server.download("task-1", tmp_path / "received.dcm")

    assert caught.value.code == "server-lost"
    assert [path.name for path in tmp_path.glob("*received*")] == []


def test_a_refused_connection_is_server_down(tokens: TokenFile, clock: Clock) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        settings = ServerSettings(url=f"http://127.0.0.1:{taken.getsockname()[1]}")
        with DrawServer.opened(settings, tokens, clock.now) as server:
            server.pause = lambda _seconds: None
            with pytest.raises(ServerUnavailable) as caught:
                server.check_ready()

    assert caught.value.code == "server-down"


def test_an_answer_that_is_not_http_is_server_lost(tokens: TokenFile, clock: Clock) -> None:
    with (
        answering(b"220 mail.example.org ESMTP\r\n") as url,
        DrawServer.opened(ServerSettings(url=url), tokens, clock.now) as server,
        pytest.raises(ServerUnavailable) as caught,
    ):
        server.download("task-1", tokens.path.with_name("received.dcm"))

    assert caught.value.code == "server-lost"


def test_a_redirect_is_not_followed_with_the_token(tokens: TokenFile, clock: Clock) -> None:
    visitors: list[str] = []

    def other(request: httpx.Request) -> httpx.Response:
        visitors.append(request.headers.get("authorization", ""))
        return ok()

    with served(other) as elsewhere:

        def draw(request: httpx.Request) -> httpx.Response:
            return httpx.Response(307, headers={"location": f"{elsewhere}{request.url.path}"})

        with (
            served(draw) as url,
            DrawServer.opened(ServerSettings(url=url), tokens, clock.now) as server,
            pytest.raises(ConfigError),
        ):
            server.check_ready()

    assert visitors == []


def test_an_upload_streams_from_disk(tokens: TokenFile, clock: Clock, tmp_path: Path) -> None:
    large = tmp_path / "large.zip"
    with large.open("wb") as stream:
        stream.truncate(96 << 20)
    arrived: list[int] = []

    with socket.create_server(("127.0.0.1", 0)) as listening:

        def swallow() -> None:
            connection, _ = listening.accept()
            with connection, connection.makefile("rb") as request:
                length = 0
                while (line := request.readline()) not in (b"\r\n", b""):
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                left = length
                while left:
                    left -= len(request.read(min(left, 1 << 16)))
                arrived.append(length)
                answer = b'{"task_id": "t"}'
                connection.sendall(
                    b"HTTP/1.1 201 Created\r\ncontent-length: %d\r\n\r\n" % len(answer) + answer
                )

        thread = threading.Thread(target=swallow)
        thread.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}"
        tracemalloc.start()
        with DrawServer.opened(ServerSettings(url=url), tokens, clock.now) as server:
            server.upload(large, name="large.zip", sha256="0" * 64)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        thread.join()

    assert arrived[0] > 96 << 20
    assert peak < 8 << 20
