"""The small file that status, alarms, metrics and the page read."""

import json
import os
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest

from drawcli.adapters.state.golden_store import GoldenStore
from drawcli.adapters.state.qa_records import QaRecords
from drawcli.adapters.state.qa_summary import read_summary, write_summary
from drawcli.core.qa.golden import GoldenCase, GoldenOutcome, GoldenResult
from drawcli.core.qa.records import PairRecord, PairStatus
from drawcli.core.qa.summary import QaSummary
from drawcli.operations.qa import summarize
from drawcli.operations.qa.site_charts import RoiCharts, site_charts
from drawcli.operations.qa.summarize import summary_of, update_summary
from tests.conftest import NOON, Site
from tests.operations.qa.cases import at, cases, record

LATER = NOON + timedelta(days=30)

CHARTS = "drawcli.operations.qa.site_charts"


def summary(*records: object) -> QaSummary:
    pairs = list(records)
    return summary_of(site_charts(pairs, ("dice",), 30), pairs, LATER)  # type: ignore[arg-type]


def test_a_summary_has_states_cases_limits_and_signals() -> None:
    made = summary(*cases(0, 60), *cases(60, 12, dice=0.86))

    (chart,) = made.charts
    assert (chart.state, chart.n, chart.missing) == ("investigate", 72, 0)
    assert chart.lower < chart.centre < chart.upper  # type: ignore[operator]
    assert chart.last < chart.centre  # type: ignore[operator]
    assert chart.signals
    assert made.states() == {"investigate": 1}
    assert made.noted() == [chart]


def test_pairs_are_counted_and_the_oldest_without_a_clinical_set_is_known() -> None:
    closed = replace(record(1), status=PairStatus.CLOSED)
    missing = replace(record(5), status=PairStatus.MISSING)
    waiting = replace(record(3), status=PairStatus.WAITING)

    made = summary(closed, missing, waiting, *cases(10, 2))

    assert made.pairs == {"compared": 2, "waiting": 1, "missing": 1, "closed": 1}
    assert made.oldest_unpaired == at(3)
    assert summary(*cases(0, 3)).oldest_unpaired is None


def test_a_summary_is_read_as_it_was_written(site: Site) -> None:
    made = summary(*cases(0, 90), *cases(90, 12, dice=0.86, catalogue_digest="second"))

    write_summary(site.state, made)

    assert read_summary(site.state) == made
    assert made.changes
    assert (site.state / "qa" / "summary.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("text", ["", "[]", "{}", "7", '{"at": "now"}', '{"at": 7, "charts": [1]}'])
def test_without_a_summary_that_can_be_read_nothing_is_known(site: Site, text: str) -> None:
    assert read_summary(site.state) is None

    path = site.state / "qa" / "summary.json"
    path.parent.mkdir()
    path.write_text(text)

    assert read_summary(site.state) is None


def test_a_summary_of_a_later_version_is_read() -> None:
    plain = summary(*cases(0, 30)).as_plain()
    plain["of a later version"] = plain["charts"][0]["also"] = 1

    assert QaSummary.from_plain(json.loads(json.dumps(plain))).charts

    plain["charts"][0]["state"] = "of a later version"
    with pytest.raises(ValueError, match="no state of a chart"):
        QaSummary.from_plain(plain)


def test_the_summary_is_made_again_only_if_there_are_new_records(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = QaRecords(site.state)
    book.add(cases(0, 3))
    first = update_summary(site.settings(), NOON)
    with monkeypatch.context() as patch:
        patch.setattr(f"{CHARTS}.site_charts", lambda *_: pytest.fail("made again"))
        assert update_summary(site.settings(), LATER) == first
    book.add(cases(3, 1))

    second = update_summary(site.settings(), LATER)

    assert [chart.n for chart in second.charts] == [4] * 5
    assert (second.at, read_summary(site.state)) == (LATER, second)


def test_only_the_charts_of_templates_with_new_records_are_made_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = QaRecords(site.state)
    book.add([*cases(0, 3), *cases(0, 3, roi="Heart", template="Breast", drawcli="1.1.0")])
    update_summary(site.settings(), NOON)
    made = []

    def noted(records: Iterable[PairRecord], *more: object) -> list[RoiCharts]:
        every = list(records)
        made.append({one.template for one in every})
        return site_charts(every, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(f"{CHARTS}.site_charts", noted)
    news = replace(record(9), status=PairStatus.MISSING, template="Breast", drawcli="1.2.0")
    book.add([news, *cases(20, 1, roi="Heart", template="Breast")])
    step_by_step = update_summary(site.settings(), LATER)
    (site.state / "qa" / "summary.json").unlink()
    at_once = update_summary(site.settings(), LATER)

    assert made == [{"Breast"}, {"Breast"}, {"Prostate_OAR"}]
    assert step_by_step == at_once
    assert step_by_step.pairs == {"compared": 7, "missing": 1}
    assert [change.text for change in step_by_step.changes] == ["drawcli 1.1.0 to 1.2.0"]


@pytest.mark.parametrize(
    "change",
    ["qa: {charts: [dice]}", "qa: {baseline: 40}", "qa: {limits: limits.yaml}"],
)
def test_other_settings_make_all_charts_again(site: Site, change: str) -> None:
    by_hand = "{centre: 0.98, limit: 0.95, reason: audit}"
    (site.folder / "limits.yaml").write_text(f"Prostate_OAR: {{Bladder: {{dice: {by_hand}}}}}")
    QaRecords(site.state).add(cases(0, 3))
    first = update_summary(site.settings(), NOON)
    site.add_line(change)

    second = update_summary(site.settings(), NOON)

    assert second.charts != first.charts


def test_limits_by_hand_are_read_again_when_their_file_changes(site: Site) -> None:
    path = site.folder / "limits.yaml"
    site.add_line("qa: {limits: limits.yaml}")
    QaRecords(site.state).add(cases(0, 3))
    centres = []
    for centre in (0.98, 0.97):
        path.write_text(
            f"Prostate_OAR: {{Bladder: {{dice: {{centre: {centre}, limit: 0.95, reason: a}}}}}}"
        )
        centres.append(update_summary(site.settings(), NOON).charts[0].centre)

    assert centres == [pytest.approx(0.98), pytest.approx(0.97)]


def test_an_older_copy_of_the_records_makes_all_charts_again(site: Site) -> None:
    QaRecords(site.state).add(cases(0, 5))
    update_summary(site.settings(), NOON)
    path = site.state / "qa" / "pairs.jsonl"
    copy = path.with_name("copy")
    copy.write_bytes(b"\n".join(path.read_bytes().split(b"\n")[:4]))
    copy.rename(path)

    assert [chart.n for chart in update_summary(site.settings(), NOON).charts] == [3] * 5


def test_the_last_record_of_a_job_counts(site: Site) -> None:
    book = QaRecords(site.state)
    book.add([replace(record(1), status=PairStatus.MISSING)])
    missing = update_summary(site.settings(), NOON)
    book.add(cases(1, 1))

    assert missing.pairs == {"missing": 1}
    assert missing.oldest_unpaired == at(1)
    assert update_summary(site.settings(), NOON).pairs == {"compared": 1}


def test_a_summary_names_no_place_on_the_disk(site: Site) -> None:
    QaRecords(site.state).add(cases(0, 3))

    update_summary(site.settings(), NOON)

    assert os.fspath(site.folder) not in (site.state / "qa" / "summary.json").read_text()


def golden_case() -> GoldenCase:
    facts = {"models": (1,), "zip_sha256": "", "zip_bytes": 1, "template_digest": ""}
    return GoldenCase(id="c" * 12, template="Breast", added_at=NOON, **facts)  # type: ignore[arg-type]


def test_a_golden_case_that_changed_is_in_the_summary_until_it_is_accepted(site: Site) -> None:
    store, case = GoldenStore(site.state), golden_case()
    store.add(case)
    found = []
    for outcome in (GoldenOutcome.CHANGED, GoldenOutcome.ACCEPTED):
        store.note(GoldenResult(at=NOON, case=case.id, template="Breast", outcome=outcome))
        found.append(update_summary(site.settings(), NOON).golden)

    assert found == [("Breast",), ()]


def test_a_golden_case_that_is_removed_leaves_the_summary(site: Site) -> None:
    store, case = GoldenStore(site.state), golden_case()
    store.add(case)
    changed = GoldenOutcome.CHANGED
    store.note(GoldenResult(at=NOON, case=case.id, template="Breast", outcome=changed))
    before = update_summary(site.settings(), NOON).golden
    store.remove(case.id)

    assert (before, update_summary(site.settings(), NOON).golden) == (("Breast",), ())


def test_a_site_without_records_writes_its_summary_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = update_summary(site.settings(), NOON)
    monkeypatch.setattr(summarize, "write_summary", lambda *_: pytest.fail("written again"))

    assert update_summary(site.settings(), LATER) == first


def test_records_that_were_restored_in_place_are_read_from_the_beginning(site: Site) -> None:
    records = QaRecords(site.state)
    records.add(cases(0, 40))
    update_summary(site.settings(), LATER)
    whole = records.path.read_bytes()
    records.path.write_bytes(whole[: len(whole) // 2])  # the same inode
    records.add([record(50)])

    made = update_summary(site.settings(), LATER)

    assert made.pairs["compared"] == len(records.by_job()) < 40


def test_one_damaged_record_does_not_take_the_charts_of_the_others(site: Site) -> None:
    records = QaRecords(site.state)
    records.add(cases(0, 40))
    (bad,) = cases(50, 1)
    plain = bad.as_plain()
    plain["structures"][0]["dice"] = float("nan")
    with records.path.open("a") as stream:
        stream.write("\n" + json.dumps(plain))

    assert [chart.n for chart in update_summary(site.settings(), LATER).charts][:1] == [40]


@pytest.mark.parametrize(
    "wrong",
    [
        {"at": 3},
        {"at": "2026-11-01T00:00:00"},
        {"changes": [{"at": 3, "template": "T", "kind": "golden", "text": "x"}]},
        {"templates": [{"template": "T", "pairs": {"missing": "many"}}]},
        {"templates": [{"template": "T", "pairs": {}, "oldest_unpaired": "2026-11-01"}]},
    ],
)
def test_a_summary_with_another_type_of_value_is_none(site: Site, wrong: dict[str, object]) -> None:
    write_summary(site.state, summary(*cases(0, 3)))
    path = site.state / "qa" / "summary.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | wrong))

    assert read_summary(site.state) is None


def test_a_summary_that_is_nested_without_end_is_none(site: Site) -> None:
    write_summary(site.state, summary())
    (site.state / "qa" / "summary.json").write_text("[" * 100_000)

    assert read_summary(site.state) is None
