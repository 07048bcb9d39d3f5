"""A slice in letters shows each structure where it lies, also in a terminal without colours."""

import pytest

from drawcli.pipeline.context import Context
from drawcli.sandbox.segmentation.text_picture import TextPicture, text_picture
from tests.conftest import PELVIS, Site
from tests.dashboard.conftest import brought_home
from tests.fake_draw import FakeDraw
from tests.phantoms.planning import write_planning_ct


@pytest.fixture
def drawn(ctx: Context, site: Site, draw: FakeDraw) -> TextPicture:
    """Return the picture of the structure set that was delivered beside a phantom."""
    images = write_planning_ct(site.store / "pelvis", PELVIS, slices=16, size=64, seed=1)
    brought_home(ctx, draw)
    (delivered,) = images[0].parent.glob("RS.*")
    return text_picture(delivered, images)


def test_each_structure_has_a_letter_of_its_own_that_is_in_the_picture(drawn: TextPicture) -> None:
    letters = {mark.letter: mark.name for mark in drawn.marks}
    signs = set("".join(drawn.lines))

    assert len(letters) == len(drawn.marks)
    assert {letters["B"], letters["R"]} == {"Bladder", "Rectum"}
    assert letters.keys() <= signs <= {*letters, " ", ".", ":"}
    assert all(mark.color.startswith("#") and len(mark.color) == 7 for mark in drawn.marks)


def test_the_bladder_lies_before_the_rectum_and_left_is_on_the_right(drawn: TextPicture) -> None:
    sides = {mark.name: mark.letter for mark in drawn.marks}

    def row_of(letter: str) -> float:
        rows = [number for number, line in enumerate(drawn.lines) if letter in line]
        return sum(rows) / len(rows)

    def column_of(letter: str) -> float:
        columns = [line.index(letter) for line in drawn.lines if letter in line]
        return sum(columns) / len(columns)

    assert row_of("B") < row_of("R")
    assert column_of(sides["Femur_Head_R"]) < column_of(sides["Femur_Head_L"])
    assert max(map(len, drawn.lines)) <= 72
    assert len(drawn.lines) == 30
