"""What templates and settings add to a structure set."""

from drawcli.core.dicom import tags
from drawcli.core.rtstruct.presentation import contributors, look_elements, presentation_of
from drawcli.core.templates.appearance import Look, Structure
from drawcli.core.templates.template import Model, Template


def model(name: str, **structures: int) -> Model:
    numbers = {number: structure for structure, number in structures.items()}
    return Model(name=name, config="2d", trainer_name="T", postprocess=None, map=numbers)


TEMPLATE = Template(
    models={720: model("TSPrime", Bladder=1, Rectum=2), 721: model("Bones\\é", Femur=1)},
    structures={"Femur": Structure(label="Femur_L", color=(1, 2, 0))},
)


def test_received_structures_have_looks_order_and_model_by_their_numbers() -> None:
    names = {5: "Rectum", 9: "Extra", 7: "Femur", 2: "Bladder"}

    shown = presentation_of(TEMPLATE, names)

    assert shown.looks == {
        5: {},
        9: {},
        7: {tags.ROIName: "Femur_L", tags.ROIDisplayColor: "1\\2\\0"},
        2: {},
    }
    assert shown.usual == {
        5: "DRAW model 720 TSPrime",
        9: "DRAW",
        7: "DRAW model 721 Bones??",
        2: "DRAW model 720 TSPrime",
    }
    assert sorted(names, key=lambda number: shown.ranks[number]) == [7, 2, 5, 9]


def test_a_description_fits_into_its_element() -> None:
    shown = presentation_of(Template(models={720: model("m" * 80, Bladder=1)}), {1: "Bladder"})

    assert shown.usual[1] == "DRAW model 720 " + "m" * 49


def test_a_look_has_only_what_the_template_says() -> None:
    look = Look(label="A", color=(0, 0, 0), type="", description="by hand")

    assert look_elements(Look()) == {}
    assert look_elements(look) == {
        tags.ROIName: "A",
        tags.ROIGenerationDescription: "by hand",
        tags.ROIDisplayColor: "0\\0\\0",
        tags.RTROIInterpretedType: "",
    }


def test_the_server_with_its_models_and_drawcli_contribute() -> None:
    draw, drawcli = contributors(TEMPLATE, "1.2")

    assert draw == (
        ("109102", "Processing Equipment"),
        "DRAW",
        "",
        "models: 720 TSPrime 2d, 721 Bones?? 2d",
    )
    assert drawcli == (
        ("109103", "Modifying Equipment"),
        "drawcli",
        "1.2",
        "checked and re-identified; not reviewed",
    )


def test_models_that_are_not_known_or_too_many_are_listed_as_far_as_there_is_room() -> None:
    many = Template(models={number: model("m" * 90, S=1) for number in range(20, 32)})

    (unknown, _), (long, _) = contributors(None, ""), contributors(many, "")

    assert unknown.text == ""
    assert len(long.text) == len("models: ") + 900
