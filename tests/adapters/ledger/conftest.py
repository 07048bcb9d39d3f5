"""An empty ledger."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from drawcli.adapters.ledger import Ledger


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.json"


@pytest.fixture
def ledger(path: Path) -> Iterator[Ledger]:
    with Ledger(path) as opened:
        yield opened
