"""Everything that is served, held against everything that names the patient or opens a door."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom import DataElement, Dataset, dcmread
from starlette.testclient import TestClient

from drawcli.core.jobs.job import Job
from drawcli.errors import NeedsPerson
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_step
from drawcli.sandbox.patients import Person, identifying_values
from tests.conftest import HEAD_NECK, PELVIS, Site
from tests.dashboard.conftest import WORDS, Serve, log_in

PLACES = ("/", "/jobs", "/jobs?days=30", "/jobs.csv", "/held", "/jobs?rows=1000&sort=touched",
    "/unmatched", "/rules", "/server",
    "/checkup", "/settings", "/metrics", "/health", "/templates", "/templates/Prostate_OAR",
    "/audit", "/audit.csv", "/statistics", "/statistics.csv", "/notifications", "/users",
    "/nowhere")  # fmt: skip


def secrets_of(site: Site, images: list[Path]) -> set[str]:
    """Return what may stand on no page: names, ids, UIDs, file names, tokens."""
    datasets = [dcmread(path, stop_before_pixels=True) for path in images]
    uids = {
        str(element.value)
        for one in datasets
        for element in every(one)
        if element.VR == "UI" and not str(element.value).startswith("1.2.840.10008.")
    }
    tokens = json.loads((site.folder / "token.json").read_text())
    opened = {tokens["access_token"], tokens["refresh_token"], WORDS}
    delivered = {path.name for path in images[0].parent.glob("RS.*")}
    return {*identifying_values(PELVIS), *uids, *opened, *delivered, *(one.name for one in images)}


def every(dataset: Dataset) -> Iterator[DataElement]:
    for element in dataset:
        yield element
        for item in element.value if element.VR == "SQ" else ():
            yield from every(item)


def served(client: TestClient, job: Job) -> dict[str, str]:
    """Return everything a browser gets: address, head and body of each page, links followed."""
    places = [
        *PLACES,
        f"/jobs/{job.id}",
        f"/jobs/{job.id}/pictures",
        f"/rules?job={job.id}",
        f"/jobs/{job.id[:6]}",
    ]
    answers = {place: client.get(place) for place in places}
    return {place: f"{one.url}\n{dict(one.headers)}\n{one.text}" for place, one in answers.items()}


def ask_for(person: Person, modality: str, site: Site) -> None:
    """Write a rule that asks for one patient, as a site should not."""
    text = (site.folder / "rules.yaml").read_text()
    when = f"{{PatientID: {person.patient_id}, Modality: {modality}}}"
    rule = f"  - name: one-patient\n    exclude: true\n    when: {when}\n"
    (site.folder / "rules.yaml").write_text(text.replace("rules:\n", f"rules:\n{rule}", 1))


@pytest.fixture
def names_patient(site: Site) -> None:
    """Write a rule that asks for the patient, and does not match."""
    ask_for(PELVIS, "MR", site)


@pytest.mark.usefixtures("names_patient")
def test_nothing_that_is_served_names_the_patient_or_holds_a_token(
    serve: Serve, site: Site, home: Job, pelvis: list[Path]
) -> None:
    client = serve(password=WORDS, allow_actions=True)
    log_in(client)
    wanted = secrets_of(site, pelvis)

    pages = served(client, home)

    assert len(wanted) > 30
    assert "one-patient" in pages["/rules"]
    assert "PatientID equals (hidden)" in pages["/rules"]
    assert "Bladder" in pages[f"/jobs/{home.id}"]  # the report of the gate is there
    for place, text in pages.items():
        found = [value for value in wanted if value in text]
        assert not found, (place, found)


def test_who_has_logged_in_sees_patients_where_it_was_asked_for(
    serve: Serve, ctx: Context, home: Job, pelvis: list[Path]
) -> None:
    client = serve(password=WORDS, identify=True)
    log_in(client)
    ctx.ledger.commit(home.held_for(NeedsPerson("why", code="held"), at=ctx.now()))

    pages = [client.get(place) for place in ("/", "/jobs", f"/jobs/{home.id}")]

    for page in pages:
        assert PELVIS.patient_id in page.text
        assert PELVIS.patient_id not in str(page.url)
        assert PELVIS.patient_id not in page.text.partition("</title>")[0]
    assert str(pelvis[0].parent) in pages[2].text


def test_a_uid_has_no_place_in_an_address(client: TestClient, ctx: Context, home: Job) -> None:
    uid = ctx.crosswalk(home).series_uid

    answer = client.get(f"/rules?job={uid}")

    assert "must not be in an address" in answer.text


@pytest.mark.usefixtures("pelvis")
def test_a_series_that_nearly_fits_a_rule_of_another_patient_does_not_tell_who_that_is(
    client: TestClient, ctx: Context, site: Site
) -> None:
    ask_for(HEAD_NECK, "CT", site)
    only = (site.folder / "rules.yaml").read_text().partition("  - name: pelvis")[0]
    (site.folder / "rules.yaml").write_text(only)
    for step in ("scan", "match"):
        run_step(step, ctx, Selection())
    (job,) = ctx.ledger.jobs()

    pages = served(client, job) | {"ledger": str(job)}

    assert "nearest is one-patient (excludes; PatientID equals (hidden)" in pages["/unmatched"]
    for place, page in pages.items():
        assert HEAD_NECK.patient_id not in page, place
