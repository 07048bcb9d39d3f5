"""Figures of contour QA, read by Prometheus' own parser."""

from datetime import timedelta

from prometheus_client.parser import text_string_to_metric_families

from drawcli.adapters.state.qa_summary import write_summary
from drawcli.core.qa.summary import QaSummary, VersionChange
from drawcli.operations.metrics import metrics_text
from drawcli.operations.qa.metrics import MOST_CHARTS
from drawcli.pipeline.context import Context
from tests.conftest import NOON, Clock
from tests.operations.qa.cases import job
from tests.operations.qa.summaries import chart_of, summary_with


def figures(ctx: Context, summary: QaSummary | None = None) -> dict[tuple[str, ...], float]:
    """Return each figure of QA by its name and label values."""
    if summary is not None:
        write_summary(ctx.settings.state_dir, summary)
    return {
        (sample.name.removeprefix("drawcli_qa_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(metrics_text(ctx))
        for sample in family.samples
        if sample.name.startswith("drawcli_qa")
    }


def test_a_site_without_contour_qa_has_no_figures_of_it(ctx: Context) -> None:
    assert figures(ctx) == {}


def test_states_limits_and_last_figures_of_each_chart(ctx: Context) -> None:
    charts = [
        chart_of("Bladder", state="investigate"),
        chart_of("Bladder", "hd95_mm", state="watch"),
        chart_of("Rectum", state="routine"),
        chart_of("Prostate", state="new", centre=None, lower=None, upper=None, n=3),
    ]

    found = figures(ctx, summary_with(*charts))

    states = [found["state", "Prostate_OAR", one.roi, one.metric] for one in charts]
    assert states == [3, 2, 1, 0]
    of_bladder = ("Prostate_OAR", "Bladder", "dice")
    names = ("cases", "last", "centre", "lower_limit", "upper_limit")
    assert [found[name, *of_bladder] for name in names] == [40, 0.9, 0.92, 0.85, 0.97]
    assert ("centre", "Prostate_OAR", "Prostate", "dice") not in found
    assert [found["charts", state] for state in ("new", "watch", "investigate")] == [1, 1, 1]


def test_pairs_ages_and_changes_are_figures(ctx: Context, clock: Clock) -> None:
    change = VersionChange(at=NOON, template="Breast", kind="drawcli", text="")
    pairs = {"compared": 12, "missing": 2}
    summary = summary_with(pairs=pairs, oldest_unpaired=NOON, changes=(change,))
    clock.advance(days=2)

    found = figures(ctx, summary)

    assert (found["pairs", "compared"], found["pairs", "missing"]) == (12, 2)
    assert found["oldest_unpaired_seconds",] == 2 * 86_400
    assert found["version_changed_timestamp_seconds", "Breast"] == NOON.timestamp()
    assert found["charts_timestamp_seconds",] == NOON.timestamp()


def test_however_many_charts_there_are_the_urgent_ones_have_figures(ctx: Context) -> None:
    many = [chart_of(f"ROI{n}") for n in range(MOST_CHARTS + 50)]

    found = figures(ctx, summary_with(*many, chart_of("Last", state="investigate")))

    assert sum(key[0] == "state" for key in found) == MOST_CHARTS
    assert found["state", "Prostate_OAR", "Last", "dice"] == 3
    assert (found["charts", "routine"], found["charts", "investigate"]) == (MOST_CHARTS + 50, 1)


def test_no_figure_of_contours_names_a_job(ctx: Context) -> None:
    write_summary(ctx.settings.state_dir, summary_with(chart_of(state="investigate")))

    assert job(1) not in metrics_text(ctx)


def test_labels_with_quotes_and_line_breaks_are_read_back(ctx: Context) -> None:
    name = 'Blad"der\n\\'

    found = figures(ctx, summary_with(chart_of(name), at=NOON - timedelta(days=1)))

    assert ("state", "Prostate_OAR", name, "dice") in found


def test_templates_with_a_changed_golden_case_have_a_figure(ctx: Context) -> None:
    found = figures(ctx, summary_with(chart_of(), golden=("Breast",)))

    assert found["golden_changed", "Breast"] == 1
    assert found["golden_changed", "Prostate_OAR"] == 0
