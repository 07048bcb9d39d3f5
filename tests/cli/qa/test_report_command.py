"""qa report at a terminal of 80 columns, for programs, and as files."""

import csv
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from drawcli.adapters.state.qa_records import QaRecords
from drawcli.core.qa.records import PairStatus
from tests.cli.conftest import Run
from tests.conftest import Site
from tests.operations.qa.cases import cases, record


@pytest.fixture
def pairs(site: Site) -> None:
    """Twenty pairs of the last 20 days, and a delivery without a clinical set."""
    now = datetime.now(UTC)
    compared = [
        replace(one, delivered_at=now - timedelta(days=n))
        for n, one in enumerate(cases(0, 20), start=1)
    ]
    missing = replace(record(99), status=PairStatus.MISSING, delivered_at=now - timedelta(days=2))
    old = replace(record(98), delivered_at=now - timedelta(days=200))
    QaRecords(site.state).add([*compared, missing, old])


@pytest.mark.usefixtures("pairs")
def test_twenty_pairs_are_read_in_eighty_columns(drawcli: Run) -> None:
    shown = drawcli("qa", "report", COLUMNS="80")

    lines = shown.out.splitlines()
    assert shown.code == 0
    assert max(map(len, lines)) <= 80
    assert lines[0].split(": ")[1] == "20 compared, 1 without a clinical set"
    assert lines[1] == "to be looked at: nothing"
    title, figures, halves = lines[4:7]
    assert title.split() == "structure n u/e/r Dice sDice HD95 APL state".split()
    assert figures.split()[:3] == ["Bladder", "20", "0/100/0"]
    assert figures.endswith("new 20/30")
    low, high = map(float, halves.split()[0].split("-"))
    assert low <= float(figures.split()[3]) <= high
    assert "u/e/r: % untouched, edited, redrawn" in shown.out


@pytest.mark.usefixtures("pairs")
def test_programs_get_the_same_and_spreadsheets_a_row_for_each_structure(drawcli: Run) -> None:
    data = drawcli("qa", "report", "--json").answer["data"]
    rows = list(csv.DictReader(io.StringIO(drawcli("qa", "report", "--csv").out)))

    assert data["pairs"] == {"compared": 20, "missing": 1}
    assert data["structures"][0]["n"] == 20
    assert [row["roi"] for row in rows] == ["Bladder"]
    assert float(rows[0]["dice_median"]) == data["structures"][0]["dice_median"]


@pytest.mark.usefixtures("pairs")
def test_since_reaches_as_far_as_asked(drawcli: Run) -> None:
    def count(*words: str) -> int:
        return sum(drawcli("qa", "report", "--json", *words).answer["data"]["pairs"].values())

    assert (count("--since", "5d"), count("--since", "300d")) == (5, 22)
    assert drawcli("qa", "report", "--since", "2999-01-01").code == 2


@pytest.mark.usefixtures("pairs")
def test_the_report_is_written_as_page_and_as_pdf(drawcli: Run, site: Site) -> None:
    pytest.importorskip("reportlab")

    shown = drawcli("qa", "report", "--html", "out.html", "--pdf", "out.pdf")

    assert shown.out.count("written: out.") == 2
    assert "<svg" in (site.folder / "out.html").read_text()
    assert (site.folder / "out.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.usefixtures("pairs")
def test_a_file_that_cannot_be_written_and_an_unknown_template_are_named(drawcli: Run) -> None:
    unwritable = drawcli("qa", "report", "--html", "no/such/folder.html")
    unknown = drawcli("qa", "report", "--template", "Prostate_OAL")

    assert (unwritable.code, unknown.code) == (2, 2)
    assert "no/such/folder.html cannot be written" in unwritable.err
    assert "Prostate_OAR" in unknown.err


def test_a_site_without_pairs_says_what_to_do(drawcli: Run) -> None:
    shown = drawcli("qa", "report")

    assert shown.code == 0
    assert "no delivered structure sets" in shown.out
    assert "qa.enabled" in shown.out


def test_doctor_checks_contours_where_they_are_compared(drawcli: Run, site: Site) -> None:
    def checks() -> set[str]:
        data = drawcli("doctor", "--offline", "--json").answer["data"]
        return {one["check"] for one in data["checks"]}

    before = checks()
    site.add_line("qa: {enabled: true}")

    assert checks() - before == {"contours"}
