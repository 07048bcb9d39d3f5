"""A patient found, held jobs decided and a run started in a real browser, at desk and phone."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from drawcli.adapters.state.pause import read_pause
from drawcli.core.jobs.job import Job, State
from drawcli.pipeline.context import Context
from tests.conftest import PELVIS, SLICES, Clock, Site, made_site, opened
from tests.dashboard.conftest import brought_home, put_on_hold
from tests.dashboard.test_browser import (
    CHROMIUM,
    DESK,
    PHONE,
    axe_violations,
    browser,
    enter,
    serving_site,
)
from tests.fake_draw import FakeDraw
from tests.phantoms.planning import write_planning_ct

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

__all__ = ["browser"]  # a fixture
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH"),
    pytest.mark.sweep,
]
LONG_WAIT = 120_000  # ms: a run is a process; a sign of life, not a speed


@dataclass(frozen=True)
class Named:
    """A site whose page shows patients and acts, a job that came home, and where the page is."""

    url: str
    ctx: Context
    site: Site
    home: Job


@pytest.fixture
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Named]:
    """Serve a site with a delivered job and four held ones."""
    site = made_site(tmp_path_factory.mktemp("named") / "site")
    write_planning_ct(site.store / "pelvis", PELVIS, slices=SLICES, size=32, seed=1)
    draw, clock = FakeDraw(), Clock()
    with opened(site, draw, clock) as ctx:
        home = brought_home(ctx, draw)
        for number in range(4):
            put_on_hold(ctx, f"feedfacecaf{number}-1")
        with serving_site(
            ctx, site, lambda: opened(site, draw, clock), allow_actions=True, identify=True
        ) as url:
            yield Named(url, ctx, site, home)


def entered(browser: "Browser", named: Named, *, size: dict[str, int], script: bool) -> "Page":
    """Log in as a person does."""
    context = browser.new_context(viewport=size, java_script_enabled=script)  # type: ignore[arg-type] # it is one
    page = context.new_page()
    enter(page, named.url)
    return page


def searched(page: "Page", words: str) -> None:
    """Search a patient and open the first one found."""
    page.get_by_role("link", name="Patients", exact=True).click()
    page.wait_for_url("**/patients")
    while not page.get_by_text("1 series have a patient.").count():
        page.reload()  # their names are read in the background
    page.get_by_label("Name, ID or accession number").fill(words)
    page.get_by_role("button", name="Search").click()
    page.get_by_text("1 patient.").wait_for()


def held_jobs(named: Named) -> list[bool]:
    jobs = named.ctx.ledger.find([f"feedfacecaf{number}-1" for number in range(4)])
    return [job.held for job in jobs]


def test_at_a_desk_a_patient_is_found_held_jobs_are_decided_and_a_run_is_started(
    browser: "Browser", named: Named
) -> None:
    page = entered(browser, named, size=DESK, script=True)
    asked: list[str] = []
    troubles: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda err: troubles.append(str(err)))
    page.on("console", lambda one: troubles.append(one.text) if one.type == "error" else None)

    find_patient(page, named)
    decide_held_jobs(page, named)
    save_filter(page, named)
    pause_run_and_resume(page, named)

    assert troubles == []
    for address in asked:
        assert address.startswith(named.url)
        assert not any(word in address.lower() for word in ("kulk", "ashok", "linac"))
    page.context.close()


def find_patient(page: "Page", named: Named) -> None:
    """Search a patient, look at a study, and download the structure set."""
    searched(page, "ashok KULK")
    assert axe_violations(page) == []
    page.get_by_role("link", name="Kulkarnee").click()
    page.get_by_role("link", name="Study of").click()
    page.get_by_role("heading", name="Timeline").wait_for()
    assert axe_violations(page) == []
    page.get_by_role("link", name=named.home.id).first.click()
    with page.expect_download() as given:
        page.get_by_role("link", name="Structure set").click()
    assert given.value.suggested_filename == f"drawcli-{named.home.id}-RTSTRUCT.dcm"


def decide_held_jobs(page: "Page", named: Named) -> None:
    """Retry three of four held jobs."""
    page.goto(f"{named.url}/held")
    assert page.get_by_role("button", name="Retry").is_disabled()
    page.get_by_role("link", name="Select all 4").click()
    page.wait_for_load_state()  # a click ends before the page has its script
    page.get_by_label("Select job feedfacecaf3-1").uncheck()
    page.get_by_text("3 selected.").wait_for()
    assert axe_violations(page) == []
    page.get_by_role("button", name="Retry").click()
    page.get_by_text("All done.").wait_for()
    assert held_jobs(named) == [False, False, False, True]


def save_filter(page: "Page", named: Named) -> None:
    """Choose a filter and save it; the list follows while one chooses."""
    page.goto(f"{named.url}/jobs")
    page.get_by_label("Modality").select_option("CT")
    page.get_by_label("Days").select_option("last 30 days")
    page.get_by_text("Save this filter").click()
    page.get_by_label("Name", exact=True).fill("CT of the month")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="CT of the month").wait_for()
    assert page.url == f"{named.url}/jobs?modality=CT&days=30"
    assert axe_violations(page) == []


def test_what_is_chosen_is_saved_also_where_the_list_has_not_followed(
    browser: "Browser", named: Named
) -> None:
    page = entered(browser, named, size=DESK, script=True)
    page.goto(f"{named.url}/jobs")
    page.get_by_label("Modality").select_option("CT")
    page.get_by_text("Save this filter").click()
    page.route("**/jobs?*days=30*", lose_refresh)

    page.get_by_label("Days").select_option("last 30 days")
    page.get_by_label("Name", exact=True).fill("CT of the month")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="CT of the month").wait_for()

    assert page.url == f"{named.url}/jobs?modality=CT&days=30"
    page.context.close()


def lose_refresh(route: "Route") -> None:
    """Let what a page asks for by itself be lost."""
    if route.request.headers.get("x-refresh"):
        route.abort()
    else:
        route.continue_()


def pause_run_and_resume(page: "Page", named: Named) -> None:
    """Pause sending, start a run, and send again."""
    page.goto(f"{named.url}/")
    page.get_by_text("Pause sending").click()
    page.get_by_label("Reason").fill("new linac")
    page.get_by_role("button", name="Pause", exact=True).click()
    page.get_by_text("Sending is paused").wait_for()
    assert read_pause(named.site.state) is not None
    page.get_by_role("button", name="Run now").click()
    page.get_by_text("The run that was started here has ended").wait_for(timeout=LONG_WAIT)
    page.get_by_role("button", name="Resume sending").click()
    page.get_by_text("Pause sending").wait_for()
    assert axe_violations(page) == []
    assert read_pause(named.site.state) is None


def test_on_a_phone_without_script_the_same_is_done(browser: "Browser", named: Named) -> None:
    page = entered(browser, named, size=PHONE, script=False)

    searched(page, PELVIS.patient_id[-5:])
    assert fits(page)
    page.get_by_role("link", name="Kulkarnee").click()
    page.get_by_role("link", name="Study of").click()
    assert fits(page)
    assert page.get_by_text("delivered", exact=True).count()

    page.goto(f"{named.url}/held")
    page.get_by_role("link", name="Select all 4").click()
    assert fits(page)
    page.get_by_text("Cancel ...").click()
    page.get_by_role("button", name="Cancel the selected jobs").click()
    page.wait_for_url("**/held/done/*")
    while not page.get_by_text("All done.").count():
        page.reload()
    assert fits(page)
    assert {job.state for job in named.ctx.ledger.jobs() if not job.rule} == {State.CANCELLED}

    page.goto(f"{named.url}/jobs?days=30")
    assert fits(page)
    assert page.get_by_role("link", name=named.home.id).count()
    page.context.close()


def fits(page: "Page") -> bool:
    """Return whether a page needs no scrolling to the side, by the width of its screenshot."""
    page.wait_for_load_state()  # a click ends before the page has its style
    with Image.open(io.BytesIO(page.screenshot(full_page=True))) as image:
        return image.width == PHONE["width"]
