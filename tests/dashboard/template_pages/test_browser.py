"""Templates in a real browser: made from the server's catalogue, changed, saved, committed."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import yaml

from drawcli.pipeline.context import Context
from drawcli.sandbox.catalogue import as_json
from tests.conftest import Clock, Site, opened
from tests.dashboard.template_pages.conftest import Received
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

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

__all__ = ["browser"]  # a fixture
pytestmark = [
    pytest.mark.sweep,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH"),
]


@pytest.fixture
def git(full: Site) -> Path:
    """Keep the files of the site under git."""
    words = ["git", "-C", str(full.folder), "-c", "user.name=t", "-c", "user.email=t@t.example"]
    for command in (["init", "-q"], ["add", "templates.yaml"], ["commit", "-qm", "start"]):
        subprocess.run([*words, *command], check=True)
    return full.folder


@pytest.fixture
def url(ctx: Context, site: Site, draw: FakeDraw, clock: Clock) -> Iterator[str]:
    """Serve the site to who may edit; its server has the sandbox's catalogue."""
    draw.models = as_json()
    with serving_site(ctx, site, lambda: opened(site, draw, clock), allow_editing=True) as address:
        yield address


@pytest.fixture
def page(browser: "Browser", url: str) -> "Iterator[Page]":
    """Log in; see that the browser complains of nothing but refused forms."""
    troubles: list[str] = []
    one = browser.new_page()
    one.on("pageerror", lambda err: troubles.append(str(err)))
    one.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
    enter(one, url)
    yield one
    one.close()
    assert [trouble for trouble in troubles if "422" not in trouble] == []


def check(page: "Page", scheme: str = "dark") -> None:
    """See that axe finds nothing serious, and that the page fits a phone."""
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type] # one
    page.set_viewport_size(PHONE)  # type: ignore[arg-type] # it is one
    assert axe_violations(page) == []
    assert not page.evaluate("document.documentElement.scrollWidth > innerWidth")
    page.set_viewport_size(DESK)  # type: ignore[arg-type] # likewise


def test_a_template_is_made_from_the_server_s_catalogue(page: "Page", url: str, git: Path) -> None:
    page.goto(f"{url}/templates")
    page.get_by_role("link", name="New template").click()
    page.get_by_role("button", name="Fetch the catalogue").click()
    tick(page)
    page.locator("id=s0.high").fill("900")
    page.get_by_label("Colour of Bladder").fill("#00ff80")
    derive(page)
    page.get_by_role("button", name="Show the change").click()
    page.get_by_text("margin needs mm").wait_for()
    page.get_by_label("mm", exact=True).fill("5")
    save(page)

    made = yaml.safe_load((git / "templates.yaml").read_text())["templates"]["My_Pelvis"]
    assert made["models"][720]["map"] == {1: "Bladder", 2: "Rectum"}
    assert made["structures"] == {"Bladder": {"color": [0, 255, 128], "volume_cm3": [0, 900]}}
    assert made["derived"] == {"Bladder_PRV05": {"margin": "Bladder", "mm": 5}}


def tick(page: "Page") -> None:
    """Search while typing; ticks stay."""
    page.get_by_label("name of the template").fill("My_Pelvis")
    page.wait_for_load_state()  # the script searches
    search = page.get_by_label("Structure, region or model")
    search.press_sequentially("pelvis rect")
    shown = page.locator("#offers tbody tr:visible").all_inner_texts()
    assert [row.split()[0] for row in shown] == ["Anorectum", "Rectum"]
    page.get_by_label("Rectum", exact=True).check()
    search.fill("bladder")
    page.get_by_role("button", name="Tick all shown").click()
    assert page.locator("#offers input:checked").count() == 2
    page.get_by_role("button", name="Add what is ticked").click()


def derive(page: "Page") -> None:
    """Add a derived structure: its operation has a picture, and only its own fields are shown."""
    page.get_by_role("button", name="Add a derived structure").click()
    page.wait_for_load_state()  # the script draws
    page.locator("id=d0.name").fill("Bladder_PRV05")
    page.locator("id=d0.operation").select_option("margin")
    page.get_by_label("add to them").select_option("Bladder")
    assert page.locator(".derived .picture svg").count() == 1
    assert not page.get_by_label("crop: of").is_visible()
    check(page)


def save(page: "Page") -> None:
    """Look at the changed lines, then save them."""
    page.get_by_role("button", name="Show the change").click()
    check(page)
    page.get_by_role("button", name="Save these lines").click()
    page.get_by_text("The template is saved; commit").wait_for()


def test_a_limit_and_a_derived_structure_change_and_comments_stay(
    page: "Page", url: str, git: Path, received: Received
) -> None:
    file = git / "templates.yaml"
    before = file.read_text()
    received("00000000000a-1", {"Bladder": 123.4})

    page.goto(f"{url}/templates/Prostate_OAR")
    assert page.locator("svg.volumes").count() == 1
    check(page, "light")
    page.get_by_role("link", name="Change this template").click()
    page.locator("id=s0.high").fill("1200")
    page.locator("id=d1.mm").fill("7")
    save(page)
    page.goto(f"{url}/templates")
    check(page, "light")

    wanted = before.replace("[20, 1500]", "[20, 1200]").replace("mm: 5,", "mm: 7,")
    assert file.read_text() == wanted
    log = ["git", "-C", str(git), "log", "--format=%s", "-1"]
    said = subprocess.run(log, check=True, capture_output=True, text=True)
    assert said.stdout == "Template Prostate_OAR\n"
