"""What a shell offers at TAB: templates and jobs, never a patient; quickly, and without a word."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from drawcli.cli.commands import app
from drawcli.core.jobs.job import Job, State
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_step
from drawcli.sandbox.patients import identifying_values
from tests.conftest import PELVIS, Site

OPEN, HELD = "0123456789ab-1", "fedcba987654-1"
Tab = Callable[[str], str]


@pytest.fixture
def tab(site: Site, monkeypatch: pytest.MonkeyPatch) -> Tab:
    """Return what is offered behind some words, as zsh is told."""
    monkeypatch.chdir(site.folder)
    monkeypatch.delenv("DRAWCLI_CONFIG", raising=False)

    def press(words: str) -> str:
        asked = {"_DRAWCLI_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": f"drawcli {words}"}
        return CliRunner().invoke(app, prog_name="drawcli", env=asked).output

    return press


@pytest.fixture
def two_jobs(in_state: Callable[..., Job]) -> None:
    in_state(State.UPLOADED, OPEN, template="Prostate_OAR")
    in_state(State.FETCHED, HELD, held=True, reason="x", reason_code="x")


@pytest.mark.usefixtures("two_jobs")
@pytest.mark.parametrize("words", ["show ", "cancel x ", "vault show ", "logs --job ", "audit "])
def test_jobs_are_offered_wherever_one_is_named(tab: Tab, words: str) -> None:
    offered = tab(words)

    assert f'"{OPEN}":"uploaded Prostate_OAR"' in offered
    assert f'"{HELD}":"held at fetched"' in offered


@pytest.mark.parametrize(
    ("words", "offered", "not_offered"),
    [
        ("help ", "token", "set"),
        ("help token ", "set", "status --"),
        ("audit ", "disclosures", "token"),
        ("open x ", "folder", "token"),
    ],
)
def test_words_are_offered(tab: Tab, words: str, offered: str, not_offered: str) -> None:
    said = tab(words)

    assert f'"{offered}"' in said
    assert f'"{not_offered}"' not in said


@pytest.mark.usefixtures("two_jobs")
def test_only_what_begins_as_typed_is_offered(tab: Tab) -> None:
    offered = tab("show fed")

    assert HELD in offered
    assert OPEN not in offered


@pytest.mark.parametrize("words", [f"assign {OPEN} ", "templates show ", "explain x --template "])
def test_templates_are_offered_wherever_one_is_named(tab: Tab, words: str) -> None:
    assert '"Prostate_OAR":' in tab(words)


def test_the_site_may_be_named_on_either_side_and_by_the_environment(
    tab: Tab, site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    nowhere = tab("templates show ")
    before = tab(f"-c {site.config} templates show ")
    behind = tab(f"templates show -c {site.config} ")
    monkeypatch.setenv("DRAWCLI_CONFIG", str(site.config))

    assert "Prostate" not in nowhere
    assert before == behind == tab("templates show ")
    assert "Prostate" in before


@pytest.mark.usefixtures("pelvis")
def test_nothing_that_is_offered_names_the_patient(tab: Tab, ctx: Context) -> None:
    for step in ("scan", "match", "deidentify"):
        run_step(step, ctx, Selection())

    offered = tab("show ")

    assert "packaged Prostate_OAR" in offered
    assert not [value for value in identifying_values(PELVIS) if value in offered]


@pytest.mark.parametrize("ledger", ["", "[]", '{"jobs": {"1": {}}}', "\x00"])
@pytest.mark.parametrize("config", [None, "", "datastore: [", "- x", "state_dir: [1]"])
def test_where_anything_is_odd_nothing_is_offered_and_nothing_said(
    tab: Tab, site: Site, ledger: str, config: str | None
) -> None:
    (site.state / "ledger.json").write_text(ledger)
    if config is not None:
        site.config.write_text(config)

    assert tab("show ").strip() == "_files"
