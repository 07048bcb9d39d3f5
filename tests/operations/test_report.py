"""A report counts what happened in its span, and says how long nine of ten jobs took."""

import csv
import io
import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser

import pytest

from drawcli.core.jobs.job import Event, EventKind, Job, State
from drawcli.operations.ledger_copies import as_csv
from drawcli.operations.report import COLUMNS, WHOLE, Report, report_of
from drawcli.operations.report_page import page
from drawcli.operations.report_plots import BarSeries, axis_of, grouped_bars, spans
from tests.operations.qa.summaries import chart_of, summary_with

NOW = datetime(2026, 11, 14, 12, 0, tzinfo=UTC)
WEEK = timedelta(days=7)
HOME = ("found", "matched", "packaged", "uploaded", "segmented", "fetched", "delivered", "done")


def a_job(number: int, begun: datetime, server_seconds: float = 60.0, **facts: object) -> Job:
    """Return a job that came home; each step but the server's took a second."""
    events, at = [], begun
    for word in HOME:
        events.append(Event(at, EventKind.REACHED, word))
        at += timedelta(seconds=server_seconds if word == "uploaded" else 1.0)
    job = Job(
        id=f"{number:012x}-1",
        state=State.DONE,
        since=events[-1].at,
        template="Prostate_OAR",
        zip_bytes=1_000_000,
        events=tuple(events),
    )
    return replace(job, **facts)  # type: ignore[arg-type] # fields of a job


def reported(jobs: Iterable[Job], span: timedelta = WEEK) -> Report:
    return report_of(jobs, NOW - span, NOW)


def test_half_of_the_jobs_and_nine_of_ten() -> None:
    day = NOW - timedelta(days=1)
    jobs = [a_job(n, day, server_seconds=float(n)) for n in range(1, 12)]  # 1 to 11 s

    server = reported(jobs).time_of("server")

    assert server is not None
    assert (len(server.seconds), server.median, server.ninetieth) == (11, 6.0, 10.0)


def test_one_job_is_median_and_percentile_at_once() -> None:
    whole = reported([a_job(1, NOW - timedelta(days=1))]).time_of(WHOLE)

    assert whole is not None
    assert (whole.median, whole.ninetieth) == (65.0, 65.0)


def test_only_what_happened_within_the_span_counts() -> None:
    across = a_job(1, NOW - WEEK - timedelta(seconds=30))  # sent before, home within
    before, within = a_job(2, NOW - 2 * WEEK), a_job(3, NOW - timedelta(days=2))

    report = reported([across, before, within])

    assert (report.total("found"), report.total("sent"), report.total("delivered")) == (1, 1, 2)
    assert report.total("bytes_sent") == 1_000_000
    assert report.templates == {"Prostate_OAR": 2}
    server = report.time_of("server")
    assert server is not None
    assert len(server.seconds) == 2


def test_failures_and_holds_are_told_by_reason() -> None:
    at = NOW - timedelta(hours=1)
    failed = Event(at, EventKind.FAILED, "server-down", "no answer")
    events = (failed, failed, failed, Event(at, EventKind.HELD, "privacy-gate"))
    job = Job(id="0" * 12 + "-1", state=State.MATCHED, since=at, held=True, events=events)

    report = reported([job])

    assert (report.failures, report.holds) == ({"server-down": 3}, {"privacy-gate": 1})
    assert (report.held_now, report.total("held"), report.total("failed")) == (1, 1, 3)


def test_series_that_no_rule_took_are_named() -> None:
    lately = Job(id="a" * 12 + "-1", state=State.UNMATCHED, since=NOW - timedelta(days=1))
    longer = Job(id="b" * 12 + "-1", state=State.UNMATCHED, since=NOW - 2 * WEEK)

    assert reported([lately, longer]).left == {"unmatched": ["a" * 12 + "-1"]}


@pytest.mark.parametrize(
    ("days", "by_week", "bins"), [(7, False, 8), (62, False, 63), (90, True, 13)]
)
def test_long_spans_are_counted_by_the_week(days: int, by_week: bool, bins: int) -> None:  # noqa: FBT001
    jobs = [a_job(n, NOW - timedelta(days=n)) for n in range(1, days)]

    report = reported(jobs, timedelta(days=days))

    assert (report.by_week, len(report.bins)) == (by_week, bins)
    assert report.total("delivered") == len(jobs)


def test_a_span_without_jobs_is_a_report_too() -> None:
    report = reported([])

    assert report.as_plain()["totals"]["delivered"] == 0
    assert "Nothing was delivered" in page(report)


def test_every_figure_is_a_line_of_the_table() -> None:
    report = reported([a_job(1, NOW - timedelta(days=1))])

    rows = list(csv.DictReader(io.StringIO(as_csv(list(report.rows()), COLUMNS))))

    by_name = {(row["kind"], row["name"], row["measure"]): row["value"] for row in rows}
    assert by_name["turnaround", "server", "median"] == "60.0"
    assert by_name["day", "2026-11-13", "delivered"] == "1"
    assert by_name["templates", "Prostate_OAR", "count"] == "1"


def test_no_name_of_a_template_becomes_a_formula() -> None:
    job = a_job(1, NOW - timedelta(days=1), template="=cmd()")

    text = as_csv(list(reported([job]).rows()), COLUMNS)

    assert "templates,'=cmd(),count,1," in text


class Outline(HTMLParser):
    """Notes tags and what would be loaded or run."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.outward: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.outward += [(tag, name) for name, _ in attrs if name in ("src", "href", "style")]
        self.outward += [(tag, name) for name, _ in attrs if name.startswith("on")]
        if tag not in ("meta", "!doctype"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)


def test_the_page_is_whole_and_loads_and_runs_nothing() -> None:
    jobs = [a_job(n, NOW - timedelta(days=n % 6, hours=1), template="<script>x") for n in range(9)]
    text, outline = page(reported(jobs)), Outline()

    outline.feed(text)

    assert outline.open == []
    assert {"script", "link", "img", "iframe"}.isdisjoint(outline.tags)
    assert outline.outward == []
    assert "default-src 'none'; style-src 'sha256-" in text
    assert "&lt;script&gt;x" in text


def test_contours_that_are_compared_have_a_section() -> None:
    without, report = reported([]), reported([])
    report.contours = summary_with(
        chart_of(state="investigate", roi="<Bladder>"), pairs={"compared": 7, "missing": 2}
    )

    html, rows = page(report), list(report.rows())

    assert "Contours" not in page(without)
    assert "investigate: Prostate_OAR &lt;Bladder&gt;, Dice: 9 changed" in html
    assert "7 compared, 2 without a clinical set" in html
    assert {"kind": "pairs", "name": "missing", "measure": "count", "value": 2, "unit": ""} in rows
    assert report.as_plain()["contours"]["charts"]["investigate"] == 1
    assert without.as_plain()["contours"] is None


def test_bars_stand_beside_each_other_and_are_as_high_as_their_numbers() -> None:
    series = [BarSeries("home", "delivered", [2, 4]), BarSeries("held", "held", [1, 0])]
    drawn = grouped_bars("bars", ["a", "b"], series)

    bars = re.findall(r'<rect class="(\w+)" x="([\d.]+)" y="([\d.]+)" .*? height="([\d.]+)"', drawn)
    assert [float(height) for _, _, _, height in bars] == [90.0, 45.0, 180.0]  # the axis ends at 4
    assert [float(y) + float(height) for _, _, y, height in bars] == [192.0] * 3  # one ground
    assert len({x for _, x, _, _ in bars}) == 3
    assert 'aria-label="bars"' in drawn
    assert "<title>b: 4 delivered</title>" in drawn


@pytest.mark.parametrize("largest", [0, 1, 3, 7, 12, 99, 130, 10_000, 123_456])
def test_the_lines_of_an_axis_are_round_and_of_counts_whole(largest: int) -> None:
    axis = axis_of(largest, whole=True)

    assert f"{axis.step:e}".partition("e")[0].rstrip("0") in ("1.", "2.", "2.5", "5.")
    assert axis.step == round(axis.step)
    assert largest <= axis.top <= max(2 * largest, 1)
    assert axis.steps <= 5


def test_a_job_counts_once_a_day_however_often_it_is_held() -> None:
    events = [Event(NOW + timedelta(minutes=n), EventKind.HELD, "deadline") for n in range(3)]
    reached = Event(NOW + timedelta(hours=1), EventKind.REACHED, State.DELIVERED)
    job = Job(id="0123456789ab-1", state=State.DELIVERED, since=NOW, events=(*events, reached))

    (day,) = report_of([job], NOW, NOW + timedelta(hours=2)).bins
    plain = report_of([job], NOW, NOW + timedelta(hours=2)).as_plain()["bins"][0]

    assert (day.held, len(day.held_jobs), len(day.delivered_jobs)) == (3, 1, 1)
    assert (plain["held"], plain["held_jobs"], plain["delivered_jobs"]) == (3, 1, 1)


def test_spans_lie_on_a_scale_of_powers() -> None:
    drawn = spans("spans", [("upload", 0.1, 10.0, "so"), ("server", 1.0, 10.0, "so")])

    dots = [float(one) for one in re.findall(r'class="dot" cx="([\d.]+)"', drawn)]
    ends = [float(one) for one in re.findall(r'class="span" x1="[\d.]+" x2="([\d.]+)"', drawn)]
    assert dots[1] - dots[0] == pytest.approx(ends[0] - dots[1], abs=0.2)  # 0.1 to 1 as 1 to 10
    assert ends[0] == ends[1]
