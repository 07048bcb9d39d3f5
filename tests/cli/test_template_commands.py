"""templates new and import: of what the server offers, and of what a site had before."""

from pathlib import Path

import pytest
import yaml

from drawcli.sandbox.server import running
from tests.cli.conftest import Run, answering, at_sandbox
from tests.conftest import Site

ECLIPSE = """<?xml version="1.0" encoding="UTF-8"?>
<StructureTemplate Version="1.2" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<Preview ID="Head &amp; Neck"/><Structures>
<Structure ID="Parotid Left"><Identification><VolumeType>Organ</VolumeType></Identification>
<ColorAndStyle>Segment - Cyan</ColorAndStyle></Structure>
<Structure ID="Brain"><Identification><VolumeType>Organ</VolumeType></Identification></Structure>
<Structure ID="PTV"><Identification><VolumeType>PTV</VolumeType></Identification></Structure>
</Structures></StructureTemplate>
"""
CLIENT = """name: Old One
protocol: DRAW
extra: 1
models:
  "730":
    name: TSHeadNeck
    config: 3d_fullres
    map: {"1": Brain}
    trainer_name: T
    postprocess: "null"
    notes: x
"""


@pytest.fixture
def templates(site: Site) -> Path:
    return site.folder / "templates.yaml"


@pytest.fixture
def pulled(drawcli: Run, site: Site, tmp_path: Path) -> None:
    """Have the catalogue of the sandbox kept."""
    with running(tmp_path / "sandbox") as server:
        at_sandbox(site, server.url, server.token_file)
        assert drawcli("templates", "pull", "--quiet").code == 0


@pytest.mark.usefixtures("pulled")
def test_a_template_is_made_of_what_the_server_offers(drawcli: Run, templates: Path) -> None:
    before = templates.read_text()

    made = drawcli(
        *("templates", "new", "My_Pelvis", "--structure", "bladder", "--structure", "720:2"),
        *("--structure", "740:Liver", "--description", "only: these"),
    )

    assert (made.code, made.err) == (0, "")
    after = templates.read_text()
    assert after.startswith(before)
    models = yaml.safe_load(after)["templates"]["My_Pelvis"]["models"]
    assert {n: m["map"] for n, m in models.items()} == {
        720: {1: "Bladder", 2: "Rectum"},
        740: {7: "Liver"},
    }
    assert models[720]["postprocess"] is None
    assert "My_Pelvis: only: these" in drawcli("templates", "list").out
    assert "My_Pelvis: model" not in drawcli("templates", "check").out


@pytest.mark.usefixtures("pulled")
def test_a_whole_model_and_a_dry_run(drawcli: Run, templates: Path) -> None:
    before = templates.read_bytes()

    told = drawcli("templates", "new", "Chest", "--model", "740", "-n", "--json").answer["data"]

    assert told["written"] is False
    assert yaml.safe_load(told["templates"][0]["text"])["Chest"]["models"][740]["map"][3] == "Heart"
    assert templates.read_bytes() == before


@pytest.mark.usefixtures("pulled")
@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("X", "--structure", "Bladdr"), 2, "did you mean 'Bladder'"),
        (("X", "--structure", "Body"), 2, "2 models draw Body"),
        (("X", "--structure", "720:Liver"), 2, "no structure 'Liver' of model 720"),
        (("X", "--model", "9"), 2, "offers no model 9"),
        (("X",), 2, "no structure was named"),
        (("--structure", "Bladder"), 2, "the template needs a name"),
        (("Prostate_OAR", "--structure", "Bladder"), 2, "already a template 'Prostate_OAR'"),
        (("My Pelvis", "--structure", "Bladder"), 3, "'My Pelvis' is not a template name"),
        (
            ("X", "--model", "720", "--model", "730"),
            3,
            "two models draw the same structure: Bones, Body",
        ),
    ],
)
def test_what_cannot_be_made_leaves_the_file_alone(
    drawcli: Run, templates: Path, words: tuple[str, ...], code: int, said: str
) -> None:
    before = templates.read_bytes()

    told = drawcli("templates", "new", *words)

    assert (told.code, told.out) == (code, "")
    assert said in told.err
    assert templates.read_bytes() == before


def test_without_a_catalogue_it_is_said_how_to_get_one(drawcli: Run, site: Site) -> None:
    (site.folder / "e.xml").write_text(ECLIPSE)

    new = drawcli("templates", "new", "X", "--structure", "Bladder")
    eclipse = drawcli("templates", "import", "e.xml")

    assert (new.code, eclipse.code) == (2, 2)
    assert all("templates pull" in one.err for one in (new, eclipse))


@pytest.mark.parametrize("kept", ["", "{}", '{"at": "x", "models": []}', '{"at": 5, "models": 5}'])
def test_a_damaged_catalogue_counts_as_none(drawcli: Run, site: Site, kept: str) -> None:
    (site.state / "catalogue.json").write_text(kept)

    told = drawcli("templates", "new", "X", "--structure", "Bladder")

    assert told.code == 2
    assert "there is no copy of the server" in told.err
    assert drawcli("templates", "check").code == 0


@pytest.mark.usefixtures("pulled")
def test_what_is_asked_in_vain_is_told_from_the_kept_catalogue(
    drawcli: Run, templates: Path
) -> None:
    templates.write_text(templates.read_text().replace("2: Rectum", "2: Anorectum"))

    told = drawcli("templates", "check")

    assert told.code == 0
    assert "structure 2 of model 720 is Rectum at the server, not Anorectum (by the cat" in told.out


@pytest.mark.usefixtures("pulled")
def test_a_template_of_eclipse_keeps_its_names_and_colours(
    drawcli: Run, site: Site, templates: Path
) -> None:
    (site.folder / "e.xml").write_text(ECLIPSE)

    told = drawcli("templates", "import", "e.xml")

    assert told.code == 0
    assert "Head_Neck: no model draws: PTV" in told.out
    made = yaml.safe_load(templates.read_text())["templates"]["Head_Neck"]
    assert made["models"][730]["map"] == {1: "Brain", 5: "Parotid_L"}
    assert made["structures"] == {
        "Parotid_L": {"label": "Parotid Left", "color": [0, 255, 255], "type": "ORGAN"},
        "Brain": {"type": "ORGAN"},
    }


@pytest.mark.usefixtures("pulled")
def test_what_no_model_draws_can_be_requested_as_an_empty_structure(
    drawcli: Run, site: Site, templates: Path
) -> None:
    (site.folder / "e.xml").write_text(ECLIPSE)

    told = drawcli("templates", "import", "e.xml", "--empty")

    assert (told.code, "no model draws" in told.out) == (0, False)
    made = yaml.safe_load(templates.read_text())["templates"]["Head_Neck"]
    assert list(made["empty"]) == ["PTV"]
    assert made["empty"]["PTV"]["type"] == "PTV"
    assert "PTV" not in drawcli("templates", "show", "Head_Neck").out


def test_a_template_of_a_client_is_taken_over_as_the_server_wants_it(
    drawcli: Run, site: Site
) -> None:
    (site.folder / "o.yml").write_text(CLIENT)

    told = drawcli("templates", "import", "o.yml")

    assert told.code == 0
    assert "left out, because the server refuses them: extra, 730.notes" in told.out
    assert yaml.safe_load(drawcli("templates", "show", "Old_One").out) == {
        "name": "Old_One",
        "protocol": "DRAW",
        "models": {
            730: {
                "name": "TSHeadNeck",
                "config": "3d_fullres",
                "map": {1: "Brain"},
                "trainer_name": "T",
                "postprocess": None,
            }
        },
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("templates: {}", "not a template of a DRAW client"),
        ("name: A\nmodels: {720: 5}", "model 720 has no map"),
        ("name: '!!'\nmodels: {}", "the template has no name"),
        ("name: A\nmodels:\n  720: {map: {1: Bladder}}", "'models.720.name' should be a text"),
        ("name: [", "closing bracket"),
        ("<a/>", "a a, not a StructureTemplate"),
    ],
)
def test_of_several_files_all_are_taken_or_none(
    drawcli: Run, site: Site, templates: Path, text: str, said: str
) -> None:
    (site.folder / "good.yml").write_text(CLIENT)
    (site.folder / "bad.yml").write_text(text)
    before = templates.read_bytes()

    told = drawcli("templates", "import", "good.yml", "bad.yml")

    assert told.code == 3
    assert said in told.err
    assert templates.read_bytes() == before


@pytest.mark.usefixtures("pulled")
def test_a_picker_of_structures_at_a_terminal(site: Site, templates: Path) -> None:
    said = answering(site, ("templates", "new"), "/bladder\n1 2\nLiver\n\nPicked\ny\n")

    assert f"written to {templates}" in said
    models = yaml.safe_load(templates.read_text())["templates"]["Picked"]["models"]
    assert {n: m["map"] for n, m in models.items()} == {
        720: {1: "Bladder", 2: "Rectum"},
        740: {7: "Liver"},
    }


def test_pairs_whose_sides_cannot_be_told_apart_are_listed(drawcli: Run, templates: Path) -> None:
    plain = yaml.safe_load(templates.read_text())
    model = plain["templates"]["Prostate_OAR"]["models"][720]
    model["map"] = {1: "Poumon_G", 2: "Poumon_D", 3: "Femur Left", 4: "Femur Right", 5: "Level 1"}
    templates.write_text(yaml.safe_dump(plain))

    said = drawcli("templates", "check")

    assert "Poumon_G and Poumon_D look like a left and a right structure" in said.out
    assert "Femur" not in "".join(line for line in said.out.splitlines() if "look like" in line)


@pytest.mark.parametrize(
    ("labels", "warned"),
    [
        ({"Bladder": "Rectum", "Rectum": "Bladder"}, ["Bladder", "Rectum"]),
        ({"Femur_Head_L": "R Femoral Head"}, ["Femur_Head_L"]),
        ({"Femur_Head_L": "Caput_Li", "Bladder": "VESSIE_R", "Rectum": "RECTUM"}, []),
    ],
)
def test_a_label_that_names_another_structure_or_side_is_a_warning(
    drawcli: Run, templates: Path, labels: dict[str, str], warned: list[str]
) -> None:
    plain = yaml.safe_load(templates.read_text())
    template = plain["templates"]["Prostate_OAR"]
    template["models"][720]["map"] = {1: "Bladder", 2: "Rectum", 3: "Femur_Head_L"}
    template["structures"] = {name: {"label": label} for name, label in labels.items()}
    templates.write_text(yaml.safe_dump(plain))

    said = drawcli("templates", "check").out

    found = [line for line in said.splitlines() if "is delivered as" in line]
    assert [line.split(": ")[2].split()[0] for line in found] == warned
