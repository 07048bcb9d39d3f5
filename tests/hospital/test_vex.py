"""The VEX of a release says nothing about what nobody looked up, and nothing without a name."""

import importlib.util
import json
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "packaging" / "requirements.lock"
FAULT = {"id": "PYSEC-2026-1", "aliases": ["CVE-2026-1"], "fix_versions": ["2"]}
WELL = {
    "id": "CVE-2026-1",
    "package": "b",
    "state": "not_affected",
    "justification": "code_not_reachable",
    "detail": "b.parse is not called.",
    "by": "A. Name",
    "day": "2026-11-29",
}
PINS = [("a", "1"), ("b", "1")]


@pytest.fixture(scope="module")
def vex() -> ModuleType:
    spec = importlib.util.spec_from_file_location("vex", ROOT / "packaging" / "vex.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answer(name: str, *faults: Any) -> dict[str, Any]:
    return {"name": name, "version": "1", "vulns": list(faults)}


def test_every_line_of_the_lock_is_asked_about_and_no_name_twice_at_once(vex: ModuleType) -> None:
    lines = LOCK.read_text(encoding="utf-8").splitlines()
    wanted = vex.pins("\n".join(lines))
    several = vex.rounds(wanted)

    assert len(wanted) == sum(not line.startswith(" ") for line in lines)
    assert sorted(pin for one in several for pin in one) == sorted(wanted)
    assert len({name for name, _ in wanted}) < len(wanted)
    assert all(len(dict(one)) == len(one) for one in several)


def test_a_vulnerability_is_written_with_its_assessment(vex: ModuleType) -> None:
    made = vex.statements(PINS, [answer("a"), answer("b", FAULT)], [WELL])
    plain = vex.document("1.2.3", b"a==1 \\\nb==1\n", made, datetime(2026, 11, 29, tzinfo=UTC))

    assert plain == json.loads(json.dumps(plain))
    assert (plain["bomFormat"], plain["specVersion"]) == ("CycloneDX", "1.6")
    assert plain["metadata"]["properties"][1]["value"] == "2"
    (one,) = plain["vulnerabilities"]
    assert one["affects"] == [{"ref": "pkg:pypi/b@1"}]
    assert one["analysis"] == {key: WELL[key] for key in ("state", "justification", "detail")}
    assert {each["value"] for each in one["properties"]} == {"A. Name", "2026-11-29"}


@pytest.mark.parametrize(
    ("answers", "assessments", "words"),
    [
        ([answer("a")], [], "not looked up: b 1"),
        ([answer("a"), {"name": "b", "skip_reason": "not found"}], [], "not looked up: b 1"),
        ([answer("a"), answer("b", FAULT)], [], "no assessment: PYSEC-2026-1 of b 1"),
        ([answer("a", FAULT), answer("b")], [WELL], "no assessment: PYSEC-2026-1 of a 1"),
        ([answer("a"), answer("b")], [WELL], "assessment of nothing: CVE-2026-1 of b"),
    ],
)
def test_without_an_answer_or_an_assessment_nothing_is_written(
    vex: ModuleType, answers: list[Any], assessments: list[Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        vex.statements(PINS, answers, assessments)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"state": "in_triage"}, "state is none of"),
        ({"justification": "because"}, "justification is none of"),
        ({"state": "exploitable"}, "response is none of"),
        ({"response": ["pray"]}, "response is none of"),
        ({"by": ""}, "no by"),
        ({"day": None}, "no day"),
    ],
)
def test_an_assessment_that_says_too_little_is_refused(
    vex: ModuleType, change: dict[str, Any], words: str
) -> None:
    assert vex.problems(WELL) == []
    assert words in "\n".join(vex.problems(WELL | change))


def test_the_assessments_of_the_repository_are_of_locked_packages(vex: ModuleType) -> None:
    assessments = yaml.safe_load((ROOT / "packaging" / "vex.yaml").read_text(encoding="utf-8"))
    names = {canonicalize_name(name) for name, _ in vex.pins(LOCK.read_text(encoding="utf-8"))}

    assert isinstance(assessments, list)
    assert [problem for one in assessments for problem in vex.problems(one)] == []
    assert {one["package"] for one in assessments} <= names
