import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import httpx
import pytest

from drawcli.errors import UsageError
from drawcli.sandbox.options import SandboxOptions
from drawcli.sandbox.server import running, serve
from tests.ports import free_port
from tests.waiting import PATIENCE

Connect = Callable[..., AbstractContextManager[httpx.Client]]
SERVE = """
import sys
from pathlib import Path
from drawcli.sandbox.server import serve
serve(Path(sys.argv[1]), ready=lambda it: print(it.url, flush=True))
"""


def test_the_first_start_leaves_a_token_file_that_works(tmp_path: Path) -> None:
    with running(tmp_path) as sandbox:
        token = json.loads(sandbox.token_file.read_text(encoding="utf-8"))["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        answer = httpx.get(f"{sandbox.url}/api/models/", headers=headers, trust_env=False)

    assert answer.status_code == 200


def test_tasks_and_tokens_outlive_a_restart(
    tmp_path: Path,
    connect: Connect,
    upload: Callable[..., httpx.Response],
    ended: Callable[[httpx.Client, str], dict[str, str]],
) -> None:
    with (
        running(tmp_path, options=SandboxOptions(work_seconds=60)) as sandbox,
        connect(sandbox) as client,
    ):
        task_id = upload(client).json()["task_id"]
        headers = client.headers
    token_file = sandbox.token_file.read_bytes()

    with (
        running(tmp_path) as sandbox,
        httpx.Client(base_url=sandbox.url, headers=headers, trust_env=False) as client,
    ):
        answer = ended(client, task_id)

    assert answer["status"] == "SEGMENTATION COMPLETED"
    assert sandbox.token_file.read_bytes() == token_file


def test_it_stops_without_leaving_a_thread_or_its_port(tmp_path: Path) -> None:
    before, port = set(threading.enumerate()), free_port()

    with running(tmp_path, port=port) as sandbox, httpx.Client(trust_env=False) as client:
        client.get(f"{sandbox.url}/api/health")  # the connection is still open at the end
        assert sandbox.requests == {"health": 1}

    assert set(threading.enumerate()) <= before  # others may have ended meanwhile
    with socket.create_server(("127.0.0.1", port)):
        pass


def test_an_error_in_the_with_stops_it_too(tmp_path: Path) -> None:
    before = set(threading.enumerate())

    with pytest.raises(ZeroDivisionError), running(tmp_path):
        raise ZeroDivisionError

    assert set(threading.enumerate()) <= before  # others may have ended meanwhile


@pytest.mark.parametrize("host", ["0.0.0.0", "", "192.0.2.7", "example.org"])  # noqa: S104 - refused
def test_it_listens_on_loopback_only(tmp_path: Path, host: str) -> None:
    with pytest.raises(UsageError, match="loopback only"):
        serve(tmp_path, host=host)


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with running(tmp_path / "one") as sandbox:
        port = int(sandbox.url.rpartition(":")[2])
        with pytest.raises(UsageError, match=f"port {port} cannot be opened"):
            serve(tmp_path / "two", port=port)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_a_process_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", SERVE, str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path.cwd())},
        text=True,
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        answer = httpx.get(f"{url}/api/health", trust_env=False)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)

    assert answer.status_code == 200
