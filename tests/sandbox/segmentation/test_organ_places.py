import pytest

from drawcli.sandbox.catalogue import CATALOGUE
from drawcli.sandbox.segmentation.organ_places import _PLACES, kind_of, place_of, side_of

NAMES = sorted({name for model in CATALOGUE for name in model.structures.values()})


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("Femur_Head_L", "left"),
        ("Femur_Head_R", "right"),
        ("Lung Left", "left"),
        ("rt_kidney", "right"),
        ("Rectum", "both"),
        ("Larynx", "both"),
        ("Brain", "both"),
    ],
)
def test_the_side_is_a_word_of_the_name_not_a_letter_in_it(name: str, side: str) -> None:
    assert side_of(name) == side


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Body", "body"),
        ("EXTERNAL", "body"),
        ("Bones", "bone"),
        ("Lung_L", "lung"),
        ("Lungs", "lung"),
        ("Bladder", None),
        ("BoneMarrow", None),
    ],
)
def test_some_names_are_left_to_the_pixels(name: str, kind: str | None) -> None:
    assert kind_of(name) == kind


def test_left_is_positive_x_and_right_its_mirror_image() -> None:
    left, right = place_of("Femur_Head_L"), place_of("Femur_Head_R")

    assert left.centre[0] > 0 > right.centre[0]
    assert left == right.mirrored()


def test_the_table_knows_every_structure_of_the_catalogue() -> None:
    places = {place for known in _PLACES.values() for place in (known, known.mirrored())}

    assert [name for name in NAMES if kind_of(name) is None and place_of(name) not in places] == []


def test_an_unknown_name_has_a_spot_of_its_own_inside_the_body() -> None:
    one, other = place_of("Zygomaticus"), place_of("Flumph")

    assert one == place_of("Zygomaticus")
    assert one != other
    for place in (one, other, place_of("Flumph_L"), place_of("Flumph_R")):
        reach = [abs(c) + s for c, s in zip(place.centre, place.semi, strict=True)]
        assert max(reach) < 0.8
    assert place_of("Flumph_L").centre[0] > 0 > place_of("Flumph_R").centre[0]
