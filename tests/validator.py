"""Judges of what drawcli writes: dciodvfy, old and new, and tables of PS3.3."""

import importlib.resources
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

# That of the system (Debian: dicom3tools), and the newer one of the Python package.
VALIDATORS = [
    found
    for where in (None, str(Path(sys.executable).parent))
    if (found := shutil.which("dciodvfy", path=where))
]
HAS_VALIDATOR = bool(VALIDATORS)
needs_validator = pytest.mark.skipif(
    not HAS_VALIDATOR, reason="needs dciodvfy (dicom3tools of Debian or of the package index)"
)


def errors_of(path: Path) -> set[str]:
    """Return the kinds of errors that dciodvfy finds: without values and item numbers."""
    found: set[str] = set()
    for validator in dict.fromkeys(VALIDATORS):
        done = subprocess.run([validator, "-new", path], capture_output=True, check=False)
        said = done.stderr.decode("utf-8", "replace").splitlines()
        lines = (line for line in said if line.startswith("Error"))
        found |= {re.sub(r"<(?!/).*?>|\[\d+\]", "", line) for line in lines}
    return found


def faults_of(path: Path) -> set[str]:
    """Return what PS3.3 has against a structure set.

    Required attributes of the mandatory modules that are missing or empty, and attributes that no
    module of the IOD has.
    """
    dataset = dcmread(path)
    known: dict[tuple[str, ...], bool] = {}
    found: set[str] = set()
    for module in _table("iod_module_map")["rt-structure-set"]:
        for one in _table("module_attribute_map")[module["key"]]:
            where = (*one["path"], one["keyword"])
            known[where] = True
            if module["usage"] == "M" and one["type"] in ("1", "2"):
                found |= {
                    f"{'/'.join(where)} is missing or empty"
                    for item in _items(dataset, one["path"])
                    if where[-1] not in item or (one["type"] == "1" and not _said(item, where[-1]))
                }
    others = (where for where in _every(dataset) if where not in known)
    return found | {f"{'/'.join(where)} is not of the IOD" for where in others}


@cache
def _table(name: str) -> Any:
    folder = importlib.resources.files("highdicom") / "_standard"
    return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))


def _items(dataset: Dataset, path: list[str]) -> list[Dataset]:
    items = [dataset]
    for keyword in path:
        items = [inside for one in items for inside in one.get(keyword) or ()]
    return items


def _said(item: Dataset, keyword: str) -> bool:
    return item[keyword].value not in (None, "", b"")


def _every(dataset: Dataset, above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for element in dataset:
        where = (*above, element.keyword)
        yield where
        for item in element.value if element.VR == "SQ" else ():
            yield from _every(item, where)
