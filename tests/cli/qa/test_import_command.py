"""qa import-ratings: tied to jobs and series, once, without patients; and hostile files."""

import json
from dataclasses import replace
from typing import Any

import pytest

from drawcli.adapters.state.former_client import DONE, FormerHistory, write_history
from drawcli.core.jobs.job import Event, EventKind, Job, State
from drawcli.pipeline.context import Context
from tests.cli.conftest import Ended, Run
from tests.conftest import NOON, Site
from tests.former_export import record

UID = "1.2.826.0.1.3680043.8.498."
OURS, THEIRS, NOBODYS = f"{UID}1", f"{UID}2", f"{UID}3"


def series(pk: str, uid: str) -> dict[str, Any]:
    return record("dicomseries", pk, series_instance_uid=uid, matched_templates=["t"])


def review(pk: str, of: str, edits: dict[str, Any] | None = None, **fields: Any) -> list[Any]:
    usual = {
        "deidentified_series_instance_uid": of,
        "date_contour_reviewed": "2026-11-20",
        "overall_rating": 8,
        "contour_modification_time_required": 12,
        "assessor_name": "Dr MUSTER",
        "reidentified_rt_structure_file_path": "/data/MUSTER/rs.dcm",
    }
    return [
        record("rtstructurefileimport", pk, **usual | fields),
        *(
            record(
                "rtstructurefilevoidata",
                f"{pk} {number}",
                rt_structure_file_import=pk,
                volume_name=name,
                contour_modification=edit,
                contour_modification_type=["x"],
                contour_modification_comments="as MUSTER said",
            )
            for number, (name, edit) in enumerate((edits or {}).items())
        ),
    ]


EDITS = {
    "Bladder": "MINOR_MODIFICATION",
    "Rectum": "NO_MODIFICATION",
    "Node region": "MAJOR_MODIFICATION",
    "Heart": "NOT_SEGMENTED",
    "Herr MUSTER": "NO_MODIFICATION",
    "Prostate": None,
}
EXPORT = [
    record("autosegmentationtemplate", "t", template_name="Male Pelvis"),
    record("autosegmentationstructure", "n", name="Node region"),
    record("patient", "p", patient_name="MUSTER"),
    series("a", OURS),
    series("b", THEIRS),
    series("c", NOBODYS),
    *review("r", "a", EDITS),
    *review("s", "b", {"Bladder": "MAJOR_MODIFICATION"}, overall_rating=3),
    *review("t", "c"),
    *review("u", "b", date_contour_reviewed=None),
]


@pytest.fixture
def job(ctx: Context) -> Job:
    """Put a delivered job into the ledger, and a series into the former client's history."""
    key = ctx.stand_ins.series_key(OURS)
    job = Job(
        id=f"{key}-1",
        state=State.DONE,
        since=NOON,
        template="Pelvis",
        delivered_sha256="0" * 64,
        events=(Event(NOON, EventKind.REACHED, State.DELIVERED),),
    )
    ctx.ledger.add(job)
    theirs = {ctx.stand_ins.series_key(THEIRS): {"outcome": DONE, "at": ""}}
    write_history(ctx.settings.state_dir, FormerHistory({ctx.stand_ins.key_id: theirs}))
    return job


@pytest.fixture
def imported(drawcli: Run, site: Site, job: Job) -> Run:
    """Return a function that imports records."""
    del job

    def run(records: Any, *words: str) -> Ended:
        text = records if isinstance(records, str) else json.dumps(records)
        (site.folder / "export.json").write_text(text)
        return drawcli("qa", "import-ratings", "export.json", *words)

    return run


def lines(site: Site) -> list[dict[str, Any]]:
    path = site.state / "qa" / "ratings.jsonl"
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text.splitlines() if line]


def test_ratings_belong_to_jobs_or_to_series_of_the_former_client(
    imported: Run, site: Site, job: Job
) -> None:
    told = imported(EXPORT)

    ours, theirs = lines(site)
    assert (ours["job"], ours["template"]) == (job.id, "Pelvis")
    assert (ours["overall"], ours["minutes"], ours["at"][:10]) == (8, 12, "2026-11-20")
    assert ours["structures"] == {
        "Bladder": "minor",
        "Rectum": "none",
        "Node region": "major",
        "Heart": "missing",
    }
    assert (theirs["job"], theirs["template"]) == (None, "Male_Pelvis")
    assert (
        "2 ratings imported: 1 of jobs of this site, 1 of series of the former client" in told.out
    )
    assert "not imported: 1: series unknown" in told.out
    assert "1 structure set without a review" in told.out
    assert "not kept: 1 structures with names" in told.out
    assert "other records, not read: 1" in told.out
    assert told.code == 6


def test_no_name_comment_or_uid_is_stored_or_shown(imported: Run, site: Site) -> None:
    told = imported(EXPORT)

    text = (site.state / "qa" / "ratings.jsonl").read_text() + told.out + told.err
    assert all(word not in text for word in ("MUSTER", UID, "as "))


def test_names_of_raters_are_kept_if_the_site_asks_for_them(imported: Run, site: Site) -> None:
    site.add_line("qa: {raters: true}")
    imported(EXPORT)

    assert {line["by"] for line in lines(site)} == {"Dr MUSTER"}


def test_a_second_import_adds_nothing(imported: Run, site: Site, drawcli: Run) -> None:
    dry = imported(EXPORT, "--dry-run")
    nothing = lines(site)
    imported(EXPORT)
    again = imported(EXPORT, "--json").answer["data"]
    table = drawcli("qa", "ratings", "--json").answer["data"]["table"]

    assert "would be imported" in dry.out
    assert nothing == []
    assert (again["imported"], again["known"], len(lines(site))) == (0, 2, 2)
    assert [(row["template"], row["n"]) for row in table if not row["structure"]] == [
        ("Male_Pelvis", 1),
        ("Pelvis", 1),
    ]


def test_a_rating_that_was_changed_replaces_its_earlier_import(
    imported: Run, site: Site, drawcli: Run
) -> None:
    imported(EXPORT)
    earlier = review("r", "a", overall_rating=2, date_contour_reviewed="2026-11-18")
    imported([series("a", OURS), *earlier])

    found = drawcli("qa", "ratings", "--template", "Pelvis", "--json").answer["data"]["ratings"]
    assert len(lines(site)) == 3
    assert [one["overall"] for one in found] == [2]


def test_contours_delivered_later_are_not_those_that_were_rated(
    imported: Run, site: Site, job: Job, ctx: Context
) -> None:
    told = imported([series("a", OURS), *review("r", "a", date_contour_reviewed="2026-11-12")])
    same_day = imported([series("a", OURS), *review("r", "a", date_contour_reviewed="2026-11-14")])

    assert "1: the series was delivered here only after the review" in told.out
    assert same_day.code == 0
    assert [line["job"] for line in lines(site)] == [job.id]
    ctx.ledger.commit(replace(job, delivered_sha256=None))
    assert "series unknown" in imported([series("a", OURS), *review("v", "a")]).out


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"overall_rating": 11}, "overall rating"),
    ({"overall_rating": 7.5}, "overall rating"),
    ({"overall_rating": True}, "overall rating"),
    ({"overall_rating": "8"}, "overall rating"),
    ({"overall_rating": [1]}, "overall rating"),
    ({"overall_rating": float("nan")}, "overall rating"),
    ({"contour_modification_time_required": -1}, "minutes of editing"),
    ({"contour_modification_time_required": 10**300}, "minutes of editing"),
    ({"date_contour_reviewed": "2126-01-01"}, "in the future"),
    ({"date_contour_reviewed": "MUSTER"}, "not a date"),
    ({"date_contour_reviewed": {"a": 1}}, "not a date"),
    ({"deidentified_series_instance_uid": "z"}, "not in the export"),
    ({"deidentified_series_instance_uid": None}, "not in the export"),
]


def test_a_record_with_a_wrong_value_is_not_imported_and_stops_no_other(
    imported: Run, site: Site
) -> None:
    odd = [
        one
        for number, (fields, _) in enumerate(REFUSED)
        for one in review(f"odd {number}", "a", **fields)
    ]
    odd += review("word", "a", {"Bladder": "MUSTER"})
    odd += [
        *review("twice", "a", {"Bladder": "MINOR_MODIFICATION"}),
        record(
            "rtstructurefilevoidata",
            "again",
            rt_structure_file_import="twice",
            volume_name="Bladder",
            contour_modification="MAJOR_MODIFICATION",
        ),
    ]
    told = imported([series("a", OURS), *odd, *review("good", "a", overall_rating=None)])

    refused = told.out.partition("not imported")[2]
    assert all(said in refused for _, said in REFUSED)
    assert "not one of the four" in refused
    assert "two different modifications" in refused
    assert len(lines(site)) == 1
    assert "MUSTER" not in told.out
    assert told.code == 6


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("{}", "not a list of records"),
        ("[1, 2]", "not a list of records"),
        ('{"model": "x.y"}', "not a list of records"),
        *[(text, "not JSON") for text in ("[", "[{}", "[{},]", "[{}] {}", "[{} {}]", "[,]", "{")],
        ('[{"model": 5, "fields": [], "pk": {}}]', "no reviews"),
        (json.dumps([series("a", OURS)]), "no reviews of structure sets"),
        (json.dumps(review("", "a")), "has no key"),
        (json.dumps([*review("r", "a"), *review("r", "b")]), "have the same key"),
        ('[{"model": "x.y", "pk": 1' + "0" * 5000 + "}]", "not JSON"),
    ],
)
def test_a_file_that_is_no_export_is_refused(
    imported: Run, site: Site, text: str, said: str
) -> None:
    told = imported(text)

    assert told.code == 3, told.err
    assert said in told.err
    assert lines(site) == []


def test_fields_of_another_version_are_reported(imported: Run) -> None:
    odd = review("r", "a", {"Bladder": "NO_MODIFICATION"}, stars=3, **{"Herr MUSTER": 1})
    told = imported([series("a", OURS), *odd])

    assert "unknown fields, not read" in told.out
    assert "rtstructurefileimport.stars" in told.out
    assert "MUSTER" not in told.out
    assert told.code == 0


def test_a_file_that_is_too_large_or_missing_is_refused(drawcli: Run, site: Site) -> None:
    with (site.folder / "large.json").open("wb") as stream:
        stream.truncate(200_000_001)

    assert "larger than" in drawcli("qa", "import-ratings", "large.json").err
    assert "No such file" in drawcli("qa", "import-ratings", "missing.json").err
