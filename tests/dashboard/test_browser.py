"""The page in a real browser, without a window: what a person does, on a desk and on a phone.

Skipped where there is no Chromium, or no Playwright to drive it.
"""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
import uvicorn
from starlette.types import ASGIApp

from drawcli.adapters.state.qa_records import QaRecords
from drawcli.adapters.state.run_log import ANSWERED, Run, RunLog
from drawcli.core.jobs.job import Job, State
from drawcli.core.jobs.warned import seen, unseen_warnings, with_findings
from drawcli.dashboard.access.options import DashboardOptions
from drawcli.dashboard.access.password import Secret
from drawcli.dashboard.app import application
from drawcli.dashboard.snapshot import SiteReader as Shown
from drawcli.operations.qa.summarize import update_summary
from drawcli.pipeline.context import Context
from tests.conftest import NOON, PELVIS, SLICES, Clock, Site, made_site, opened
from tests.dashboard.conftest import QUICK, WORDS, brought_home, put_on_hold
from tests.dashboard.qa.conftest import shifting
from tests.fake_draw import FakeDraw
from tests.operations.qa.cases import edited, record
from tests.phantoms.planning import write_planning_ct

if TYPE_CHECKING:
    from playwright.sync_api import Browser, ConsoleMessage, Page

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH")
SERIOUS = ("serious", "critical")
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
PATIENCE = 120_000  # ms: a sign of life, not a speed
WIDE = "W" * 64  # a name without a place to break it
Reopen = Callable[[], AbstractContextManager[Context]]
CHART = "/qa/chart?template=Prostate_OAR&roi=Bladder&metric=dice"


@dataclass(frozen=True)
class Served:
    """A site with a job that came home, and where its page is."""

    url: str
    ctx: Context
    home: Job


@contextmanager
def serving(app: ASGIApp, ending: list[bool]) -> Iterator[str]:
    """Serve an application on loopback; say where."""
    config = uvicorn.Config(app, port=0, lifespan="off", log_config=None, ws="none", http="h11")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        ending.append(True)
        server.should_exit = True
        thread.join()


@contextmanager
def serving_site(ctx: Context, site: Site, reopen: Reopen, **options: bool) -> Iterator[str]:
    """Serve the page of a site to who has the password; say where."""
    secret, ending = Secret(site.state, QUICK), list[bool]()
    secret.store(WORDS)
    shown = Shown(ctx, reopen, site.config)
    app = application(shown, DashboardOptions(**options), secret, lambda: bool(ending))  # type: ignore[arg-type] # switches
    with serving(app, ending) as url:
        yield url


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve one site for all tests here, to who has the password, with actions."""
    site = made_site(tmp_path_factory.mktemp("served") / "site")
    write_planning_ct(site.store / "pelvis", PELVIS, slices=SLICES, size=32, seed=1)
    draw, clock = FakeDraw(), Clock()
    with opened(site, draw, clock) as ctx:
        home = brought_home(ctx, draw)
        pair = replace(record(0, edited("Bladder", 0.9)), job=home.id)
        wide = record(2000, edited(WIDE, 0.9), template=WIDE)
        QaRecords(site.state).add([pair, wide, *shifting()])
        update_summary(ctx.settings, ctx.now())
        with serving_site(ctx, site, lambda: opened(site, draw, clock), allow_actions=True) as url:
            yield Served(url, ctx, home)


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """Start the browser, once for all tests here."""
    with ExitStack() as ends:
        started = ends.enter_context(playwright.sync_playwright())
        yield started.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"], timeout=PATIENCE
        )


def enter(page: "Page", url: str) -> None:
    """Log in as a person does."""
    page.set_default_timeout(PATIENCE)
    page.goto(f"{url}/login")
    page.get_by_label("Password or token").fill(WORDS)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{url}/")


@pytest.fixture(scope="module")
def logged_in(browser: "Browser", served: Served) -> "Page":
    """Log in as a person does, once for all tests here."""
    page = browser.new_page()
    enter(page, served.url)
    return page


@pytest.fixture
def page(logged_in: "Page", served: Served) -> "Iterator[Page]":
    """Return the first page; see that the browser complains of nothing that is done from there."""
    troubles: list[str] = []

    def complain(err: object) -> None:
        troubles.append(str(err))

    def listen(one: "ConsoleMessage") -> None:
        if one.type == "error":
            troubles.append(one.text)

    logged_in.goto(f"{served.url}/")
    logged_in.on("pageerror", complain)
    logged_in.on("console", listen)
    yield logged_in
    logged_in.remove_listener("pageerror", complain)
    logged_in.remove_listener("console", listen)
    assert troubles == []


def axe_violations(page: "Page") -> list[str]:
    """Return what axe finds serious; nothing where it is not installed."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe")
    page.wait_for_load_state()  # a click ends before the page has its style
    found = axe.Axe().run(page).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html']}" for one in found if one["impact"] in SERIOUS]


@pytest.mark.sweep
def test_every_page_is_in_order_for_axe_and_fits_a_phone(page: "Page", served: Served) -> None:
    held = put_on_hold(served.ctx, "feedfacecafe-1")
    home = served.home.id
    looked_at = ["/", "/jobs", f"/jobs/{home}", f"/jobs/{held.id}", f"/rules?job={home}"]
    looked_at += ["/qa", CHART, "/qa/pairs", f"/qa/pair/{home}"]
    wide = [f"/qa/chart?template={WIDE}&roi={WIDE}&metric=dice", "/qa/pair/0000000007d0-1"]
    places = [*looked_at, *wide, "/settings", "/unmatched", "/server", "/checkup"]
    for number, place in enumerate(places):
        page.emulate_media(color_scheme=("dark", "light")[number % 2])
        page.goto(served.url + place)
        assert place not in looked_at or axe_violations(page) == [], place

        page.set_viewport_size(PHONE)  # type: ignore[arg-type] # it is one
        is_wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
        assert not is_wide, place
        page.set_viewport_size(DESK)  # type: ignore[arg-type] # likewise


def test_the_arrow_keys_move_between_the_cases_of_a_chart(page: "Page", served: Served) -> None:
    page.goto(served.url + CHART)
    cases = page.locator("#chart svg a")
    last = cases.count() - 1
    said = page.locator("#case")

    page.get_by_role("region", name="Chart of Dice").focus()
    page.keyboard.press("Tab")
    while cases.nth(last).evaluate("one => one !== document.activeElement"):
        page.keyboard.press("Tab")  # signals are before it
    page.keyboard.press("ArrowLeft")
    beside = said.inner_text()
    page.keyboard.press("Home")
    first = said.inner_text()

    assert beside == cases.nth(last - 1).get_attribute("aria-label")
    assert first == cases.nth(0).get_attribute("aria-label")
    page.keyboard.press("Enter")
    page.wait_for_url("**/qa/pair/*")


def test_a_person_finds_a_held_job_and_releases_it(page: "Page", served: Served) -> None:
    held = put_on_hold(served.ctx, "feedfacecafe-2")

    page.get_by_role("link", name=f"Show job {held.id}").press("Enter")
    page.get_by_role("button", name="Release").click()
    page.get_by_text("Done: release").wait_for()

    after = served.ctx.ledger.get(held.id)
    assert after is not None
    assert not after.held


@pytest.mark.sweep
def test_an_open_page_follows_the_ledger_and_its_filter_answers_while_one_types(
    page: "Page", served: Served
) -> None:
    page.goto(f"{served.url}/jobs")

    served.ctx.ledger.add(
        Job(id="00000000000a-1", state=State.MATCHED, since=NOON, template="Thorax_OAR")
    )
    page.get_by_role("link", name="00000000000a-1").wait_for()
    page.get_by_label("Search").press_sequentially("thorax")
    page.wait_for_url("**/jobs?q=thorax&sort=held&rows=50")  # it followed the first letters, too
    page.get_by_text("1 to 1 of 1 matching jobs").wait_for()

    assert page.get_by_role("link", name=served.home.id).count() == 0


@pytest.mark.sweep
def test_sliders_move_through_the_contours_and_structures_are_gone_to(
    page: "Page", served: Served
) -> None:
    pytest.importorskip("PIL", reason="nothing draws")
    page.goto(f"{served.url}/jobs/{served.home.id}")

    page.get_by_role("link", name="Show the contours").click()
    page.wait_for_load_state()  # a click ends before the page has its script
    slider, told = page.get_by_label("Axial"), page.locator("output").first
    before = int(slider.input_value())
    slider.press("ArrowLeft")
    image = page.locator(f'img[src*="/axial/{before - 1}.png"]')
    image.wait_for()
    moved = told.inner_text()
    page.get_by_label("Bladder").check()
    page.wait_for_function("one => one.textContent !== " + repr(moved), arg=told.element_handle())

    assert moved == f"{before} of 6"
    drawn = page.locator("img").first.element_handle()
    page.wait_for_function("one => one.naturalWidth === 720", arg=drawn)


@pytest.mark.sweep
def test_contours_are_rated_by_keyboard_alone(page: "Page", served: Served) -> None:
    page.goto(f"{served.url}/jobs/{served.home.id}")
    page.locator("#rate summary").focus()
    page.keyboard.press("Enter")
    assert axe_violations(page) == []
    page.keyboard.press("Tab")
    page.keyboard.type("8")
    page.keyboard.press("Tab")
    page.keyboard.type("12")
    page.keyboard.press("Tab")  # to the first structure
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.get_by_label("Comment").focus()
    page.keyboard.type("dome cut off")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**?done=rate#rating")

    box = page.locator("#rating").inner_text()
    assert "Your rating is stored." in box
    assert "8 of 10" in box
    assert "minor" in box
    assert axe_violations(page) == []


@pytest.mark.sweep
def test_a_warning_is_seen_on_the_first_page_and_is_over_when_somebody_has_looked(
    page: "Page", served: Served
) -> None:
    now = served.ctx.now()
    RunLog(served.ctx.settings.state_dir).add(Run("0badcafe", now, now, 0, "", ANSWERED))
    for held in (job for job in served.ctx.ledger.jobs() if job.held):
        served.ctx.ledger.commit(held.released(at=now))
    for job in filter(unseen_warnings, served.ctx.ledger.jobs()):
        served.ctx.ledger.commit(seen(job, at=now))
    summary = served.ctx.settings.state_dir / "qa" / "summary.json"
    if summary.exists():  # else this test is run again
        summary.rename(summary.with_suffix(".aside"))  # nothing to investigate
    page.goto(f"{served.url}/")
    before = page.title()

    job_id = f"{0xB000 + len(served.ctx.ledger.jobs()):012x}-1"  # a new one each time
    warned = Job(id=job_id, state=State.DELIVERED, since=NOON, template="Thorax_OAR")
    served.ctx.ledger.add(with_findings(warned, now, ["Heart: 1,950 cm³"]))
    page.get_by_role("link", name="1 structure set was delivered with warnings").first.wait_for()
    icon, title = page.locator("#icon").get_attribute("href"), page.title()
    found = axe_violations(page)
    page.get_by_role("link", name="1 structure set was delivered with warnings").first.click()
    page.get_by_role("link", name=warned.id).click()
    page.get_by_role("button", name="Mark as seen").click()
    page.get_by_text("Done: seen").wait_for()
    page.goto(f"{served.url}/")

    assert before == "All is well · drawcli"
    assert (icon, title[0]) == ("/static/attention.svg", "!")
    assert found == []
    assert page.title() == before
    assert page.locator("#icon").get_attribute("href") == "/static/well.svg"
    summary.with_suffix(".aside").rename(summary)


@pytest.mark.sweep
def test_a_link_that_is_pressed_while_the_page_updates_itself_is_followed(
    page: "Page", served: Served
) -> None:
    held = put_on_hold(served.ctx, "feedfacecafe-5")
    page.get_by_role("link", name=f"Show job {held.id}").hover()
    title = page.title()
    page.mouse.down()
    other = put_on_hold(served.ctx, f"{0xC000 + len(served.ctx.ledger.jobs()):012x}-1")
    playwright.expect(page).not_to_have_title(title, timeout=PATIENCE)
    page.mouse.up()

    page.wait_for_url(f"**/jobs/{held.id}")
    served.ctx.ledger.commit(other.released(at=served.ctx.now()))  # few held jobs are listed


def test_what_was_chosen_stays_when_the_page_updates_itself(page: "Page", served: Served) -> None:
    page.goto(f"{served.url}/jobs/{served.home.id}")
    template = page.get_by_label("Template")
    template.select_option("Thorax_OAR")
    page.locator("h1").click()  # the choice has no focus any more
    page.locator("#job .lead").evaluate("one => { one.textContent = 'before' }")
    put_on_hold(served.ctx, "feedfacecafe-9")

    playwright.expect(page.locator("#job .lead")).not_to_have_text("before", timeout=PATIENCE)
    assert template.input_value() == "Thorax_OAR"
