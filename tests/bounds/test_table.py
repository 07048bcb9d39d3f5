"""Each row of the table of bounds names a test that exists, and a bound that is in the code."""

import ast
from functools import cache
from pathlib import Path

import pytest

from tests.bounds.table import ROWS, Row

ROOT = Path(__file__).parents[2]


@cache
def functions_of(path: str) -> frozenset[str]:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    kinds = ast.FunctionDef | ast.AsyncFunctionDef
    return frozenset(node.name for node in tree.body if isinstance(node, kinds))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.what}, {row.of}")
def test_a_bound_has_a_value_and_a_test(row: Row) -> None:
    path, _, name = row.test.partition("::")

    assert row.value > 0
    assert name in functions_of(path)


def test_no_input_has_two_bounds_of_a_kind() -> None:
    assert len({(row.what, row.of) for row in ROWS}) == len(ROWS)
    assert len({(row.where, row.key, row.test) for row in ROWS}) >= len(ROWS) - 2
