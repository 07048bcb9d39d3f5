from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawcli.core.group.site_summary import SiteSummary

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


def told(**data: Any) -> dict[str, Any]:
    return {"command": "status", "data": data}


def test_held_jobs_are_counted_by_reason_from_the_list_of_jobs_or_as_told() -> None:
    jobs = [{"held": True, "reason_code": "gate"}, {"held": True}, {"held": False}]

    assert SiteSummary.of(told(jobs=jobs), NOON).held == {"gate": 1, "unknown": 1}
    assert SiteSummary.of(told(held_reasons={"gate": 3}, jobs=jobs), NOON).held == {"gate": 3}
    assert SiteSummary.of(told(held=2), NOON).held == {"held": 2}


def test_what_is_unknown_is_left_out() -> None:
    odd = told(
        counts={"found": 2, "teleported": 5, "done": -1, "matched": True},
        held_reasons={"<script>": 1, "x" * 99: 1, "gate": 1},
        verdict={"level": "great", "headline": "two\nlines\x1b[31m" + "x" * 500},
        last_run={"ended": "yesterday"},
    )
    summary = SiteSummary.of(odd, NOON)

    assert summary.counts == {"found": 2}
    assert summary.held == {"gate": 1}
    assert summary.level == ""
    assert summary.headline.isprintable()
    assert len(summary.headline) == 300
    assert summary.last_run is None


@pytest.mark.parametrize(
    ("at", "ended", "silent"),
    [
        (timedelta(), timedelta(minutes=5), False),
        (timedelta(hours=3), timedelta(hours=3), True),
        (timedelta(), timedelta(hours=3), True),  # it reports, but runs nothing
        (timedelta(), None, False),
    ],
)
def test_a_site_without_news_or_runs_is_silent(
    at: timedelta, ended: timedelta | None, *, silent: bool
) -> None:
    last = None if ended is None else {"ended": (NOON - ended).isoformat()}
    summary = SiteSummary.of(told(at=(NOON - at).isoformat(), last_run=last), NOON)

    assert summary.is_silent(NOON, timedelta(hours=2)) is silent


def test_a_time_in_the_future_does_not_keep_a_site_from_falling_silent() -> None:
    ahead = told(at=(NOON + timedelta(days=400)).isoformat())

    assert SiteSummary.of(ahead, NOON - timedelta(hours=5)).is_silent(NOON, timedelta(hours=2))


@given(JSON, JSON)
def test_any_json_is_read_or_refused(plain: Any, data: Any) -> None:
    for one in (plain, {"command": "status", "data": data}, told(counts=data, jobs=data)):
        try:
            summary = SiteSummary.of(one, NOON)
        except ValueError:
            continue
        assert summary.told_at <= NOON
        assert all(count > 0 for count in (*summary.counts.values(), *summary.held.values()))
