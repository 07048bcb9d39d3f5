"""What the records of quality assurance say now, in short: charts, pairs, changes of versions.

It is kept in a small file, so that status, alarms, metrics and the web page need not read the
records. It names no patient. Times are UTC; figures are in the units of their metric.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, Final, Self, TypeVar

from drawcli.core.qa.outcomes import check_types

NEW, ROUTINE, WATCH, INVESTIGATE = "new", "routine", "watch", "investigate"
STATES: Final = (NEW, ROUTINE, WATCH, INVESTIGATE)  # by urgency
NOTED: Final = (INVESTIGATE, WATCH)  # states that somebody has to know of

_Row = TypeVar("_Row")
_MOST_NAMES: Final = 3  # structures in a notice
_OLD: Final = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartSignal:
    """A rule that the latest cases of a chart meet."""

    rule: str  # limit, run, trend, month, share; version: the first cases of a new version
    at: datetime  # of the case that completed it
    job: str  # the same case
    text: str
    state: str  # what it asks for
    better: bool = False  # than the baseline


@dataclass(frozen=True, slots=True, kw_only=True)
class ChartSummary:
    """The present state of the cases of one template, ROI and metric, in its present version."""

    template: str
    roi: str
    metric: str
    version: str
    state: str
    n: int  # cases of this version
    missing: int = 0  # cases until the baseline is complete
    last: float | None = None
    centre: float | None = None
    lower: float | None = None
    upper: float | None = None
    limits_from: str = ""  # baseline, commissioning, by hand
    signals: tuple[ChartSignal, ...] = ()  # those that the state comes from


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionChange:
    """A change of what contours come from: a vertical line in the charts of a template."""

    at: datetime  # of the first delivery after it
    template: str
    kind: str  # template, catalogue, drawcli, golden
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplatePairs:
    """The deliveries of a template."""

    template: str
    pairs: Mapping[str, int]  # by status
    oldest_unpaired: datetime | None = None  # delivery of the oldest that is still to be compared


@dataclass(frozen=True, slots=True, kw_only=True)
class QaSummary:
    """The quality assurance of a site at a time."""

    at: datetime
    templates: tuple[TemplatePairs, ...] = ()
    charts: tuple[ChartSummary, ...] = ()
    changes: tuple[VersionChange, ...] = ()  # the latest, in order of time
    golden: tuple[str, ...] = ()  # templates whose golden cases changed, not accepted yet
    source: str = ""  # settings and files that it was made with
    read_to: int = 0  # the records before this place are in it

    @property
    def pairs(self) -> Counter[str]:
        """The number of deliveries by status."""
        found: Counter[str] = Counter()
        for template in self.templates:
            found.update(template.pairs)
        return found

    @property
    def oldest_unpaired(self) -> datetime | None:
        """The delivery of the oldest pair that is still to be compared."""
        times = (template.oldest_unpaired for template in self.templates)
        return min((time for time in times if time is not None), default=None)

    def noted(self) -> list[ChartSummary]:
        """Return the charts to watch or investigate, the more urgent first."""
        return [chart for state in NOTED for chart in self.charts if chart.state == state]

    def states(self) -> Counter[str]:
        """Return the number of charts in each state."""
        return Counter(chart.state for chart in self.charts)

    def notice(self, now: datetime) -> str:
        """Return one line about what is to be looked at; "" if there is nothing."""
        parts, named = [], set[str]()
        for state in NOTED:
            charts = (one for one in self.charts if one.state == state)
            names = dict.fromkeys(f"{one.template} {one.roi}" for one in charts)
            fresh = [name for name in names if name not in named]
            named.update(fresh)
            more = f" and {len(fresh) - _MOST_NAMES} more" if len(fresh) > _MOST_NAMES else ""
            if fresh:
                parts.append(f"{state} {', '.join(fresh[:_MOST_NAMES])}{more}")
        if self.golden:
            parts.insert(0, f"golden cases of {', '.join(self.golden)} changed")
        old = f" (as of {self.at:%Y-%m-%d})" if now - self.at > _OLD else ""
        return f"{'; '.join(parts)}{old}: 'drawcli qa report'" if parts else ""

    def brief(self) -> dict[str, Any]:
        """Return counts, and the charts to investigate or watch, as a JSON object."""
        oldest, states = self.oldest_unpaired, self.states()
        return {
            "pairs": dict(self.pairs),
            "oldest_unpaired": None if oldest is None else oldest.isoformat(),
            "charts": {state: states[state] for state in STATES},
            "noted": [
                {"template": one.template, "roi": one.roi, "metric": one.metric, "state": one.state}
                for one in self.noted()
            ],
            "golden": list(self.golden),
        }

    def as_plain(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Return a summary from what `as_plain` returned; unknown fields are left out.

        Raises
        ------
        ValueError
            If it is not a summary.
        """
        try:
            facts = _known(cls, plain)
            facts["templates"] = tuple(map(_template, plain.get("templates", ())))
            facts["charts"] = tuple(map(_chart, plain.get("charts", ())))
            changes = plain.get("changes", ())
            facts["golden"] = tuple(map(str, plain.get("golden", ())))
            facts["changes"] = tuple(_made(VersionChange, row) for row in changes)
            return _made(cls, facts)
        except (KeyError, TypeError, AttributeError) as err:
            raise ValueError(f"not a summary of quality assurance: {err}") from None


def _template(plain: Mapping[str, Any]) -> TemplatePairs:
    made = _made(TemplatePairs, plain)
    return replace(made, pairs={str(status): int(n) for status, n in made.pairs.items()})


def _chart(plain: Mapping[str, Any]) -> ChartSummary:
    if plain["state"] not in STATES:
        raise ValueError(f"no state of a chart: {plain['state']}")
    signals = tuple(_made(ChartSignal, row) for row in plain.get("signals", ()))
    return _made(ChartSummary, {**plain, "signals": signals})


def _made(cls: type[_Row], plain: Mapping[str, Any]) -> _Row:
    made = cls(**_known(cls, plain))
    check_types(made)
    return made


def _known(cls: type, plain: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that a class has, texts of times as times."""
    facts = {item.name: plain[item.name] for item in fields(cls) if item.name in plain}
    for name in ("at", "oldest_unpaired"):
        if isinstance(facts.get(name), str):
            facts[name] = datetime.fromisoformat(facts[name])
    return facts


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value
