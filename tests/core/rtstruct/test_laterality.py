"""Sides in the names of structures, word by word; which names are a pair, and which may be one."""

import pytest

from drawcli.core.rtstruct.laterality import other_side, sides_of, unclear_pairs


@pytest.mark.parametrize(
    ("name", "sides"),
    [
        ("L", [("left", ("*",))]),
        ("左", [("left", ("*",))]),
        ("Eye_Rt_2", [("right", ("eye", "*", "2"))]),
        ("LEye", [("left", ("*", "eye"))]),
        ("eyeR", [("right", ("eye", "*"))]),
        ("Eye右", [("right", ("eye", "*"))]),
        ("右肺", [("right", ("*肺",))]),
        ("肺左", [("left", ("肺*",))]),
        ("rightEye", [("right", ("*", "eye"))]),
        ("righteye", [("right", ("*eye",)), ("right", ("*ighteye",))]),
        ("eyert", [("right", ("eye*",))]),
        ("eyel", [("left", ("eye*",))]),
        ("eye", []),
        ("reye", [("right", ("*eye",))]),
        ("rey", []),
        ("EyeLOrb", [("left", ("eye", "*", "orb"))]),
        ("EyeLOrB", [("left", ("eye", "*", "or", "b"))]),
        ("L_Eye_R", [("left", ("*", "eye", "r")), ("right", ("l", "eye", "*"))]),
    ],
)
def test_each_side_that_a_name_may_mean(name: str, sides: list[tuple[str, object]]) -> None:
    assert list(sides_of(name)) == sides


@pytest.mark.parametrize(
    ("names", "unclear"),
    [
        (["Kidney_L", "Kidney_R", "Rein_G", "Rein_D"], [("Rein_G", "Rein_D")]),
        (["Rein_Ga", "Rein_Dr"], [("Rein_Ga", "Rein_Dr")]),
        (["Rein_Gau", "Rein_Dro"], []),
        (["Rein_1", "Rein_2"], []),
        (["G_Rein", "D_Rein"], [("G_Rein", "D_Rein")]),
        (["G_Rein", "D_Niere"], []),
        (["G_Rein_A", "D_Rein_B"], []),
        (["Rein_G", "Rein_G"], []),
        (["Rein_G", "Rein_D", "Rein_X"], [("Rein_G", "Rein_D"), ("Rein_G", "Rein_X")]),
        (["G", "D"], []),
        (["Lung_L", "Lung_X"], []),
        (["A_Lung_L", "A_Lung_R", "B_Lung_L"], []),
        (["A_Lung_L", "A_Lung_R", "B_Lung_R"], []),
    ],
)
def test_names_that_may_be_a_pair(names: list[str], unclear: list[tuple[str, str]]) -> None:
    assert unclear_pairs(names) == unclear


def test_a_pair_needs_one_name_of_each_side() -> None:
    assert other_side(["Lung_R", "Eye_L", "Lung_L", "Eye_Lt"]) == {"Lung_L": "Lung_R"}
