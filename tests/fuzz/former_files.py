"""The database export of a former client, and what drawcli keeps of it."""

import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

from drawcli.adapters.rulebook.rulebook import read_rulebook
from drawcli.adapters.state.former_client import (
    DONE,
    FILE_NAME,
    LEFT,
    SENT,
    FormerHistory,
    read_history,
    write_history,
)
from drawcli.authoring.former_export import HISTORY, FormerExport
from drawcli.authoring.former_history import history_of
from drawcli.authoring.migrate import Migration, migrate_to_folder
from drawcli.errors import ConfigError
from drawcli.operations.former_report import former_report
from tests.fuzz import json_values
from tests.fuzz.image_files import scratch
from tests.fuzz.targets import READ, UNITS, Units, target

PATIENT: Final = "Mustermann"  # in the corpus only where the history has patients
STATES: Final = {
    "dicomseries": "series_processsing_status",
    "dicomseriesprocessingmodel": "processing_status",
}
ENDED: Final = ("RTSTRUCTURE_EXPORTED", "RTSTRUCT_EXPORTED")
ON_ITS_WAY: Final = (
    *("SENT_TO_DRAW_SERVER", "RTSTRUCTURE_RECEIVED", "RTSTRUCTURE_EXPORT_FAILED", "DEIDENTIFIED"),
    *("INVALID_RTSTRUCTURE_RECEIVED", "RTSTRUCT_REIDENTIFIED", "RTSTRUCT_EXPORT_FAILED"),
)
SINCE, UNTIL = (datetime(year, 1, 1, tzinfo=UTC) for year in (2000, 2030))


@cache
def folder() -> Path:
    return scratch()


def records_of(data: bytes) -> list[bytes]:
    """Return the records of an export, each as JSON."""
    try:
        whole = json.loads(data)
    except (ValueError, RecursionError):
        return [data]
    return [json.dumps(one).encode() for one in whole] if isinstance(whole, list) else [data]


def export_of(records: list[bytes]) -> bytes:
    return b"[" + b",\n".join(records) + b"]"


UNITS["former_export"] = UNITS["former_patients"] = Units(
    records_of, export_of, json_values.altered
)
UNITS["former_history"] = Units(alter=json_values.altered)


def check_error(err: ConfigError) -> None:
    """An error can be shown on a terminal, and names no patient."""
    text = f"{err}\n{err.hint}"
    assert "".join(text.splitlines()).isprintable()
    assert PATIENT not in text


@target
def former_export(data: bytes) -> None:
    """Rules and templates of an export: translated, or kept as comments; the files are valid."""
    path = folder() / "export.json"
    path.write_bytes(data)
    migration = migrate_to_folder(folder() / "new")
    try:
        migration.take([path])
    except ConfigError as err:
        check_error(err)
        return
    check_migration(migration)


def check_migration(migration: Migration) -> None:
    """Check what would be written: valid UTF-8 and YAML, each item reported once."""
    for document in (migration.rules, migration.templates):
        document.source.decode("utf-8")
    book = read_rulebook(migration.rules, migration.templates)
    assert {rule.name for rule in book.rules} <= {item.name for item in migration.taken} | {""}
    for item in migration.taken:
        for line in (item.name, *item.why):
            assert "\x1b" not in line
    json.dumps([item.as_plain() for item in migration.taken])
    READ["former_export"] += 1


@target
def former_patients(data: bytes) -> None:
    """The history in an export: outcomes and numbers of series, and no identifier."""
    path = folder() / "patients.json"
    path.write_bytes(data)
    try:
        dump = FormerExport(path, HISTORY)
    except ConfigError as err:
        check_error(err)
        return
    history = history_of(dump, "key", hashed)
    kept = json.dumps([history.series, history.statistics, history.ratings], allow_nan=False)
    records = json.loads(data.decode("utf-8-sig"))
    assert PATIENT not in kept or any(PATIENT in f"{one}" for one in map(kept_texts, records))
    assert history.joined(history) == history
    outcomes = {key: one["outcome"] for key, one in history.series.get("key", {}).items()}
    assert outcomes == expected_outcomes(records, outcomes)
    for rating in history.ratings.values():
        assert {*rating} <= {"at", "overall", "minutes", "structures"}
        assert all(type(rating.get(name, 0)) in (int, bool) for name in ("overall", "minutes"))
    write_history(folder(), history)
    assert read_history(folder()) == history
    assert former_report(history, SINCE, UNTIL) is not None or history == FormerHistory()
    READ["former_patients"] += 1


def hashed(uid: str) -> str:
    """Return what stands for a UID, the same for some of them."""
    return f"{len(uid):04d}"


def kept_texts(record: Any) -> list[Any]:
    """Return the texts of a record that the history keeps: names of structures and figures."""
    fields = record.get("fields")
    fields = fields if isinstance(fields, dict) else {}
    return [record.get("pk"), fields.get("volume_name"), fields.get("parameter_name")]


def is_plain(value: Any) -> bool:
    """Return whether a value is missing, or a text that needs no cleaning."""
    return value is None or (isinstance(value, str) and value.isascii() and value.isprintable())


def expected_outcomes(records: list[Any], found: dict[str, str]) -> dict[str, str]:
    """Return the best outcome of each series by a reader of the test; `found` for odd UIDs."""
    best: dict[str, str] = {}
    for record in records:
        kind = str(record.get("model", "")).rpartition(".")[2].casefold()
        field, fields = STATES.get(kind), record.get("fields")
        if field is None or not isinstance(fields, dict) or field not in fields:
            continue
        uid, state = fields.get("series_instance_uid"), fields[field]
        if not (is_plain(uid) and is_plain(state) and is_plain(fields.get("series_state"))):
            return found
        uid, state = uid or "", state or ""
        done = str(fields.get("series_state") or "").upper() == "COMPLETE"
        done |= state.strip().upper() in ENDED
        sent = state.strip().upper() in ON_ITS_WAY
        if key := uid.strip() and hashed(uid.strip()):
            outcomes = (best.get(key, LEFT), DONE if done else SENT if sent else LEFT)
            best[key] = max(outcomes, key=(LEFT, SENT, DONE).index)
    return best


@target
def former_history(data: bytes) -> None:
    """The file of the history, which a scan and a report read."""
    (folder() / FILE_NAME).write_bytes(data)
    try:
        history = read_history(folder())
    except ConfigError as err:
        check_error(err)
        return
    plain = json.loads(data)
    assert [history.series, history.ratings, history.statistics] == [
        plain[name] for name in ("series", "ratings", "statistics")
    ]
    assert history.counts["ratings"] == len(history.ratings)
    assert history.joined(history) == history
    report = former_report(history, SINCE, UNTIL)
    if report is not None:
        json.dumps([report.as_plain(), report.edits], allow_nan=False)
        READ["former_history"] += 1
