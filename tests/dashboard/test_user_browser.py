"""Users in a real browser: single sign-on at another site, and the pages about the site.

Skipped where there is no Chromium, or no Playwright to drive it.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from drawcli.dashboard.access.options import DashboardOptions
from drawcli.dashboard.access.password import Secret
from drawcli.dashboard.access.users import Users
from drawcli.dashboard.app import application
from drawcli.dashboard.snapshot import SiteReader as Shown
from tests.conftest import Clock, made_site, opened
from tests.dashboard.conftest import QUICK, WORDS, put_on_hold
from tests.dashboard.test_browser import (
    DESK,
    PATIENCE,
    PHONE,
    axe_violations,
    browser,
    pytestmark,
    serving,
)
from tests.fake_draw import FakeDraw
from tests.identity_provider import CLIENT, providing

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["browser", "pytestmark"]
PAGES = ("/statistics", "/audit", "/notifications", "/users")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a site with a user with a password, and single sign-on at another site."""
    site = made_site(tmp_path_factory.mktemp("users") / "site")
    ending: list[bool] = []
    with providing() as provider:
        provider.issuer = provider.issuer.replace("127.0.0.1", "localhost")  # another site
        site.add_line(
            f"oidc: {{issuer: '{provider.issuer}', client_id: {CLIENT}, roles: {{/physics: act}}}}"
        )
        Users(site.state, QUICK).add("vera", frozenset({"view", "act", "edit"}), WORDS)
        draw, clock = FakeDraw(), Clock()
        with opened(site, draw, clock) as ctx:
            put_on_hold(ctx)
            shown = Shown(ctx, lambda: opened(site, draw, clock), site.config)
            options = DashboardOptions(allow_actions=True, allow_editing=True)
            app = application(shown, options, Secret(site.state, QUICK), lambda: bool(ending))
            with serving(app, ending) as url:
                yield url


@pytest.fixture
def page(browser: "Browser") -> "Iterator[Page]":
    with browser.new_context() as context:
        context.set_default_timeout(PATIENCE)
        yield context.new_page()


def test_somebody_logs_in_at_another_site_and_acts_with_a_name(page: "Page", address: str) -> None:
    page.goto(address)
    page.get_by_role("link", name="Log in with single sign-on").press("Enter")
    page.get_by_role("link", name="Go back").click()  # from the other site
    page.wait_for_url(f"{address}/")

    page.get_by_text("anna.b", exact=True).wait_for()
    page.goto(f"{address}/jobs/feedfacecafe-1")
    page.get_by_role("button", name="Release").click()
    page.get_by_text("Done: release").wait_for()
    page.wait_for_load_state()

    assert "by anna.b (page)" in page.locator("#story").locator("..").inner_text()
    page.goto(f"{address}/audit?kind=actions")
    assert "anna.b (page)" in page.locator("table").inner_text()
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url(f"{address}/login")


@pytest.mark.sweep
def test_the_pages_of_the_site_are_in_order_for_axe_and_fit_a_phone_and_alarms_are_silenced(
    page: "Page", address: str
) -> None:
    page.goto(f"{address}/login")
    assert axe_violations(page) == []
    page.get_by_label("User").fill("vera")
    page.get_by_label("Password").fill(WORDS)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{address}/")

    page.goto(f"{address}/notifications")
    page.get_by_label("Reason").fill("the server moves")
    page.get_by_role("button", name="Silence alarms").click()
    page.get_by_text("Alarms are silenced until").wait_for()
    page.goto(f"{address}/jobs/feedfacecafe-1")
    page.locator("#state-help summary").click()
    page.get_by_text("the server has it").wait_for()
    for number, place in enumerate(PAGES):
        page.emulate_media(color_scheme=("dark", "light")[number % 2])
        page.goto(address + place)
        assert axe_violations(page) == [], place
        page.set_viewport_size(PHONE)  # type: ignore[arg-type] # it is one
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth"), place
        page.set_viewport_size(DESK)  # type: ignore[arg-type] # likewise
    page.get_by_role("button", name="Log out everywhere").click()
    page.wait_for_url(f"{address}/login")
