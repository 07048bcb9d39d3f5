"""The list of templates, and the page of one."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from drawcli.adapters.state.qa_records import QaRecords
from drawcli.core.jobs.job import Job, State
from drawcli.core.qa.outcomes import ContourOutcome, StructureComparison
from drawcli.core.templates.appearance import OPERATIONS
from drawcli.dashboard.template_pages.operations import OPERATIONS_SHOWN
from drawcli.dashboard.template_pages.volumes import MOST
from drawcli.pipeline.context import Context
from tests.conftest import Site
from tests.dashboard.template_pages.conftest import Received
from tests.operations.qa.cases import edited, record

BLADDER, RECTUM = "Bladder", "Rectum"


def words_of(page: str) -> str:
    """Return the text of a page without tags, blanks as one."""
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


@pytest.mark.usefixtures("full", "catalogue")
def test_the_list_has_structures_rules_jobs_and_warnings(
    client: TestClient, in_state: Callable[..., Job]
) -> None:
    in_state(State.UPLOADED, template="Prostate_OAR")

    page = words_of(client.get("/templates").text)

    assert "Prostate_OAR Bladder, rectum, femoral heads ? 2 warnings" in page
    assert "Bladder Rectum_AI Femur_Head_L Femur_Head_R Rectum-PRV PTV" in page
    assert "pelvis-planning-ct 1 job of Prostate_OAR" in page
    assert "catalogue is of 2026-11-14 12:00" in page


@pytest.mark.usefixtures("full", "catalogue")
def test_a_template_shows_everything_that_its_file_says(client: TestClient) -> None:
    page = client.get("/templates/Prostate_OAR").text
    words = words_of(page)

    for colour in ("165,42,42", "255,255,0", "255,0,0"):
        assert f'fill="rgb({colour})"' in page
    for text in (
        ("Rectum delivered as Rectum_AI lower part ORGAN may be empty 25 to 200 cm³"),
        "Bladder ORGAN needs contours 20 to 1,500 cm³",
        "Femur_Head_L may be missing none limits set",
        "Crop of Rectum, outside of Bladder, 2 mm AVOIDANCE",
        "Bladder_05 intermediate, not delivered Margin of Bladder, 5 mm",
        "PTV PTV",
        "720:2 Pelvis",
        "720 TSPrime 3d_fullres nnUNetTrainerNoMirroring none 4",
        "Used by the rule pelvis-planning-ct",
        "Rectum_AI is not a TG-263 name; nearest Rectum",
    ):
        assert text in words, text


@pytest.mark.usefixtures("catalogue")
def test_what_the_server_does_not_offer_is_a_warning(client: TestClient, site: Site) -> None:
    path = site.folder / "templates.yaml"
    path.write_text(path.read_text().replace("2: Rectum", "2: Rectosigmoid"))

    page = client.get("/templates/Prostate_OAR").text

    assert "structure 2 of model 720 is Rectum at the server, not Rectosigmoid" in page
    assert "template Prostate_OAR:" not in page


@pytest.mark.usefixtures("full")
def test_recent_volumes_are_beside_the_limits(client: TestClient, received: Received) -> None:
    for number, cm3 in enumerate((100.04, 150, 1234.5, 2000)):
        received(f"00000000000{number}-1", {BLADDER: cm3, "Femur_Head_R": 0.0})
    received("0000000000aa-1", {BLADDER: 5000.0}, template="Other")

    page = client.get("/templates/Prostate_OAR").text

    words = "100 to 2,000 cm³, median 692; 1 outside the limits (of 4 structure sets)"
    assert f'aria-label="Volumes: {words}"' in page
    assert page.count('class="out"') == 1
    assert page.count('class="dot"') == 3
    assert page.count('class="band"') == 1
    assert "empty in 4 (of 4 structure sets)" in words_of(page)


@pytest.mark.usefixtures("full")
def test_volumes_of_jobs_without_work_folder_are_of_the_records(
    client: TestClient, ctx: Context, received: Received
) -> None:
    under_label = edited("Rectum_AI", 0.9, volume_a_cm3=70.0)
    foreign = StructureComparison(name="Femur_Head_R", outcome=ContourOutcome.ADDED)
    records = [record(number, under_label, foreign) for number in range(3)]
    records.append(replace(record(9, under_label), template="Other"))
    QaRecords(ctx.settings.state_dir).add(records)
    received(records[0].job, {RECTUM: 90.0})

    page = words_of(client.get("/templates/Prostate_OAR").text)

    assert "70.0 to 90.0 cm³, median 70.0 (of 3 structure sets)" in page
    assert "empty in" not in page


@pytest.mark.usefixtures("full")
def test_the_latest_volumes_are_enough(client: TestClient, received: Received) -> None:
    for number in range(MOST + 5):
        received(f"{number:012x}-1", {BLADDER: 100.0})

    assert client.get("/templates/Prostate_OAR").text.count('class="dot"') == MOST


@pytest.mark.usefixtures("full")
def test_the_latest_records_are_enough(client: TestClient, ctx: Context) -> None:
    records = [
        record(number, edited("Bladder", 0.9, volume_a_cm3=1000.0 if number < 5 else 100.0))
        for number in range(MOST + 5)
    ]
    QaRecords(ctx.settings.state_dir).add(records)

    page = words_of(client.get("/templates/Prostate_OAR").text)

    assert f"100 cm³, median 100 (of {MOST} structure sets)" in page


def test_a_damaged_report_is_passed_over(client: TestClient, received: Received) -> None:
    received("00000000000a-1", {BLADDER: float("nan")})
    received("00000000000b-1", {BLADDER: 100.0})

    page = client.get("/templates/Prostate_OAR").text

    assert page.count('class="dot"') == 1


def test_invalid_templates_are_reported_on_the_list(client: TestClient, site: Site) -> None:
    path = site.folder / "templates.yaml"
    path.write_text(path.read_text().replace("config: 3d_fullres", "confg: 3d_fullres"))

    page = client.get("/templates").text

    assert "The files are invalid" in page
    assert "confg" in page


def test_every_operation_has_words_and_a_picture() -> None:
    assert tuple(OPERATIONS_SHOWN) == OPERATIONS
    assert all(one.meaning and 'class="made"' in one.picture for one in OPERATIONS_SHOWN.values())
