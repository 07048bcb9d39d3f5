"""The cost of a structure set, counted: files and numbers are read no more often than needed."""

import io
import pickle
from collections import Counter
from copy import deepcopy
from pathlib import Path

import orjson
import pytest
from pydicom import dcmread

from drawcli.core.dicom.header import read_header
from drawcli.core.gate import acceptance, structure_set
from drawcli.core.gate.acceptance import Severity
from drawcli.core.gate.strict_reader import DataSet, Malformed
from drawcli.core.gate.structure_set import read_structure_set
from drawcli.core.rtstruct.inspection import (
    StructureCriteria,
    expect_finished,
    expect_received,
    inspect_finished,
    inspect_received,
)
from drawcli.core.rtstruct.reidentify import OwnUids, reidentify_file

BENCH = Path(__file__).parents[3] / "bench"
OWN = OwnUids("2.25.3", "2.25.4")
STRUCTURES, SLICES, POINTS = 3, 5, 12


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> tuple:  # type: ignore[type-arg] # of a bench
    """Return a structure set of the bench, and its series."""
    monkeypatch.syspath_prepend(str(BENCH))
    import reidentify  # type: ignore[import-not-found] # not a package

    crosswalk = reidentify.series(SLICES)
    return reidentify.drawn(crosswalk, STRUCTURES, POINTS, 3), crosswalk


def test_numbers_are_parsed_once_and_items_walked_once(
    made: tuple,  # type: ignore[type-arg]
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, crosswalk = made
    calls = Counter[str]()
    loads, items = orjson.loads, DataSet.items

    class Counting:
        JSONDecodeError = orjson.JSONDecodeError

        @staticmethod
        def loads(text: bytes) -> object:
            calls["numbers"] += text.count(b",") + 1
            return loads(text)

    def counted(self: DataSet, elements: object, tag: int) -> object:
        calls[f"{tag:08X}"] += 1
        return items(self, elements, tag)  # type: ignore[arg-type]

    monkeypatch.setattr(acceptance, "orjson", Counting)
    monkeypatch.setattr(DataSet, "items", counted)
    names = [f"S{number}" for number in range(1, STRUCTURES + 1)]
    numbers = STRUCTURES * SLICES * POINTS * 3

    found, measured = inspect_received(
        data, expect_received(crosswalk, names), crosswalk, StructureCriteria()
    )

    assert found == []
    assert calls["numbers"] == numbers
    assert calls["30060040"] == STRUCTURES  # ContourSequence
    assert calls["30060016"] == SLICES  # ContourImageSequence: equal bytes are read once
    calls.clear()
    whole = reidentify_file(read_header(data, complete=True), crosswalk, OWN)
    wanted = StructureCriteria(measured={one.name: one.as_plain() for one in measured})
    expected = expect_finished(crosswalk, frozenset(OWN), names)

    assert inspect_finished(whole, expected, crosswalk, wanted) == []
    assert calls["numbers"] == numbers
    assert calls["30060040"] == 2 * STRUCTURES  # facts and contours together, and the table
    assert calls["30060016"] == 2 * (SLICES + 1)  # likewise, and that of the series


def test_references_that_are_read_once_count_each_time(
    made: tuple,  # type: ignore[type-arg]
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, _ = made
    items = 4 * STRUCTURES + 2 * STRUCTURES * SLICES - STRUCTURES  # with one image a contour
    monkeypatch.setattr(structure_set, "_MOST_ITEMS", items)
    read_structure_set(DataSet(data))

    monkeypatch.setattr(structure_set, "_MOST_ITEMS", items - STRUCTURES - 1)
    with pytest.raises(Malformed, match="more items"):
        read_structure_set(DataSet(data))


@pytest.mark.parametrize("value", [b"1.23456789012345678", b"+1.5.5", b"1e\\", b"1.25\\\\"])
def test_a_number_that_is_no_ds_is_found_in_a_finished_file(
    made: tuple,  # type: ignore[type-arg]
    value: bytes,
) -> None:
    data, crosswalk = made
    whole = reidentify_file(read_header(data, complete=True), crosswalk, OWN)
    names = [f"S{number}" for number in range(1, STRUCTURES + 1)]
    expected = expect_finished(crosswalk, frozenset(OWN), names)
    place = whole.index(b"\\", whole.index(b"CLOSED_PLANAR") + 40) + 1
    behind = whole.index(b"\\", place + len(value))
    bad = whole[:place] + value.ljust(behind - place, b"0") + whole[behind:]

    texts = [one.text for one in inspect_finished(bad, expected, crosswalk, StructureCriteria())]

    assert texts == ["ContourData (3006,0050) is not a valid DS"]


def test_a_contour_that_is_padded_with_nul_is_found_in_a_finished_file(
    made: tuple,  # type: ignore[type-arg]
) -> None:
    data, crosswalk = made
    whole = reidentify_file(read_header(data, complete=True), crosswalk, OWN)
    names = [f"S{number}" for number in range(1, STRUCTURES + 1)]
    expected = expect_finished(crosswalk, frozenset(OWN), names)
    parts = whole.split(b"\x06\x30\x50\x00")  # ContourData
    places = [n for n, part in enumerate(parts[1:], start=1) if part[_end(part) - 1 :][:1] == b" "]
    number = places[0]
    end = _end(parts[number])
    parts[number] = parts[number][: end - 1] + b"\0" + parts[number][end:]
    bad = b"\x06\x30\x50\x00".join(parts)

    texts = [one.text for one in inspect_finished(bad, expected, crosswalk, StructureCriteria())]

    assert texts == ["ContourData (3006,0050) is not a valid DS"]


def _end(part: bytes) -> int:
    return 4 + int.from_bytes(part[:4], "little")


def test_a_structure_whose_contours_are_not_together_is_held(
    made: tuple,  # type: ignore[type-arg]
) -> None:
    data, crosswalk = made
    dataset = dcmread(io.BytesIO(data))
    first = dataset.ROIContourSequence[0]
    later = deepcopy(first)
    first.ContourSequence, later.ContourSequence = (
        first.ContourSequence[:2],
        first.ContourSequence[2:],
    )
    dataset.ROIContourSequence.append(later)
    out = io.BytesIO()
    dataset.save_as(out)
    names = [f"S{number}" for number in range(1, STRUCTURES + 1)]
    expected = expect_received(crosswalk, names)

    found, _ = inspect_received(out.getvalue(), expected, crosswalk, StructureCriteria())

    assert [(one.code, one.severity) for one in found] == [("roi-numbers", Severity.BLOCK)]


def test_memory_grows_by_no_more_than_two_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(str(BENCH))
    from measure import peak_mib  # type: ignore[import-not-found] # not a package
    from reidentify import drawn, names_of, series

    crosswalk, sizes, peaks = series(40), [], []
    for structures in (1, 15):
        path = tmp_path / f"{structures}.dcm"
        path.write_bytes(drawn(crosswalk, structures, 1500, 3))
        path.with_suffix(".way").write_bytes(pickle.dumps((crosswalk, names_of(structures))))
        sizes.append(path.stat().st_size / 2**20)
        peaks.append(peak_mib([str(BENCH / "reidentify.py"), "--check", str(path)]))

    assert sizes[1] - sizes[0] > 12
    assert peaks[1] - peaks[0] < 2.4 * (sizes[1] - sizes[0])  # 2: received and delivered


@pytest.mark.sweep
def test_a_structure_set_of_100_mb_stays_within_300_mb(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(str(BENCH))
    from measure import peak_mib
    from reidentify import LARGE_SLICES, drawn, names_of, series

    crosswalk, path = series(LARGE_SLICES), tmp_path / "large.dcm"
    path.write_bytes(drawn(crosswalk, 60, 330, 3))
    path.with_suffix(".way").write_bytes(pickle.dumps((crosswalk, names_of(60))))

    peak = peak_mib([str(BENCH / "reidentify.py"), "--check", str(path)])

    assert path.stat().st_size > 90e6
    assert path.with_suffix(".delivered").stat().st_size > 90e6
    assert peak * 2**20 < 300e6
