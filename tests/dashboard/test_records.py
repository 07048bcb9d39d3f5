"""Audit, statistics, notifications and users: what each shows, to whom, and what a form does."""

import csv
import io
from datetime import timedelta

import pytest
from markupsafe import escape
from starlette.testclient import TestClient

from drawcli.adapters.messages.sent import FILE_NAME, SentMessage, SentMessages
from drawcli.adapters.messages.silence import read_silence
from drawcli.adapters.reference import reasons, setting_meanings, state_meanings
from drawcli.adapters.state.audit_log import ANSWERED, ATTEMPT, Actor
from drawcli.core.jobs.job import Event, EventKind, Job, State
from drawcli.core.jobs.warned import CHECKS
from drawcli.dashboard.access.users import Users
from drawcli.pipeline.context import Context
from tests.conftest import NOON, Site
from tests.dashboard.conftest import QUICK, WORDS, Serve, log_in, token_in


def rows_of(client: TestClient, address: str) -> list[dict[str, str]]:
    answer = client.get(address)
    assert answer.headers["content-type"].startswith("text/csv")
    return list(csv.DictReader(io.StringIO(answer.text)))


@pytest.fixture
def audited(ctx: Context) -> Context:
    """Fill the audit log: an upload, and what two users did."""
    log = ctx.audit
    sent = {"job": "0123456789ab-1", "server": "draw.example", "zip_bytes": 5}
    log.add(ATTEMPT, NOON - timedelta(days=2), "run", sent)
    log.add(ANSWERED, NOON - timedelta(days=2), "run", {"job": "0123456789ab-1", "task": "t-1"})
    for name in ("anna", "otto"):
        log.add_action("release", NOON, "run", Actor.of_page(name), {"job": "feedfacecafe-1"})
    log.add_action("edit-rules", NOON, "run", Actor.of_page("=cmd()"), {"digest": "ab" * 100})
    return ctx


def test_the_audit_log_is_listed_and_filtered_and_its_chain_is_judged(
    client: TestClient, audited: Context
) -> None:
    whole = client.get("/audit").text
    actions = rows_of(client, "/audit.csv?kind=actions")
    sent = rows_of(client, "/audit.csv?kind=disclosures")
    of_job = rows_of(client, "/audit.csv?job=0123")
    by_day = rows_of(client, f"/audit.csv?from={NOON:%Y-%m-%d}&to=nonsense")
    before = rows_of(client, "/audit.csv?to=2026-11-13")

    assert "the log is complete" in whole
    assert str(audited.audit.head()) in whole
    assert [row["what"] for row in actions] == ["edit-rules", "release", "release"]
    assert [row["who"] for row in actions][1:] == ["otto (page)", "anna (page)"]
    assert actions[0]["who"] == "'=cmd() (page)"  # no formula of a spreadsheet
    assert [row["what"] for row in sent] == ["answered", "attempt"]
    assert len(of_job) == len(before) == 2
    assert len(by_day) == 3
    (path,) = audited.audit.folder.glob("*.jsonl")
    path.write_bytes(path.read_bytes().replace(b"draw.example", b"evil.example"))
    assert "the log was changed" in client.get("/audit").text


def test_a_long_audit_log_has_pages(client: TestClient, ctx: Context) -> None:
    for number in range(205):
        ctx.audit.add_action("seen", NOON, "run", Actor.of_page("anna"), {"number": number})

    first, third = client.get("/audit").text, client.get("/audit?page=3").text

    assert 'rel="next" href="/audit?page=2"' in first
    assert "number=204" in first
    assert "number=104" not in first
    assert "number=4" in third
    assert 'rel="next"' not in third
    assert "No line matches" in client.get("/audit?page=99").text


@pytest.mark.parametrize(
    "query",
    [
        "page=x",
        "page=99999999999",
        "kind=x",
        "from=1",
        "job=%00",
        "to=0001-01-01",
        "from=9999-12-31",
    ],
)
def test_an_odd_query_is_no_bug(client: TestClient, query: str) -> None:
    for address in ("/audit", "/audit.csv", "/statistics", "/statistics.csv"):
        assert client.get(f"{address}?{query}").status_code in (200, 400)


def figures(client: TestClient, query: str) -> dict[tuple[str, str, str], str]:
    rows = rows_of(client, f"/statistics.csv{query}")
    return {(row["kind"], row["name"], row["measure"]): row["value"] for row in rows}


def delivered(number: int, template: str, *, warned: bool = False, days: int = 1) -> Job:
    """Return a job that was found an hour before it was delivered."""
    at = NOON - timedelta(days=days)
    events = [
        Event(at - timedelta(hours=1), EventKind.REACHED, State.FOUND),
        Event(at - timedelta(minutes=30), EventKind.HELD, "privacy-gate", "why"),
        Event(at, EventKind.REACHED, State.DELIVERED),
    ]
    if warned:
        events.insert(2, Event(at, EventKind.NOTED, CHECKS, "a hole"))
    facts = {"modality": "CT", "template": template, "events": tuple(events)}
    return Job(id=f"{number:012x}-1", state=State.DONE, since=at, **facts)  # type: ignore[arg-type]


def test_statistics_count_what_happened_in_the_days_and_by_template(
    client: TestClient, ctx: Context
) -> None:
    ctx.ledger.add(
        delivered(1, "Prostate_OAR", warned=True),
        delivered(2, "Prostate_OAR"),
        delivered(3, "Thorax_OAR"),
        delivered(4, "Thorax_OAR", days=60),
    )

    page = client.get("/statistics").text
    rows = figures(client, "")
    old = figures(client, "?from=2026-09-01&to=2026-10-01&template=Thorax_OAR")

    assert "Why jobs were held" in page
    assert escape(reasons()["privacy-gate"][0].look) in page
    assert rows["template", "Prostate_OAR", "delivered"] == "2"
    assert rows["template", "Prostate_OAR", "warned"] == "1"
    assert rows["template", "Thorax_OAR", "delivered"] == "1"
    assert rows["template", "Thorax_OAR", "median"] == "3600.0"
    assert rows["scanner", "not known", "delivered"] == "3"
    assert rows["holds", "privacy-gate", "count"] == "3"
    assert old["template", "Thorax_OAR", "delivered"] == "1"
    assert ("template", "Prostate_OAR", "delivered") not in old


def test_statistics_are_of_a_year_at_most(client: TestClient) -> None:
    page = client.get("/statistics?from=1970-01-01&to=2099-01-01").text

    assert 'name="from" type="date" value="2025-11-13"' in page
    assert 'name="to" type="date" value="2026-11-14"' in page


def test_what_was_sent_is_shown_without_addresses(client: TestClient, site: Site) -> None:
    assert "Nothing was sent yet" in client.get("/notifications").text
    SentMessages(site.state).add(
        SentMessage(NOON, "recipient 1 (mailto)", "<b>2 held</b>", "a body", is_taken=False)
    )
    path = site.state / FILE_NAME
    path.write_bytes(path.read_bytes() + b"{damaged\n")

    page = client.get("/notifications").text

    assert "&lt;b&gt;2 held" in page
    assert "not taken" in page
    assert path.stat().st_mode & 0o777 == 0o600


def test_alarms_are_silenced_by_who_may_act_with_a_reason_and_an_end(
    serve: Serve, site: Site, ctx: Context
) -> None:
    viewer, actor = serve(password=WORDS), serve(password=WORDS, allow_actions=True)
    for client in (viewer, actor):
        log_in(client)
    given = {"span": "4h", "reason": "the server\nmoves"}

    def posted(client: TestClient, **form: str) -> int:
        csrf = token_in(client.get("/notifications").text)
        return client.post("/notifications/silence", data={"csrf": csrf} | form).status_code

    assert posted(viewer, **given) == 403
    assert posted(actor, **given | {"reason": " "}) == 409
    assert posted(actor, **given | {"span": "9y"}) == 409
    assert read_silence(site.state, ctx.now()) is None
    assert posted(actor, **given) == 303

    silence = read_silence(site.state, ctx.now())
    assert silence is not None
    assert (silence.reason, silence.until) == ("the server moves", ctx.now() + timedelta(hours=4))
    assert "silenced until 2026-11-14 16:00" in viewer.get("/notifications").text
    assert posted(actor, span="end") == 303
    assert read_silence(site.state, ctx.now()) is None
    actions = [line.facts["action"] for line in ctx.audit.lines()]
    assert actions == ["silence", "end-silence"]


def test_users_see_themselves_and_who_may_edit_sees_all(serve: Serve, site: Site) -> None:
    users = Users(site.state, QUICK)
    users.add("vera", frozenset({"view"}), WORDS)
    users.add("egon", frozenset({"view", "edit"}), WORDS)
    editor = serve(allow_editing=True)
    viewer = another(editor)
    for client, name in ((editor, "egon"), (viewer, "vera")):
        form = {"csrf": token_in(client.get("/login").text), "user": name, "password": WORDS}
        assert client.post("/login", data=form).status_code == 303

    seen, all_seen = viewer.get("/users").text, editor.get("/users").text

    assert ">vera<" in seen
    assert "egon" not in seen
    assert all_seen.count("vera") == all_seen.count("egon") - 2  # own name: above and in front
    assert "$argon2" not in all_seen


def another(client: TestClient) -> TestClient:
    """Return a second browser on the same page."""
    base, headers = str(client.base_url), {"accept": "text/html"}
    return TestClient(client.app, base_url=base, headers=headers, follow_redirects=False)


@pytest.mark.parametrize("named", [True, False])
def test_all_sessions_of_a_user_are_ended_together(
    serve: Serve, site: Site, *, named: bool
) -> None:
    first = serve(password=WORDS)
    second = another(first)
    if named:
        Users(site.state, QUICK).add("vera", frozenset({"view"}), WORDS)
    for client in (first, second):
        form = {"csrf": token_in(client.get("/login").text), "user": "vera", "password": WORDS}
        assert client.post("/login", data=form).status_code == 303

    out = first.post("/users/logout", data={"csrf": token_in(first.get("/users").text)})

    assert out.headers["location"] == "/login"
    for client in (first, second):
        assert client.get("/").headers.get("location") == "/login"


def test_settings_states_and_reasons_are_explained_where_they_are_shown(
    client: TestClient, held: Job
) -> None:
    settings, job = client.get("/settings").text, client.get(f"/jobs/{held.id}").text

    assert set(state_meanings()) == {*State}
    assert {"deliver.folder", "state_dir", "oidc.roles"} <= set(setting_meanings())
    assert "What deliver.folder means" in settings
    assert "no result" in job
    assert escape(reasons()["deadline"][0].do) in job
    assert "What “uploaded” means" in job
