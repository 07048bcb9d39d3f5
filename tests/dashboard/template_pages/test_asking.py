"""The server is asked for its catalogue from the page."""

import time
from threading import Event
from typing import TYPE_CHECKING

import pytest
from starlette.testclient import TestClient

from drawcli.adapters.server.catalogue_cache import load_catalogue
from drawcli.dashboard.template_pages import catalogue_request
from drawcli.sandbox.catalogue import as_json
from tests.conftest import Site
from tests.dashboard.conftest import WORDS, Serve, log_in, token_in
from tests.fake_draw import FakeDraw

if TYPE_CHECKING:
    from httpx2 import Response

PLACE = "/templates/Prostate_OAR"


def ask(client: TestClient, **more: str) -> "Response":
    form = {"csrf": token_in(client.get(PLACE).text), "template": "Prostate_OAR"}
    return client.post("/templates/+ask", data=form | more)


def test_the_answer_is_stored_and_compared(editor: TestClient, draw: FakeDraw, site: Site) -> None:
    draw.models = [{**one, "model_config": "2d"} for one in as_json()]

    answer = ask(editor)
    page = editor.get(answer.headers["location"]).text

    assert answer.headers["location"] == f"{PLACE}?asked=1#warnings"
    assert "The current catalogue was fetched" in page
    assert "model 720 has config 2d at the server, not 3d_fullres" in page
    assert load_catalogue(site.state) is not None


def test_a_refusal_is_reported_with_what_to_do(editor: TestClient, draw: FakeDraw) -> None:
    draw.models = as_json()
    draw.answers = [503] * 9

    page = editor.get(ask(editor).headers["location"]).text

    assert "The catalogue could not be fetched: models: 503." in page


def test_a_slow_server_does_not_hold_the_page_and_is_asked_once(
    serve: Serve, draw: FakeDraw, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw.models, answers = as_json(), Event()
    draw.watch = lambda request: None if "models" not in request.url.path else _wait(answers)
    client = serve(password=WORDS, allow_editing=True)
    log_in(client)
    monkeypatch.setattr(catalogue_request, "PATIENCE_SECONDS", 0.01)

    first, second = ask(client), ask(client)
    waiting = client.get(PLACE).text
    answers.set()
    while "The catalogue is being fetched" in client.get(PLACE).text:
        time.sleep(0.01)

    assert [first.status_code, second.status_code] == [303, 303]
    assert "The catalogue is being fetched" in waiting
    assert draw.asked.count("GET /api/models/") == 1


def _wait(answers: Event) -> None:
    answers.wait(60)


def test_only_an_editor_asks(serve: Serve, draw: FakeDraw) -> None:
    draw.models = as_json()
    client = serve(password=WORDS, allow_actions=True)
    log_in(client)

    page = client.get(PLACE).text
    form = {"csrf": token_in(page), "template": ""}

    assert "Check against the server" not in page
    assert client.post("/templates/+ask", data=form).status_code == 403
    assert draw.asked == []


def test_the_way_back_is_a_template_or_the_list(editor: TestClient, draw: FakeDraw) -> None:
    draw.models = as_json()

    assert ask(editor, template="//evil.example").headers["location"].startswith("/templates?")
