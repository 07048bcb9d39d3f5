"""A DRAW server in memory, to be misbehaved with; it shares no code with the sandbox."""

import hashlib
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP
from threading import Lock

import httpx
import yaml
from pydicom import Dataset, dcmread

from tests.structure_sets import structure_set


@dataclass
class FakeDraw:
    """Answers like a DRAW server; hand it to `httpx.MockTransport`.

    Set `answers` to make the next requests fail: a status code, a response, or an exception.
    """

    access: str = "access-1"
    refresh: str = "refresh-1"
    answers: list[int | httpx.Response | Exception] = field(default_factory=list)
    status: str = "SEGMENTATION COMPLETED"
    asked: list[str] = field(default_factory=list)  # "GET /api/health", in order
    names: list[str] = field(default_factory=list)  # of the files that were uploaded
    uploads: dict[str, bytes] = field(default_factory=dict)  # task id -> zip
    results: dict[str, bytes] = field(default_factory=dict)  # task id -> RTSTRUCT
    confirmed: list[str] = field(default_factory=list)
    models: list[dict[str, object]] | None = None  # the catalogue; None: the server has none
    change: Callable[[Dataset], None] | None = None  # of each structure set that it draws
    watch: Callable[[httpx.Request], None] = lambda _request: (
        None
    )  # sees each before it is answered
    lock: Lock = field(default_factory=Lock, repr=False)  # drawcli asks from several threads

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = request.read()
        with self.lock:
            return self._answer(request, body)

    def _answer(self, request: httpx.Request, body: bytes) -> httpx.Response:
        self.watch(request)
        self.asked.append(f"{request.method} {request.url.path}")
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer if isinstance(answer, httpx.Response) else httpx.Response(answer)
        if request.url.path == "/api/token/refresh/":
            return self._refresh(request)
        if request.headers.get("authorization") != f"Bearer {self.access}":
            return httpx.Response(401, json={"detail": "token"})
        return self._route(request, body)

    def posts(self) -> int:
        """Return how many uploads were begun."""
        return self.asked.count("POST /api/upload/")

    def _route(self, request: httpx.Request, body: bytes) -> httpx.Response:
        parts = [part for part in request.url.path.split("/") if part]
        match request.method, parts:
            case "GET", ["api", ("health" | "models") as what] if what in self._lists():
                return httpx.Response(200, json=self._lists()[what])
            case "POST", ["api", "upload"]:
                return self._take(request, body)
            case "GET", ["api", "upload", task, "status"] if task in self.uploads:
                return httpx.Response(200, json={"status": self.status, "error": "no GPU"})
            case "GET", ["api", "rtstruct", task] if task in self.results:
                result = self.results[task]
                digest = hashlib.sha256(result).hexdigest().upper()
                return httpx.Response(200, content=result, headers={"x-file-checksum": digest})
            case "POST", ["api", "rtstruct", task, "confirm"] if task in self.results:
                self.confirmed.append(task)
                del self.results[task]
                return httpx.Response(200, json={"message": "files cleaned up"})
        return httpx.Response(404, json={"detail": "unknown"})

    def _lists(self) -> dict[str, object]:
        """Return what a request without further words gets."""
        known: dict[str, object] = {"health": {"status": "ready", "details": {}}}
        return known if self.models is None else known | {"models": self.models}

    def _take(self, request: httpx.Request, body: bytes) -> httpx.Response:
        parts = _parts(request, body)
        package = parts["file"].get_payload(decode=True)
        assert isinstance(package, bytes)
        checksum = str(parts["checksum"].get_payload())
        if hashlib.sha256(package).hexdigest() != checksum:
            return httpx.Response(400, json={"detail": "checksum"})
        task = f"task-{len(self.uploads) + 1}"
        self.names.append(str(parts["file"].get_filename()))
        self.uploads[task] = package
        changed = () if self.change is None else (self.change,)
        self.results[task] = drawn_for(package, *changed)  # tests replace it for a whole package
        return httpx.Response(201, json={"task_id": task})

    def _refresh(self, request: httpx.Request) -> httpx.Response:
        if request.headers.get("authorization") != f"Bearer {self.refresh}":
            return httpx.Response(401, json={"detail": "refresh"})
        number = int(self.access.rpartition("-")[2]) + 1
        self.access, self.refresh = f"access-{number}", f"refresh-{number}"
        pair = {"access_token": self.access, "refresh_token": self.refresh, "expires_in": 3600}
        return httpx.Response(200, json=pair)


def drawn_for(package: bytes, change: Callable[[Dataset], None] | None = None) -> bytes:
    """Return a structure set for an uploaded zip, with the structures that its template names."""
    with zipfile.ZipFile(io.BytesIO(package)) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".dcm"))
        slices = [dcmread(io.BytesIO(archive.read(name))) for name in names]
        template = yaml.safe_load(archive.read("template.yml"))
    structures = [name for model in template["models"].values() for name in model["map"].values()]
    return structure_set(slices, structures, change=change)


def _parts(request: httpx.Request, body: bytes) -> dict[str, EmailMessage]:
    head = f"content-type: {request.headers['content-type']}\r\n\r\n".encode()
    whole = BytesParser(EmailMessage, policy=HTTP).parsebytes(head + body)
    parts = [part for part in whole.iter_parts() if isinstance(part, EmailMessage)]
    return {str(part.get_param("name", header="content-disposition")): part for part in parts}
