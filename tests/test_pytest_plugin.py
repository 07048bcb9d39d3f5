"""The tests of rules.yaml run as pytest cases, in any pytest that has drawcli installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Site

TESTS = """
tests:
  - name: a planning scan of the pelvis
    header: {Modality: CT, ProtocolName: RT Pelvis 3mm}
    template: Prostate_OAR
  - name: a scan of nobody
    file: nowhere
    template: Prostate_OAR
  - name: a head
    header: {Modality: CT, ProtocolName: Head}
    template: Thorax_OAR
"""


@pytest.fixture
def rules(site: Site) -> Path:
    """Return the rules of a site, with one test that passes and two that fail."""
    path = site.folder / "rules.yaml"
    path.write_text(path.read_text() + TESTS)
    return path


def run_pytest(folder: Path, *words: str, alone: bool = True) -> tuple[int, str]:
    """Run pytest with our plugin alone: to load the others takes longer than the tests."""
    measured = {name: text for name, text in os.environ.items() if name.startswith("COV")}
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), **measured}
    if alone:
        env["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        words = ("-p", "drawcli.pytest_plugin", *words)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-v", *words]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


def test_each_test_of_the_rules_is_a_case(rules: Path) -> None:
    code, said = run_pytest(rules.parent, alone=False)

    assert code == 1
    assert "rules.yaml::a planning scan of the pelvis PASSED" in said
    assert "expected Thorax_OAR; HeadNeck_OAR" in said
    assert said.count(f"there is no CT, MR or PT series in {rules.with_name('nowhere')};") == 1
    assert "1 passed" in said
    assert "2 failed" in said
    assert "Traceback" not in said


def test_the_settings_of_the_site_count(rules: Path, site: Site) -> None:
    rules.write_text(
        rules.read_text().replace("    file: nowhere\n", "    header: {Modality: CT}\n")
        + "  - name: both\n    header: {Modality: CT, ProtocolName: pelvis and head}\n"
        + "    templates: [Prostate_OAR, HeadNeck_OAR]\n"
    )

    held = run_pytest(rules.parent, "-k", "both")
    site.add_line("match: {on_many: all}")
    sent = run_pytest(rules.parent, "-k", "both")

    assert (held[0], sent[0]) == (1, 0)


def test_a_file_with_mistakes_is_an_error_of_the_collection(rules: Path) -> None:
    rules.write_text(rules.read_text().replace("ProtocolName", "ProtocolNam"))

    code, said = run_pytest(rules.parent)

    assert code == 2
    assert "did you mean 'ProtocolName'" in said
    assert "Traceback" not in said


def test_the_rules_of_somebody_else_are_left_alone(rules: Path, site: Site) -> None:
    site.config.unlink()

    found = run_pytest(rules.parent)
    named = run_pytest(rules.parent, "rules.yaml")
    (rules.parent / "templates.yaml").unlink()
    other = run_pytest(rules.parent, "rules.yaml")

    assert found[0] == 5  # nothing collected
    assert "1 passed" in named[1]
    assert other[0] in (4, 5)
