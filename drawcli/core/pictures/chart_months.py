"""Monthly means of a control chart as SVG: each with the limits for its number of cases."""

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final, NamedTuple

from drawcli.core.pictures.chart import SHAPES, ChartVersion
from drawcli.core.pictures.chart_axes import ABOVE, BELOW, LEFT, RIGHT, WIDTH, Scale, picture
from drawcli.core.qa.chart_signals import MIN_MEAN
from drawcli.core.qa.charts import METRICS, Month

_HEIGHT: Final = 230
_FEWEST: Final = 12  # places of a picture with fewer months
_BAR: Final = 22  # widest bar
_NAME_WIDTH: Final = 34
_NAMES: Final = ("", *"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split())


class _Place(NamedTuple):
    month: Month
    x: float  # of its middle
    centre: float | None  # of its version
    is_first: bool  # of a later version


def months_picture(versions: Sequence[ChartVersion], *, most: int = 36) -> str:
    """Return the monthly means as SVG, "" without any; the latest `most` months.

    Parameters
    ----------
    versions
        The charts of the versions in the order of time; all of one metric.
    most
        The number of latest months that are shown; a month with two versions is two.
    """
    count = sum(len(one.chart.months) for one in versions)
    if not count:
        return ""
    slot = (WIDTH - LEFT - RIGHT) / max(min(count, most), _FEWEST)
    places = list(_placed(versions, max(count - most, 0), slot))
    metric = versions[-1].chart.metric
    ends = [end for one in places for end in (one.month.mean, one.month.lower, one.month.upper)]
    scale = Scale.of(ends, metric, _HEIGHT)
    inside = "".join(
        (
            scale.svg(WIDTH - RIGHT),
            *(_bar(place, scale, slot) for place in places),
            *(_mean(place, scale, metric) for place in places),
            *_names(places, slot),
        )
    )
    kind = METRICS[metric]
    what = f"Monthly means of {kind.label} of {versions[-1].chart.roi}, {len(places)} months"
    return picture(what, inside, has_links=False, height=_HEIGHT)


def month_state(month: Month, metric: str) -> str:
    """Return how a month is marked: "", better or investigate; "" too with fewer than 5 cases."""
    if month.n < MIN_MEAN or month.lower <= month.mean <= month.upper:
        return ""
    kind = METRICS[metric]
    is_better = (month.mean > month.upper) == kind.falls and not kind.two_sided
    return "better" if is_better else "investigate"


def month_text(month: Month, metric: str) -> str:
    """Return a month in words."""
    kind = METRICS[metric]
    where = "within" if month.lower <= month.mean <= month.upper else "outside"
    return (
        f"{month.month}: mean {kind.label} {kind.text(month.mean)} of {month.n} changed cases "
        f"({month.cases} in all), {where} {kind.text(month.lower)} to {kind.text(month.upper)}"
    )


def _placed(versions: Sequence[ChartVersion], skipped: int, slot: float) -> Iterator[_Place]:
    number = -skipped
    for one in versions:
        limits = one.chart.limits
        for place, month in enumerate(one.chart.months):
            if number >= 0:
                x, centre = LEFT + (number + 0.5) * slot, limits.centre if limits else None
                yield _Place(month, x, centre, number > 0 and place == 0)
            number += 1


def _bar(place: _Place, scale: Scale, slot: float) -> str:
    """Return the limits of a month: 3 sigma, 2 sigma within, and the centre of its version."""
    month, width = place.month, min(slot * 0.7, _BAR)
    parts = [
        f'<rect class="{name}" x="{place.x - width / 2:.1f}" y="{scale.y(high):.1f}" '
        f'width="{width:.1f}" height="{scale.y(low) - scale.y(high):.1f}"/>'
        for low, high, name in (
            (month.lower, month.upper, "qc-wide"),
            (month.lower_2, month.upper_2, "qc-bar"),
        )
    ]
    if place.centre is not None:
        begin, end, y = place.x - slot / 2, place.x + slot / 2, scale.y(place.centre)
        parts.append(
            f'<line class="qc-centre" x1="{begin:.1f}" x2="{end:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
    if place.is_first:
        x = place.x - slot / 2
        parts.append(
            f'<line class="qc-change" x1="{x:.1f}" x2="{x:.1f}" y1="{ABOVE}" '
            f'y2="{scale.height - BELOW}"/>'
        )
    return "".join(parts)


def _mean(place: _Place, scale: Scale, metric: str) -> str:
    x, y = place.x, scale.y(place.month.mean)
    mark = f'<circle class="qc-mark" cx="{x:.1f}" cy="{y:.1f}" r="4.5"/>'
    if state := month_state(place.month, metric):
        mark = f'<path class="qc-mark qc-{state}" d="M{x:.1f} {y:.1f}{SHAPES[state]}"/>'
    return f"<g><title>{escape(month_text(place.month, metric))}</title>{mark}</g>"


def _names(places: Sequence[_Place], slot: float) -> Iterator[str]:
    """Yield the names of the months where there is room; a year below the first of it."""
    every, year = int(_NAME_WIDTH / slot) + 1, ""
    for place in places[::every]:
        month = place.month.month
        name = _NAMES[int(month[5:7])]
        for text, below in ((name, 18), (month[:4] if month[:4] != year else "", 32)):
            yield (
                f'<text class="qc-small" x="{place.x:.1f}" y="{_HEIGHT - BELOW + below}" '
                f'text-anchor="middle">{text}</text>'
                if text
                else ""
            )
        year = month[:4]
