"""The list of jobs: by day, modality and saved filter, as CSV, with words to recognise a case."""

import base64
import csv
import io
from base64 import urlsafe_b64decode
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from pydicom import dcmread
from starlette.testclient import TestClient

from drawcli.adapters.ledger.archive import FileArchive
from drawcli.core.jobs.columns import STATUS
from drawcli.core.jobs.job import Job, State
from drawcli.core.rules.conditions import RuleHeader
from drawcli.dashboard.find.filters import MOST
from drawcli.dashboard.find.series_texts import SeriesText, SeriesTexts
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_step
from tests.conftest import NOON, PELVIS
from tests.dashboard.conftest import WORDS, Serve, log_in, token_in

Make = Callable[..., Job]


def put(ctx: Context, number: int, days_ago: int, **facts: object) -> Job:
    """Put a job into the ledger that reached its state some days ago."""
    facts = {"state": State.DONE, "template": "Thorax_OAR", "modality": "CT"} | facts
    since = NOON - timedelta(days=days_ago)
    job = Job(id=f"{number:012x}-1", since=since, **facts)  # type: ignore[arg-type] # any fact
    ctx.ledger.add(job)
    return job


@pytest.fixture
def month(ctx: Context) -> list[Job]:
    """Put a job of each of forty days into the ledger; all but the last are archived."""
    jobs = [put(ctx, day, day, modality="MR" if day % 2 else "CT") for day in range(40)]
    ctx.ledger.archive_finished(NOON)
    assert len(ctx.ledger.jobs()) < 3
    return jobs


@pytest.mark.parametrize(
    ("query", "days"),
    [
        ("days=1", [0]),
        ("days=7", [*range(7)]),
        ("from=2026-11-01&to=2026-11-03", [11, 12, 13]),
        ("from=2026-10-30&to=2026-11-02&modality=CT", [12, 14]),
        ("to=2026-10-07", [38, 39]),
        ("from=2026-13-40&days=1", [0]),
    ],
)
def test_days_are_found_in_ledger_and_archive(
    client: TestClient, month: list[Job], query: str, days: list[int]
) -> None:
    page = client.get(f"/jobs?rows=200&{query}").text

    assert [number for number, job in enumerate(month) if f"/jobs/{job.id}" in page] == days


def test_the_archive_is_read_once_and_again_when_it_changes(
    client: TestClient, ctx: Context, month: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    of_month = FileArchive.of_month

    def reading(archive: FileArchive, month: str) -> Iterator[Job]:
        if archive is not ctx.ledger.archive:  # which the overview uses
            read.append(month)
        return of_month(archive, month)

    monkeypatch.setattr(FileArchive, "of_month", reading)
    for _ in range(3):
        client.get("/jobs?days=30")
    first = len(read)
    put(ctx, 999, 3)
    ctx.ledger.archive_finished(NOON)
    page = client.get("/jobs?days=30").text

    assert (first, len(read)) == (2, 4)
    assert "/jobs/0000000003e7-1" in page
    assert len(month) == 40


def test_the_csv_has_all_that_match_and_nobody(serve: Serve, home: Job, ctx: Context) -> None:
    for number in range(60):
        put(ctx, number, 0, state=State.UNMATCHED, reason="=HYPERLINK(1)", template=None)
    client = serve(password=WORDS, identify=True)
    log_in(client)

    answer = client.get("/jobs.csv?state=unmatched&rows=50")
    every = client.get("/jobs.csv").text
    rows = [*csv.DictReader(io.StringIO(answer.text))]

    assert [*rows[0]] == [column.name for column in STATUS]
    assert len(rows) == 60
    assert rows[0]["reason"] == "'=HYPERLINK(1)"
    assert home.id in every
    assert PELVIS.patient_id not in every
    assert answer.headers["content-disposition"] == 'attachment; filename="drawcli-jobs.csv"'
    assert answer.headers["cache-control"] == "no-store"


def saved(client: TestClient, name: str, address: str, **more: str) -> int:
    """Save a filter as a person does; return the status."""
    page = client.get(address).text
    form = {"csrf": token_in(page), "name": name, "query": address} | more
    return client.post("/jobs/filters", data=form).status_code


def test_a_filter_is_saved_in_the_browser_without_words_and_removed(
    serve: Serve, month: list[Job], ctx: Context
) -> None:
    client = serve(password=WORDS)
    log_in(client)
    before = set(ctx.settings.state_dir.rglob("*"))

    status = saved(client, "MR of the week", "/jobs?q=Lindqvist&modality=MR&days=7")
    page = client.get("/jobs").text
    cookie = next(one for one in client.cookies.jar if one.name.startswith("drawcli-filters"))
    removed = saved(client, "MR of the week", "/jobs?days=7", remove="1")

    assert (status, removed, len(month)) == (303, 303, 40)
    assert '<a href="/jobs?modality=MR&amp;days=7">MR of the week</a>' in page
    assert b"Lindqvist" not in urlsafe_b64decode(str(cookie.value).strip('"'))
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert "MR of the week" not in client.get("/jobs").text
    assert set(ctx.settings.state_dir.rglob("*")) == before


def test_saved_filters_are_few_and_damaged_ones_are_left_out(serve: Serve) -> None:
    client = serve(password=WORDS)
    log_in(client)

    statuses = [saved(client, f"filter {n}", "/jobs?days=7") for n in range(MOST + 1)]
    without_name = saved(client, "  ", "/jobs?days=7")
    for damaged in (b"nonsense", b"[" * 2000):
        value = base64.urlsafe_b64encode(damaged).decode()
        client.cookies.set("drawcli-filters-8043", value, path="/jobs")
        assert client.get("/jobs").status_code == 200

    assert statuses == [303] * MOST + [409]
    assert without_name == 409
    assert client.get("/jobs").status_code == 200


def shown(client: TestClient) -> str:
    """Return the list of jobs once the texts of the series are read."""
    client.get("/jobs")
    texts: SeriesTexts = client.app._app.state.parts.find.series  # type: ignore[attr-defined]
    texts.wait()
    return client.get("/jobs").text


def described(paths: list[Path], text: str) -> None:
    for path in paths:
        dataset = dcmread(path)
        dataset.SeriesDescription = text
        dataset.save_as(path)


def test_a_case_is_recognised_by_scanner_and_description(
    client: TestClient, ctx: Context, pelvis: list[Path]
) -> None:
    described(pelvis, "Becken <venös> 3 mm")
    run_step("scan", ctx, Selection())

    page = shown(client)

    assert "Becken &lt;venös&gt; 3 mm" in page
    assert dcmread(pelvis[0]).ManufacturerModelName in page


@pytest.mark.parametrize("text", ["for {name}", "{id} plan", "seen 2026-11-02", "call 0301234567"])
def test_a_description_that_may_name_the_patient_is_not_shown(
    client: TestClient, ctx: Context, pelvis: list[Path], text: str
) -> None:
    name = str(dcmread(pelvis[0]).PatientName).partition("^")[0].partition("=")[0]
    description = text.format(name=name, id=PELVIS.patient_id)
    described(pelvis, description)
    run_step("scan", ctx, Selection())

    page = shown(client)

    assert description not in page
    assert dcmread(pelvis[0]).ManufacturerModelName in page


def test_places_and_private_elements_are_no_description() -> None:
    header = {"StationName": ("LINAC2",), "InstitutionName": ("Ward 7",), "Manufacturer": ("Acme",)}

    assert SeriesText.of(RuleHeader(header)) == ("Acme", "")


def test_a_file_server_that_does_not_answer_is_left_alone(
    client: TestClient, ctx: Context, home: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def hang(_call: object, seconds: float) -> None:
        asked.append(seconds)
        raise TimeoutError

    monkeypatch.setattr("drawcli.dashboard.find.series_texts.call_with_timeout", hang)
    put(ctx, 1, 0)
    put(ctx, 2, 0)

    shown(client)
    page = shown(client)

    assert len(asked) == 1
    assert home.id in page
