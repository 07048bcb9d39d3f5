"""What came before a connection broke is gone on with, where that is safe, and thrown away else."""

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from drawcli.adapters.server.client import DrawServer
from drawcli.adapters.server.token_file import TokenFile
from drawcli.config.sections import ServerSettings
from drawcli.errors import ServerUnavailable
from tests.conftest import Clock

RESULT = bytes(range(256)) * 400
OTHER = bytes(reversed(RESULT))
HALF = len(RESULT) // 2


class CutShort(httpx.SyncByteStream):
    """A body whose connection breaks after its bytes."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self._content
        raise httpx.ReadError("broken")


@dataclass
class Ranged:
    """A server whose downloads break, and that supports ranges."""

    content: bytes = RESULT
    cuts: list[int] = field(default_factory=list)  # bytes of each answer; then whole ones
    ranges: bool = True
    checksum: bool = True
    changes: dict[str, str] = field(default_factory=dict)  # of the headers of a part
    asked: list[str] = field(default_factory=list)  # the ranges
    same: list[str] = field(default_factory=list)  # If-Range
    tag: bytes = b""  # ETag in place of the usual one
    sent: int = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        wanted = request.headers.get("range", "")
        self.asked.append(wanted)
        self.same.append(request.headers.get("if-range", ""))
        size, digest = len(self.content), hashlib.sha256(self.content).hexdigest()
        headers: dict[str, Any] = {"etag": self.tag or f'"{digest[:8]}"'}
        if self.checksum:
            headers["x-file-checksum"] = digest.upper()
        if self.ranges:
            headers["accept-ranges"] = "bytes"
        start, code = 0, 200
        if self.ranges and (found := re.fullmatch(r"bytes=(\d+)-", wanted)):
            start, code = int(found[1]), 206
            headers["content-range"] = f"bytes {start}-{size - 1}/{size}"
            headers |= self.changes
        body = self.content[start:]
        headers["content-length"] = str(len(body))
        if not self.cuts:
            self.sent += len(body)
            return httpx.Response(code, headers=headers, content=body)
        body = body[: self.cuts.pop(0)]
        self.sent += len(body)
        return httpx.Response(code, headers=headers, stream=CutShort(body))


@pytest.fixture
def tokens(tmp_path: Path) -> TokenFile:
    path = tmp_path / "token.json"
    path.write_text('{"access_token": "a", "refresh_token": "r"}')
    path.chmod(0o600)
    return TokenFile(path)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "job").mkdir()
    return tmp_path / "job" / "received.dcm"


@contextmanager
def run(draw: Ranged, tokens: TokenFile) -> Iterator[DrawServer]:
    """Open the server again, as each run does."""
    with httpx.Client(transport=httpx.MockTransport(draw)) as client:
        server = DrawServer(client, ServerSettings(url="https://draw.test"), tokens, Clock().now)
        server.pause = lambda _seconds: None
        yield server


def left(target: Path) -> list[str]:
    """Return the names in the folder, without the checksums."""
    return sorted(re.sub("[0-9a-f]{64}", "SHA", path.name) for path in target.parent.iterdir())


def test_a_broken_download_is_resumed_without_repeated_bytes(
    tokens: TokenFile, target: Path
) -> None:
    draw = Ranged(cuts=[HALF, 1000])
    told: list[tuple[int, int | None]] = []

    with run(draw, tokens) as server:
        digest = server.download("t", target, tell=lambda *how: told.append(how))

    assert digest == hashlib.sha256(RESULT).hexdigest()
    assert target.read_bytes() == RESULT
    assert left(target) == ["received.dcm"]
    assert draw.asked == ["", f"bytes={HALF}-", f"bytes={HALF + 1000}-"]
    assert draw.same[1:] == [f'"{digest[:8]}"'] * 2
    assert draw.sent == len(RESULT)
    assert told[-1] == (len(RESULT), len(RESULT))


@pytest.mark.parametrize("tag", [b'W/"1"', b'"\xa2"', b"1"])
def test_an_entity_tag_beyond_ascii_is_not_sent_back(
    tokens: TokenFile, target: Path, tag: bytes
) -> None:
    draw = Ranged(cuts=[HALF], tag=tag)

    with run(draw, tokens) as server:
        server.download("t", target)

    assert draw.asked == ["", f"bytes={HALF}-"]
    assert draw.same == ["", ""]
    assert target.read_bytes() == RESULT


def test_the_next_run_resumes_a_broken_download(tokens: TokenFile, target: Path) -> None:
    draw = Ranged(cuts=[HALF, 0])
    with run(draw, tokens) as server, pytest.raises(ServerUnavailable) as caught:
        server.download("t", target)
    between = left(target)

    with run(draw, tokens) as server:
        server.download("t", target)

    assert caught.value.code == "server-lost"
    assert between == [".received.dcm.SHA.part"]
    assert draw.asked[-1] == f"bytes={HALF}-"
    assert draw.sent == len(RESULT)
    assert target.read_bytes() == RESULT
    assert left(target) == ["received.dcm"]


@pytest.mark.parametrize("missing", ["ranges", "checksum"])
def test_a_part_that_cannot_be_resumed_safely_is_not_kept(
    tokens: TokenFile, target: Path, missing: str
) -> None:
    draw = Ranged(cuts=[HALF])
    setattr(draw, missing, False)

    with run(draw, tokens) as server:
        with pytest.raises(ServerUnavailable):
            server.download("t", target)
        between = left(target)
        server.download("t", target)

    assert between == []
    assert draw.asked == ["", ""]
    assert target.read_bytes() == RESULT


@pytest.mark.parametrize("checksum", [True, False], ids=["told", "not told"])
def test_a_part_is_never_continued_with_another_file(
    tokens: TokenFile, target: Path, *, checksum: bool
) -> None:
    draw = Ranged(cuts=[HALF, 0])
    with run(draw, tokens) as server, pytest.raises(ServerUnavailable):
        server.download("t", target)
    draw.content, draw.checksum = OTHER, checksum

    for _ in range(2):
        with run(draw, tokens) as server:
            try:
                server.download("t", target)
            except ServerUnavailable:
                assert not checksum  # found out in the end: nothing of it is kept
                assert left(target) == []

    assert target.read_bytes() == OTHER


def test_a_part_damaged_on_disk_is_found_and_downloaded_again(
    tokens: TokenFile, target: Path
) -> None:
    draw = Ranged(cuts=[HALF, 0])
    with run(draw, tokens) as server, pytest.raises(ServerUnavailable):
        server.download("t", target)
    (part,) = target.parent.iterdir()
    part.write_bytes(b"?" + part.read_bytes()[1:])

    with run(draw, tokens) as server:
        with pytest.raises(ServerUnavailable, match="checksum"):
            server.download("t", target)
        between = left(target)
        server.download("t", target)

    assert between == []
    assert target.read_bytes() == RESULT


@pytest.mark.parametrize(
    "said",
    ["", "bytes 0-9/10", "nonsense", f"bytes {HALF + 1}-{len(RESULT) - 1}/{len(RESULT)}"],
)
def test_a_range_that_was_not_asked_for_is_not_used(
    tokens: TokenFile, target: Path, said: str
) -> None:
    draw = Ranged(cuts=[HALF], changes={"content-range": said})

    with run(draw, tokens) as server:
        server.download("t", target)

    assert draw.asked == ["", f"bytes={HALF}-", ""]
    assert target.read_bytes() == RESULT


def test_a_server_that_ignores_the_range_sends_the_whole_file(
    tokens: TokenFile, target: Path
) -> None:
    draw = Ranged(cuts=[HALF, 0])
    with run(draw, tokens) as server, pytest.raises(ServerUnavailable):
        server.download("t", target)
    draw.ranges = False

    with run(draw, tokens) as server:
        server.download("t", target)

    assert draw.asked[-1] == f"bytes={HALF}-"
    assert target.read_bytes() == RESULT
    assert left(target) == ["received.dcm"]


def test_a_part_that_is_longer_than_the_file_is_removed(tokens: TokenFile, target: Path) -> None:
    digest = hashlib.sha256(RESULT).hexdigest()
    target.with_name(f".received.dcm.{digest}.part").write_bytes(RESULT + b"more")
    draw = Ranged()
    asked: list[int] = []

    def strict(request: httpx.Request) -> httpx.Response:
        answer = draw(request)
        past = answer.status_code == 206 and not answer.content
        asked.append(416 if past else answer.status_code)
        return httpx.Response(416, headers={"content-range": "bytes */1"}) if past else answer

    with httpx.Client(transport=httpx.MockTransport(strict)) as client:
        server = DrawServer(client, ServerSettings(url="https://draw.test"), tokens, Clock().now)
        server.download("t", target)

    assert asked == [416, 200]
    assert target.read_bytes() == RESULT


def test_a_connection_that_breaks_repeatedly_waits_for_the_next_run(
    tokens: TokenFile, target: Path
) -> None:
    draw = Ranged(cuts=[100] * 50)

    with run(draw, tokens) as server, pytest.raises(ServerUnavailable) as caught:
        server.download("t", target)

    assert caught.value.code == "server-lost"
    assert len(draw.asked) <= 10
    assert left(target) == [".received.dcm.SHA.part"]
