"""The axes of the slices of structure sets, in any orientation."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from drawcli.core.rtstruct.contour_table import FEWEST_POINTS

Floats = npt.NDArray[np.float64]

FARTHEST_MM: Final = 1e6  # larger values are no coordinates
_PARALLEL: Final = 0.996  # cosine between normals of the same slices: 5 degrees
_TRIES: Final = 32  # normals tried as that of the slices, the largest contours first


def dot(one: Floats, other: Floats) -> Floats:
    """Return the scalar products of vectors, along the last axis."""
    return np.asarray(np.einsum("...i,...i->...", one, other))


@dataclass(frozen=True, slots=True)
class Axes:
    """The axes of the slices in the patient (LPS): two in the plane, and the normal."""

    matrix: Floats  # 3 x 3, one unit vector a row

    @classmethod
    def of(cls, contours: Iterable[Floats]) -> "Axes":
        """Return the axes for contours.

        The normal is that of most of the contours, by area: few in other planes do not tilt it.
        """
        normals = np.array([_area_vector(points) for points in contours if _is_usable(points)])
        normal = _common_direction(normals.reshape(-1, 3))
        normal = normal if normal[np.abs(normal).argmax()] > 0 else -normal
        helper = np.eye(3)[1 if np.abs(normal).argmax() == 0 else 0]
        right = helper - normal * (helper @ normal)
        right /= np.linalg.norm(right)
        return cls(np.stack([right, np.cross(normal, right), normal]))

    def from_patient(self, points: Floats) -> Floats:
        """Return points (n x 3, mm, LPS) along the axes."""
        return points @ self.matrix.T

    def to_patient(self, vector: Floats) -> Floats:
        """Return a vector along the axes in the patient, mm, LPS."""
        return vector @ self.matrix


def _is_usable(points: Floats) -> bool:
    return len(points) >= FEWEST_POINTS and bool((np.abs(points) < FARTHEST_MM).all())


def _area_vector(points: Floats) -> Floats:
    """Return the normal of a contour, of the length of twice its area, mm2."""
    x, y, z = (points - points[0]).T
    return np.array(
        [
            y[:-1] @ z[1:] - z[:-1] @ y[1:],
            z[:-1] @ x[1:] - x[:-1] @ z[1:],
            x[:-1] @ y[1:] - y[:-1] @ x[1:],
        ]
    )


def _common_direction(normals: Floats) -> Floats:
    """Return the unit vector along most of the normals, by length; z if there are none."""
    lengths = np.linalg.norm(normals, axis=1)
    normals, lengths = normals[lengths > 0], lengths[lengths > 0]
    best, most = np.array([0.0, 0.0, 1.0]), 0.0
    left = np.ones(len(normals), bool)
    for _ in range(_TRIES):
        if not left.any():
            break
        largest = np.flatnonzero(left)[lengths[left].argmax()]
        along = normals @ normals[largest] / (lengths * lengths[largest])
        alike = np.abs(along) > _PARALLEL
        left &= ~alike
        if lengths[alike].sum() > most:
            most = float(lengths[alike].sum())
            best = (np.sign(along[alike])[:, None] * normals[alike]).sum(axis=0)
    return np.asarray(best / np.linalg.norm(best))
