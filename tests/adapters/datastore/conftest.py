"""A datastore with a planning CT."""

from pathlib import Path

import pytest

from tests.conftest import PELVIS
from tests.phantoms.planning import write_planning_ct


@pytest.fixture
def store(tmp_path: Path) -> Path:
    made = tmp_path / "store"
    made.mkdir()
    return made


@pytest.fixture
def slices(store: Path) -> list[Path]:
    """Put a planning CT of three small slices into the datastore."""
    return write_planning_ct(store / "pelvis", PELVIS, slices=3, size=16, seed=1)
