"""Tests of both kinds of ledger: each runs with a file and with a database."""

import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drawcli.core.jobs.job import Job, State
from drawcli.core.jobs.ledger import ArchiveEntry, Ledger
from drawcli.core.jobs.warned import CHECKS, seen, unseen_warnings
from drawcli.errors import LedgerError
from tests.adapters.ledger.conftest import Store, committed
from tests.adapters.ledger.samples import NOON, a_job, full_job

LATER = NOON + timedelta(days=2)
ROOT = Path(__file__).parents[3]

# What another process does with the same ledger: it counts the posts of one job up, one by one.
COUNT_UP = """
import sys
from dataclasses import replace
from drawcli.core.jobs.ledger import Busy
from drawcli.errors import LedgerError
from tests.adapters.ledger.conftest import ledger_of_words

job_id, times, *words = sys.argv[1:]
times = int(times)
with ledger_of_words(*words) as ledger:
    while times:
        try:
            with ledger.claim(job_id):
                job = ledger.get(job_id)
                ledger.commit(replace(job, posts=job.posts + 1))
            times -= 1
        except Busy:
            pass
        except LedgerError as err:
            assert "at the same time" in str(err), err
"""
ADD_MANY = """
import sys
from datetime import datetime, UTC
from drawcli.core.jobs.job import Job, State
from tests.adapters.ledger.conftest import ledger_of_words

first, *words = sys.argv[1:]
with ledger_of_words(*words) as ledger:
    for number in range(int(first), int(first) + 25):
        job = Job(id=f"{number:012x}-1", state=State.FOUND, since=datetime.now(UTC))
        assert ledger.add(job) == [job]
"""


def finished(number: int, state: State = State.DONE, since: datetime = NOON) -> Job:
    digest = f"{number:016x}"
    return Job(id=f"{number:012x}-1", state=state, since=since, source_digest=digest)


def python(code: str, *args: object) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-c", code, *map(str, args)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)


def test_a_job_is_read_as_it_was_written(kept: Ledger, another: Ledger) -> None:
    job = full_job()
    kept.add(job)

    assert another.get(job.id) == job
    assert another.jobs() == another.find([job.id]) == another.of_series(job.series_key) == [job]


def test_a_missing_job_is_none(kept: Ledger) -> None:
    kept.add(a_job())

    for other in ("0123456789ab-2", "0123456789AB-1", "0123456789ab-01", "ab-1", "", "-", "x-y"):
        assert kept.get(other) is None


def test_a_job_is_added_once(kept: Ledger) -> None:
    first, second = a_job(), a_job("0123456789ab-2")
    kept.add(first)

    assert kept.add(replace(first, template="other"), second) == [second]
    assert kept.add() == []
    assert kept.jobs() == [first, second]


def test_a_job_given_twice_at_once_is_added_once(kept: Ledger) -> None:
    twice = replace(a_job(), template="other")

    assert kept.add(a_job(), twice) == [a_job()]
    assert kept.jobs() == [a_job()]


def test_many_jobs_are_added_at_once(kept: Ledger) -> None:
    jobs = [a_job(f"{number:012x}-1") for number in range(2_500)]

    assert kept.add(*jobs) == jobs
    assert kept.add(*jobs) == []
    assert kept.jobs() == jobs


def test_jobs_are_sorted_by_the_time_of_their_state(kept: Ledger) -> None:
    late = replace(a_job("00000000000a-1"), since=NOON + timedelta(seconds=1))
    b, c = a_job("00000000000b-1"), a_job("00000000000c-1", State.MATCHED)
    tenth, second = a_job("00000000000b-10"), a_job("00000000000b-2")
    kept.add(late, c, b, second, tenth)

    assert kept.jobs() == [b, tenth, second, c, late]
    assert kept.jobs([State.FOUND]) == [b, tenth, second, late]
    assert kept.jobs([]) == []
    assert kept.find([late.id, c.id, b.id, "0" * 12]) == [late, b, c]


def test_the_jobs_of_a_series_are_sorted_by_number(kept: Ledger) -> None:
    jobs = [a_job(f"0123456789ab-{number}") for number in (2, 10, 1)]
    kept.add(*jobs, a_job("ffffffffffff-1"))

    numbers = [job.number for job in kept.of_series("0123456789ab")]

    assert numbers == [1, 2, 10]
    assert kept.of_series("0123456789a%") == kept.of_series("") == []


def test_a_commit_counts_the_revision_and_is_seen_by_another_handle(
    kept: Ledger, another: Ledger
) -> None:
    kept.add(a_job())
    assert another.get("0123456789ab-1") == a_job()

    after = committed(kept, a_job().to(State.MATCHED, at=NOON, template="A"))

    assert after.revision == 1
    assert another.get(after.id) == after


def test_a_job_can_be_committed_again_and_again_under_one_claim(kept: Ledger) -> None:
    kept.add(a_job())

    with kept.claim(a_job().id):
        once = kept.commit(replace(a_job(), posts=1))
        twice = kept.commit(replace(once, posts=2))

    assert kept.get(twice.id) == twice
    assert (twice.posts, twice.revision) == (2, 2)


def test_a_job_that_another_process_has_changed_is_not_overwritten(
    kept: Ledger, another: Ledger
) -> None:
    mine = a_job()
    kept.add(mine)
    theirs = committed(another, replace(mine, template="theirs"))

    for template in ("mine", "theirs"):
        with pytest.raises(LedgerError, match="at the same time"):
            committed(kept, replace(mine, template=template))

    assert kept.get(mine.id) == theirs


def test_a_missing_job_cannot_be_committed(kept: Ledger) -> None:
    with pytest.raises(LedgerError):
        committed(kept, a_job())
    assert kept.jobs() == []


def test_the_stamp_changes_with_each_change(kept: Ledger, another: Ledger) -> None:
    stamps = [another.stamp]
    kept.add(a_job(state=State.DONE), a_job("0123456789ab-2"))
    stamps.append(another.stamp)
    committed(kept, replace(a_job("0123456789ab-2"), posts=1))
    stamps.append(another.stamp)
    kept.archive_finished(LATER)
    stamps.append(another.stamp)

    assert len(set(stamps)) == 4
    assert another.stamp == stamps[-1]


def test_two_processes_that_write_at_once_lose_nothing(store: Store, kept: Ledger) -> None:
    kept.add(a_job())
    counting = [python(COUNT_UP, "0123456789ab-1", 25, *store.words) for _ in range(2)]

    ended = [process.communicate(timeout=120) for process in counting]

    assert [process.returncode for process in counting] == [0, 0], ended
    job = kept.get("0123456789ab-1")
    assert job is not None
    assert (job.posts, job.revision) == (50, 50)


def test_three_processes_that_add_at_once_lose_nothing(store: Store, kept: Ledger) -> None:
    adding = [python(ADD_MANY, 1000 * number, *store.words) for number in range(3)]

    ended = [process.communicate(timeout=120) for process in adding]

    assert [process.returncode for process in adding] == [0, 0, 0], ended
    wanted = {f"{1000 * n + i:012x}-1" for n in range(3) for i in range(25)}
    assert {job.id for job in kept.jobs()} == wanted


def test_a_lone_surrogate_in_a_record_damages_nothing(kept: Ledger, another: Ledger) -> None:
    strange = a_job(reason="of a path \udcfc\x00", reason_code="later", rule="\ud800")
    kept.add(strange, a_job("0123456789ab-2"))

    assert another.get(strange.id) == strange
    committed(another, replace(strange, posts=1))
    assert [job.posts for job in kept.jobs()] == [1, 0]


def test_jobs_finished_yesterday_are_archived(kept: Ledger) -> None:
    done, cancelled, waiting = finished(1), finished(2, State.CANCELLED), finished(3, State.WAITING)
    lately = finished(4, since=LATER)
    kept.add(done, cancelled, waiting, lately)

    assert kept.archive_finished(LATER) == 2

    assert [job.id for job in kept.jobs()] == [waiting.id, lately.id]
    assert {job.id for job in kept.all_jobs()} == {done.id, cancelled.id, waiting.id, lately.id}
    assert kept.get(done.id) == done
    assert kept.of_series(cancelled.series_key) == [cancelled]
    assert kept.archive_finished(LATER) == 0


def test_unseen_warnings_keep_a_job_out_of_the_archive_for_a_week(kept: Ledger) -> None:
    unseen = finished(1).noted(NOON, CHECKS, "Bladder is small")
    kept.add(unseen, seen(replace(unseen, id=finished(2).id), at=NOON))

    first = kept.archive_finished(LATER)
    left = [job.id for job in kept.jobs()]
    second = kept.archive_finished(NOON + timedelta(days=8))

    assert (first, left, second) == (1, [unseen.id], 1)
    stored = kept.get(unseen.id)
    assert stored is not None
    assert unseen_warnings(stored) == ["Bladder is small"]


def test_a_job_whose_replaced_task_the_server_still_has_is_not_archived(kept: Ledger) -> None:
    kept.add(replace(finished(1), replaced=("task-0",)))

    assert kept.archive_finished(NOON + timedelta(days=400)) == 0


def test_jobs_are_archived_in_the_month_in_which_they_were_finished(kept: Ledger) -> None:
    months = [datetime(2026, month, 1, tzinfo=UTC) for month in (9, 10, 11)]
    jobs = [finished(number, since=at) for number, at in enumerate(months)]
    kept.add(*jobs)

    kept.archive_finished(LATER)

    assert kept.archive.months() == ["2026-09", "2026-10", "2026-11"]
    assert len(kept.archive) == 3
    assert list(kept.archive.of_month("2026-10")) == [jobs[1]]
    assert list(kept.archive.jobs("2026-10")) == list(kept.all_jobs("2026-10")) == jobs[1:]
    assert kept.archive.get(jobs[0].id) == jobs[0]
    assert kept.archive.find([jobs[2].id, "0" * 12]) == [jobs[2]]


def test_the_archive_finds_the_jobs_of_one_series_among_many(kept: Ledger) -> None:
    jobs = [finished(number) for number in range(0, 4000, 7)]
    twice = replace(jobs[5], id=f"{jobs[5].series_key}-12", state=State.CANCELLED)
    kept.add(*jobs, twice)
    kept.archive_finished(LATER)

    for job in jobs[:50]:
        (found, *more) = kept.archive.of_series(job.series_key)
        assert found == ArchiveEntry(job.id, "2026-11", State.DONE, job.source_digest or "")
        assert [one.id for one in more] == ([twice.id] if job == jobs[5] else [])
    for other in ("0" * 11 + "1", "f" * 12, "zz", ""):
        assert kept.archive.of_series(other) == []
    assert {entry.id for entry in kept.archive.entries()} == {job.id for job in (*jobs, twice)}


def test_a_reopened_job_is_in_the_ledger_and_is_archived_again(kept: Ledger) -> None:
    job = finished(1, State.CANCELLED)
    kept.add(job)
    kept.archive_finished(LATER)

    open_again = committed(kept, job.to(State.WAITING, at=LATER))

    assert kept.jobs() == [open_again] == list(kept.all_jobs())
    assert kept.get(job.id) == open_again
    after = committed(kept, open_again.to(State.CANCELLED, at=LATER + timedelta(days=30)))
    kept.archive_finished(LATER + timedelta(days=60))
    assert list(kept.all_jobs()) == [after]
    assert kept.archive.of_series(job.series_key)[0].month == "2026-12"


def test_a_stale_version_does_not_come_back_from_the_archive(kept: Ledger) -> None:
    kept.add(finished(1, State.CANCELLED))
    kept.archive_finished(LATER)

    with pytest.raises(LedgerError, match="changed by another"):
        committed(kept, replace(finished(1, State.CANCELLED), revision=7))


def test_a_series_that_is_archived_gets_no_second_job(kept: Ledger) -> None:
    kept.add(finished(1))
    kept.archive_finished(LATER)

    assert kept.add(finished(1, State.FOUND)) == []


def test_another_handle_sees_what_was_archived(kept: Ledger, another: Ledger) -> None:
    kept.add(finished(1), finished(2))
    reader = another.archive.reader()
    before = reader.stamp_of("2026-11")
    assert another.archive.of_series(finished(1).series_key) == []

    kept.archive_finished(LATER)

    assert another.get(finished(1).id) == finished(1)
    assert len(another.archive) == len(reader) == 2
    assert reader.stamp_of("2026-11") != before


def test_a_time_in_the_future_is_not_archived(kept: Ledger) -> None:
    """The clock was wrong for a time, and is right again."""
    kept.add(finished(1, since=NOON + timedelta(days=365)))

    assert kept.archive_finished(LATER) == 0


def test_a_reader_that_asks_often_sees_every_change(kept: Ledger, another: Ledger) -> None:
    def is_seen() -> bool:
        seen = kept.jobs_kept()
        return seen == another.jobs() and seen == kept.jobs()

    assert kept.jobs_kept() == []
    another.add(*(finished(number, State.CANCELLED) for number in range(3)), a_job())
    assert is_seen()
    committed(another, a_job().to(State.MATCHED, at=NOON))
    assert is_seen()
    another.archive_finished(LATER)
    assert len(kept.jobs_kept()) == 1
    assert is_seen()
    committed(another, finished(1, State.CANCELLED).to(State.WAITING, at=LATER))
    assert len(kept.jobs_kept()) == 2
    assert is_seen()
