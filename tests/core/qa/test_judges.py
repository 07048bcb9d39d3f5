"""The figures of contours beside those of independent packages, where they are installed.

A short form of bench/qa_judges.py: the structures of a few of the real files that lie beside the
checkout, and edited copies of them.
"""

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.core.qa.solids import ball, levels, round_solid, torus
from tests.core.real_data import REAL, needs_real

pytestmark = [
    pytest.mark.sweep,
    pytest.mark.filterwarnings("ignore"),  # of the judges
]
BENCH = Path(__file__).parents[3] / "bench" / "qa_judges.py"
PLATIPY = os.environ.get("PLATIPY_PYTHON")  # it needs an older numpy: a Python of its own


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("qa_judges", BENCH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def judged(bench: ModuleType, cases: list[Any]) -> None:
    if not bench.judges(PLATIPY):
        pytest.skip("no judge is installed")
    for one in bench.agreements(cases, PLATIPY):
        assert not one.outside, (one.judge, one.figure, [case.name for case in one.outside])


def test_judges_agree_on_solids(bench: ModuleType) -> None:
    at = levels(2.0, 24)
    solids = [round_solid("Ball", ball(18), at), torus("Ring", (20, 7), at)]

    cases = list(bench.cases_of([("solids", roi) for roi in solids], 2))

    assert len(cases) == 8
    assert max(bench.known_paths(cases)) < 1e-6
    judged(bench, cases)


@needs_real
@pytest.mark.parametrize("folder", ["monaco_proknow_nopreamble", "cerr_pyCERR_pat_2"])
def test_judges_agree_on_real_structures(bench: ModuleType, folder: str) -> None:
    cases = list(bench.cases_of(bench.rois_in([REAL / "rt" / folder]), 1))

    assert cases
    assert max(bench.known_paths(cases)) < 1e-6
    judged(bench, cases)
