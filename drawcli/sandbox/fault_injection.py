"""Injection of faults into the requests and responses of a sandbox."""

import asyncio
import hashlib
import json
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from io import BytesIO
from typing import Any, Final

from pydicom import dcmread, dcmwrite
from pydicom.uid import generate_uid
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from drawcli.sandbox.faults import AFTER, FIRST, SLOW, Fault

_PIECE: Final = 4096  # bytes, of a slow body
_DRIP_SECONDS: Final = 0.05
_UNKNOWN_STATUS: Final = "WAITING FOR THE FULL MOON"
_PAGE: Final = "<html><body>Your session has expired. Please log in.</body></html>"


@dataclass(frozen=True, slots=True)
class FaultlessServer:
    """The server without faults, and the changes of its state."""

    app: ASGIApp
    acts: dict[str, Callable[[], None]]  # see `faults.FIRST`


async def play(
    faults: list[Fault], server: FaultlessServer, scope: Scope, receive: Receive, send: Send
) -> None:
    """Answer a request with its faults."""
    for slow in (fault for fault in faults if fault.what == SLOW):
        receive, send = _slowed_in(receive, slow.rate), _slowed_out(send, slow.rate)
    fault = next((fault for fault in faults if fault.what != SLOW), None)
    if fault is None:
        await server.app(scope, receive, send)
    elif fault.what in FIRST:
        server.acts[fault.what]()
        await server.app(scope, receive, send)
    elif fault.what in AFTER:
        await _changed(fault, server.app, scope, receive, send)
    else:
        await _instead(fault, scope, receive, send)


async def _instead(fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer without the server."""
    if fault.what == "stall":
        await _gone(receive)
        return
    if fault.what == "drip":
        await _drip(receive, send)
        return
    if fault.what in ("drop", "cut-request"):
        if fault.what == "cut-request":
            await receive()
        await _hang_up(receive, send)
        return
    await _read_all(receive)
    answers: dict[str, Response] = {
        "html": HTMLResponse(_PAGE),
        "json": Response('{"task_id": ', media_type="application/json"),
        "redirect": Response(status_code=302, headers={"location": "http://localhost:9/elsewhere"}),
    }
    await (answers.get(fault.what) or _coded(fault))(scope, receive, send)


async def _drip(receive: Receive, send: Send) -> None:
    """Send a response a byte at a time until the client disconnects."""
    gone = asyncio.ensure_future(_gone(receive))
    await send(_start(HTTPStatus.OK, {"content-type": "application/json"}))
    while not gone.done():
        await send({"type": "http.response.body", "body": b" ", "more_body": True})
        await asyncio.wait([gone], timeout=_DRIP_SECONDS)


def _coded(fault: Fault) -> Response:
    code = HTTPStatus(int(fault.what))
    headers = {} if fault.wait is None else {"retry-after": str(fault.wait)}
    return JSONResponse({"detail": "injected by --fault"}, status_code=code, headers=headers)


async def _changed(fault: Fault, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Let the server answer, and change its response."""
    body = await _read_all(receive)
    for _ in range(2 if fault.what == "twice" else 1):
        start, content = await _answer_of(app, scope, body)
    if fault.what == "lost":
        await _hang_up(receive, send)
        return
    headers = {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in start["headers"]
        if name != b"content-length"
    }
    is_good = start["status"] < HTTPStatus.BAD_REQUEST
    if is_good:
        content = _change_body(fault, content, headers)
    if fault.what == "length" and is_good:
        await _cut_off(start["status"], headers, content, send)
        await _gone(receive)
        return
    headers["content-length"] = str(len(content))
    await send(_start(start["status"], headers))
    await send({"type": "http.response.body", "body": content})


def _change_body(fault: Fault, content: bytes, headers: dict[str, str]) -> bytes:
    """Return the changed body; headers are changed in place."""
    whole = content
    match fault.what:
        case "truncate":
            return content[: int(len(content) * fault.part)]
        case "junk":
            content = b"no DICOM file" * 40
        case "partial" | "foreign" | "patient" if content[128:132] == b"DICM":
            content = _other_structure_set(fault.what, content)
        case "no-checksum":
            headers.pop("x-file-checksum", None)
            return content
        case "keys" | "extra" | "word" | "failed":
            return _other_json(fault.what, content)
        case "checksum":
            headers["x-file-checksum"] = "0" * 64
            return content
    if "x-file-checksum" in headers and content is not whole:  # of a range: of the whole file
        headers["x-file-checksum"] = hashlib.sha256(content).hexdigest()
    return content


def _other_json(what: str, content: bytes) -> bytes:
    plain = json.loads(content) if content.startswith((b"{", b"[")) else {}
    if what == "keys":
        return b"[{}]" if isinstance(plain, list) else b"{}"
    whole: dict[str, Any] = plain if isinstance(plain, dict) else {}
    more: dict[str, Any] = {
        "extra": {"weather": "fine", "status_history": [1, None]},
        "word": {"status": _UNKNOWN_STATUS},
        "failed": {"status": "FAILED", "error": "CUDA out of memory"},
    }
    return json.dumps(plain if isinstance(plain, list) else whole | more[what]).encode()


def _other_structure_set(what: str, content: bytes) -> bytes:
    """Return a structure set with one error."""
    dataset = dcmread(BytesIO(content))
    if what == "patient":
        dataset.PatientID = "SOMEBODY-ELSE"
    elif what == "partial":
        gone = dataset.StructureSetROISequence[-1].ROINumber
        for name in ("StructureSetROISequence", "ROIContourSequence", "RTROIObservationsSequence"):
            items = getattr(dataset, name)
            key = "ROINumber" if name.startswith("Structure") else "ReferencedROINumber"
            setattr(dataset, name, [item for item in items if getattr(item, key) != gone])
    else:
        frame = dataset.ReferencedFrameOfReferenceSequence[0]
        series = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
        series.SeriesInstanceUID = generate_uid()
        for image in series.ContourImageSequence:
            image.ReferencedSOPInstanceUID = generate_uid()
    out = BytesIO()
    dcmwrite(out, dataset)
    return out.getvalue()


async def _answer_of(app: ASGIApp, scope: Scope, body: bytes) -> tuple[Message, bytes]:
    """Return the server's response to a request that was read already."""
    messages: list[Message] = []
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> MutableMapping[str, Any]:
        return waiting.pop() if waiting else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        messages.append(message)

    await app(scope, receive, send)
    return messages[0], b"".join(message.get("body", b"") for message in messages[1:])


async def _cut_off(status: int, headers: dict[str, str], content: bytes, send: Send) -> None:
    """Declare the whole body, send half of it, and close."""
    headers["content-length"] = str(len(content))
    await send(_start(status, headers))
    half = content[: len(content) // 2]
    await send({"type": "http.response.body", "body": half, "more_body": True})
    _transport(send).close()


async def _read_all(receive: Receive) -> bytes:
    pieces = []
    while True:
        message = await receive()
        pieces.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(pieces)


async def _hang_up(receive: Receive, send: Send) -> None:
    """Close the connection; return when the server has noticed, so that it sends nothing more."""
    _transport(send).abort()
    await _gone(receive)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _transport(send: Send) -> Any:
    """Return the transport of a `send` of uvicorn, since ASGI cannot close connections."""
    while not hasattr(send, "__self__"):
        send = send.__wrapped__  # type: ignore[attr-defined] # ours: see `wrapped`
    return send.__self__.transport


def _start(status: int, headers: dict[str, str]) -> Message:
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": raw}


def _slowed_in(receive: Receive, rate: float) -> Receive:
    async def slowly() -> Message:
        message = await receive()
        await asyncio.sleep(len(message.get("body", b"")) / rate)
        return message

    return slowly


def _slowed_out(send: Send, rate: float) -> Send:
    async def slowly(message: Message) -> None:
        if message["type"] != "http.response.body":
            await send(message)
            return
        body, more = message.get("body", b""), message.get("more_body", False)
        for at in range(0, max(len(body), 1), _PIECE):
            piece = body[at : at + _PIECE]
            await asyncio.sleep(len(piece) / rate)
            is_last = at + _PIECE >= len(body)
            await send(
                {"type": "http.response.body", "body": piece, "more_body": more or not is_last}
            )

    return wrapped(slowly, send)


def wrapped(outer: Send, inner: Send) -> Send:
    """Return a `send` around another one that `_transport` can unwrap."""
    outer.__wrapped__ = inner  # type: ignore[attr-defined] # as functools does
    return outer
