"""The check of doctor on quality assurance."""

import pytest

from drawcli.operations.doctor import clinical_sets as module
from drawcli.operations.doctor.clinical_sets import clinical_sets
from drawcli.operations.doctor.outcome import CheckContext, Grade
from tests.conftest import NOON, Site


def seen(site: Site) -> tuple[Grade, str]:
    found = clinical_sets(CheckContext(settings=site.settings(), config=site.config, now=NOON))
    assert bool(found.remedy) == (found.grade is Grade.WARN)
    return found.grade, found.text


def test_folders_that_are_there_pass_and_missing_ones_are_named(site: Site) -> None:
    site.add_line("qa: {folders: [exports]}")
    grade, text = seen(site)
    assert (grade, "exports does not exist" in text) == (Grade.WARN, True)

    (site.folder / "exports").mkdir()
    grade, text = seen(site)
    assert (grade, text.endswith("in the datastore and 1 folder")) == (Grade.PASS, True)


def test_work_folders_that_go_before_the_wait_is_over_are_a_warning(site: Site) -> None:
    site.add_line("deliver: {keep_days: 14}")
    grade, text = seen(site)
    assert (grade, "they are never compared" in text) == (Grade.WARN, True)


def test_without_scipy_distances_are_missing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda _name: None)
    grade, text = seen(site)
    assert (grade, "SciPy" in text) == (Grade.WARN, True)
