"""Structure sets just within the bounds and just beyond."""

import struct
from collections.abc import Iterator

import pytest

from drawcli.core.gate import acceptance, strict_reader, structure_set
from drawcli.core.gate.acceptance import FileContour
from drawcli.core.gate.strict_reader import DataSet, Malformed
from drawcli.core.gate.structure_set import read_structure_set
from drawcli.core.rtstruct import contour_checks
from drawcli.core.rtstruct.contour_checks import inspect_contours
from drawcli.core.rtstruct.contour_table import MOST_CONTOURS
from drawcli.core.series.slice_grid import Grid
from tests.bounds.data_sets import HEAD, element, nested, sequence

ROI = 0x30060020
NUMBER = 0x30060022
SQUARE = b"10\\10\\0\\20\\10\\0\\20\\20\\0\\10\\20\\0"


@pytest.mark.parametrize("beyond", [0, 1])
def test_elements_of_an_item(beyond: int) -> None:
    most = strict_reader._MOST_ELEMENTS
    inside = b"".join(element(0x31010010 + n, b"LO", b"") for n in range(most + beyond))
    file = DataSet(HEAD + sequence(ROI, [inside]))

    if beyond:
        with pytest.raises(Malformed, match="more elements than any structure set"):
            list(file.items(file.elements, ROI))
    else:
        assert len(next(file.items(file.elements, ROI))) == most


@pytest.mark.parametrize("beyond", [0, 1])
def test_nesting(beyond: int) -> None:
    data = HEAD + nested(ROI, strict_reader._DEEPEST + beyond)

    if beyond:
        with pytest.raises(Malformed, match="nested too deep"):
            DataSet(data)
    else:
        DataSet(data)


@pytest.mark.parametrize("beyond", [0, 2])
def test_structures(beyond: int) -> None:
    most = structure_set._MOST_STRUCTURES
    items = [element(NUMBER, b"IS", str(n).encode().ljust(6)) for n in range(1, most + beyond + 1)]
    file = DataSet(HEAD + sequence(ROI, items))

    if beyond:
        with pytest.raises(Malformed, match="more items than in any structure set"):
            read_structure_set(file)
    else:
        assert len(read_structure_set(file).rois) == most


@pytest.mark.parametrize("beyond", [0, 1])
def test_points_of_a_contour(beyond: int) -> None:
    count = acceptance._MOST_POINTS + beyond
    contour = FileContour(1, "CLOSED_PLANAR", str(count), (), b"\\".join([b"1"] * 3 * count))

    assert len(contour.points() or ()) == (0 if beyond else count)


def contours(count: int) -> Iterator[FileContour]:
    for _ in range(count):
        yield FileContour(1, "POINT", "x", (), b"")  # has a finding, and no outline


@pytest.mark.parametrize("beyond", [0, 1])
def test_contours(beyond: int) -> None:
    found, measured = inspect_contours(contours(MOST_CONTOURS + beyond), {1: "bladder"}, grid(), {})

    assert bool(measured) is not beyond
    assert [code for code, _ in found] == (["contour-tangled"] if beyond else ["contour-values"])


@pytest.mark.parametrize("beyond", [0, 1])
def test_points_of_all_contours(beyond: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contour_checks, "MOST_POINTS", 400)
    squares = [FileContour(n, "CLOSED_PLANAR", "4", (), SQUARE) for n in range(100 + beyond)]

    found, measured = inspect_contours(squares, {}, grid(), {})

    assert len(measured) == (0 if beyond else 100)
    assert ("contour-tangled" in dict(found)) == bool(beyond)


def grid() -> Grid:
    """Return ten slices of 64 x 64 pixels of 1 mm."""
    order = tuple((0.0, 0.0, 3.0 * number) for number in range(10))
    return Grid(
        row=(1, 0, 0),
        column=(0, 1, 0),
        normal=(0, 0, 1),
        size=(63, 63),
        pixel=1.0,
        places={(f"1.{number}", 1): place for number, place in enumerate(order)},
        order=order,
        offsets=tuple(z for _, _, z in order),
        step=3.0,
    )


def test_a_length_beyond_the_file_costs_nothing() -> None:
    cut = HEAD + struct.pack("<HH2sHI", 0x3006, 0x0020, b"SQ", 0, 0xFFFFFF00)

    with pytest.raises(Malformed, match="cut off"):
        DataSet(cut)
