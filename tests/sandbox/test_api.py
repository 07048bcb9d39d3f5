import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from pydicom import dcmread

from drawcli.sandbox.catalogue import CATALOGUE
from drawcli.sandbox.options import SandboxOptions
from drawcli.sandbox.server import Running, running

Connect = Callable[..., AbstractContextManager[httpx.Client]]
Upload = Callable[..., httpx.Response]
Ended = Callable[[httpx.Client, str], dict[str, str]]

PROTECTED = [
    ("GET", "/api/models/"),
    ("POST", "/api/upload/"),
    ("GET", "/api/upload/x/status/"),
    ("GET", "/api/rtstruct/x/"),
    ("POST", "/api/rtstruct/x/confirm/"),
    ("POST", "/api/token/refresh/"),
]
slashes = pytest.mark.parametrize("slash", ["", "/"])


def confirmation(task: str, **changes: str) -> dict[str, str]:
    body = {
        "task_id": task,
        "status": "received",
        "timestamp": datetime.now(UTC).isoformat(),
    }
    return body | changes


@pytest.fixture
def drawn(client: httpx.Client, upload: Upload, ended: Ended) -> str:
    """Upload the four slices; return the id of the task when it is complete."""
    task_id = str(upload(client).json()["task_id"])
    assert ended(client, task_id)["status"] == "SEGMENTATION COMPLETED"
    return task_id


@slashes
def test_health_answers_anybody(served: Running, slash: str) -> None:
    answer = httpx.get(f"{served.url}/api/health{slash}", trust_env=False)

    assert answer.status_code == 200
    assert answer.json()["status"] == "healthy"
    assert "details" in answer.json()


@slashes
def test_models_are_a_list_with_the_string_null(client: httpx.Client, slash: str) -> None:
    models = client.get(f"/api/models{slash}").json()

    assert isinstance(models, list)
    assert models[0]["model_id"] == 720
    assert models[0]["model_postprocess"] == "null"
    assert models[0]["modelmap"][0]["map_tg263_primary_name"] == "Bladder"


@slashes
def test_an_upload_makes_a_task(client: httpx.Client, upload: Upload, slash: str) -> None:
    task_id = upload(client).json()["task_id"]

    answer = client.get(f"/api/upload/{task_id}/status{slash}")

    assert answer.status_code == 200
    assert answer.json()["status"] in {"PENDING", "PROCESSING", "SEGMENTATION COMPLETED"}


def test_a_wrong_checksum_is_refused(client: httpx.Client, upload: Upload) -> None:
    answer = upload(client, checksum="0" * 64)

    assert answer.status_code == 400
    assert answer.json()["detail"] == "checksum mismatch"


@pytest.mark.parametrize(
    ("files", "data"),
    [
        ({"file": ("a.zip", b"x", "application/zip")}, {}),
        ({"zip": ("a.zip", b"x", "application/zip")}, {"checksum": "0"}),
        ({"file": ("a.tar", b"x", "application/zip")}, {"checksum": "0"}),
        ({}, {"checksum": "0"}),
    ],
)
def test_an_incomplete_form_is_refused(
    client: httpx.Client, files: dict[str, tuple[str, bytes, str]], data: dict[str, str]
) -> None:
    assert client.post("/api/upload/", files=files, data=data).status_code == 400


def test_a_form_that_is_none_is_refused(client: httpx.Client) -> None:
    headers = {"content-type": "multipart/form-data; boundary=x"}

    assert client.post("/api/upload/", content=b"junk", headers=headers).status_code == 400


def test_a_template_the_gpu_job_would_die_of_fails_with_a_reason(
    client: httpx.Client, upload: Upload, ended: Ended, template: str
) -> None:
    task_id = upload(client, template=template.replace("720:", "720.0:")).json()["task_id"]

    answer = ended(client, task_id)

    assert answer["status"] == "FAILED"
    assert "not an integer" in answer["error"]
    assert client.get(f"/api/rtstruct/{task_id}/").status_code == 404
    refused = client.post(f"/api/rtstruct/{task_id}/confirm/", json=confirmation(task_id))
    assert refused.status_code == 409


def test_realistic_fails_without_telling_the_client_why(
    tmp_path: Path, connect: Connect, upload: Upload, ended: Ended, template: str
) -> None:
    with (
        running(tmp_path, options=SandboxOptions(realistic=True)) as sandbox,
        connect(sandbox) as client,
    ):
        task_id = upload(client, template=template.replace("720:", "721:")).json()["task_id"]
        answer = ended(client, task_id)
        page = client.get("/").text

    assert {"task_id": task_id, "status": "FAILED"}.items() <= answer.items()
    assert "error" not in answer
    assert "no such model" in page


@slashes
def test_the_download_bears_its_checksum(client: httpx.Client, drawn: str, slash: str) -> None:
    answer = client.get(f"/api/rtstruct/{drawn}{slash}")

    assert answer.status_code == 200
    assert answer.headers["X-File-Checksum"] == hashlib.sha256(answer.content).hexdigest()
    names = [roi.ROIName for roi in dcmread(BytesIO(answer.content)).StructureSetROISequence]
    assert names == ["Bladder", "Rectum", "Body"]


def test_a_download_may_be_repeated(client: httpx.Client, drawn: str) -> None:
    once, again = (client.get(f"/api/rtstruct/{drawn}/").content for _ in range(2))

    assert once == again


def test_a_download_goes_on_from_a_place_where_the_sandbox_is_told_to_allow_it(
    tmp_path: Path, connect: Connect, upload: Upload, ended: Ended
) -> None:
    with (
        running(tmp_path / "sandbox", options=SandboxOptions(ranges=True)) as sandbox,
        connect(sandbox) as client,
    ):
        task_id = upload(client).json()["task_id"]
        ended(client, task_id)

        def ask(**headers: str) -> httpx.Response:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            return client.get(f"/api/rtstruct/{task_id}/", headers=named)

        whole = ask()
        part = ask(range="bytes=1000-", if_range=whole.headers["etag"])
        other = ask(range="bytes=1000-", if_range='"another file"')
        odd = ask(range="bytes=5-9")
        past = ask(range=f"bytes={len(whole.content)}-")

    size = len(whole.content)
    assert (whole.status_code, whole.headers["accept-ranges"]) == (200, "bytes")
    assert (part.status_code, part.content) == (206, whole.content[1000:])
    assert part.headers["content-range"] == f"bytes 1000-{size - 1}/{size}"
    assert part.headers["x-file-checksum"] == whole.headers["x-file-checksum"]
    assert [one.content for one in (other, odd)] == [whole.content] * 2
    assert (past.status_code, past.headers["content-range"]) == (416, f"bytes */{size}")


def test_usually_a_download_begins_at_its_beginning(client: httpx.Client, drawn: str) -> None:
    answer = client.get(f"/api/rtstruct/{drawn}/", headers={"range": "bytes=1000-"})

    assert answer.status_code == 200
    assert "accept-ranges" not in answer.headers


@slashes
def test_confirming_deletes_the_servers_copy(
    served: Running, client: httpx.Client, drawn: str, slash: str
) -> None:
    answer = client.post(f"/api/rtstruct/{drawn}/confirm{slash}", json=confirmation(drawn))

    assert answer.json()["message"] == "Transfer confirmation received, files cleaned up"
    assert client.get(f"/api/upload/{drawn}/status/").json()["status"] == "TRANSFER COMPLETED"
    assert client.get(f"/api/rtstruct/{drawn}/").status_code == 404
    left = [path.name for path in (served.folder / "tasks" / drawn).iterdir()]
    assert left == ["task.json"]


def test_a_second_confirmation_finds_nothing(client: httpx.Client, drawn: str) -> None:
    codes = [
        client.post(f"/api/rtstruct/{drawn}/confirm/", json=confirmation(drawn)).status_code
        for _ in range(2)
    ]

    assert codes == [200, 404]


@pytest.mark.parametrize(
    "changes", [{"task_id": "other"}, {"status": "lost"}, {"timestamp": "yesterday"}]
)
def test_a_confirmation_of_something_else_deletes_nothing(
    client: httpx.Client, drawn: str, changes: dict[str, str]
) -> None:
    body = confirmation(drawn, **changes)

    assert client.post(f"/api/rtstruct/{drawn}/confirm/", json=body).status_code == 400
    assert client.get(f"/api/rtstruct/{drawn}/").status_code == 200


def test_a_confirmation_that_is_not_json_deletes_nothing(client: httpx.Client, drawn: str) -> None:
    for content in (b"[]", b"\xff"):
        answer = client.post(f"/api/rtstruct/{drawn}/confirm/", content=content)
        assert answer.status_code == 400
    assert client.get(f"/api/rtstruct/{drawn}/").status_code == 200


@pytest.mark.parametrize("task_id", ["unknown", "..", "%2e%2e%2f%2e%2e", "0"])
def test_an_unknown_task_is_not_found(client: httpx.Client, task_id: str) -> None:
    assert client.get(f"/api/upload/{task_id}/status/").status_code == 404
    assert client.get(f"/api/rtstruct/{task_id}").status_code == 404


@pytest.mark.parametrize(("method", "path"), PROTECTED)
@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer x", "Basic eDp5"])
def test_without_a_good_token_nothing_is_told(
    served: Running, method: str, path: str, header: str | None
) -> None:
    headers = {} if header is None else {"Authorization": header}

    answer = httpx.request(method, served.url + path, headers=headers, trust_env=False)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_refreshing_rotates_the_pair(served: Running) -> None:
    old = served.sandbox.new_pair("rotation")
    headers = {"Authorization": f"Bearer {old.refresh_token}"}
    url = f"{served.url}/api/token/refresh/"

    first = httpx.post(url, headers=headers, trust_env=False)
    second = httpx.post(url, headers=headers, trust_env=False)

    assert first.status_code == 200
    new = first.json()
    assert new["expires_in"] == 30 * 24 * 3600
    assert new["refresh_token"] != old.refresh_token
    assert served.sandbox.accounts.client_of(new["access_token"]) == "rotation"
    assert second.status_code == 401


def test_a_client_may_confirm_without_a_body(client: httpx.Client, drawn: str) -> None:
    answer = client.post(f"/api/rtstruct/{drawn}/confirm/")

    assert answer.json()["message"] == "Transfer confirmation received, files cleaned up"
    assert client.get(f"/api/rtstruct/{drawn}/").status_code == 404


def test_older_clients_refresh_in_their_own_way(served: Running) -> None:
    old = served.sandbox.new_pair("older")
    headers = {"Authorization": f"Bearer {old.refresh_token}"}
    url = f"{served.url}/auth/refresh"

    unnamed = httpx.post(url, headers=headers, json={}, trust_env=False)
    named = httpx.post(url, headers=headers, json={"client_id": "Clinic 7"}, trust_env=False)
    again = httpx.post(url, headers=headers, json={"client_id": "Clinic 7"}, trust_env=False)

    assert [unnamed.status_code, named.status_code, again.status_code] == [400, 200, 401]
    assert datetime.fromisoformat(named.json()["expires_at"]) > datetime.now(UTC)
    assert served.sandbox.accounts.client_of(named.json()["access_token"]) == "older"


def test_an_access_token_that_is_too_old_is_refused(tmp_path: Path, connect: Connect) -> None:
    options = SandboxOptions(token_lifetime=timedelta(seconds=0))

    with running(tmp_path, options=options) as sandbox, connect(sandbox) as client:
        assert client.get("/api/models/").status_code == 401


def test_every_answer_bears_the_notice(served: Running, client: httpx.Client) -> None:
    for path in ("/", "/api/health", "/api/models/", "/nothing", "/api/upload/x/status/"):
        answer = client.get(path)
        assert "not for clinical use" in answer.headers["X-Sandbox-Notice"]
    assert "not for clinical use" in client.get("/api/upload/x/status/").json()["notice"]
    assert httpx.put(f"{served.url}/api/health", trust_env=False).status_code == 405


def test_the_page_is_html_that_may_load_nothing(client: httpx.Client) -> None:
    answer = client.get("/")

    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "NOT FOR CLINICAL USE" in answer.text


def test_the_same_zip_twice_is_two_tasks_unless_keys_are_honoured(
    tmp_path: Path, connect: Connect, client: httpx.Client, upload: Upload
) -> None:
    today = {upload(client).json()["task_id"] for _ in range(2)}
    with (
        running(tmp_path / "later", options=SandboxOptions(honour_idempotency_key=True)) as sandbox,
        connect(sandbox) as other,
    ):
        later = {upload(other).json()["task_id"] for _ in range(2)}

    assert (len(today), len(later)) == (2, 1)


def test_the_server_of_the_first_client_can_be_played(
    tmp_path: Path, connect: Connect, upload: Upload, ended: Ended
) -> None:
    with (
        running(tmp_path, options=SandboxOptions(dialect=1, catalogue=CATALOGUE[:1])) as sandbox,
        connect(sandbox) as client,
    ):
        models = httpx.get(f"{sandbox.url}/api/models/", trust_env=False)
        answer = upload(client).json()
        status = ended(client, answer["transaction_token"])["status"]

    assert [model["model_id"] for model in models.json()] == [CATALOGUE[0].model_id]
    assert "task_id" not in answer
    assert status == "SEGMENTATION COMPLETE"
