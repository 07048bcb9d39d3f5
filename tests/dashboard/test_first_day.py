"""The first day of a site, in a real browser alone: from empty files to contours and a solved case.

The server is a sandbox on loopback, the runs are those that the page starts.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from drawcli.adapters.state.run_log import RunLog
from drawcli.core.jobs.job import State
from drawcli.pipeline.context import Context, open_context
from drawcli.sandbox.patients import PEOPLE
from drawcli.sandbox.phantom import write_planning_ct
from drawcli.sandbox.server import running
from tests.adapters.edited_files.conftest import git
from tests.conftest import Site, made_site
from tests.dashboard.test_browser import (
    CHROMIUM,
    DESK,
    PHONE,
    axe_violations,
    browser,
    enter,
    serving_site,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["browser"]  # a fixture
pytestmark = [
    pytest.mark.sweep,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH"),
]
PATIENCE = 120.0  # s: a sign of life, not a speed


@dataclass(frozen=True)
class NewSite:
    """A site with empty rules and templates, and where its page is."""

    url: str
    site: Site
    ctx: Context


@pytest.fixture
def new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NewSite]:
    """Serve a site that the page may change, with one series and a server."""
    for key in ("GIT_AUTHOR_NAME", "GIT_COMMITTER_NAME"):
        monkeypatch.setenv(key, "site")
    for key in ("GIT_AUTHOR_EMAIL", "GIT_COMMITTER_EMAIL"):
        monkeypatch.setenv(key, "site@example")
    site = made_site(tmp_path / "site")
    write_planning_ct(site.store / "pelvis", PEOPLE[0], slices=24, size=64, seed=1)
    (site.folder / "rules.yaml").write_text("rules: []\n", encoding="utf-8")
    (site.folder / "templates.yaml").write_text("templates: {}\n", encoding="utf-8")
    git(site.folder, "init", "--quiet", "--initial-branch=main")
    git(site.folder, "add", "rules.yaml", "templates.yaml")
    git(site.folder, "commit", "--quiet", "--message=first")
    with running(tmp_path / "sandbox") as server:
        text = site.config.read_text(encoding="utf-8").replace("http://127.0.0.1:9", server.url)
        site.config.write_text(text, encoding="utf-8")
        (site.folder / "token.json").write_bytes(server.token_file.read_bytes())
        with (
            open_context(site.settings()) as ctx,
            serving_site(
                ctx,
                site,
                lambda: open_context(ctx.settings),
                allow_actions=True,
                allow_editing=True,
            ) as url,
        ):
            yield NewSite(url, site, ctx)


@pytest.fixture
def page(browser: "Browser", new: NewSite) -> "Iterator[Page]":
    """Log in; see that the browser complains of nothing, and asks no other machine."""
    troubles, asked = list[str](), set[str]()
    one = browser.new_page(viewport=DESK)  # type: ignore[arg-type] # it is one
    one.on("pageerror", lambda err: troubles.append(str(err)))
    one.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
    one.on("request", lambda request: asked.add(request.url))
    enter(one, new.url)
    yield one
    one.close()
    assert troubles == []
    assert {url.startswith((new.url, "data:", "blob:")) for url in asked} == {True}


def in_order(page: "Page") -> None:
    """See that axe finds nothing serious, and that the page fits a phone."""
    page.set_viewport_size(PHONE)  # type: ignore[arg-type] # it is one
    assert axe_violations(page) == []
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    page.set_viewport_size(DESK)  # type: ignore[arg-type] # likewise


def run(page: "Page", new: NewSite) -> None:
    """Press *Run now*, wait for the end of the run, and look at the overview."""
    log = RunLog(new.site.state)
    before = len([*log.newest_first()])
    page.get_by_role("button", name="Run now").click()
    end = time.monotonic() + PATIENCE
    while len([*log.newest_first()]) == before and time.monotonic() < end:
        page.wait_for_timeout(50)
    page.get_by_text("The run that was started here has ended: OK").wait_for()
    page.goto(f"{new.url}/")


def save(page: "Page", changes: str) -> None:
    page.get_by_role("button", name=changes).last.click()
    page.get_by_role("button", name="Save these lines").click()
    page.locator(".note.good", has_text=re.compile("saved", re.IGNORECASE)).wait_for()


def test_from_an_empty_site_to_contours_a_solved_case_and_a_changed_rule(
    page: "Page", new: NewSite
) -> None:
    in_order(page)
    make_template(page)
    write_rule(page, new)
    run(page, new)
    if not any(job.held for job in new.ctx.ledger.jobs()):
        run(page, new)
    solve(page, new)
    run(page, new)
    (job,) = new.ctx.ledger.jobs()
    assert job.state is State.DONE

    page.goto(f"{new.url}/jobs/{job.id}")
    page.get_by_role("link", name="Open the viewer").click()
    page.locator(".v-list li", has_text="Bladder").wait_for()
    assert page.get_by_role("slider", name="axial picture").is_visible()

    change_rule(page, new)
    subjects = git(new.site.folder, "log", "--format=%s").splitlines()
    assert len(subjects) == 5, subjects  # template, rule, limits, changed rule


def make_template(page: "Page") -> None:
    """Follow the headline; ask for a bladder that is larger than any."""
    page.get_by_role("link", name="New template").first.click()
    page.get_by_role("button", name="Fetch the catalogue").click()
    page.get_by_label("name of the template").fill("Pelvis_OAR")
    page.get_by_label("Bladder", exact=True).check()
    page.get_by_role("button", name="Add what is ticked").click()
    page.locator("id=s0.low").fill("5000")
    page.locator("id=s0.high").fill("9999")
    save(page, "Show the change")
    page.get_by_text("5,000 to 9,999 cm³").wait_for()


def write_rule(page: "Page", new: NewSite) -> None:
    """Let a run find the series, and write a rule from it."""
    page.goto(f"{new.url}/rules")
    page.get_by_text("There is no rule yet").wait_for()
    page.goto(f"{new.url}/")
    page.get_by_role("link", name="Run now, then write a rule from a series").first.click()
    run(page, new)
    page.get_by_role("link", name="Write a rule from a series").first.click()
    page.get_by_role("link", name="Write a rule for job").click()
    page.wait_for_load_state()  # the script asks what would change
    page.get_by_label("Pelvis_OAR").check()
    page.get_by_text("1 of 1 series would be decided differently").wait_for()
    save(page, "Show the change")
    page.get_by_role("link", name="Run now").click()


def solve(page: "Page", new: NewSite) -> None:
    """See on a phone why a job is held, correct the limits there, and retry."""
    page.set_viewport_size(PHONE)  # type: ignore[arg-type] # it is one
    page.get_by_role("link", name="1 job is held").first.click()
    page.get_by_text("the template allows 5000 to 9999").first.wait_for()
    (job,) = new.ctx.ledger.jobs()
    page.get_by_role("link", name=job.id).first.click()
    page.wait_for_url(f"**/jobs/{job.id}")
    in_order(page)
    page.set_viewport_size(PHONE)  # type: ignore[arg-type] # likewise
    page.get_by_role("link", name="Template Pelvis_OAR").click()
    page.locator("id=s0.low").fill("1")
    page.locator("id=s0.high").fill("1500")
    save(page, "Show the change")
    page.goto(f"{new.url}/jobs/{job.id}")
    page.get_by_role("button", name="Retry").click()
    page.get_by_text("Done: retry").wait_for()
    page.set_viewport_size(DESK)  # type: ignore[arg-type] # likewise
    page.goto(f"{new.url}/")


def change_rule(page: "Page", new: NewSite) -> None:
    """Let a rule ask for a part of the protocol's name, and see the lines that change."""
    page.goto(f"{new.url}/rules")
    page.get_by_role("link", name="Edit rule").click()
    page.wait_for_load_state()
    page.get_by_label("Comparison").nth(1).select_option(label="contains")
    page.locator("input[name='w.1.v']").fill("pelvis")
    page.get_by_role("button", name="Show the change").last.click()
    page.get_by_text("ProtocolName: {contains: pelvis}").wait_for()
    page.get_by_role("button", name="Save these lines").click()
    page.get_by_text("Saved, as commit").wait_for()
    assert "{contains: pelvis}" in (new.site.folder / "rules.yaml").read_text(encoding="utf-8")
