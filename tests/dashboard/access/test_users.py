"""Users with names: who is let in, what each may do, and when a session ends."""

import json
import logging
from time import time

import pytest
from argon2 import PasswordHasher
from starlette.testclient import TestClient

from drawcli.adapters.state.page_users import FILE_NAME
from drawcli.core.jobs.job import Job
from drawcli.dashboard.access.password import Secret
from drawcli.dashboard.access.rate_limit import user_counters
from drawcli.dashboard.access.users import Users
from drawcli.errors import ConfigError, UsageError
from drawcli.pipeline.context import Context
from tests.conftest import Site
from tests.dashboard.conftest import QUICK, WORDS, Serve, token_in

OTHER = "another horse, another battery"


@pytest.fixture
def users(site: Site) -> Users:
    """Return the users of a site: one who views, one who acts."""
    made = Users(site.state, QUICK)
    made.add("vera", frozenset({"view"}), WORDS)
    made.add("anna", frozenset({"view", "act"}), OTHER)
    return made


def tried(client: TestClient, user: str, words: str) -> tuple[int, str]:
    """Log in; return status and page."""
    form = {"csrf": token_in(client.get("/login").text), "user": user, "password": words}
    answer = client.post("/login", data=form)
    return answer.status_code, answer.text


def entered(client: TestClient, user: str, words: str) -> TestClient:
    """Log in as somebody; return the browser."""
    assert tried(client, user, words)[0] == 303
    return client


def is_in(client: TestClient) -> bool:
    return client.get("/").status_code == 200


@pytest.mark.usefixtures("users")
def test_a_user_logs_in_by_name_and_the_page_says_who(serve: Serve) -> None:
    client = serve()
    assert client.get("/").headers["location"] == "/login"
    assert 'name="user"' in client.get("/login").text

    entered(client, " Vera ", WORDS)

    assert ">vera</span>" in client.get("/").text


@pytest.mark.usefixtures("users")
@pytest.mark.parametrize(
    ("user", "words"), [("vera", OTHER), ("vera", ""), ("", WORDS), ("nobody", WORDS), ("a b", "")]
)
def test_a_wrong_user_and_a_wrong_password_get_the_same_answer(
    serve: Serve, user: str, words: str
) -> None:
    status, page = tried(serve(), user, words)

    assert (status, "Wrong user or password." in page) == (401, True)


def test_an_unknown_user_takes_one_hash_as_a_known_one(
    users: Users, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified: list[str] = []
    users.verify("vera", "first")  # makes the hash of nobody
    verify = PasswordHasher.verify

    def counted(self: PasswordHasher, kept: str, words: str) -> bool:
        verified.append(kept.rpartition("$")[0].rpartition("$")[0])
        return verify(self, kept, words)

    monkeypatch.setattr(PasswordHasher, "verify", counted)

    assert [users.verify(name, WORDS) for name in ("vera", "nobody", "")] == [True, False, False]
    assert len(verified) == 3
    assert len(set(verified)) == 1  # the same parameters


def test_guesses_of_a_user_are_counted_from_everywhere_and_alike_for_unknown_ones() -> None:
    known, unknown = user_counters("vera"), user_counters("nobody")

    assert len(known) == len(unknown) == 1
    assert (known[0].free, known[0].longest_seconds) == (
        unknown[0].free,
        unknown[0].longest_seconds,
    )
    assert user_counters("") == ()


def test_with_users_the_password_of_the_page_logs_nobody_in_but_programs(
    serve: Serve, users: Users, site: Site
) -> None:
    users.remove("vera")
    users.remove("anna")
    client = serve(password=WORDS)
    form = {"csrf": token_in(client.get("/login").text), "password": WORDS}
    assert client.post("/login", data=form).status_code == 303
    before = is_in(client)

    users.add("anna", frozenset({"view"}), OTHER)

    assert (before, is_in(client)) == (True, False)
    assert Secret(site.state, QUICK).is_set
    assert tried(client, "", WORDS)[0] == tried(client, "drawcli", WORDS)[0] == 401
    bearer = {"authorization": f"Bearer {WORDS}"}
    assert client.get("/metrics", headers=bearer).status_code == 200
    assert client.get("/metrics", headers={"authorization": f"Bearer {OTHER}"}).status_code == 401


@pytest.mark.usefixtures("users")
def test_the_role_of_a_user_and_the_options_of_the_page_both_bound_what_one_may(
    serve: Serve, held: Job, ctx: Context
) -> None:
    viewer = entered(serve(allow_actions=True), "vera", WORDS)
    actor = entered(serve(allow_actions=True), "anna", OTHER)
    bound = entered(serve(), "anna", OTHER)
    place = f"/jobs/{held.id}"

    def cancel(client: TestClient) -> int:
        page = client.get(place).text
        form = {"csrf": token_in(page), "revision": str(held.revision)}
        return client.post(f"{place}/cancel", data=form).status_code

    assert ">Actions<" not in viewer.get(place).text
    assert ">Actions<" in actor.get(place).text
    assert [cancel(viewer), cancel(bound), cancel(actor)] == [403, 403, 303]
    after = ctx.ledger.get(held.id)
    assert after is not None
    assert after.events[-1].by == "anna (page)"
    assert [line.facts["who"]["page_user"] for line in ctx.audit.lines()] == ["anna"]
    assert "by anna (page)" in viewer.get(place).text


def test_a_role_that_is_taken_away_counts_at_once(serve: Serve, users: Users, held: Job) -> None:
    client = entered(serve(allow_actions=True, identify=True), "anna", OTHER)
    page = client.get(f"/jobs/{held.id}").text
    form = {"csrf": token_in(page), "revision": str(held.revision)}

    users.set_roles("anna", frozenset({"view"}))
    answer = client.post(f"/jobs/{held.id}/cancel", data=form)

    assert (answer.status_code, "Your role" in answer.text) == (403, True)
    assert ">Actions<" not in client.get(f"/jobs/{held.id}").text
    users.set_roles("anna", frozenset({"view", "patients", "act"}))
    assert "Patients are shown." in client.get("/").text


@pytest.mark.parametrize("change", ["remove", "set_password", "end_sessions", "rename"])
def test_a_session_ends_at_once_with_its_user(serve: Serve, users: Users, change: str) -> None:
    client, other = entered(serve(), "anna", OTHER), entered(serve(), "vera", WORDS)
    before = is_in(client)

    if change == "set_password":
        users.set_password("anna", "a third horse in a stable")
    elif change == "rename":
        users.remove("anna")
        users.add("anna-b", frozenset({"view"}), OTHER)
    else:
        getattr(users, change)("anna")

    assert (before, is_in(client), is_in(other)) == (True, False, True)


def test_a_user_of_the_same_name_does_not_inherit_a_session(serve: Serve, users: Users) -> None:
    client = entered(serve(), "anna", OTHER)

    users.remove("anna")
    users.add("anna", frozenset({"view", "edit"}), OTHER)

    assert not is_in(client)


def test_the_id_of_a_session_is_new_at_the_login_and_of_no_use_after_the_logout(
    serve: Serve, users: Users
) -> None:
    assert users.exist
    client = serve()
    client.get("/login")
    before = dict(client.cookies)

    entered(client, "vera", WORDS)
    inside = dict(client.cookies)
    client.cookies.clear()
    client.cookies.update(before)  # as an attacker who had planted the cookie
    planted = is_in(client)
    client.cookies.clear()
    client.cookies.update(inside)
    page = client.get("/").text
    client.post("/logout", data={"csrf": token_in(page)})
    client.cookies.clear()
    client.cookies.update(inside)

    assert before["drawcli-8043"] != inside["drawcli-8043"]
    assert (planted, is_in(client)) == (False, False)


@pytest.mark.usefixtures("users")
def test_a_session_that_is_not_used_ends_and_a_page_that_refreshes_itself_does_not_use_it(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, start = entered(serve(), "vera", WORDS), time()
    clock = [start]
    monkeypatch.setattr("drawcli.dashboard.access.sessions.time", lambda: clock[0])

    for minutes in (50, 100):
        clock[0] = start + minutes * 60
        assert is_in(client)
    for minutes in (120, 140):
        clock[0] = start + minutes * 60
        assert client.get("/", headers={"x-refresh": "1"}).status_code == 200
    clock[0] = start + 161 * 60

    assert not is_in(client)


@pytest.mark.usefixtures("users")
def test_however_it_is_used_a_session_ends_with_the_shift(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, start = entered(serve(), "vera", WORDS), time()
    clock = [start]
    monkeypatch.setattr("drawcli.dashboard.access.sessions.time", lambda: clock[0])

    for half_hours in range(1, 24):
        clock[0] = start + half_hours * 1800
        assert is_in(client)
    clock[0] = start + 12 * 3600 + 1

    assert not is_in(client)


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"users": {"a": 1}, "keys": {}}', '{"users": {"a b": {}}}', "mode"]
)
def test_a_file_that_cannot_be_trusted_lets_nobody_in(
    serve: Serve, users: Users, site: Site, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    client = entered(serve(password=WORDS), "vera", WORDS)
    path = site.state / FILE_NAME

    if damage == "mode":
        path.chmod(0o644)
        path.touch()
    else:
        path.write_text(damage)
    with caplog.at_level(logging.WARNING):
        status, page = tried(client, "vera", WORDS)

    assert (is_in(client), status, str(path) in page) == (False, 503, False)
    assert str(path) in caplog.text
    with pytest.raises(ConfigError, match=FILE_NAME):
        users.check()


def test_the_file_is_private_and_holds_no_password(users: Users, site: Site) -> None:
    path = site.state / FILE_NAME
    kept = json.loads(path.read_text())

    assert path.stat().st_mode & 0o777 == 0o600
    assert kept["users"]["anna"]["roles"] == ["view", "act"]
    assert kept["users"]["anna"]["hash"].startswith("$argon2id$")
    assert OTHER not in path.read_text()
    with pytest.raises(UsageError, match="already"):
        users.add("anna", frozenset({"view"}), WORDS)
    with pytest.raises(UsageError, match="too short"):
        users.add("otto", frozenset({"view"}), "short")
    with pytest.raises(UsageError, match="no user"):
        users.remove("otto")
