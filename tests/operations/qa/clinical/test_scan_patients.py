"""Synthetic patients with structure sets of every kind: no wrong pair, every other set named."""

import pytest

from drawcli.adapters.state.qa_records import QaRecords
from drawcli.core.qa.records import PairRecord
from drawcli.operations.qa.clinical import pair as clinical_pair
from drawcli.operations.qa.clinical.scan import scan_pairs
from drawcli.pipeline.context import Context
from drawcli.pipeline.steps.scan import scan
from tests.conftest import Site
from tests.operations.qa.clinical.synthetic import KINDS, Case, add_cases


@pytest.mark.parametrize(
    "count",
    [pytest.param(len(KINDS), id="one of each"), pytest.param(200, marks=pytest.mark.sweep)],
)
def test_no_pair_is_wrong_and_every_other_set_is_named(
    ctx: Context, site: Site, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clinical_pair, "has_scipy", lambda: False)  # distances take the most time
    cases = add_cases(ctx, site.store, count)
    scan(ctx)

    scan_pairs(ctx)

    records = QaRecords(site.state).by_job()
    assert len(records) == count
    found = {_kind(case): _differences(case, records[case.job.id]) for case in cases}
    assert {kind: one for kind, one in found.items() if one} == {}


def _kind(case: Case) -> str:
    return f"{case.patient.number} {KINDS[case.patient.number % len(KINDS)].__name__}"


def _differences(case: Case, record: PairRecord) -> dict[str, object]:
    """Return what is found and expected, where they differ."""
    expected = case.expected
    chosen = "" if expected.chosen is None else case.digests[expected.chosen]
    outcomes = {str(one.outcome) for one in record.structures}
    found = {
        "status": (str(record.status), expected.status),
        "chosen": (record.b_sha256, chosen),
        "others": (record.passed_over, expected.others),
        "outcomes": (outcomes & expected.outcomes, expected.outcomes),
    }
    return {name: pair for name, pair in found.items() if pair[0] != pair[1]}
