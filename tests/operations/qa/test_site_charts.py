"""From the records of a site to its control charts."""

from dataclasses import replace

from drawcli.core.qa.charts import ChartState, baseline_limits, limits_by_hand
from drawcli.core.qa.outcomes import ContourOutcome
from drawcli.core.qa.records import PairStatus
from drawcli.operations.qa.site_charts import RoiCharts, site_charts
from tests.operations.qa.cases import at, cases, edited, job, record

DICE = ("dice",)


def only(charts: list[RoiCharts]) -> RoiCharts:
    (found,) = charts
    return found


def test_each_template_roi_and_metric_has_a_chart_in_a_fixed_order() -> None:
    records = [
        record(1, edited("Rectum", 0.9), edited("Bladder", 0.8)),
        record(2, edited("Bladder", 0.7), template="Breast"),
    ]

    charts = site_charts(records, ("hd95_mm", "dice"), 30)

    assert [(one.template, one.roi, one.metric) for one in charts] == [
        ("Breast", "Bladder", "hd95_mm"),
        ("Breast", "Bladder", "dice"),
        ("Prostate_OAR", "Bladder", "hd95_mm"),
        ("Prostate_OAR", "Bladder", "dice"),
        ("Prostate_OAR", "Rectum", "hd95_mm"),
        ("Prostate_OAR", "Rectum", "dice"),
    ]
    assert charts[1].present.points[0].value == 0.7


def test_cases_are_in_order_of_delivery_not_of_comparison() -> None:
    late, early = record(9, edited("Bladder", 0.9)), record(3, edited("Bladder", 0.8))

    chart = only(site_charts([late, early], DICE, 30))

    assert [(p.at, p.job, p.value) for p in chart.present.points] == [
        (at(3), job(3), 0.8),
        (at(9), job(9), 0.9),
    ]


def test_only_structures_with_contours_in_both_sets_are_charted() -> None:
    outcomes = {outcome: edited(str(outcome), 0.9, outcome=outcome) for outcome in ContourOutcome}
    waiting = replace(record(2, edited("Bladder", 0.5)), status=PairStatus.WAITING)
    nothing = record(3, replace(edited("Rectum", 0.5), dice=None))

    charts = site_charts([record(1, *outcomes.values()), waiting, nothing], DICE, 30)

    assert [one.roi for one in charts] == ["edited", "redrawn", "renamed", "untouched"]


def test_until_the_baseline_is_complete_a_chart_is_new() -> None:
    before = only(site_charts(cases(0, 29), DICE, 30))
    after = only(site_charts(cases(0, 30), DICE, 30))

    assert (before.state, before.present.missing, before.summary().missing) == ("new", 1, 1)
    assert (after.state, after.present.missing) == ("routine", 0)
    assert after.present.limits
    assert after.summary().limits_from == "baseline"


def test_a_lasting_change_within_a_version_is_to_be_investigated() -> None:
    records = [*cases(0, 60), *cases(60, 12, dice=0.86)]

    chart = only(site_charts(records, DICE, 30))

    assert chart.state is ChartState.INVESTIGATE
    assert chart.signals[0].job == job(71)
    assert {"run"} <= {signal.rule for signal in chart.signals}


def test_a_state_returns_to_routine_when_later_cases_are_as_before() -> None:
    records = [*cases(0, 60), *cases(60, 12, dice=0.86), *cases(72, 60)]

    chart = only(site_charts(records, DICE, 30))

    assert chart.present.signals
    assert (chart.state, chart.signals) == (ChartState.ROUTINE, ())


def test_a_change_of_the_model_starts_a_new_baseline_and_is_found_within_a_month() -> None:
    old = [*cases(0, 90)]
    new = [*cases(90, 12, dice=0.86, catalogue_digest="second")]

    chart = only(site_charts([*old, *new], DICE, 30))

    assert [len(version.points) for version in chart.charts] == [90, 12]
    assert (chart.present.state, chart.present.missing) == (ChartState.NEW, 18)
    assert chart.state is ChartState.INVESTIGATE
    (signal,) = chart.signals
    assert (signal.rule, signal.job, signal.better) == ("version", job(101), False)
    assert [(change.kind, change.at) for change in chart.changes] == [("catalogue", at(90))]


def test_a_new_version_that_draws_the_same_is_routine_work() -> None:
    records = [*cases(0, 90), *cases(90, 12, drawcli="1.3.0")]

    chart = only(site_charts(records, DICE, 30))

    assert chart.state is ChartState.ROUTINE
    assert chart.signals == ()
    assert [change.text for change in chart.changes] == ["drawcli 1.2.0 to 1.3.0"]


def test_after_a_month_a_version_is_judged_by_its_own_limits() -> None:
    old, new = [*cases(0, 90)], [*cases(90, 200, dice=0.86, catalogue_digest="second")]

    month = only(site_charts([*old, *new[:180]], DICE, 30))  # 30 days
    later = only(site_charts([*old, *new], DICE, 30))

    assert month.state is ChartState.INVESTIGATE
    assert (month.is_new, later.is_new) == (True, False)
    assert later.state is not ChartState.INVESTIGATE


def test_a_version_is_compared_with_the_latest_that_had_enough_cases() -> None:
    few = [*cases(90, 3, dice=0.86, drawcli="1.3.0")]
    records = [*cases(0, 90), *few, *cases(93, 12, dice=0.86, drawcli="1.4.0")]

    assert only(site_charts(records, DICE, 30)).state is ChartState.INVESTIGATE


def test_the_version_of_the_latest_case_is_the_present_one_also_after_a_way_back() -> None:
    records = [
        *cases(0, 40),
        *cases(40, 10, catalogue_digest="second"),
        *cases(50, 5),
    ]

    chart = only(site_charts(records, DICE, 30))

    assert [len(version.points) for version in chart.charts] == [10, 45]
    assert [change.at for change in chart.changes] == [at(40), at(50)]


def test_a_patch_release_changes_no_chart() -> None:
    records = [*cases(0, 5), *cases(5, 5, drawcli="1.2.1")]

    chart = only(site_charts(records, DICE, 30))

    assert len(chart.charts) == 1
    assert chart.changes == ()


def test_changes_belong_to_the_template_that_has_them() -> None:
    records = [
        *cases(0, 5),
        *cases(5, 5, template_digest="other"),
        *cases(0, 10, template="Breast"),
    ]

    breast, prostate = site_charts(records, DICE, 30)

    assert breast.changes == ()
    assert [change.kind for change in prostate.changes] == ["template"]


def test_given_limits_take_the_place_of_a_baseline() -> None:
    by_hand = limits_by_hand("dice", 0.98, 0.95, "the consensus of 2026")

    chart = only(
        site_charts(cases(0, 3), DICE, 30, given=lambda *key: by_hand if "dice" in key else None)
    )

    assert chart.present.missing == 0
    assert chart.summary().limits_from == "by hand"
    assert chart.state is ChartState.INVESTIGATE


def test_a_version_that_was_commissioned_is_not_compared_with_the_one_before() -> None:
    values = [one.structures[0].dice for one in cases(500, 30, dice=0.86)]
    accepted = baseline_limits(filter(None, values), "dice", "commissioning")
    new = [*cases(90, 12, dice=0.86, catalogue_digest="second")]
    version = new[0].version

    chart = only(
        site_charts(
            [*cases(0, 90), *new], DICE, 30, lambda *key: accepted if version in key else None
        )
    )

    assert chart.summary().limits_from == "commissioning"
    assert (chart.state, chart.signals) == (ChartState.ROUTINE, ())


def test_a_catalogue_that_becomes_known_is_not_told_as_a_new_model() -> None:
    records = [*cases(0, 3, catalogue_digest=""), *cases(3, 3), *cases(6, 3, catalogue_digest="")]

    changes = only(site_charts(records, DICE, 30)).changes

    assert [change.text for change in changes] == [
        "the server's catalogue is known from here on; before, drawcli had not read it",
        "the server's catalogue entry of the models is not known any more",
    ]
