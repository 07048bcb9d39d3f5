import json
from datetime import UTC, datetime, timedelta

from drawcli.core.jobs.columns import BUNDLE, DETAILS, STATUS, TABLE, as_plain, facts
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


def test_no_digest_is_in_the_bundle() -> None:
    assert [
        column.name for column in BUNDLE if "sha256" in column.name or "digest" in column.name
    ] == []
