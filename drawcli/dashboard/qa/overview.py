"""The overview of quality assurance, and the list of pairs."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from drawcli.adapters.state.qa_watch import last_scan
from drawcli.core.qa.records import PairStatus
from drawcli.core.qa.summary import NOTED, STATES, ChartSummary, QaSummary
from drawcli.dashboard.qa.words import (
    STATE_BADGES,
    STATE_TEXTS,
    STATUS_BADGES,
    STATUS_TEXTS,
    chart_address,
    figure_text,
    pair_address,
    title_of,
    worst,
)
from drawcli.dashboard.view import page, parts_of

_MOST_ROIS: Final = 80  # that are listed without choosing a template
_ROWS: Final = 100  # pairs on a page
_DIGITS: Final = 9


@dataclass(frozen=True, slots=True)
class RoiLine:
    """A structure of a template: a row of the overview."""

    roi: str
    state: str
    n: int  # cases of the present version
    missing: int  # cases until the baseline is complete
    charts: tuple[tuple[ChartSummary | None, str], ...]  # of each metric, with the latest figure


@dataclass(frozen=True, slots=True)
class TemplateTable:
    """The structures of a template, the most urgent first."""

    template: str
    states: Counter[str]  # structures in each state
    lines: Sequence[RoiLine]


def overview(request: Request) -> Response:
    """Show the states of all charts, and how many pairs were found."""
    qa = parts_of(request).qa
    summary = qa.summary()
    tables = _tables(summary, qa.metrics) if summary else []
    known = [table.template for table in tables]
    chosen = request.query_params.get("template", "")
    chosen = chosen if chosen in known else ""
    rois = sum(len(table.lines) for table in tables)
    return page(
        request,
        "qa.html",
        qa=parts_of(request).qa.settings.qa,
        summary=summary,
        scanned=last_scan(qa.settings.state_dir),
        titles=[title_of(metric) for metric in qa.metrics],
        tables=[table for table in tables if chosen in ("", table.template)],
        templates=known,
        chosen=chosen,
        in_full=bool(chosen) or rois <= _MOST_ROIS,
        noted=_noted(summary, chosen),
        totals=sum((table.states for table in tables), Counter()),
        states=STATES[::-1],
        badges=STATE_BADGES,
        texts=STATE_TEXTS,
        statuses=_statuses(summary, chosen),
        golden=[one for one in summary.golden if chosen in ("", one)] if summary else [],
        pairs_address=_pairs_address,
        address=chart_address,
        title_of=title_of,
    )


def pairs(request: Request) -> Response:
    """List the delivered structure sets with what is known of the clinical ones."""
    qa = parts_of(request).qa
    query = request.query_params
    rows = qa.pairs()
    templates = sorted({row.record.template for row in rows})
    status = query.get("status", "") if query.get("status") in list(PairStatus) else ""
    template = query.get("template", "") if query.get("template") in templates else ""
    found = [
        row
        for row in rows
        if status in ("", row.record.status) and template in ("", row.record.template)
    ]
    pages = max(-(-len(found) // _ROWS), 1)
    number = min(_number(query.get("page", "")), pages)
    return page(
        request,
        "qa_pairs.html",
        rows=found[(number - 1) * _ROWS : number * _ROWS],
        first=(number - 1) * _ROWS + 1,
        found=len(found),
        of=len(rows),
        number=number,
        page_count=pages,
        chosen_status=status,
        chosen=template,
        statuses=list(PairStatus),
        templates=templates,
        badges=STATUS_BADGES,
        texts=STATUS_TEXTS,
        address=_pairs_address,
        pair_address=pair_address,
    )


def _tables(summary: QaSummary, metrics: Sequence[str]) -> list[TemplateTable]:
    charts: dict[str, dict[str, dict[str, ChartSummary]]] = defaultdict(lambda: defaultdict(dict))
    for chart in summary.charts:
        if chart.metric in metrics:
            charts[chart.template][chart.roi][chart.metric] = chart
    return [
        _table(template, [_line(roi, found, metrics) for roi, found in sorted(rois.items())])
        for template, rois in sorted(charts.items())
    ]


def _table(template: str, lines: list[RoiLine]) -> TemplateTable:
    lines.sort(key=lambda line: -STATES.index(line.state))
    return TemplateTable(template, Counter(line.state for line in lines), lines)


def _line(roi: str, charts: dict[str, ChartSummary], metrics: Sequence[str]) -> RoiLine:
    given = [charts.get(metric) for metric in metrics]
    return RoiLine(
        roi=roi,
        state=worst(chart.state for chart in charts.values()),
        n=max(chart.n for chart in charts.values()),
        missing=max(chart.missing for chart in charts.values()),
        charts=tuple((one, figure_text(one.metric, one.last) if one else "") for one in given),
    )


def _noted(summary: QaSummary | None, template: str) -> list[tuple[str, list[ChartSummary]]]:
    """Return the charts to watch or investigate of each structure, the most urgent first."""
    found: dict[tuple[str, str], list[ChartSummary]] = defaultdict(list)
    for chart in summary.noted() if summary else ():
        if template in ("", chart.template):
            found[chart.template, chart.roi].append(chart)
    cards = [(worst(chart.state for chart in charts), charts) for charts in found.values()]
    return sorted(cards, key=lambda card: NOTED.index(card[0]))


def _statuses(summary: QaSummary | None, template: str) -> list[tuple[PairStatus, int, str]]:
    """Return each status with the number of pairs, of one template or of all, and its meaning."""
    counts: Counter[str] = Counter()
    for one in summary.templates if summary else ():
        if template in ("", one.template):
            counts.update(one.pairs)
    return [(status, counts[status], STATUS_TEXTS[status]) for status in PairStatus]


def _pairs_address(status: str, template: str, number: int = 1) -> str:
    query = {"status": status, "template": template, "page": number if number > 1 else ""}
    given = urlencode({name: value for name, value in query.items() if value})
    return f"/qa/pairs?{given}" if given else "/qa/pairs"


def _number(text: str) -> int:
    return max(int(text), 1) if text.isdecimal() and len(text) < _DIGITS else 1
