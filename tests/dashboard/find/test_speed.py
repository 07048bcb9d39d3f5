"""Ten thousand series: the search for a patient beside the list of jobs, in one run."""

from datetime import timedelta

from drawcli.core.jobs.job import Job, State
from drawcli.dashboard.find.cases import PatientCase
from drawcli.pipeline.context import Context
from tests.conftest import NOON
from tests.dashboard.conftest import WORDS, Serve, log_in, token_in
from tests.dashboard.test_speed import fastest

MANY = 10_000
MOST_TIMES = 20  # the list of jobs; some 3 were measured for the search, and 3 for a period


def test_a_search_and_a_period_are_as_quick_as_the_list(serve: Serve, ctx: Context) -> None:
    jobs = [
        Job(id=f"{number:012x}-1", state=State.DONE, since=NOON - timedelta(minutes=number))
        for number in range(MANY)
    ]
    ctx.ledger.add(*jobs)
    ctx.ledger.archive_finished(NOON)
    client = serve(password=WORDS, identify=True)
    log_in(client)
    client.get("/patients")
    index = client.app._app.state.parts.find.patients  # type: ignore[attr-defined]
    index.wait()
    for number, job in enumerate(jobs):
        who = f"{number // 3:x}"
        named = f"lindqvist^asa{who} mrn-{who}"
        case = PatientCase(job.id, who, who, named, who, "19670312", "", "20261101", "", named)
        index._keep(job.id, case, number)
    token = token_in(client.get("/patients").text)

    def search() -> str:
        form = {"csrf": token, "words": "ASA^Lindqvist mrn-d0"}
        answer = client.post("/patients", data=form)
        return client.get(answer.headers["location"]).text

    listed = fastest(lambda: client.get("/jobs"))

    assert "7 patients" in search()
    assert fastest(search) < MOST_TIMES * listed
    assert "of 10,000" in client.get("/jobs?days=30").text
    assert fastest(lambda: client.get("/jobs?days=30&q=done")) < MOST_TIMES * listed
