"""The transformation from patient coordinates to the planes of pictures.

A frame is the patient's coordinate system rotated by the smallest angle that aligns it with the
slices. Its axes point approximately to the left, the back and the head.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import permutations
from typing import Final, Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_LEAST_SHARE: Final = 0.3  # smaller components of a direction get no letter


@dataclass(frozen=True, slots=True, eq=False)
class CoordinateFrame:
    """The coordinate system of a series.

    Image axes are 0 along a row of pixels, 1 along a column, 2 across the slices.
    """

    axes: Floats  # 3 x 3: unit vectors to the left, the back and the head, in LPS
    images: tuple[int, int, int]  # the image axis of each
    signs: tuple[int, int, int]  # 1 if both have the same direction, else -1

    @classmethod
    def of(cls, orientation: Sequence[float]) -> Self:
        """Return the frame for *Image Orientation (Patient)* (0020,0037).

        >>> CoordinateFrame.of((1, 0, 0, 0, 0, -1)).images  # coronal slices
        (0, 2, 1)
        """
        row, column = np.array(orientation, float).reshape(2, 3)
        row /= np.linalg.norm(row)
        column -= row * (column @ row)
        column /= np.linalg.norm(column)
        directions = np.stack([row, column, np.cross(row, column)])
        best = max(
            permutations(range(3)),
            key=lambda order: sum(abs(directions[order[axis], axis]) for axis in range(3)),
        )
        signs = [1 if directions[best[axis], axis] >= 0 else -1 for axis in range(3)]
        axes = np.stack([directions[best[axis]] * signs[axis] for axis in range(3)])
        return cls(axes, (best[0], best[1], best[2]), (signs[0], signs[1], signs[2]))

    def from_patient(self, points: npt.ArrayLike) -> Floats:
        """Return patient points (n x 3, mm, LPS) in the frame."""
        return np.asarray(points, float) @ self.axes.T

    def letters(self, axis: int, sign: int) -> str:
        """Return the letters of a direction, several if it is oblique, the largest component first.

        L and R, P and A, H and F (PS3.3 C.7.6.1.1.1).
        """
        direction = self.axes[axis] * sign
        order = np.argsort(-np.abs(direction))
        large = [index for index in order if abs(direction[index]) > _LEAST_SHARE]
        return "".join(("LPH" if direction[index] > 0 else "RAF")[index] for index in large)


class Plane(StrEnum):
    """The plane of a picture."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"

    @property
    def normal(self) -> int:
        """The axis of the frame normal to the plane: 0 to the left, 1 back, 2 head."""
        return {Plane.SAGITTAL: 0, Plane.CORONAL: 1, Plane.AXIAL: 2}[self]

    @property
    def right(self) -> tuple[int, int]:
        """The axis to the right of the picture, and its sign."""
        return (1, 1) if self is Plane.SAGITTAL else (0, 1)

    @property
    def down(self) -> tuple[int, int]:
        """The axis to the bottom of the picture, and its sign."""
        return (1, 1) if self is Plane.AXIAL else (2, -1)
