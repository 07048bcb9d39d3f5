"""A rule in a real browser: from an unmatched series to a commit, with a second browser between."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from drawcli.core.jobs.job import Job, State
from drawcli.pipeline.runner import Selection, run_step
from tests.adapters.edited_files.conftest import git
from tests.conftest import PELVIS, SLICES, Clock, Site, made_site, opened
from tests.dashboard.conftest import WORDS
from tests.dashboard.editing.conftest import RULES
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
    from playwright.sync_api import Browser, Page

__all__ = ["browser"]  # a fixture
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH"),
    pytest.mark.sweep,
]


@dataclass(frozen=True)
class Edited:
    """A site whose rules can be edited, a series that none matches, and where its page is."""

    url: str
    site: Site
    draw: FakeDraw
    clock: Clock
    job: Job


@pytest.fixture
def edited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edited]:
    """Serve a site under git to who has the password."""
    site = made_site(tmp_path_factory.mktemp("edited") / "site")
    write_planning_ct(site.store / "pelvis", PELVIS, slices=SLICES, size=32, seed=1)
    site.settings().rules.write_text(RULES, encoding="utf-8")
    git(site.folder, "init", "--quiet", "--initial-branch=main")
    git(site.folder, "add", "rules.yaml", "templates.yaml")
    git(site.folder, "commit", "--quiet", "--message=first")
    draw, clock = FakeDraw(), Clock()
    with opened(site, draw, clock) as ctx:
        for step in ("scan", "match"):
            run_step(step, ctx, Selection())
        (job,) = ctx.ledger.jobs()
        with serving_site(ctx, site, lambda: opened(site, draw, clock), allow_editing=True) as url:
            yield Edited(url, site, draw, clock, job)


def logged_in(browser: "Browser", url: str) -> "Page":
    """Return a page of a browser of its own, logged in."""
    page = browser.new_context().new_page()
    enter(page, url)
    return page


def in_order(page: "Page") -> None:
    """Check a page with axe, in both schemes, and that it fits a phone."""
    for scheme, size in (("light", DESK), ("dark", PHONE)):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type] # one
        page.set_viewport_size(size)  # type: ignore[arg-type] # likewise
        assert axe_violations(page) == []
        assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    page.set_viewport_size(DESK)  # type: ignore[arg-type] # likewise


def somebody_else_saves(page: "Page", url: str) -> None:
    """Change the second rule as text."""
    page.goto(f"{url}/edit/rules/2/text")
    page.get_by_label("This rule as").fill(
        "- name: head\n  template: HeadNeck_OAR\n  when: {ProtocolName: {contains: head}}"
    )
    page.get_by_role("button", name="Show the change").click()
    page.get_by_role("button", name="Save these lines").click()
    page.get_by_text("Saved, as commit").wait_for()


def test_from_an_unmatched_series_to_a_commit(browser: "Browser", edited: Edited) -> None:
    page = logged_in(browser, edited.url)
    page.goto(f"{edited.url}/unmatched")
    page.get_by_role("link", name=f"Write a rule for job {edited.job.id}").click()
    page.get_by_role("button", name="Show the change").last.click()
    page.get_by_text("Choose a template").wait_for()
    in_order(page)

    page.get_by_label("Prostate_OAR").check()
    page.get_by_text("1 of 1 series would be decided differently").wait_for()
    page.get_by_role("button", name="Show the change").last.click()
    page.get_by_role("heading", name="Add rule prostate-oar").wait_for()
    page.get_by_text("1 of 1 series would be decided differently").wait_for()
    in_order(page)

    somebody_else_saves(logged_in(browser, edited.url), edited.url)
    page.get_by_role("button", name="Save these lines").click()
    page.get_by_text("Somebody else saved this file").wait_for()
    in_order(page)
    page.get_by_role("button", name="Apply my change to the current file").click()
    page.get_by_role("button", name="Save these lines").click()
    page.get_by_text("Saved, as commit").wait_for()
    in_order(page)

    told = git(edited.site.folder, "log", "--format=%s").split("\n")
    assert told == ["Add rule prostate-oar", "Change rule head", "first"]
    with opened(edited.site, edited.draw, edited.clock) as later:
        run_step("match", later, Selection())
        (job,) = later.ledger.jobs()
    assert (job.state, job.rule) == (State.MATCHED, "prostate-oar")


def test_a_login_that_ends_while_one_types(browser: "Browser", edited: Edited) -> None:
    page = logged_in(browser, edited.url)
    page.goto(f"{edited.url}/edit/rules/1")
    page.get_by_label("Value", exact=True).last.fill("pelvis")
    page.context.clear_cookies()

    page.get_by_role("button", name="Show the change").last.click()
    page.get_by_text("What you typed is kept").wait_for()
    page.get_by_label("Password or token").fill(WORDS)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Show the form again").click()

    assert page.get_by_label("Value", exact=True).last.input_value() == "pelvis"
