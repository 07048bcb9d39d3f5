"""The structures of an RTSTRUCT as slabs: an area and a range along the normal for each slice.

A structure set is read as the acceptance gate reads it: outlines inside outlines are holes, partly
overlapping ones are united. No image is needed: normal and slices are those of the contours.
"""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from shapely.errors import GEOSException
from shapely.geometry.base import BaseGeometry

from drawcli.core.dicom import tags
from drawcli.core.dicom.elements import item_value
from drawcli.core.dicom.geometry import halves, usual_step
from drawcli.core.dicom.header import Header, NotDicom, ascii_text
from drawcli.core.gate.acceptance import FileContour
from drawcli.core.qa.axes import FARTHEST_MM, Axes, Floats
from drawcli.core.rtstruct.contour_table import CLOSED_KINDS, FEWEST_POINTS
from drawcli.core.rtstruct.contours import contours_of, items_of, names_of, unreadable
from drawcli.core.rtstruct.enclosed_area import find_enclosed
from drawcli.core.rtstruct.outline_shapes import TooComplex
from drawcli.core.series.slice_grid import Grid

SAME_LEVEL_MM: Final = 0.2  # smaller distances between planes are rounding
_FLAT_MM: Final = 0.5  # allowed extent of a contour along the normal
_LARGE_GAP: Final = 1.5  # times the slice distance: the structure ends before a larger gap
_COARSEST: Final = 3.5  # times the slice distance of the file: fewer contours are separate parts
_LARGEST_MM: Final = 5000.0
_ON_SLICE_MM: Final = 0.2  # farther from every slice, a contour belongs to other images
_POINTS: Final = 4  # of a contour that are checked for that
_NOT_FLAT: Final = "a contour is not in the plane of the others"
_TANGLED: Final = "the contours are so entangled that they enclose no area"
_BAD_VALUES: Final = "a contour has values that are not coordinates"
_TOO_LARGE: Final = f"the contours extend over more than {_LARGEST_MM / 1000:g} m"
_NO_AREA: Final = "the contours enclose no area"
_NO_AREA_KIND: Final = "points and open lines are left out"


@dataclass(slots=True)
class RoiContours:
    """One ROI as in the file."""

    number: int  # ROINumber
    name: str  # ROIName
    frame: str  # ReferencedFrameOfReferenceUID
    contours: list[Floats] = field(default_factory=list)  # n x 3, mm, LPS; the closed ones
    fault: str = ""  # why it cannot be compared
    note: str = ""  # what of it is not compared


class Slab(NamedTuple):
    """The part of a structure that one slice represents."""

    level: float  # of the contours, along the normal, mm
    low: float  # half way to the slice below, mm
    high: float
    area: BaseGeometry  # mm, along the axes of the plane


@dataclass(frozen=True, slots=True)
class Solid:
    """One structure as slabs, the lowest first; none without contours."""

    name: str
    slabs: tuple[Slab, ...]
    fault: str = ""  # why it cannot be compared
    note: str = ""  # what of it is not compared
    frame: str = ""  # of reference

    @property
    def volume_mm3(self) -> float:
        """The sum of area times thickness."""
        return sum(slab.area.area * (slab.high - slab.low) for slab in self.slabs)

    @property
    def centroid(self) -> Floats:
        """The centre of volume along the axes, mm."""
        parts = [
            (
                slab.area.area * (slab.high - slab.low),
                slab.area.centroid,
                (slab.low + slab.high) / 2,
            )
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
        if roi is not None:
            _take(contour, roi)
    return list(rois.values())


def _take(contour: FileContour, roi: RoiContours) -> None:
    if contour.kind not in CLOSED_KINDS:
        roi.note = _NO_AREA_KIND
        return
    points = contour.points()
    if points is None:
        roi.fault = _BAD_VALUES
    elif len(points) >= FEWEST_POINTS:
        roi.contours.append(np.array(points))
    else:
        roi.note = _NO_AREA_KIND


def lie_on_slices(contours: Iterable[FileContour], grid: Grid) -> bool:
    """Return whether there are closed contours, and all lie on the slices of a series."""
    count = 0
    for contour in contours:
        points = contour.points() if contour.kind in CLOSED_KINDS else ()
        for point in (points or ())[:: max(1, len(points or ()) // _POINTS)]:
            offset = grid.offset(point)
            if abs(offset - grid.offsets[grid.nearest(offset)]) > _ON_SLICE_MM:
                return False
            count += 1
    return count > 0


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


class FlatContours(NamedTuple):
    """The contours of an ROI along the axes of the slices."""

    roi: RoiContours
    points: list[Floats]  # of each contour n x 3, mm
    fault: str


def flattened(rois: Sequence[RoiContours], axes: Axes) -> list[FlatContours]:
    """Return the contours of each ROI of a file along the axes; none where they have a fault."""
    found = []
    for roi in rois:
        own = [one for one in roi.contours if len(one) >= FEWEST_POINTS]
        bad = any(not (np.abs(one) < FARTHEST_MM).all() for one in own)
        points = [] if roi.fault or bad else [axes.from_patient(one) for one in own]
        fault = roi.fault or (_BAD_VALUES if bad else _fault(points))
        found.append(FlatContours(roi, [] if fault else points, fault))
    return found


def _fault(outlines: Sequence[Floats]) -> str:
    """Return why contours cannot be compared."""
    if not outlines:
        return ""
    low = np.array([points.min(axis=0) for points in outlines])
    high = np.array([points.max(axis=0) for points in outlines])
    if (high[:, 2] - low[:, 2]).max() > _FLAT_MM:
        return _NOT_FLAT
    return _TOO_LARGE if (high.max(axis=0) - low.min(axis=0)).max() > _LARGEST_MM else ""


def slice_step(outlines: Iterable[FlatContours]) -> float:
    """Return the usual distance of slices with contours in a file, mm; 0 for one slice."""
    levels = [float(points[:, 2].mean()) for one in outlines for points in one.points]
    return usual_step(_distinct(sorted(levels)))


def solids_of(outlines: Iterable[FlatContours], usual: float) -> Iterator[Solid]:
    """Yield the solid of each ROI of one file.

    The thickness of a slice reaches half way to its neighbours that have contours, and half the
    usual distance beyond the ends and before gaps.

    Parameters
    ----------
    outlines
        See `flattened`.
    usual
        Distance of slices, mm; see `slice_step`.
    """
    for roi, points, fault in outlines:
        try:
            slabs = tuple(_slabs(points, usual))
        except (TooComplex, GEOSException):
            yield Solid(roi.name, (), _TANGLED, frame=roi.frame)
            continue
        note = _NO_AREA if points and not slabs else roi.note
        yield Solid(roi.name, slabs, fault, note, roi.frame)


def _slabs(outlines: Sequence[Floats], usual: float) -> Iterator[Slab]:
    levels = [float(points[:, 2].mean()) for points in outlines]
    at = _distinct(sorted(levels))
    together: dict[float, list[list[tuple[float, float]]]] = defaultdict(list)
    for points, mean in zip(outlines, levels, strict=True):
        level = at[bisect_right(at, mean + 1e-9) - 1]
        together[level].append(list(map(tuple, points[:, :2].tolist())))
    areas = {level: find_enclosed(together[level]).area for level in at}
    at = [level for level in at if areas[level].area > 0]
    own = usual_step(at)  # smaller than usual: contours between slices; much larger: parts
    step = max(own, usual) if own <= _COARSEST * usual else usual
    step = step or 1.0
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
