"""Jobs by words, state and template, in an order, one part at a time."""

from datetime import timedelta

import pytest
from starlette.datastructures import QueryParams

from drawcli.core.jobs.job import Job, State
from drawcli.dashboard.job_query import SORTS, JobQuery, Listing
from tests.conftest import NOON

JOBS = tuple(
    Job(
        id=f"{number:012x}-1",
        state=(State.MATCHED, State.UPLOADED, State.DONE)[number % 3],
        since=NOON - timedelta(minutes=number),
        template=("Pelvis", "Thorax")[number % 2],
        slices=number,
        held=number == 40,
        reason="no result" if number == 40 else None,
    )
    for number in range(120)
)


def listed(query: str) -> Listing:
    return Listing.select(JobQuery.of(QueryParams(query)), JOBS)


def test_without_a_wish_the_held_come_first_and_the_rest_is_paged() -> None:
    first, last = listed(""), listed("page=3")

    assert (first.jobs[0].id, first.jobs[1].id) == (JOBS[40].id, JOBS[0].id)
    assert (first.first, first.last, first.found, first.pages) == (1, 50, 120, 3)
    assert (last.first, last.last, len(last.jobs)) == (101, 120, 20)


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("state=held", 1),
        ("state=done", 40),
        ("template=Thorax", 60),
        ("state=done&template=Thorax", 20),
        ("q=NO+RESULT", 1),
        ("q=uploaded+pelvis", 20),
        ("q=00000000000a", 1),
        ("q=nothing+like+it", 0),
        ("state=nonsense&page=x&rows=7&sort=y", 120),
    ],
)
def test_what_is_asked_for_is_found(query: str, found: int) -> None:
    assert listed(query).found == found


def test_a_page_behind_the_last_is_the_last() -> None:
    assert listed("page=99").query.page == 3
    assert listed("q=none&page=2").pages == 1


@pytest.mark.parametrize("sort", SORTS)
def test_every_order_keeps_every_job(sort: str) -> None:
    assert {job.id for job in listed(f"sort={sort}&rows=200").jobs} == {job.id for job in JOBS}


def test_the_address_says_the_wish_again() -> None:
    query = JobQuery.of(QueryParams("q=a+b&state=done&sort=job&page=2&rows=200"))

    again = JobQuery.of(QueryParams(query.address(page=2).partition("?")[2]))

    assert again == query
    assert query.address(words="", state="", sort="held", rows=50) == "/jobs"
