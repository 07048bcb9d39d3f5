import json
from pathlib import Path

import pytest

from tests.mutation.verdicts import Mutant, Verdict, counts, forget_survivors, mutants, score

PACKAGE = "drawcli/core/jobs"
FUNCTIONS = {
    "x__half__mutmut_orig": ["def x__half__mutmut_orig(n):", "    return n / 2"],
    "x__half__mutmut_1": ["def x__half__mutmut_1(n):", "    return n * 2"],
    "x__half__mutmut_2": ["def x__half__mutmut_2(n):", "    return n / 3"],
    "xǁ_Jobǁ_is_held__mutmut_orig": [
        "    def xǁ_Jobǁ_is_held__mutmut_orig(self, now=0):",
        "        pass",
    ],
    "xǁ_Jobǁ_is_held__mutmut_1": [
        "    def xǁ_Jobǁ_is_held__mutmut_1(self, now=1):",
        "        pass",
    ],
}
HALF, HELD = (
    "drawcli.core.jobs.job.x__half__mutmut_",
    "drawcli.core.jobs.job.xǁ_Jobǁ_is_held__mutmut_",
)


def ran(folder: Path, codes: dict[str, int | None]) -> Path:
    lines: list[str] = ["import os", ""]
    spans = {}
    for name, code in FUNCTIONS.items():
        spans[name] = [len(lines) + 1, len(lines) + len(code)]
        lines += [*code, ""]
    module = folder / "mutants" / PACKAGE / "job.py"
    module.parent.mkdir(parents=True)
    module.write_text("\n".join(lines))
    module.with_name("job.py.spans").write_text(json.dumps({"version": 1, "spans": spans}))
    module.with_name("job.py.meta").write_text(json.dumps({"exit_code_by_key": codes}))
    return module.with_name("job.py.meta")


def test_a_mutant_is_named_by_function_and_changed_lines(tmp_path: Path) -> None:
    ran(tmp_path, {f"{HALF}1": 0, f"{HALF}2": 1, f"{HELD}1": 37})
    assert mutants(tmp_path, PACKAGE) == [
        Mutant("job._half", "return n / 2", "return n * 2", Verdict.SURVIVED),
        Mutant("job._half", "return n / 2", "return n / 3", Verdict.TESTS),
        Mutant(
            "job._Job._is_held",
            "def _is_held(self, now=0):",
            "def _is_held(self, now=1):",
            Verdict.TYPES,
        ),
    ]


@pytest.mark.parametrize("code", [1, 3, 37, -24, 24, 36, 152, 255])
def test_tests_types_and_the_time_limit_kill(tmp_path: Path, code: int) -> None:
    ran(tmp_path, {f"{HALF}1": code})
    found = mutants(tmp_path, PACKAGE)
    assert (found[0].survives, score(found)) == (False, 100)


@pytest.mark.parametrize("code", [0, 5, 33, 34, 35, -11, -9])
def test_every_other_outcome_is_a_survivor(tmp_path: Path, code: int) -> None:
    ran(tmp_path, {f"{HALF}1": code})
    found = mutants(tmp_path, PACKAGE)
    assert (found[0].survives, score(found)) == (True, 0)


def test_the_score_is_of_all_mutants_also_of_those_that_no_test_reaches(tmp_path: Path) -> None:
    ran(tmp_path, {f"{HALF}1": 33, f"{HALF}2": 1, f"{HELD}1": None})
    found = mutants(tmp_path, PACKAGE)
    assert score(found) == pytest.approx(100 / 3)
    assert counts(found) == {Verdict.UNREACHED: 1, Verdict.TESTS: 1, Verdict.OPEN: 1}
    assert score([]) == 0


def test_survivors_are_tried_again_and_the_killed_are_not(tmp_path: Path) -> None:
    meta = ran(tmp_path, {f"{HALF}1": 0, f"{HALF}2": 1, f"{HELD}1": 33})
    forget_survivors(tmp_path, PACKAGE)
    kept = json.loads(meta.read_text())["exit_code_by_key"]
    assert kept == {f"{HALF}1": None, f"{HALF}2": 1, f"{HELD}1": None}
