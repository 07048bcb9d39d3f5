"""drawcli pull: what it says, on a screen and as JSON, and its exit codes."""

import pytest

from drawcli.adapters.state.pull_state import SourceState, write_sources
from tests.cli.conftest import Run
from tests.conftest import SLICES, Site
from tests.pipeline.pull.conftest import Pacs
from tests.ports import free_port


@pytest.mark.usefixtures("pelvic", "pulling_site")
def test_what_would_be_pulled_is_listed_and_then_pulled(drawcli: Run) -> None:
    listed = drawcli("pull", "--dry-run")
    pulled = drawcli("pull")
    again = drawcli("pull", "--json")

    assert listed.code == pulled.code == again.code == 0
    assert f"1 series would be pulled ({SLICES} images)" in listed.out
    assert f"{SLICES} of {SLICES} images" in listed.out
    assert f"1 series pulled ({SLICES} images" in pulled.out
    assert again.answer["data"]["counts"] == {"complete": 1}
    assert "Kowalski" not in listed.out + pulled.out + str(again.answer)


def test_a_site_without_archives_is_shown_what_to_do(drawcli: Run) -> None:
    told = drawcli("pull")

    assert told.code == 3
    assert "pull.sources" in told.err


@pytest.mark.usefixtures("pelvic", "pulling_site")
@pytest.mark.parametrize(
    ("fault", "code", "words"),
    [
        ("associate:reject", 7, "rejects the association for now"),
        ("find:0124", 6, "not authorised"),
        ("get:C001", 6, "refuses the C-GET"),
        ("get:abort", 7, "1 series not complete yet"),
    ],
)
def test_failures_have_their_exit_codes(
    drawcli: Run, pacs: Pacs, fault: str, code: int, words: str
) -> None:
    pacs.faults(fault)

    told = drawcli("pull")

    assert told.code == code
    assert words in told.out + told.err


@pytest.mark.usefixtures("pelvic", "pulling_site", "pelvis")
def test_a_run_reports_a_refusal_once_and_continues(drawcli: Run, pacs: Pacs) -> None:
    pacs.faults("find:0124*2")

    first = drawcli("run-once", "--json")
    second = drawcli("pull", "--json")
    third = drawcli("run-once", "--json")

    told = [[err["code"] for err in one.answer["errors"]] for one in (first, second, third)]
    assert "archive-refused" in told[0]
    assert "archive-refused" in told[1]
    assert "archive-refused" not in told[2]
    assert "scan" in first.answer["data"]["steps"]


@pytest.mark.usefixtures("pelvic", "pulling_site")
def test_a_run_pulls_and_scans(drawcli: Run) -> None:
    data = drawcli("run-once", "--json").answer["data"]

    assert data["pull"]["counts"] == {"pulled": 1}
    assert data["steps"]["scan"] == {"found": 1}
    assert list(data["steps"]).index("pull") == list(data["steps"]).index("scan") - 1
    assert list(data["steps"]).index("reidentify") < list(data["steps"]).index("pull")


NAME = "PACS@127.0.0.1:9"
SOURCE = f"{{node: '{NAME}', folder: store/pulled, keys: {{Modality: CT}}}}"


def test_status_has_the_archive(drawcli: Run, site: Site) -> None:
    site.add_line(f"pull: {{sources: [{SOURCE}]}}")
    state = SourceState(NAME, asked=1.0, failed_since=1.0, code="archive")
    write_sources(site.state, {NAME: state})

    answer = drawcli("status", "--json").answer

    assert "failing" in drawcli("status").out
    (one,) = answer["data"]["pull"]
    assert (one["source"], one["code"]) == (NAME, "archive")


def test_checks_report_an_archive_that_is_not_there(drawcli: Run, site: Site) -> None:
    port = free_port()
    site.add_line(f"pull: {{sources: [{SOURCE.replace(':9', f':{port}')}]}}")

    checked = drawcli("nodes", "check", "--json")
    doctor = drawcli("doctor", "--json").answer["data"]["checks"]

    assert checked.code == 7
    (source,) = checked.answer["data"]["sources"]
    assert (source["reachable"], source["services"]) == (False, None)
    (line,) = [line for line in doctor if line["check"] == "archive 1"]
    assert (line["grade"], "cannot be reached" in line["text"]) == ("WARN", True)


@pytest.mark.usefixtures("pelvic", "pulling_site")
@pytest.mark.parametrize("fault", ["find:A700*2", "find:0124*2"])
def test_checks_ask_and_do_not_trust_an_association_alone(
    drawcli: Run, pacs: Pacs, fault: str
) -> None:
    well = drawcli("nodes", "check")
    pacs.faults(fault)
    checked = drawcli("nodes", "check")
    (line,) = [
        line
        for line in drawcli("doctor", "--json").answer["data"]["checks"]
        if line["check"] == "archive 1"
    ]

    assert (well.code, checked.code, line["grade"]) == (0, 7, "WARN")
    assert "does it know our AE title DRAWCLI" in checked.err
