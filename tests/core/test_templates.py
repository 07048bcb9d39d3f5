from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from drawcli.core.templates import Template, server_file, structures_of

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
    return Template.model_validate({"description": "for people", "models": models})


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

    assert template().structures == order
    assert structures_of(server_file("P", template())) == order


def test_a_structure_that_two_models_draw_is_told() -> None:
    assert template(map={1: "Femur_Head_L", 2: "Bladder"}).twice == ("Femur_Head_L",)
    assert template().twice == ()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"map": {1: "Bladder", 2: "Bladder"}}, "more than once: Bladder"),
        ({"map": {}}, "at least 1"),
        ({"map": {0: "Bladder"}}, "greater than 0"),
        ({"map": {"1": "Bladder"}}, "valid integer"),
        ({"map": {1.0: "Bladder"}}, "valid integer"),
        ({"map": {True: "Bladder"}}, "valid integer"),
        ({"map": {1: ""}}, "at least 1"),
        ({"map": {1: 5}}, "valid string"),
        ({"map": {1: "Bladder "}}, "blank"),
        ({"map": {1: "Bladder\\Wall"}}, "backslash"),
        ({"map": {1: "Bladder\n"}}, "blank"),
        ({"map": {1: "Blad\x07der"}}, "structure name"),
        ({"map": {1: "B" * 65}}, "64"),
        ({"name": ""}, "at least 1"),
        ({"name": 3}, "valid string"),
        ({"config": None}, "valid string"),
        ({"postprocess": "null"}, "without quotes"),
        ({"postprocess": " None "}, "without quotes"),
        ({"postprocess": ""}, "without quotes"),
        ({"postprocess": 0}, "valid string"),
        ({"extra": 1}, "not permitted"),
    ],
)
def test_what_the_server_would_die_of_is_refused_before(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        template(**changes)


@pytest.mark.parametrize("number", [10, 0, -720, "720", 720.0, True])
def test_a_model_id_is_an_integer_above_ten(number: object) -> None:
    with pytest.raises(ValidationError):
        Template.model_validate({"models": {number: WANTED["models"][720]}})  # type: ignore[index] # plain data


def test_a_key_must_not_be_missing_nor_the_models() -> None:
    lacking = {key: value for key, value in WANTED["models"][720].items() if key != "postprocess"}  # type: ignore[index] # plain data

    incomplete: list[dict[str, Any]] = [{"models": {}}, {}, {"models": {720: lacking}}]
    for plain in incomplete:
        with pytest.raises(ValidationError):
            Template.model_validate(plain)


def test_volumes_are_for_people_and_not_for_the_server() -> None:
    plain = template().model_dump() | {"volume_cm3": {"Bladder": [20, 1500.5]}}

    bounded = Template.model_validate(plain)

    assert bounded.volume_cm3 == {"Bladder": (20, 1500.5)}
    assert yaml.safe_load(server_file("Prostate_OAR", bounded)) == WANTED


@pytest.mark.parametrize(
    ("bounds", "why"),
    [
        ({"Bladder": [20, 10]}, "least volume comes first"),
        ({"Bladder": [-1, 10]}, "greater than or equal to 0"),
        ({"Bladder": [1, float("inf")]}, "finite"),
        ({"Bladder": [1]}, "required"),
        ({"Spleen": [1, 2]}, "no model draws: Spleen"),
    ],
)
def test_volumes_that_cannot_be_meant_are_refused(bounds: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Template.model_validate(template().model_dump() | {"volume_cm3": bounds})
