"""The two DRAW clients in use go through a whole cycle with the sandbox, each in its dialect.

`exchanges/` has what they sent and understood, recorded with both of them unmodified against a
strict and realistic sandbox: methods, paths, headers, fields, keys, and their template files. In
braces stands what differs from cycle to cycle.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from time import sleep
from typing import Any

import httpx
import pytest
from pydicom import dcmread

from drawcli.core.jobs.job import State
from drawcli.sandbox.catalogue import CATALOGUE
from drawcli.sandbox.options import Dialect, SandboxOptions
from drawcli.sandbox.server import Running, running
from drawcli.sandbox.tasks import Status
from tests.conftest import Clock, Site
from tests.test_server_faults import cycle

EXCHANGES = Path(__file__).parent / "exchanges"
FIXED = {"status", "message", "detail", "token_type", "expires_in"}  # keys with one value
Entry = dict[str, Any]


class ReplayedClient:
    """Sends recorded requests again, with the tokens and the task of this cycle."""

    def __init__(self, sandbox: Running, zipped: Callable[..., Path]) -> None:
        self.client = httpx.Client(base_url=sandbox.url, trust_env=False)
        for name in list(self.client.headers):  # what was recorded is sent, and nothing else
            del self.client.headers[name]
        tokens = json.loads(sandbox.token_file.read_text(encoding="utf-8"))
        self._zipped = zipped
        self._known = {
            "access": tokens["access_token"],
            "refresh": tokens["refresh_token"],
            "expired": "of-last-month",
            "uid": "1.2.3",
            "now": datetime.now(UTC).isoformat(),
        }

    def send(self, entry: Entry) -> httpx.Response:
        """Send a request; note the tokens and the task of its answer."""
        bodies = {"json", "content"} & set(entry)
        content = {key: self._filled(entry[key]) for key in bodies}
        headers = self._filled(entry["headers"])
        if "form" in entry:
            del headers["content-type"]  # its boundary is not recorded
            content = self._form(entry)
        url = self._filled(entry["path"] + entry.get("query", ""))
        answer = self.client.request(entry["method"], url, headers=headers, **content)
        if answer.content.startswith(b"{"):
            plain = answer.json()
            names = {"access_token": "access", "refresh_token": "refresh", "task_id": "task"}
            for key, name in (names | {"transaction_token": "task"}).items():
                self._known[name] = plain.get(key, self._known.get(name))
        return answer

    def _form(self, entry: Entry) -> dict[str, Any]:
        template = "\n".join(entry["template"]["lines"]).encode()
        package = self._zipped({entry["template"]["name"]: template}, template=None).read_bytes()
        self._known["sha256 of the file"] = hashlib.sha256(package).hexdigest()
        form = [self._filled(field) for field in entry["form"]]
        fields = {field["name"]: field["value"] for field in form if "value" in field}
        (file,) = (field for field in form if "type" in field)
        return {
            "data": fields,
            "files": {file["name"]: (file["filename"], package, file["type"])},
        }

    def _filled(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._filled(one) for key, one in value.items()}
        return re.sub(r"\{([a-z0-9 ]+)\}", lambda found: str(self._known[found[1]]), value)


def recorded(dialect: Dialect) -> list[Entry]:
    text = (EXCHANGES / f"client_{dialect}.json").read_text(encoding="utf-8")
    entries: list[Entry] = json.loads(text)
    return entries


@pytest.fixture
def dialect(request: pytest.FixtureRequest) -> Dialect:
    chosen: Dialect = getattr(request, "param", 2)
    return chosen


@pytest.fixture
def sandbox(tmp_path: Path, dialect: Dialect) -> Iterator[Running]:
    options = SandboxOptions(dialect=dialect, strict=True, realistic=True)
    with running(tmp_path / "sandbox", options=options) as server:
        yield server


@pytest.fixture
def replayed(sandbox: Running, zipped: Callable[..., Path]) -> Iterator[ReplayedClient]:
    replayed = ReplayedClient(sandbox, zipped)
    with closing(replayed.client):
        yield replayed


def wait_for(sandbox: Running) -> None:
    unfinished = (Status.PENDING, Status.PROCESSING)
    while any(task.status in unfinished for task in sandbox.sandbox.tasks.all()):
        sleep(0.01)


@pytest.mark.parametrize("dialect", [1, 2], indirect=True, ids=["client 1", "client 2"])
def test_a_whole_cycle_as_it_was_recorded(
    sandbox: Running, replayed: ReplayedClient, dialect: Dialect
) -> None:
    for entry in recorded(dialect):
        wait_for(sandbox)
        answer = replayed.send(entry)

        expected = entry["answer"]
        assert answer.status_code == expected["status"], answer.text
        told = answer.json() if answer.content.startswith(b"{") else {}
        for key, value in expected.get("json", {}).items():
            assert told[key] == value if key in FIXED else told[key]
        if "x-file-checksum" in expected:
            assert answer.headers["X-File-Checksum"] == hashlib.sha256(answer.content).hexdigest()
            rois = dcmread(BytesIO(answer.content)).StructureSetROISequence
            assert {"Bladder", "Body"} <= {roi.ROIName for roi in rois}

    (task,) = sandbox.sandbox.tasks.all()
    assert task.status is Status.CONFIRMED


@pytest.mark.parametrize("dialect", [1, 2], indirect=True, ids=["dialect 1", "dialect 2"])
@pytest.mark.usefixtures("pelvis")
def test_drawcli_goes_through_both_dialects_and_refreshes_its_token(
    site: Site, clock: Clock, sandbox: Running
) -> None:
    sandbox.sandbox.accounts.expire()

    told = cycle(site, clock, sandbox)

    (job,) = told.jobs
    assert (job.state, told.errors, len(told.delivered)) == (State.DONE, [], 1)
    assert (sandbox.requests["refresh"], sandbox.requests["confirm"]) == (1, 1)


@pytest.mark.usefixtures("pelvis")
def test_drawcli_holds_a_job_that_fails_without_a_reason(
    site: Site, clock: Clock, tmp_path: Path
) -> None:
    options = SandboxOptions(strict=True, realistic=True, catalogue=CATALOGUE[1:])

    with running(tmp_path / "sandbox", options=options) as server:
        told = cycle(site, clock, server)

    (job,) = told.jobs
    assert (job.held, job.reason_code) == (True, "segmentation-failed")
    assert job.reason == "the server could not segment the series: FAILED, without a reason"


def form(**changes: Any) -> Entry:
    """Return the form of a recorded upload with other values; None leaves a field out."""
    (upload,) = (one for one in recorded(2) if one["path"] == "/api/upload/")
    fields = {field["name"]: field for field in upload["form"]}
    for name, change in changes.items():
        fields[name] = fields.get(name, {"name": name, "value": ""}) | change
    return {"form": list(fields.values())}


STATUS, UPLOAD = "/api/upload/{task}/status/", "/api/upload/"
CONFIRM, REFRESH = "/api/rtstruct/{task}/confirm/", "/api/token/refresh/"
KEYED = {"authorization": "Bearer {access}", "content-type": "", "idempotency-key": "another"}
ODD: dict[str, tuple[str, Entry]] = {
    "no slash": (STATUS, {"path": STATUS[:-1]}),
    "a query": (STATUS, {"query": "?format=json"}),
    "a GET with a body": (STATUS, {"content": "x"}),
    "another scheme": (STATUS, {"headers": {"authorization": "Token {access}"}}),
    "HEAD": (STATUS, {"method": "HEAD"}),
    "a refresh with a body": (REFRESH, {"json": {"client_id": "site"}}),
    "an older refresh with more": (REFRESH, {"path": "/auth/refresh", "json": {"token": "a"}}),
    "a further field": (UPLOAD, form(priority={"value": "high"})),
    "a checksum in capitals": (UPLOAD, form(checksum={"value": "AB" * 32})),
    "a file of another type": (UPLOAD, form(file={"type": "application/dicom"})),
    "a name with blanks": (UPLOAD, form(file={"filename": "my scan.zip"})),
    "another idempotency key": (UPLOAD, {"headers": KEYED}),
    "a confirmation with more": (CONFIRM, {"json": {"task_id": "{task}", "rating": "good"}}),
    "a confirmation that is no object": (CONFIRM, {"content": "7"}),
}


def test_strict_refuses_what_no_client_sends(replayed: ReplayedClient) -> None:
    accepted, told = set(ODD), set()
    for entry in recorded(2):
        for odd, (path, changes) in ODD.items():
            if path == entry["path"]:
                answer = replayed.send(entry | changes)
                accepted -= {odd} if answer.status_code == HTTPStatus.BAD_REQUEST else set()
                told.add(answer.text[:35])
        replayed.send(entry)

    assert accepted == set()
    assert told == {'{"detail":"strict: no client sends ', ""}  # HEAD has no body


def test_strict_refuses_an_upload_of_unknown_length(replayed: ReplayedClient) -> None:
    content = (piece for piece in (b"--x--",))
    headers = {"content-type": "multipart/form-data; boundary=x"}

    answer = replayed.client.post(UPLOAD, content=content, headers=headers)

    assert "without Content-Length" in answer.json()["detail"]
