"""Held jobs by cause: one action for all that are selected, each under its own lock."""

import re
import time

import pytest
from starlette.testclient import TestClient

from drawcli.core.jobs.job import Job, State
from drawcli.dashboard.access.request_guard import MANY_JOBS
from drawcli.dashboard.find.held import MOST_JOBS, causes_of
from drawcli.dashboard.snapshot import SiteReader
from drawcli.errors import LedgerError, NeedsPerson
from drawcli.pipeline.context import Context
from drawcli.system.limits import PAGE_FORM_BYTES, PAGE_MANY_BYTES
from tests.conftest import NOON
from tests.dashboard.conftest import WORDS, Serve, log_in, token_in


def put_held(ctx: Context, count: int, code: str = "deadline", start: int = 0) -> list[Job]:
    """Put jobs into the ledger that are held for one cause."""
    jobs = []
    for number in range(start, start + count):
        job = Job(id=f"{number:012x}-1", state=State.UPLOADED, since=NOON, modality="CT")
        ctx.ledger.add(job)
        err = NeedsPerson(f"why {code}", code=code, hint="Ask them.")
        jobs.append(ctx.ledger.commit(job.held_for(err, at=ctx.now())))
    return jobs


@pytest.fixture
def client(serve: Serve) -> TestClient:
    client = serve(password=WORDS, allow_actions=True)
    log_in(client)
    return client


def boxes(page: str) -> list[str]:
    """Return what the boxes of a page send."""
    return re.findall(r'name="job" value="([^"]+)"', page)


def acted(client: TestClient, action: str, jobs: list[str], **more: str) -> str:
    """Act on several jobs as a person does; return the page with the outcomes."""
    form = {"csrf": token_in(client.get("/held").text), "action": action, "job": jobs, **more}
    answer = client.post("/held", data=form)
    assert answer.status_code == 303, answer.text
    place = answer.headers["location"]
    while "It continues if you leave" in (page := client.get(place).text):
        time.sleep(0.01)
    return page


def test_causes_are_counted_the_largest_first(client: TestClient, ctx: Context) -> None:
    put_held(ctx, 3)
    put_held(ctx, 1, "task-unknown", start=10)

    found = causes_of([job for job in ctx.ledger.jobs() if job.held])
    page = client.get("/held").text
    one = client.get("/held?cause=task-unknown").text
    everything = client.get("/held?cause=deadline&all=1").text

    assert [(cause.code, len(cause.jobs)) for cause in found] == [
        ("deadline", 3),
        ("task-unknown", 1),
    ]
    assert page.index("3 jobs <code>deadline") < page.index("1 job <code>task-unknown")
    assert boxes(page) == []
    assert [box.split()[0] for box in boxes(one)] == ["00000000000a-1"]
    assert "checked" not in one
    assert len(re.findall(r'name="job" value="[^"]+" checked', everything)) == 3


@pytest.mark.parametrize("action", ["release", "retry", "cancel"])
def test_what_is_selected_is_done_and_nothing_else(
    client: TestClient, ctx: Context, action: str
) -> None:
    put_held(ctx, 4)
    chosen = boxes(client.get("/held").text)[:3]

    page = acted(client, action, chosen)

    assert f"{action.capitalize()}: 3 of 3 jobs" in page
    assert "All done." in page
    after = ctx.ledger.find([f"{number:012x}-1" for number in range(4)])
    assert [job.held for job in after] == [False, False, False, True]


def test_templates_are_assigned_to_several(client: TestClient, ctx: Context) -> None:
    for number in range(2):
        job = Job(id=f"{number:012x}-1", state=State.AMBIGUOUS, since=NOON)
        ctx.ledger.add(job)
        ctx.ledger.commit(job.held_for(NeedsPerson("two rules", code="ambiguous"), at=NOON))

    acted(client, "assign", boxes(client.get("/held").text), template="Thorax_OAR")

    assert {(job.template, job.state) for job in ctx.ledger.jobs()} == {
        ("Thorax_OAR", State.MATCHED)
    }


def test_each_job_has_its_own_outcome(client: TestClient, ctx: Context) -> None:
    jobs = put_held(ctx, 4)
    drawn = boxes(client.get("/held").text)
    changed = ctx.ledger.commit(jobs[0].held_for(NeedsPerson("new", code="x"), at=NOON))
    with ctx.work.job_lock(jobs[1].id):
        page = acted(client, "release", [*drawn, "ffffffffffff-1 1"])

    assert "3 not changed" in page
    assert ", 2 done" in page
    assert "has changed since this page was loaded" in page
    assert "is being processed" in page
    assert "there is no job" in page
    assert ctx.ledger.get(jobs[0].id) == changed
    after = ctx.ledger.find([job.id for job in jobs])
    assert [job.held for job in after] == [True, True, False, False]


def test_nothing_without_the_right_a_choice_or_an_action(
    serve: Serve, client: TestClient, ctx: Context
) -> None:
    (job,) = put_held(ctx, 1)
    box = boxes(client.get("/held").text)
    token = token_in(client.get("/held").text)
    given = {"csrf": token, "action": "release", "job": box}

    none = client.post("/held", data=given | {"job": []})
    unknown = client.post("/held", data=given | {"action": "explode"})
    many = client.post("/held", data=given | {"job": [f"{n} 1" for n in range(MOST_JOBS + 1)]})
    reader = serve(password=WORDS)
    log_in(reader)
    page = reader.get("/held").text
    refused = reader.post("/held", data=given | {"csrf": token_in(page)})

    assert (none.status_code, unknown.status_code, many.status_code) == (409, 404, 409)
    assert (refused.status_code, boxes(page)) == (403, [])
    assert ctx.ledger.jobs() == [job]


def test_the_outcomes_of_another_session_are_not_shown(client: TestClient, ctx: Context) -> None:
    put_held(ctx, 1)
    form = {"csrf": token_in(client.get("/held").text), "action": "release"}
    form["job"] = boxes(client.get("/held").text)[0]
    place = client.post("/held", data=form).headers["location"]
    client.cookies.clear()
    log_in(client)

    assert client.get(place).headers["location"] == "/held"


def test_its_form_may_be_larger_than_others_and_is_bounded(client: TestClient) -> None:
    form = {"csrf": token_in(client.get("/held").text), "action": "release"}

    within = client.post("/held", data=form | {"x": "y" * (2 * PAGE_FORM_BYTES)})
    above = client.post("/held", data=form | {"x": "y" * PAGE_MANY_BYTES})
    elsewhere = client.post("/held/done/x", data={"x": "y" * (2 * PAGE_FORM_BYTES)})
    largest = "&".join(f"job={'f' * 12}-99+9999" for _ in range(MOST_JOBS))

    assert MANY_JOBS == "/held"
    assert (within.status_code, above.status_code, elsewhere.status_code) == (409, 413, 413)
    assert len(largest) < PAGE_MANY_BYTES - 1000


def test_jobs_that_were_not_tried_are_reported(
    client: TestClient, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = put_held(ctx, 2)
    drawn = boxes(client.get("/held").text)

    def fail(*_: object) -> None:
        raise LedgerError("the ledger cannot be read")

    monkeypatch.setattr(SiteReader, "reopen", fail)
    page = acted(client, "release", drawn)

    assert page.count("not tried: the ledger cannot be read") == 2
    assert ctx.ledger.jobs() == jobs
