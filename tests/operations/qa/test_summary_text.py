"""The summary of contour QA in words, and as alarms."""

from dataclasses import replace
from datetime import timedelta

from drawcli.core.qa.summary import VersionChange
from drawcli.operations.alarm_conditions import AlarmKind, title_of
from drawcli.operations.qa.summary_text import alarms, causes, lines, pairs_text
from tests.conftest import NOON
from tests.operations.qa.summaries import chart_of, signal, summary_with

LATER = NOON + timedelta(days=3)


def test_a_notice_names_each_structure_once_by_its_most_urgent_chart() -> None:
    summary = summary_with(
        chart_of("Bladder", "dice", "watch"),
        chart_of("Bladder", "hd95_mm", "investigate"),
        chart_of("Rectum", "dice", "watch"),
        chart_of("Prostate", "dice"),
    )

    assert summary.notice(LATER) == (
        "investigate Prostate_OAR Bladder; watch Prostate_OAR Rectum: 'drawcli qa report'"
    )


def test_where_all_is_routine_there_is_no_notice() -> None:
    assert summary_with(chart_of(), chart_of("Rectum", state="new")).notice(LATER) == ""


def test_a_long_notice_is_cut_and_an_old_one_has_its_date() -> None:
    summary = summary_with(*(chart_of(f"ROI{n}", state="watch") for n in range(5)))

    text = summary.notice(NOON + timedelta(days=8))

    assert "ROI2 and 2 more (as of 2026-11-14): 'drawcli" in text


def test_all_metrics_of_a_structure_with_the_same_rule_are_one_line() -> None:
    summary = summary_with(
        *(chart_of("Bladder", metric, "investigate") for metric in ("dice", "hd95_mm")),
        chart_of("Rectum", "dice", "watch"),
    )

    (text,) = causes(summary, "investigate")
    sentence = "9 changed cases in a row are worse than the centre 0.921"
    assert text == f"investigate: Prostate_OAR Bladder, Dice: {sentence}; also HD95"


def test_what_a_chart_says_twice_by_one_rule_is_told_once_and_other_rules_too() -> None:
    chart = chart_of("Bladder", "dice", "investigate")
    weaker = replace(chart.signals[0], state="watch")
    other = replace(weaker, rule="month", text="mean of June")

    texts = causes(
        summary_with(replace(chart, signals=(weaker, *chart.signals, other))),
        "investigate",
        "watch",
    )

    assert [text.split(":")[0] for text in texts] == ["investigate", "watch"]
    assert texts[1].endswith("mean of June")


def test_each_chart_and_cause_is_an_alarm_of_its_own_and_lines_are_said_once() -> None:
    charts = [chart_of("Bladder", metric, "investigate") for metric in ("dice", "hd95_mm")]
    also = replace(charts[0], signals=(*charts[0].signals, signal("month", text="mean of June")))

    found = alarms(summary_with(also, charts[1]))

    assert [alarm.kind for alarm in found] == [AlarmKind.QA] * 3
    assert len({alarm.name for alarm in found}) == 3
    assert len({alarm.text for alarm in found}) == 2
    assert title_of(found) == "contours: 3 to investigate"


def test_an_alarm_keeps_its_name_while_its_cause_lasts() -> None:
    first = summary_with(chart_of(state="investigate"))
    later = signal(text="another sentence", at=LATER)
    second = summary_with(chart_of(state="investigate", n=60, signals=(later,)))
    new_version = summary_with(chart_of(state="investigate", version="ffffffffffff"))

    names = [[alarm.name for alarm in alarms(each)] for each in (first, second, new_version)]

    assert names[0] == names[1] != names[2]


def test_two_signals_of_a_rule_in_one_chart_are_one_alarm() -> None:
    twice = (signal("limit", text="later"), signal("limit", text="earlier"))

    assert len(alarms(summary_with(chart_of(state="investigate", signals=twice)))) == 1


def test_what_is_to_be_watched_is_an_alarm_of_another_kind_also_beside_something_urgent() -> None:
    both = (signal("run"), signal("trend", "watch", text="6 in a row"))

    found = alarms(summary_with(chart_of(state="investigate", signals=both)))

    assert [alarm.kind for alarm in found] == [AlarmKind.QA, AlarmKind.QA_WATCH]


def test_a_signal_towards_better_says_so() -> None:
    better = signal(state="watch", better=True)

    (text,) = causes(summary_with(chart_of(state="watch", signals=(better,))), "watch")

    assert text.endswith("0.921 (better)")


def test_pairs_are_counted_in_words() -> None:
    summary = summary_with(pairs={"compared": 1200, "missing": 3}, oldest_unpaired=NOON)

    text = pairs_text(summary, LATER)

    assert text == ("1,200 compared, 3 without a clinical set; the oldest without comparison: 3 d")
    assert pairs_text(summary_with(pairs={}), LATER) == "no delivered structure sets yet"


def test_a_digest_has_the_changes_since_the_last_one_only() -> None:
    old, new = (
        VersionChange(at=NOON + timedelta(days=d), template="Breast", kind="drawcli", text=f"{d}")
        for d in (0, 2)
    )
    summary = summary_with(chart_of(state="watch"), changes=(old, new))

    assert list(lines(summary, NOON + timedelta(days=1), LATER)) == [
        "40 compared",
        "2026-11-16, Breast: 2",
        "1 chart to watch: 'drawcli qa report'",
    ]


def test_golden_cases_that_changed_are_named_in_notice_and_digest() -> None:
    summary = summary_with(chart_of(state="watch"), golden=("Breast",))

    assert summary.notice(LATER).startswith("golden cases of Breast changed; watch Prostate")
    assert "golden cases of Breast came back changed: 'drawcli qa golden list'" in [
        *lines(summary, NOON, LATER)
    ]


def test_a_metric_of_a_later_version_is_named_as_it_is() -> None:
    charts = [chart_of(metric=metric, state="investigate") for metric in ("jaccard", "volume")]

    (text,) = {alarm.text for alarm in alarms(summary_with(*charts))}

    assert "Bladder, jaccard: 9 changed" in text
    assert text.endswith("also volume; 'drawcli qa report'")
