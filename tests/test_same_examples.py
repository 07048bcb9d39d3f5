"""The examples of hypothesis are the same in each run, whatever other tests have loaded."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st


def examples() -> list[list[int]]:
    """Return the examples of a property."""
    seen: list[list[int]] = []

    @given(st.lists(st.integers(), min_size=50))
    def property_(numbers: list[int]) -> None:
        seen.append(numbers)

    property_()
    return seen


@pytest.mark.skipif("RANDOM" in os.environ, reason="new examples are looked for")
def test_a_module_that_is_loaded_changes_no_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = examples()
    path = tmp_path / "constants.py"
    path.write_text("\n".join(f"N{number} = {123_456_700 + number}" for number in range(50)))
    spec = importlib.util.spec_from_file_location("constants_of_a_test", path)
    assert spec is not None

    monkeypatch.setitem(sys.modules, "constants_of_a_test", importlib.util.module_from_spec(spec))

    assert examples() == before
