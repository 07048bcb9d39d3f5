"""Ten thousand jobs, beside a page that says nothing; a ratio of CPU, for machines differ."""

from collections.abc import Callable
from time import process_time

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from drawcli.core.jobs.job import Event, EventKind, Job, State
from drawcli.pipeline.context import Context
from tests.conftest import NOON
from tests.dashboard.conftest import HERE

MANY = 10_000
MOST_TIMES = 60  # a bare page; some 12 were measured


def fastest(ask: Callable[[], object]) -> float:
    """Return the least of several times of all threads, s of CPU: other processes do not count."""
    times = []
    for _ in range(7):
        begun = process_time()
        ask()
        times.append(process_time() - begun)
    return min(times)


def test_a_page_of_ten_thousand_jobs_is_quick(client: TestClient, ctx: Context) -> None:
    states = (State.UNMATCHED, State.UPLOADED, State.DONE)
    ctx.ledger.add(
        *(
            Job(
                id=f"{number:012x}-1",
                state=states[number % 3],
                since=NOON,
                template="Prostate_OAR",
                events=(Event(NOON, EventKind.REACHED, "found"),),
            )
            for number in range(MANY)
        )
    )

    def nothing(_request: Request) -> PlainTextResponse:
        return PlainTextResponse("x" * 20_000)

    bare = TestClient(Starlette(routes=[Route("/", nothing)]), base_url=HERE)

    ratio = fastest(lambda: client.get("/jobs?q=uploaded")) / fastest(lambda: bare.get("/"))

    assert "1 to 50 of 3,333 matching jobs, 10,000 in all" in client.get("/jobs?q=uploaded").text
    assert ratio < MOST_TIMES
