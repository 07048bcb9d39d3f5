"""A report as one HTML file without scripts and external files, in light and dark."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from html import escape
from typing import Final

from drawcli import __version__
from drawcli.core.pictures.html import standalone_page
from drawcli.operations.qa.summary_text import lines
from drawcli.operations.report import WHOLE, Report, Took
from drawcli.operations.report_plots import BarSeries, grouped_bars, spans
from drawcli.system.durations import duration, long_duration

_GB: Final = 1e9
_STYLE: Final = """
:root { color-scheme: light dark; --ink: light-dark(#1a2027, #e7eaef);
  --paper: light-dark(#fbfbfa, #12151a); --card: light-dark(#fff, #1a1f27);
  --soft: light-dark(#5b6572, #9aa5b4); --line: light-dark(#dfe3e8, #2d3540);
  --home: light-dark(#0f766e, #4fd1c0); --sent: light-dark(#4b6cb7, #8fb0ff);
  --held: light-dark(#b42318, #ff8a7d); }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 56rem; margin: 0 auto; padding: 2rem 1rem 4rem; }
h1 { font-size: 1.6rem; margin: 0; letter-spacing: -.01em; }
h2 { font-size: 1.1rem; margin: 2.5rem 0 .25rem; }
p { margin: .25rem 0 .75rem; max-width: 44rem; }
.soft, th, figcaption, footer { color: var(--soft); }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .75rem;
  margin: 1.5rem 0 0; }
dl div { background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: .75rem 1rem; }
dt { color: var(--soft); font-size: .875rem; }
dd { margin: 0; font-size: 1.5rem; font-weight: 600; font-variant-numeric: tabular-nums; }
dd.bad { color: var(--held); }
figure { margin: .5rem 0 0; background: var(--card); border: 1px solid var(--line);
  border-radius: .6rem; padding: 1rem; overflow-x: auto; }
figcaption { font-size: .875rem; margin-top: .5rem; }
svg { display: block; width: 100%; min-width: 30rem; height: auto; }
svg text { fill: var(--ink); font: 13px system-ui, sans-serif; }
svg .small { fill: var(--soft); font-size: 12px; }
.grid { stroke: var(--line); } .home, .dot { fill: var(--home); } .held { fill: var(--held); }
.sent { fill: var(--sent); } .span { stroke: var(--home); stroke-width: 5; stroke-linecap: round;
  opacity: .35; } .end { stroke: var(--home); stroke-width: 2; }
.key { display: inline-block; width: .7rem; height: .7rem; border-radius: .15rem;
  margin: 0 .3rem 0 0; }
.key.home { background: var(--home); } .key.held { background: var(--held); margin-left: 1rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums;
  margin-top: .75rem; }
th, td { text-align: right; white-space: nowrap; padding: .4rem 0 .4rem 1rem;
  border-bottom: 1px solid var(--line);
  font-weight: 400; }
th:first-child, td:first-child { text-align: left; padding-left: 0;
  white-space: normal; overflow-wrap: anywhere; }
code { font: .9em ui-monospace, monospace; overflow-wrap: anywhere; }
footer { margin-top: 3rem; font-size: .875rem; border-top: 1px solid var(--line);
  padding-top: 1rem; }
@media print { body { background: #fff; } figure, dl div { break-inside: avoid; } }
"""


def page(report: Report) -> str:
    """Return the page as HTML."""
    since, until = f"{report.since:%Y-%m-%d %H:%M}", f"{report.until:%Y-%m-%d %H:%M}"
    main = f"""<h1>What drawcli did</h1>
<p class="soft">{since} to {until}, UTC</p>
{_tiles(report)}
{_flow(report)}
{_times(report)}
{_volume(report)}
{_reasons(report)}
{_left(report)}
{_former(report)}
{_contours(report)}
<footer>drawcli {escape(__version__)}. Nothing on this page names a patient. Structure sets are
unapproved until a qualified person has reviewed them.</footer>"""
    title = f"drawcli report, {since} to {until}"
    return standalone_page(title, _STYLE, main, images=False)


def _contours(report: Report) -> str:
    """Return the section about the quality assurance of contours, if there is any."""
    if report.contours is None:
        return ""
    text = lines(report.contours, report.since, report.until)
    items = "".join(f"<p>{escape(line)}</p>" for line in text)
    return f"<h2>Contours, compared with the clinical ones</h2>{items}"


def _tiles(report: Report) -> str:
    whole = report.time_of(WHOLE)
    tiles = [
        ("Delivered", f"{report.total('delivered'):,}", ""),
        ("Sent", f"{report.total('sent'):,}", ""),
        (
            "Found to delivered, median",
            "none" if whole is None else duration(timedelta(seconds=whole.median)),
            "",
        ),
        ("Volume sent", f"{report.total('bytes_sent') / _GB:,.2f} GB", ""),
        ("Held now", f"{report.held_now:,}", "bad" if report.held_now else ""),
    ]
    return "<dl>" + "".join(f"<div>{_tile(*tile)}</div>" for tile in tiles) + "</dl>"


def _tile(name: str, value: str, tone: str) -> str:
    of_class = f' class="{tone}"' if tone else ""
    return f"<dt>{escape(name)}</dt><dd{of_class}>{escape(value)}</dd>"


def _flow(report: Report) -> str:
    each = "week" if report.by_week else "day"
    if not report.total("delivered") + report.total("held"):
        return f"<h2>By the {each}</h2><p>Nothing was delivered and nothing held in this time.</p>"
    plot = grouped_bars(f"Jobs by the {each}", _labels(report), jobs_series(report))
    return f"""<h2>By the {each}</h2>
<figure>{plot}
<figcaption><span class="key home"></span>delivered <span class="key held"></span>held: a person
was asked. Each job counts once a {each}.</figcaption></figure>"""


def jobs_series(report: Report) -> list[BarSeries]:
    """Return the jobs delivered and held in each part of a report."""
    return [
        BarSeries("home", "delivered", [len(period.delivered_jobs) for period in report.bins]),
        BarSeries("held", "held", [len(period.held_jobs) for period in report.bins]),
    ]


def _volume(report: Report) -> str:
    if not report.total("bytes_sent"):
        return ""
    series = [BarSeries("sent", "GB", [period.bytes_sent / _GB for period in report.bins])]
    plot = grouped_bars("Volume sent", _labels(report), series, "GB")
    return f"<h2>Volume sent</h2><figure>{plot}</figure>"


def _times(report: Report) -> str:
    if not report.took:
        return "<h2>How long it took</h2><p>No job went a step on in this time.</p>"
    rows = [(taken.step, taken.median, taken.ninetieth, _said(taken)) for taken in report.took]
    plot = spans("How long each step took: median to 90th percentile", rows)
    table = _table(
        ("step", "jobs", "median", "90th percentile"),
        (
            (taken.step, f"{len(taken.seconds):,}", _span(taken.median), _span(taken.ninetieth))
            for taken in report.took
        ),
    )
    return f"""<h2>How long it took</h2>
<p class="soft">From a job's coming to a step until it was done, with the wait for the next run.</p>
<figure>{plot}<figcaption>Dot: half of the jobs took no longer. Bar to its end: nine of ten.
The scale is logarithmic.</figcaption></figure>
{table}"""


def _said(taken: Took) -> str:
    spans = f"median {_span(taken.median)}, nine of ten {_span(taken.ninetieth)}"
    return f"{spans}, {len(taken.seconds)} jobs"


def _reasons(report: Report) -> str:
    parts = []
    for title, counts, column in (
        ("Held, by reason", report.holds, "times"),
        ("Tries that failed, by reason", report.failures, "tries"),
        ("Delivered, by template", report.templates, "structure sets"),
    ):
        if counts:
            rows = ((name, f"{count:,}") for name, count in counts.most_common())
            parts.append(f"<h2>{title}</h2>{_table(('', column), rows)}")
    return "\n".join(parts)


def _left(report: Report) -> str:
    left: Mapping[str, Sequence[str]] = {name: ids for name, ids in report.left.items() if ids}
    if not left:
        return ""
    rows = ((name, f"{len(ids):,}") for name, ids in left.items())
    unmatched = "".join(f"<code>{escape(name)}</code> " for name in left.get("unmatched", ()))
    more = f'<p class="soft">Unmatched: {unmatched}</p>' if unmatched else ""
    return f"<h2>Left by the rules</h2>{_table(('', 'series'), rows)}{more}"


def _former(report: Report) -> str:
    rows = report.former.table() if report.former else []
    return f"<h2>The former client</h2>{_table(('', '', ''), rows)}" if rows else ""


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _labels(report: Report) -> list[str]:
    return [f"{period.begins:%b} {period.begins.day}" for period in report.bins]


def _span(seconds: float) -> str:
    return long_duration(timedelta(seconds=seconds))
