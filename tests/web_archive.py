"""A DICOMweb archive on loopback for tests: it stores what it is sent, or says what it is told."""

import email
import email.policy
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import httpx
from pydicom import dcmread

from tests import tls

STORED, FAILED = "00081199", "00081198"


@dataclass
class WebArchive:
    """What the archive got, and what it answers."""

    status: int = 200
    sequence: str = STORED
    reason: int | None = None  # of a warning or failure
    answer: Callable[[httpx.Request], httpx.Response] | None = None
    needs: str = ""  # the header Authorization
    port: int = 0
    received: list[bytes] = field(default_factory=list)
    requests: list[httpx.Request] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/dicom-web"

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if self.needs and request.headers.get("authorization") != self.needs:
            return httpx.Response(401)
        if request.method == "OPTIONS":
            return httpx.Response(200, headers={"allow": "GET, POST"} | self.headers)
        if request.url.path != "/dicom-web/studies":
            return httpx.Response(404)
        if len(request.content) != int(request.headers["content-length"]):
            return httpx.Response(400)  # the client has ended in the middle
        (data,) = parts_of(request)
        self.received.append(data)
        if self.answer is not None:
            return self.answer(request)
        return stored(data, self.status, self.sequence, self.reason)


def stored(
    data: bytes, status: int = 200, sequence: str = STORED, reason: int | None = None
) -> httpx.Response:
    """Return the true answer about a file, or one with a reason."""
    dataset = dcmread(BytesIO(data), stop_before_pixels=True)
    item: dict[str, Any] = {
        "00081150": {"vr": "UI", "Value": [dataset.SOPClassUID]},
        "00081155": {"vr": "UI", "Value": [dataset.SOPInstanceUID]},
    }
    if reason is not None:
        tag = "00081196" if sequence == STORED else "00081197"
        item[tag] = {"vr": "US", "Value": [reason]}
    body = json.dumps({sequence: {"vr": "SQ", "Value": [item]}}).encode()
    return httpx.Response(status, headers={"content-type": "application/dicom+json"}, content=body)


def parts_of(request: httpx.Request) -> list[bytes]:
    """Return the parts of a multipart/related request, read by the parser of Python."""
    head = f"Content-Type: {request.headers['content-type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + request.content, policy=email.policy.HTTP)
    assert message.get_content_type() == "multipart/related"
    parts = list(message.iter_parts())
    assert [part.get_content_type() for part in parts] == ["application/dicom"] * len(parts)
    return [bytes(request.content.split(b"\r\n\r\n", 1)[1].rsplit(b"\r\n--", 1)[0])]


@contextmanager
def archive(web: WebArchive, secured: Any = None) -> Iterator[WebArchive]:
    """Serve the archive; with a TLS context by https."""
    with tls.serving(web, secured) as port:
        web.port = port
        yield web
