"""Warnings of a delivery are known until somebody has seen them, and once more after new ones."""

from dataclasses import replace
from datetime import timedelta

import pytest

from drawcli.core.jobs.job import Job, State
from drawcli.core.jobs.warned import CHECKS, SEEN, seen, unseen_warnings, with_findings
from drawcli.errors import UsageError
from tests.conftest import NOON

FETCHED = Job(id="0123456789ab-1", state=State.FETCHED, since=NOON)


def test_a_warning_counts_from_the_delivery_until_it_is_seen() -> None:
    warned = with_findings(FETCHED, NOON, ["Bladder is small", "Rectum has a gap"])
    delivered = warned.to(State.DELIVERED, at=NOON).noted(NOON, "warning: the second target")

    after = seen(delivered, at=NOON + timedelta(hours=1))
    later = with_findings(after, NOON, ["Bladder is large"])

    assert unseen_warnings(warned) == []
    assert unseen_warnings(delivered) == ["Bladder is small; Rectum has a gap", "the second target"]
    assert unseen_warnings(after) == []
    assert (after.events[-1].at, after.events[-1].what) == (NOON + timedelta(hours=1), SEEN)
    assert unseen_warnings(later) == ["Bladder is large"]


def test_the_same_findings_are_noted_once_and_none_not_at_all() -> None:
    once = with_findings(FETCHED, NOON, ["Bladder is small"])

    assert with_findings(once, NOON, ["Bladder is small"]) is once
    assert with_findings(FETCHED, NOON, []) is FETCHED
    assert once.events[-1].code == CHECKS


def test_only_warnings_that_nobody_has_seen_are_marked() -> None:
    for job in (FETCHED, replace(FETCHED, state=State.DONE).noted(NOON, "scanned again")):
        with pytest.raises(UsageError, match="no warnings") as refused:
            seen(job, at=NOON)
        lists = "'drawcli status --state warnings' lists the deliveries with warnings."
        assert refused.value.hint == lists
