"""explain and rules check, as a physicist runs them."""

from pathlib import Path

from tests.cli.conftest import Run, at_terminal
from tests.conftest import PELVIS, Site


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


def test_what_no_rule_takes_is_told_with_the_nearest(
    drawcli: Run, pelvis: list[Path], site: Site
) -> None:
    assert pelvis
    rules = site.folder / "rules.yaml"
    rules.write_text(rules.read_text().replace("{contains: pelvis}", "{contains: becken}"))

    told = drawcli("explain", str(site.store), "--template", "Prostate_OAR")

    assert "unmatched" in told.out
    assert "pelvis-planning-ct: one condition away" in told.out
    assert "rule thorax-planning-ct" not in told.out


def test_values_are_shown_on_a_terminal_only(drawcli: Run, pelvis: list[Path], site: Site) -> None:
    assert pelvis

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
    assert "holds no CT, MR or PT series" in nothing.err
    assert "no template 'Pelvis'" in unknown.err


def test_rules_check_tells_mistakes_and_what_is_hardly_meant(drawcli: Run, site: Site) -> None:
    well = drawcli("rules", "check")
    rules = site.folder / "rules.yaml"
    rules.write_text(rules.read_text().replace("Thorax_OAR", "HeadNeck_OAR"))
    lint = drawcli("rules", "check", "--json").answer["data"]["lints"]
    rules.write_text(rules.read_text().replace("contains: pelvis", "contans: pelvis"))
    wrong = drawcli("rules", "check")

    assert (well.code, well.out) == (0, "3 rules, 3 templates: no mistakes\n")
    assert lint == ["no rule asks for template Thorax_OAR"]
    assert wrong.code == 3
    assert "no operator 'contans'; did you mean 'contains'?" in wrong.err
