"""The index of the records: it grows with the file, and forgets what is no longer there."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Event
from typing import Any

import pytest

from drawcli.adapters.state.qa_records import QaRecords
from drawcli.core.qa.records import PairRecord, PairStatus
from drawcli.dashboard.qa.reader import QaReader
from drawcli.operations.qa.site_charts import site_charts
from drawcli.pipeline.context import Context
from tests.dashboard.qa.conftest import Scanned, past, shifting
from tests.operations.qa.cases import cases, edited, record
from tests.waiting import PATIENCE


@pytest.fixture
def records(ctx: Context) -> QaRecords:
    return QaRecords(ctx.settings.state_dir)


@pytest.fixture
def reader(ctx: Context) -> QaReader:
    return QaReader(ctx.settings)


def test_a_chart_is_the_one_that_all_records_give(reader: QaReader, records: QaRecords) -> None:
    others = [replace(one, template="Thorax_OAR", job=f"f{one.job[1:]}") for one in shifting()]
    records.add([*shifting(), *others])

    charts = reader.charts("Prostate_OAR", "Bladder", "hd95_mm")

    expected = site_charts(records.by_job().values(), reader.metrics, 30)
    assert charts is not None
    assert charts in expected
    assert [len(chart.points) for chart in charts.charts] == [60, 40]


def test_what_was_appended_is_read_and_nothing_twice(
    reader: QaReader, records: QaRecords, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    rows_from = QaRecords.rows_from

    def watch(self: QaRecords, place: int) -> Iterator[tuple[dict[str, Any], int]]:
        for row, end in rows_from(self, place):
            read.append(row["job"])
            yield row, end

    monkeypatch.setattr(QaRecords, "rows_from", watch)
    first, *later = past(cases(0, 4))
    records.add([first])
    assert [row.record.job for row in reader.pairs()] == [first.job]

    records.add(later)
    found = reader.pairs()
    reader.pairs()

    assert [row.record.job for row in found] == [one.job for one in [*later[::-1], first]]
    assert read == [one.job for one in [first, *later]]


def test_a_chart_follows_new_records(reader: QaReader, records: QaRecords) -> None:
    records.add(past(cases(0, 3)))
    before = reader.charts("Prostate_OAR", "Bladder", "dice")

    records.add(past(cases(3, 2)))
    after = reader.charts("Prostate_OAR", "Bladder", "dice")

    assert before is not None
    assert after is not None
    assert (len(before.present.points), len(after.present.points)) == (3, 5)


def test_the_last_record_of_a_job_counts(reader: QaReader, records: QaRecords) -> None:
    (one,) = cases(0, 1)
    records.add([replace(one, status=PairStatus.MISSING, structures=())])
    assert reader.status(one.job) is PairStatus.MISSING
    reader.pairs()

    records.add([one])

    assert reader.status(one.job) is PairStatus.COMPARED
    assert [row.record.status for row in reader.pairs()] == [PairStatus.COMPARED]
    assert reader.record(one.job) == PairRecord.from_plain(one.as_plain())


def test_a_line_that_is_being_written_is_read_when_it_is_whole(
    reader: QaReader, records: QaRecords
) -> None:
    first, second = past(cases(0, 2))
    records.add([first])
    line = b"\n" + json.dumps(second.as_plain()).encode()
    with records.path.open("ab") as stream:
        stream.write(line[:100])
    assert len(reader.pairs()) == 1

    with records.path.open("ab") as stream:
        stream.write(line[100:])

    assert len(reader.pairs()) == 2


def test_a_torn_line_and_lines_that_are_no_records_are_skipped(
    reader: QaReader, records: QaRecords
) -> None:
    good = next(cases(0, 1))
    plain = good.as_plain()
    (structure,) = plain["structures"]
    wrong: list[Any] = [
        [], "text", {}, {"job": good.job},
        plain | {"structures": [{"name": 1, "outcome": "edited"}]},
        plain | {"structures": [structure | {"outcome": "unheard"}]},
        plain | {"structures": ["Bladder"]},
        plain | {"structures": 3},
        plain | {"status": "unheard"},
    ]  # fmt: skip
    records.path.parent.mkdir()
    records.path.write_text("".join("\n" + json.dumps(one) for one in wrong) + '\n{"job": "ha')
    records.add([good])

    assert [row.record.job for row in reader.pairs()] == [good.job]


@pytest.mark.parametrize("figure", [float("nan"), float("inf"), "0.9", None])
def test_a_figure_that_is_no_number_is_left_out(
    reader: QaReader, records: QaRecords, figure: object
) -> None:
    good, other = past(cases(0, 2))
    plain = other.as_plain()
    plain["structures"][0]["dice"] = figure
    records.add([good])
    with records.path.open("a") as stream:
        stream.write("\n" + json.dumps(plain))

    charts = reader.charts("Prostate_OAR", "Bladder", "dice")

    assert charts is not None
    assert [point.job for point in charts.present.points] == [good.job]
    assert len(reader.pairs()) == 2


def test_a_file_that_was_replaced_is_read_anew(reader: QaReader, records: QaRecords) -> None:
    records.add(past(cases(0, 5)))
    assert len(reader.pairs()) == 5

    records.path.rename(records.path.with_suffix(".old"))
    assert reader.pairs() == []
    records.add(past(cases(7, 2)))

    assert len(reader.pairs()) == 2
    assert reader.charts("Prostate_OAR", "Bladder", "dice") is not None


def test_a_file_that_another_one_replaced_is_read_anew(
    reader: QaReader, records: QaRecords
) -> None:
    records.add(past(cases(0, 5)))
    assert len(reader.pairs()) == 5
    kept = records.path.read_bytes()
    restored = records.path.with_suffix(".new")

    for count in (9, 2):
        restored.write_bytes(kept.replace(b'"00000000', b'"f0000000') * (count - 1))
        restored.replace(records.path)
        assert {row.record.job[0] for row in reader.pairs()} == {"f"}
        assert len(reader.pairs()) == 5

    records.path.write_bytes(kept[: len(kept) // 2])
    assert len(reader.pairs()) == 2


def test_structures_that_do_not_count_in_charts_have_none(
    reader: QaReader, records: QaRecords
) -> None:
    removed = edited("Rectum", 0.9, outcome="removed")
    records.add([record(0, edited("Bladder", 0.9), removed)])

    assert reader.rois("Prostate_OAR") == ["Bladder"]
    assert reader.charts("Prostate_OAR", "Rectum", "dice") is None
    assert reader.charts("Prostate_OAR", "Bladder", "unheard") is None


def test_other_pages_do_not_wait_while_the_index_is_read(
    reader: QaReader, scanned: Scanned, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *later = past(cases(0, 4))
    scanned([first, *later])
    reader.pairs()
    scanned(past(cases(4, 2)))
    begun, free = Event(), Event()
    rows_from = QaRecords.rows_from

    def slow(self: QaRecords, place: int) -> Iterator[tuple[dict[str, Any], int]]:
        begun.set()
        free.wait(PATIENCE)
        yield from rows_from(self, place)

    monkeypatch.setattr(QaRecords, "rows_from", slow)
    with ThreadPoolExecutor() as pool:
        reading = pool.submit(reader.pairs)
        begun.wait(PATIENCE)
        summary = pool.submit(reader.summary).result(timeout=PATIENCE / 2)
        status = pool.submit(reader.status, first.job).result(timeout=PATIENCE / 2)
        is_reading = not reading.done()
        free.set()
        found = reading.result()

    assert summary is not None
    assert (status, is_reading, len(found)) == (PairStatus.COMPARED, True, 6)


def test_a_damaged_summary_is_none(ctx: Context, reader: QaReader, scanned: Scanned) -> None:
    scanned(past(cases(0, 3)))
    assert reader.summary() is not None

    (ctx.settings.state_dir / "qa" / "summary.json").write_text('{"at": "20')

    assert reader.summary() is None
    assert reader.noted("investigate") == 0


def test_structures_to_investigate_are_counted_not_their_charts(
    reader: QaReader, shifted: list[PairRecord]
) -> None:
    summary = reader.summary()

    assert summary is not None
    assert summary.states()["investigate"] > 1
    assert reader.noted("investigate") == 1
    assert shifted


def test_limits_that_were_set_by_hand_are_those_of_the_chart(
    reader: QaReader, records: QaRecords, ctx: Context
) -> None:
    path = ctx.settings.state_dir.parent / "limits.yaml"
    path.write_text("Prostate_OAR: {Bladder: {dice: {centre: 0.98, limit: 0.95, reason: audit}}}\n")
    reader.settings = ctx.settings.replace(qa=ctx.settings.qa.replace(limits=path))
    records.add(cases(0, 3))

    charts = reader.charts("Prostate_OAR", "Bladder", "dice")

    assert charts is not None
    assert charts.summary().limits_from == "by hand"
