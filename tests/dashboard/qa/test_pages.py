"""The pages of quality assurance: what a physicist reads, also without script and colours."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode
from xml.etree.ElementTree import Element

import pytest
from starlette.testclient import TestClient

from drawcli.adapters.state.golden_store import RESULTS
from drawcli.adapters.state.qa_records import LineFile, QaRatings, QaRecords
from drawcli.adapters.state.qa_summary import write_summary
from drawcli.core.qa.golden import GoldenOutcome, GoldenResult
from drawcli.core.qa.outcomes import ContourOutcome, StructureComparison
from drawcli.core.qa.ratings import Edit, Rating, RatingSource
from drawcli.core.qa.records import PairRecord, PairStatus
from drawcli.core.qa.summary import ChartSummary, QaSummary
from drawcli.dashboard.qa.words import NO_FIGURE
from drawcli.operations.qa.clinical.scan import scan_pairs
from drawcli.pipeline.context import Context
from tests.conftest import NOON, Clock, Site
from tests.dashboard.conftest import WORDS, Serve, log_in
from tests.dashboard.qa.conftest import Scanned, past
from tests.dashboard.test_html import check_headings, check_names, read, said
from tests.operations.qa.cases import cases, edited, record

HOSTILE = "<script>alert(1)</script> \"'&\u202e%2f/../;"
CHART = "/qa/chart?template=Prostate_OAR&roi=Bladder&metric=dice"


def page(client: TestClient, place: str) -> Element:
    """Open a page; see that it is good HTML for every reader."""
    answer = client.get(place)
    assert answer.status_code == 200, (place, answer.text)
    root = read(answer.text)
    everything = list(root.iter())
    names = [one.get("id") for one in everything if one.get("id")]
    assert len(names) == len(set(names)), (place, names)
    assert not [one.tag for one in everything if "style" in one.attrib or one.tag == "style"], place
    check_headings(place, everything)
    check_names(place, everything)
    return root


def text_of(client: TestClient, place: str) -> str:
    return said(page(client, place))


def rows(root: Element, label: str) -> list[list[str]]:
    """Return the cells of the table in a region."""
    region = next(one for one in root.iter() if one.get("aria-label") == label)
    return [[said(cell) for cell in row] for row in region.iter("tr")][1:]


def facts(root: Element) -> dict[str, str]:
    """Return the lists of facts of a page."""
    pairs = zip(root.iter("dt"), root.iter("dd"), strict=False)
    return {said(name): said(value) for name, value in pairs}


def links(root: Element) -> Iterator[tuple[str, str]]:
    for one in root.iter():
        if one.tag.rpartition("}")[2] == "a":  # in a picture, too
            yield one.get("href", ""), one.get("aria-label") or said(one)


def test_without_records_it_says_how_to_switch_it_on(client: TestClient) -> None:
    text = text_of(client, "/qa")

    assert "Not switched on" in text
    assert "qa: enabled: true" in text
    assert "drawcli qa scan" in text
    assert "No records yet" in text
    assert text_of(client, "/qa/pairs").count("None of 0")


@pytest.fixture
def switched_on(site: Site) -> None:
    """Switch quality assurance on in the settings."""
    site.config.write_text(f"{site.config.read_text()}qa: {{enabled: true}}\n")


@pytest.mark.usefixtures("switched_on")
def test_a_site_that_waits_for_its_first_scan_is_told_so(client: TestClient) -> None:
    text = text_of(client, "/qa")

    assert "Not switched on" not in text
    assert "The first drawcli qa scan after a delivery" in text


def test_a_structure_has_its_state_in_words_its_cases_and_latest_figures(
    client: TestClient, shifted: list[PairRecord]
) -> None:
    root = page(client, "/qa")

    (row,) = rows(root, "Structures of Prostate_OAR")
    assert row[:3] == ["Bladder", "◆ investigate", "40"]
    latest = shifted[-1].structures[0]
    assert row[3].endswith(f"{latest.dice:.3f}")
    assert row[5].endswith(f"{latest.hd95_mm:.1f} mm")
    assert (CHART, f"Dice of Bladder: {latest.dice:.3f}, investigate") in list(links(root))
    assert "1 structure to investigate" in said(root)
    assert root.findtext("head/title") == "! 1 to investigate · drawcli"


def test_what_is_to_be_looked_at_is_first_with_its_reason(
    client: TestClient, scanned: Scanned
) -> None:
    steady = past(replace(one, job=f"a{one.job[1:]}") for one in cases(0, 60, roi="Anus"))
    scanned([*steady, *past(cases(0, 40)), *past(cases(40, 12, dice=0.8))])

    root = page(client, "/qa")

    (card,) = (one for one in root.iter("li") if "card" in one.get("class", "").split())
    assert "Bladder" in said(card)
    assert "◆ investigate" in said(card)
    assert re.search(r"Dice of Bladder: .*(limit|centre)", said(card))
    assert [row[0] for row in rows(root, "Structures of Prostate_OAR")] == ["Bladder", "Anus"]
    assert [row[1] for row in rows(root, "Structures of Prostate_OAR")][1] == "✓ routine"


def test_a_new_chart_says_how_many_cases_the_baseline_needs(
    client: TestClient, scanned: Scanned
) -> None:
    scanned(past(cases(0, 12)))

    (row,) = rows(page(client, "/qa"), "Structures of Prostate_OAR")
    chart = text_of(client, CHART)

    assert row[1:3] == ["… new", "12 of 30"]
    assert "Baseline: 12 of 30 cases. Limits follow with case 30." in chart
    assert "… new" in chart


def test_the_number_to_investigate_is_in_the_navigation_of_every_page(
    client: TestClient, shifted: list[PairRecord]
) -> None:
    assert shifted
    for place in ("/", "/jobs", "/qa/pairs"):
        nav = next(page(client, place).iter("nav"))
        assert "QA ◆ 1 to investigate" in said(nav), place


def test_the_first_page_leads_to_what_is_to_be_investigated(
    client: TestClient, shifted: list[PairRecord]
) -> None:
    assert ("/qa", "1 structure to investigate") in list(links(page(client, "/")))
    assert shifted


def test_the_time_of_the_last_scan_is_shown(
    client: TestClient, ctx: Context, clock: Clock, scanned: Scanned
) -> None:
    scanned(past(cases(0, 3)))
    before = facts(page(client, "/qa"))["last scan"]
    scan_pairs(ctx)
    clock.advance(minutes=5)

    assert before == "not known; last change 0 s ago"
    assert facts(page(client, "/qa"))["last scan"] == "5 min ago; last change 5 min ago"


def test_the_overview_shows_one_template(client: TestClient, scanned: Scanned) -> None:
    other = [replace(one, template="Thorax_OAR", job=f"b{one.job[1:]}") for one in cases(0, 3)]
    scanned(past([*cases(0, 3), *other]))

    both, one, unknown = (
        text_of(client, f"/qa{query}")
        for query in ("", "?template=Thorax_OAR", "?template=Prostate")
    )

    assert "Prostate_OAR 1 structures" in both
    assert "Thorax_OAR 1 structures" in both
    assert "Prostate_OAR 1 structures" not in one
    assert unknown == both


def test_many_structures_are_listed_when_their_template_is_chosen(
    client: TestClient, ctx: Context
) -> None:
    charts = tuple(
        ChartSummary(template=f"T{number // 60}", roi=f"S{number % 60:02}", metric="dice",
            version="v", state="watch" if number == 61 else "routine", n=40, last=0.9)
        for number in range(600)
    )  # fmt: skip
    write_summary(ctx.settings.state_dir, QaSummary(at=NOON, charts=charts))

    root, chosen = page(client, "/qa"), page(client, "/qa?template=T1")

    assert [row[0] for row in rows(root, "Structures of T1")] == ["S01"]
    assert "All 60 structures of T1" in said(root)
    assert [row[0] for row in rows(chosen, "Structures of T1")][:3] == ["S01", "S00", "S02"]
    assert len(rows(chosen, "Structures of T1")) == 60


def test_a_case_leads_to_its_pair_and_its_figure_is_in_picture_table_and_csv(
    client: TestClient, shifted: list[PairRecord]
) -> None:
    root = page(client, CHART)
    table = rows(root, "Table of the cases")
    points = [one for one in links(root) if re.match(r"\d{4}-\d\d-\d\d: Dice", one[1])]
    lines = list(csv.DictReader(io.StringIO(client.get(CHART.replace("?", ".csv?")).text)))

    expected = [(one.job, one.structures[0].dice or 0.0) for one in shifted]
    assert [place for place, _ in points] == [f"/qa/pair/{job}" for job, _ in expected]
    shown = [float(re.findall(r"Dice ([\d.]+)", text)[0]) for _, text in points]
    for jobs, figures, error in (
        ([job for job, _ in expected], shown, 6e-4),
        ([row[1] for row in table[::-1]], [float(row[3]) for row in table[::-1]], 6e-4),
        ([line["job"] for line in lines], [float(line["dice"]) for line in lines], 6e-5),
    ):
        assert jobs == [job for job, _ in expected]
        assert figures == pytest.approx([dice for _, dice in expected], abs=error)
    assert [row[2] for row in table[::-1]] == ["1"] * 60 + ["2"] * 40
    assert client.get(points[0][0]).status_code == 200


def test_a_change_of_version_is_in_words_with_what_it_did(
    client: TestClient, shifted: list[PairRecord]
) -> None:
    text = text_of(client, CHART)

    began = f"{shifted[60].delivered_at:%Y-%m-%d}"
    assert f"{began}: the server's catalogue entry of a model changed" in text
    assert "Version 2 against 1: worse, mean Dice" in text
    assert "new catalogue" in text


def test_one_version_can_be_shown_alone(client: TestClient, shifted: list[PairRecord]) -> None:
    root = page(client, CHART)
    (second,) = (place for place, text in links(root) if text.startswith("2 since"))

    alone = page(client, second)

    table = rows(alone, "Table of the cases")
    assert [row[1] for row in table] == [one.job for one in shifted[60:][::-1]]
    assert client.get(f"{CHART}&version=unheard").status_code == 404
    lines = client.get(second.replace("?", ".csv?")).text.splitlines()
    assert len(lines) == 41


@pytest.fixture
def limits(site: Site) -> Path:
    """Name a file of limits set by hand in the settings."""
    site.config.write_text(f"{site.config.read_text()}qa: {{limits: limits.yaml}}\n")
    path = site.folder / "limits.yaml"
    path.write_text("{}\n")
    return path


def test_limits_set_by_hand_are_shown_with_their_reason(
    limits: Path, client: TestClient, shifted: list[PairRecord]
) -> None:
    assert shifted
    before = text_of(client, CHART)

    given = "{centre: 0.9, limit: 0.7, reason: audit of <March>}"
    limits.write_text(f"Prostate_OAR:\n  Bladder:\n    dice: {given}\n")
    root = page(client, CHART)
    limits.write_text("Prostate_OAR: [\n")
    wrong = client.get(CHART)

    assert "changed cases of the baseline" in before
    assert re.search(r"Limits 0.700 to 0.\d+, centre 0.900, set by hand: audit", said(root))
    assert "0.700 limit" in said(root)
    assert wrong.status_code == 503
    assert "limits.yaml" in wrong.text


def test_what_a_golden_case_has_found_is_a_change_in_the_charts_of_its_template(
    client: TestClient, ctx: Context, scanned: Scanned
) -> None:
    scanned(past(cases(0, 40)))
    before = text_of(client, CHART)
    (moved,) = next(cases(0, 1)).structures
    at = past(cases(20, 1))[0].delivered_at
    result = GoldenResult(
        at=at, case="c", template="Prostate_OAR", outcome=GoldenOutcome.CHANGED, structures=(moved,)
    )

    LineFile(ctx.settings.state_dir / "qa" / RESULTS).add([result.as_plain()])
    text = text_of(client, CHART)

    assert "golden" not in before
    assert f"{at:%Y-%m-%d}: a golden case came back with other contours: Bladder" in text
    assert "golden case changed" in text


def test_golden_cases_that_changed_are_told_first(client: TestClient, ctx: Context) -> None:
    summary = QaSummary(at=NOON, golden=("Prostate_OAR",))
    write_summary(ctx.settings.state_dir, summary)

    text = text_of(client, "/qa")

    assert "The golden cases of Prostate_OAR came back changed. drawcli qa golden list" in text
    assert "Nothing to look at" not in text


def test_signals_are_listed_in_words_with_their_jobs(client: TestClient, scanned: Scanned) -> None:
    scanned([*past(cases(0, 40)), *past(cases(40, 12, dice=0.8))])

    root = page(client, CHART)

    listed = [said(one) for one in root.iter("li") if "investigate, 2026" in said(one)]
    assert listed
    job = re.search(r"[0-9a-f]{12}-1", listed[0])
    assert job is not None
    lines = csv.DictReader(io.StringIO(client.get(CHART.replace("?", ".csv?")).text))
    marked = {line["job"]: line["signals"] for line in lines if line["signals"]}
    assert "investigate:" in marked[job[0]]
    table = {row[1]: row[4] for row in rows(root, "Table of the cases")}
    assert "investigate: " in table[job[0]]


def test_metrics_are_switched_and_keep_version_and_number(
    client: TestClient, shifted: list[PairRecord]
) -> None:
    assert shifted
    root = page(client, f"{CHART}&cases=300")

    nav = next(one for one in root.iter("nav") if one.get("aria-label") == "Metrics")
    here = [said(one) for one in nav.iter("a") if one.get("aria-current")]
    there = {said(one).split(",")[0].lstrip("◆▲ "): one.get("href", "") for one in nav.iter("a")}

    assert here == ["◆ Dice, investigate"]
    assert there["HD95"].endswith("metric=hd95_mm&cases=300")
    assert "HD95 of Bladder" in text_of(client, there["HD95"])
    assert len(there) == 5


def test_the_latest_hundred_cases_are_shown_and_more_on_request(
    client: TestClient, scanned: Scanned
) -> None:
    scanned(past(cases(0, 150)))

    root, more = page(client, CHART), page(client, f"{CHART}&cases=300")

    assert len(rows(root, "Table of the cases")) == 100
    assert "100 300 1,000 of 150 cases" in said(root)
    assert len(rows(more, "Table of the cases")) == 150


def test_monthly_means_are_a_picture_and_a_table(
    client: TestClient, shifted: list[PairRecord]
) -> None:
    root = page(client, CHART)

    table = rows(root, "Table of the months")
    months = {f"{one.delivered_at:%Y-%m}" for one in shifted}
    assert {row[0] for row in table} == months
    assert sum(int(row[1]) for row in table) == 100
    assert "Monthly means of Dice" in " ".join(one.get("aria-label", "") for one in root.iter())


@pytest.mark.parametrize(
    "place",
    [
        "/qa/chart",
        "/qa/chart?template=Prostate_OAR&roi=Nothing&metric=dice",
        "/qa/chart?template=Nothing&roi=Bladder&metric=dice",
        "/qa/chart.csv?template=Nothing&roi=Bladder",
        "/qa/pair/0123456789ab-1",
        "/qa/pair/nothing",
        "/qa/chart/x",
    ],
)
def test_what_is_not_there_is_not_found(
    client: TestClient, shifted: list[PairRecord], place: str
) -> None:
    assert shifted
    assert client.get(place).status_code == 404


@pytest.fixture
def without_charts(site: Site) -> None:
    """Set no metric that is charted."""
    site.config.write_text(f"{site.config.read_text()}qa: {{charts: []}}\n")


@pytest.mark.usefixtures("without_charts")
def test_a_site_without_charts_has_pairs(client: TestClient, shifted: list[PairRecord]) -> None:
    assert client.get(CHART).status_code == 404
    assert "No charts yet" in text_of(client, "/qa")
    assert "Bladder" in text_of(client, f"/qa/pair/{shifted[0].job}")


def test_an_unknown_metric_is_the_first_one(client: TestClient, shifted: list[PairRecord]) -> None:
    assert shifted
    assert "Dice of Bladder" in text_of(client, CHART.replace("dice", "age&cases=7"))


def test_the_style_of_the_pictures_is_a_file_of_the_page(client: TestClient) -> None:
    style = client.get("/static/chart.css")

    assert style.headers["content-type"].startswith("text/css")
    assert ".qc .dot" in style.text
    assert "default-src" in style.headers["content-security-policy"]


def test_a_pair_shows_each_structure_and_why_this_clinical_set(
    client: TestClient, scanned: Scanned
) -> None:
    changed = edited("Rectum", 0.8, name_b="rectum", shift_mm=(1.0, -0.5, -0.04), tau_mm=3.0,
        volume_a_cm3=52.25, volume_b_cm3=50.0)  # fmt: skip
    removed = StructureComparison(name="PenileBulb", outcome=ContourOutcome.REMOVED)
    one = record(0, edited("Bladder", 1.0), changed, removed, chosen_by="approved",
        approval="APPROVED", b_sha256="b" * 64, others=2, unpaired=3)  # fmt: skip
    scanned(past([one]))

    root = page(client, f"/qa/pair/{one.job}")

    table = rows(root, "Table of the structures")
    assert table[0][:3] == ["Bladder", "= untouched", "1.000"]
    assert table[1] == [
        "Rectum as rectum", "✎ edited", "0.800", "0.900", "8.0", "12.0", "2.00", "600",
        "52.2", "50.0", "1.0, -0.5, 0.0",
    ]  # fmt: skip
    assert table[2][2:] == [NO_FIGURE] * 9
    text = said(root)
    assert "1 untouched, 1 edited, 1 removed, lowest Dice 0.800 of Rectum" in text
    assert facts(root)["why this clinical set"] == "it is approved"
    assert facts(root)["other sets of the series"] == "2"
    assert "Tolerance of surface Dice and added path: 3 mm" in text
    assert (f"{CHART.replace('Bladder', 'Rectum')}", "Rectum") in list(links(root))


@pytest.mark.parametrize("status", [one for one in PairStatus if one is not PairStatus.COMPARED])
def test_a_pair_without_a_comparison_says_why(
    client: TestClient, scanned: Scanned, status: PairStatus
) -> None:
    one = replace(record(0), status=status, note="a note of the scan")
    scanned(past([one]))

    pair, listed = text_of(client, f"/qa/pair/{one.job}"), page(client, "/qa/pairs")

    assert f" {status}" in pair
    assert "a note of the scan" in pair
    (row,) = rows(listed, "Pairs")
    assert row[0] == one.job
    assert row[1].endswith(str(status))
    assert row[4] == "a note of the scan"


def test_pairs_are_filtered_and_paged(client: TestClient, scanned: Scanned) -> None:
    missing = replace(record(900, template="Thorax_OAR"), status=PairStatus.MISSING)
    scanned(past([*cases(0, 150), missing]))

    first, second = page(client, "/qa/pairs?status=compared"), page(client, "/qa/pairs?page=2")
    alone = page(client, "/qa/pairs?status=missing&template=Thorax_OAR")
    none = text_of(client, "/qa/pairs?status=failed")
    strange = page(client, "/qa/pairs?status=unheard&template=unheard&page=99999999")

    assert "1 to 100 of 150" in said(first)
    dice = past(cases(0, 150))[-1].structures[0].dice
    assert rows(first, "Pairs")[0][4] == f"1 edited; lowest Dice {dice:.3f}, Bladder"
    assert "101 to 151 of 151" in said(second)
    assert ("/qa/pairs?status=compared&page=2", "Next") in list(links(first))
    assert [row[0] for row in rows(alone, "Pairs")] == [missing.job]
    assert "None of 151" in none
    assert "101 to 151 of 151" in said(strange)
    overview = page(client, "/qa")
    assert (
        "/qa/pairs?status=missing",
        "1 missing: no clinical structure set was found yet",
    ) in list(links(overview))


def test_the_rating_is_shown_and_its_comment_to_who_may_see_patients(
    serve: Serve, ctx: Context, scanned: Scanned
) -> None:
    (one,) = past(cases(0, 1))
    scanned([one])
    rating = Rating(series=one.job[:12], at=NOON, source=RatingSource.PAGE, job=one.job,
        overall=7, minutes=4.5, structures={"Bladder": Edit.MINOR}, comment="of Smith")  # fmt: skip
    QaRatings(ctx.settings.state_dir).add([rating])

    usual = page(serve(), f"/qa/pair/{one.job}")
    client = serve(password=WORDS, identify=True)
    log_in(client)
    identified = page(client, f"/qa/pair/{one.job}")

    assert facts(usual)["overall"] == "7 of 10"
    assert facts(usual)["minutes of editing"] == "4.5"
    assert facts(usual)["Bladder"].startswith("minor")
    assert "Smith" not in said(usual)
    assert facts(identified)["comment"] == "of Smith"


def test_names_with_markup_are_text_and_their_links_work(
    client: TestClient, scanned: Scanned
) -> None:
    long = "x" * 64
    hostile = [
        record(number, edited(HOSTILE, 0.9 + number / 1000), edited(long, 0.9),
            template=HOSTILE, note=HOSTILE, approval=HOSTILE, chosen_by=HOSTILE)
        for number in range(40)
    ]  # fmt: skip
    scanned(past(hostile))
    query = urlencode({"template": HOSTILE, "roi": HOSTILE, "metric": "dice"})

    places = ["/qa", "/qa/pairs", f"/qa/chart?{query}", f"/qa/pair/{hostile[0].job}"]
    for place in places:
        root = page(client, place)
        assert HOSTILE.replace("\u202e", "") in said(root).replace("\u202e", ""), place
        assert [one.get("src") for one in root.iter("script")] == [
            root.find("head/script").get("src")  # type: ignore[union-attr] # it is there
        ], place
    found = {place for where in places for place, _ in links(page(client, where))}
    charts = {place for place in found if place.startswith("/qa")}
    assert len(charts) > 10
    for place in charts:
        assert client.get(place).status_code == 200, place


def test_every_page_needs_a_login_if_there_is_a_password(
    serve: Serve, shifted: list[PairRecord]
) -> None:
    client = serve(password=WORDS)

    for place in (
        "/qa",
        "/qa/pairs",
        CHART,
        CHART.replace("?", ".csv?"),
        f"/qa/pair/{shifted[0].job}",
    ):
        assert client.get(place).headers["location"] == "/login", place


def test_the_page_of_a_job_leads_to_its_pair(
    client: TestClient, ctx: Context, home: object
) -> None:
    (job,) = ctx.ledger.jobs()
    assert "Contours after delivery" not in client.get(f"/jobs/{job.id}").text
    QaRecords(ctx.settings.state_dir).add([replace(record(0), job=job.id)])

    root = page(client, f"/jobs/{job.id}")

    assert (f"/qa/pair/{job.id}", "Compared with the clinical structure set") in list(links(root))
    assert client.get(f"/qa/pair/{job.id}").status_code == 200
    assert home


def test_pages_read_torn_files_as_far_as_they_are_whole(
    client: TestClient, ctx: Context, shifted: list[PairRecord]
) -> None:
    folder = ctx.settings.state_dir / "qa"
    for path in (folder / "pairs.jsonl", folder / "summary.json"):
        path.write_bytes(path.read_bytes()[:-40])
    (folder / "ratings.jsonl").write_bytes(b'{"job": "' + shifted[0].job.encode())

    assert "No records yet" in text_of(client, "/qa")
    assert "99 cases" in client.get(CHART).text
    assert "1 to 99 of 99" in text_of(client, "/qa/pairs")
    assert "Bladder" in text_of(client, f"/qa/pair/{shifted[0].job}")
