import hashlib
import json
from io import BytesIO
from pathlib import Path

import pytest

from drawcli.sandbox.tasks import Arrival, Status, Task, Tasks, WrongChecksum

ZIP = b"PK not really"


@pytest.fixture
def tasks(tmp_path: Path) -> Tasks:
    return Tasks(tmp_path / "tasks")


def accept(tasks: Tasks, checksum: str = hashlib.sha256(ZIP).hexdigest()) -> Task:
    arrival = Arrival(zip_name="a.zip", checksum=checksum, client_id="site", idempotency_key="k")
    return tasks.accept(BytesIO(ZIP), arrival)


def test_an_accepted_upload_is_a_pending_task_on_disk(tasks: Tasks) -> None:
    task = accept(tasks)

    assert (task.status, task.size) == (Status.PENDING, len(ZIP))
    assert tasks.upload(task.task_id).read_bytes() == ZIP
    assert tasks.get(task.task_id) == task
    assert tasks.by_key("k") == task
    assert tasks.by_key("other") is None


def test_a_checksum_may_be_written_in_capitals(tasks: Tasks) -> None:
    assert accept(tasks, hashlib.sha256(ZIP).hexdigest().upper()).size == len(ZIP)


def test_a_wrong_checksum_leaves_nothing(tasks: Tasks, tmp_path: Path) -> None:
    with pytest.raises(WrongChecksum):
        accept(tasks, "0" * 64)

    assert tasks.all() == []
    assert list((tmp_path / "tasks").iterdir()) == []


def test_tasks_outlive_a_restart(tasks: Tasks, tmp_path: Path) -> None:
    task = accept(tasks)
    tasks.complete(task, b"drawn")

    (again,) = Tasks(tmp_path / "tasks").all()

    assert again.status is Status.COMPLETED
    assert again.rtstruct_sha256 == hashlib.sha256(b"drawn").hexdigest()
    assert again == tasks.get(task.task_id)


def test_a_confirmed_task_keeps_its_name_and_loses_its_files(tasks: Tasks, tmp_path: Path) -> None:
    task = accept(tasks)
    tasks.complete(task, b"drawn")

    tasks.confirm(task)

    assert [path.name for path in (tmp_path / "tasks").rglob("*.*")] == ["task.json"]
    assert tasks.all()[0].status is Status.CONFIRMED


def test_a_restart_sweeps_what_a_kill_left(tasks: Tasks, tmp_path: Path) -> None:
    task = accept(tasks)
    tasks.complete(task, b"drawn")
    tasks.confirm(task)
    tasks.rtstruct(task.task_id).write_bytes(b"the kill came before it was deleted")
    half = tmp_path / "tasks" / "half"
    half.mkdir()
    (half / "upload.zip").write_bytes(b"the kill came while it was received")

    again = Tasks(tmp_path / "tasks")

    assert len(again.all()) == 1
    assert not again.rtstruct(task.task_id).exists()
    assert not half.exists()


def test_the_file_of_a_task_says_what_it_is(tasks: Tasks, tmp_path: Path) -> None:
    task = accept(tasks)

    path = tmp_path / "tasks" / task.task_id / "task.json"
    assert "not for clinical use" in json.loads(path.read_text(encoding="utf-8"))["notice"]
