import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from drawcli.core.jobs.columns import BUNDLE, DETAILS, STATUS, TABLE, as_plain, facts, waits_text
from drawcli.core.jobs.job import Job, State

NOON = datetime(2026, 11, 14, 12, 0, tzinfo=UTC)
JOB = Job(id="0123456789ab-1", state=State.UPLOADED, since=NOON, slices=12, template="Pelvis")
LATER = NOON + timedelta(hours=2)


def test_the_keys_that_other_programs_read_stay() -> None:
    assert [column.name for column in STATUS] == [
        *"id state since seconds_in_state template rule modality slices attempts due_at".split(),
        *"held reason_code reason hint waits_for way_out warnings".split(),
    ]
    assert {column.name for column in DETAILS} >= {
        *"one_off set_aside pet_counts let_pass of_folder rules_commit rules_digest".split(),
        *"key_id zip_sha256 zip_bytes uploads_begun uploads_unanswered task_id".split(),
        *"uploaded_at received_sha256 delivered_sha256".split(),
    }


def test_what_a_job_waits_for_is_the_last_column_of_the_table() -> None:
    assert TABLE[-1].name == "waits_for", "put other columns with table=True before it"


def test_every_value_is_json() -> None:
    plain = json.loads(json.dumps(as_plain(JOB, LATER, (*STATUS, *DETAILS))))

    assert (plain["since"], plain["seconds_in_state"]) == ("2026-11-14T12:00:00+00:00", 7200)
    assert (plain["waits_for"], plain["way_out"]) == ("the server's contours", None)


def test_a_table_has_a_cell_and_a_title_for_each_of_its_columns() -> None:
    assert {column.title: column.shown(JOB, LATER) for column in TABLE} == {
        "job": "0123456789ab-1",
        "state": "uploaded",
        "for": "2 h",
        "template": "Pelvis",
        "modality": "",
        "slices": "12",
        "tries": "",
        "waits for": "the server's contours",
    }


def test_what_is_not_known_of_a_job_is_no_fact() -> None:
    assert facts(JOB, LATER) == [
        ("series", "?, 12 files"),
        ("template", "Pelvis"),
        ("rule", "assigned by a user"),
    ]


@pytest.mark.parametrize(
    ("changes", "fact", "text"),
    [
        ({"modality": "CT", "slices": 1}, "series", "CT, 1 file"),
        ({"slices": None}, "series", "?, ? files"),
        ({"one_off": True}, "series", "?, 12 files, one-off"),
        ({"of_folder": True}, "folder", "12 files that cannot be read"),
        ({"rule": "pelvis"}, "rule", "pelvis"),
        (
            {"zip_sha256": "ab", "zip_bytes": 2_000_000},
            "package",
            "1.9 MiB, sha256 ab",
        ),
        (
            {"unanswered": 1},
            "unanswered",
            "1 upload was started without an answer; the server may have copies",
        ),
        (
            {"unanswered": 2},
            "unanswered",
            "2 uploads were started without an answer; the server may have copies",
        ),
        (
            {"replaced": ("t",)},
            "replaced",
            "1 copy of earlier uploads at the server, until this is done",
        ),
        (
            {"replaced": ("t", "u"), "state": State.DONE},
            "replaced",
            "2 copies of earlier uploads at the server, the server is asked to delete them",
        ),
        (
            {"source_digest": "d", "source_stamp": "s", "let_pass": "d s missing-slices,crooked"},
            "let pass",
            "crooked, missing-slices",
        ),
    ],
)
def test_a_fact_has_its_text(changes: dict[str, Any], fact: str, text: str) -> None:
    assert dict(facts(replace(JOB, **changes), LATER))[fact] == text


def test_a_series_whose_size_is_known_has_it() -> None:
    assert facts(JOB, LATER, 2_000_000)[0] == ("series", "?, 12 files, 1.9 MiB")


def test_a_job_without_template_has_no_rule_and_one_without_release_none() -> None:
    assert "rule" not in dict(facts(replace(JOB, template=None), LATER))
    assert as_plain(JOB, LATER, DETAILS)["let_pass"] is None
    changed = replace(JOB, let_pass="d s crooked", source_digest="e", source_stamp="s")
    assert as_plain(changed, LATER, DETAILS)["let_pass"] is None


def test_a_finished_job_shows_its_delivery_or_what_nobody_has_looked_at() -> None:
    done = replace(JOB, state=State.DONE)
    warned = done.noted(NOON, "warning: one").noted(NOON, "warning: two")

    assert waits_text(done, LATER) == "nothing: delivered 2 h ago"
    assert waits_text(warned, LATER) == "a look at its warnings: one; two"
    delivered = replace(JOB, state=State.DELIVERED)
    assert waits_text(delivered, LATER) == "the confirmation to the server"


def test_no_digest_is_in_the_bundle() -> None:
    assert [
        column.name for column in BUNDLE if "sha256" in column.name or "digest" in column.name
    ] == []
