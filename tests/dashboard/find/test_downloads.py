"""Files of a job to download: with the right rights, under names that tell nothing."""

import hashlib
import io
import json
from pathlib import Path

import pytest
from pydicom import dcmread
from starlette.testclient import TestClient

from drawcli.adapters.state.audit_log import AuditLog
from drawcli.adapters.state.workdir import RECEIVED
from drawcli.core.jobs.job import Job
from drawcli.dashboard.find.downloads import KINDS
from drawcli.pipeline.context import Context
from drawcli.pipeline.results import delivery_path
from tests.conftest import PELVIS, Site
from tests.dashboard.conftest import WORDS, Serve, log_in


def logged_in(serve: Serve, **options: bool) -> TestClient:
    client = serve(password=WORDS, **options)
    log_in(client)
    return client


def delivered(job: Job, ctx: Context) -> Path:
    path = delivery_path(job, ctx)
    assert path is not None
    return path


def offered(client: TestClient, job: Job) -> list[str]:
    page = client.get(f"/jobs/{job.id}").text
    return [kind for kind in KINDS if f'href="/jobs/{job.id}/files/{kind}" download' in page]


def test_everything_that_may_be_downloaded_is_offered(serve: Serve, home: Job) -> None:
    pytest.importorskip("PIL", reason="nothing draws")
    client = logged_in(serve, identify=True)
    begins = {"sheet": b"\x89PNG", "page": b"<!doctype html>", "report": b"{", "structures": b"\0"}

    assert offered(client, home) == [*KINDS]
    for kind, begin in begins.items():
        answer = client.get(f"/jobs/{home.id}/files/{kind}")
        name = answer.headers["content-disposition"]
        assert answer.content[: len(begin)].lower() == begin.lower(), kind
        assert name == f'attachment; filename="drawcli-{home.id}{KINDS[kind].ending}"'
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-type"].partition(";")[0] == KINDS[kind].media_type
        assert PELVIS.patient_id not in str(answer.headers)
        assert kind == "structures" or PELVIS.patient_id.encode() not in answer.content


def test_the_structure_set_is_as_it_was_delivered_and_each_download_is_in_the_audit_log(
    serve: Serve, home: Job, ctx: Context, site: Site
) -> None:
    client = logged_in(serve, identify=True)

    data = client.get(f"/jobs/{home.id}/files/structures").content

    assert hashlib.sha256(data).hexdigest() == home.delivered_sha256
    assert data == delivered(home, ctx).read_bytes()
    assert dcmread(io.BytesIO(data)).PatientID == PELVIS.patient_id
    last = [line.facts for line in AuditLog(site.state).lines()][-1]
    assert (last["action"], last["job"]) == ("download", home.id)
    assert PELVIS.patient_id not in json.dumps(last)


def test_a_moved_structure_set_is_made_again_or_reported(
    serve: Serve, home: Job, ctx: Context
) -> None:
    client = logged_in(serve, identify=True)
    path = delivered(home, ctx)
    path.write_bytes(path.read_bytes() + b"more")

    again = client.get(f"/jobs/{home.id}/files/structures")
    ctx.work.file(home.id, RECEIVED).write_bytes(b"damaged")
    lost = client.get(f"/jobs/{home.id}/files/structures")

    assert hashlib.sha256(again.content).hexdigest() == home.delivered_sha256
    assert (lost.status_code, "is not there any more as it was delivered" in lost.text) == (
        404,
        True,
    )


def test_without_the_right_to_see_patients_there_is_no_structure_set(
    serve: Serve, home: Job, site: Site
) -> None:
    client = logged_in(serve, allow_actions=True)
    before = len([*AuditLog(site.state).lines()])

    answer = client.get(f"/jobs/{home.id}/files/structures")

    assert "structures" not in offered(client, home)
    assert (answer.status_code, PELVIS.patient_id in answer.text) == (403, False)
    assert len([*AuditLog(site.state).lines()]) == before


def test_without_a_login_there_are_no_pixels(client: TestClient, home: Job) -> None:
    statuses = [client.get(f"/jobs/{home.id}/files/{kind}").status_code for kind in KINDS]

    assert offered(client, home) == ["report"]
    assert statuses == [403, 403, 200, 403]


def test_what_a_job_does_not_have_is_not_there(serve: Serve, home: Job, held: Job) -> None:
    client = logged_in(serve, identify=True)

    missing = [client.get(f"/jobs/{held.id}/files/{kind}").status_code for kind in KINDS]
    other = client.get(f"/jobs/{home.id}/files/vault")

    assert offered(client, held) == []
    assert missing == [404] * 4
    assert other.status_code == 404


def test_a_folder_that_does_not_answer_is_reported(
    serve: Serve, home: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(*_: object) -> None:
        raise TimeoutError

    monkeypatch.setattr("drawcli.dashboard.find.downloads.call_with_timeout", hang)
    client = logged_in(serve, identify=True)

    answer = client.get(f"/jobs/{home.id}/files/structures")

    assert (answer.status_code, "does not answer" in answer.text) == (503, True)
