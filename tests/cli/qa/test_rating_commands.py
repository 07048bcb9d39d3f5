"""qa rate and ratings: stored, asked for, replaced, shown; and what is refused."""

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from drawcli.adapters.state.qa_records import QaRatings, QaRecords
from drawcli.adapters.state.workdir import REPORT
from drawcli.core.jobs.job import Job, State
from drawcli.core.qa.outcomes import ContourOutcome
from drawcli.pipeline.context import Context
from tests.cli.conftest import Ended, Run, answering
from tests.conftest import NOON, PELVIS, Site
from tests.core.qa.test_ratings import RATING
from tests.core.qa.test_records import RECORD
from tests.dashboard.conftest import brought_home, put_on_hold
from tests.fake_draw import FakeDraw


@pytest.fixture
def home(ctx: Context, draw: FakeDraw, pelvis: list[Path]) -> Job:
    """Deliver the structure set of one series."""
    assert pelvis
    return brought_home(ctx, draw)


@pytest.fixture
def delivered(ctx: Context) -> Job:
    """Put a delivered job into the ledger: its record alone is quick to make."""
    job = Job(
        id="0123456789ab-1",
        state=State.DONE,
        since=NOON,
        template="Prostate_OAR",
        delivered_sha256="0" * 64,
    )
    ctx.ledger.add(job)
    names = ("Bladder", "Rectum", "Prostate")
    report = {"structures": [{"name": name} for name in names], "findings": []}
    ctx.work.write_json(job.id, REPORT, report)
    return job


@pytest.fixture
def rate(drawcli: Run, delivered: Job) -> Run:
    """Return a function that rates the delivered job."""
    return lambda *words: drawcli("qa", "rate", delivered.id, *words)


def lines(site: Site) -> list[dict[str, Any]]:
    path = site.state / "qa" / "ratings.jsonl"
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines() if line]


def test_a_rating_is_stored_and_a_later_one_replaces_it(
    rate: Run, delivered: Job, site: Site
) -> None:
    first = rate(
        *("--overall", "8", "--minutes", "12", "--all", "none", "--structure", "bladder = Minor"),
        *("--comment", "  dome cut\n off "),
    )
    second = rate("--overall", "6", "--structure", "Rectum=major")
    shown = rate("--show", "--json").answer["data"]

    assert first.code == second.code == 0
    assert "dome cut off" in first.out
    old, new = lines(site)
    assert old["structures"] == {"Bladder": "minor", "Rectum": "none", "Prostate": "none"}
    assert old["template"] == delivered.template
    assert (shown["rating"]["overall"], shown["earlier"]) == (6, 1)
    assert shown["rating"]["structures"] == {"Rectum": "major"}
    assert new["comment"] == ""


REFUSED = [
    (("--structure", "Bladdr=none"), "did you mean 'Bladder'"),
    (("--structure", "Bladder=tiny"), "'tiny' is not none, minor, major, missing"),
    (("--structure", "Bladder"), "has no '='"),
    (("--structure", "Bladder=none", "--structure", "bladder=minor"), "names Bladder twice"),
    (("--all", "minr"), "did you mean 'minor'"),
    (("--overall", "11"), "from 0 to 10"),
    (("--minutes", "nan"), "from 0 to 1440"),
    (("--comment", "fine"), "nothing is rated"),
    (("--overall", "5", "--comment", "x" * 501), "501 characters"),
    (("--overall", "5", "--by", "R. Example"), "qa.raters"),
    (("--overall", "5", "--show"), "no other option"),
    ((), "nothing is rated: give --overall"),
]


def test_what_cannot_be_is_told_and_stores_nothing(rate: Run, site: Site) -> None:
    for words, said in REFUSED:
        told = rate(*words)

        assert told.code == 2, words
        assert said in told.err
    assert lines(site) == []


COMMENTS = [
    f"bad for {PELVIS.name.split('^')[0].title()}",
    f"see {PELVIS.patient_id}",
    "call 040 7410-5512",
    "ask jane@example.org",
]


def test_a_comment_that_names_the_patient_is_refused(drawcli: Run, home: Job, site: Site) -> None:
    for comment in COMMENTS:
        told = drawcli("qa", "rate", home.id, "--overall", "5", "--comment", comment)

        assert told.code == 2, comment
        assert "the comment holds" in told.err
        assert comment not in told.err
    assert lines(site) == []
    assert (
        drawcli("qa", "rate", home.id, "--all", "none", "--comment", "bladder: 1 cm off").code == 0
    )
    assert len(dict(lines(site)[0]["structures"])) > 3


def test_a_job_without_contours_is_not_rated(drawcli: Run, ctx: Context, site: Site) -> None:
    told = drawcli("qa", "rate", put_on_hold(ctx).id, "--overall", "5")

    assert told.code == 2
    assert "nothing was delivered yet" in told.err
    assert lines(site) == []


def test_at_a_terminal_it_asks_for_each_structure(delivered: Job, site: Site) -> None:
    answers = "12\n9\n\n0\nmi\n4\n1\n\n" + "\n" * 2
    said = answering(site, ["qa", "rate", delivered.id], answers)

    (line,) = lines(site)
    assert "a whole number from 0 to 10" in said
    assert "0 to 3, or none, minor, major, missing" in said
    assert (line["overall"], line["minutes"]) == (9, None)
    assert sorted(line["structures"].values()) == ["minor", "none"]
    assert "your name" not in said


def test_a_dry_run_stores_nothing(rate: Run, site: Site) -> None:
    assert "rating not stored (dry run)" in rate("--overall", "8", "--dry-run").out
    assert lines(site) == []


def test_names_of_raters_are_kept_if_the_site_asks_for_them(rate: Run, site: Site) -> None:
    site.add_line("qa: {raters: true}")
    told = rate("--overall", "8", "--by", "R. Example", "--json")

    assert lines(site)[0]["by"] == "R. Example"
    assert "Example" not in told.out


def test_structures_are_known_when_the_work_folder_is_gone(
    rate: Run, delivered: Job, ctx: Context, site: Site
) -> None:
    ctx.work.remove(delivered.id)
    told = rate("--structure", "Rectum=none", "--comment", "fine")

    assert told.code == 0, told.err
    assert lines(site)[0]["structures"] == {"Rectum": "none"}


def test_structures_of_an_old_job_are_those_that_were_compared(
    rate: Run, drawcli: Run, delivered: Job, ctx: Context, site: Site
) -> None:
    ctx.work.remove(delivered.id)
    added = replace(RECORD.structures[0], name="Node", outcome=ContourOutcome.ADDED)
    old = replace(RECORD.structures[0], name="Old name")
    record = replace(RECORD, job=delivered.id, structures=(old, added))
    QaRecords(site.state).add([record])

    refused = rate("--structure", "Node=none")
    rate("--structure", "old name=minor", "--minutes", "3")
    shown = drawcli("qa", "show", delivered.id)

    assert "Delivered: Old name." in refused.err
    assert lines(site)[0]["structures"] == {"Old name": "minor"}
    assert "3 min of editing; 1 minor" in shown.out


def table(told: Ended) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(told.out)))


def test_ratings_are_a_table_of_templates_and_structures(
    drawcli: Run, rate: Run, delivered: Job
) -> None:
    nothing = drawcli("qa", "ratings")
    rate("--overall", "8", "--minutes", "4", "--structure", "Bladder=minor", "--comment", "hm")
    whole, bladder = table(drawcli("qa", "ratings", "--csv"))
    shown = drawcli("qa", "ratings", COLUMNS="80")
    data = drawcli("qa", "ratings", "--json").answer["data"]
    other = drawcli("qa", "ratings", "--template", "Other", "--csv")
    before = drawcli("qa", "ratings", "--since", "2026-01-01", "--json").answer["data"]

    assert "no ratings" in nothing.out
    assert (whole["template"], whole["structure"], whole["n"]) == (delivered.template, "", "1")
    assert (bladder["minor"], bladder["none"], bladder["minutes_median"]) == ("1", "0", "4.0")
    assert "100%" in shown.out
    assert max(map(len, shown.out.splitlines()[:3])) <= 80
    assert [one["job"] for one in data["ratings"]] == [delivered.id]
    assert len(before["ratings"]) == 1
    assert table(other) == []


def test_ratings_before_the_span_are_left_out(drawcli: Run, site: Site) -> None:
    QaRatings(site.state).add([RATING, replace(RATING, job="ba9876543210-1", at=NOON)])
    found = drawcli("qa", "ratings", "--since", "2026-11-14", "--json").answer["data"]

    assert [one["job"] for one in found["ratings"]] == ["ba9876543210-1"]
    assert found["table"][0]["n"] == 1


def test_comments_are_shown_only_if_asked_for(drawcli: Run, rate: Run) -> None:
    rate("--overall", "8", "--comment", "dome cut off")
    plain = [drawcli("qa", "ratings", *words).out for words in ([], ["--json"], ["--csv"])]
    asked = [drawcli("qa", "ratings", "--comments", *words).out for words in ([], ["--json"])]

    assert all("dome" not in text for text in plain)
    assert all("dome cut off" in text for text in asked)
