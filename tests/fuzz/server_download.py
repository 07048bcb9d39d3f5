"""The structure set of a DRAW server whose every byte is that of the input (see server_http)."""

import hashlib
import re
from typing import Any, Final

from drawcli.adapters.server import download
from tests.fuzz.server_http import CHECKSUM, NEXT, STATED, altered, answers_of, ask, folder
from tests.fuzz.targets import READ, UNITS, Units, target

LARGEST: Final = 2_000  # bytes of a structure set: lower than usual, so that inputs reach it
UNITS["server_download"] = Units(answers_of, b"".join, altered)


@target
def server_download(data: bytes) -> None:
    """A structure set: under its name only if it is whole, and has the checksum that was sent."""
    out = folder() / "rtstruct.dcm"
    for name in left_by_download():
        (folder() / name).unlink()
    module: Any = download
    usual: dict[str, Any] = module.EXCHANGES
    module.EXCHANGES = usual | {"rtstruct": usual["rtstruct"]._replace(largest=LARGEST)}
    try:
        digest = ask(data[1:], lambda one: one.download("task-1", out), http2=data[:1] == b"2")
    finally:
        module.EXCHANGES = usual
    parts = [name for name in left_by_download() if name != out.name]
    assert not any(name.endswith(".tmp") for name in parts)
    assert all((folder() / name).stat().st_size <= LARGEST for name in parts)
    assert out.exists() == (digest is not None)
    if digest is not None:
        content = out.read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest
        assert 0 < len(content) <= LARGEST
        assert parts == []
        head, rest = head_and_rest(data)
        stated = CHECKSUM.findall(head) if is_only_answer(head, rest) else []
        assert stated in ([], [digest.encode()])
        check_length(data, content)
        READ["server_download"] += 1


def head_and_rest(data: bytes) -> tuple[bytes, bytes]:
    """Return the head of an answer and what follows it; a line feed alone ends a line, too."""
    head, *rest = re.split(rb"\r?\n\r?\n", data, maxsplit=1)
    return head, b"".join(rest)


def is_only_answer(head: bytes, rest: bytes) -> bool:
    return head.startswith(b"1HTTP/1.1 200 ") and NEXT not in rest


def check_length(data: bytes, content: bytes) -> None:
    """Check that the only answer has the length that it states, if it is neither coded nor cut."""
    head, rest = head_and_rest(data)
    if b"content-encoding" in head.lower() or not is_only_answer(head, rest):
        return
    stated = STATED.findall(head)
    assert len(stated) != 1 or int(stated[0]) == len(content)
    if head.endswith(b"\r\ntransfer-encoding: chunked"):
        whole = dechunked(rest)
        assert whole is None or whole == content


def dechunked(rest: bytes) -> bytes | None:
    """Return a body that came in chunks (RFC 9112, 7.1); None if they are not plain."""
    whole = b""
    while chunk := re.match(rb"([0-9a-f]{1,6})\r\n", rest):
        size = int(chunk[1], 16)
        if not size:
            return whole
        whole += rest[chunk.end() : chunk.end() + size]
        rest = rest[chunk.end() + size + 2 :]
    return None


def left_by_download() -> list[str]:
    return [path.name for path in folder().iterdir() if "rtstruct.dcm" in path.name]
