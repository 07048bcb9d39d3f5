"""The page in a real browser, without a window: what a person does, on a desk and on a phone.

Skipped where there is no Chromium, or no Playwright to drive it.
"""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest
import uvicorn

from drawcli.context import Context
from drawcli.core.job import Job, State
from drawcli.dashboard.app import application
from drawcli.dashboard.options import Options
from drawcli.dashboard.secret import Secret
from drawcli.dashboard.site import Site as Shown
from tests.conftest import Clock, Site, opened
from tests.dashboard.conftest import QUICK, WORDS
from tests.fake_draw import FakeDraw

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH")
SERIOUS = ("serious", "critical")
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}


@pytest.fixture
def url(ctx: Context, site: Site, draw: FakeDraw, clock: Clock) -> Iterator[str]:
    """Serve the page of the site on loopback, for who has the password, with actions."""
    secret = Secret(site.state, QUICK)
    secret.store(WORDS)
    shown = Shown(ctx, lambda: opened(site, draw, clock), site.config)
    server: uvicorn.Server
    app = application(shown, Options(allow_actions=True), secret, lambda: server.should_exit)
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, lifespan="off", log_config=None, ws="none", http="h11")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """Start the browser, once for all tests here."""
    with ExitStack() as ends:
        started = ends.enter_context(playwright.sync_playwright())
        yield started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])


def logged_in(browser: "Browser", url: str, **how: Any) -> "tuple[Page, list[str]]":
    """Log in; return the page, and what the browser complains of from then on."""
    page = browser.new_context(**how).new_page()
    troubles: list[str] = []
    page.goto(f"{url}/login")
    page.get_by_label("Password or token").fill(WORDS)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{url}/")
    page.on("pageerror", lambda err: troubles.append(str(err)))
    page.on("console", lambda one: troubles.append(one.text) if one.type == "error" else None)
    return page, troubles


def told_by_axe(page: "Page") -> list[str]:
    """Return what axe finds serious; nothing where it is not installed."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe")
    found = axe.Axe().run(page).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found if one["impact"] in SERIOUS]


def test_every_page_is_in_order_for_axe_and_fits_a_phone(
    browser: "Browser", url: str, home: Job, held: Job
) -> None:
    looked_at = ["/", "/jobs", f"/jobs/{home.id}", f"/jobs/{held.id}", f"/rules?job={home.id}"]
    places = [*looked_at, "/settings", "/unmatched", "/server", "/checkup"]
    page, troubles = logged_in(browser, url, color_scheme="dark")
    for number, place in enumerate(places):
        page.emulate_media(color_scheme=("dark", "light")[number % 2])
        page.goto(url + place)
        assert place not in looked_at or told_by_axe(page) == [], place

        page.set_viewport_size(PHONE)  # type: ignore[arg-type] # it is one
        wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
        assert not wide, place
        page.set_viewport_size(DESK)  # type: ignore[arg-type] # likewise
    assert troubles == []


def test_a_person_finds_a_held_job_and_releases_it(
    browser: "Browser", url: str, held: Job, ctx: Context
) -> None:
    page, troubles = logged_in(browser, url)

    page.get_by_role("link", name=f"Look at job {held.id}").press("Enter")
    page.get_by_role("button", name="Release").click()
    page.get_by_text("Done: release").wait_for()

    after = ctx.ledger.get(held.id)
    assert after is not None
    assert not after.held
    assert troubles == []


def test_an_open_page_follows_the_ledger_and_its_filter_answers_while_one_types(
    browser: "Browser", url: str, held: Job, in_state: Callable[..., Job]
) -> None:
    page, troubles = logged_in(browser, url)
    page.goto(f"{url}/jobs")

    in_state(State.MATCHED, "00000000000a-1", template="Thorax_OAR")
    page.get_by_role("link", name="00000000000a-1").wait_for(timeout=5000)
    page.get_by_label("Words").press_sequentially("thorax")
    page.get_by_text("1 to 1 of 1 found among 2").wait_for(timeout=5000)

    assert page.get_by_role("link", name=held.id).count() == 0
    assert page.url.endswith("/jobs?q=thorax&sort=held&rows=50")
    assert troubles == []


def test_sliders_move_through_the_contours_and_structures_are_gone_to(
    browser: "Browser", url: str, home: Job
) -> None:
    pytest.importorskip("PIL", reason="nothing draws")
    page, troubles = logged_in(browser, url)
    page.goto(f"{url}/jobs/{home.id}")

    page.get_by_role("link", name="Show the contours").click()
    slider, told = page.get_by_label("Axial"), page.locator("output").first
    before = int(slider.input_value())
    slider.press("ArrowLeft")
    image = page.locator(f'img[src*="/axial/{before - 1}.png"]')
    image.wait_for(timeout=10_000)
    moved = told.inner_text()
    page.get_by_label("Bladder").check()
    page.wait_for_function("one => one.textContent !== " + repr(moved), arg=told.element_handle())

    assert moved == f"{before} of 6"
    assert page.locator("img").first.evaluate("one => one.naturalWidth") == 720
    assert troubles == []
