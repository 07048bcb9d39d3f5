"""A site with records of quality assurance, as a scan leaves them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from drawcli.adapters.state.qa_records import QaRecords
from drawcli.core.qa.records import PairRecord
from drawcli.operations.qa.summarize import update_summary
from drawcli.pipeline.context import Context
from tests.operations.qa.cases import cases

Scanned = Callable[[Iterable[PairRecord]], None]
PAST = timedelta(days=200)


@pytest.fixture
def scanned(ctx: Context) -> Scanned:
    """Return a function that records pairs, and the summary, as a scan does."""

    def keep(records: Iterable[PairRecord]) -> None:
        QaRecords(ctx.settings.state_dir).add(records)
        update_summary(ctx.settings, ctx.now())

    return keep


def past(records: Iterable[PairRecord]) -> list[PairRecord]:
    """Return records of deliveries that are not in the future."""
    return [replace(one, delivered_at=one.delivered_at - PAST) for one in records]


def shifting() -> Iterator[PairRecord]:
    """Yield 60 cases of a version and 40 of another that is worse."""
    yield from past(cases(0, 60))
    yield from past(cases(60, 40, dice=0.8, catalogue_digest="second"))


@pytest.fixture
def shifted(scanned: Scanned) -> list[PairRecord]:
    """Record a structure whose model has changed for the worse."""
    records = list(shifting())
    scanned(records)
    return records
