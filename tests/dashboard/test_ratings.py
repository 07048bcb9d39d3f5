"""The rating of a delivered job on its page: shown, and stored by a form."""

import re
from html import unescape

import pytest

from drawcli.adapters.state.qa_records import QaRatings
from drawcli.adapters.state.workdir import REPORT
from drawcli.core.jobs.job import Job, State
from drawcli.core.qa.ratings import Edit, Rating, RatingSource
from drawcli.pipeline.context import Context
from tests.conftest import NOON, Clock, Site
from tests.dashboard.conftest import WORDS, Serve, log_in, token_in


@pytest.fixture
def delivered(ctx: Context) -> Job:
    """Put a delivered job into the ledger: its record alone is quick to make."""
    job = Job(
        id="0123456789ab-1",
        state=State.DONE,
        since=NOON,
        template="Prostate_OAR",
        delivered_sha256="0" * 64,
    )
    ctx.ledger.add(job)
    report = {"structures": [{"name": n, "volume_cm3": 1, "contours": 1} for n in ("A=B", "<i>")]}
    ctx.work.write_json(job.id, REPORT, report)
    return job


def stored(ctx: Context) -> list[Rating]:
    return list(QaRatings(ctx.settings.state_dir).every())


def rated(serve: Serve, job: Job, **form: str) -> tuple[int, str, str]:
    """Rate a job as a person does; return status, address, and the page or the error."""
    client = serve(password=WORDS, allow_actions=True)
    log_in(client)
    token = token_in(client.get(f"/jobs/{job.id}").text)
    given = {name.replace("structure_", "structure:"): value for name, value in form.items()}
    answer = client.post(f"/jobs/{job.id}/rate", data={"csrf": token} | given)
    place = answer.headers.get("location", "")
    text = client.get(place.partition("#")[0]).text if place else answer.text
    return answer.status_code, place, unescape(text)


def test_a_form_stores_what_the_command_would(serve: Serve, delivered: Job, ctx: Context) -> None:
    form = {"structure_A=B": "minor", "structure_<i>": "", "every": "none", "by": ""}
    status, place, page = rated(
        serve, delivered, overall="8", minutes="2.5", comment="dome\r\ncut off", **form
    )

    (rating,) = stored(ctx)
    assert (status, place) == (303, f"/jobs/{delivered.id}?done=rate#rating")
    assert (rating.job, rating.source) == (delivered.id, RatingSource.PAGE)
    assert (rating.overall, rating.minutes, rating.comment) == (8, 2.5, "dome cut off")
    assert rating.structures == {"A=B": Edit.MINOR, "<i>": Edit.NONE}
    assert "Your rating is stored." in page
    assert "8 of 10" in page
    assert "dome" not in page  # which says that it names no patient
    assert "--show' shows it" in page


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({}, "nothing is rated"),
        ({"overall": "11"}, "from 0 to 10"),
        ({"overall": "many"}, "not a number"),
        ({"minutes": "nan"}, "from 0 to 1440"),
        ({"structure_Nothing": "none"}, "no structure 'Nothing'"),
        ({"structure_A=B": "huge"}, "is not none, minor"),
        ({"overall": "5", "comment": "x" * 501}, "501 characters"),
        ({"overall": "5", "by": "R. Example"}, "not kept"),
    ],
)
def test_what_cannot_be_is_told_and_stores_nothing(
    serve: Serve, delivered: Job, ctx: Context, form: dict[str, str], said: str
) -> None:
    status, _, page = rated(serve, delivered, **form)

    assert status == 409
    assert said in page
    assert stored(ctx) == []


def test_by_default_the_page_only_shows(serve: Serve, delivered: Job, ctx: Context) -> None:
    client = serve(password=WORDS)
    log_in(client)
    page = client.get(f"/jobs/{delivered.id}").text
    form = {"csrf": token_in(page), "overall": "5"}

    answer = client.post(f"/jobs/{delivered.id}/rate", data=form)

    assert f"drawcli qa rate {delivered.id}" in page
    assert "<textarea" not in page
    assert (answer.status_code, "--allow-actions" in answer.text) == (403, True)
    assert stored(ctx) == []


def test_a_form_of_another_session_stores_nothing(
    serve: Serve, delivered: Job, ctx: Context
) -> None:
    client = serve(password=WORDS, allow_actions=True)
    log_in(client)

    answer = client.post(f"/jobs/{delivered.id}/rate", data={"csrf": "made up", "overall": "5"})

    assert answer.status_code == 403
    assert stored(ctx) == []


def test_a_job_without_contours_has_no_rating(serve: Serve, held: Job, ctx: Context) -> None:
    client = serve(password=WORDS, allow_actions=True)
    log_in(client)
    page = client.get(f"/jobs/{held.id}").text
    answer = client.post(f"/jobs/{held.id}/rate", data={"csrf": token_in(page), "overall": "5"})

    assert ">Rating<" not in page
    assert (answer.status_code, "nothing was delivered" in answer.text) == (409, True)
    assert stored(ctx) == []


def test_the_form_begins_with_the_stored_rating(serve: Serve, delivered: Job, clock: Clock) -> None:
    rated(serve, delivered, overall="3", minutes="7.5", **{"structure_<i>": "major"})
    clock.advance(minutes=2)
    client = serve(password=WORDS, allow_actions=True)
    log_in(client)
    page = client.get(f"/jobs/{delivered.id}?done=rate").text

    assert "Your rating is stored." not in page  # an address cannot say so later
    assert re.search(r'name="overall"[^>]* value="3"', page)
    assert re.search(r'name="minutes"[^>]* value="7.5"', page)
    assert 'name="structure:&lt;i&gt;" value="major" checked' in page
    assert 'name="structure:A=B" value="" checked' in page
    assert 'name="by"' not in page


@pytest.fixture
def raters(site: Site) -> None:
    """Have the site keep names of raters."""
    site.add_line("qa: {raters: true}")


@pytest.mark.usefixtures("raters")
def test_a_name_is_asked_for_if_the_site_keeps_names(
    serve: Serve, delivered: Job, ctx: Context
) -> None:
    _, _, page = rated(serve, delivered, overall="3", by="R. Example")

    assert 'name="by"' in page
    assert [one.by for one in stored(ctx)] == ["R. Example"]


def test_the_comment_is_shown_on_a_page_that_names_patients(serve: Serve, delivered: Job) -> None:
    rated(serve, delivered, overall="3", comment="dome cut off")
    client = serve(password=WORDS, allow_actions=True, identify=True)
    log_in(client)
    page = client.get(f"/jobs/{delivered.id}").text

    assert "<dd>dome cut off</dd>" in page
    assert ">dome cut off</textarea>" in page
