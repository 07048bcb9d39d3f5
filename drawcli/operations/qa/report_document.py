"""A report on contours as a document: tables, signals, and control charts as pictures."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final

from drawcli import __version__
from drawcli.core.pictures.chart import chart_picture
from drawcli.core.pictures.chart_months import months_picture
from drawcli.core.qa.charts import METRICS
from drawcli.core.qa.summary import NEW, NOTED, STATES
from drawcli.operations.qa.document import (
    Block,
    Cell,
    Figure,
    Heading,
    Paragraph,
    ReportDocument,
    Table,
    Tone,
)
from drawcli.operations.qa.report import QaReport, Quartiles, StructureReport
from drawcli.operations.qa.report_text import noted_text, sections
from drawcli.operations.qa.site_charts import RoiCharts
from drawcli.operations.qa.summary_text import counts_text

_TONES: Final = {"investigate": Tone.BAD, "watch": Tone.WATCH, "routine": Tone.GOOD}
_SHOWN: Final = (("dice", 3, 2), ("surface_dice", 3, 2), ("hd95_mm", 1, 1), ("apl_mm", 0, 0))
_MOST_CHARTS: Final = 60
_NO_FIGURE: Final = "\N{EN DASH}"


def document_of(report: QaReport) -> ReportDocument:
    """Return a report as a document for screen and print."""
    return ReportDocument(
        title="Delivered contours, compared with the clinical ones",
        facts=tuple(_facts(report)),
        blocks=tuple(_blocks(report)),
        foot=(
            f"drawcli {__version__}. The document names jobs, templates and structures, no patient."
            " The figures do not say whether a plan is good: that is for a qualified person."
        ),
    )


def _facts(report: QaReport) -> Iterator[tuple[str, str]]:
    yield "delivered", f"{report.since:%Y-%m-%d} to {report.until:%Y-%m-%d} (UTC)"
    yield "pairs", counts_text(report.pairs) or "none"
    if report.tolerances:
        taus = " or ".join(f"{tau:g}" for tau in report.tolerances)
        yield "tolerance", f"{taus} mm, of surface Dice and added path length (APL)"
    yield "baseline", f"{report.baseline} cases of each version"
    yield "to be looked at", noted_text(report)


def _blocks(report: QaReport) -> Iterator[Block]:
    for template, group in groupby(report.structures, lambda row: row.template):
        rows = list(group)
        yield Heading(template)
        yield Table(_TITLES, [_row(row) for row in rows], numbers_from=2)
    if report.structures:
        yield Paragraph(_LEGEND, soft=True)
    for title, lines in sections(report):
        yield Heading(title.capitalize(), level=3)
        yield from (Paragraph(line) for line in lines)
    yield from _charts(report)


_TITLES: Final = (
    *("structure", "state", "n", "u / e / r, %", "Dice", "surface Dice", "HD95, mm", "APL, mm"),
)
_LEGEND: Final = (
    "n: pairs with contours in both sets; u / e / r: of these, untouched, edited, redrawn."
    " Figures: median, in brackets the middle half; APL: added path length. State: that of the most"
    " urgent of the structure's control charts at the end of the time."
)


def _row(row: StructureReport) -> tuple[str | Cell, ...]:
    shares = " / ".join(map(str, row.shares())) or _NO_FIGURE
    figures = [_figure(row.figures.get(metric), *digits) for metric, *digits in _SHOWN]
    state = f"new, {row.missing} cases missing" if row.state == NEW else row.state
    tone = _TONES.get(row.state)
    return row.roi, Cell(state, tone) if tone else state, str(row.n), shares, *figures


def _figure(found: Quartiles | None, digits: int, fewer: int) -> str:
    if found is None:
        return _NO_FIGURE
    return f"{found.median:.{digits}f} ({found.lower:.{fewer}f}-{found.upper:.{fewer}f})"


def _charts(report: QaReport) -> Iterator[Block]:
    chosen = _chosen(report.charts)
    if not chosen:
        return
    yield Heading("Control charts")
    yield Paragraph(_HOW_TO_READ, soft=True)
    for charts in chosen[:_MOST_CHARTS]:
        yield Heading(f"{charts.template} {charts.roi}: {METRICS[charts.metric].label}", level=3)
        text = "; ".join([str(charts.state), *(one.text for one in charts.signals)])
        picture = chart_picture(charts.charts, charts.changes, baseline=report.baseline)
        yield Figure(f"{METRICS[charts.metric].label} of {charts.roi}", picture, text)
        if charts.state in NOTED and (months := months_picture(charts.charts)):
            yield Figure(f"monthly means of {charts.roi}", months, "monthly means")
    if len(chosen) > _MOST_CHARTS:
        yield Paragraph(f"{len(chosen) - _MOST_CHARTS} further charts are on the web page.")


_HOW_TO_READ: Final = (
    "Each dot is a case, in the order of delivery. The centre and the dashed limits (3 sigma) come"
    " from the baseline, which is shaded. A dotted vertical line is a change of what the contours"
    " come from; a new version has a baseline of its own. Hollow dots were not changed at all."
)


def _chosen(charts: Sequence[RoiCharts]) -> list[RoiCharts]:
    """Return the most urgent chart of each structure, the most urgent structures first."""
    urgent = sorted(charts, key=lambda one: -STATES.index(one.state))  # stable: metrics in order
    found: dict[tuple[str, str], RoiCharts] = {}
    for one in urgent:
        found.setdefault((one.template, one.roi), one)
    return list(found.values())
