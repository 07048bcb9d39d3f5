"""Who comes in, who stays out, and for how long."""

import asyncio
from ipaddress import ip_network
from time import time

import httpx
import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from drawcli.core.jobs.job import Job
from drawcli.dashboard.access.login_required import LOGIN_AGAIN
from drawcli.dashboard.access.password import Secret
from drawcli.dashboard.access.rate_limit import FREE_ATTEMPTS, LoginLimiter
from drawcli.dashboard.access.single_sign_on import ANSWER_PATH, START_PATH
from drawcli.dashboard.app import routes
from drawcli.system.limits import EXCHANGES
from tests.conftest import Site
from tests.dashboard.conftest import HERE, HTML, QUICK, WORDS, Serve, log_in, token_in

ADDRESSES = [
    one.path.replace("{job}", "feedfacecafe-1")
    .replace("{action}", "release")
    .replace("{plane}/{index:int}", "axial/3")
    .replace("{template}", "Prostate_OAR")
    for one in routes()
    if isinstance(one, Route)
]


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Stop the clock that turns go by, and return how long each password waited for its turn."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        if seconds:
            waited.append(seconds)

    monkeypatch.setattr(
        "drawcli.dashboard.access.auth.LoginLimiter", lambda: LoginLimiter(lambda: 0.0)
    )
    monkeypatch.setattr("drawcli.dashboard.access.auth.sleep", sleep)
    return waited


def test_without_a_password_this_machine_may_read(client: TestClient) -> None:
    assert client.get("/").status_code == 200
    assert client.get("/login").headers["location"] == "/"


def test_with_a_password_nothing_is_shown_before_the_login(serve: Serve) -> None:
    client = serve(password=WORDS)

    assert len(ADDRESSES) > 12
    for address in set(ADDRESSES) - {"/login", LOGIN_AGAIN, START_PATH, ANSWER_PATH}:
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
    over = time() + 12 * 3600

    monkeypatch.setattr("drawcli.dashboard.access.sessions.time", lambda: over - 60)
    before = client.get("/").status_code
    monkeypatch.setattr("drawcli.dashboard.access.sessions.time", lambda: over)
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

    assert takes_forms >= {"/login", "/logout", "/jobs/{job}/rate", "/jobs/{job}/{action}"}
    assert "/patients" in takes_forms
    for path in takes_forms:
        address = path.format(job=held.id, action="release")
        assert client.post(address, data={"csrf": "wrong"}).status_code == 403


def guessed(client: TestClient, words: str = "wrong") -> int:
    """Try a password; return the status."""
    form = {"csrf": token_in(client.get("/login").text), "password": words}
    return client.post("/login", data=form).status_code


def test_who_guesses_is_slowed_down_and_the_right_one_is_looked_at_too(
    serve: Serve, waits: list[float]
) -> None:
    client = serve(password=WORDS)
    form = {"csrf": token_in(client.get("/login").text), "password": "wrong"}

    answers = [client.post("/login", data=form) for _ in range(FREE_ATTEMPTS + 2)]
    right = client.post("/login", data=form | {"password": WORDS})

    assert [one.status_code for one in answers] == [401] * (FREE_ATTEMPTS - 1) + [429] * 3
    assert [one.headers.get("retry-after") for one in answers[FREE_ATTEMPTS - 2 :]] == [
        None,
        "1",
        "3",
        "7",
    ]
    assert "the next one is checked in 7 s" in answers[-1].text
    assert right.status_code == 303
    assert waits == [1, 3, 7]  # the clock stands: each waits for all before it


def test_guesses_at_once_are_counted_like_those_one_after_another(
    serve: Serve, waits: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    client = serve(password=WORDS)
    csrf = token_in(client.get("/login").text)
    guesses = ["wrong"] * 55 + [WORDS] + ["wrong"] * 4

    async def at_once() -> list[httpx.Response]:
        shell = httpx.ASGITransport(client.app)
        async with httpx.AsyncClient(
            transport=shell, base_url=HERE, cookies=dict(client.cookies)
        ) as many:
            forms = [{"csrf": csrf, "password": words} for words in guesses]
            return await asyncio.gather(*(many.post("/login", data=form) for form in forms))

    answers = asyncio.run(at_once())
    codes = [answer.status_code for answer in answers]

    assert set(codes) == {429}  # all were counted before the first was looked at
    assert max(waits) <= EXCHANGES["page-login"].seconds
    looked_at = [line for line in caplog.messages if line.startswith("login=refused")]
    assert len(looked_at) == FREE_ATTEMPTS + len(waits)
    assert sum("was not checked" in answer.text for answer in answers) == 60 - len(looked_at)


def test_a_browser_that_has_logged_in_before_is_not_slowed_by_others_behind_its_address(
    serve: Serve, waits: list[float]
) -> None:
    known = serve(password=WORDS)
    log_in(known)
    for cookie in list(known.cookies.jar):
        if not cookie.name.startswith("drawcli-known-"):
            known.cookies.jar.clear(cookie.domain, cookie.path, cookie.name)
    other = TestClient(known.app, base_url=HERE, headers=HTML, follow_redirects=False)

    codes = [guessed(other) for _ in range(30)]
    before = len(waits)
    status = guessed(known, WORDS)

    assert codes.count(429) == 30 - (FREE_ATTEMPTS - 1)
    assert status == 303
    assert len(waits) == before


def test_a_browser_that_has_logged_in_before_may_not_guess_either(
    serve: Serve, waits: list[float]
) -> None:
    client = serve(password=WORDS)
    log_in(client)
    client.post("/logout", data={"csrf": token_in(client.get("/").text)})

    codes = [guessed(client) for _ in range(FREE_ATTEMPTS + 3)]

    assert codes == [401] * (FREE_ATTEMPTS - 1) + [429] * 4
    assert len(waits) == 3


@pytest.mark.parametrize("forgery", ["another", "of another password", "in"])
def test_a_browser_that_says_so_falsely_is_counted_as_anybody(
    serve: Serve, site: Site, waits: list[float], forgery: str
) -> None:
    client = serve(password=WORDS)
    log_in(client)
    (value,) = [value for name, value in client.cookies.items() if "known" in name]
    if forgery == "of another password":
        Secret(site.state, QUICK).store("another horse, another battery")
    elif forgery == "another":
        value = "A" * 22 + value[22:]
    client.cookies.clear()
    if forgery == "in":  # it lets nobody in
        client.cookies.set("drawcli-known-8043", value)
        assert client.get("/").headers["location"] == "/login"
        return

    for _ in range(FREE_ATTEMPTS + 2):
        client.cookies.set("drawcli-known-8043", value)
        guessed(client)
        value = "B" + value[1:]

    assert len(waits) == 2


def test_behind_a_proxy_of_the_site_each_browser_is_counted_by_itself(
    serve: Serve, waits: list[float]
) -> None:
    app = serve(password=WORDS, proxies=(ip_network("10.0.0.5"),)).app

    def browser(address: str) -> TestClient:
        headers = HTML | {"x-forwarded-for": address}
        return TestClient(
            app, HERE, client=("10.0.0.5", 1), headers=headers, follow_redirects=False
        )

    codes = [guessed(browser("192.0.2.7")) for _ in range(FREE_ATTEMPTS + 1)]
    other = guessed(browser("198.51.100.1"), WORDS)

    assert codes[-1] == 429
    assert other == 303
    assert waits == [1]


def test_the_words_of_a_login_name_no_path(
    serve: Serve, site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    client = serve(password=WORDS)
    form = {"csrf": token_in(client.get("/login").text), "password": WORDS}
    path = Secret(site.state).path
    path.chmod(0o644)

    answers = [client.post("/login", data=form), client.get("/metrics", headers=with_token(WORDS))]

    assert [answer.status_code for answer in answers] == [503, 503]
    for answer in answers:
        assert "passwords cannot be checked now" in answer.text
        assert str(site.folder) not in answer.text
        assert path.name not in answer.text
    assert str(path) in caplog.text


@pytest.mark.parametrize("words", ["page", "header"])
def test_behind_a_proxy_that_does_tls_every_cookie_is_secure(serve: Serve, words: str) -> None:
    client = serve(password=WORDS, tls_proxy=words == "page")
    client.base_url = client.base_url.copy_with(scheme="https")
    if words == "header":
        client.headers["x-forwarded-proto"] = "https"
    first = client.get("/login")
    answer = client.post("/login", data={"csrf": token_in(first.text), "password": WORDS})

    cookies = [*first.headers.get_list("set-cookie"), *answer.headers.get_list("set-cookie")]
    assert [cookie.rpartition("-8043=")[0] for cookie in cookies] == [
        "drawcli",
        "drawcli",
        "drawcli-known",
    ]
    assert all(cookie.lower().count("; secure") == 1 for cookie in cookies)
    assert ("strict-transport-security" in first.headers) is (words == "page")


def test_without_tls_no_cookie_is_secure_for_it_would_not_come_back(serve: Serve) -> None:
    assert "secure" not in serve(password=WORDS).get("/login").headers["set-cookie"].lower()


def test_logins_are_logged_without_their_words(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "drawcli.dashboard.access.auth")
    client = serve(password=WORDS)
    csrf = token_in(client.get("/login").text)

    for words in ("a wrong guess", WORDS):
        client.post("/login", data={"csrf": csrf, "password": words})

    assert caplog.messages == [
        "login=refused address=testclient wait_seconds=0",
        "login=good address=testclient",
    ]


def test_a_form_of_what_is_no_text_is_refused(serve: Serve, held: Job) -> None:
    client = serve(password=WORDS, allow_actions=True)
    log_in(client)
    fields = {"csrf": token_in(client.get("/").text), "revision": "1", "template": "\\ud800"}
    parts = (
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    kind = "multipart/form-data; boundary=x; charset=raw_unicode_escape"

    answer = client.post(
        f"/jobs/{held.id}/assign",
        content="".join(parts) + "--x--\r\n",
        headers={"content-type": kind},
    )

    assert answer.status_code == 400


def with_token(words: str) -> dict[str, str]:
    return {"accept": "*/*", "authorization": f"Bearer {words}"}


def test_a_program_gets_the_figures_with_the_token_and_nothing_else(serve: Serve) -> None:
    client = serve(password=WORDS)

    figures = client.get("/metrics", headers=with_token(WORDS))
    others = {place: client.get(place, headers=with_token(WORDS)) for place in ("/", "/jobs")}

    assert figures.text.startswith("# HELP drawcli_info")
    assert "set-cookie" not in figures.headers
    assert {answer.status_code for answer in others.values()} == {401}


def test_a_program_that_guesses_slows_no_person_down(serve: Serve, waits: list[float]) -> None:
    client = serve(password=WORDS)

    answers = [
        client.get("/metrics", headers=with_token("wrong")) for _ in range(FREE_ATTEMPTS + 1)
    ]
    right = client.get("/metrics", headers=with_token(WORDS))
    before = len(waits)
    log_in(client)

    assert [answer.status_code for answer in answers] == [401] * (FREE_ATTEMPTS - 1) + [429] * 2
    assert answers[0].headers["www-authenticate"] == "Bearer"
    assert right.status_code == 200
    assert (before, len(waits)) == (2, 2)
    assert client.get("/metrics").status_code == 200


@pytest.mark.usefixtures("waits")
def test_a_program_that_is_right_makes_no_guesses_forgotten(serve: Serve) -> None:
    client = serve(password=WORDS)
    form = {"csrf": token_in(client.get("/login").text), "password": "wrong"}
    codes = []

    for _ in range(FREE_ATTEMPTS):
        codes.append(client.post("/login", data=form).status_code)
        assert client.get("/metrics", headers=with_token(WORDS)).status_code == 200

    assert codes[-1] == 429


def test_the_login_of_one_page_says_nothing_of_the_site(serve: Serve, held: Job) -> None:
    client = serve(password=WORDS)

    for address in ("/login", "/static/style.css"):
        assert held.id not in client.get(address).text
    assert str(client.base_url) == HERE
