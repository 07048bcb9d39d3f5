"""A toy segmenter: it draws outline, bone and lungs from the pixels, and invents the rest.

Its contours are on the right slices, on the right side and inside the body. It knows no anatomy;
see `organ_places`.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from drawcli.sandbox.segmentation.organ_places import (
    OrganPlace,
    grown_mm_of,
    kind_of,
    place_of,
    side_of,
)
from drawcli.sandbox.segmentation.polygons import Polygon, cut, polygons, thinned, within
from drawcli.sandbox.segmentation.volume import Floats, PhantomSlice

_BODY_HU: Final = -300.0
_BONE_HU: Final = 220.0
_MIN_BODY_MM2: Final = 400.0
_MIN_LUNG_MM2: Final = 1500.0  # larger than a sinus, or a gas bubble of the bowel
_MIN_BONE_MM2: Final = 25.0
_MIN_SEMI_MM: Final = 1.0
_AROUND: Final = 0.02  # tolerance of a level, of half the length of the scan
_SECOND_BODY: Final = 0.3  # of the largest outline: a second leg, but not the couch


@dataclass(frozen=True, slots=True, eq=False)
class DrawnContour:
    """A closed polygon on one slice; the last point is joined to the first."""

    slice_index: int
    points: Floats  # n x 3, mm, LPS


class Segmenter:
    """Draws structures into a volume; outlines are computed once.

    Parameters
    ----------
    slices
        The volume.
    version
        Of the models: from the second on, organs of `organ_places.GROWN_MM` are larger.
    """

    def __init__(self, slices: list[PhantomSlice], version: int = 1) -> None:
        self._version = version
        self._slices = slices
        body, self._bone_level = _levels(slices)
        self._lines = [polygons(each.values(), body, each) for each in slices]
        self._bodies = [_outlines(lines) for lines in self._lines]
        self._skin = _points_mm(slices, self._bodies)

    def contours(self, name: str) -> list[DrawnContour]:
        """Return the contours of a structure, slice by slice; [] outside the scan."""
        kind = kind_of(name)
        if kind == "body":
            contours = self._bodies
        elif kind == "lung":
            contours = [self._lungs(index, name) for index in range(len(self._slices))]
        elif kind == "bone":
            contours = [self._bones(index) for index in range(len(self._slices))]
        else:
            grown_mm = grown_mm_of(name) if self._version > 1 else 0.0
            contours = self._placed(place_of(name), grown_mm)
        return [
            DrawnContour(index, each.to_mm(thinned(line.points)))
            for index, (each, lines) in enumerate(zip(self._slices, contours, strict=True))
            for line in lines
        ]

    def _lungs(self, index: int, name: str) -> list[Polygon]:
        """Return the large holes of the body, on the side of the name if it has one."""
        bodies = self._bodies[index]
        lungs = [
            line
            for line in self._lines[index]
            if -line.area_mm2 > _MIN_LUNG_MM2 and any(within(line, body) for body in bodies)
        ]
        side = side_of(name)
        if side == "both" or not lungs:
            return lungs
        middle = _middle_mm(self._skin)[0]
        sign = 1 if side == "left" else -1
        return [
            line
            for line in lungs
            if sign * (_middle_mm(self._slices[index].to_mm(line.points))[0] - middle) > 0
        ]

    def _bones(self, index: int) -> list[Polygon]:
        """Return the outlines of bone, and of the marrow spaces in it."""
        bodies = self._bodies[index]
        if not bodies:
            return []
        each = self._slices[index]
        return [
            line
            for line in polygons(each.values(), self._bone_level, each)
            if abs(line.area_mm2) > _MIN_BONE_MM2 and any(within(line, body) for body in bodies)
        ]

    def _placed(self, place: OrganPlace, grown_mm: float = 0.0) -> list[list[Polygon]]:
        """Return the contours of an ellipsoid in the body, by slice, grown on all sides."""
        contours: list[list[Polygon]] = [[] for _ in self._slices]
        ellipsoid = self._ellipsoid_mm(place)
        if ellipsoid is None:
            return contours
        for index, (each, bodies) in enumerate(zip(self._slices, self._bodies, strict=True)):
            if bodies:
                centre, semi = ellipsoid
                largest = _largest(cut(each, centre, semi + grown_mm))
                contours[index] = [line for line in largest if within(line, bodies[0])]
        return contours

    def _ellipsoid_mm(self, place: OrganPlace) -> tuple[Floats, Floats] | None:
        """Return centre and semi-axes of a place in this volume, mm; None without a body."""
        if not len(self._skin):
            return None
        half_length = np.ptp(self._skin[:, 2]) / 2
        z = _middle_mm(self._skin)[2] + place.centre[2] * half_length
        height = np.abs(self._skin[:, 2] - z)
        around = self._skin[height <= height.min() + _AROUND * half_length]
        half = np.ptp(around, axis=0) / 2
        half[2] = half_length
        centre = _middle_mm(around) + np.array(place.centre) * half
        centre[2] = z
        return centre, np.maximum(np.array(place.semi) * half, _MIN_SEMI_MM)


def _points_mm(slices: list[PhantomSlice], bodies: list[list[Polygon]]) -> Floats:
    """Return points of all outlines of the body (n x 3), mm."""
    points = [
        each.to_mm(thinned(line.points))
        for each, lines in zip(slices, bodies, strict=True)
        for line in lines
    ]
    return np.vstack(points) if points else np.empty((0, 3))


def _middle_mm(points: Floats) -> Floats:
    """Return the centre of the bounding box of points."""
    return np.asarray((points.min(axis=0) + points.max(axis=0)) / 2)


def _levels(slices: list[PhantomSlice]) -> tuple[float, float]:
    """Return the thresholds of body and bone."""
    if slices[0].header.get("Modality") == "CT":
        return _BODY_HU, _BONE_HU
    sample = np.concatenate([each.values()[::4, ::4].ravel() for each in slices[::4]])
    bright = float(np.percentile(sample, 99))
    return 0.15 * bright, 0.9 * bright


def _outlines(lines: list[Polygon]) -> list[Polygon]:
    """Return the outer contours of the body, largest first."""
    outer = sorted((line for line in lines if line.area_mm2 > 0), key=lambda line: -line.area_mm2)
    if not outer or outer[0].area_mm2 < _MIN_BODY_MM2:
        return []
    return [line for line in outer if line.area_mm2 > _SECOND_BODY * outer[0].area_mm2]


def _largest(lines: list[Polygon]) -> list[Polygon]:
    return [max(lines, key=lambda line: line.area_mm2)] if lines else []
