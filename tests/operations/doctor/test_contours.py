"""The check of contour QA: what it needs, and what the charts ask for."""

from pathlib import Path

import pytest

from drawcli.adapters.state.qa_summary import write_summary
from drawcli.operations.doctor import contours
from drawcli.operations.doctor.contours import contours as check
from drawcli.operations.doctor.outcome import CheckContext, Grade
from tests.conftest import NOON, Site
from tests.operations.qa.summaries import chart_of, summary_with


def seen(site: Site) -> tuple[Grade, str, str]:
    return tuple(check(CheckContext(settings=site.settings(), config=site.config, now=NOON)))  # type: ignore[return-value]


def test_before_and_after_the_first_scan_all_is_well(site: Site) -> None:
    before = seen(site)
    write_summary(site.state, summary_with(chart_of(), pairs={"compared": 4}))

    assert before[:2] == (
        Grade.PASS,
        "nothing was compared yet: 'drawcli qa scan' does, and each run",
    )
    assert seen(site) == (Grade.PASS, "4 compared", "")


def test_what_the_charts_ask_for_is_a_warning_with_the_command_that_shows_it(site: Site) -> None:
    write_summary(site.state, summary_with(chart_of(state="investigate")))

    assert seen(site) == (Grade.WARN, "investigate Prostate_OAR Bladder", "drawcli qa report")


def test_a_wrong_file_of_limits_is_named_with_its_line(site: Site) -> None:
    (site.folder / "limits.yaml").write_text("Prostate_OAR: {Bladder: {dyce: {centre: 1}}}")
    site.add_line("qa: {limits: limits.yaml}")

    grade, text, remedy = seen(site)

    assert grade is Grade.WARN
    assert "limits.yaml:1:26: unknown metric dyce" in text
    assert remedy


def test_a_folder_that_is_not_there_is_named(site: Site, tmp_path: Path) -> None:
    site.add_line(f"qa: {{folders: [{tmp_path / 'gone'}]}}")

    grade, text, remedy = seen(site)

    assert grade is Grade.WARN
    assert str(tmp_path / "gone") in text
    assert "qa.folders" in remedy


def test_without_scipy_there_are_no_distances(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contours, "find_spec", {"scipy": None}.get)

    grade, text, _ = seen(site)

    assert grade is Grade.WARN
    assert "distances between contours" in text


def test_work_folders_that_go_before_the_wait_for_approval_is_over_are_named(site: Site) -> None:
    site.add_line("deliver: {keep_days: 14}")

    grade, text, remedy = seen(site)

    assert (grade, "are never compared" in text) == (Grade.WARN, True)
    assert "deliver.keep_days" in remedy
