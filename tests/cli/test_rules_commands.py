"""explain, rules check, test and diff, and templates, as a physicist runs them."""

import json
import subprocess
from pathlib import Path

import pytest
import yaml

from drawcli.sandbox.server import running
from tests.cli.conftest import Run, at_sandbox, at_terminal
from tests.conftest import PELVIS, Site

TESTS = """
tests:
  - name: a planning scan of the pelvis
    header: {Modality: CT, ProtocolName: RT Pelvis 3mm}
    template: Prostate_OAR
  - name: a dose report of the thorax
    header: {Modality: CT, BodyPartExamined: CHEST, SeriesDescription: Dose report}
    verdict: unmatched
"""


@pytest.fixture
def tested(site: Site) -> Path:
    """Return the rules of the site, with tests."""
    rules = site.folder / "rules.yaml"
    rules.write_text(rules.read_text() + TESTS)
    return rules


def test_explain_a_folder_a_file_and_a_job(drawcli: Run, pelvis: list[Path], site: Site) -> None:
    drawcli("scan")
    (job,) = drawcli("status", "--json").answer["data"]["jobs"]

    folder = drawcli("explain", str(site.store))
    one = drawcli("explain", str(pelvis[0]), "--json").answer["data"]["series"]
    by_job = drawcli("explain", job["id"][:6], "--json").answer["data"]["series"]

    assert folder.code == 0
    assert "matched; rule pelvis-planning-ct" in folder.out
    assert "pass    ProtocolName contains pelvis" in folder.out
    assert PELVIS.protocol not in folder.out
    (told,), (again,) = one, by_job
    assert (told["verdict"], told["template"], told["rule"]) == (
        "matched",
        "Prostate_OAR",
        "pelvis-planning-ct",
    )
    assert told["rules"][0]["name"] == "pelvis-planning-ct"
    assert told["rules"] == again["rules"]
    assert again["series"] == job["id"]


@pytest.mark.usefixtures("pelvis")
def test_what_no_rule_takes_is_told_with_the_nearest(drawcli: Run, site: Site) -> None:
    rules = site.folder / "rules.yaml"
    rules.write_text(rules.read_text().replace("{contains: pelvis}", "{contains: becken}"))

    told = drawcli("explain", str(site.store), "--template", "Prostate_OAR")

    assert "unmatched" in told.out
    assert "pelvis-planning-ct (one condition away)" in told.out
    assert "rule thorax-planning-ct" not in told.out


@pytest.mark.usefixtures("pelvis")
def test_values_are_shown_on_a_terminal_only(drawcli: Run, site: Site) -> None:
    refused = drawcli("explain", str(site.store), "--identify")
    shown = at_terminal(site, "explain", "store", "--identify")

    assert refused.code == 2
    assert f"[{PELVIS.protocol}]" in shown


def test_what_is_no_series_is_told(drawcli: Run, site: Site, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()

    nothing = drawcli("explain", str(empty))
    nobody = drawcli("explain", "fedcba987654-1")
    unknown = drawcli("explain", str(site.store), "--template", "Pelvis")

    assert [one.code for one in (nothing, nobody, unknown)] == [2, 2, 2]
    assert "no CT, MR or PT series" in nothing.err
    assert "no template 'Pelvis'" in unknown.err


def test_rules_check_tells_mistakes_and_what_is_hardly_meant(drawcli: Run, site: Site) -> None:
    well = drawcli("rules", "check")
    rules = site.folder / "rules.yaml"
    rules.write_text(rules.read_text().replace("Thorax_OAR", "HeadNeck_OAR"))
    lint = drawcli("rules", "check", "--json").answer["data"]["lints"]
    rules.write_text(rules.read_text().replace("contains: pelvis", "contans: pelvis"))
    wrong = drawcli("rules", "check")

    assert (well.code, well.out) == (0, "3 rules, 3 templates: no mistakes\n")
    assert lint == ["no rule uses template Thorax_OAR"]
    assert wrong.code == 3
    assert "no operator 'contans'; did you mean 'contains'?" in wrong.err


def test_the_tests_of_the_rules_are_run(
    drawcli: Run, pelvis: list[Path], site: Site, tested: Path
) -> None:
    rules = tested
    right = drawcli("rules", "test")
    rules.write_text(
        rules.read_text()
        + "  - name: the scan\n"
        + f"    file: {pelvis[0].relative_to(site.folder)}\n"
        + "    template: Prostate_OAR\n"
    )
    scan = drawcli("rules", "test", "--json")
    rules.write_text(rules.read_text().replace("{contains: pelvis}", "{contains: becken}"))

    wrong = drawcli("rules", "test")

    assert (right.code, right.out) == (0, "2 tests, 0 failed\n")
    assert scan.answer["data"]["tests"][2] == {
        "name": "the scan",
        "expected": "Prostate_OAR",
        "found": "Prostate_OAR",
        "passed": True,
    }
    assert wrong.code == 3
    assert "failed  the scan: expected Prostate_OAR; no rule matches" in wrong.out
    assert "3 tests, 2 failed" in wrong.out
    assert PELVIS.protocol not in wrong.out


def test_every_mistake_in_the_tests_is_told(drawcli: Run, tested: Path) -> None:
    rules = tested
    whole = rules.read_text()
    for entry, words in (
        ("5", "a test has keys"),
        ("{name: x, header: {Modality: CT}}", "a test has one of 'template'"),
        ("{name: x, header: {Modalty: CT}, verdict: unmatched}", "did you mean 'Modality'"),
        ("{name: x, header: 5, verdict: unmatched}", "'header' has keys"),
        ("{name: x, template: Prostate_OAR}", "either 'header' or 'file'"),
        ("{name: x, file: 5, template: Prostate_OAR}", "'file' is a path"),
        ("{header: {Modality: CT}, template: Prostate_OAR}", "a test needs a name"),
        ("{name: x, header: {Modality: CT}, template: Prostat_OAR}", "mean 'Prostate_OAR'"),
        ("{name: x, header: {Modality: CT}, templates: [5]}", "'templates' should be names"),
        ("{name: x, header: {Modality: CT}, verdict: matched}", "'verdict' is one of unmatched"),
        ("{name: x, heder: 1, file: x, verdict: unmatched}", "mean 'header'"),
    ):
        rules.write_text(f"{whole}  - {entry}\n")
        told = drawcli("rules", "check")
        assert told.code == 3
        assert words in told.err, entry
        assert f"rules.yaml:{len(whole.splitlines()) + 1}:" in told.err
    rules.write_text(whole.partition("\ntests:")[0] + "\ntests: 5\n")
    assert "'tests' is a list" in drawcli("rules", "check").err


def test_what_other_rules_would_change_is_told(
    drawcli: Run, pelvis: list[Path], site: Site, tested: Path
) -> None:
    drawcli("scan")
    (job,) = drawcli("status", "--json").answer["data"]["jobs"]
    rules = tested
    git = ["git", "-C", str(site.folder), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "rules.yaml", "templates.yaml"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "first"], check=True)
    same = drawcli("rules", "diff", "HEAD")
    other = site.folder / "other.yaml"
    other.write_text(rules.read_text())
    rules.write_text(rules.read_text().replace("{contains: pelvis}", "{contains: becken}"))

    by_git = drawcli("rules", "diff", "HEAD", "--json").answer["data"]
    by_file = drawcli("rules", "diff", str(other))
    unknown = drawcli("rules", "diff", "nothing")
    pelvis[0].unlink()
    gone = drawcli("rules", "diff", "HEAD")

    assert "1 series compared, 0 differences" in same.out
    assert by_git["changes"] == [
        {"what": f"job {job['id']}", "before": "Prostate_OAR", "after": "unmatched"},
        {"what": "test a planning scan of the pelvis", "before": "Prostate_OAR"}
        | {"after": "unmatched"},
    ]
    assert f"job {job['id']}: Prostate_OAR -> unmatched" in by_file.out
    assert unknown.code == 2
    assert "neither a file nor a git revision" in unknown.err
    assert "1 series not compared" in gone.out


def test_templates_are_listed_shown_and_held_against_tg_263(drawcli: Run, site: Site) -> None:
    listed = drawcli("templates", "list")
    shown = drawcli("templates", "show", "Prostate_OAR", "--json").answer["data"]["file"]
    mistyped = drawcli("templates", "show", "Prostat_OAR")
    shipped = drawcli("templates", "check").out
    rows = drawcli("templates", "list", "--json").answer["data"]["templates"]

    assert "rules: pelvis-planning-ct" in listed.out
    assert yaml.safe_load(shown)["models"][720]["map"][1] == "Bladder"
    assert set(yaml.safe_load(shown)) == {"name", "protocol", "models"}
    assert mistyped.code == 2
    assert "did you mean 'Prostate_OAR'?" in mistyped.err
    assert "not a TG-263 name" not in shipped
    assert rows[0]["models"] == [720]
    templates = site.folder / "templates.yaml"
    templates.write_text(templates.read_text().replace("Femur_Head_L", "FemoralHead_Left_Side"))
    checked = drawcli("templates", "check").out
    assert "has 21 characters" in checked
    assert "FemoralHead_Left_Side is not a TG-263 name" in checked


@pytest.mark.usefixtures("pelvis")
def test_what_no_rule_took_lately_is_listed(drawcli: Run, site: Site) -> None:
    rules = site.folder / "rules.yaml"
    whole = rules.read_text()
    rules.write_text(whole.replace("{contains: pelvis}", "{contains: becken}"))
    drawcli("scan")
    drawcli("match")

    (left,) = drawcli("status", "--unmatched", "--json").answer["data"]["jobs"]
    rules.write_text(whole)
    drawcli("match")

    assert "nearest is thorax-planning-ct" in left["reason"]  # it has passed two conditions
    assert drawcli("status", "--unmatched", "--json").answer["data"]["jobs"] == []


def test_templates_are_held_against_what_the_server_offers(
    drawcli: Run, site: Site, tmp_path: Path
) -> None:
    with running(tmp_path / "sandbox") as server:
        at_sandbox(site, server.url, server.token_file)
        pulled = drawcli("templates", "pull", "--search", "parotid")
        offered = drawcli("templates", "check", "--server", "--json").answer["data"]["vain"]
        templates = site.folder / "templates.yaml"
        templates.write_text(templates.read_text().replace("6: Parotid_R", "60: Parotid_R"))
        vain = drawcli("templates", "check", "--server")
    away = drawcli("templates", "pull")

    assert "5: Parotid_L" in pulled.out
    assert "Bladder" not in pulled.out
    assert offered == []
    assert vain.code == 3
    assert "model 730 offers no structure 60 (Parotid_R)" in vain.out
    assert away.code == 7
    kept = json.loads((site.state / "catalogue.json").read_text())
    assert {model["model_id"] for model in kept["models"]} >= {720, 730, 740}
    assert kept["at"]


@pytest.mark.usefixtures("pelvis")
def test_outcomes_and_changes_have_colours_where_the_terminal_has_them(
    drawcli: Run, pelvis: list[Path]
) -> None:
    colours = {"FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "200"}

    told = drawcli("explain", str(pelvis[0].parent), **colours).out
    plain = drawcli("explain", str(pelvis[0].parent)).out
    header = drawcli("diff-header", str(pelvis[0]), **colours).out

    assert "\x1b[32m    pass    Modality equals CT" in told
    assert "\x1b[31m      fail    ProtocolName contains thorax" in told
    assert "\x1b[2m      fail    SeriesDescription contains dose" in told  # below a "not"
    assert "\x1b" not in plain
    assert "\x1b[31mPatientAddress" in header  # removed
    assert "\x1b[33mPatientName" in header  # replaced
