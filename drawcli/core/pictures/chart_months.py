"""Monthly means of a control chart as SVG: each with the limits for its number of cases."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final, NamedTuple

from drawcli.core.pictures.chart_axes import (
    ABOVE,
    BELOW,
    LEFT,
    RIGHT,
    WIDTH,
    Scale,
    mark_of,
    picture,
)
from drawcli.core.pictures.chart_words import month_state, month_text
from drawcli.core.qa.charts import METRICS, Chart, Month

_HEIGHT: Final = 230
_FEWEST: Final = 12  # places of a picture with fewer months
_BAR: Final = 22  # widest bar
_NAME_WIDTH: Final = 34
_NAMES: Final = ("", *"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split())


class _Place(NamedTuple):
    month: Month
    x: float  # of its middle
    centre: float | None  # of its version
    is_first: bool  # of another version than the one before


def months_picture(charts: Sequence[Chart], *, most: int = 36) -> str:
    """Return the monthly means of one template, ROI and metric as SVG; "" without any.

    Parameters
    ----------
    charts
        One for each version.
    most
        The number of latest months that are shown; a month with two versions is two.
    """
    months = [(month, chart) for chart in charts for month in chart.months]
    months = sorted(months, key=lambda pair: pair[0].month)[-most:]
    if not months:
        return ""
    slot = (WIDTH - LEFT - RIGHT) / max(len(months), _FEWEST)
    places = list(_placed(months, slot))
    metric = charts[-1].metric
    ends = [end for month, _ in months for end in (month.mean, month.lower, month.upper)]
    scale = Scale.of(ends, metric, _HEIGHT)
    inside = "".join(
        (
            scale.svg(WIDTH - RIGHT),
            *(_bar(place, scale, slot) for place in places),
            *(_mean(place, scale, metric) for place in places),
            *_names(places, slot),
        )
    )
    what = f"Monthly means of {METRICS[metric].label} of {charts[-1].roi}, {len(months)} months"
    return picture(what, inside, has_links=False, height=_HEIGHT)


def _placed(months: Sequence[tuple[Month, Chart]], slot: float) -> Iterator[_Place]:
    before = months[0][1]
    for number, (month, chart) in enumerate(months):
        centre = chart.limits.centre if chart.limits else None
        yield _Place(month, LEFT + (number + 0.5) * slot, centre, chart is not before)
        before = chart


def _bar(place: _Place, scale: Scale, slot: float) -> str:
    """Return the limits of a month: 3 sigma, 2 sigma within, and the centre of its version."""
    month, width = place.month, min(slot * 0.7, _BAR)
    parts = [
        f'<rect class="{name}" x="{place.x - width / 2:.1f}" y="{scale.y(high):.1f}" '
        f'width="{width:.1f}" height="{scale.y(low) - scale.y(high):.1f}"/>'
        for low, high, name in (
            (month.lower, month.upper, "wide"),
            (month.lower_2, month.upper_2, "base"),
        )
    ]
    if place.centre is not None:
        begin, end, y = place.x - slot / 2, place.x + slot / 2, scale.y(place.centre)
        parts.append(
            f'<line class="centre" x1="{begin:.1f}" x2="{end:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
    if place.is_first:
        x = place.x - slot / 2
        parts.append(
            f'<line class="change" x1="{x:.1f}" x2="{x:.1f}" y1="{ABOVE}" '
            f'y2="{scale.height - BELOW}"/>'
        )
    return "".join(parts)


def _mean(place: _Place, scale: Scale, metric: str) -> str:
    x, y = place.x, scale.y(place.month.mean)
    mark = f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>'
    if state := month_state(place.month, metric):
        mark = mark_of(state, x, y)
    return f"<g><title>{escape(month_text(place.month, metric))}</title>{mark}</g>"


def _names(places: Sequence[_Place], slot: float) -> Iterator[str]:
    """Yield the names of the months where there is room; a year below the first of it."""
    every, year = int(_NAME_WIDTH / slot) + 1, ""
    for place in places[::every]:
        month = place.month.month
        name = _NAMES[int(month[5:7])]
        for text, below in ((name, 18), (month[:4] if month[:4] != year else "", 32)):
            yield (
                f'<text class="small" x="{place.x:.1f}" y="{_HEIGHT - BELOW + below}" '
                f'text-anchor="middle">{text}</text>'
                if text
                else ""
            )
        year = month[:4]
