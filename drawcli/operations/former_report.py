"""What a former DRAW client did in a span of time, from the history that was imported."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import fmean, median
from typing import Any, Final

from drawcli.adapters.state.former_client import FormerHistory

_AVERAGES: Final = ("average", "avg", "mean")  # in names of statistics that cannot be added up
KIND: Final = "former client"


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerReport:
    """Series, reviews and statistics of a former client."""

    series: Counter[str] = field(default_factory=Counter)  # by outcome
    ratings: tuple[int, ...] = ()  # 0 to 10, higher is better
    minutes: tuple[int, ...] = ()  # of editing, for each reviewed structure set
    reviewed: int = 0  # structure sets
    edits: Mapping[str, Counter[str]] = field(default_factory=dict)  # structure -> modifications
    statistics: Mapping[str, float] = field(default_factory=dict)  # sums, or means of averages

    def as_plain(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return {
            "series": dict(self.series.most_common()),
            "reviewed": self.reviewed,
            "rating_mean": round(fmean(self.ratings), 2) if self.ratings else None,
            "editing_minutes_median": median(self.minutes) if self.minutes else None,
            "edits": {name: dict(counts) for name, counts in self.edits.items()},
            "statistics": dict(self.statistics),
        }

    def rows(self) -> Iterator[tuple[str, str, float, str]]:
        """Yield name, measure, value and unit of every figure."""
        for outcome, count in self.series.most_common():
            yield outcome, "count", count, ""
        if self.reviewed:
            yield "reviewed", "count", self.reviewed, ""
        if self.ratings:
            yield "rating", "mean", round(fmean(self.ratings), 2), "of 10"
        if self.minutes:
            yield "editing", "median", median(self.minutes), "min"
        for name, counts in self.edits.items():
            for edit, count in counts.most_common():
                yield f"{name}: {edit.casefold().replace('_', ' ')}", "count", count, ""
        for name, value in self.statistics.items():
            is_mean = any(word in name for word in _AVERAGES)
            yield name, "mean" if is_mean else "sum", value, ""

    def table(self) -> list[tuple[str, str, str]]:
        """Return every figure as text: name, value, and what the value is."""
        return [
            (
                name.removesuffix("_since_last_run").replace("_", " ") if name.islower() else name,
                f"{value:,.10g}",
                f"{measure} {unit}".strip(),
            )
            for name, measure, value, unit in self.rows()
        ]


def former_report(history: FormerHistory, since: datetime, until: datetime) -> FormerReport | None:
    """Return what happened from `since` to `until`, UTC; None without an imported history."""
    if history == FormerHistory():
        return None
    every = [entry for entries in history.series.values() for entry in entries.values()]
    series = list(_within(every, since, until))
    reviews = list(_within(history.ratings.values(), since, until))
    edits = defaultdict[str, Counter[str]](Counter)
    for review in reviews:
        for name, edit in dict(review.get("structures") or {}).items():
            edits[str(name)][str(edit)] += 1
    return FormerReport(
        series=Counter(str(entry.get("outcome")) for entry in series),
        ratings=tuple(
            review["overall"] for review in reviews if isinstance(review.get("overall"), int)
        ),
        minutes=tuple(
            review["minutes"] for review in reviews if isinstance(review.get("minutes"), int)
        ),
        reviewed=len(reviews),
        edits=dict(sorted(edits.items())),
        statistics=_statistics(_within(history.statistics.values(), since, until)),
    )


def _statistics(entries: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    values = defaultdict[str, list[float]](list)
    for entry in entries:
        values[str(entry.get("name"))].append(float(entry.get("value") or 0.0))
    return {
        name: round((fmean if any(word in name for word in _AVERAGES) else sum)(many), 3)
        for name, many in sorted(values.items())
    }


def _within(
    entries: Iterable[Mapping[str, Any]], since: datetime, until: datetime
) -> Iterator[Mapping[str, Any]]:
    for entry in entries:
        at = _moment(str(entry.get("at") or ""))
        if at is not None and since <= at <= until:
            yield entry


def _moment(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
