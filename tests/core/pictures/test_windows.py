"""Grey windows by modality."""

import numpy as np
import pytest

from drawcli.core.pictures.stack import Stack
from drawcli.core.pictures.windows import Window
from tests.core.pictures.phantoms import AXIAL, Floats


def stack(values: Floats, slope: float = 1.0) -> Stack:
    stored = np.broadcast_to(values.reshape(1, 160, 160), (4, 160, 160)).astype(np.int32)
    return Stack.of(
        stored,
        positions=[(0.0, 0.0, 3.0 * n) for n in range(4)],
        orientation=AXIAL,
        spacing=(1.0, 1.0),
        scales=[(slope, 0.0)] * 4,
    )


def test_ct_is_shown_for_soft_tissue_and_lungs_and_bones_in_their_own_windows() -> None:
    usual = Window.of(stack(np.zeros(25_600)), "CT")

    assert (usual.low, usual.high, usual.inverse) == (-160, 240, False)
    assert usual.for_structure("Lung_L", "CT").low < -1000
    assert usual.for_structure("Femur_Head_R", "CT").high > 1000
    assert usual.for_structure("Tribute", "CT") == usual
    assert usual.for_structure("Lung_L", "MR") == usual


def test_one_bright_pixel_does_not_darken_a_magnetic_resonance_image() -> None:
    values = np.linspace(100, 400, 25_600)
    values[0] = 60_000

    window = Window.of(stack(values), "MR")

    assert 90 < window.low < 130
    assert 350 < window.high < 450


def test_positron_emission_is_black_on_white_from_zero() -> None:
    window = Window.of(stack(np.linspace(0, 4000, 25_600), slope=0.5), "PT")

    assert (window.low, window.inverse) == (0, True)
    assert 1800 < window.high <= 2000
    assert window.grey(np.array([0, 5000], np.float32)).tolist() == [255, 0]


def test_images_that_are_all_the_same_are_shown() -> None:
    assert Window.of(stack(np.zeros(25_600)), "MR").high > 0


@pytest.mark.parametrize(("values", "grey"), [([-500, 40, 900], [0, 127, 255])])
def test_values_become_grey(values: list[float], grey: list[int]) -> None:
    window = Window(-160, 240)

    assert window.grey(np.array(values, np.float32)).tolist() == grey
    assert window.inverted().grey(np.array(values, np.float32)).tolist() == [255 - g for g in grey]


def test_the_first_window_to_choose_from_is_the_usual_one() -> None:
    ct, pt = Window(-160, 240), Window(0, 1000, inverse=True)

    assert next(iter(ct.presets("CT").items())) == ("soft tissue", ct)
    assert ct.presets("CT")["lung"] == ct.for_structure("Lung_L", "CT")
    assert pt.presets("PT")["hot"] == Window(0, 500, inverse=True)
    assert [one.low for one in Window(50, 450).presets("MR").values()] == [50, 50, 50]
