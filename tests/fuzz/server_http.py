"""A DRAW server whose every byte is that of the input, read by the client with its HTTP parsers.

Nothing is opened on the network: the connections of the client return the bytes of the input. The
first byte chooses what is asked; the rest are the answers, one for each connection.
"""

import hashlib
import json
import re
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple
from unittest.mock import patch

import httpcore
import httpx

from drawcli.adapters.server.client import DrawServer
from drawcli.adapters.server.tls import open_client
from drawcli.adapters.server.token_file import TokenFile
from drawcli.config.sections import ServerSettings
from drawcli.core.protocol.task_status import TaskState, TaskStatus
from drawcli.core.protocol.tokens import Tokens
from drawcli.core.templates.catalogue import parse_catalogue
from drawcli.errors import DrawcliError
from drawcli.system import pacing
from tests.fuzz import json_values
from tests.fuzz.image_files import scratch
from tests.fuzz.in_line import run_at_once
from tests.fuzz.mutations import change
from tests.fuzz.targets import READ, UNITS, Units, target

NOON: Final = datetime(2026, 11, 14, 12, tzinfo=UTC)
ACCESS, REFRESH = "SecretAccess7", "SecretRefresh7"
HOST: Final = "127.0.0.1"
NEXT: Final = b"\n%%%%\n"  # between the answers of two connections
PIECE: Final = 700  # bytes that arrive at once
STATED: Final = re.compile(rb"(?<=\r\n)content-length: ([0-9]{1,9})(?=\r\n|$)")
FITTING: Final = 0.8  # share of changed bodies whose length, or checksum, is stated as it is
HEAD_BYTES: Final = 9  # of a frame of HTTP/2
CHECKSUM: Final = re.compile(rb"\r\nx-file-checksum: ([0-9a-f]{64})(?=\r\n|$)")
LONGEST_ID: Final = 8192  # characters
LONGEST: Final = 400  # characters of a message
STACK: Final = ExitStack()  # closes nothing before the process ends
HTTP_2: Final = bytes.fromhex("000000040000000000")  # an empty SETTINGS frame


class Line(httpcore.NetworkStream):
    """A connection that answers with some bytes, and ends."""

    def __init__(self, answer: bytes, *, http2: bool) -> None:
        self._rest, self._http2 = answer, http2

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        size = min(max_bytes, PIECE)
        found, self._rest = self._rest[:size], self._rest[size:]
        return found

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        is_refresh = self._http2 or b"refresh" in buffer.partition(b"\r\n")[0]
        assert is_refresh or REFRESH.encode() not in buffer

    def close(self) -> None:
        self._rest = b""

    def start_tls(self, *_: Any, **__: Any) -> httpcore.NetworkStream:
        return self

    def get_extra_info(self, info: str) -> Any:
        return self if info == "ssl_object" else None

    def selected_alpn_protocol(self) -> str:
        return "h2" if self._http2 else "http/1.1"


class Network(httpcore.NetworkBackend):
    """Connects to the server of an input."""

    def __init__(self) -> None:
        self.answers: list[bytes] = []
        self.http2 = False

    def connect_tcp(self, host: str, *_: Any, **__: Any) -> httpcore.NetworkStream:
        assert host == HOST  # whatever the server says
        return Line(self.answers.pop(0) if self.answers else b"", http2=self.http2)

    def sleep(self, seconds: float) -> None:
        """Go on at once."""


@cache
def folder() -> Path:
    made = scratch()
    (made / "package.zip").write_bytes(b"PK\5\6" + bytes(18))
    return made


class Opened(NamedTuple):
    """A client, whose connections lead to a network."""

    site: ServerSettings
    client: httpx.Client
    network: Network
    pool: httpcore.ConnectionPool


@cache
def opened(*, http2: bool) -> Opened:
    """Return a client, opened as for a run; one for all inputs."""
    scheme = "https" if http2 else "http"
    token = folder() / f"{scheme}.json"
    site = ServerSettings(url=f"{scheme}://{HOST}/", token_file=token, client_id="Site7")
    client = STACK.enter_context(open_client(site))
    network = Network()
    transport: Any = vars(client)["_transport"]
    transport._pool._network_backend = network
    return Opened(site, client, network, transport._pool)


def ask(data: bytes, call: Callable[[DrawServer], Any], *, http2: bool) -> Any:
    """Return what a call to the server of an input returns; None if it fails."""
    site, client, network, pool = opened(http2=http2)
    pool.close()  # what is left of the input before
    network.answers, network.http2 = data.split(NEXT), http2
    token = site.token_file
    token.write_text(json.dumps({"access_token": ACCESS, "refresh_token": REFRESH}))
    token.chmod(0o600)
    for left in folder().glob(f"{token.name}.*"):
        left.unlink()
    server = DrawServer(client, site, TokenFile(token), lambda: NOON)
    server.pause = lambda _seconds: None
    server._exchange._pause = lambda _seconds: None
    try:
        with patch.object(pacing, "run_in_thread", run_at_once):
            return call(server)
    except DrawcliError as err:
        check_error(err)
        return None


def check_error(err: DrawcliError) -> None:
    """An error names no token, is short, and can be shown on a terminal."""
    text = f"{err}"
    for secret in (ACCESS, REFRESH):
        assert secret not in text + err.hint
    assert text.isprintable()
    assert len(text) <= LONGEST


def renewed(one: DrawServer) -> Tokens:
    """Renew the tokens and return them."""
    one.renew_tokens()
    return one._tokens


def asked(number: int) -> Callable[[DrawServer], Any]:
    """Return a request."""
    calls: list[Callable[[DrawServer], Any]] = [
        lambda one: one.status("task-1"),
        lambda one: one.models(),
        lambda one: one.upload(folder() / "package.zip", name="P.zip", sha256="0" * 64),
        lambda one: one.confirm("task-1", at=NOON),
        renewed,
        lambda one: one.check_ready(),
    ]
    return calls[number % len(calls)]


def check_answer(found: Any, name: str) -> None:
    """Check what was read of an answer."""
    READ[name] += found is not None
    if isinstance(found, TaskStatus):
        assert found.state in TaskState
        assert (found.word + found.error).isprintable()
        assert len(found.word + found.error) < 2 * LONGEST
    elif isinstance(found, str):  # the id of a task: part of an address, where it is quoted
        assert found.isascii()
        assert found.isprintable()
        assert " " not in found
        assert found.strip(".")
        assert len(found) <= LONGEST_ID
    elif isinstance(found, list):
        for model in parse_catalogue(found):
            words = (model.name, model.config, *(one.name for one in model.structures.values()))
            assert "".join(words).isprintable()
    elif found is not None:
        assert found.access.isascii()
        assert found.access.isprintable()
        assert " " not in found.access


def answers_of(data: bytes) -> list[bytes]:
    """Return the first byte, and the lines of each answer."""
    return [data[:1], *data[1:].splitlines(keepends=True)]


def altered(data: bytes, chance: Random) -> bytes:
    """Return an input with the body of one answer changed; length and checksum fit again."""
    answers = data[1:].split(NEXT)
    number = chance.randrange(len(answers))
    head, end, body = answers[number].partition(b"\r\n\r\n")
    changed = bytearray(json_values.altered(body, chance))
    if changed == body:
        change(changed, answers, chance)
    if chance.random() < FITTING:
        head = STATED.sub(b"content-length: %d" % len(changed), head)
    if chance.random() < FITTING:
        digest = hashlib.sha256(changed).hexdigest().encode()
        head = CHECKSUM.sub(b"\r\nx-file-checksum: " + digest, head)
    answers[number] = head + end + bytes(changed)
    return data[:1] + NEXT.join(answers)


def frames_of(data: bytes) -> list[bytes]:
    """Return the first byte, and each frame of HTTP/2 (RFC 9113, 4.1)."""
    found, rest = [data[:1]], data[1:]
    while rest:
        end = HEAD_BYTES + int.from_bytes(rest[:3])
        found.append(rest[:end])
        rest = rest[end:]
    return found


def joined(messages: list[bytes]) -> bytes:
    """Return an input of these frames, the length of each as it is."""
    first, *frames = messages or [b""]
    return first + b"".join(
        (len(one) - HEAD_BYTES).to_bytes(3) + one[3:] for one in frames if len(one) >= HEAD_BYTES
    )


UNITS["server_answer"] = Units(answers_of, b"".join, altered)
UNITS["server_answer_http_2"] = Units(frames_of, joined)


@target
def server_answer(data: bytes) -> None:
    """The answer to any request but a download, over HTTP/1.1."""
    if data:
        check_answer(ask(data[1:], asked(data[0]), http2=False), "server_answer")


@target
def server_answer_http_2(data: bytes) -> None:
    """The same over HTTP/2."""
    if data:
        check_answer(ask(data[1:], asked(data[0]), http2=True), "server_answer_http_2")
