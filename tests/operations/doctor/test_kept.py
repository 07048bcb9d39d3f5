"""The results of a check-up are kept for the verdict, for a week."""

from datetime import timedelta
from pathlib import Path

from drawcli.operations.doctor.kept import FILE_NAME, keep_outcomes, read_outcomes
from drawcli.operations.doctor.outcome import CheckResult, Outcome
from tests.cli.conftest import Run, drawcli  # noqa: F401 - a fixture
from tests.conftest import NOON, Site

FAILED = Outcome("audit log", CheckResult.failed("line 3 is missing", "drawcli audit verify"))
UNMADE = Outcome("audit log", CheckResult.not_checked("--offline", "drawcli doctor"))
WELL = Outcome("audit log", CheckResult.well("intact"))


def test_a_result_is_kept_until_the_check_is_made_again(tmp_path: Path) -> None:
    hour = timedelta(hours=1)
    keep_outcomes(tmp_path, [FAILED], NOON)
    keep_outcomes(tmp_path, [UNMADE, Outcome("clock", CheckResult.well("agrees"))], NOON + hour)
    unmade = read_outcomes(tmp_path, NOON + hour)
    keep_outcomes(tmp_path, [WELL], NOON + 2 * hour)
    again = read_outcomes(tmp_path, NOON + 2 * hour)

    assert [(one.at, one.outcome.check) for one in unmade] == [
        (NOON, "audit log"),
        (NOON + hour, "clock"),
    ]
    assert unmade[0].outcome == FAILED
    assert [one.outcome for one in again if one.outcome.check == "audit log"] == [WELL]


def test_old_results_results_of_tomorrow_and_damaged_files_say_nothing(tmp_path: Path) -> None:
    keep_outcomes(tmp_path, [FAILED], NOON)

    assert read_outcomes(tmp_path, NOON + timedelta(days=8)) == []
    assert read_outcomes(tmp_path, NOON - timedelta(days=1)) == []
    for text in ("", "{", "[]", '{"checks": [{"grade": "ODD"}]}', '{"checks": [3]}'):
        (tmp_path / FILE_NAME).write_text(text)
        assert read_outcomes(tmp_path, NOON) == []


def test_doctor_keeps_its_results_and_status_shows_those_that_failed(
    drawcli: Run,  # noqa: F811 - the fixture
    site: Site,
) -> None:
    (site.state / "audit").mkdir()
    (site.state / "audit" / "disclosures-00000001.jsonl").write_text("damaged\n")

    checked = drawcli("doctor", "--offline", "--json").answer["data"]["checks"]
    findings = drawcli("status", "--json").answer["data"]["verdict"]["findings"]

    failed = {one["check"] for one in checked if one["grade"] == "FAIL"}
    assert "audit log" in failed
    assert "audit-log" in {one["code"] for one in findings}
    assert (site.state / FILE_NAME).stat().st_mode & 0o777 == 0o600
