"""Changed rules are tried on the series of the ledger: few trials at once, each can be stopped."""

from pathlib import Path
from threading import Event

import pytest

from drawcli.core.jobs.job import Job
from drawcli.core.rules.conditions import RuleHeader
from drawcli.dashboard.editing import trials
from drawcli.dashboard.editing.trials import HeaderCache, TrialRuns
from drawcli.dashboard.snapshot import SiteReader
from drawcli.pipeline.context import Context
from tests.conftest import Clock, Site, opened
from tests.fake_draw import FakeDraw
from tests.waiting import wait_until


@pytest.fixture
def shown(ctx: Context, site: Site, draw: FakeDraw, clock: Clock) -> SiteReader:
    return SiteReader(ctx, lambda: opened(site, draw, clock), site.config)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Event:
    """Let the reading of headers wait; return the event that lets it go on."""
    go_on = Event()

    def wait(*_given: object) -> RuleHeader:
        go_on.wait()
        return RuleHeader()

    monkeypatch.setattr(HeaderCache, "header", wait)
    return go_on


def test_a_trial_is_stopped_and_a_new_one_ends_the_earlier(
    shown: SiteReader, unmatched: Job, slow: Event
) -> None:
    runs, book = TrialRuns(shown), shown.rulebook()
    first = runs.start("ada", book, book)
    second = runs.start("ada", book, book)
    assert first is not None
    assert second is not None
    assert first.stop.is_set()
    second.stop.set()
    slow.set()

    wait_until(lambda: not first.runs and not second.runs)
    assert (first.state, second.state) == ("stopped", "stopped")
    assert unmatched.id


def test_no_more_trials_than_the_limit(shown: SiteReader, unmatched: Job, slow: Event) -> None:
    runs, book = TrialRuns(shown), shown.rulebook()
    running = [runs.start(name, book, book) for name in ("ada", "bo", "cy", "di")]
    slow.set()

    assert [one is not None for one in running] == [True, True, True, False]
    wait_until(lambda: all(one is None or not one.runs for one in running))
    assert unmatched.id


def test_older_series_than_the_limit_are_counted(
    shown: SiteReader, unmatched: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trials, "MOST_SERIES", 0)
    book = shown.rulebook()
    run = TrialRuns(shown).start("ada", book, book)
    assert run is not None

    wait_until(lambda: not run.runs)
    assert (run.done, run.older, run.untried) == (0, 1, 1)
    assert unmatched.id


def test_headers_are_read_once_and_kept_as_they_are(
    shown: SiteReader, unmatched: Job, pelvis: list[Path]
) -> None:
    headers = HeaderCache()
    read = headers.header(unmatched, shown)
    for path in pelvis:
        path.unlink()
    kept = headers.header(unmatched, shown)

    assert kept == read
    assert kept.mixed


def test_kept_headers_are_bounded(shown: SiteReader, unmatched: Job, pelvis: list[Path]) -> None:
    headers = HeaderCache(most_bytes=10)
    headers.header(unmatched, shown)
    for path in pelvis:
        path.unlink()

    with pytest.raises(Exception, match="cannot be read"):
        headers.header(unmatched, shown)
