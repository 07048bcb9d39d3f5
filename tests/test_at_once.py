"""Several jobs at the server at once: each as if it were alone, and none twice."""

import hashlib
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Barrier
from typing import Any

import httpx
import pytest
import yaml
from pydicom import dcmread

from drawcli.core.jobs.job import Job, State
from drawcli.errors import ServerRefused
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, due_jobs, run_step
from drawcli.sandbox.faults import read_faults
from drawcli.sandbox.options import SandboxOptions
from drawcli.sandbox.patients import PEOPLE
from drawcli.sandbox.server import running
from tests.cli.conftest import at_sandbox
from tests.conftest import Clock, Site, opened
from tests.fake_draw import FakeDraw
from tests.phantoms.planning import write_planning_ct
from tests.torture.test_processes import started
from tests.waiting import PATIENCE, wait_until

ALL = Selection()


class Busy:
    """A server that answers to one kind of request when so many of it have come."""

    def __init__(self, draw: FakeDraw, part: str, at_once: int) -> None:
        self.draw = draw
        self.met = Barrier(at_once)
        self._part = part

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if self._part in request.url.path:
            self.met.wait(PATIENCE)
        return self.draw(request)


@dataclass
class Ward:
    """A site with four series at the door of the server."""

    site: Site
    draw: FakeDraw
    clock: Clock
    jobs: list[Job]

    @contextmanager
    def open(self, server: Busy | FakeDraw, parallel: int) -> Iterator[Context]:
        """Open the site, with so many requests at once."""
        plain = yaml.safe_load(self.site.config.read_text())
        plain["server"]["parallel"] = parallel
        self.site.config.write_text(yaml.safe_dump(plain))
        with opened(self.site, server, self.clock) as ctx:
            yield ctx


@pytest.fixture
def ward(site: Site, draw: FakeDraw, clock: Clock) -> Ward:
    for number, person in enumerate([*PEOPLE, *PEOPLE][:4]):
        folder = site.store / str(number)
        write_planning_ct(folder, person, slices=4, size=32, seed=number + 10)
    with opened(site, draw, clock) as ctx:
        for step in ("scan", "match", "deidentify"):
            run_step(step, ctx, ALL)
        jobs = list(ctx.ledger.jobs([State.PACKAGED]))
    assert len(jobs) == 4
    return Ward(site, draw, clock, jobs)


def stored(site: Site) -> dict[str, dict[str, Any]]:
    """Read the jobs from the ledger's file, as the next process would."""
    plain = json.loads((site.state / "ledger.json").read_text())
    return {job["id"]: job for job in plain["jobs"].values()}


@pytest.mark.parametrize("parallel", [2, 4])
def test_uploads_go_out_together_and_each_job_has_the_task_of_its_own_zip(
    ward: Ward, parallel: int
) -> None:
    with ward.open(Busy(ward.draw, "/api/upload/", parallel), parallel) as ctx:
        report = run_step("upload", ctx, ALL)
        after = list(ctx.ledger.jobs())

    assert report.counts == {"uploaded": len(ward.jobs)}
    for job in after:
        zipped = ward.draw.uploads.pop(job.task_id or "")
        assert hashlib.sha256(zipped).hexdigest() == job.zip_sha256
        assert (job.state, job.posts, job.unanswered) == (State.UPLOADED, 1, 0)
    assert ward.draw.uploads == {}


def test_every_attempt_is_on_disk_before_its_first_byte_arrives(ward: Ward) -> None:
    seen: list[int] = []

    def look(request: httpx.Request) -> None:
        if request.url.path == "/api/upload/":  # both threads are at the server now, or over
            seen.append(sum(job["posts"] == 1 for job in stored(ward.site).values()))

    ward.draw.watch = look

    with ward.open(Busy(ward.draw, "/api/upload/", 2), 2) as ctx:
        run_step("upload", ctx, ALL)

    assert len(seen) == len(ward.jobs)
    assert all(count >= n for count, n in zip(seen, (2, 2, 4, 4), strict=True))


def test_nothing_that_was_written_down_is_lost_and_all_comes_home_once(ward: Ward) -> None:
    with ward.open(ward.draw, 4) as ctx:
        for step in ("upload", "poll", "fetch", "reidentify"):
            report = run_step(step, ctx, ALL)
            assert len(report.outcomes) >= len(ward.jobs)
        done = {job.id: job for job in ctx.ledger.jobs()}

    assert {job.state for job in done.values()} == {State.DONE}
    assert stored(ward.site).keys() == done.keys() == {job.id for job in ward.jobs}
    assert sorted(ward.draw.confirmed) == sorted(str(job.task_id) for job in done.values())
    homes = list(ward.site.store.rglob("RS.*"))
    assert len(homes) == len(ward.jobs)
    for home in homes:  # beside the images of its own patient
        beside = next(path for path in home.parent.iterdir() if not path.name.startswith("RS."))
        assert dcmread(home).PatientID == dcmread(beside).PatientID


@pytest.mark.parametrize(("step", "part"), [("poll", "/status/"), ("fetch", "/rtstruct/")])
def test_polls_and_downloads_go_on_together_too(ward: Ward, step: str, part: str) -> None:
    with ward.open(Busy(ward.draw, part, 2), 2) as ctx:
        for before in ("upload", "poll")[: 1 if step == "poll" else 2]:
            run_step(before, ctx, ALL)

        report = run_step(step, ctx, ALL)

    assert sum(report.counts.values()) == len(ward.jobs)
    assert "held" not in report.counts


def test_the_urgent_go_first_and_then_the_longest_there(ward: Ward) -> None:
    first, second, third, fourth = ward.jobs
    with ward.open(ward.draw, 1) as ctx:
        ctx.ledger.commit(replace(third, priority=5))
        ctx.ledger.commit(replace(first, priority=-1))

        order = [job.id for job in due_jobs(State.PACKAGED, ctx)]
        run_step("upload", ctx, ALL)
        sent = sorted(ctx.ledger.jobs(), key=lambda job: int(str(job.task_id).split("-")[1]))

    assert order == [third.id, second.id, fourth.id, first.id]
    assert [job.id for job in sent] == order


def test_a_refused_token_stops_them_all_and_no_job_is_touched(ward: Ward) -> None:
    def refuse(_request: httpx.Request) -> None:
        if ward.draw.asked[-1:] == ["GET /api/health"]:
            ward.draw.access = ward.draw.refresh = "others-1"  # from the first upload on

    ward.draw.watch = refuse

    with ward.open(ward.draw, 2) as ctx:
        with pytest.raises(ServerRefused):
            run_step("upload", ctx, ALL)
        after = list(ctx.ledger.jobs())

    assert {job.attested for job in after} <= {0, 1}  # the package was on its way: it counts
    assert [replace(job, revision=0, attested=0) for job in after] == [
        replace(job, revision=0) for job in ward.jobs
    ]
    assert ward.draw.uploads == {}


def test_one_patients_bug_in_a_thread_does_not_stop_the_others(ward: Ward) -> None:
    raised: list[str] = []

    class Bug(Exception):
        """Nobody expects it."""

    def watch(request: httpx.Request) -> None:
        if request.url.path == "/api/upload/" and not raised:
            raised.append("once")
            raise Bug

    ward.draw.watch = watch

    with ward.open(ward.draw, 2) as ctx:
        report = run_step("upload", ctx, ALL)

    assert report.counts == {"held": 1, "uploaded": len(ward.jobs) - 1}
    assert [job.reason_code for job in report.held] == ["bug"]


@pytest.mark.sweep
@pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")
def test_ctrl_c_ends_uploads_that_would_never_end_and_the_next_run_says_so(
    ward: Ward, tmp_path: Path
) -> None:
    options = SandboxOptions(faults=read_faults("upload:stall*2"))
    with running(tmp_path / "sandbox", options=options) as server:
        at_sandbox(ward.site, server.url, server.token_file)
        process = started(ward.site, "upload")
        wait_until(lambda: server.requests["upload"] == 2)

        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=PATIENCE)
        begun = [job for job in stored(ward.site).values() if job.get("posts")]
        started(ward.site, "upload").communicate(timeout=PATIENCE)
        after = [stored(ward.site)[job["id"]] for job in begun]

    assert process.returncode == 130
    assert "Traceback" not in err
    assert [job["state"] for job in begun] == ["packaged", "packaged"]
    assert [(job["state"], job["posts"], job["unanswered"]) for job in after] == [
        ("uploaded", 2, 1),
        ("uploaded", 2, 1),
    ]
    assert server.requests["upload"] == len(ward.jobs) + 2
