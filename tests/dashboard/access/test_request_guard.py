"""Which requests are taken, and the headers of every answer."""

import pytest
from starlette.testclient import TestClient

from drawcli.dashboard.access.request_guard import HEADERS
from drawcli.system.limits import PAGE_FORM_BYTES
from tests.conftest import Site
from tests.dashboard.conftest import WORDS, Serve

PLACES = ("/", "/jobs", "/jobs/feedfacecafe-1", "/unmatched", "/rules", "/server", "/checkup",
    "/settings", "/templates/Prostate_OAR", "/login", "/static/style.css", "/static/page.js",
    "/metrics", "/jobs/nothing", "/nowhere", "/static/nowhere", "/static/../app.py")  # fmt: skip


@pytest.mark.usefixtures("held")
def test_every_answer_has_the_headers(client: TestClient) -> None:
    answers = [client.get(place) for place in PLACES]
    answers += [client.get("/", headers={"host": "evil.example"}), client.put("/")]

    assert {answer.status_code for answer in answers} >= {200, 303, 404, 405, 421}
    for answer in answers:
        assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS, answer.url


def test_a_bug_is_answered_in_the_same_shell_and_tells_no_value(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_self: object) -> None:
        raise ValueError("KOWALSKI^ANNA")

    monkeypatch.setattr("drawcli.dashboard.snapshot.SiteReader.snapshot", broken)

    answer = client.get("/")

    assert answer.status_code == 500
    assert "bug: ValueError at test_request_guard.py" in answer.text
    assert "KOWALSKI" not in answer.text
    assert HEADERS.items() <= dict(answer.headers).items()


@pytest.mark.usefixtures("held")
def test_no_script_or_style_but_own_files(client: TestClient) -> None:
    assert "unsafe" not in HEADERS["content-security-policy"]

    for place in PLACES[:10]:
        text = client.get(place).text
        for sign in (
            "<style",
            " style=",
            "javascript:",
            " onclick=",
            "<script>",
            "//cdn",
            "http://",
        ):
            assert sign not in text.replace("http://127.0.0.1:9", ""), (place, sign)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "127.0.0.2:8043"])
def test_a_foreign_name_is_refused(client: TestClient, host: str) -> None:
    assert client.get("/", headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost:8043", "127.0.0.1", "[::1]:8043"])
def test_this_machine_may_be_called_by_any_of_its_names(client: TestClient, host: str) -> None:
    assert client.get("/server", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_a_form_of_another_page_is_refused(serve: Serve, headers: dict[str, str]) -> None:
    client = serve(password=WORDS)

    answer = client.post("/login", data={"password": WORDS}, headers=headers)

    assert answer.status_code == 403
    assert "another page" in answer.text


@pytest.mark.parametrize("sender", ["cross-site", "same-site"])
@pytest.mark.parametrize("how", [("no-cors", "image"), ("cors", "empty"), ("navigate", "iframe")])
def test_another_site_makes_no_page_for_itself(
    client: TestClient, sender: str, how: tuple[str, str]
) -> None:
    mode, place = how
    headers = {"sec-fetch-site": sender, "sec-fetch-mode": mode, "sec-fetch-dest": place}

    assert client.get("/checkup", headers=headers).status_code == 403


@pytest.mark.parametrize("sender", ["cross-site", "same-site", "same-origin", "none"])
def test_a_link_from_anywhere_may_be_followed(client: TestClient, sender: str) -> None:
    headers = {
        "sec-fetch-site": sender,
        "sec-fetch-mode": "navigate",
        "sec-fetch-dest": "document",
    }

    assert client.get("/server", headers=headers).status_code == 200


def test_a_form_that_is_too_large_is_not_read(serve: Serve) -> None:
    client = serve(password=WORDS)

    assert client.post("/login", data={"a": "x" * PAGE_FORM_BYTES}).status_code == 413
    assert client.post("/login", content=iter([b"a=b"])).status_code == 413


@pytest.mark.parametrize("how", ["chunked", "identity", ""])
def test_a_form_that_may_be_longer_than_it_says_is_not_read(serve: Serve, how: str) -> None:
    headers = {"transfer-encoding": how, "content-length": "3"}

    assert serve().post("/login", content=b"a=b", headers=headers).status_code == 413


def test_over_tls_browsers_are_told_to_stay_there(serve: Serve, site: Site) -> None:
    client = serve(password=WORDS, tls_cert=site.config)

    assert "max-age" in client.get("/login").headers["strict-transport-security"]
