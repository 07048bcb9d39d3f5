"""What the documents promise is what the code does."""

import ast
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import astuple
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner

import drawcli
from drawcli import errors
from drawcli.adapters.reference import reasons as entries
from drawcli.adapters.rulebook.rulebook import read_rulebook
from drawcli.cli.commands import app
from drawcli.config.load import load_settings
from drawcli.config.sections import DEFAULT_ENDPOINTS
from drawcli.core.deid.profile import EDITION
from drawcli.core.protocol import task_status
from drawcli.core.rtstruct.contour_table import CHECKS
from tests import reference
from tests.pictures import NAMES as DRAWN

ROOT = Path(__file__).parents[1]
PACKAGE = Path(drawcli.__file__).parent
# Where pages are; other folders are made and removed while tests run.
OWN = ("bench", "cron", "docs", "drawcli", "examples", "packaging", "tests", ".github", ".ci")
README = (ROOT / "README.md").read_text(encoding="utf-8")
RUN_CODES = {"config", "no-token", "endpoint", "usage", "site-key"}  # end a run and touch no job
COMMANDS = (ROOT / "docs/reference/commands.md").read_text(encoding="utf-8")
REASONS = (ROOT / "docs" / "reasons.md").read_text(encoding="utf-8")


def test_what_leaves_names_the_edition_of_the_policy() -> None:
    assert f"edition {EDITION}" in (ROOT / "docs/what-leaves.md").read_text(encoding="utf-8")


def test_the_readme_is_two_screens_and_its_pictures_are_small_and_fetch_nothing() -> None:
    pictures = re.findall(r"\(docs/(pictures/[a-z]+\.(?:svg|png))\)", README)

    assert len(README.splitlines()) <= 120
    assert len(README.encode()) <= 7_000
    drawn = {f"pictures/{name}" for name in DRAWN}
    assert set(pictures) == drawn - {"pictures/chart.svg"}  # of the pages about charts
    for picture in drawn:
        content = (ROOT / "docs" / picture).read_bytes()
        assert 1_000 < len(content) < 150_000, picture
        assert not re.search(rb"(?:url\(|href=)[^)>]*https?:", content), picture


def test_every_setting_and_every_exit_code_has_a_meaning() -> None:
    pages = reference.pages()
    raised = {
        kind.exit_code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.DrawcliError)
    }

    assert "write here what it means" not in pages[reference.SETTINGS]
    codes = re.findall(r"^\| (\d+) \| \S", pages["docs/reference/exit-codes.md"], re.MULTILINE)
    assert set(map(int, codes)) == raised | {0, 9, 130}


def test_no_page_says_that_drawcli_is_in_a_package_index() -> None:
    pages = [*ROOT.glob("*.md"), *(path for top in OWN for path in (ROOT / top).rglob("*.md"))]
    for path in [*pages, *PACKAGE.rglob("*.py"), *PACKAGE.rglob("data/*.yaml")]:
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\binstall (?:-\S+ )*'?drawcli(?!-\d| with)", text), path


def test_the_page_of_the_protocol_has_every_endpoint_and_word_of_the_code() -> None:
    page = (ROOT / "docs/protocol.md").read_text(encoding="utf-8")
    words = {
        word
        for row in re.findall(r"^\| (`[A-Z].*) \|.*\|$", page, re.MULTILINE)
        for word in re.findall(r"`([A-Z ]+)`", row)
    }

    for name, path in DEFAULT_ENDPOINTS.items():
        assert re.search(rf"^\| `{name}` \| `(GET|POST) {re.escape(path)}`", page, re.MULTILINE)
    assert words == (
        task_status.READY | task_status.DELIVERED | task_status.FAILED | task_status.RUNNING
    ) - {""}, "docs/protocol.md, 'Status words': add or remove the words that differ"


def test_every_reason_is_explained() -> None:
    listed = set(re.findall(r"`([a-z]+(?:-[a-z]+)*)`", REASONS))

    told = codes_of_the_package()
    assert len(told) > 40
    missing = (told | set(CHECKS)) - listed
    assert missing == set(), "add a row for each to docs/reasons.md, then renew the generated pages"


@cache
def codes_of_the_package() -> frozenset[str]:
    return frozenset(code for path in PACKAGE.rglob("*.py") for code in reason_codes(path))


def reason_codes(path: Path) -> Iterator[str]:
    """Yield the reason codes that a module names; the sandbox has none."""
    if "sandbox" in path.parts or path.name in ("errors.py", "door.py", "demo.py", "gate.py"):
        return
    makers = {"waiting": 0, "refused": 0, "ignored": 0, "_block": 0, "Verdict": 1}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.keyword) and node.arg == "code":
            yield from constants([node.value])
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        if node.func.id in makers:
            yield from constants(node.args[makers[node.func.id] :][:1])
        if node.func.id == "Finding":
            yield from constants(node.args[1:2])


def constants(nodes: list[ast.expr]) -> Iterator[str]:
    for node in nodes:
        value = node.value if isinstance(node, ast.Constant) else None
        if isinstance(value, str) and value and value not in RUN_CODES:
            yield value


def test_every_file_that_contributing_names_exists() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    recipes = text.partition("## Nine recipes")[2].partition("\n## ")[0]
    named = set(re.findall(r"`((?:drawcli|tests|docs)/[\w./]+)`", text))

    assert recipes.count("\n**A") == 9
    assert len(named) > 25
    assert [name for name in named if not (ROOT / name).exists()] == []
    for name in re.findall(r"`(_?[A-Z][A-Z_]+|[a-z_]+)`", recipes):
        sources = [ROOT / path for path in named if path.endswith(".py")]
        assert any(name in path.read_text(encoding="utf-8") for path in sources), name


def test_every_issue_template_warns_of_patient_data() -> None:
    forms = list((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.md"))

    assert len(forms) == 3
    for form in forms:
        assert "**No patient data here.**" in form.read_text(encoding="utf-8"), form
        assert "drawcli doctor --bundle" in form.read_text(encoding="utf-8") or form.stem != "bug"


@pytest.mark.parametrize("name", ["rules.yaml", "templates.yaml"])
def test_the_files_at_the_top_are_those_that_init_writes(name: str) -> None:
    assert (ROOT / name).read_bytes() == (PACKAGE / "data" / name).read_bytes()


@pytest.mark.parametrize("folder", [PACKAGE / "data", ROOT / "examples" / "department"])
def test_the_example_sites_can_be_used(folder: Path) -> None:
    settings = load_settings(folder / "drawcli.yaml", {})
    rulebook = read_rulebook(settings.rules, settings.templates)

    assert rulebook.rules
    assert {rule.template for rule in rulebook.rules if not rule.exclude} == set(rulebook.templates)


def test_the_example_template_of_the_docs_can_be_used(tmp_path: Path) -> None:
    rules = (ROOT / "docs/rules.md").read_text(encoding="utf-8")
    templates = (ROOT / "docs/templates.md").read_text(encoding="utf-8")
    for name, page in (("rules", rules), ("templates", templates)):
        block = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)[0]
        text = block.replace("HeadNeck_OAR", "Prostate_OAR")
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")

    rulebook = read_rulebook(tmp_path / "rules.yaml", tmp_path / "templates.yaml")

    assert [rule.name for rule in rulebook.rules][:2] == ["pelvis-planning-ct", "never-research"]
    assert list(rulebook.templates) == ["Prostate_OAR"]


@pytest.mark.skipif(sys.platform == "win32", reason="reads a shell script with sh")
def test_the_scripts_are_shell() -> None:
    subprocess.run(["sh", "-n", ROOT / "examples" / "by-hand.sh"], check=True)
    subprocess.run(["bash", "-n", ROOT / ".ci" / "run"], check=True)


@pytest.mark.skipif(sys.platform == "win32", reason="runs a shell script")
@pytest.mark.parametrize("missing", ["nothing", "chromium", "dicom3tools"])
def test_what_the_tests_need_is_fetched_and_only_a_browser_may_be_missing(
    tmp_path: Path, missing: str
) -> None:
    for name in ("apt-get", "make"):  # stand-ins, on a PATH that has no other program
        stub = f'#!/bin/sh\necho "{name} $*"\ncase "$*" in *{missing}) exit 1;; esac\n'
        (tmp_path / name).write_text(stub)
        (tmp_path / name).chmod(0o755)
    (tmp_path / "dirname").symlink_to(shutil.which("dirname") or "")
    script = tmp_path / "copy" / ".ci" / "run"  # it writes files in its checkout
    shutil.copytree(ROOT / ".ci", script.parent)
    shutil.copytree(ROOT / "packaging", tmp_path / "copy" / "packaging")

    done = subprocess.run(
        [shutil.which("bash") or "bash", script],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ("No Chromium" in done.stderr) == (missing == "chromium")
    assert (done.returncode == 0) == (missing != "dicom3tools")
    assert ("make test" in done.stdout) == (missing != "dicom3tools")


def test_the_documents_name_no_machine() -> None:
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*")]:
        if path.is_file():
            assert not re.search(r"/(home|root|Users)/", path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("name", sorted(reference.pages()))
def test_the_reference_is_what_the_code_says(name: str) -> None:
    page = ROOT / name

    assert page.exists(), f"run: {reference.RENEW}"
    assert page.read_text(encoding="utf-8") == reference.pages()[name], f"run: {reference.RENEW}"


def test_every_reason_says_why_what_to_look_at_and_what_to_do() -> None:
    known = entries()
    told = codes_of_the_package()
    classes = {kind.code for kind in all_errors(errors.DrawcliError)} - {"error"}

    assert told | classes | RUN_CODES <= known.keys()
    for code, several in known.items():
        for reason in several:
            assert all(map(str.strip, astuple(reason))), code
            assert not re.search(r"TODO|\?\?", " ".join(astuple(reason))), code


def test_the_commands_that_reasons_name_exist() -> None:
    names = set(re.findall(r"^## drawcli ([a-z -]+?)$", COMMANDS, re.MULTILINE))
    named = re.findall(r"`drawcli ((?:[a-z][a-z-]*)(?: [a-z][a-z-]*)?)", REASONS)

    assert len(named) > 100
    for words in named:
        assert words in names or words.split()[0] in names, words


def test_the_settings_that_reasons_name_exist() -> None:
    settings = (ROOT / reference.SETTINGS).read_text(encoding="utf-8")
    sections = "scan|server|deliver|deidentify|accept|match|notify|logs|dashboard"

    named = set(re.findall(rf"`((?:{sections})\.[a-z_]+)", REASONS))
    assert len(named) > 20
    for name in named:
        assert f"`{name}" in settings, name


def all_errors(kind: type[errors.DrawcliError]) -> Iterator[type[errors.DrawcliError]]:
    """Yield a class of errors and all below it."""
    yield kind
    for below in kind.__subclasses__():
        if below.__module__ == errors.__name__:
            yield from all_errors(below)


def test_every_reason_can_be_asked_for_without_the_internet() -> None:
    told = CliRunner().invoke(app, ["reasons", "--json"])

    known = {one["code"]: one["page"] for one in json.loads(told.stdout)["data"]["reasons"]}
    rows = re.findall(r"^\| (`[^|]+`) \|", REASONS, re.MULTILINE)
    assert set(known) == {code for row in rows for code in re.findall(r"`([a-z-]+)`", row)}
    assert known["source-moved"] == "reasons.md#source-moved"


def test_an_unknown_reason_is_told_with_what_is_meant() -> None:
    told = CliRunner().invoke(app, ["reasons", "source-mooved"])

    assert told.exit_code == 2
    assert "did you mean 'source-moved'?" in told.stderr
