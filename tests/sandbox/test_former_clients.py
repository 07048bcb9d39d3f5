"""The clients that are in use today would find in the sandbox the server they know."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from drawcli.sandbox.server import Running
from tests.sandbox.test_api import Ended, Upload, confirmation

NEW, OLD = "/api/token/refresh", "/auth/refresh"


@dataclass(frozen=True)
class Habit:
    """How a client writes its requests."""

    refresh: str
    slash: str
    body: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.refresh}{self.slash} {self.body or 'no body'}"


NAMED: dict[str, Any] = {"json": {"client_id": "demo"}}
BODIES: dict[str, list[dict[str, Any]]] = {NEW: [{}, {"json": {}}, NAMED], OLD: [NAMED]}
HABITS = [
    Habit(path, slash, body)
    for path, bodies in BODIES.items()
    for slash in ("", "/")
    for body in bodies
]


@pytest.mark.parametrize("habit", HABITS, ids=str)
def test_a_cycle_as_a_former_client_goes_through_it(
    served: Running, upload: Upload, ended: Ended, connect: Callable[..., Any], habit: Habit
) -> None:
    old = served.sandbox.new_pair("demo")
    shown = {"Authorization": f"Bearer {old.refresh_token}"}
    with connect(served) as client:
        pair = client.post(habit.refresh + habit.slash, headers=shown, **habit.body).json()
        client.headers["Authorization"] = f"Bearer {pair['access_token']}"

        health = client.get(f"/api/health{habit.slash}").json()
        models = client.get(f"/api/models{habit.slash}").json()
        answer = upload(client).json()
        task = answer.get("task_id") or answer["transaction_token"]
        status = ended(client, task)["status"].strip().upper()
        drawn = client.get(f"/api/rtstruct/{task}{habit.slash}")
        said = client.post(f"/api/rtstruct/{task}/confirm{habit.slash}", json=confirmation(task))
        gone = client.get(f"/api/rtstruct/{task}{habit.slash}")

    assert health["status"] == "healthy"
    assert models[0]["model_id"]
    assert status == "SEGMENTATION COMPLETED"
    assert drawn.headers["X-File-Checksum"] == hashlib.sha256(drawn.content).hexdigest()
    assert said.json() == {
        "message": "Transfer confirmation received, files cleaned up",
        "notice": said.json()["notice"],
    }
    assert gone.status_code == 404
