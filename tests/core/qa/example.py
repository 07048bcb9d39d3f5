"""The example of the pages about metrics: a cylinder, and the same after an edit."""

from functools import cache
from math import pi
from typing import Final

import numpy as np

from drawcli.core.qa.comparison import CompareOptions, compare_structure_sets
from drawcli.core.qa.outcomes import StructureComparison
from drawcli.core.qa.structures import RoiContours
from tests.core.qa.solids import FRAME

RADIUS_MM: Final = 20.0
MOVED_MM: Final = 5.0  # to the left
STEP_MM: Final = 3.0
SLICES: Final = 10
TAU_MM: Final = 3.0


def cylinder(slices: int, left_mm: float) -> RoiContours:
    angles = np.linspace(0, 2 * pi, 720, endpoint=False)
    x, y = left_mm + RADIUS_MM * np.cos(angles), RADIUS_MM * np.sin(angles)
    contours = [
        np.column_stack([x, y, np.full(len(angles), STEP_MM * number)]) for number in range(slices)
    ]
    return RoiContours(1, "Organ", FRAME, contours)


A: Final = cylinder(SLICES, 0.0)
B: Final = cylinder(SLICES + 1, MOVED_MM)


@cache
def compared() -> StructureComparison:
    (found,) = compare_structure_sets([A], [B], CompareOptions(tau_mm=TAU_MM)).structures
    return found
