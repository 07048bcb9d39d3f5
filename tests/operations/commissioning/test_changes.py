"""What golden cases have shown, in charts and alarms."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from drawcli.adapters.state.golden_store import GoldenStore
from drawcli.core.qa.golden import GoldenCase, GoldenOutcome, GoldenResult
from drawcli.core.qa.outcomes import ContourOutcome, StructureComparison
from drawcli.operations.alarm_conditions import AlarmKind
from drawcli.operations.commissioning.changes import golden_alarms, golden_changes

AT = datetime(2026, 11, 14, 12, tzinfo=UTC)
BLADDER = StructureComparison(name="Bladder", outcome=ContourOutcome.REDRAWN, dice=0.93)


def result(day: int, outcome: GoldenOutcome, case: str = "a" * 12) -> GoldenResult:
    changed = outcome in (GoldenOutcome.CHANGED, GoldenOutcome.STILL_CHANGED)
    return GoldenResult(
        at=AT + timedelta(days=day),
        case=case,
        template="Pelvis",
        outcome=outcome,
        job=f"{case}-{day}",
        structures=(BLADDER,) if changed else (),
    )


def store_of(folder: Path) -> GoldenStore:
    store = GoldenStore(folder)
    case = GoldenCase(
        id="a" * 12,
        template="Pelvis",
        models=(720,),
        added_at=AT,
        zip_sha256="0" * 64,
        zip_bytes=1,
        template_digest="t",
    )
    store.add(case)
    assert store.cases() == [case]
    return store


def test_a_change_is_a_line_in_charts_once_and_an_alarm_until_it_is_accepted(
    tmp_path: Path,
) -> None:
    store = store_of(tmp_path)
    store.note(result(0, GoldenOutcome.REFERENCE), result(1, GoldenOutcome.CHANGED))
    store.note(result(2, GoldenOutcome.STILL_CHANGED), result(3, GoldenOutcome.FAILED))

    (change,) = golden_changes(tmp_path)
    (alarm,) = golden_alarms(tmp_path)
    store.note(result(4, GoldenOutcome.ACCEPTED))

    assert (change.template, change.kind, change.at) == (
        "Pelvis",
        "golden",
        AT + timedelta(days=1),
    )
    assert (alarm.kind, alarm.key) == (AlarmKind.QA, "golden/Pelvis")
    assert "Bladder" in alarm.text
    assert golden_alarms(tmp_path) == []
    assert len(golden_changes(tmp_path)) == 1


def test_results_are_read_as_they_were_written_and_torn_lines_are_skipped(tmp_path: Path) -> None:
    store = store_of(tmp_path)
    written = [result(0, GoldenOutcome.REFERENCE), result(1, GoldenOutcome.CHANGED)]
    store.note(*written)
    with (tmp_path / "qa" / "golden.jsonl").open("ab") as stream:
        stream.write(b'\n{"at": "2026-')
    store.note(result(2, GoldenOutcome.UNCHANGED))

    assert list(store.results()) == [*written, result(2, GoldenOutcome.UNCHANGED)]
