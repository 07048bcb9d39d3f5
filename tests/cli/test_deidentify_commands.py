"""deidentify PATH --to DIR, --conformance, diff-header and gate, as a person uses them."""

import io
import zipfile
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from drawcli.adapters.state.workdir import PACKAGE
from drawcli.core.deid.conformance import statement
from drawcli.core.deid.profile import Choices
from drawcli.sandbox.patients import identifying_values
from drawcli.sandbox.phantom import write_scout
from tests.cli.conftest import Ended, Run, at_terminal
from tests.conftest import HEAD_NECK, PELVIS, SLICES, Site
from tests.phantoms.planning import write_planning_ct


@pytest.fixture
def away(site: Site) -> Path:
    """Put a planning CT into a folder that is no datastore."""
    folder = site.folder / "usb" / "KULKARNEE"
    write_planning_ct(folder, PELVIS, slices=SLICES, size=32, seed=1)
    return folder


@pytest.fixture
def package(drawcli: Run, site: Site, pelvis: list[Path]) -> Path:
    """Build the package of the series in the datastore."""
    assert pelvis
    for step in ("scan", "match", "deidentify"):
        assert drawcli(step).code == 0
    (made,) = site.state.rglob(PACKAGE)
    return made


def images(folder: Path) -> list[Dataset]:
    return [dcmread(path) for path in sorted(folder.rglob("*.dcm"))]


def named(ended: Ended) -> list[str]:
    """Return the identifying values that a command has said."""
    said = ended.out + ended.err
    return [value for value in identifying_values(PELVIS) if value in said]


def replaced_name(package: Path, target: Path, name: str) -> Path:
    """Write a package again in which one slice has another name for its patient."""
    with zipfile.ZipFile(package) as old, zipfile.ZipFile(target, "w") as new:
        for number, member in enumerate(old.namelist()):
            raw = old.read(member)
            if number == 0:
                raw = raw.replace(b"DEID^", name.encode("ascii"), 1)
            new.writestr(member, raw)
    return target


def test_a_folder_is_deidentified_into_another(drawcli: Run, site: Site, away: Path) -> None:
    ended = drawcli("deidentify", str(away), "--to", "out")

    assert ended.code == 0, ended
    (folder,) = (site.folder / "out").iterdir()
    made = images(folder)
    assert len(made) == SLICES
    assert {one.SeriesInstanceUID for one in made} == {folder.name}
    assert all(one.PatientIdentityRemoved == "YES" for one in made)
    assert ended.out == f"CT of {SLICES} files  out/{folder.name}\n"
    assert named(ended) == []
    assert not (site.state / "ledger.json").exists()


def test_it_is_what_would_be_sent(drawcli: Run, site: Site, package: Path) -> None:
    """Same engine, same key: the same bytes as in the package, whose StudyID names its job."""
    copy = site.folder / "copy"
    (site.store / "pelvis").rename(copy)

    assert drawcli("deidentify", str(copy), "--to", "out").code == 0

    made = {path.name: path.read_bytes() for path in (site.folder / "out").rglob("*.dcm")}
    with zipfile.ZipFile(package) as archive:
        sent = {name: archive.read(name) for name in archive.namelist() if name.endswith(".dcm")}
    assert made.keys() == sent.keys()
    for name, data in made.items():
        alone, job = (str(dcmread(io.BytesIO(raw)).StudyID).encode() for raw in (data, sent[name]))
        assert alone != job
        assert data.replace(alone, job) == sent[name]


def test_without_a_site_a_temporary_key_is_used(drawcli: Run, site: Site, away: Path) -> None:
    site.config.unlink()

    ended = [drawcli("deidentify", str(away), "--to", name) for name in ("one", "two")]

    assert [one.code for one in ended] == [0, 0]
    assert all("a temporary key was used" in one.out for one in ended)
    first, second = (images(site.folder / name) for name in ("one", "two"))
    assert len(first) == len(second) == SLICES
    assert {one.PatientID for one in first} & {one.PatientID for one in second} == set()


def test_settings_that_cannot_be_used_are_not_passed_over(
    drawcli: Run, site: Site, away: Path
) -> None:
    site.add_line("scann: {}")

    ended = drawcli("deidentify", str(away), "--to", "out")

    assert ended.code == 3
    assert not (site.folder / "out").exists()


def test_a_refused_series_is_told_and_the_others_are_done(
    drawcli: Run, site: Site, away: Path
) -> None:
    others = write_planning_ct(away / "gap", HEAD_NECK, slices=6, size=32, seed=2)
    others[2].unlink()

    ended = drawcli("deidentify", str(away), "--to", "out", "--json")

    assert ended.code == 6
    series = {one["refused"]: one for one in ended.answer["data"]["series"]}
    assert series.keys() == {None, "missing-slices"}
    assert series["missing-slices"]["folder"] is None
    assert len(images(site.folder / "out")) == SLICES
    (error,) = ended.answer["errors"]
    assert error["message"].startswith("CT series of 5 files: missing slices: 6 expected")


def test_what_the_gate_finds_is_not_left(drawcli: Run, site: Site, away: Path) -> None:
    """The record number in a number that the pixels need: only a person can tell."""
    for path in sorted(away.iterdir()):
        one = dcmread(path)
        one.PatientID = "7734021"
        one.RescaleIntercept = "7734021"
        one.save_as(path)

    ended = drawcli("deidentify", str(away), "--to", "out")

    assert ended.code == 8
    assert "personal in RescaleIntercept" in ended.err
    assert named(ended) == []
    assert list((site.folder / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("usb",), "--to DIR"),
        (("--to", "out"), "needs PATH"),
        (("usb", "--to", "out", "--limit", "1"), "belong to the step"),
        (("usb", "--to", "out", "--conformance"), "cannot be combined"),
        (("usb", "--to", "usb/deid"), "only read"),
        (("usb", "--to", "store/deid"), "only read"),
        (("usb", "--to", "state"), "not an empty folder"),
        (("usb", "--to", "drawcli.yaml"), "not an empty folder"),
        (("nowhere", "--to", "out"), "no such file"),
        (("state", "--to", "out"), "no CT, MR or PT series"),
        (("usb", "--to", "out", "--identify"), "on a terminal only"),
    ],
)
def test_what_cannot_be_is_said(
    drawcli: Run, site: Site, away: Path, words: tuple[str, ...], said: str
) -> None:
    assert away.exists()

    ended = drawcli("deidentify", *words)

    assert ended.code == 2
    assert said in ended.err
    assert not (site.folder / "out").exists()


def test_a_dry_run_says_what_would_be_done_and_writes_nothing(
    drawcli: Run, site: Site, away: Path
) -> None:
    write_scout(away / "scout", PELVIS, size=32)
    write_planning_ct(away / "gap", HEAD_NECK, slices=6, size=32, seed=2)[2].unlink()

    ended = drawcli("deidentify", str(away), "--to", "out", "--dry-run")

    assert ended.code == 0
    assert f"CT of {SLICES} files would be de-identified" in ended.out
    assert "CT of 5 files would be refused: missing slices" in ended.out
    assert not (site.folder / "out").exists()


def test_one_file_can_be_looked_at(drawcli: Run, site: Site, away: Path) -> None:
    ended = drawcli("deidentify", str(min(away.iterdir())), "--to", "out")

    assert ended.code == 0
    assert len(images(site.folder / "out")) == 1


def test_where_a_series_comes_from_is_shown_to_a_person(site: Site, away: Path) -> None:
    said = at_terminal(site, "deidentify", str(away), "--to", "out", "--identify")

    assert f"from {away}" in said.replace("\r\n", "\n")


def test_the_statement_is_that_of_the_site(drawcli: Run, site: Site) -> None:
    usual = drawcli("deidentify", "--conformance")
    site.add_line("deidentify: {remove: [ManufacturerModelName]}")
    own = drawcli("deidentify", "--conformance")

    assert usual.out == statement(Choices())
    assert own.out == statement(Choices(remove=frozenset({"ManufacturerModelName"})))


def test_the_statement_needs_no_site(drawcli: Run, site: Site) -> None:
    site.config.unlink()

    ended = drawcli("deidentify", "--conformance")

    assert (ended.code, ended.out) == (0, statement(Choices()))


def test_what_becomes_of_a_header_is_shown_without_what_it_said(drawcli: Run, away: Path) -> None:
    ended = drawcli("diff-header", str(min(away.iterdir())))

    assert ended.code == 0
    told = {
        line.split()[0]: line.split()[1:] for line in ended.out.splitlines() if line[:1].strip()
    }
    assert told["PatientBirthDate"] == ["DA", "emptied"]
    assert told["InstitutionName"] == ["LO", "removed"]
    assert told["StudyDate"][:2] == ["DA", "moved"]
    assert told["PatientID"][:2] == ["LO", "replaced"]
    assert told["(0029,1010)"] == ["OB", "removed"]
    assert "Rows" not in told
    assert named(ended) == []


def test_what_is_kept_is_shown_where_it_is_asked_for(drawcli: Run, away: Path) -> None:
    ended = drawcli("diff-header", "--all", "--json", str(min(away.iterdir())))

    kept = {
        one["keyword"]: one["after"]
        for one in ended.answer["data"]["elements"]
        if one["what"] == "kept"
    }
    assert kept["Rows"] == "32"
    assert kept["Modality"] == "CT"
    assert named(ended) == []


def test_a_header_without_pixels_is_refused(drawcli: Run, site: Site, away: Path) -> None:
    whole = min(away.iterdir()).read_bytes()
    (site.folder / "head.dcm").write_bytes(whole[: whole.index(b"\xe0\x7f\x10\0")])

    ended = drawcli("diff-header", "head.dcm")

    assert ended.code == 6
    assert "head.dcm: an image without pixels" in ended.err


def test_what_a_header_said_is_shown_on_a_terminal_alone(
    drawcli: Run, site: Site, away: Path
) -> None:
    file = str(min(away.iterdir()))

    assert drawcli("diff-header", "--identify", file).code == 2
    assert PELVIS.patient_id in at_terminal(site, "diff-header", "--identify", file)


def test_why_an_image_would_not_be_sent_is_said(drawcli: Run, away: Path) -> None:
    path = min(away.iterdir())
    one = dcmread(path)
    one.BurnedInAnnotation = "YES"
    one.save_as(path)

    ended = drawcli("diff-header", str(path))

    assert ended.code == 0
    assert "This image would not be sent: the header says" in ended.out


def test_a_file_that_is_no_image_has_no_header_to_show(drawcli: Run, site: Site) -> None:
    (site.folder / "notes.txt").write_text("hello")

    assert drawcli("diff-header", "notes.txt").code == 6
    assert "is a folder" in drawcli("diff-header", ".").err
    assert drawcli("diff-header", "nowhere.dcm").code == 6


def test_a_clean_package_passes_the_gate(drawcli: Run, site: Site, package: Path) -> None:
    write_planning_ct(site.store / "other", HEAD_NECK, slices=SLICES, size=32, seed=3)

    ended = drawcli("gate", str(package), "--against", str(site.store))

    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"{package}: nothing of the patient was found\n"


def test_a_name_in_a_package_is_found_and_not_said(drawcli: Run, site: Site, package: Path) -> None:
    planted = replaced_name(package, site.folder / "planted.zip", "TAMBE")

    ended = drawcli("gate", str(planted), "--against", str(site.store), "--json")

    assert ended.code == 8
    found = {(one["check"], one["where"]) for one in ended.answer["data"]["findings"]}
    assert ("marker", "PatientName") in found
    assert "TAMBE" not in ended.out + ended.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("nowhere.zip --against store", "No such file"),
        ("drawcli.yaml --against store", "not a readable zip"),
        ("{package} --against usb", "no series in usb has the pixels"),
    ],
)
def test_a_gate_without_a_package_or_its_images_says_so(
    drawcli: Run, site: Site, package: Path, words: str, said: str
) -> None:
    write_planning_ct(site.folder / "usb", HEAD_NECK, slices=SLICES, size=32, seed=3)

    ended = drawcli("gate", *words.format(package=package).split())

    assert ended.code == 2
    assert said in ended.err
