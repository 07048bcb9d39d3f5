"""The same figures by independent packages, where they are installed: `pip install` them to run it.

Bounds: those packages see voxels, so a distance may differ by the diagonal of a voxel.
"""

from typing import Any

import numpy as np
import pytest

from drawcli.core.qa.comparison import CompareOptions, compare_structure_sets
from tests.core.qa.solids import ball, levels, round_solid

VOXEL = 1.0  # mm, in each direction


def _mask(radius: float, centre: float) -> Any:
    axis = np.arange(-35, 36, VOXEL)
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    return (x - centre) ** 2 + y**2 + z**2 <= radius**2


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the peer
@pytest.mark.parametrize(("radius", "shift"), [(22.0, 0.0), (20.0, 3.0), (24.0, 2.0)])
def test_surface_distance_agrees_within_a_voxel(radius: float, shift: float) -> None:
    peer = pytest.importorskip("surface_distance")
    (found,) = compare_structure_sets(
        [round_solid("B", ball(20), levels(1.0))],
        [round_solid("B", ball(radius), levels(1.0), centre=(shift, 0.0, 0.0))],
        CompareOptions(tau_mm=2.0),
    ).structures

    distances = peer.compute_surface_distances(_mask(20, 0), _mask(radius, shift), [VOXEL] * 3)
    dice = peer.compute_dice_coefficient(_mask(20, 0), _mask(radius, shift))
    mean = np.mean(peer.compute_average_surface_distance(distances))

    assert found.dice == pytest.approx(dice, abs=0.005)
    assert found.hd95_mm == pytest.approx(peer.compute_robust_hausdorff(distances, 95), abs=1.0)
    assert found.hd_mm == pytest.approx(peer.compute_robust_hausdorff(distances, 100), abs=1.0)
    assert found.mean_distance_mm == pytest.approx(mean, abs=0.5)
