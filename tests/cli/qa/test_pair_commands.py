"""qa scan, list, show and export, and the step at the end of a run, as a person types them."""

import csv
import io
import json
from pathlib import Path
from threading import Event

import pytest

from drawcli.adapters.state.qa_watch import scan_lock
from drawcli.adapters.state.workdir import WorkDir
from drawcli.core.qa.candidates import PassedOver
from drawcli.core.qa.pair_rows import RECORD_COLUMNS, STRUCTURE_COLUMNS
from drawcli.operations.qa.clinical import pair as clinical_pair
from drawcli.operations.qa.clinical import scan as qa_scan
from drawcli.operations.qa.clinical.scan_result import QaScanResult
from drawcli.pipeline.context import Context
from drawcli.system import limits
from tests.cli.conftest import Run
from tests.conftest import Site
from tests.operations.qa.clinical.synthetic import (
    Case,
    add_cases,
    not_approved,
    of_another_patient,
    older_and_newer,
    with_new_names,
    without_any,
)

KINDS = (older_and_newer, not_approved, of_another_patient, with_new_names, without_any)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave out the distances, which take the most time."""
    monkeypatch.setattr(clinical_pair, "has_scipy", lambda: False)


@pytest.fixture
def cases(ctx: Context, site: Site) -> list[Case]:
    """Put a delivered job of each kind into the site; it keeps its work folders for ever."""
    site.add_line("deliver: {keep_days: 36500}")
    site.add_line("qa: {enabled: true}")
    return add_cases(ctx, site.store, len(KINDS), KINDS)


def statuses(drawcli: Run) -> dict[str, str]:
    pairs = drawcli("qa", "list", "--json").answer["data"]["pairs"]
    return {pair["job"]: pair["status"] for pair in pairs}


def test_scan_finds_what_the_datastore_holds_and_list_shows_it(
    drawcli: Run, cases: list[Case]
) -> None:
    scanned = drawcli("qa", "scan")
    listed = drawcli("qa", "list")

    assert (scanned.code, listed.code) == (0, 0)
    assert "5 delivered jobs, 5 new records" in scanned.out
    lines = {line.split()[0]: line for line in listed.out.splitlines()[1:]}
    by_kind = dict(zip(KINDS, cases, strict=True))
    assert "1 of 3 changed, least Dice" in lines[by_kind[older_and_newer].job.id]
    assert "waiting" in lines[by_kind[not_approved].job.id]
    assert "2 of another patient" in lines[by_kind[of_another_patient].job.id]
    assert "0 of 3 changed" in lines[by_kind[with_new_names].job.id]
    assert statuses(drawcli) == {case.job.id: case.expected.status for case in cases}


def test_a_second_scan_has_nothing_new(drawcli: Run, cases: list[Case]) -> None:
    drawcli("qa", "scan")
    again = drawcli("qa", "scan", "--json")

    assert again.answer["status"] == "success"
    assert again.answer["data"] == {"jobs": len(cases), "left": 0, "recorded": {}, "pairs": []}


def test_list_takes_a_status_and_a_template(drawcli: Run, cases: list[Case]) -> None:
    drawcli("qa", "scan")

    waiting = drawcli("qa", "list", "--status", "waiting", "--csv").out
    other = drawcli("qa", "list", "--template", "Brain", "--json").answer
    (row,) = csv.DictReader(io.StringIO(waiting))
    assert (row["job"], row["status"]) == (cases[1].job.id, "waiting")
    assert other["data"]["pairs"] == []
    wrong = drawcli("qa", "list", "--status", "lost")
    assert (wrong.code, "Statuses: compared, waiting" in wrong.err) == (2, True)


def test_show_says_why_this_set_and_what_the_others_are(drawcli: Run, cases: list[Case]) -> None:
    drawcli("qa", "scan")

    shown = drawcli("qa", "show", cases[0].job.id)

    assert shown.code == 0
    assert "approved; chosen because it is the newest" in shown.out
    assert "other sets    1 less preferred, 1 older than the delivery" in shown.out
    assert "Rectum" in shown.out
    assert "A: delivered, B: clinical." in shown.out
    assert "--identify" not in shown.out  # a set was found
    data = drawcli("qa", "show", cases[0].job.id, "--json").answer["data"]
    assert [one["name"] for one in data["pair"]["structures"]][:2] == ["Bladder", "Rectum"]
    assert [one["reason"] for one in data["others"]] == ["less-preferred", "older"]


@pytest.mark.usefixtures("cases")
def test_show_of_a_job_without_a_clinical_set_says_how_to_see_which_files_were_found(
    drawcli: Run,
) -> None:
    drawcli("qa", "scan")
    job = next(job for job, status in statuses(drawcli).items() if status == "missing")

    shown = drawcli("qa", "show", job)

    assert f"'drawcli qa show {job} --identify' names the files" in shown.out


def test_show_names_nobody_without_being_asked_and_refuses_to_in_a_file(
    drawcli: Run, cases: list[Case]
) -> None:
    drawcli("qa", "scan")
    job = cases[3].job.id

    shown = drawcli("qa", "show", job)
    refused = drawcli("qa", "show", job, "--identify")

    assert "Enddarm" not in shown.out
    assert "renamed" in shown.out
    for secret in ("Kowalski", cases[3].patient.id, "clinic0"):
        assert secret not in shown.out + shown.err
    assert (refused.code, "on a terminal only" in refused.err) == (2, True)


def test_show_of_a_job_without_a_record_says_how_to_get_one(
    drawcli: Run, cases: list[Case]
) -> None:
    shown = drawcli("qa", "show", cases[0].job.id)
    assert (shown.code, "'drawcli qa scan' makes one" in shown.err) == (2, True)


def test_export_has_every_record_as_json_lines_and_every_structure_as_csv(
    drawcli: Run, cases: list[Case]
) -> None:
    drawcli("qa", "scan")

    records = [json.loads(line) for line in drawcli("qa", "export").out.splitlines()]
    rows = list(csv.DictReader(io.StringIO(drawcli("qa", "export", "--csv").out)))

    assert {one["job"]: one["status"] for one in records} == statuses(drawcli)
    assert records == drawcli("qa", "export", "--json").answer["data"]["records"]
    assert list(rows[0]) == [*RECORD_COLUMNS, *STRUCTURE_COLUMNS]
    compared = [row for row in rows if row["job"] == cases[0].job.id]
    assert [row["structure"] for row in compared] == ["Bladder", "Rectum", "Femur_Head_L"]
    assert float(compared[1]["dice"]) < 1 == float(compared[0]["dice"])


def test_without_records_list_and_export_say_so_or_are_empty(drawcli: Run) -> None:
    assert "'drawcli qa scan' finds them" in drawcli("qa", "list").out
    assert (drawcli("qa", "export").code, drawcli("qa", "export").out) == (0, "")
    assert drawcli("qa", "export", "--csv").out.count("\n") == 1


def test_scan_of_one_job_and_of_a_job_without_files(
    drawcli: Run, cases: list[Case], site: Site
) -> None:
    one = drawcli("qa", "scan", "--job", cases[0].job.id, "--json").answer["data"]
    assert {pair["job"] for pair in one["pairs"]} == {cases[0].job.id}

    WorkDir(site.state).remove(cases[1].job.id)
    gone = drawcli("qa", "scan", "--job", cases[1].job.id)
    assert (gone.code, "cannot be compared any more" in gone.err) == (2, True)


@pytest.mark.usefixtures("cases")
def test_a_dry_run_lists_and_writes_nothing(drawcli: Run, site: Site) -> None:
    drawcli("scan")
    tried = drawcli("qa", "scan", "--dry-run")
    assert "not written: dry run" in tried.out
    assert not (site.state / "qa").exists()


@pytest.mark.usefixtures("cases")
def test_a_missing_folder_is_an_error_of_its_own_and_the_rest_is_compared(
    drawcli: Run, site: Site
) -> None:
    text = site.config.read_text().replace("enabled: true", "enabled: true, folders: [exports]")
    site.config.write_text(text)

    scanned = drawcli("qa", "scan", "--json")

    assert (scanned.code, scanned.answer["status"]) == (7, "partial")
    assert scanned.answer["data"]["recorded"]["compared"] == 2


@pytest.mark.usefixtures("cases")
def test_two_scans_at_once_exclude_each_other(drawcli: Run, site: Site) -> None:
    with scan_lock(site.state):
        refused = drawcli("qa", "scan")
        ran = drawcli("run-once", "--json")
    assert (refused.code, ran.code) == (11, 0)
    assert ran.answer["data"]["qa"] == {"warning": None, "recorded": {}}


def test_a_run_compares_at_its_end_if_the_site_wants_it(drawcli: Run, cases: list[Case]) -> None:
    ran = drawcli("run-once", "--json")

    assert (ran.code, ran.answer["status"]) == (0, "success")
    assert ran.answer["data"]["qa"]["recorded"] == {
        "missing": 2,
        "compared": 2,
        "waiting": 1,
    }
    assert statuses(drawcli) == {case.job.id: case.expected.status for case in cases}
    quiet = drawcli("run-once")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")


@pytest.mark.usefixtures("cases")
def test_a_run_without_the_setting_compares_nothing(drawcli: Run, site: Site) -> None:
    site.config.write_text(site.config.read_text().replace("enabled: true", "enabled: false"))
    ran = drawcli("run-once", "--json")
    assert "qa" not in ran.answer["data"]
    assert not (site.state / "qa").exists()


@pytest.mark.usefixtures("cases")
@pytest.mark.parametrize("err", [ZeroDivisionError("Kowalski"), OSError(28, "full"), MemoryError()])
def test_whatever_fails_there_the_run_ends_as_it_would_have(
    drawcli: Run, site: Site, monkeypatch: pytest.MonkeyPatch, err: Exception
) -> None:
    def fails(*_: object) -> None:
        raise err

    monkeypatch.setattr(qa_scan, "scan_pairs", fails)
    ran = drawcli("run-once", "--json")

    assert (ran.code, ran.answer["status"], ran.answer["errors"]) == (0, "success", [])
    assert type(err).__name__ in ran.answer["data"]["qa"]["warning"]
    log = (site.state / "logs" / "drawcli.log").read_text()
    assert "step=qa outcome=failed" in log
    assert "Kowalski" not in log + ran.out


@pytest.mark.usefixtures("cases")
def test_no_run_waits_for_the_comparison(
    drawcli: Run, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    free: list[bool] = []

    def look(ctx: Context, _options: object) -> QaScanResult:
        with WorkDir(site.state).run_lock(ctx.now()):
            free.append(True)
        return QaScanResult()

    monkeypatch.setattr(qa_scan, "scan_pairs", look)
    assert drawcli("run-once").code == 0
    assert free == [True]


@pytest.mark.usefixtures("cases")
def test_a_comparison_that_takes_too_long_is_left_and_reported(
    drawcli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = Event()
    limit = limits.EXCHANGES["clinical"]._replace(seconds=0.05)
    monkeypatch.setitem(limits.EXCHANGES, "clinical", limit)
    monkeypatch.setattr(qa_scan, "scan_pairs", lambda *_: released.wait(60))
    ran = drawcli("run-once", "--json")
    released.set()

    assert ran.code == 0
    assert "TimeoutError" in ran.answer["data"]["qa"]["warning"]


def test_the_exported_columns_are_documented() -> None:
    page = Path(__file__).parents[3] / "docs" / "reference" / "qa-records.md"
    named = [
        line.split("`")[1]
        for line in page.read_text(encoding="utf-8").splitlines()
        if line.startswith("| `")
    ]
    assert named[: len(RECORD_COLUMNS)] == list(RECORD_COLUMNS)
    assert named[len(RECORD_COLUMNS) :][: len(STRUCTURE_COLUMNS)] == list(STRUCTURE_COLUMNS)
    text = page.read_text(encoding="utf-8")
    assert [one for one in PassedOver if f"`{one}`" not in text] == [PassedOver.OURS]
