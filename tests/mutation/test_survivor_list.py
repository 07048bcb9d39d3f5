import importlib
import tomllib
from pathlib import Path

import pytest

from tests.mutation.__main__ import PACKAGES, judged, table
from tests.mutation.survivor_list import FOLDER, SurvivorList
from tests.mutation.verdicts import Mutant, Verdict
from tests.mutation.workplace import ROOT, settings

TEXT = """\
# Survivors
tests tests/core/jobs tests/pipeline/test_runner.py
reason words: only the wording of a message changes

words | job.held | - say("a | b") | + say("A | B")
words | job.held | - x = 1 | +
"""
HELD = Mutant("job.held", 'say("a | b")', 'say("A | B")', Verdict.SURVIVED)
NEW = Mutant("job.held", "y = 1", "y = 2", Verdict.UNREACHED)


@pytest.fixture
def known(tmp_path: Path) -> SurvivorList:
    (tmp_path / "jobs.txt").write_text(TEXT)
    return SurvivorList.read(tmp_path / "jobs.txt")


def test_a_list_is_read_and_written_as_it_was(known: SurvivorList) -> None:
    assert known.text() == TEXT
    assert known.tests == ["tests/core/jobs", "tests/pipeline/test_runner.py"]
    assert known.unexplained() == []


def test_new_survivors_get_a_question_mark_and_killed_ones_go(known: SurvivorList) -> None:
    now = known.compared([HELD, NEW, Mutant("job.held", "x = 1", "", Verdict.TESTS)])
    assert now.text().splitlines()[4:] == [
        "? | job.held | - y = 1 | + y = 2",
        'words | job.held | - say("a | b") | + say("A | B")',
    ]
    assert now.unexplained() == ["job.held | - y = 1 | + y = 2"]


@pytest.mark.parametrize("line", ["reason words", "nothing of the kind"])
def test_a_line_that_is_neither_head_nor_survivor_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / "jobs.txt").write_text(line)
    with pytest.raises(ValueError, match=r"jobs\.txt: .*" + line):
        SurvivorList.read(tmp_path / "jobs.txt")


def test_a_package_fails_by_its_score_by_a_new_survivor_and_by_what_was_not_tried(
    known: SurvivorList,
) -> None:
    killed = Mutant("job.held", "a", "b", Verdict.TESTS)
    assert judged("jobs", [HELD, *[killed] * 6], known) == []
    assert judged("jobs", [HELD, *[killed] * 5], known) == ["jobs: 83.3 % killed, less than 85 %"]
    assert judged("jobs", [NEW, *[killed] * 6], known) == [f"jobs: {NEW.change}"]
    untried = Mutant("job.held", "a", "c", Verdict.OPEN)
    assert judged("jobs", [untried, *[killed] * 6], known) == ["jobs: 1 mutants not tried"]


def test_the_table_has_a_row_for_each_package() -> None:
    killed = Mutant("job.held", "a", "b", Verdict.TYPES)
    rows = table({"jobs": [HELD, NEW, killed, killed]}).splitlines()
    assert rows[1].split() == "jobs 4 0 2 0 1 1 0 50.0 %".split()


def test_mutmut_gets_the_settings_of_the_project_and_those_of_the_package() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    own = tomllib.loads(settings(project, "drawcli/core/gate", ["tests/core/gate"]))
    mutmut = own["tool"]["mutmut"]
    assert mutmut["only_mutate"] == ["drawcli/core/gate/*.py"]
    assert mutmut["pytest_add_cli_args_test_selection"] == ["tests/core/gate"]
    assert mutmut["source_paths"] == ["drawcli"]
    assert all((ROOT / entry).exists() for entry in mutmut["also_copy"])


@pytest.mark.parametrize("package", PACKAGES)
def test_each_survivor_that_is_listed_has_a_reason_and_its_function(package: str) -> None:
    path = FOLDER / f"{package}.txt"
    known = SurvivorList.read(path)
    assert known.unexplained() == []
    assert known.text() == path.read_text()
    assert all((ROOT / test).exists() for test in known.tests)
    for function in {change.partition(" | ")[0] for change in known.reasons}:
        module, *names = function.split(".")
        place = importlib.import_module(f"drawcli.core.{package}.{module}")
        for name in names:
            place = getattr(place, name)
