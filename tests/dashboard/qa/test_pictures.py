"""Pictures of a pair: of the files that were compared, for who has logged in."""

from pathlib import Path

import pytest
from pydicom import Dataset
from starlette.testclient import TestClient

from drawcli.core.jobs.job import Job
from drawcli.operations.qa.clinical.scan import scan_pairs
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_step
from tests.conftest import PELVIS, Site
from tests.dashboard.conftest import WORDS, Serve, log_in
from tests.dashboard.qa.test_pages import facts, page
from tests.dashboard.test_canary import secrets_of
from tests.dashboard.test_html import said
from tests.operations.qa.clinical.clinic import APPROVED, exported

pytest.importorskip("PIL", reason="nothing draws")
PNG = b"\x89PNG"


def move_one(dataset: Dataset) -> None:
    """Move the contours of the first ROI that has some 5 mm to the left."""
    drawn = next(one for one in dataset.ROIContourSequence if "ContourSequence" in one)
    for contour in drawn.ContourSequence:
        data = [float(value) for value in contour.ContourData]
        contour.ContourData = [f"{x + 5 * (i % 3 == 0):.10g}" for i, x in enumerate(data)]


@pytest.fixture
def clinical(ctx: Context, home: Job) -> Path:
    """Deliver a structure set, and have its first structure moved in the planning system."""
    path = exported(home, ctx, move_one, **APPROVED)  # values of elements
    run_step("scan", ctx, Selection())
    scan_pairs(ctx)
    return path


@pytest.fixture
def logged_in(serve: Serve) -> TestClient:
    client = serve(password=WORDS)
    log_in(client)
    return client


@pytest.mark.usefixtures("clinical")
def test_pixels_of_a_pair_are_for_who_has_logged_in(client: TestClient, home: Job) -> None:
    for place in ("pictures", "pictures/0/axial.png"):
        assert client.get(f"/qa/pair/{home.id}/{place}").status_code == 403
    assert "they need a login" in said(page(client, f"/qa/pair/{home.id}"))


@pytest.mark.usefixtures("clinical")
def test_what_was_moved_is_pictured_in_three_planes(logged_in: TestClient, home: Job) -> None:
    pair = page(logged_in, f"/qa/pair/{home.id}")
    root = page(logged_in, f"/qa/pair/{home.id}/pictures")

    assert "Show where the contours differ" in said(pair)
    assert facts(pair)["why this clinical set"] == "no other set could be meant"
    images = [one.get("src", "") for one in root.iter("img")]
    assert [src.rpartition("/")[2] for src in images] == [
        "axial.png",
        "coronal.png",
        "sagittal.png",
    ]
    answers = [logged_in.get(src) for src in images]
    assert all(one.content.startswith(PNG) for one in answers)
    assert {one.headers["content-type"] for one in answers} == {"image/png"}
    assert len({one.content for one in answers}) == 3
    (heading,) = (said(one) for one in root.iter("h2"))
    assert "redrawn, Dice 0." in heading


@pytest.mark.usefixtures("clinical")
def test_a_picture_of_a_pair_that_is_none_is_not_drawn(logged_in: TestClient, home: Job) -> None:
    (image, *_) = page(logged_in, f"/qa/pair/{home.id}/pictures").iter("img")
    moved = int(image.get("src", "").split("/")[-2])
    for place in (f"{moved + 1}/axial.png", "99/axial.png", f"{moved}/oblique.png", "x/axial.png"):
        assert logged_in.get(f"/qa/pair/{home.id}/pictures/{place}").status_code == 404, place


def test_a_clinical_file_that_has_changed_since_is_not_pictured(
    logged_in: TestClient, home: Job, clinical: Path
) -> None:
    before = clinical.read_bytes()
    clinical.write_bytes(before.replace(b"20261115", b"20261116"))

    answer = logged_in.get(f"/qa/pair/{home.id}/pictures")

    assert answer.status_code == 404
    assert "the clinical structure set is gone, or has changed" in answer.text


@pytest.mark.usefixtures("clinical")
def test_a_pair_whose_work_folder_is_gone_keeps_its_figures(
    logged_in: TestClient, ctx: Context, home: Job
) -> None:
    ctx.work.remove(home.id)

    answer = logged_in.get(f"/qa/pair/{home.id}/pictures")

    assert answer.status_code == 404
    assert "the work folder" in answer.text
    text = said(page(logged_in, f"/qa/pair/{home.id}"))
    assert "Pictures" not in text
    assert "1 redrawn" in text


def test_a_pair_without_a_comparison_has_no_pictures(
    logged_in: TestClient, ctx: Context, home: Job
) -> None:
    scan_pairs(ctx)

    assert "no structure set of the series was found yet" in said(
        page(logged_in, f"/qa/pair/{home.id}")
    )
    assert logged_in.get(f"/qa/pair/{home.id}/pictures").status_code == 404


def name_patient(dataset: Dataset) -> None:
    """Move a structure, and give two ROIs the name of the patient, as somebody may have."""
    move_one(dataset)
    for roi in dataset.StructureSetROISequence[-2:]:
        roi.ROIName = PELVIS.file_name
    dataset.StructureSetLabel = PELVIS.patient_id


def test_no_page_about_contours_names_the_patient(
    serve: Serve, site: Site, ctx: Context, home: Job, pelvis: list[Path]
) -> None:
    exported(home, ctx, name_patient, **APPROVED)  # values of elements
    run_step("scan", ctx, Selection())
    scan_pairs(ctx)
    client = serve(password=WORDS)
    log_in(client)
    chart = f"template={home.template}&roi=Rectum&metric=dice"
    pair = f"/qa/pair/{home.id}"

    for place in ("/qa", "/qa/pairs", f"/qa/chart?{chart}", f"/qa/chart.csv?{chart}", pair,
                  f"{pair}/pictures", f"/jobs/{home.id}"):  # fmt: skip
        answer = client.get(place)
        assert answer.status_code == 200, place
        text = f"{answer.url}\n{dict(answer.headers)}\n{answer.text}"
        assert [value for value in secrets_of(site, pelvis) if value in text] == [], place
        assert PELVIS.file_name not in text, place
    assert "redrawn" in client.get(pair).text
