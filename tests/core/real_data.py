"""The real files that lie beside the checkout, where there are any."""

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

REAL = Path(__file__).parents[2].parent / "shared/data/real"
TABLE_E1_1 = REAL.parent / "ps3.15_table_e1-1_2026c.json"
needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="no real data beside the checkout")


def real_files() -> Iterator[Path]:
    """Yield every file that is not packed."""
    for path in sorted(REAL.rglob("*")):
        if path.is_file() and path.suffix not in (".xz", ".tsv", ".md"):
            yield path


def unpacked(archive: str, folder: Path) -> list[Path]:
    """Unpack one of the large series; return its files."""
    with tarfile.open(REAL / archive) as packed:
        packed.extractall(folder, filter="data")
    return sorted(path for path in folder.rglob("*") if path.is_file())
