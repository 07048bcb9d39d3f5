"""The schemas for editors accept what drawcli accepts, and underline the usual mistakes."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from drawcli.core.rules.json_schema import SCHEMAS, rules_schema, templates_schema
from tests.cli.conftest import Run

SITE = Path(__file__).parents[2] / "drawcli" / "data"


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_files_of_a_new_site_are_as_their_schema_says(name: str) -> None:
    schema = SCHEMAS[name]()
    plain = yaml.safe_load((SITE / name.replace(".schema.json", ".yaml")).read_text())

    Draft202012Validator.check_schema(schema)
    faults = list(Draft202012Validator(schema).iter_errors(json.loads(json.dumps(plain))))

    assert not faults


def test_the_rules_of_the_documentation_are_as_the_schema_says() -> None:
    text = (Path(__file__).parents[2] / "docs" / "rules.md").read_text()
    plain = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])

    assert Draft202012Validator(rules_schema()).is_valid(plain)


@pytest.mark.parametrize(
    "when",
    [
        {"Modalty": "CT"},
        {"Modality": {"contain": "CT"}},
        {"Modality": {"in": "CT"}},
        {"Modality": {"equals": "CT", "values": "some"}},
        {"all": {"Modality": "CT"}},
        {"all": []},
        {},
        "sometimes",
    ],
    ids=str,
)
def test_mistakes_in_a_condition_are_underlined(when: Any) -> None:
    rule = {"name": "a", "template": "T"}
    validator = Draft202012Validator(rules_schema())

    assert validator.is_valid({"rules": [rule | {"when": {"Modality": "CT"}}]})
    assert not validator.is_valid({"rules": [rule | {"when": when}]})


@pytest.mark.parametrize("change", [{"modls": {}}, {"models": {}}, {"derived": {"A": {"mm": "x"}}}])
def test_mistakes_in_a_template_are_underlined(change: dict[str, Any]) -> None:
    plain = yaml.safe_load((SITE / "templates.yaml").read_text())
    entry = json.loads(json.dumps(plain["templates"]["Prostate_OAR"]))
    validator = Draft202012Validator(templates_schema())

    assert validator.is_valid({"templates": {"Prostate_OAR": entry}})
    assert not validator.is_valid({"templates": {"Prostate_OAR": entry | change}})


def test_init_writes_the_schemas_and_mends_old_ones(drawcli: Run, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    made = drawcli("init", str(folder), "--json").answer["data"]["made"]
    (folder / "rules.schema.json").write_text("{}")
    (folder / "rules.yaml").write_text("rules: []\n")

    again = drawcli("init", str(folder), "--json").answer["data"]

    assert str(folder / "templates.schema.json") in made
    assert str(folder / "rules.schema.json") in again["made"]
    assert str(folder / "templates.schema.json") not in again["made"]
    assert json.loads((folder / "rules.schema.json").read_text()) == rules_schema()
    assert (folder / "rules.yaml").read_text() == "rules: []\n"
    head = (folder / "templates.yaml").read_text().partition("\n")[0]
    assert head == "# yaml-language-server: $schema=templates.schema.json"


def test_git_adds_no_secret_of_a_new_site(drawcli: Run, tmp_path: Path) -> None:
    folder = tmp_path / "new"
    folder.mkdir()
    subprocess.run(["git", "init", "--quiet", folder], check=True)
    assert drawcli("init", str(folder)).code == 0
    for name in ("token.json", "token.json.lock", "notify.urls", "oidc-secret"):
        (folder / name).write_text("secret")

    git = ["git", "-C", str(folder), "add", "--all", "--dry-run"]
    added = subprocess.run(git, check=True, capture_output=True, text=True).stdout

    assert sorted(line.split("'")[1] for line in added.splitlines()) == [
        *(".gitignore", "drawcli.yaml", "rules.schema.json", "rules.yaml"),
        *("templates.schema.json", "templates.yaml"),
    ]


def test_a_gitignore_that_is_there_stays(drawcli: Run, tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*.bak\n")

    assert drawcli("init", str(tmp_path)).code == 0

    assert (tmp_path / ".gitignore").read_text() == "*.bak\n"
