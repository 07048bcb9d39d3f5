"""Who comes in, who stays out, and for how long."""

import asyncio
from time import time

import httpx
import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from drawcli.core.job import Job
from drawcli.dashboard.app import routes
from drawcli.dashboard.attempts import FREE, Attempts
from drawcli.dashboard.entry import HOURS
from drawcli.dashboard.secret import Secret
from tests.conftest import Site
from tests.dashboard.conftest import HERE, QUICK, WORDS, Serve, log_in, token_in

ADDRESSES = [
    one.path.replace("{job}", "feedfacecafe-1")
    .replace("{action}", "release")
    .replace("{plane}/{index:int}", "axial/3")
    .replace("{template}", "Prostate_OAR")
    for one in routes()
    if isinstance(one, Route)
]


@pytest.fixture
def no_wait_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the clock that waits go by: on no machine one is over before the test is."""
    monkeypatch.setattr("drawcli.dashboard.entry.Attempts", lambda: Attempts(lambda: 0.0))


def test_without_a_password_this_machine_may_read(client: TestClient) -> None:
    assert client.get("/").status_code == 200
    assert client.get("/login").headers["location"] == "/"


def test_with_a_password_nothing_is_shown_before_the_login(serve: Serve) -> None:
    client = serve(password=WORDS)

    assert len(ADDRESSES) > 12
    for address in set(ADDRESSES) - {"/login"}:
        page, program = client.get(address), client.get(address, headers={"accept": "*/*"})
        assert (page.status_code, page.headers["location"]) == (303, "/login"), address
        assert program.status_code == 401, address
        assert client.post(address, data={}).status_code == 401, address


def test_the_password_lets_in_and_the_way_out_is_for_good(serve: Serve) -> None:
    client = serve(password=WORDS)

    log_in(client)
    page = client.get("/")
    cookie = dict(client.cookies)
    out = client.post("/logout", data={"csrf": token_in(page.text)})
    client.cookies.update(cookie)
    again = client.get("/")

    assert page.status_code == 200
    assert out.headers["location"] == "/login"
    assert again.headers["location"] == "/login"


def test_the_cookie_is_for_this_page_alone(serve: Serve) -> None:
    client = serve(password=WORDS)

    cookie = client.get("/login").headers["set-cookie"].lower()

    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert cookie.startswith("drawcli-8043=")


def test_a_forged_cookie_lets_nobody_in(serve: Serve) -> None:
    client = serve(password=WORDS)
    log_in(client)
    name, value = next(iter(client.cookies.items()))
    client.cookies.clear()

    client.cookies.set(name, value[:-2] + ("AA" if value[-2:] != "AA" else "BB"))

    assert client.get("/").headers["location"] == "/login"


def test_a_session_of_another_start_lets_nobody_in(serve: Serve) -> None:
    first, second = serve(password=WORDS), serve()
    log_in(first)

    second.cookies.update(first.cookies)

    assert second.get("/").headers["location"] == "/login"


def test_a_session_ends_when_its_time_is_over(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = serve(password=WORDS)
    log_in(client)
    over = time() + HOURS * 3600

    monkeypatch.setattr("drawcli.dashboard.entry.time", lambda: over - 60)
    before = client.get("/").status_code
    monkeypatch.setattr("drawcli.dashboard.entry.time", lambda: over)
    after = client.get("/")

    assert before == 200
    assert after.headers["location"] == "/login"


def test_a_new_password_ends_the_sessions_of_the_old_one_and_counts_at_once(
    serve: Serve, site: Site
) -> None:
    client = serve(password=WORDS)
    log_in(client)

    Secret(site.state, QUICK).store("another horse, another battery")
    page = client.get("/")
    form = {"csrf": token_in(client.get("/login").text), "password": WORDS}
    old = client.post("/login", data=form).status_code
    log_in(client, "another horse, another battery")

    assert page.headers["location"] == "/login"
    assert old == 401
    assert client.get("/").status_code == 200


def test_a_password_that_is_lost_opens_nothing(serve: Serve, site: Site) -> None:
    client = serve(password=WORDS)
    log_in(client)

    Secret(site.state).path.unlink()
    form = {"csrf": token_in(client.get("/login").text), "password": WORDS}

    assert client.get("/").headers["location"] == "/login"
    assert client.post("/login", data=form).status_code == 401


def test_the_first_password_shuts_a_page_that_was_open(client: TestClient, site: Site) -> None:
    before = client.get("/").status_code

    Secret(site.state, QUICK).store(WORDS)

    assert before == 200
    assert client.get("/").headers["location"] == "/login"


@pytest.mark.parametrize("given", ["", "wrong", None])
def test_a_form_without_the_token_of_its_page_does_nothing(serve: Serve, given: str | None) -> None:
    client = serve(password=WORDS)
    client.get("/login")
    form = {"password": WORDS} | ({} if given is None else {"csrf": given})

    assert client.post("/login", data=form).status_code == 403
    assert client.get("/").headers["location"] == "/login"


def test_every_form_of_every_address_asks_for_the_token(serve: Serve, held: Job) -> None:
    client = serve(password=WORDS, allow_actions=True)
    log_in(client)
    client.get("/")
    takes_forms = {
        one.path for one in routes() if isinstance(one, Route) and "POST" in (one.methods or ())
    }

    assert takes_forms == {"/login", "/logout", "/jobs/{job}/{action}"}
    for path in takes_forms:
        address = path.format(job=held.id, action="release")
        assert client.post(address, data={"csrf": "wrong"}).status_code == 403


@pytest.mark.usefixtures("no_wait_ends")
def test_who_guesses_is_made_to_wait(serve: Serve) -> None:
    client = serve(password=WORDS)
    form = {"csrf": token_in(client.get("/login").text), "password": "wrong"}

    codes = [client.post("/login", data=form).status_code for _ in range(FREE + 1)]
    right = client.post("/login", data=form | {"password": WORDS})

    assert codes == [401] * (FREE - 1) + [429] * 2
    assert right.status_code == 429
    assert int(right.headers["retry-after"]) >= 1


@pytest.mark.usefixtures("no_wait_ends")
def test_guesses_at_once_are_counted_like_those_one_after_another(serve: Serve) -> None:
    client = serve(password=WORDS)
    csrf = token_in(client.get("/login").text)
    guesses = ["wrong"] * 55 + [WORDS] + ["wrong"] * 4

    async def at_once() -> list[int]:
        shell = httpx.ASGITransport(client.app)
        async with httpx.AsyncClient(
            transport=shell, base_url=HERE, cookies=dict(client.cookies)
        ) as many:
            forms = [{"csrf": csrf, "password": words} for words in guesses]
            answers = await asyncio.gather(*(many.post("/login", data=form) for form in forms))
        return [answer.status_code for answer in answers]

    codes = asyncio.run(at_once())

    assert codes.count(401) == FREE - 1
    assert codes.count(429) == len(guesses) - (FREE - 1)


def test_logins_are_logged_without_their_words(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "drawcli.dashboard.entry")
    client = serve(password=WORDS)
    csrf = token_in(client.get("/login").text)

    for words in ("a wrong guess", WORDS):
        client.post("/login", data={"csrf": csrf, "password": words})

    assert caplog.messages == [
        "login=refused address=testclient wait_seconds=0",
        "login=good address=testclient",
    ]


def with_token(words: str) -> dict[str, str]:
    return {"accept": "*/*", "authorization": f"Bearer {words}"}


def test_a_program_gets_the_figures_with_the_token_and_nothing_else(serve: Serve) -> None:
    client = serve(password=WORDS)

    figures = client.get("/metrics", headers=with_token(WORDS))
    others = {place: client.get(place, headers=with_token(WORDS)) for place in ("/", "/jobs")}

    assert figures.text.startswith("# HELP drawcli_info")
    assert "set-cookie" not in figures.headers
    assert {answer.status_code for answer in others.values()} == {401}


@pytest.mark.usefixtures("no_wait_ends")
def test_a_program_that_guesses_waits_and_shuts_no_person_out(serve: Serve) -> None:
    client = serve(password=WORDS)

    answers = [client.get("/metrics", headers=with_token("wrong")) for _ in range(FREE + 1)]
    right = client.get("/metrics", headers=with_token(WORDS))
    log_in(client)

    assert [answer.status_code for answer in answers] == [401] * (FREE - 1) + [429] * 2
    assert answers[0].headers["www-authenticate"] == "Bearer"
    assert right.status_code == 429
    assert client.get("/metrics").status_code == 200


@pytest.mark.usefixtures("no_wait_ends")
def test_a_program_that_is_right_makes_no_guesses_forgotten(serve: Serve) -> None:
    client = serve(password=WORDS)
    form = {"csrf": token_in(client.get("/login").text), "password": "wrong"}
    codes = []

    for _ in range(FREE):
        codes.append(client.post("/login", data=form).status_code)
        assert client.get("/metrics", headers=with_token(WORDS)).status_code == 200

    assert codes[-1] == 429


def test_the_login_of_one_page_says_nothing_of_the_site(serve: Serve, held: Job) -> None:
    client = serve(password=WORDS)

    for address in ("/login", "/static/style.css"):
        assert held.id not in client.get(address).text
    assert str(client.base_url) == HERE
