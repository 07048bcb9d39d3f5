"""A month at a site in virtual time: nothing is lost, and nothing grows without bound.

In the sweep twelve days; in the long form (TORTURE) a month, with several seeds.
"""

import hashlib
import os
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from pydicom import dcmread

from drawcli.adapters.state.audit_log import ATTEMPT, AuditLog
from drawcli.core.jobs.job import FINISHED, EventKind, Job, State
from drawcli.operations.ledger_check import check, unattested
from tests.conftest import opened
from tests.torture.kit import tell
from tests.torture.month import BEGIN, LONG, RECIPIENTS, SHORT, Month, slices_in
from tests.torture.month_scanner import SENT_AGAIN, SLICES, Series

RELEASES = sorted((Path(__file__).parents[1] / "releases").glob("*.tar.gz"))
SEEDS = range(1, 1 + (3 if "TORTURE" in os.environ else 1))
PLAN = LONG if "TORTURE" in os.environ else SHORT
INCIDENTS = {  # each is one alarm for each recipient
    "the server has not answered": 1,
    "the token expires": 1,
    "ended early: token-refused": 1,
    "ended early: disk-full": 1,
    "ended early": 2,
    "the folder for structure sets has not accepted": 2,
}
IDLE = timedelta(hours=72)
# In each of six runs an hour: two jobs are polled and the health is asked, each with three tries.
REQUESTS_AT_FIRST = 6 * (2 + 1) * 3
REQUESTS_WHILE_DOWN = 18  # an hour later on: three in each of six runs
REQUESTS_PER_TASK = 40  # of a task that takes three hours, asked every ten minutes
BYTES_PER_JOB, BYTES_PER_RUN = 12_000, 700  # of the state folder, beside work folders


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")  # of the digest
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize("release", RELEASES, ids=lambda path: path.name.removesuffix(".tar.gz"))
@pytest.mark.parametrize("seed", SEEDS)
def test_a_month(seed: int, release: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    month, began = Month(tmp_path, PLAN, seed, release), time.process_time()
    month.install(monkeypatch)
    try:
        month.live()
        jobs = check_jobs(month)
        check_uploads(month, jobs)
        check_alarms(month, jobs)
        check_requests(month)
        check_growth(month)
    except AssertionError as err:
        raise AssertionError(month.log(str(err))) from err
    tell(
        f"seed {seed}: {len(month.figures)} days from {release.name}, {len(month.series)} series, "
        f"{len(jobs)} jobs, {month.runs} runs, {month.figures[-1]['requests']} requests, "
        f"{len(month.mails)} mails, {dict(month.acted)}, {month.killed} killed, "
        f"{time.process_time() - began:.0f} s CPU"
    )


def check_jobs(month: Month) -> list[Job]:
    """Every series is delivered once, for its patient, or excluded by a rule."""
    homes = month.homes()
    with opened(month.site, month.draw, month.clock) as ctx:
        jobs = list(ctx.ledger.all_jobs())
        assert check(ctx) == []
        assert not unattested(ctx)
        for one in month.series.values():
            key = ctx.stand_ins.series_key(one.uid)
            of_series = [job for job in jobs if job.series_key == key]
            done = [job for job in of_series if job.state is State.DONE]
            story = [f"{job.id} {job.state} {job.reason}" for job in of_series]
            excluded = [job for job in of_series if job.state is State.EXCLUDED]
            wanted = 0 if key in month.cancelled else 1
            assert len(done) + len(excluded) == wanted, f"{one.kind} {one.folder.name}: {story}"
            assert not excluded or one.kind == "phantom", story
            for job in of_series:
                files = [path for path in homes if job.id in path.name]
                assert len(files) == (job in done), f"{job.id} {job.state}: {files}"
                assert all(str(dcmread(path).PatientID) == one.patient_id for path in files)
            if one.kind in ("plain", "growing", "no rule") and done:
                there = len(list(one.folder.glob("*.CT.*")))
                assert done[0].slices == there, f"{done[0].id}: {done[0].slices} of {there} slices"
            if one.kind in SENT_AGAIN and done:
                check_sent_again(one, of_series, is_reported=key in month.changed)
    assert len(homes) == sum(job.state is State.DONE for job in jobs)
    for job in jobs:
        assert job.state in FINISHED or job.state is State.EXCLUDED, f"{job.id}: {job.reason}"
    return jobs


def check_sent_again(one: Series, jobs: list[Job], *, is_reported: bool) -> None:
    """Equal copies change nothing; other files are sent with the series, or reported."""
    (done,) = [job for job in jobs if job.state is State.DONE]
    holds = {event.code for job in jobs for event in job.events if event.kind is EventKind.HELD}
    story = f"{one.kind} {done.id}: {done.slices} slices, {holds}, reported: {is_reported}"
    if one.kind == "copied":
        assert done.slices == SLICES, story
        assert not is_reported, story
        assert not holds & {"changed-after-upload", "duplicates"}, story
    elif one.kind == "extended":
        assert done.slices == SLICES or is_reported, story
    else:
        assert done.slices == SLICES, story
        assert "duplicates" in holds or is_reported, story


def check_uploads(month: Month, jobs: list[Job]) -> None:
    """Each upload was recorded before, and is of a job, or of a decision to send it again."""
    log = AuditLog(month.site.state)
    assert log.verify().breaks == []
    facts = [line.facts for line in log.lines()]
    recorded = Counter(one["zip_sha256"] for one in facts if one.get("what") == ATTEMPT)
    mine = [package for task, package in month.draw.uploads.items() if task in month.draw.ready_at]
    taken = Counter(hashlib.sha256(package).hexdigest() for package in mine)
    assert taken <= recorded
    assert all(slices_in(package) >= 3 for package in mine)
    assert month.acted["cancel"]
    again = month.acted["retry"] + month.acted["resend"] + month.acted["release"]
    assert len(mine) <= len(jobs) + again + month.killed  # which lose one answer each at most
    assert len(month.draw.results) <= month.killed  # all that are in the ledger were confirmed


def check_alarms(month: Month, jobs: list[Job]) -> None:
    """Each recipient got one alarm for each incident and each hold, and a digest a day."""
    holds = sum(event.kind is EventKind.HELD for job in jobs for event in job.events)
    counted = {"was killed": month.killed, "nothing was delivered": idle(month, jobs)}
    assert all(counted.values()), counted
    incidents = INCIDENTS | counted
    for url in RECIPIENTS:
        lines = month.alarms(url)
        for text, times in incidents.items():
            told = [f"{at} {line}" for at, line in lines if text in line]
            assert len(told) == times, f"{url}: {text}: {told}"
        held = [line for _, line in lines if " is held at " in line]
        assert len(held) == holds, f"{url}: {len(held)} alarms for {holds} holds"
        known = sum(incidents.values()) - incidents["ended early"]
        assert len(lines) == known + holds
        days = month.digests(url)
        assert set(days.values()) == {1}
        assert len(days) == len(month.figures)


def idle(month: Month, jobs: list[Job]) -> int:
    """Return how often nothing was delivered for so long that it is an alarm."""
    events = [event for job in jobs for event in job.events if event.reached(State.DELIVERED)]
    delivered = [event.at for event in events if event.at > BEGIN]
    times = sorted([BEGIN, *delivered, month.last_run])
    return sum(end - begin >= IDLE for begin, end in pairwise(times))


def check_requests(month: Month) -> None:
    """Requests to a server that is down are rare, polls limited; an idle site sends none."""
    draw = month.draw
    first, *later = draw.while_down.values()
    assert first <= REQUESTS_AT_FIRST, draw.while_down
    assert max(later) <= REQUESTS_WHILE_DOWN, draw.while_down
    assert max(draw.by_task.values()) <= REQUESTS_PER_TASK, draw.by_task.most_common(3)
    assert month.figures[-1]["requests"] == month.figures[-2]["requests"]


def check_growth(month: Month) -> None:
    """Work folders are those of open jobs and of the days that they are kept; memory is flat."""
    for day in month.figures:
        assert day["folders"] <= day["open"] + day["kept"] + 1, day
        least = BYTES_PER_JOB * day["jobs"] + BYTES_PER_RUN * day["runs"]
        assert day["other_bytes"] <= least + 100_000, day
        assert day["other_files"] <= 30, day
        assert day["open_files"] <= month.figures[0]["open_files"] + 1, day
    objects = [day["objects"] for day in month.figures]
    first = max(objects[: len(objects) // 3 + 1])
    assert objects[-1] <= first * 1.03, objects
    assert month.figures[-1]["folders"] <= month.figures[-1]["open"] + month.figures[-1]["kept"]
