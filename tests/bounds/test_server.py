"""Answers of the DRAW server, just within their bounds and just beyond, in any coding."""

import gzip
import tracemalloc
import zlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from drawcli.adapters.server.download import Incoming
from drawcli.adapters.server.responses import TooLong, iter_body, plain_json
from drawcli.errors import BadStructureSet
from drawcli.system.limits import EXCHANGES, REFUSAL_BYTES
from drawcli.system.network.limit import MB
from drawcli.system.pacing import Deadline

ANSWERS = {name: EXCHANGES[name].largest for name in ("health", "models", "status", "refresh")}
SIZES = {**ANSWERS, "refusal": REFUSAL_BYTES}
PIECE = bytes(MB)


class Stream(httpx.SyncByteStream):
    """A body that is made while it is read; counts what was taken."""

    def __init__(self, size: int, packed: bytes = b"") -> None:
        self.size, self.packed, self.taken = size, packed, 0

    def __iter__(self) -> Iterator[bytes]:
        whole = self.packed
        for at in range(0, len(whole) or self.size, MB):
            piece = whole[at : at + MB] if whole else PIECE[: self.size - at]
            self.taken += len(piece)
            yield piece


def read(stream: Stream, most: int, coding: str = "identity") -> int:
    answer = httpx.Response(200, headers={"content-encoding": coding}, stream=stream)
    return sum(map(len, iter_body(answer, most)))


@pytest.mark.parametrize("name", [*SIZES, "rtstruct"])
def test_an_answer_has_a_bound_as_it_is_sent(name: str) -> None:
    most = SIZES.get(name, EXCHANGES["rtstruct"].largest)
    beyond = Stream(most + 1)

    assert read(Stream(most), most) == most
    with pytest.raises(TooLong):
        read(beyond, most)
    assert beyond.taken <= most + MB


@pytest.mark.parametrize("name", SIZES)
def test_an_answer_has_the_same_bound_decompressed(name: str) -> None:
    most = SIZES[name]
    bomb = Stream(0, gzip.compress(bytes(8 * most)))

    assert read(Stream(0, gzip.compress(bytes(most))), most, "gzip") == most
    tracemalloc.start()
    try:
        answer = httpx.Response(200, headers={"content-encoding": "gzip"}, stream=bomb)
        came: list[int] = []
        with pytest.raises(TooLong):
            came.extend(map(len, iter_body(answer, most)))
        assert sum(came) <= most  # nothing beyond is passed on
        assert tracemalloc.get_traced_memory()[1] < 4 * MB + most
    finally:
        tracemalloc.stop()


def test_bytes_after_a_compressed_answer_count() -> None:
    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(b"{}") + packer.flush()

    with pytest.raises(TooLong):
        read(Stream(0, packed + bytes(2 * MB)), MB, "gzip")


def test_a_structure_set_has_a_bound_before_anything_of_it_is_read(tmp_path: Path) -> None:
    most = EXCHANGES["rtstruct"].largest
    incoming = Incoming(tmp_path / "received.dcm", lambda _: None, lambda *_: None)
    beyond = Stream(most + 1)
    answer = httpx.Response(
        200,
        headers={"content-length": str(most + 1)},
        stream=beyond,
        request=httpx.Request("GET", "http://draw/"),
    )

    with pytest.raises(BadStructureSet, match="256 MiB"):
        incoming.add(answer, Deadline(60))
    assert beyond.taken == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("depth", [900, 100_000])
def test_json_that_is_nested_too_deep_is_refused(depth: int) -> None:
    assert plain_json(b"[" * 50 + b"]" * 50) is not None
    assert plain_json(b"[" * depth + b"]" * (depth - 1)) is None
    if depth > 10_000:
        assert plain_json(b"[" * depth + b"]" * depth) is None
