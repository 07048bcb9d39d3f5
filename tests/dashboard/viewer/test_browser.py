"""The viewer in a real browser: where it draws, and what a person does at a desk and on a phone."""

import base64
import io
from typing import TYPE_CHECKING

import numpy as np
import pytest

from drawcli.core.gate.acceptance import Finding, Severity
from drawcli.core.jobs.job import Job, State
from drawcli.core.pictures.frame import Plane
from drawcli.core.pictures.painting import View, paint_view
from drawcli.core.pictures.scene import Scene
from drawcli.core.pictures.sheet import Caption
from drawcli.core.pictures.windows import Window
from drawcli.dashboard.qa.pictures import PicturedPair
from drawcli.pipeline.preview import Preview
from tests.conftest import NOON, SLICES
from tests.core.pictures.phantoms import (
    AXIAL,
    CENTRE,
    GAP,
    Box,
    Slices,
    apart,
    boxes_of,
    middle,
    moved,
    scene,
    slices,
)
from tests.core.pictures.phantoms import SLICES as SLICES_OF_PHANTOM
from tests.dashboard.test_browser import (
    CHROMIUM,
    Served,
    axe_violations,
    browser,
    enter,
    logged_in,
    page,
    served,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator, Page, Request

__all__ = ["browser", "logged_in", "page", "served"]  # fixtures
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH"),
    pytest.mark.sweep,
]
PHONE = {"width": 390, "height": 844}
IDLE = "document.getElementById('viewer').app.drawing === false"
EDGE = 34  # pixels of a canvas with letters and scale
HALF_MM = 0.3
# The crosshair, mm to the right and down; how far a click there would move it.
CROSSED = """plane => {
  const { app } = document.getElementById("viewer");
  const view = app.views.find(one => one.plane === plane);
  const flat = view.flat(app.cross);
  const css = flat.map((mm, n) => (mm - [view.left, view.top][n]) * view.scale / view.ratio);
  return [flat, Math.hypot(...view.placed(...css, app.cross).map((v, n) => v - app.cross[n]))];
}"""
FINGER = 44  # CSS pixels: the least side of what is touched
POSES = {
    "on the left side": slices("on the left side"),
    "feet first, prone": slices("feet first, prone"),
    "sagittal slices": slices("sagittal slices"),
    "tilted by 15 degrees": slices("tilted by 15 degrees"),
    "tilted gantry": Slices(AXIAL, shear=0.4),
}


def drawn(page: "Page", plane: str, at: int | None = None) -> None:
    """Wait until a plane is on the canvas, at a picture."""
    wanted = "" if at is None else f'="{at}"'
    page.locator(f'.v-view[data-plane="{plane}"][data-at{wanted}]:not(.waits)').first.wait_for()


def until(page: "Page", expression: str) -> None:
    """Wait until an expression is true."""
    assert becomes_true(page, expression, seconds=120), expression


def becomes_true(page: "Page", expression: str, *, seconds: int) -> bool:
    """Ask again and again; Playwright's own way evaluates text, which the page forbids."""
    for _ in range(seconds * 20):
        if page.evaluate(expression):
            return True
        page.wait_for_timeout(50)
    return False


def gone_to(page: "Page", structure: str = "") -> None:
    """Wait until the viewer has gone to a structure, and all its pictures are drawn."""
    said = "document.getElementById('v-say').textContent"
    until(page, f"{said} !== '' && {said}.startsWith('{structure}')")
    until(page, f"{IDLE} && !document.querySelector('.v-view.waits')")


def shown_at(page: "Page", plane: str) -> int:
    return int(page.locator(f'.v-view[data-plane="{plane}"]').get_attribute("data-at") or -1)


def canvas_of(page: "Page", plane: str) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Return the pixels of a canvas."""
    from PIL import Image

    until(page, IDLE)
    canvas = page.locator(f'.v-view[data-plane="{plane}"] canvas')
    text = canvas.evaluate("one => one.toDataURL('image/png')")
    with Image.open(io.BytesIO(base64.b64decode(text.partition(",")[2]))) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def in_mm(boxes: tuple[Box, Box], size: tuple[int, int], scale: float) -> list[Box]:
    """Return boxes of a picture, mm from its middle."""
    middles = (size[0] / 2, size[1] / 2) * 2
    found = []
    for box in boxes:
        left, top, right, bottom = (
            (end - at) / scale for end, at in zip(box, middles, strict=True)
        )
        found.append((left, top, right, bottom))
    return found


def in_preview(shown: Scene, plane: Plane, index: int, width: int) -> list[Box]:
    """Return the boxes of white and red in the picture of the preview, mm from its middle."""
    region = shown.whole_region(plane)
    image = paint_view(shown, View(plane=plane, index=index, region=region, width=width))
    found = boxes_of(np.asarray(image).astype(int), max(EDGE, width // 9))
    return in_mm(found, image.size, width / region.size[0])


def test_the_canvas_has_edges_and_outlines_where_the_preview_has_them(
    page: "Page", served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {
        f"00000000b{n:03d}-1": scene(one.stack(), one.contours())
        for n, one in enumerate(POSES.values())
    }
    caption = Caption(title="", facts="", findings=())
    monkeypatch.setattr(
        "drawcli.dashboard.preview.preview_of",
        lambda job, _ctx: Preview(made[job.id], 0, lambda: caption),
    )
    for (name, job), shown in zip(zip(POSES, made, strict=True), made.values(), strict=True):
        served.ctx.ledger.add(Job(id=job, state=State.FETCHED, since=NOON))
        page.goto(f"{served.url}/jobs/{job}/viewer")
        for plane in Plane:
            drawn(page, plane)
            pixels = canvas_of(page, plane)
            index = shown_at(page, plane)
            assert index == shown.best_picture(plane)
            high, wide, _ = pixels.shape
            across, down = shown.whole_region(plane).size
            scale = min(wide / across, high / down)
            white, red = in_mm(boxes_of(pixels, EDGE), (wide, high), scale)
            bright, line = in_preview(shown, plane, index, round(across * scale))
            assert apart(white, bright) < 2 / scale, (name, plane)
            assert apart(red, line) < 4 / scale, (name, plane)  # lines of other widths
            crossed, back = page.evaluate(CROSSED, plane)
            assert crossed == pytest.approx(middle(shown, plane), abs=2 * GAP), (name, plane)
            assert back == pytest.approx(0, abs=1e-6), (name, plane)
            for low, high in ((0, 2), (1, 3)):  # half a pixel of the images is 0.5 mm
                off = (white[low] + white[high] - bright[low] - bright[high]) / 2
                assert abs(off) < HALF_MM, (name, plane)


LEVELS = """([values, low, high, inverse, scale, offset]) => {
  const { app } = document.getElementById("viewer");
  app.setWindow(low, high);
  app.window.inverse = inverse;
  const [view] = app.views;
  const pixels = Uint16Array.from(values);
  view.paint({ wide: pixels.length, high: 1, pixels, scale, offset });
  const { data } = view.grey.getContext("2d").getImageData(0, 0, pixels.length, 1);
  return [...data].filter((_, at) => at % 4 === 0);
}"""


def test_grey_levels_are_those_of_the_preview(page: "Page", served: Served) -> None:
    page.goto(f"{served.url}/jobs/{served.home.id}/viewer")
    drawn(page, "axial")
    stored = np.random.default_rng(1).integers(0, 0x10000, 2000)
    for low, high, inverse, scale, offset in (
        (-160.0, 240.0, False, 1.0, -1024.0),
        (0.0, 7.5, True, 0.0002, 0.0),
        (-3.0, 900.0, True, 0.03125, -50.0),
    ):
        values = (stored * scale + offset).astype(np.float32)
        wanted = Window(low, high, inverse=inverse).grey(values).astype(int)

        found = page.evaluate(LEVELS, [stored.tolist(), low, high, inverse, scale, offset])

        assert np.abs(np.array(found) - wanted).max() <= 1
        assert len(set(found)) > 2


def test_a_person_looks_through_a_job_with_the_keyboard_and_the_mouse(
    page: "Page", served: Served
) -> None:
    asked: list[str] = []

    def note(one: "Request") -> None:
        asked.append(one.url)

    page.on("request", note)
    page.goto(f"{served.url}/jobs/{served.home.id}")
    page.get_by_role("link", name="Open the viewer").press("Enter")
    for plane in Plane:
        drawn(page, plane)
    assert axe_violations(page) == []

    before = shown_at(page, "axial")
    page.keyboard.press("ArrowDown" if before + 1 < SLICES else "ArrowUp")
    at = before + (1 if before + 1 < SLICES else -1)
    drawn(page, "axial", at)
    page.keyboard.press("Home")
    drawn(page, "axial", 0)
    page.get_by_role("slider", name="sagittal picture").press("End")  # a slider
    last = int(page.get_by_role("slider", name="sagittal picture").get_attribute("max") or 0)
    drawn(page, "sagittal", last)

    page.get_by_role("button", name="List").press("Enter")
    page.locator(".v-side").wait_for(state="hidden")
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keys and mouse").wait_for()
    assert axe_violations(page) == []
    page.keyboard.press("Escape")
    page.keyboard.press("2")
    page.keyboard.press("t")
    until(page, "document.querySelectorAll('.v-view').length === 1")
    drawn(page, "coronal")
    assert {one.startswith((served.url, "data:", "blob:")) for one in asked} == {True}
    page.remove_listener("request", note)


def test_a_person_finds_hides_and_points_at_structures(page: "Page", served: Served) -> None:
    page.goto(f"{served.url}/jobs/{served.home.id}/viewer")
    drawn(page, "axial")
    page.get_by_label("Search structures").fill("rect")
    page.get_by_label("Search structures").press("Enter")
    page.locator(".v-list li.chosen", has_text="Rectum").wait_for()
    gone_to(page, "Rectum")
    page.locator("#v-find").press("Escape")
    large = page.locator('.v-view[data-plane="axial"] canvas')
    box = large.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tip = page.locator('.v-view[data-plane="axial"] .v-tip')
    tip.wait_for()
    assert "HU" in tip.inner_text()

    full = canvas_of(page, "axial")
    page.get_by_label("Show Rectum").uncheck()
    until(page, IDLE)
    assert not np.array_equal(canvas_of(page, "axial"), full)
    page.get_by_role("button", name="Show all").click()
    page.locator("#v-window").select_option(label="bone")
    page.keyboard.press("Escape")
    coronal_before = shown_at(page, "coronal")
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.6)
    at = "document.querySelector('[data-plane=coronal]').dataset.at"
    until(page, f"{at} !== '{coronal_before}'")
    page.mouse.dblclick(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    until(page, "document.querySelectorAll('.v-view').length === 1")


def near(pixels: np.ndarray[tuple[int, ...], np.dtype[np.int64]], color: tuple[int, ...]) -> int:
    """Return how many pixels have about a colour."""
    return int((np.abs(pixels - color).max(axis=2) < 30).sum())


def test_two_structure_sets_are_compared_in_one_plane_and_side_by_side(
    page: "Page", served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = slices("head first, supine")
    both = [
        [np.array(line) for line in lines]
        for lines in (one.contours(), moved(one.contours(), (8.0, 0.0, 0.0)))
    ]
    images = scene(one.stack(), [])
    monkeypatch.setattr(
        "drawcli.dashboard.qa.pictures._read",
        lambda _job, record, _ctx: PicturedPair(images, 0, record, {0: (both[0], both[1])}, {}),
    )
    page.goto(f"{served.url}/qa/pair/{served.home.id}/viewer")
    drawn(page, "axial")
    assert axe_violations(page) == []
    page.keyboard.press("x")  # no crosshair
    page.keyboard.press("n")  # to the largest difference
    page.locator(".v-list li.chosen").wait_for()
    gone_to(page)
    at = CENTRE[2] / GAP + (SLICES_OF_PHANTOM - 1) / 2
    until(page, f"Math.abs(document.querySelector('.v-view').dataset.at - {at}) < 2")
    shaded = canvas_of(page, "axial")
    removed, added = (172, 207, 255), (127, 95, 35)  # half of blue on white, of amber on black
    page.keyboard.press("d")
    until(page, IDLE)
    plain = canvas_of(page, "axial")
    for color in (removed, added):
        assert near(shaded, color) > 5 * near(plain, color) + 50

    page.get_by_role("button", name="Beside").click()
    until(page, "document.querySelectorAll('.v-view').length === 2")
    drawn(page, "axial")
    assert page.locator('.v-view[data-plane="axial"]').count() == 2


@pytest.fixture
def phone(browser: "Browser", served: Served) -> "Iterator[Page]":
    context = browser.new_context(
        viewport=PHONE,  # type: ignore[arg-type] # it is one
        has_touch=True,
        is_mobile=True,
    )
    page = context.new_page()
    enter(page, served.url)
    yield page
    context.close()


def touched(page: "Page", *steps: list[tuple[float, float]]) -> None:
    """Put fingers down, move them, and lift them."""
    session = page.context.new_cdp_session(page)
    for number, points in enumerate(steps):
        session.send(
            "Input.dispatchTouchEvent",
            {
                "type": "touchStart" if number == 0 else "touchMove",
                "touchPoints": [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(points)],
            },
        )
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def tap(page: "Page", button: "Locator", answer: str) -> None:
    """Tap a button until an expression is true; a tap of half a second would be a long press."""
    for _ in range(60):
        button.tap()
        if becomes_true(page, answer, seconds=2):
            return
    raise AssertionError(answer)


def test_fingers_go_through_the_slices_zoom_and_set_the_crosshair(
    phone: "Page", served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = slices("head first, supine")
    shown = scene(one.stack(), one.contours())
    found = [Finding(Severity.WARN, "contour-specks", "contours too small: Ball 3")]
    caption = Caption(title="", facts="", findings=found)
    monkeypatch.setattr(
        "drawcli.dashboard.preview.preview_of",
        lambda _job, _ctx: Preview(shown, 0, lambda: caption),
    )
    served.ctx.ledger.add(Job(id="00000000c000-1", state=State.FETCHED, since=NOON))
    phone.goto(f"{served.url}/jobs/00000000c000-1/viewer")
    drawn(phone, "axial")
    assert phone.locator(".v-view").count() == 1
    assert not phone.evaluate("document.documentElement.scrollWidth > innerWidth")
    small = phone.evaluate(
        "least => [...document.querySelectorAll('.viewer-page button, .viewer-page select')]"
        ".filter(one => one.offsetParent && one.getBoundingClientRect().height < least)"
        ".map(one => one.outerHTML)",
        FINGER - 0.5,
    )
    assert small == []
    assert axe_violations(phone) == []

    before = shown_at(phone, "axial")
    touched(phone, [(195, 300)], [(195, 310)], [(195, 330)], [(195, 360)])
    until(phone, f"Number(document.querySelector('.v-view').dataset.at) > {before}")
    touched(phone, [(150, 400), (240, 400)], [(130, 400), (260, 400)], [(100, 400), (290, 400)])
    until(phone, "document.getElementById('viewer').app.zoom > 1.5")
    reset = phone.get_by_role("button", name="Reset")
    tap(phone, reset, "document.getElementById('viewer').app.zoom === 1")
    touched(phone, [(120, 400)])
    until(phone, "document.getElementById('viewer').app.cross[0] < 0")
    best = shown.best_picture(Plane.AXIAL, shown.drawn[0])
    ball = phone.locator("#v-findings").get_by_role("button", name="Ball")
    tap(phone, ball, f"Number(document.querySelector('.v-view').dataset.at) === {best}")
    drawn(phone, "axial", best)
