"""The way from mm of the patient to the planes of pictures.

A frame is the patient's coordinates turned by the least angle that makes the slices straight: for
usual slices not at all. Its axes point to the left, the back and the head, or nearly so.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import permutations
from typing import Final, Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_SAID: Final = 0.3  # of a direction: what is less is not worth a letter
_STRAIGHT: Final = 0.9999  # cosine of an angle below one degree


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """The turned coordinates of a series.

    Image axes are 0 along a row of pixels, 1 along a column, 2 across the slices.
    """

    axes: Floats  # 3 x 3: unit vectors to the left, the back and the head, in LPS
    images: tuple[int, int, int]  # the image axis that each of them is
    signs: tuple[int, int, int]  # whether it grows in the same direction

    @classmethod
    def of(cls, orientation: Sequence[float]) -> Self:
        """Return the frame of slices by *Image Orientation (Patient)* (0020,0037).

        >>> Frame.of((1, 0, 0, 0, 0, -1)).images  # coronal slices: rows to the left, then down
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

    @property
    def is_straight(self) -> bool:
        """Whether coordinates of the frame are those of the patient."""
        return bool(np.trace(self.axes) > 3 * _STRAIGHT)

    def inside(self, points: npt.ArrayLike) -> Floats:
        """Return points of the patient (n x 3, mm, LPS) in the frame."""
        return np.asarray(points, float) @ self.axes.T

    def outside(self, points: npt.ArrayLike) -> Floats:
        """Return points of the frame as mm of the patient."""
        return np.asarray(points, float) @ self.axes

    def letters(self, axis: int, sign: int) -> str:
        """Return where a direction points: one letter, more where it is oblique.

        L and R, P and A, H and F (PS3.3 C.7.6.1.1.1), the nearest first.
        """
        direction = self.axes[axis] * sign
        order = np.argsort(-np.abs(direction))
        said = [index for index in order if abs(direction[index]) > _SAID]
        return "".join(("LPH" if direction[index] > 0 else "RAF")[index] for index in said)


class Plane(StrEnum):
    """How a picture cuts through the patient."""

    AXIAL = "axial"
    CORONAL = "coronal"
    SAGITTAL = "sagittal"

    @property
    def normal(self) -> int:
        """The axis of the frame that the plane stands on: 0 to the left, 1 back, 2 head."""
        return {Plane.SAGITTAL: 0, Plane.CORONAL: 1, Plane.AXIAL: 2}[self]

    @property
    def right(self) -> tuple[int, int]:
        """The axis that grows to the right of the picture, and its sign."""
        return (1, 1) if self is Plane.SAGITTAL else (0, 1)

    @property
    def down(self) -> tuple[int, int]:
        """The axis that grows to the bottom of the picture, and its sign."""
        return (1, 1) if self is Plane.AXIAL else (2, -1)
