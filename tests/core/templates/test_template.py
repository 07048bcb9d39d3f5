from typing import Any

import pytest
import yaml

from drawcli.core.templates.template import Template, from_json, server_file, structures_of
from drawcli.system.records import Invalid

# As PROTOCOL.md of the server asks for it: these keys and no others.
WANTED = {
    "name": "Prostate_OAR",
    "protocol": "DRAW",
    "models": {
        720: {
            "name": "TSPrime",
            "config": "3d_fullres",
            "map": {1: "Bladder", 2: "Anorectum", 6: "PenileBulb"},
            "trainer_name": "nnUNetTrainerNoMirroring",
            "postprocess": None,
        },
        721: {
            "name": "TSBones",
            "config": "2d",
            "map": {4: "Femur_Head_L"},
            "trainer_name": "nnUNetTrainer",
            "postprocess": "largest",
        },
    },
}


def template(**changes: Any) -> Template:
    """Return the template above, with changes to its first model."""
    models = {number: dict(model) for number, model in WANTED["models"].items()}  # type: ignore[attr-defined] # plain data
    models[720] |= changes
    return Template.read({"description": "for people", "models": models})


def test_the_server_gets_exactly_the_keys_it_wants() -> None:
    assert yaml.safe_load(server_file("Prostate_OAR", template())) == WANTED


def test_the_same_template_gives_the_same_bytes() -> None:
    assert server_file("P", template()) == server_file("P", template())


def test_numbers_stay_numbers_and_words_that_look_like_others_stay_words() -> None:
    odd = template(name="null", config="3e5", map={1: "on", 2: "720", 3: "2026-03-14"})

    (model, _) = yaml.safe_load(server_file("0123", odd))["models"].values()

    assert (model["name"], model["config"]) == ("null", "3e5")
    assert model["map"] == {1: "on", 2: "720", 3: "2026-03-14"}
    assert yaml.safe_load(server_file("0123", odd))["name"] == "0123"


def test_structures_come_in_the_order_of_the_file_also_from_what_was_sent() -> None:
    order = ("Bladder", "Anorectum", "PenileBulb", "Femur_Head_L")

    assert template().drawn == order
    assert structures_of(server_file("P", template())) == order


def test_a_structure_that_two_models_draw_is_told() -> None:
    assert template(map={1: "Femur_Head_L", 2: "Bladder"}).duplicate_names == ("Femur_Head_L",)
    assert template().duplicate_names == ()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"map": {1: "Bladder", 2: "Bladder"}}, "more than once: Bladder"),
        ({"map": {}}, "'models.720.map' should not be empty"),
        ({"map": {0: "Bladder"}}, "'models.720.map.0' should be greater than 0"),
        ({"map": {"1": "Bladder"}}, "'models.720.map.1' should be a whole number, without quotes"),
        ({"map": {1.0: "Bladder"}}, "whole number"),
        ({"map": {True: "Bladder"}}, "whole number"),
        ({"map": {1: ""}}, "not be empty"),
        ({"map": {1: 5}}, "'models.720.map.1' should be a text; put it in quotes"),
        ({"map": {1: "Bladder "}}, "blank"),
        ({"map": {1: "Bladder\\Wall"}}, "backslash"),
        ({"map": {1: "Bladder\n"}}, "blank"),
        ({"map": {1: "Blad\x07der"}}, "structure name"),
        ({"map": {1: "B" * 65}}, "at most 64 characters"),
        ({"name": ""}, "not be empty"),
        ({"name": 3}, "should be a text"),
        ({"config": None}, "should be a text"),
        ({"postprocess": "null"}, "without quotes"),
        ({"postprocess": " None "}, "without quotes"),
        ({"postprocess": ""}, "without quotes"),
        ({"postprocess": 0}, "should be a text"),
        ({"extra": 1}, "unknown key 'models.720.extra'"),
    ],
)
def test_what_the_server_would_die_of_is_refused_before(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(Invalid, match=why):
        template(**changes)


@pytest.mark.parametrize("number", [10, 0, -720, "720", 720.0, True])
def test_a_model_id_is_an_integer_above_ten(number: object) -> None:
    with pytest.raises(Invalid):
        Template.read({"models": {number: WANTED["models"][720]}})  # type: ignore[index] # plain data


def test_a_key_must_not_be_missing_nor_the_models() -> None:
    lacking = {key: value for key, value in WANTED["models"][720].items() if key != "postprocess"}  # type: ignore[index] # plain data

    incomplete: list[dict[str, Any]] = [{"models": {}}, {}, {"models": {720: lacking}}]
    for plain in incomplete:
        with pytest.raises(Invalid):
            Template.read(plain)


def test_what_is_for_people_does_not_go_to_the_server() -> None:
    said = {"volume_cm3": [20, 1500.5], "color": [255, 255, 0], "type": "ORGAN", "label": "Blase"}
    plain = template().as_plain() | {
        "structures": {"Bladder": said},
        "derived": {"Bladder_03": {"margin": "Bladder", "mm": 3}},
    }

    read = Template.read(plain)

    assert read.structures["Bladder"].volume_cm3 == (20, 1500.5)
    assert read.derived["Bladder_03"].sentence == "drawcli: margin of Bladder, 3 mm"
    assert yaml.safe_load(server_file("Prostate_OAR", read)) == WANTED


@pytest.mark.parametrize(
    ("structures", "why"),
    [
        ({"Bladder": {"volume_cm3": [20, 10]}}, "smallest volume comes first"),
        (
            {"Bladder": {"volume_cm3": [-1, 10]}},
            "'structures.Bladder.volume_cm3.0' should be at least 0",
        ),
        ({"Bladder": {"volume_cm3": [1, float("inf")]}}, "finite"),
        ({"Bladder": {"volume_cm3": [1]}}, "should have 2 values"),
        ({"Bladder": {"color": [0, 0, 256]}}, "255"),
        ({"Bladder": {"color": [0, 0]}}, "should have 3 values"),
        ({"Bladder": {"type": "organ"}}, "ORGAN"),
        ({"Bladder": {"label": "Bl\\ase"}}, "backslash"),
        ({"Bladder": {"label": "Vess\u00ede"}}, "ASCII"),
        ({"Bladder": {"label": "anorectum"}}, "Anorectum and Bladder would have the same name"),
        ({"Bladder": {"labels": "B"}}, "labels'; did you mean 'label'"),
        ({"Spleen": {}}, "no model draws Spleen"),
    ],
)
def test_structures_that_cannot_be_meant_are_refused(structures: dict[str, Any], why: str) -> None:
    with pytest.raises(Invalid, match=why):
        Template.read(template().as_plain() | {"structures": structures})


@pytest.mark.parametrize(
    ("empty", "why"),
    [
        ({"Bladder": {}}, "empty Bladder: a structure of that name exists already"),
        ({"PTV": {"label": "bladder"}}, "would have the same name"),
        ({"PTV": {"volume_cm3": [1, 2]}}, "unknown key"),
        ({"PTV": {"type": "TARGET"}}, "PTV"),
    ],
)
def test_an_empty_structure_has_a_name_of_its_own(empty: dict[str, Any], why: str) -> None:
    with pytest.raises(Invalid, match=why):
        Template.read(template().as_plain() | {"empty": empty})


def test_the_server_does_not_see_an_empty_structure() -> None:
    with_empty = Template.read(template().as_plain() | {"empty": {"PTV": {}}})

    assert server_file("P", with_empty) == server_file("P", template())
    assert with_empty.shown == (*template().shown, "PTV")


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        ({}, "one of union, intersection"),
        ({"union": ["Bladder"], "margin": "Rectum"}, "one of union, intersection"),
        ({"union": ["Bladder", "Spleen"]}, "Spleen must be defined before it"),
        ({"margin": "New", "mm": 5}, "New must be defined before it"),
        ({"margin": "Bladder"}, "margin needs mm"),
        ({"margin": "Bladder", "mm": 500}, "100"),
        ({"margin": "Bladder", "mm": 5, "cm3": 1}, "margin does not take cm3"),
        ({"smooth": "Bladder", "mm": -5}, "above 0"),
        ({"crop": "Bladder", "mm": 5}, "either inside or outside"),
        ({"crop": "Bladder", "inside": "Rectum", "outside": "Rectum"}, "either inside or outside"),
        ({"remove_small": "Bladder"}, "remove_small needs cm3"),
    ],
)
def test_rules_of_structures_that_cannot_be_meant_are_refused(
    rule: dict[str, Any], why: str
) -> None:
    with pytest.raises(Invalid, match=why):
        Template.read(template().as_plain() | {"derived": {"New": rule}})


def test_a_made_structure_is_no_second_one_of_a_name() -> None:
    rule = {"union": ["Bladder", "Rectum"]}

    for name in ("Bladder", "BLADDER"):
        with pytest.raises(Invalid, match=r"already|ignoring case"):
            Template.read(template().as_plain() | {"derived": {name: rule}})


def test_a_template_is_kept_with_its_job_in_the_form_of_earlier_versions() -> None:
    kept = (
        '{"models":{"720":{"name":"TSPrime","config":"2d","trainer_name":"T","postprocess":null,'
        '"map":{"1":"Blase ü"}}},"structures":{"Blase ü":{"color":[1,2,3],"volume_cm3":[1.0,2.5]}}}'
    ).encode()

    template = from_json(kept)

    assert template.models[720].map == {1: "Blase ü"}
    assert template.structures["Blase ü"].color == (1, 2, 3)
    assert template.as_json(only_given=True).encode() == kept


def test_the_digest_changes_with_what_contours_depend_on_but_not_with_looks() -> None:
    def with_margin(mm: float, **looks: Any) -> Template:
        derived = {"PRV": {"margin": "Bladder", "mm": mm} | looks}
        return Template.read(template().as_plain() | {"derived": derived})

    looks = {"structures": {"Bladder": {"label": "BLADDER", "color": [1, 2, 3]}}}
    others = [template(map={1: "Bladder"}), template(config="2d"), with_margin(5), with_margin(6)]

    assert len({one.contours_digest for one in (template(), *others)}) == 5
    shown = Template.read(template().as_plain() | looks | {"description": "another"})
    assert shown.contours_digest == template().contours_digest
    assert with_margin(5, color=[1, 2, 3]).contours_digest == with_margin(5).contours_digest


def test_the_digest_of_a_template_kept_with_its_job_is_the_same() -> None:
    kept = from_json(template().as_json(only_given=True).encode())

    assert kept.contours_digest == template().contours_digest
