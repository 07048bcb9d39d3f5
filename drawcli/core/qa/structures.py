"""The structures of an RTSTRUCT as slabs: an area and a range along the normal for each slice.

A structure set is read as the acceptance gate reads it: outlines inside outlines are holes, partly
overlapping ones are united. No image is needed: normal and slices are those of the contours.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from shapely.geometry.base import BaseGeometry

from drawcli.core.dicom import tags
from drawcli.core.dicom.elements import item_value
from drawcli.core.dicom.geometry import halves, usual_step
from drawcli.core.dicom.header import Header, NotDicom, ascii_text
from drawcli.core.rtstruct.contour_table import CLOSED_KINDS, FEWEST_POINTS
from drawcli.core.rtstruct.contours import contours_of, items_of, names_of, unreadable
from drawcli.core.rtstruct.enclosed_area import TooComplex, find_enclosed

Floats = npt.NDArray[np.float64]

SAME_LEVEL_MM: Final = 0.2  # smaller distances between planes are rounding
_FLAT_MM: Final = 0.5  # allowed extent of a contour along the normal
_LARGE_GAP: Final = 1.5  # times the slice distance: the structure ends before a larger gap
_COARSEST: Final = 3.5  # times the slice distance of the file: fewer contours are separate parts
_NOT_FLAT: Final = "a contour is not in the plane of the others"
_TANGLED: Final = "the contours are so entangled that they enclose no area"
_BAD_VALUES: Final = "a contour has values that are not coordinates"


def dot(one: Floats, other: Floats) -> Floats:
    """Return the scalar products of vectors, along the last axis."""
    return np.asarray(np.einsum("...i,...i->...", one, other))


@dataclass(slots=True)
class RoiContours:
    """One ROI as in the file."""

    number: int  # ROINumber
    name: str  # ROIName
    frame: str  # ReferencedFrameOfReferenceUID
    contours: list[Floats] = field(default_factory=list)  # n x 3, mm, LPS; the closed ones
    fault: str = ""  # why it cannot be compared


class Slab(NamedTuple):
    """The part of a structure that one slice represents."""

    level: float  # of the contours, along the normal, mm
    low: float  # half way to the slice below, mm
    high: float
    area: BaseGeometry  # mm, along the axes of the plane


@dataclass(frozen=True, slots=True)
class Axes:
    """The axes of the slices in the patient (LPS): two in the plane, and the normal."""

    matrix: Floats  # 3 x 3, one unit vector a row

    @classmethod
    def of(cls, contours: Iterable[Floats]) -> "Axes":
        """Return the axes for contours: their normals are averaged, weighted by area."""
        total = np.zeros(3)
        for points in contours:
            own = points - points[0]
            normal = np.cross(own, np.roll(own, -1, axis=0)).sum(axis=0)
            total += normal if total @ normal >= 0 else -normal
        size = float(np.linalg.norm(total))
        normal = total / size if size else np.array([0.0, 0.0, 1.0])
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


@dataclass(frozen=True, slots=True)
class Solid:
    """One structure as slabs, the lowest first; none without contours."""

    name: str
    slabs: tuple[Slab, ...]
    fault: str = ""

    @property
    def volume_mm3(self) -> float:
        """The sum of area times thickness."""
        return sum(slab.area.area * (slab.high - slab.low) for slab in self.slabs)

    @property
    def centroid(self) -> Floats:
        """The centre of volume along the axes, mm."""
        parts = [
            (slab.area.area * (slab.high - slab.low), slab.area.centroid, slab.level)
            for slab in self.slabs
        ]
        total = sum(volume for volume, _, _ in parts)
        middles = np.array([(volume * c.x, volume * c.y, volume * z) for volume, c, z in parts])
        return np.asarray(middles.sum(axis=0) / total)


def read_rois(header: Header) -> list[RoiContours]:
    """Return the ROIs of an RTSTRUCT in the order of the file.

    Raises
    ------
    BadStructureSet
        If the file cannot be read completely.
    """
    frames = _frames(header)
    rois = {
        number: RoiContours(number, name, frames.get(number, ""))
        for number, name in names_of(header).items()
    }
    for contour in contours_of(header):
        roi = rois.get(contour.roi)
        if roi is None or contour.kind not in CLOSED_KINDS:
            continue
        points = contour.points()
        if points is None:
            roi.fault = _BAD_VALUES
        elif len(points) >= FEWEST_POINTS:
            roi.contours.append(np.array(points))
    return list(rois.values())


def _frames(header: Header) -> dict[int, str]:
    try:
        return {
            int(ascii_text(item_value(header, roi, tags.ROINumber) or b"")): ascii_text(
                item_value(header, roi, tags.ReferencedFrameOfReferenceUID) or b""
            )
            for roi in items_of(header, tags.StructureSetROISequence)
        }
    except (NotDicom, ValueError) as err:
        raise unreadable(err) from None


def solids_of(rois: Sequence[RoiContours], axes: Axes) -> Iterator[Solid]:
    """Yield the solid of each ROI of one file.

    The thickness of a slice reaches half way to its neighbours that have contours, and half the
    usual distance beyond the ends and before gaps.
    """
    flat = [[axes.from_patient(points) for points in roi.contours] for roi in rois]
    levels = np.unique([points[:, 2].mean() for outlines in flat for points in outlines])
    usual = usual_step(_distinct(levels.tolist()))
    for roi, outlines in zip(rois, flat, strict=True):
        try:
            slabs = () if roi.fault else tuple(_slabs(outlines, usual))
            yield Solid(roi.name, slabs, roi.fault)
        except TooComplex:
            yield Solid(roi.name, (), _TANGLED)
        except ValueError:
            yield Solid(roi.name, (), _NOT_FLAT)


def _slabs(outlines: Sequence[Floats], usual: float) -> Iterator[Slab]:
    if any(np.ptp(points[:, 2]) > _FLAT_MM for points in outlines):
        raise ValueError(_NOT_FLAT)
    at = _distinct(sorted(float(points[:, 2].mean()) for points in outlines))
    together: dict[float, list[list[tuple[float, float]]]] = defaultdict(list)
    for points in outlines:
        level = at[int(np.searchsorted(at, points[:, 2].mean() + 1e-9, side="right")) - 1]
        together[level].append(list(map(tuple, points[:, :2].tolist())))
    areas = {level: find_enclosed(together[level]).area for level in at}
    at = [level for level in at if areas[level].area > 0]
    step = usual_step(at) if usual_step(at) <= _COARSEST * usual else usual
    step = step or usual or 1.0
    for index, level in enumerate(at):
        below, above = (
            half if half <= _LARGE_GAP * step / 2 else step / 2 for half in halves(at, index, step)
        )
        yield Slab(level, level - below, level + above, areas[level])


def _distinct(levels: Sequence[float]) -> list[float]:
    """Return ascending levels without those that differ by rounding only."""
    distinct: list[float] = []
    for level in levels:
        if not distinct or level - distinct[-1] > SAME_LEVEL_MM:
            distinct.append(level)
    return distinct
