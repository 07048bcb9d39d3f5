"""What a span of deliveries says about contours."""

import json
import re
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from drawcli.adapters.state.golden_store import GoldenStore
from drawcli.adapters.state.qa_records import QaRatings, QaRecords
from drawcli.core.qa.golden import GoldenCase, GoldenOutcome, GoldenResult
from drawcli.core.qa.outcomes import ContourOutcome, StructureComparison
from drawcli.core.qa.ratings import Edit, Rating, RatingSource
from drawcli.core.qa.records import PairRecord, PairStatus
from drawcli.operations.qa.document import as_html
from drawcli.operations.qa.report import COLUMNS, QaReport, Quartiles, read_report
from drawcli.operations.qa.report_document import document_of
from drawcli.operations.qa.report_text import noted_text, sections
from drawcli.operations.qa.summarize import update_summary
from tests.conftest import NOON, Site
from tests.operations.qa.cases import at, cases, edited, job, record

LATER = NOON + timedelta(days=60)


def reported(
    site: Site, *records: PairRecord, since: datetime = NOON, template: str | None = None
) -> QaReport:
    return read_report(records, site.settings(), since, LATER, template)


def test_median_and_middle_half_are_interpolated() -> None:
    assert Quartiles.of([1.0, 2.0, 3.0, 4.0, 9.0]) == Quartiles(3.0, 2.0, 4.0)
    assert Quartiles.of([2.5]) == Quartiles(2.5, 2.5, 2.5)
    assert Quartiles.of([]) is None


def test_structures_are_counted_by_what_was_done_to_them(site: Site) -> None:
    kinds = [
        *[ContourOutcome.UNTOUCHED] * 2,
        ContourOutcome.RENAMED,
        *[ContourOutcome.EDITED] * 4,
        *[ContourOutcome.REDRAWN] * 3,
        *[ContourOutcome.EMPTIED] * 2,
    ]
    records = [record(n, edited("Bladder", 0.9, outcome=kind)) for n, kind in enumerate(kinds)]

    (row,) = reported(site, *records).structures

    assert (row.untouched, row.edited, row.redrawn, row.n) == (3, 4, 3, 10)
    assert row.shares() == (30, 40, 30)
    assert row.others == {"emptied": 2}


@pytest.mark.parametrize("n", [3, 6, 7, 9])
def test_shares_add_up_to_a_hundred(site: Site, n: int) -> None:
    kinds = [ContourOutcome.UNTOUCHED, ContourOutcome.EDITED, ContourOutcome.REDRAWN] * 3
    records = [record(i, edited("Bladder", 0.9, outcome=kinds[i])) for i in range(n)]

    (row,) = reported(site, *records).structures

    assert sum(row.shares()) == 100
    assert min(row.shares()) >= 0


def test_figures_are_those_of_contours_in_both_sets_delivered_in_the_time(site: Site) -> None:
    values = [0.7, 0.8, 0.9]
    records = [record(10 + n, edited("Bladder", dice)) for n, dice in enumerate(values)]
    before = record(1, edited("Bladder", 0.1))
    emptied = record(20, edited("Bladder", 0.2, outcome=ContourOutcome.EMPTIED))

    (row,) = reported(site, before, emptied, *records, since=at(10)).structures

    assert row.figures["dice"] == Quartiles(0.8, 0.75, 0.85)
    assert row.figures["hd95_mm"] == Quartiles(8.0, 6.0, 10.0)
    assert row.cases == 4  # of the chart, which knows all times
    assert row.state == "new"


def test_the_urgent_structures_come_first_within_their_template(site: Site) -> None:
    bad = [*cases(0, 60), *cases(60, 12, dice=0.86)]
    good = [replace(one, structures=(edited("Anal_Canal", 0.9), *one.structures)) for one in bad]

    rows = reported(site, *good, *cases(0, 5, template="Breast")).structures

    assert [(row.template, row.roi, row.state) for row in rows] == [
        ("Breast", "Bladder", "new"),
        ("Prostate_OAR", "Bladder", "investigate"),
        ("Prostate_OAR", "Anal_Canal", "routine"),
    ]


def test_one_template_can_be_reported_alone(site: Site) -> None:
    both = [*cases(0, 5), *cases(0, 3, template="Breast")]

    made = reported(site, *both, template="Breast")

    assert [(row.template, row.n) for row in made.structures] == [("Breast", 3)]
    assert made.pairs == {"compared": 3}


def test_pairs_that_were_not_compared_are_listed_by_status_and_reason(site: Site) -> None:
    unclear = replace(record(1), status=PairStatus.UNCLEAR, note="2 sets, none approved")
    missing = [replace(record(n), status=PairStatus.MISSING) for n in range(20, 32)]

    made = reported(site, unclear, *missing, record(40, edited("Bladder", 0.9)))
    text = dict(sections(made))["not compared"]

    assert text[0] == f"1 where the clinical set is unclear (2 sets, none approved): {job(1)}"
    assert text[1].startswith("12 without a clinical set: ")
    assert text[1].endswith(f"{job(29)} and 2 more")
    assert [one["job"] for one in made.as_plain()["unpaired"]][:2] == [job(1), job(20)]


def test_structures_of_the_clinical_set_alone_are_no_rows(site: Site) -> None:
    added = StructureComparison(name="PTV", outcome=ContourOutcome.ADDED)
    records = [record(n, edited("Bladder", 0.9), added, unpaired=2) for n in range(3)]

    made = reported(site, *records)

    assert [row.roi for row in made.structures] == ["Bladder"]
    assert made.added == {"PTV": 3}
    assert made.unlisted == 6
    assert dict(sections(made))["in clinical sets only"][0] == "PTV (3)"


def test_a_change_of_the_model_is_told_with_what_it_did_also_after_its_first_month(
    site: Site,
) -> None:
    old, new = [*cases(0, 90)], [*cases(90, 250, dice=0.86, catalogue_digest="second")]

    made = reported(site, *old, *new)

    (row,) = made.structures
    assert row.state in ("routine", "watch")
    assert [one.at for one in made.changes] == [at(90)]
    (shift,) = made.shifts
    assert shift.startswith("Prostate_OAR Bladder, worse: mean Dice of the first ")
    assert "also surface Dice, HD95" in shift
    assert shift in dict(sections(made))["changes"]
    assert reported(site, *old, *new, since=at(200)).shifts == []


def test_in_its_first_month_a_change_is_a_signal_and_is_not_told_twice(site: Site) -> None:
    records = [*cases(0, 90), *cases(90, 12, dice=0.86, catalogue_digest="second")]

    made = reported(site, *records)

    assert made.shifts == []
    assert "mean Dice of the first 12 changed cases" in made.signals[0]


def test_signals_come_with_their_words_explained_and_with_the_commands_that_show_the_cases(
    site: Site,
) -> None:
    made = reported(site, *cases(0, 60), *cases(60, 12, dice=0.86))

    *_, changed, where = dict(sections(made))["signals of the charts"]
    assert noted_text(made) == "Prostate_OAR Bladder (investigate)"
    assert changed.startswith("a case is changed if")
    assert "'drawcli qa list --template Prostate_OAR'" in where
    assert f"'drawcli qa show {job(71)}'" in where
    assert "signals of the charts" not in dict(sections(reported(site, *cases(0, 60))))


def test_a_golden_case_that_came_back_changed_is_among_the_changes(site: Site) -> None:
    store = GoldenStore(site.state)
    facts = {"models": (1,), "zip_sha256": "", "zip_bytes": 1, "template_digest": ""}
    store.add(GoldenCase(id="c" * 12, template="Prostate_OAR", added_at=NOON, **facts))  # type: ignore[arg-type]
    store.note(
        GoldenResult(
            at=at(30), case="c" * 12, template="Prostate_OAR", outcome=GoldenOutcome.CHANGED
        )
    )

    made = reported(site, *cases(0, 60))

    (change,) = dict(sections(made))["changes"]
    assert "a golden case came back with other contours" in change


def test_ratings_of_the_time_have_a_line_for_each_template(site: Site) -> None:
    times = (NOON - timedelta(days=1), NOON + timedelta(days=1))
    QaRatings(site.state).add(
        Rating(
            series=f"{n:012x}",
            at=moment,
            source=RatingSource.COMMAND,
            template="Breast",
            overall=8,
            minutes=5.0,
            structures={"Heart": Edit.MINOR},
        )
        for n, moment in enumerate(times)
    )

    made = reported(site)

    assert dict(sections(made))["ratings"] == [
        "Breast: 1 rating; median 8 of 10; 5 min of editing; structures: 1 minor"
    ]


def test_every_structure_is_a_row_of_the_table_for_spreadsheets(site: Site) -> None:
    (row,) = reported(site, *cases(0, 3)).structures

    plain = row.as_row()

    assert tuple(plain) == COLUMNS
    assert plain["dice_q1"] <= plain["dice_median"] <= plain["dice_q3"]


def test_the_document_shows_one_chart_for_each_structure_the_urgent_first(site: Site) -> None:
    bad = [*cases(0, 60), *cases(60, 12, dice=0.86)]
    records = [replace(one, structures=(edited("Anal_Canal", 0.9), *one.structures)) for one in bad]

    html = as_html(document_of(reported(site, *records)))

    assert re.findall("<h3>(Prostate_OAR [^<]+)</h3>", html) == [
        "Prostate_OAR Bladder: Dice",
        "Prostate_OAR Anal_Canal: Dice",
    ]
    assert html.count("<svg") == 3  # with the monthly means of the first
    assert '<td class="bad">investigate</td>' in html
    assert "2026-11-14 to 2027-01-13" in html


def test_a_report_without_pairs_is_a_document_too(site: Site) -> None:
    html = as_html(document_of(reported(site)))

    assert "<svg" not in html
    assert "<dd>none</dd>" in html


def test_limits_that_were_set_by_hand_decide_the_state(site: Site) -> None:
    by_hand = "{centre: 0.98, limit: 0.95, reason: audit}"
    (site.folder / "limits.yaml").write_text(f"Prostate_OAR: {{Bladder: {{dice: {by_hand}}}}}")
    site.add_line("qa: {limits: limits.yaml}")

    (row,) = reported(site, *cases(0, 3)).structures

    assert row.state == "investigate"


def test_names_that_somebody_typed_in_the_planning_system_are_in_no_report(site: Site) -> None:
    typed = "Doe Jane 1950"
    renamed = edited("Bladder", 0.9, outcome=ContourOutcome.RENAMED, name_b=typed, note=typed)
    QaRecords(site.state).add(record(n, renamed) for n in range(3))

    made = reported(site, *QaRecords(site.state).by_job().values())
    update_summary(site.settings(), LATER)

    said = (
        json.dumps(made.as_plain()),
        as_html(document_of(made)),
        str(list(sections(made))),
        (site.state / "qa" / "summary.json").read_text(),
    )
    assert made.structures
    assert [typed in text for text in said] == [False] * 4
