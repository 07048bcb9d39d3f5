"""Every exchange with the outside, with a peer that drips, one that floods, and one that lies.

The rows are those of the table in `drawcli.system.limits`, from which the documentation is
written; a row
without its three tests, or the reason why one has no meaning there, is an error.
"""

import json
import os
import re
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import keyring
import keyring.backend
import pytest

from drawcli.adapters.datastore import walk
from drawcli.adapters.delivery import folder as delivery
from drawcli.adapters.notifications import Message, Recipient
from drawcli.adapters.rulebook.rulebook import read_rulebook
from drawcli.adapters.server.client import DrawServer
from drawcli.adapters.server.probe import probe_server
from drawcli.adapters.server.token_file import TokenFile
from drawcli.adapters.server.token_sources import TokenCommand, TokenKeyring
from drawcli.config.sections import ServerSettings
from drawcli.config.sections_monitoring import Metrics
from drawcli.errors import (
    BadStructureSet,
    ConfigError,
    DrawcliError,
    FolderSilent,
    OutOfReach,
    ServerSilent,
    ServerUnavailable,
)
from drawcli.operations import metrics
from drawcli.operations.heartbeat import ping
from drawcli.pipeline.context import Context
from drawcli.pipeline.survey import watchdog
from drawcli.system.limits import EXCHANGES
from drawcli.system.network.limit import MB
from tests import hostile
from tests.conftest import NOON, Clock, Site
from tests.waiting import longest_pause, wait_until

SHORT = 0.4  # seconds: server.timeout_seconds, so a request has twice that
LONGER = (SHORT, 4.0, 30.0)  # the next where a busy machine has not even sent the request
LONG = 60.0  # seconds: any machine is quicker, and nothing that hangs is
BUFFERS = 16 * MB  # what a system may hold between two sockets
SECRET = "canary-token"

DRIPS = (
    hostile.says_nothing,
    hostile.drips_in_head,
    hostile.drips_in_body,
    hostile.drips_in_framing,
    hostile.drips_in_coding,
    hostile.informs,
)
FLOODS = (hostile.floods_head, hostile.floods_body, hostile.floods_length, hostile.floods_coded)
LIES = {
    "page": b"<html>please log in</html>",
    "nothing": b"",
    "list": b"[[]]",
    "twice": b'{"status": "FAILED", "status": "PENDING", "task_id": 1, "task_id": 2}',
    "no number": b'{"status": NaN, "task_id": Infinity}',
    "digits": b'{"status": ' + b"9" * 5000 + b"}",
    "half": b'{"status": "PEND',
    "binary": bytes(range(256)),
}
TYPES: tuple[Any, ...] = (
    None,
    True,
    1.5,
    -1,
    [],
    ["x"],
    {},
    {"a": {}},
    "\ud800",
    "\x1b[2J\x07",
    "x" * 5000,
)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be large, so that a flood is short."""
    for name, limit in EXCHANGES.items():
        monkeypatch.setitem(EXCHANGES, name, limit._replace(largest=min(limit.largest, MB // 4)))


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, float], None]:
    """Return a function that shortens the time of an exchange."""

    def shorten(name: str, seconds: float) -> None:
        monkeypatch.setitem(EXCHANGES, name, EXCHANGES[name]._replace(seconds=seconds))

    return shorten


@pytest.fixture
def tokens(tmp_path: Path) -> TokenFile:
    path = tmp_path / "token.json"
    path.write_text(json.dumps({"access_token": SECRET, "refresh_token": "refresh-1"}))
    path.chmod(0o600)
    return TokenFile(path)


# The DRAW server.

CALLS: dict[str, Callable[[DrawServer, Path], object]] = {
    "health": lambda server, _: server.check_ready(),
    "models": lambda server, _: server.models(),
    "upload": lambda server, folder: server.upload(package(folder), name="a.zip", sha256="0" * 64),
    "status": lambda server, _: server.status("task-1"),
    "rtstruct": lambda server, folder: server.download("task-1", folder / "received.dcm"),
    "confirm": lambda server, _: server.confirm("task-1", at=NOON),
    "refresh": lambda server, _: server.renew_tokens(),
}


def package(folder: Path, size: int = 1000) -> Path:
    path = folder / "package.zip"
    path.write_bytes(bytes(size))
    return path


@dataclass
class Asked:
    """How an exchange ended."""

    error: DrawcliError | None
    seconds: float
    answer: object = None


def asked(call: str, peer: hostile.Peer, tokens: TokenFile, timeout_seconds: float = LONG) -> Asked:
    """Ask the server for something; return how that ended."""
    site, begun = ServerSettings(url=peer.url, timeout_seconds=timeout_seconds), time.monotonic()
    error, answer = None, None
    with DrawServer.opened(site, tokens, Clock().now) as server:
        server.pause = lambda _seconds: None
        try:
            answer = CALLS[call](server, tokens.path.parent)
        except DrawcliError as err:
            error = err
    return Asked(error, time.monotonic() - begun, answer)


def cases(manners: tuple[hostile.Manner, ...], all_of: tuple[str, ...]) -> list[Any]:
    """Return each call with a manner; some with all of them."""
    return [
        pytest.param(call, manner, id=f"{call}-{manner.__name__}")
        for call in CALLS
        for manner in manners
        if call in all_of or manner in (hostile.drips_in_body, hostile.floods_body)
    ]


@pytest.mark.parametrize(("call", "manner"), cases(DRIPS, ("status", "rtstruct")))
def test_a_server_that_drips_is_given_up(
    call: str, manner: hostile.Manner, tokens: TokenFile
) -> None:
    for seconds in LONGER:
        with hostile.listening(manner) as peer:
            ended = asked(call, peer, tokens, seconds)
        if peer.lines:
            break

    assert isinstance(ended.error, ServerUnavailable)
    assert ended.error.code == ("token-renewal" if call == "refresh" else "server-lost")
    assert call == "refresh" or isinstance(ended.error, ServerSilent)
    assert len(peer.lines) == 1  # all its time is over: it is not asked again in this run
    assert ended.seconds < LONG
    assert left(tokens) == []


@pytest.mark.parametrize(("call", "manner"), cases(FLOODS, ("status", "rtstruct")))
def test_a_server_that_floods_is_given_up_before_it_fills_anything(
    call: str, manner: hostile.Manner, tokens: TokenFile
) -> None:
    with hostile.listening(manner) as peer:
        ended = asked(call, peer, tokens)

    too_large = call == "rtstruct" and manner is not hostile.floods_head
    assert isinstance(ended.error, BadStructureSet if too_large else ServerUnavailable)
    assert peer.sent < 3 * BUFFERS  # of the head there are three tries
    assert ended.seconds < LONG
    assert left(tokens) == []


def left(tokens: TokenFile) -> list[str]:
    """Return what is left of a download."""
    return [path.name for path in tokens.path.parent.glob("*received*")]


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("call", CALLS)
def test_a_server_that_lies_is_not_believed(call: str, lie: str, tokens: TokenFile) -> None:
    with hostile.listening(hostile.saying(LIES[lie], "200 OK", b"content-type: text/html")) as peer:
        ended = asked(call, peer, tokens)

    believed = (call, lie) in {("models", "list"), ("confirm", "nothing")}
    assert isinstance(ended.error, ServerUnavailable) is not believed
    assert json.loads(tokens.path.read_text())["access_token"] == SECRET


@pytest.mark.parametrize("value", TYPES, ids=lambda value: repr(value)[:12])
def test_a_field_of_another_kind_is_no_answer_and_no_bug(value: Any, tokens: TokenFile) -> None:
    plain = dict.fromkeys(("status", "error", "task_id", "access_token", "expires_in"), value)
    body = json.dumps(plain).encode("ascii")
    with hostile.listening(hostile.saying(body)) as peer:
        status, upload, refresh = (
            asked(one, peer, tokens) for one in ("status", "upload", "refresh")
        )

    assert status.error is None
    assert len(repr(status.answer)) < 500
    assert "\x1b" not in f"{status.answer}"
    assert (upload.error is None) is (value in (-1, "x" * 5000))
    assert (refresh.error is None) is (value == "x" * 5000)


@pytest.mark.parametrize("depth", [100, 900, 100_000])
def test_an_answer_that_is_nested_without_end_is_no_bug(depth: int, tokens: TokenFile) -> None:
    nest = b"[" * depth + b"]" * depth
    body = b'{"status": %s, "task_id": %s, "access_token": %s}' % (nest, nest, nest)
    with hostile.listening(hostile.saying(body)) as peer:
        ended = [asked(one, peer, tokens).error for one in ("status", "upload", "refresh")]

    assert all(isinstance(err, ServerUnavailable | None) for err in ended)


@pytest.mark.parametrize(
    "model", [{"model_id": value, "model_name": value, "modelmap": value} for value in TYPES]
)
def test_a_catalogue_of_nonsense_is_read(model: dict[str, Any], tokens: TokenFile) -> None:
    from drawcli.core.templates.catalogue import parse_catalogue

    entry = model | {
        "model_id": 720,
        "modelmap": [{"mapid": 1, "map_tg263_primary_name": "A"}, model],
    }
    score = {"mapid": 2, "map_tg263_primary_name": "B\x1b", "median_dice_score": 10**400}
    body = json.dumps([model, entry | {"modelmap": [score]}, [], None]).encode("ascii")
    with hostile.listening(hostile.saying(body)) as peer:
        ended = asked("models", peer, tokens)

    (offer,) = [one for one in parse_catalogue(ended.answer) if one.model_id == 720]  # type: ignore[arg-type]
    assert json.dumps(offer.as_plain()).isprintable()
    assert offer.structures[2].name == "B·"
    assert offer.structures[2].dice is None


@pytest.mark.parametrize(
    "charset", ["foo", "utf-7", "hex", "undefined", "idna", "x" * 1000, "", '"']
)
@pytest.mark.parametrize("status", ["400 Bad", "500 Worse", "999 Strange", "299 Well"])
def test_an_error_page_in_an_odd_charset_is_no_bug(
    charset: str, status: str, tokens: TokenFile
) -> None:
    kind = f"content-type: text/html; charset={charset}".encode("ascii")
    page = b"no such \x1b[31mmodel \xff\xfe +ADw-script+AD4-"
    with hostile.listening(hostile.saying(page, status, kind)) as peer:
        ended = asked("status", peer, tokens)

    assert isinstance(ended.error, DrawcliError)
    assert ended.error.code == ("server-refused-job" if "400" in status else "server-unavailable")
    assert str(ended.error).isprintable()


@pytest.mark.parametrize(
    "header",
    [
        b"retry-after: " + b"9" * 5000,
        b"retry-after: Sat, 14 Nov 2026 12:00:00 +99999999999999",
        b"retry-after: Sat, 14 Nov 99999 12:00:00 GMT\r\ndate: x",
        b"content-encoding: br",
        b"content-encoding: gzip, gzip",
        b"set-cookie: a=b; expires=" + b"1" * 5000,
        b"set-cookie: \xff\xfe=\xe9",
        b"location: http://[::1",
    ],
)
@pytest.mark.parametrize("status", ["200 OK", "503 Busy", "302 Found"])
def test_a_header_of_nonsense_is_no_bug(header: bytes, status: str, tokens: TokenFile) -> None:
    with hostile.listening(hostile.saying(b'{"status": "PENDING"}', status, header)) as peer:
        ended = asked("status", peer, tokens)

    assert ended.error is None or isinstance(ended.error, DrawcliError)


def test_a_cookie_breaks_no_later_request(tokens: TokenFile) -> None:
    cookie = b"set-cookie: \xff\xfe=\xe9\r\nset-cookie: a=b"
    manner = hostile.saying(b'{"status": "PENDING"}', "200 OK", cookie)
    with (
        hostile.listening(manner) as peer,
        DrawServer.opened(ServerSettings(url=peer.url), tokens, Clock().now) as server,
    ):
        server.status("task-1")
        server.status("task-1")

    assert b"cookie" not in peer.lines[1].head.lower()


@pytest.mark.parametrize("call", ["status", "rtstruct"])
def test_the_words_of_an_error_are_not_waited_for(call: str, tokens: TokenFile) -> None:
    def drips(line: hostile.Line) -> None:
        line.send(b"HTTP/1.1 422 Unprocessable\r\ncontent-length: 9999\r\n\r\nno such model ")
        line.drip(b".")

    with hostile.listening(drips) as peer:
        ended = asked(call, peer, tokens)

    assert ended.error is not None
    assert "422: no such model" in str(ended.error)


@pytest.mark.parametrize("call", ["health", "models", "status", "confirm"])
def test_a_useless_answer_that_comes_late_is_not_asked_for_again(
    call: str, tokens: TokenFile
) -> None:
    def late(line: hostile.Line) -> None:
        line.closing.wait(1.3)  # twice, of four seconds in all: another would cost as much
        line.send(b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\n")
        line.closing.wait(1.3)
        line.send(b"<html>")

    with hostile.listening(late) as peer:
        ended = asked(call, peer, tokens, timeout_seconds=2.0)

    assert isinstance(ended.error, ServerSilent)
    assert len(peer.lines) == 1


def test_a_server_that_reads_nothing_is_given_up(
    tokens: TokenFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "drawcli.system.pacing.SLOWEST_BYTES_PER_SECOND", 1e9
    )  # what buffers hold is sent
    monkeypatch.setitem(
        CALLS,
        "upload",
        lambda server, folder: server.upload(
            package(folder, 64 * MB), name="a.zip", sha256="0" * 64
        ),
    )
    with hostile.listening(reads=False) as peer:
        ended = asked("upload", peer, tokens, timeout_seconds=1.0)

    assert isinstance(ended.error, ServerSilent)
    assert ended.seconds < LONG


def test_a_package_that_moves_too_slowly_is_given_up_long_before_its_size_would_allow(
    tokens: TokenFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    def upload(server: DrawServer, folder: Path) -> str:
        with package(folder).open("r+b") as stream:
            stream.truncate(6000 * MB)  # at the slowest rate: two minutes
        return server.upload(folder / "package.zip", name="a.zip", sha256="0" * 64)

    monkeypatch.setattr("drawcli.system.pacing.SLOWEST_BYTES_PER_SECOND", 50 * MB)
    monkeypatch.setattr("drawcli.adapters.server.transfer.SLOWEST_BYTES_PER_SECOND", 50 * MB)
    # Two seconds for the whole request, and more for a single write, which may wait long for a sip.
    monkeypatch.setattr("drawcli.system.pacing.REQUEST_TIMEOUTS", 2.0 / LONG)
    monkeypatch.setitem(CALLS, "upload", upload)
    with hostile.listening(reads=False) as peer:
        peer.sips = True
        ended = asked("upload", peer, tokens, timeout_seconds=LONG)

    assert isinstance(ended.error, ServerSilent)
    assert "not done after" in str(ended.error)
    assert ended.seconds < LONG


def test_a_handshake_that_does_not_come_is_given_up(tokens: TokenFile) -> None:
    with hostile.listening(reads=False) as peer:
        peer.scheme = "https"
        ended = asked("status", peer, tokens, SHORT)

    assert isinstance(ended.error, ServerUnavailable)
    assert ended.seconds < LONG


def test_a_proxy_that_drips_is_given_up(tokens: TokenFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_PROXY", raising=False)
    for seconds in LONGER:
        with hostile.listening(hostile.drips_in_head) as proxy:
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
            site = ServerSettings(url="https://draw.invalid", timeout_seconds=seconds)
            with (
                DrawServer.opened(site, tokens, Clock().now) as server,
                pytest.raises(ServerSilent),
            ):
                server.status("task-1")
        if proxy.lines:
            break

    assert proxy.paths() == ["CONNECT draw.invalid:443"]


def test_a_name_that_is_never_resolved_is_given_up(
    tokens: TokenFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *_args, **_more: found.wait() and [])
    site = ServerSettings(url="http://draw.invalid", allow_http=True, timeout_seconds=SHORT)
    with (
        DrawServer.opened(site, tokens, Clock().now) as server,
        pytest.raises(ServerSilent),
    ):
        server.check_ready()
    found.set()


@pytest.mark.parametrize(
    "moment",
    [
        {"expires_at": "99999-01-01T00:00:00Z"},
        {"expires_at": "9999-12-31T23:59:59-12:00"},
        {"expires_at": "0001-01-01T00:00:00+14:00"},
        {"expires_at": "1" * 5000},
        {"expires_at": ["2026"]},
        *({"expires_in": value} for value in (1e300, -1e300, -5, 0, True, "3600", [1], 10**400)),
        {"expires_in": float("nan")},
        {"expires_in": float("inf")},
    ],
    ids=str,
)
def test_an_absurd_end_of_a_token_costs_neither_the_pair_nor_a_job(
    moment: dict[str, Any], tokens: TokenFile
) -> None:
    pair = {"access_token": "access-2", "refresh_token": "refresh-2"} | moment
    with hostile.listening(hostile.saying(b'{"status": "PENDING"}')) as peer:
        peer.by_path["refresh"] = hostile.saying(json.dumps(pair).encode("ascii"))
        ended = asked("refresh", peer, tokens)
        again = asked("status", peer, tokens)

    stored = TokenFile(tokens.path).read()
    assert (ended.error, again.error) == (None, None)
    assert (stored.access, stored.refresh, stored.expires_at) == ("access-2", "refresh-2", None)
    assert peer.paths() == ["POST /api/token/refresh/", "GET /api/upload/task-1/status/"]


def test_a_pair_is_not_lost_over_a_key_that_is_said_twice(tokens: TokenFile) -> None:
    body = (
        b'{"access_token": "a", "access_token": "access-2", "refresh_token": "refresh-2", "x": NaN}'
    )
    with hostile.listening(hostile.saying(body)) as peer:
        asked("refresh", peer, tokens)

    assert TokenFile(tokens.path).read().access == "access-2"


def test_a_refresh_without_an_answer_is_not_repeated_by_those_who_waited_for_it(
    tokens: TokenFile,
) -> None:
    refused: list[DrawcliError] = []
    with hostile.listening(hostile.says_nothing) as peer:
        site = ServerSettings(url=peer.url, timeout_seconds=2.0)
        with DrawServer.opened(site, tokens, Clock().now) as server:

            def renew() -> None:
                try:
                    server.renew_tokens()
                except ServerUnavailable as err:
                    refused.append(err)

            lanes = [threading.Thread(target=renew) for _ in range(8)]
            for lane in lanes:
                lane.start()
            for lane in lanes:
                lane.join()
            peer.manner = hostile.saying(b'{"access_token": "access-2"}')
            server.renew_tokens()

    assert [err.code for err in refused] == ["token-renewal"] * 8
    assert peer.paths() == ["POST /api/token/refresh/"] * 2  # one for all, and the next run's
    assert json.loads(tokens.path.read_text())["access_token"] == "access-2"


def looked(peer: hostile.Peer, timeout_seconds: float) -> DrawcliError | None:
    try:
        probe_server(ServerSettings(url=peer.url, timeout_seconds=timeout_seconds))
    except DrawcliError as err:
        return err
    return None


@pytest.mark.parametrize(
    "manner", [hostile.says_nothing, hostile.drips_in_head, hostile.floods_head]
)
def test_the_look_of_doctor_ends(manner: hostile.Manner) -> None:
    with hostile.listening(manner) as peer:
        assert isinstance(looked(peer, SHORT), ServerUnavailable)


@pytest.mark.parametrize("manner", [hostile.drips_in_body, hostile.floods_body])
def test_the_look_of_doctor_reads_no_body(manner: hostile.Manner) -> None:
    with hostile.listening(manner) as peer:
        assert looked(peer, LONG) is None

    assert peer.sent < BUFFERS


# What a run tells others.


@pytest.mark.parametrize("manner", [*DRIPS, *FLOODS])
def test_a_monitor_that_drips_or_floods_costs_a_line_in_the_log(
    manner: hostile.Manner, hurry: Callable[[str, float], None]
) -> None:
    heads = (hostile.says_nothing, hostile.drips_in_head, hostile.informs, hostile.floods_head)
    hurry("heartbeat", SHORT if manner in heads else LONG)
    with hostile.listening(manner) as peer:
        taken = ping(Metrics(heartbeat_url=peer.url))

    assert taken is (manner not in heads)  # its word is in the head of the answer
    assert peer.sent < BUFFERS


@pytest.mark.parametrize("manner", [hostile.saying(b"", "302 Found", b"location: http://x/")])
def test_a_monitor_that_lies_has_not_taken_the_ping(manner: hostile.Manner) -> None:
    with hostile.listening(manner) as peer:
        assert not ping(Metrics(heartbeat_url=peer.url))


@pytest.mark.sweep
@pytest.mark.parametrize(
    "manner",
    [hostile.drips_in_body, hostile.floods_body, hostile.saying(b"\xff", "302 Found")],
    ids=["drips", "floods", "lies"],
)
def test_a_recipient_of_alarms_that_drips_floods_or_lies_has_not_taken_the_message(
    manner: hostile.Manner, hurry: Callable[[str, float], None]
) -> None:
    hurry("message", 4.0)  # a process has to be started
    with hostile.listening(manner) as peer:
        taken = Recipient(1, f"json://127.0.0.1:{peer.port}/").send(Message("title", "body"))

    assert not taken


# Programs of the site, and of the system.


def program(text: str) -> list[str]:
    return [sys.executable, "-c", text]


PROGRAMS = {
    "drips": ("while True: print('a', end='', flush=True); time.sleep(.01)", "did not end within"),
    "floods": ("while True: print('a' * 65536, flush=True)", "printed more than 128 KiB"),
    "lies": ("sys.stdout.buffer.write(bytes(range(256)))", "its output is not text"),
    "waits": ("signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)", "did not end"),
    "fails": ("sys.exit(3)", "exited with 3"),
}
_LEAVES = """
import pathlib, signal, subprocess, sys, time
child = subprocess.Popen(['sleep', '600'])
pathlib.Path(sys.argv[1]).write_text(str(child.pid))
"""


@pytest.mark.parametrize("how", PROGRAMS)
def test_a_token_command_is_bounded(
    how: str, tmp_path: Path, hurry: Callable[[str, float], None]
) -> None:
    text, said = PROGRAMS[how]
    noted = tmp_path / "pid"
    words = [*program(_LEAVES + text), str(noted)]

    for seconds in (4.0, 30.0) if how in ("drips", "waits") else (LONG,):
        hurry("token-command", seconds)
        with pytest.raises(ConfigError, match=said):
            TokenCommand(words, [], tmp_path / "token").read()
        if noted.exists() and noted.read_text():  # else it was ended before it had begun
            break

    if sys.platform != "win32":  # it has no sessions of processes
        assert has_ended(noted)


@pytest.mark.skipif(sys.platform == "win32", reason="has no sessions of processes")
def test_what_a_token_command_started_ends_with_it(tmp_path: Path) -> None:
    words = [*program(f"{_LEAVES}print({SECRET!r})"), str(tmp_path / "pid")]

    assert TokenCommand(words, [], tmp_path / "token").read().access == SECRET

    assert has_ended(tmp_path / "pid")  # else it holds the output open


def has_ended(noted: Path) -> bool:
    """Tell whether a process, whose number is noted in a file, ends soon."""
    pid = int(noted.read_text())
    wait_until(lambda: not is_running(pid))
    return True


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_a_command_that_does_not_read_the_new_pair_is_ended(
    tmp_path: Path, hurry: Callable[[str, float], None]
) -> None:
    hurry("token-command", 0.5)
    from drawcli.core.protocol.tokens import Tokens

    store = TokenCommand(["x"], program("import time; time.sleep(600)"), tmp_path / "token")

    with pytest.raises(ConfigError, match="did not end within"):
        store.store(Tokens("a" * 300_000))


class Ring(keyring.backend.KeyringBackend):
    """A keyring that answers in some manner."""

    priority = 1.0

    def __init__(self, answer: Callable[[], str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # keyring has no types here
        self.answer = answer

    def get_password(self, service: str, username: str) -> str:
        return self.answer() if service and username else ""

    def set_password(self, service: str, username: str, password: str) -> None:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("answer", "said", "seconds"),
    [
        (lambda: str(threading.Event().wait(LONG)), "does not answer", SHORT),
        (lambda: "a" * 10_000_000, "longer than 128 KiB", LONG),
        (lambda: "two words", "not ASCII text without blanks", LONG),
    ],
    ids=["drips", "floods", "lies"],
)
def test_a_keyring_is_bounded(  # noqa: PLR0913, PLR0917 - a table, and fixtures
    answer: Callable[[], str],
    said: str,
    seconds: float,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    hurry: Callable[[str, float], None],
) -> None:
    hurry("keyring", seconds)
    monkeypatch.setattr("keyring.get_password", Ring(answer).get_password)

    with pytest.raises(ConfigError, match=said):
        TokenKeyring("draw", "ward-7", tmp_path / "token").read()


@pytest.mark.skipif(sys.platform == "win32", reason="a stand-in for git is a script")
@pytest.mark.parametrize(
    "script",
    ["while :; do printf a; sleep .01; done", "exec cat /dev/zero", r"printf '\033[2Jrm -rf\n'"],
    ids=["drips", "floods", "lies"],
)
def test_git_is_bounded_and_its_word_is_no_commit(
    script: str, site: Site, monkeypatch: pytest.MonkeyPatch, hurry: Callable[[str, float], None]
) -> None:
    hurry("git", 1.0)
    (site.folder / ".git").mkdir()
    stub = site.folder / "bin" / "git"
    stub.parent.mkdir()
    stub.write_text(f"#!/bin/sh\n{script}\n")
    stub.chmod(stub.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{stub.parent}:{os.environ['PATH']}")

    assert read_rulebook(site.folder / "rules.yaml", site.folder / "templates.yaml").commit is None


# File servers.


@pytest.fixture
def never() -> Iterator[Callable[..., Any]]:
    """Return a function that does not return before the test has ended, as a share that hangs."""
    over = threading.Event()
    yield lambda *_args, **_more: over.wait()
    over.set()


def test_a_datastore_that_hangs_is_passed_over(
    tmp_path: Path, never: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "_list", never)

    with pytest.raises(OutOfReach) as caught:
        walk.check_folder(tmp_path, SHORT)

    assert caught.value.code == "datastore-silent"


@pytest.mark.parametrize("step", ["match", "deidentify", "reidentify"])
def test_a_step_that_reads_images_and_makes_no_progress_ends_the_process(
    step: str, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []
    come = threading.Event()

    def end(what: str) -> None:
        ended.append(what)
        come.set()

    monkeypatch.setattr(watchdog, "_end", end)
    monkeypatch.setattr(watchdog, "SHARE_ANSWERS", SHORT / ctx.settings.scan.answer_seconds)

    with watchdog.watch_step(ctx, step):
        assert come.wait(LONG)

    assert ended == [step]


def test_what_is_waited_for_elsewhere_is_no_file_server_that_hangs(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []
    come = threading.Event()

    def end(what: str) -> None:
        ended.append(what)
        come.set()

    monkeypatch.setattr(watchdog, "_end", end)
    monkeypatch.setattr(watchdog, "SHARE_ANSWERS", 2.0 / ctx.settings.scan.answer_seconds)

    with ctx.turns.taken(), watchdog.watch_step(ctx, "reidentify"):
        with ctx.turns.released():  # a node with a slow line, or a server that drips
            time.sleep(3.0)
        assert ctx.turns.quiet_seconds() < LONG
        before = list(ended)
        assert come.wait(LONG)  # and now it is the file server

    assert (before, ended) == ([], ["reidentify"])


def test_progress_is_a_sign_of_life(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []
    monkeypatch.setattr(watchdog, "_end", ended.append)

    for limit in (2.0, 20.0):  # seconds
        ended.clear()
        monkeypatch.setattr(watchdog, "SHARE_ANSWERS", limit / ctx.settings.scan.answer_seconds)
        with ctx.progress.step("match"), watchdog.watch_step(ctx, "match"):
            items = ctx.progress.count_items(range(count := int(15 * limit)), "files read")
            longest = longest_pause(partial(next, items), count, 0.1)
        if longest < limit / 2:  # else the machine was too busy for signs of life
            break

    assert ended == []


def test_a_folder_for_structure_sets_that_hangs_is_given_up_and_gets_no_name_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on, written = threading.Event(), threading.Event()
    write = delivery._write

    def slowly(temporary: Path, data: bytes) -> None:
        goes_on.wait()
        write(temporary, data)
        written.set()

    monkeypatch.setattr(delivery, "_write", slowly)

    with pytest.raises(FolderSilent) as caught:
        delivery.deliver(tmp_path, "RS.dcm", b"structure set", "0123456789ab-1", seconds=SHORT)

    assert (caught.value.code, caught.value.exit_code) == ("delivery", 6)
    goes_on.set()
    assert written.wait(LONG)
    wait_until(lambda: not list(tmp_path.iterdir()))


def test_a_folder_that_gives_back_another_file_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "sha256_of", lambda _path: "0" * 64)

    with pytest.raises(DrawcliError, match="read back differs from that written"):
        delivery.deliver(tmp_path, "RS.dcm", b"structure set", "0123456789ab-1")

    assert list(tmp_path.iterdir()) == []


def test_figures_that_cannot_be_written_are_given_up(
    ctx: Context,
    tmp_path: Path,
    never: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    hurry: Callable[[str, float], None],
) -> None:
    hurry("textfile", SHORT)
    monkeypatch.setattr(metrics, "write_durably", never)

    with pytest.raises(TimeoutError):
        metrics.write_textfile(ctx, tmp_path / "drawcli.prom")


# The table itself: each row has its three tests, or a reason why one has no meaning.

_PAIRS = "see `cli/qa/test_pair_commands.py`"
_NO_ANSWER = "nothing comes in but success or failure"
_SERVER = (
    "test_a_server_that_drips_is_given_up",
    "test_a_server_that_floods_is_given_up_before_it_fills_anything",
    "test_a_server_that_lies_is_not_believed",
)
_LOGINS = "see `dashboard/access/test_auth.py`"
_SAVING = "see `adapters/edited_files/test_saving.py`"
_LISTENER = "see `adapters/dicom_network/test_listener.py`"
_SIGN_ON = "see `dashboard/access/test_single_sign_on.py`"
_SITES = "see `operations/group/test_sites.py`"
_PULLS = "see `adapters/archive/test_dimse_archive.py`"
_ATTEMPTS = "see `dashboard/access/test_rate_limit.py`"
_COMMITMENTS = "see `adapters/delivery/test_commitment.py`"
_ARCHIVES = "see `adapters/delivery/test_stow.py`"
_DATABASE = "see `adapters/ledger/postgres/test_failures.py`"
_STORES = "see `adapters/work_store/test_stores.py`"
_BROWSERS = "see `dashboard/test_hostile_browsers.py`"
TESTS: dict[str, tuple[str, str, str]] = {
    **dict.fromkeys(CALLS, _SERVER),
    "probe": (
        "test_the_look_of_doctor_ends",
        "test_the_look_of_doctor_reads_no_body",
        "the status alone is shown; `checkup/test_server.py` has wrong dates",
    ),
    "heartbeat": ("test_a_monitor_that_drips_or_floods_costs_a_line_in_the_log",) * 2
    + ("test_a_monitor_that_lies_has_not_taken_the_ping",),
    "message": ("test_a_recipient_of_alarms_that_drips_floods_or_lies_has_not_taken_the_message",)
    * 3,
    "token-command": ("test_a_token_command_is_bounded",) * 3,
    "keyring": ("test_a_keyring_is_bounded",) * 3,
    "git": ("test_git_is_bounded_and_its_word_is_no_commit",) * 3,
    "git-commit": (
        f"{_SAVING}: test_a_hook_without_end_is_ended",
        f"{_SAVING}: test_a_hook_without_end_is_ended",
        f"{_SAVING}: test_a_hook_that_changes_the_file_is_reported",
    ),
    "datastore": ("test_a_datastore_that_hangs_is_passed_over", _NO_ANSWER, _NO_ANSWER),
    "reading": (
        "test_a_step_that_reads_images_and_makes_no_progress_ends_the_process",
        "files are read by pieces; their sizes are those of the listing",
        "see `deidentification/test_mutations.py`",
    ),
    "delivery": (
        "test_a_folder_for_structure_sets_that_hangs_is_given_up_and_gets_no_name_later",
        _NO_ANSWER,
        "test_a_folder_that_gives_back_another_file_is_not_believed",
    ),
    "store": (
        "see `test_association.py`: a node that reads a little all the time",
        "see `test_association.py`: a flood takes no memory",
        "see `test_association.py`: an answer that is not about the request",
    ),
    "echo": ("see `test_association.py`, which asks both ways",) * 3,
    "commitment": (
        f"{_COMMITMENTS}: test_without_a_report_it_waits_and_the_file_is_not_sent_again",
        f"{_COMMITMENTS}: test_a_report_that_is_not_about_this_file_or_broken_keeps_it_waiting",
        f"{_COMMITMENTS}: test_a_report_that_is_not_about_this_file_or_broken_keeps_it_waiting",
    ),
    "stow": (
        f"{_ARCHIVES}: test_an_archive_that_drips_is_given_up",
        f"{_ARCHIVES}: test_an_answer_that_does_not_confirm_this_file_waits",
        f"{_ARCHIVES}: test_an_archive_that_contradicts_itself_has_not_stored",
    ),
    "stow-check": (
        f"{_ARCHIVES}: test_a_check_of_an_archive_that_drips_or_floods_ends",
        f"{_ARCHIVES}: test_a_check_of_an_archive_that_drips_or_floods_ends",
        f"{_ARCHIVES}: test_a_check_reports_credentials_that_are_refused",
    ),
    "pull-query": (
        f"{_PULLS}: test_an_archive_that_drips_an_answer_is_left_in_time",
        f"{_PULLS}: test_an_answer_without_end_is_given_up",
        f"{_PULLS}: test_a_match_that_is_none_is_an_error_that_quotes_nothing",
    ),
    "pull-object": (
        f"{_PULLS}: test_an_archive_that_drips_an_object_is_left_in_time",
        f"{_PULLS}: test_an_object_above_the_limit_is_given_up",
        f"{_PULLS}: test_what_is_no_object_ends_the_retrieval",
    ),
    "page-request": (
        f"{_BROWSERS}: test_a_request_that_drips_ends_in_time",
        f"{_BROWSERS}: test_a_body_without_end_is_given_up",
        f"{_BROWSERS}: test_an_absurd_address_is_not_there_and_no_bug",
    ),
    "page-answer": (
        f"{_BROWSERS}: test_who_reads_a_little_now_and_then_is_given_up",
        f"{_BROWSERS}: test_who_reads_nothing_is_given_up",
        _NO_ANSWER,
    ),
    "login": (
        f"{_SIGN_ON}: test_a_provider_that_drips_is_given_up",
        f"{_SIGN_ON}: test_a_provider_that_answers_something_else_is_not_asked_at_once_again",
        f"{_SIGN_ON}: test_a_token_with_a_wrong_claim_is_refused",
    ),
    "group-site": (
        f"{_SITES}: test_a_page_that_does_not_answer_is_given_up",
        f"{_SITES}: test_pages_are_queried_and_every_failure_has_its_own_text",
        f"{_SITES}: test_pushed_files_are_sites_and_the_worst_is_first",
    ),
    "page-login": (
        f"{_ATTEMPTS}: test_the_right_one_of_a_network_has_its_turn",
        f"{_ATTEMPTS}: test_more_than_can_have_their_turn_cost_nothing",
        f"{_LOGINS}: test_a_browser_that_says_so_falsely_is_counted_as_anybody",
    ),
    "page-live": (
        f"{_BROWSERS}: test_a_stream_gives_its_place_back",
        f"{_BROWSERS}: test_no_more_streams_than_the_limit_also_at_once",
        _NO_ANSWER,
    ),
    "receive-request": (
        f"{_LISTENER}: test_a_sender_that_goes_silent_is_ended",
        f"{_LISTENER}: test_what_is_no_request_for_an_association_ends_the_connection",
        f"{_LISTENER}: test_only_the_configured_titles_may_associate",
    ),
    "receive-idle": (
        f"{_LISTENER}: test_a_sender_that_goes_silent_is_ended",
        f"{_LISTENER}: test_a_message_that_breaks_the_standard_ends_the_association",
        f"{_LISTENER}: test_a_request_of_another_class_than_its_context_is_refused_after_its_data",
    ),
    "receive-object": (
        f"{_LISTENER}: test_a_sender_that_drips_is_ended_and_others_are_served",
        f"{_LISTENER}: test_an_object_beyond_the_limit_is_aborted_and_removed",
        f"{_LISTENER}: test_bytes_that_are_no_data_set_are_refused",
    ),
    "clinical": (
        f"{_PAIRS}: test_a_comparison_that_takes_too_long_is_left_and_reported",
        _NO_ANSWER,
        _NO_ANSWER,
    ),
    "database": (
        f"{_DATABASE}: test_a_server_that_no_longer_answers_is_given_up",
        "it is trusted with the ledger; time alone ends an answer",
        "see `adapters/ledger/postgres/test_lost_connections.py`",
    ),
    "work-store": (
        f"{_STORES}: test_a_store_that_fails_is_out_of_reach",
        "an object has the size and the digest that the database names",
        f"{_STORES}: test_wrong_bytes_are_read_again_and_then_count_as_a_missing_file",
    ),
    "work-folder": (
        f"{_STORES}: test_a_folder_that_hangs_is_given_up",
        _NO_ANSWER,
        f"{_STORES}: test_a_folder_that_gives_back_other_bytes_is_refused",
    ),
    "textfile": ("test_figures_that_cannot_be_written_are_given_up", _NO_ANSWER, _NO_ANSWER),
}


def test_every_exchange_has_a_peer_that_drips_one_that_floods_and_one_that_lies() -> None:
    assert set(TESTS) == set(EXCHANGES)
    for name, tests in TESTS.items():
        for test in tests:
            assert test in globals() or " " in test, (name, test)
            elsewhere = re.fullmatch(r"see `(.+)`: (test_\w+)", test)
            if elsewhere:
                there = (Path(__file__).parent / elsewhere[1]).read_text(encoding="utf-8")
                assert f"def {elsewhere[2]}(" in there, (name, test)
        assert tests[0] in globals() or tests[0].startswith("see `"), name
