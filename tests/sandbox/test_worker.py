import hashlib
from collections.abc import Callable
from contextlib import closing
from io import BytesIO
from pathlib import Path
from time import monotonic, sleep
from zipfile import ZipFile

import pytest
from pydicom import dcmread

from drawcli.sandbox.options import SandboxOptions
from drawcli.sandbox.phantom import PEOPLE
from drawcli.sandbox.segmentation.segmenter import Segmenter
from drawcli.sandbox.tasks import Arrival, Status, Task, Tasks
from drawcli.sandbox.worker import Worker
from tests.phantoms.enhanced import write_enhanced

Zipped = Callable[..., Path]


@pytest.fixture
def tasks(tmp_path: Path) -> Tasks:
    return Tasks(tmp_path / "tasks")


def arrived(tasks: Tasks, path: Path) -> Task:
    data = path.read_bytes()
    arrival = Arrival(
        zip_name=path.name, checksum=hashlib.sha256(data).hexdigest(), client_id="site"
    )
    return tasks.accept(BytesIO(data), arrival)


def until(tasks: Tasks, task: Task, *wanted: Status) -> Task:
    """Wait until a task has come to one of the states; return it."""
    deadline = monotonic() + 60
    while monotonic() < deadline:
        now = tasks.get(task.task_id)
        assert now is not None
        if now.status in wanted:
            return now
        sleep(0.005)
    raise AssertionError("the task did not get there")


def test_a_task_is_drawn(tasks: Tasks, zipped: Zipped) -> None:
    task = arrived(tasks, zipped())

    with closing(Worker(tasks, SandboxOptions())) as worker:
        assert worker is not None
        done = until(tasks, task, Status.COMPLETED, Status.FAILED)

    assert (done.status, done.error) == (Status.COMPLETED, None)
    assert (done.template, done.structures) == ("Prostate_OAR", ("Bladder", "Rectum", "Body"))
    drawn = dcmread(tasks.rtstruct(task.task_id))
    assert [roi.ROIName for roi in drawn.StructureSetROISequence] == ["Bladder", "Rectum", "Body"]


def test_a_structure_that_no_model_draws_comes_back_empty(
    tasks: Tasks, zipped: Zipped, template: str
) -> None:
    task = arrived(tasks, zipped(template=template.replace("2: Rectum", "99: External")))

    with closing(Worker(tasks, SandboxOptions())):
        until(tasks, task, Status.COMPLETED)

    rois = dcmread(tasks.rtstruct(task.task_id)).ROIContourSequence
    assert [bool(roi.get("ContourSequence")) for roi in rois][1:] == [False, True]


def test_a_bad_upload_fails_with_a_reason_and_the_next_one_is_drawn(
    tasks: Tasks, zipped: Zipped
) -> None:
    with closing(Worker(tasks, SandboxOptions())) as worker:
        bad = arrived(tasks, zipped(template="name: x"))
        worker.take(bad)
        good = arrived(tasks, zipped())
        worker.take(good)
        failed = until(tasks, bad, Status.FAILED)
        until(tasks, good, Status.COMPLETED)

    assert failed.error == "template: missing key models, protocol"


def test_realistic_fails_on_multi_frame_images_that_it_could_draw(
    tasks: Tasks, tmp_path: Path, template: str, slices: list[Path]
) -> None:
    image = write_enhanced(tmp_path / "image.dcm", PEOPLE[0], slices)
    with ZipFile(tmp_path / "multi.zip", "w") as archive:
        archive.write(image, "1.2.dcm")
        archive.writestr("template.yml", template)
    ends = []
    for realistic in (False, True):
        task = arrived(tasks, tmp_path / "multi.zip")
        with closing(Worker(tasks, SandboxOptions(realistic=realistic))):
            ends.append(until(tasks, task, Status.COMPLETED, Status.FAILED))

    assert [end.status for end in ends] == [Status.COMPLETED, Status.FAILED]
    assert ends[1].error == "a multi-frame image: the job expects one slice a file"


def test_the_words_come_in_their_order(
    tasks: Tasks, zipped: Zipped, monkeypatch: pytest.MonkeyPatch
) -> None:
    words, put = list[Status](), tasks.put

    def noted(task: Task) -> None:
        words.append(task.status)
        put(task)

    monkeypatch.setattr(tasks, "put", noted)
    with closing(Worker(tasks, SandboxOptions(queue_seconds=0.1, work_seconds=0.1))) as worker:
        task = arrived(tasks, zipped())
        worker.take(task)
        until(tasks, task, Status.COMPLETED)

    assert words == [Status.PENDING, Status.PROCESSING, Status.COMPLETED]


def test_the_queue_and_the_work_take_their_time(tasks: Tasks, zipped: Zipped) -> None:
    task = arrived(tasks, zipped())
    with closing(Worker(tasks, SandboxOptions(queue_seconds=600))):
        assert until(tasks, task, *Status).status is Status.PENDING
    with closing(Worker(tasks, SandboxOptions(work_seconds=600))):
        assert until(tasks, task, Status.PROCESSING, Status.COMPLETED).status is Status.PROCESSING


def test_a_task_that_was_under_way_is_begun_again_after_a_restart(
    tasks: Tasks, zipped: Zipped, tmp_path: Path
) -> None:
    with closing(Worker(tasks, SandboxOptions(work_seconds=60))) as worker:
        task = arrived(tasks, zipped())
        worker.take(task)
        until(tasks, task, Status.PROCESSING)

    again = Tasks(tmp_path / "tasks")
    with closing(Worker(again, SandboxOptions())):
        until(again, task, Status.COMPLETED)


def test_stopping_does_not_wait_for_the_queue(tasks: Tasks, zipped: Zipped) -> None:
    worker = Worker(tasks, SandboxOptions(queue_seconds=600))
    for _ in range(3):
        worker.take(arrived(tasks, zipped()))

    began = monotonic()
    worker.close()

    assert monotonic() - began < 60
    assert {task.status for task in tasks.all()} == {Status.PENDING}


def test_a_bug_fails_the_task_rather_than_leaving_the_client_to_wait(
    tasks: Tasks, zipped: Zipped, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("secret")

    monkeypatch.setattr(Segmenter, "contours", broken)
    task = arrived(tasks, zipped())

    with closing(Worker(tasks, SandboxOptions())):
        failed = until(tasks, task, Status.FAILED)

    assert failed.error == "bug in the sandbox: KeyError"
