"""The data of the viewer: for who has logged in, of one version of a job, without patient data."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from threading import Lock
from time import sleep

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.testclient import TestClient

from drawcli.core.jobs.job import Job
from drawcli.core.pictures.frame import Plane
from drawcli.core.pictures.raw_picture import raw_picture
from drawcli.dashboard.turns import AT_ONCE
from drawcli.dashboard.viewer.pages import Viewer, facts_of
from drawcli.dashboard.viewer.subject import LoadedSubject, of_job
from drawcli.pipeline.context import Context
from drawcli.pipeline.preview import preview_of
from tests.conftest import SLICES, Site
from tests.core.pictures.phantoms import scene, slices
from tests.dashboard.conftest import HERE, WORDS, Serve
from tests.dashboard.qa.test_pictures import clinical, logged_in
from tests.dashboard.test_canary import secrets_of
from tests.dashboard.test_html import check_headings, read
from tests.waiting import wait_until

pytest.importorskip("PIL", reason="nothing draws")
CODES = ("structures-empty", "contour-specks")
__all__ = ["clinical", "logged_in"]  # fixtures


def address(job: Job, rest: str = "") -> str:
    return f"/jobs/{job.id}/viewer{rest}"


def of(job: Job) -> str:
    return f"?of={job.revision}"


def places(base: str, version: str) -> list[str]:
    files = ("facts.json", "findings.json", "structures/1.json", "axial/0.bin")
    return [base, *(f"{base}/{one}{version}" for one in files)]


def test_pixels_are_for_who_has_logged_in(serve: Serve, home: Job) -> None:
    every = places(address(home), of(home)) + places(f"/qa/pair/{home.id}/viewer", "?of=x")

    without_password = serve()
    answers = [without_password.get(place) for place in every]
    assert {one.status_code for one in answers} == {403}
    assert all("--set-password" in one.text for one in answers)
    stranger = serve(password=WORDS)
    for place in every:
        answer = stranger.get(place, headers={"accept": "*/*"})
        assert (answer.status_code, answer.text) == (401, "drawcli: log in first\n")


def test_facts_and_pictures_are_those_of_the_preview(
    logged_in: TestClient, ctx: Context, home: Job
) -> None:
    preview = preview_of(home, ctx)

    page = logged_in.get(address(home)).text
    every = list(read(page).iter())
    check_headings("viewer", every)
    names = [one.get("id") for one in every if one.get("id")]
    assert len(names) == len(set(names))
    facts = logged_in.get(address(home, f"/facts.json{of(home)}")).json()

    assert f'data-stamp="{home.revision}"' in page
    assert f'href="/jobs/{home.id}/pictures"' in page
    assert (facts["modality"], facts["unit"], facts["sets"]) == ("CT", "HU", 1)
    assert facts["windows"][0] == ["soft tissue", -160, 240]
    assert [row["name"] for row in facts["structures"]] == [row.name for row in preview.structures]
    for plane in Plane:
        index = facts["start"][plane]
        assert index == preview.best_picture(plane)
        assert len(facts["planes"][plane]["positions"]) == preview.count(plane)
        answer = logged_in.get(address(home, f"/{plane}/{index}.bin{of(home)}"))
        assert answer.content == raw_picture([preview.scene], plane, index)
        assert answer.headers["cache-control"] == "no-store"
    bladder = next(row for row in facts["structures"] if row["name"] == "Bladder")
    place = logged_in.get(address(home, f"/structures/{bladder['number']}.json{of(home)}")).json()
    assert place == {plane: preview.best_picture(plane, bladder["number"]) for plane in Plane}


def test_a_finding_leads_to_the_slice_of_the_contour(
    logged_in: TestClient, ctx: Context, home: Job
) -> None:
    scene = preview_of(home, ctx).scene
    rectum = next(one for one in scene.structures if one.name == "Rectum")
    areas = dict(zip(rectum.levels, rectum._areas, strict=True))
    smallest = min(areas, key=lambda level: areas[level])

    found = logged_in.get(address(home, f"/findings.json{of(home)}")).json()

    empty, specks = (next(one for one in found if one["code"] == code) for code in CODES)
    assert "Bladder" in empty["text"]
    assert empty["places"] == []  # there is nothing to see
    (place,) = specks["places"]
    assert (place["number"], place["name"]) == (rectum.number, "Rectum")
    assert place["pictures"]["axial"] == scene.stack.nearest(Plane.AXIAL, smallest)
    assert scene.stack.nearest(Plane.AXIAL, smallest) != scene.best_picture(Plane.AXIAL, rectum)


def test_versions_of_a_job_are_never_mixed(logged_in: TestClient, home: Job) -> None:
    for version in ("", "?of=", f"?of={home.revision - 1}"):
        for place in places(address(home), version)[1:]:
            assert logged_in.get(place).status_code == 409, place


def test_an_unknown_picture_or_job_is_not_found(
    logged_in: TestClient, home: Job, held: Job
) -> None:
    there = ("oblique/0.bin", f"axial/{SLICES}.bin", "axial/x.bin", "structures/99.json")
    for place in there:
        assert logged_in.get(address(home, f"/{place}{of(home)}")).status_code == 404, place
    assert logged_in.get(address(held, f"/facts.json{of(held)}")).status_code == 404
    assert logged_in.get("/jobs/nobody/viewer").status_code == 404


@pytest.mark.usefixtures("clinical")
def test_a_pair_has_both_structure_sets_on_the_same_images(
    logged_in: TestClient, home: Job
) -> None:
    base = f"/qa/pair/{home.id}/viewer"
    page = logged_in.get(base).text
    version = page.partition('data-stamp="')[2].partition('"')[0]

    facts = logged_in.get(f"{base}/facts.json?of={version}").json()

    assert facts["sets"] == 2
    (moved,) = (row for row in facts["structures"] if row["differs"])
    assert moved["outcome"] == "redrawn"
    assert moved["volumes"][0] == pytest.approx(moved["volumes"][1], rel=0.01)
    place = logged_in.get(f"{base}/structures/{moved['number']}.json?of={version}").json()
    raw = logged_in.get(f"{base}/axial/{place['axial']}.bin?of={version}").content
    sets = {tuple(line[:2]) for line in lines_of(raw)}
    assert {(0, moved["number"]), (1, moved["number"])} <= sets
    assert logged_in.get(f"{base}/findings.json?of={version}").json() == []


def lines_of(raw: bytes) -> list[list[int]]:
    lines: list[list[int]] = json.loads(raw[4 : 4 + int.from_bytes(raw[:4], "little")])["lines"]
    return lines


@pytest.mark.usefixtures("clinical")
def test_nothing_of_the_viewer_names_the_patient(
    logged_in: TestClient, site: Site, home: Job, pelvis: list[Path]
) -> None:
    wanted = secrets_of(site, pelvis)
    pair = f"/qa/pair/{home.id}/viewer"
    version = logged_in.get(pair).text.partition('data-stamp="')[2].partition('"')[0]

    for place in [*places(address(home), of(home)), *places(pair, f"?of={version}")]:
        answer = logged_in.get(place)
        assert answer.status_code == 200, place
        shown = f"{answer.url}\n{dict(answer.headers)}\n".encode() + answer.content
        assert [value for value in wanted if value.encode() in shown] == [], place


def test_black_and_white_are_exchanged_as_in_the_preview() -> None:
    shown = scene(slices("head first, supine").stack(), [])
    negative = replace(shown, window=shown.window.inverted())

    told = [
        facts_of(LoadedSubject(scenes=(one,), rows=[], changed=0, findings=list))["inverse"]
        for one in (shown, negative)
    ]

    assert told == [False, True]


def test_a_picture_is_compressed_for_another_machine(logged_in: TestClient, home: Job) -> None:
    place = address(home, f"/axial/0.bin{of(home)}")
    here = TestClient(logged_in.app, base_url=HERE, client=("127.0.0.1", 50_000))
    here.cookies = logged_in.cookies

    far, near = logged_in.get(place), here.get(place)
    plain = logged_in.get(place, headers={"accept-encoding": "identity"})

    assert far.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in near.headers
    assert "content-encoding" not in plain.headers
    assert far.content == near.content == plain.content


def test_few_requests_of_the_viewer_work_at_once() -> None:
    now = most = 0
    lock = Lock()

    class Counted(Viewer):
        def _work(self, request: Request, work: Callable[[LoadedSubject], Response]) -> Response:
            nonlocal now, most
            del request, work
            with lock:
                now += 1
                most = max(most, now)
            wait_until(lambda: most >= AT_ONCE)
            sleep(0.005)  # for one more, if there may be
            with lock:
                now -= 1
            return Response()

    async def ask() -> None:
        viewer = Counted(of_job, asyncio.Semaphore(AT_ONCE))
        request = Request({"type": "http", "path_params": {}, "headers": []})
        await asyncio.gather(*(viewer.facts(request) for _ in range(40)))

    asyncio.run(ask())

    assert most == AT_ONCE
