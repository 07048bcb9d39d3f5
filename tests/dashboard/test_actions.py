"""What the page does to jobs: nothing unless it may, and then what the commands do."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from drawcli.adapters.state.audit_log import AuditLog
from drawcli.core.jobs.job import Job, State
from drawcli.dashboard.actions import available_actions
from drawcli.errors import DiskFull, NeedsPerson
from drawcli.pipeline import actions
from drawcli.pipeline.context import Context
from tests.dashboard.conftest import WORDS, Serve, log_in, token_in

Patch = pytest.MonkeyPatch


def hidden_in(page: str) -> dict[str, str]:
    """Return what a form of the page of a job sends along."""
    return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]+)"', page))


def acted(serve: Serve, job: Job, action: str, **form: str) -> tuple[int, str]:
    """Do something to a job as a person does; return how it was answered."""
    client = serve(password=WORDS, allow_actions=True)
    log_in(client)
    given = hidden_in(client.get(f"/jobs/{job.id}").text) | form
    answer = client.post(f"/jobs/{job.id}/{action}", data=given)
    return answer.status_code, answer.headers.get("location", answer.text)


def page_at(place: str, serve: Serve) -> str:
    """Return a page as somebody sees it who has logged in."""
    client = serve(password=WORDS)
    log_in(client)
    return client.get(place).text


def test_by_default_it_only_shows(serve: Serve, held: Job, ctx: Context) -> None:
    client = serve(password=WORDS)
    log_in(client)
    page = client.get(f"/jobs/{held.id}").text

    answer = client.post(f"/jobs/{held.id}/release", data={"csrf": token_in(page)})

    assert ">Actions<" not in page
    assert (answer.status_code, "--allow-actions" in answer.text) == (403, True)
    assert ctx.ledger.get(held.id) == held


@pytest.mark.parametrize("action", ["release", "retry", "cancel"])
def test_it_does_what_the_command_does(serve: Serve, held: Job, ctx: Context, action: str) -> None:
    expected = getattr(actions, action)(held, ctx)

    status, location = acted(serve, held, action)

    assert (status, location) == (303, f"/jobs/{held.id}?done={action}")
    assert f"Done: {action}." in page_at(location, serve)
    after = ctx.ledger.get(held.id)
    assert after is not None
    assert replace(after, revision=0) == replace(expected.signed("page", held), revision=0)
    (line,) = ctx.audit.lines()
    facts = {name: line.facts[name] for name in ("what", "action", "job", "source")}
    assert facts == {"what": "action", "action": action, "job": held.id, "source": "page"}
    assert "by page" in page_at(f"/jobs/{held.id}", serve)


@pytest.mark.parametrize("action", ["retry", "cancel", "assign"])
def test_what_cannot_be_recorded_is_not_done(
    serve: Serve, ctx: Context, in_state: Callable[..., Job], action: str, monkeypatch: Patch
) -> None:
    job = in_state(State.UNMATCHED)

    def full(*_: object) -> None:
        raise DiskFull("the disk is full")

    monkeypatch.setattr(AuditLog, "add", full)
    status, text = acted(serve, job, action, template="Thorax_OAR")

    assert (status, "the disk is full" in text) == (503, True)
    assert ctx.ledger.get(job.id) == job


def test_a_series_is_assigned(serve: Serve, ctx: Context, in_state: Callable[..., Job]) -> None:
    job = in_state(State.UNMATCHED)

    status, location = acted(serve, job, "assign", template="Thorax_OAR")

    assert "Done: assign." in page_at(location, serve)
    after = ctx.ledger.get(job.id)
    assert after is not None
    assert (status, after.state, after.template) == (303, State.MATCHED, "Thorax_OAR")


@pytest.mark.parametrize(
    ("action", "said"),
    [("assign", "no template"), ("release", "is not held"), ("explode", "no action")],
)
def test_what_cannot_be_is_told_and_changes_nothing(
    serve: Serve,
    ctx: Context,
    in_state: Callable[..., Job],
    action: str,
    said: str,
) -> None:
    job = in_state(State.UNMATCHED)

    status, text = acted(serve, job, action, template="Nonsense")

    assert status in (404, 409)
    assert said in text
    assert ctx.ledger.get(job.id) == job


@pytest.mark.parametrize("action", ["release", "retry", "cancel", "assign"])
def test_a_form_does_nothing_to_a_job_that_has_changed_since_it_was_drawn(
    serve: Serve, held: Job, ctx: Context, action: str
) -> None:
    client = serve(password=WORDS, allow_actions=True)
    log_in(client)
    drawn = hidden_in(client.get(f"/jobs/{held.id}").text)
    blocked = NeedsPerson("a name would leave", code="privacy-gate", hint="Look at it.")
    changed = ctx.ledger.commit(held.held_for(blocked, at=ctx.now()))

    form = drawn | {"template": "Thorax_OAR"}
    answer = client.post(f"/jobs/{held.id}/{action}", data=form)

    assert (answer.status_code, "has changed since this page was loaded" in answer.text) == (
        409,
        True,
    )
    assert f'href="/jobs/{held.id}"' in answer.text
    assert ctx.ledger.jobs() == [changed]


@pytest.mark.parametrize("said", ["release", "cancel", "to+call+0123", "held:+deadline"])
def test_an_address_cannot_say_that_something_was_done(
    client: TestClient, held: Job, said: str
) -> None:
    page = client.get(f"/jobs/{held.id}?done={said}").text

    assert "Done:" not in page
    assert "0123" not in page


def test_only_what_is_possible_is_offered(ctx: Context, held: Job) -> None:
    done = replace(held, state=State.DONE, held=False)
    waiting = replace(held, state=State.WAITING, held=False)

    assert set(available_actions(held, ctx)) == {"release", "retry", "cancel", "assign"}
    assert set(available_actions(done, ctx)) == {"assign"}
    assert set(available_actions(waiting, ctx)) == {"retry", "cancel"}
