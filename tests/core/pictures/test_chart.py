"""The pictures of control charts, read as a browser and a screen reader read them."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import sin
from xml.etree.ElementTree import Element, fromstring

import pytest

from drawcli.core.pictures.chart import CHART_STYLE, chart_picture
from drawcli.core.pictures.chart_axes import Scale
from drawcli.core.pictures.chart_months import months_picture
from drawcli.core.qa.charts import METRICS, Chart, ChartState, Limits, Month, Point, Signal, chart
from drawcli.core.qa.summary import VersionChange
from drawcli.operations.qa.document import LOOKS

BEGIN = datetime(2026, 1, 20, tzinfo=UTC)
HOSTILE = "<script>alert(1)</script> \"'&"


MODEL = VersionChange(
    at=BEGIN + timedelta(days=60), template="Pelvis", kind="template", text="the template changed"
)


def cases(count: int, *, middle: float = 0.9, begin: datetime = BEGIN) -> list[Point]:
    """Return a case a day, a tenth of them not changed."""
    return [
        Point(
            begin + timedelta(days=number),
            1.0 if number % 10 == 9 else round(middle + 0.02 * sin(number * 2.3), 4),
            f"{number:012x}-{begin.month}",
        )
        for number in range(count)
    ]


def of(points: list[Point], version: str = "first") -> Chart:
    return chart(points, metric="dice", roi="Bladder", template="Pelvis", version=version)


def parsed(svg: str) -> Element:
    """Read a picture strictly."""
    return fromstring(svg)  # noqa: S314 - our own text


def drawn(*charts: Chart, **facts: object) -> Element:
    facts = {"baseline": 30, "address": lambda case: f"/to/{case.job}"} | facts
    return parsed(chart_picture(charts, **facts))  # type: ignore[arg-type] # any


def of_class(svg: Element, name: str) -> list[Element]:
    return [one for one in svg.iter() if name in one.get("class", "").split()]


def places(svg: Element) -> Iterator[tuple[float, float]]:
    """Yield where each case is."""
    for mark in of_class(svg, "dot"):
        if mark.tag == "circle":
            yield float(mark.get("cx", "")), float(mark.get("cy", ""))
        else:
            x, y = mark.get("points", "").split()[0].split(",")
            yield float(x), float(y)  # the tip, above or below the place


def values(svg: Element) -> list[float]:
    """Return the figure of each case, measured with the scale of the picture."""
    ticks = [
        (float(text.text or ""), float(line.get("y1", "")))
        for line, text in zip(
            of_class(svg, "grid"),
            [one for one in svg.iter("text") if one.get("text-anchor") == "end"],
            strict=True,
        )
    ]
    (low, bottom), (high, top) = ticks[0], ticks[-1]
    return [low + (bottom - y) / (bottom - top) * (high - low) for _, y in places(svg)]


def test_every_case_is_at_the_height_of_its_figure_and_right_of_the_one_before() -> None:
    points = cases(60)

    svg = drawn(of(points))

    assert values(svg) == pytest.approx([case.value for case in points], abs=5e-4)
    across = [x for x, _ in places(svg)]
    assert all(before < after for before, after in pairwise(across))


def test_centre_and_limits_are_lines_at_their_figures() -> None:
    version = of(cases(60))
    limits = version.limits

    svg = drawn(version)

    assert limits is not None
    (centre,), both = of_class(svg, "centre"), of_class(svg, "limit")
    at = [float(line.get("y1", "")) for line in (centre, *both)]
    scale = Scale.of([*(case.value for case in version.points), limits.lower], "dice")
    assert at == pytest.approx(
        [scale.y(value) for value in (limits.centre, limits.lower, limits.upper)], abs=0.1
    )
    told = [text.text for text in svg.iter("text")]
    assert f"{limits.centre:.3f} centre" in told
    assert f"{limits.lower:.3f} limit" in told


def test_a_case_is_a_link_with_its_figure_in_words() -> None:
    points = cases(40)

    links = list(drawn(of(points)).iter("a"))

    assert [link.get("href") for link in links] == [f"/to/{case.job}" for case in points]
    assert links[0].get("aria-label") == f"2026-01-20: Dice {points[0].value:.3f}"
    assert links[9].get("aria-label") == "2026-01-29: Dice 1.000, not changed"


def test_a_case_that_is_not_changed_is_hollow() -> None:
    marks = of_class(drawn(of(cases(40))), "dot")

    hollow = [number for number, mark in enumerate(marks) if "best" in mark.get("class", "")]
    assert hollow == [9, 19, 29, 39]


def signalling(state: ChartState, *, better: bool = False) -> Chart:
    """Return a chart with one signal at its 35th case."""
    points = cases(60)
    found = chart(points, metric="dice")
    case = points[34]
    signal = Signal("limit", case.at, case.job, "beyond the limit", state, better, 34)
    return Chart(metric="dice", points=found.points, limits=found.limits, signals=(signal,))


@pytest.mark.parametrize(
    ("version", "name"),
    [
        (signalling(ChartState.INVESTIGATE), "bad"),
        (signalling(ChartState.WATCH), "watch"),
        (signalling(ChartState.WATCH, better=True), "good"),
    ],
)
def test_a_signal_has_a_shape_of_its_own_and_words(version: Chart, name: str) -> None:
    svg = drawn(version)

    (mark,) = of_class(svg, name)
    assert mark.tag == "polygon"
    assert list(places(svg))[34][0] == pytest.approx(56 + 34.5 * 800 / 60, abs=0.1)
    told = [link.get("aria-label", "") for link in svg.iter("a")]
    assert [number for number, text in enumerate(told) if "beyond the limit" in text] == [34]


def test_the_tab_key_stops_at_signals_and_at_the_last_case() -> None:
    links = list(drawn(signalling(ChartState.WATCH)).iter("a"))

    stops = [number for number, link in enumerate(links) if link.get("tabindex") != "-1"]
    assert stops == [34, 59]


def test_the_first_cases_of_a_version_are_shaded() -> None:
    svg = drawn(of(cases(60)))

    (shade,) = of_class(svg, "base")
    across = [x for x, _ in places(svg)]
    end = float(shade.get("x", "")) + float(shade.get("width", ""))
    assert across[29] < end < across[30]


def test_a_change_of_version_is_a_line_before_its_first_case_and_says_what_is_new() -> None:
    later = cases(40, middle=0.8, begin=BEGIN + timedelta(days=60))
    svg = drawn(of(cases(60)), of(later, "second"), changes=[MODEL])

    (line,) = of_class(svg, "change")
    across = [x for x, _ in places(svg)]
    assert across[59] < float(line.get("x1", "")) < across[60]
    assert "new template" in [text.text for text in svg.iter("text")]
    assert len(of_class(svg, "base")) == 2
    ends = [float(one.get("x2", "")) for one in of_class(svg, "centre")]
    assert ends[0] == pytest.approx(float(line.get("x1", "")))


def test_a_change_that_a_golden_case_has_found_is_a_line_within_a_version() -> None:
    facts = {"at": BEGIN + timedelta(days=40), "template": "Pelvis", "text": "it came back changed"}
    found = VersionChange(kind="golden", **facts)  # type: ignore[arg-type] # any
    both = [replace(MODEL, at=found.at), found]

    alone, together = drawn(of(cases(60)), changes=[found]), drawn(of(cases(60)), changes=both)

    (line,) = of_class(alone, "change")
    across = [x for x, _ in places(alone)]
    assert across[39] < float(line.get("x1", "")) < across[40]
    assert "golden case changed" in [text.text for text in alone.iter("text")]
    assert "new template, golden case changed" in [text.text for text in together.iter("text")]
    assert len(of_class(together, "change")) == 1


def test_a_long_chart_shows_the_latest_cases() -> None:
    later = cases(40, middle=0.8, begin=BEGIN + timedelta(days=60))
    first = cases(60)

    svg = drawn(of(first), of(later, "second"), changes=[MODEL], most=50)
    without_first = drawn(of(first), of(later, "second"), changes=[MODEL], most=30)

    links = [link.get("href") for link in svg.iter("a")]
    assert links == [f"/to/{case.job}" for case in [*first[50:], *later]]
    assert "the latest 50 of 100 cases" in svg.get("aria-label", "")
    assert len(of_class(svg, "base")) == 1  # the first 30 of the first version are not shown
    assert not of_class(without_first, "change")
    (shade,) = of_class(without_first, "base")
    across = [x for x, _ in places(without_first)]
    end = float(shade.get("x", "")) + float(shade.get("width", ""))
    assert across[19] < end < across[20]


def test_no_text_becomes_a_part_of_the_picture() -> None:
    later = BEGIN + timedelta(days=1)
    points = (Point(BEGIN, 0.9, "first"), Point(later, 0.9, HOSTILE))
    signal = Signal("limit", later, HOSTILE, HOSTILE)
    made = Chart(metric="dice", roi=HOSTILE, points=points, signals=(signal,))
    change = VersionChange(at=later, template=HOSTILE, kind=HOSTILE, text=HOSTILE)

    svg = drawn(made, changes=[change])

    assert {one.tag for one in svg.iter()}.isdisjoint({"script"})
    assert HOSTILE in svg.get("aria-label", "")
    _, link = svg.iter("a")
    assert link.get("href") == f"/to/{HOSTILE}"
    assert HOSTILE in link.get("aria-label", "")
    assert f"new {HOSTILE}" in [text.text for text in svg.iter("text")]


def test_a_version_that_comes_back_keeps_its_limits_and_the_order_of_time() -> None:
    middle = cases(40, middle=0.8, begin=BEGIN + timedelta(days=60))
    again = cases(20, begin=BEGIN + timedelta(days=120))

    svg = drawn(of([*cases(60), *again]), of(middle, "second"), most=200)

    links = [link.get("href", "").removeprefix("/to/") for link in svg.iter("a")]
    assert links == [case.job for case in [*cases(60), *middle, *again]]
    heights = [line.get("y1") for line in of_class(svg, "centre")]
    assert len(heights) == 3
    assert heights[0] == heights[2] != heights[1]
    assert len(of_class(svg, "base")) == 2


def test_limits_set_by_hand_come_from_no_cases() -> None:
    limits = Limits(0.9, 0.8, 0.95, 0.1, 0, "by hand", "commissioning")

    svg = drawn(chart(cases(40), metric="dice", limits=limits))

    assert not of_class(svg, "base")
    assert len(of_class(svg, "limit")) == 2


def test_figures_of_lines_close_to_each_other_do_not_cover_each_other() -> None:
    points = [Point(BEGIN, 0.5, "one"), Point(BEGIN, 1.0, "two")]
    near = Chart(metric="dice", points=tuple(points), limits=Limits(0.9, 0.899, 0.901, 0.1, 30))

    svg = drawn(near)

    texts = [one for one in svg.iter("text") if (one.text or "").endswith(("limit", "centre"))]
    heights = sorted(float(one.get("y", "")) for one in texts)
    assert all(after - before >= 14 for before, after in pairwise(heights))


def test_without_addresses_the_picture_is_one_image_with_a_description() -> None:
    svg = parsed(chart_picture([of(cases(40))], baseline=30))

    assert svg.get("role") == "img"
    assert "Dice of Bladder: 40 cases, centre 0.9" in svg.get("aria-label", "")
    assert not list(svg.iter("a"))


def test_a_chart_without_cases_has_no_picture() -> None:
    assert chart_picture([Chart(metric="dice")], baseline=30) == ""
    assert months_picture([Chart(metric="dice")]) == ""


@pytest.mark.parametrize("metric", METRICS)
def test_the_axis_of_every_metric_has_round_figures_and_room_for_equal_values(metric: str) -> None:
    best = METRICS[metric].best

    scale = Scale.of([best, best], metric)

    assert 3 <= len(scale.ticks) <= 7
    assert scale.low < scale.high
    assert scale.low <= best <= scale.high
    figures = [f"{tick:.{scale.decimals}f}" for tick in scale.ticks]
    assert len(set(figures)) == len(figures)


def months(*means: float, n: int = 8, first: int = 1) -> Chart:
    """Return a chart with limits of 0.85 to 0.95 for the mean of each month."""
    found = tuple(
        Month(f"2026-{number:02}", n, mean, 0.85, 0.95, 0.87, 0.93, n + 2)
        for number, mean in enumerate(means, start=first)
    )
    return Chart(metric="dice", roi="Bladder", limits=Limits(0.9, 0.7, 1.0, 0.1, 30), months=found)


def test_a_month_outside_its_limits_is_marked_and_told() -> None:
    svg = parsed(months_picture([months(0.9, 0.84, 0.96)]))

    marks = [one.get("class") for one in of_class(svg, "dot")]
    assert marks == ["dot", "dot bad", "dot good"]
    told = [one.text for one in svg.iter("title")]
    assert told[1] == (
        "2026-02: mean Dice 0.840 of 8 changed cases (10 in all), outside 0.850 to 0.950"
    )


def test_a_month_of_few_cases_is_not_marked() -> None:
    svg = parsed(months_picture([months(0.84, n=4)]))

    assert not of_class(svg, "bad")


def test_the_latest_months_are_shown_and_a_version_begins_with_a_line() -> None:
    svg = parsed(months_picture([months(0.9, 0.91, 0.92), months(0.88, first=4)], most=3))

    assert [(one.text or "")[:23] for one in svg.iter("title")] == [
        "2026-02: mean Dice 0.91", "2026-03: mean Dice 0.92", "2026-04: mean Dice 0.88",
    ]  # fmt: skip
    across = [x for x, _ in places(svg)]
    (line,) = of_class(svg, "change")
    assert across[1] < float(line.get("x1", "")) < across[2]


def classes_in(*pictures: str) -> set[str]:
    found = (names for text in pictures for names in re.findall(r'class="([^"]+)"', text))
    return {name for names in found for name in names.split()}


def test_pages_and_documents_have_a_style_for_every_class() -> None:
    later = cases(40, begin=BEGIN + timedelta(days=60))
    charts = [
        [signalling(state, better=better), of(later, "second")]
        for state, better in (
            (ChartState.WATCH, False),
            (ChartState.WATCH, True),
            (ChartState.INVESTIGATE, False),
        )
    ]
    means = months_picture([months(0.9, 0.84, 0.96)])
    linked = [
        chart_picture(one, [MODEL], baseline=30, address=lambda case: case.job) for one in charts
    ]
    plain = [chart_picture(one, [MODEL], baseline=30) for one in charts]

    assert classes_in(*linked) > {"qc", "dot", "change", "hit"}
    assert {n for n in classes_in(*linked, means) if f".{n} " not in CHART_STYLE} == set()
    assert classes_in(*plain, means) - {*LOOKS, "small", "qc"} == set()
