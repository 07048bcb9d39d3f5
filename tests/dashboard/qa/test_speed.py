"""Ten thousand records and 600 structures, beside a page that says nothing; ratios of CPU."""

import json
from datetime import timedelta
from time import process_time

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from drawcli.adapters.state.qa_records import QaRecords
from drawcli.adapters.state.qa_summary import write_summary
from drawcli.core.qa.summary import ChartSummary, QaSummary
from drawcli.pipeline.context import Context
from tests.conftest import NOON
from tests.dashboard.conftest import HERE
from tests.dashboard.test_speed import fastest
from tests.operations.qa.cases import edited, record

MANY = 10_000
MOST_TIMES = 100  # a bare page; 20 to 42 were measured
MOST_PARSES = 20  # json.loads of all records, for the first page; some 7 were measured
CHART = "/qa/chart?template=Prostate_OAR&roi=Rectum&metric=dice"


@pytest.fixture
def bare() -> TestClient:
    """Return a page that says nothing."""

    def nothing(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("x" * 20_000)

    return TestClient(Starlette(routes=[Route("/", nothing)]), base_url=HERE)


def write_records(ctx: Context) -> list[str]:
    """Write ten thousand records of three structures; return the lines."""
    usual = record(0, *(edited(roi, 0.7654) for roi in ("Bladder", "Rectum", "Anus"))).as_plain()
    text = json.dumps(usual | {"job": "JOB", "delivered_at": "AT"})
    lines = [
        text.replace("JOB", f"{number:012x}-1")
        .replace("AT", (NOON - timedelta(hours=MANY - number)).isoformat())
        .replace("0.7654", f"0.{8000 + 37 * number % 1000}")
        for number in range(MANY)
    ]
    path = QaRecords(ctx.settings.state_dir).path
    path.parent.mkdir(parents=True)
    path.write_text("".join(f"\n{line}" for line in lines))
    return lines


@pytest.mark.sweep
def test_pages_of_ten_thousand_pairs_are_quick(
    client: TestClient, bare: TestClient, ctx: Context
) -> None:
    lines = write_records(ctx)
    begun = process_time()
    first = client.get(CHART).text
    took = process_time() - begun
    parsing = fastest(lambda: [json.loads(line) for line in lines[:1000]]) * MANY / 1000

    least = fastest(lambda: bare.get("/"))
    ratios = {
        place: fastest(lambda place=place: client.get(place)) / least  # type: ignore[misc] # bound
        for place in (CHART, "/qa/pairs?status=compared&page=3", f"/qa/pair/{MANY - 1:012x}-1")
    }

    assert "the latest 100 of 10000 cases" in first
    assert took / parsing < MOST_PARSES
    assert max(ratios.values()) < MOST_TIMES, ratios


def test_an_overview_of_600_structures_is_quick(
    client: TestClient, bare: TestClient, ctx: Context
) -> None:
    charts = tuple(
        ChartSummary(template=f"T{number // 300}", roi=f"S{number // 5 % 60:02}", version="v",
            metric=("dice", "surface_dice", "hd95_mm", "mean_distance_mm", "apl_share")[number % 5],
            state="routine", n=40, last=0.9, centre=0.9, lower=0.8, upper=0.95)
        for number in range(3000)
    )  # fmt: skip
    write_summary(ctx.settings.state_dir, QaSummary(at=NOON, charts=charts))

    least = fastest(lambda: bare.get("/"))
    ratio, of_one, home = (
        fastest(lambda place=place: client.get(place)) / least  # type: ignore[misc] # bound
        for place in ("/qa", "/qa?template=T3", "/")
    )

    assert client.get("/qa?template=T3").text.count("data-name") == 360
    assert max(ratio, of_one, home) < MOST_TIMES
