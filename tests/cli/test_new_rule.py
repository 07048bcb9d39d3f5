"""rules new: from the header of a real series to a rule that is written, tested and tried."""

from pathlib import Path

import pytest

from drawcli.adapters.edited_files import saving
from tests.cli.conftest import Run, answering
from tests.conftest import HEAD_NECK, PELVIS, SLICES, Site
from tests.phantoms.planning import write_planning_ct

PICKS = ("--pick", "Modality", "--pick", "ProtocolName contains prostate")


@pytest.fixture
def rules(site: Site) -> Path:
    """Return rules that take no pelvis any more."""
    path = site.folder / "rules.yaml"
    path.write_text(path.read_text().replace("{contains: pelvis}", "{contains: becken}"))
    return path


def test_a_rule_is_written_tested_and_tried(
    drawcli: Run, pelvis: list[Path], site: Site, rules: Path
) -> None:
    write_planning_ct(site.store / "head", HEAD_NECK, slices=SLICES, size=32, seed=2)
    drawcli("scan")
    before = rules.read_text()

    made = drawcli("rules", "new", "--from", str(pelvis[0]), *PICKS, "--template", "Prostate_OAR")

    assert (made.code, made.err) == (0, "")
    jobs = {j["id"] for j in drawcli("status", "--json").answer["data"]["jobs"]}
    assert len(jobs) == 2
    assert "unmatched -> Prostate_OAR" in made.out
    assert "2 series of the ledger asked, 1 would change" in made.out
    after = rules.read_text()
    assert set(before.splitlines()) <= set(after.splitlines())
    assert "- Modality: CT  # 2 of 2 series known when this was written" in after
    assert "- ProtocolName: {contains: prostate}  # 1 of 2 series known" in after
    assert drawcli("rules", "test").out == "1 test, 0 failed\n"
    told = drawcli("explain", str(pelvis[0]), "--json").answer["data"]["series"]
    assert (told[0]["rule"], told[0]["template"]) == ("prostate-oar", "Prostate_OAR")


def test_it_waits_for_a_save_of_the_page(
    drawcli: Run, pelvis: list[Path], site: Site, rules: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saving, "_WAIT_SECONDS", 0.1)
    before = rules.read_text()

    with saving.editing_lock(site.state):
        made = drawcli("rules", "new", "--from", str(pelvis[0]), *PICKS, "--exclude")

    assert made.code == 11
    assert "another save is still in progress" in made.err
    assert rules.read_text() == before


def test_the_test_of_a_rule_fails_where_the_rule_is_spoilt(
    drawcli: Run, pelvis: list[Path], rules: Path
) -> None:
    drawcli("rules", "new", "--from", str(pelvis[0]), *PICKS, "--template", "Prostate_OAR")

    rules.write_text(rules.read_text().replace("{contains: prostate}", "{contains: liver}"))

    assert "failed  prostate-oar: the series it was written from" in drawcli("rules", "test").out


def test_nothing_of_the_patient_is_printed_or_written(
    drawcli: Run, pelvis: list[Path], site: Site, rules: Path
) -> None:
    shown = drawcli("rules", "new", "--from", str(site.store / "pelvis"))
    as_json = drawcli("rules", "new", "--from", str(pelvis[0]), "--json")
    drawcli("rules", "new", "--from", str(pelvis[0]), *PICKS, "--template", "Prostate_OAR")

    assert shown.code == 0
    assert "nothing is written: pick with --pick" in shown.out
    elements = {one["element"] for one in as_json.answer["data"]["elements"]}
    assert {"Modality", "ProtocolName", "slices"} <= elements
    assert not elements & {"PatientName", "PatientID", "StudyDate", "SeriesInstanceUID", "folder"}
    family = PELVIS.name.partition("^")[0].casefold()
    for text in (shown.out, as_json.out, rules.read_text()):
        assert family not in text.casefold()
        assert PELVIS.patient_id not in text


def test_dry_run_writes_nothing(drawcli: Run, pelvis: list[Path], rules: Path) -> None:
    before = rules.read_bytes()

    told = drawcli(
        *("rules", "new", "--from", str(pelvis[0]), *PICKS, "--template", "Prostate_OAR"),
        *("--name", "mine", "--priority", "7", "--comment", "agreed: in May", "-n", "--json"),
    ).answer["data"]

    assert (told["rule"], told["written"]) == ("mine", False)
    assert "  priority: 7\n  comment: 'agreed: in May'\n" in told["text"]
    assert rules.read_bytes() == before


def test_a_series_can_be_excluded(drawcli: Run, pelvis: list[Path]) -> None:
    made = drawcli("rules", "new", "--from", str(pelvis[0]), "--pick", "station", "--exclude")

    told = drawcli("explain", str(pelvis[0]), "--json").answer["data"]["series"][0]
    assert made.code == 0
    assert told["verdict"] == "excluded"
    assert drawcli("rules", "test").out == "1 test, 0 failed\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--pick", "Modality"), "use --template NAME or --exclude"),
        (("--pick", "Modality", "--template", "Prostat_OAR"), "did you mean 'Prostate_OAR'"),
        (
            ("--pick", "Modality", "--template", "A", "--exclude"),
            "use either --template",
        ),
        (("--pick", "Modalty", "--template", "Prostate_OAR"), "did you mean 'Modality'"),
        (
            ("--pick", "Modality", "--template", "HeadNeck_OAR"),
            "would not decide for this series: several rules with different templates match",
        ),
        (
            ("--pick", "Modality", "--template", "HeadNeck_OAR", "--priority", "-1"),
            "would not decide for this series: rule pelvis-planning-ct",
        ),
        (
            ("--pick", "Modality", "--template", "HeadNeck_OAR", "--name", "pelvis-planning-ct"),
            "there is already a rule 'pelvis-planning-ct'",
        ),
    ],
)
def test_what_cannot_be_written_leaves_the_file_alone(
    drawcli: Run, pelvis: list[Path], site: Site, words: tuple[str, ...], said: str
) -> None:
    before = (site.folder / "rules.yaml").read_bytes()

    told = drawcli("rules", "new", "--from", str(pelvis[0]), *words)

    assert (told.code, told.out) == (2, "")
    assert said in told.err
    assert (site.folder / "rules.yaml").read_bytes() == before


@pytest.mark.usefixtures("pelvis")
def test_of_several_series_one_is_named(drawcli: Run, site: Site) -> None:
    write_planning_ct(site.store / "head", HEAD_NECK, slices=SLICES, size=32, seed=2)

    asked = drawcli("rules", "new", "--from", str(site.store))
    one = drawcli("rules", "new", "--from", str(site.store), "--series", "2")
    none = drawcli("rules", "new", "--from", str(site.store), "--series", "3")

    assert (asked.code, one.code, none.code) == (2, 0, 2)
    assert "series 1 (CT of 6 files); series 2 (CT of 6 files)" in asked.err


@pytest.mark.usefixtures("pelvis")
def test_a_rule_comes_of_a_job_too(drawcli: Run, rules: Path) -> None:
    drawcli("scan")
    (job,) = drawcli("status", "--json").answer["data"]["jobs"]

    made = drawcli("rules", "new", "--from", job["id"][:8], *PICKS, "--template", "Prostate_OAR")

    assert made.code == 0
    assert "  - name: prostate-oar" in rules.read_text()


def test_a_rule_whose_reasons_are_private_gets_no_test(
    drawcli: Run, pelvis: list[Path], rules: Path
) -> None:
    made = drawcli(
        *("rules", "new", "--from", str(pelvis[0]), "--pick", "Modality"),
        *("--pick", "StudyDate after 2000-01-01", "--template", "Prostate_OAR"),
    )

    assert made.code == 0
    assert "without a test: without StudyDate" in made.out
    assert "\ntests:" not in rules.read_text()


def test_a_picker_at_a_terminal(pelvis: list[Path], site: Site, rules: Path) -> None:
    said = answering(
        site,
        ("rules", "new", "--from", str(pelvis[0])),
        "/protocol\n2 contains prostate\n99\nModality\n\n1\ny\n",
    )

    assert "the list has no number 99" in said
    assert "ProtocolName: {contains: prostate}" in said
    assert f"written to {rules}" in said
    assert "  - name: prostate-oar" in rules.read_text()


def test_a_picker_that_is_declined_writes_nothing(
    pelvis: list[Path], site: Site, rules: Path
) -> None:
    before = rules.read_bytes()

    declined = answering(
        site, ("rules", "new", "--from", str(pelvis[0])), "Modality\n\nProstate_OAR\nn\n"
    )

    assert "nothing is written" in declined
    assert rules.read_bytes() == before


def test_a_picker_offers_a_priority_where_rules_are_in_the_way(
    pelvis: list[Path], site: Site
) -> None:
    said = answering(site, ("rules", "new", "--from", str(pelvis[0])), "Modality\n\n2\n10\ny\n")

    assert "several rules with different templates match" in said
    assert "  priority: 10" in (site.folder / "rules.yaml").read_text()
