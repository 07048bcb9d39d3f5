"""Public files with planted identities: none of them is sent."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from tests.core.real_data import REAL
from tests.deidentification import engine
from tests.deidentification.search import folded, pixels_of, texts

KEY_FILE: Final = REAL / "phi_key.tsv"
MAKERS: Final = frozenset({"toshiba", "siemens", "philips", "medical", "systems"})
LEAST: Final = 5  # characters of a part of a value; shorter ones stand anywhere by chance
LEAST_SENT: Final = 8  # series, so that the test cannot pass by refusing everything

pytestmark = pytest.mark.skipif(not KEY_FILE.is_file(), reason="no real data beside the checkout")


def planted() -> dict[str, set[str]]:
    """Return the planted texts of each source: whole values and their long parts."""
    found: dict[str, set[str]] = {}
    for line in KEY_FILE.read_text(encoding="utf-8").splitlines()[1:]:
        source, _, vr, value = line.split("\t")
        text = folded(value.strip(" ~^"))
        parts = {text} if vr in ("UI", "DA") else {text, *text.replace("^", " ").split()}
        said = found.setdefault(source, set())
        said |= {part for part in parts if len(part) >= LEAST and part not in MAKERS}
    return found


def all_series(folder: Path) -> Iterator[list[Path]]:
    """Yield the files of each series below a folder."""
    series: dict[object, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            try:
                header = dcmread(path, stop_before_pixels=True)
            except InvalidDicomError:
                continue
            uid = header.get("SeriesInstanceUID") or path
            series.setdefault((path.parent, uid), []).append(path)
    yield from series.values()


def test_nothing_planted_in_public_files_is_sent() -> None:
    sent, left = 0, set()
    for source, secrets in planted().items():
        for paths in all_series(REAL / "phi" / source):
            try:
                made = engine.series(paths)
            except engine.REFUSED:
                continue
            sent += 1
            for raw in made.values():
                head = folded(raw.removesuffix(pixels_of(raw)).decode("latin-1"))
                said = [folded(text) for _, text in texts(raw)]
                for one in secrets:
                    if one in head or any(one in text for text in said):
                        left.add(f"{source}: {paths[0].name}: {one}")

    assert left == set()
    assert sent >= LEAST_SENT


def test_the_gate_lets_public_files_pass_once_they_are_clean(tmp_path: Path) -> None:
    """The gate does not block what the engine cleaned."""
    seen: dict[str, list[str]] = {}
    for source in planted():
        for paths in all_series(REAL / "phi" / source):
            try:
                package = engine.packaged(paths, tmp_path / "package.zip")
            except engine.REFUSED:
                continue
            seen[str(paths[0].relative_to(REAL))] = engine.found_by_gate(package, paths)

    assert {path: found for path, found in seen.items() if found} == {}
    assert len(seen) >= LEAST_SENT
