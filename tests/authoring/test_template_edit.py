"""A template as a form wants it becomes an edit of the text."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from drawcli.authoring.new_template import Plan
from drawcli.authoring.template_edit import template_edit
from drawcli.errors import ConfigError, UsageError
from drawcli.system.yaml_read import Document, parse_yaml

TEXT = """# our templates
templates:
  Pelvis:                      # in use since May
    description: bladder
    models:
      720:
        name: TSPrime
        config: 3d_fullres
        trainer_name: T
        postprocess: null
        map:
          1: Bladder           # the first
          2: Rectum
    structures:
      # limits by Marta
      Bladder: {color: [255, 255, 0], volume_cm3: [20.0, 1500]}   # wide
      Rectum:
        label: "Rectum_AI"     # for the planning system
        volume_cm3: [25, 200]
    derived:
      Bladder_05: {margin: Bladder, mm: 5.0}
  Other:
    models: {740: {name: TSThorax, config: c, trainer_name: T, postprocess: null, map: {1: Lung_L}}}
"""


def document(text: str = TEXT) -> Document:
    return parse_yaml(Path("templates.yaml"), text.encode())


def plan(**changes: Any) -> Plan:
    """Return what a form says of the template as it is, but for changes."""
    model = {"name": "TSPrime", "config": "3d_fullres", "trainer_name": "T", "postprocess": None}
    facts: dict[str, Any] = {
        "description": "bladder",
        "models": {720: {**model, "map": {1: "Bladder", 2: "Rectum"}}},
        "structures": {
            "Bladder": {"color": [255, 255, 0], "volume_cm3": [20, 1500]},
            "Rectum": {"label": "Rectum_AI", "volume_cm3": [25, 200]},
        },
        "derived": {"Bladder_05": {"margin": "Bladder", "mm": 5}},
    }
    return Plan("Pelvis", **facts | changes)


def changed(wanted: Plan, text: str = TEXT, *, is_new: bool = False, origin: str = "") -> str:
    edit = template_edit(wanted, is_new=is_new, origin=origin.encode() or None)
    return edit(document(text)).source.decode()


def test_what_means_the_same_stays_as_it_is_written() -> None:
    assert changed(plan()) == TEXT


def test_a_description_of_several_lines_stays_as_it_is_written() -> None:
    text = TEXT.replace("description: bladder", "description: |\n      bladder,\n      rectum")

    assert changed(plan(description="bladder, rectum"), text) == text


def test_a_limit_and_a_derived_structure_change_their_lines_alone() -> None:
    structures = plan().structures
    structures["Bladder"]["volume_cm3"] = [20, 900]
    structures["Rectum"]["required"] = True
    derived = {
        "Bladder_05": {"margin": "Bladder", "mm": 7},
        "Both": {"union": ["Bladder", "Rectum"]},
    }

    after = changed(plan(structures=structures, derived=derived))

    wanted = (
        TEXT.replace("[20.0, 1500]}   # wide", "[20, 900]}   # wide")
        .replace("[25, 200]\n", "[25, 200]\n        required: true\n")
        .replace("mm: 5.0}\n", "mm: 7}\n      Both:\n        union: [Bladder, Rectum]\n")
    )
    assert after == wanted


def test_structures_and_models_are_added_and_left_out() -> None:
    models = plan().models
    models[720]["map"] = {1: "Bladder", 5: "Anorectum"}
    models[740] = {**models[720], "name": "TSThorax", "map": {1: "Lung_L"}}
    structures = {"Bladder": plan().structures["Bladder"]}

    after = yaml.safe_load(changed(plan(models=models, structures=structures)))["templates"]

    assert after["Pelvis"]["models"][720]["map"] == {1: "Bladder", 5: "Anorectum"}
    assert after["Pelvis"]["models"][740]["map"] == {1: "Lung_L"}
    assert list(after["Pelvis"]["structures"]) == ["Bladder"]


def test_sections_without_entries_go() -> None:
    after = changed(plan(description="", structures={}, derived={}))

    assert list(yaml.safe_load(after)["templates"]["Pelvis"]) == ["models"]


def test_what_others_have_changed_meanwhile_stays() -> None:
    theirs = TEXT.replace("[25, 200]", "[30, 200]").replace(
        "description: bladder", "description: b"
    )
    structures = plan().structures
    structures["Bladder"]["volume_cm3"] = [20, 900]

    after = changed(plan(structures=structures), theirs, origin=TEXT)

    assert after == theirs.replace("[20.0, 1500]", "[20, 900]")


def test_a_derived_structure_that_others_have_removed_does_not_come_back() -> None:
    theirs = TEXT.replace("    derived:\n      Bladder_05: {margin: Bladder, mm: 5.0}\n", "")

    after = changed(plan(description="new"), theirs, origin=TEXT)

    assert after == theirs.replace("description: bladder", "description: new")


def test_a_new_template_is_added_at_the_end() -> None:
    new = plan()
    new.name = "New"

    after = changed(new, is_new=True)

    assert after.startswith(TEXT)
    assert list(yaml.safe_load(after)["templates"]) == ["Pelvis", "Other", "New"]


@pytest.mark.parametrize("section", ["templates:\n", "templates: {}\n", "templates: null\n"])
def test_the_first_template_of_a_site_is_added(section: str) -> None:
    after = changed(plan(), f"# none yet\n{section}", is_new=True)

    assert after.startswith("# none yet\ntemplates:")
    assert yaml.safe_load(after)["templates"]["Pelvis"]["models"][720]["map"][1] == "Bladder"


def test_a_name_in_use_and_one_that_is_gone_are_refused() -> None:
    new, gone = plan(), plan()
    gone.name = "Gone"

    with pytest.raises(UsageError, match="there is already a template 'Pelvis'"):
        changed(new, is_new=True)
    with pytest.raises(UsageError, match="there is no template 'Gone'"):
        changed(gone)


def test_an_invalid_template_is_refused_in_words() -> None:
    with pytest.raises(ConfigError, match=r"^derived Bladder_05: margin needs mm$"):
        changed(plan(derived={"Bladder_05": {"margin": "Bladder"}}))
    with pytest.raises(ConfigError, match="Nothing must be defined before it"):
        changed(plan(derived={"A": {"margin": "Nothing", "mm": 3}}))
    models = plan().models
    models[740] = {**models[720]}
    with pytest.raises(ConfigError, match="two models draw the same structure: Bladder, Rectum"):
        changed(plan(models=models))
