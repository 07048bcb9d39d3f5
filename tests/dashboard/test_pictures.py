"""Contours on images: for who has logged in, at every slice, and nowhere else."""

import pytest
from starlette.testclient import TestClient

from drawcli.core.jobs.job import Job
from tests.conftest import SLICES
from tests.dashboard.conftest import WORDS, Serve, log_in

pytest.importorskip("PIL", reason="nothing draws")
PNG = b"\x89PNG"


def test_pixels_are_for_who_has_logged_in(client: TestClient, home: Job) -> None:
    for place in ("pictures", "pictures/axial/0.png"):
        answer = client.get(f"/jobs/{home.id}/{place}")

        assert answer.status_code == 403
        assert "--set-password" in answer.text
    assert "they need a login" in client.get(f"/jobs/{home.id}").text


def test_every_plane_has_a_slider_and_every_slice_a_picture(serve: Serve, home: Job) -> None:
    client = serve(password=WORDS)
    log_in(client)

    page = client.get(f"/jobs/{home.id}/pictures?axial=2").text
    first, last, behind = (
        client.get(f"/jobs/{home.id}/pictures/axial/{at}.png?width=480")
        for at in (0, SLICES - 1, SLICES)
    )

    assert "Show the contours" in client.get(f"/jobs/{home.id}").text
    assert f'min="0" max="{SLICES - 1}" value="2" data-plane="axial"' in page
    assert page.count('type="range"') == 3
    assert "Bladder" in page
    assert first.content.startswith(PNG)
    assert first.headers["content-type"] == "image/png"
    assert first.content != last.content
    assert behind.status_code == 404


def test_a_picture_that_is_none_is_not_drawn(serve: Serve, home: Job) -> None:
    client = serve(password=WORDS)
    log_in(client)

    for place in ("axial/0.png?width=99999", "oblique/0.png", "axial/x.png"):
        assert client.get(f"/jobs/{home.id}/pictures/{place}").status_code == 404, place


def test_a_job_without_a_structure_set_has_no_pictures(serve: Serve, held: Job) -> None:
    client = serve(password=WORDS)
    log_in(client)

    assert client.get(f"/jobs/{held.id}/pictures").status_code == 404
    assert "No preview" in client.get(f"/jobs/{held.id}").text
