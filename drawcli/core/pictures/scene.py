"""Images and structures of a preview: regions, positions and outlines of its pictures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

from drawcli.core.pictures.frame import Plane
from drawcli.core.pictures.outlines import CutLine, Outlines
from drawcli.core.pictures.stack import Stack
from drawcli.core.pictures.windows import Window

_LEAST_SHOWN_MM: Final = (
    120.0  # around a structure: smaller regions do not show where it is in the body
)
_MARGIN: Final = 1.5  # times the size of a structure
_MARGIN_MM: Final = 30.0


class Region(NamedTuple):
    """A part of a plane, mm: to the right and down."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def size(self) -> tuple[float, float]:
        """Width and height, mm."""
        return self.right - self.left, self.bottom - self.top

    def squared(self) -> "Region":
        """Return the smallest square around it."""
        half = max(self.size) / 2
        x, y = (self.left + self.right) / 2, (self.top + self.bottom) / 2
        return Region(x - half, y - half, x + half, y + half)


@dataclass(frozen=True, eq=False)
class Scene:
    """The images and structures of a preview."""

    stack: Stack
    structures: Sequence[Outlines]
    modality: str
    window: Window

    @cached_property
    def drawn(self) -> list[Outlines]:
        """The structures with contours, the largest first: small ones are drawn on top."""
        contoured = [structure for structure in self.structures if structure.polygons]
        return sorted(contoured, key=self.volume_cm3, reverse=True)

    def volume_cm3(self, structure: Outlines) -> float:
        """Return the volume of a structure: areas times the thickness of each slice."""
        return self._volumes[structure.number]

    @cached_property
    def _volumes(self) -> dict[int, float]:
        return {roi.number: roi.volume_cm3(self._thickness) for roi in self.structures}

    def _thickness(self, level: float) -> float:
        low, high = self.stack.slab(self.stack.nearest(self._across, level))
        return high - low

    @cached_property
    def _across(self) -> Plane:
        return next(plane for plane in Plane if plane.normal == self.stack.across)

    def best_picture(self, plane: Plane, structure: Outlines | None = None) -> int:
        """Return the index of the picture that shows a structure (None: all) best."""
        stack = self.stack
        if structure is not None and structure.polygons:
            return stack.nearest(plane, structure.best_position(plane))
        if structure is None and self.drawn:
            middles = sorted(float(roi.middle[plane.normal]) for roi in self.drawn)
            return stack.nearest(plane, middles[len(middles) // 2])
        return len(stack.positions(plane)) // 2

    def whole_region(self, plane: Plane) -> Region:
        """Return the region that the images cover in a plane."""
        edges = [self._along(axis, sign) for axis, sign in (plane.right, plane.down)]
        (left, right), (top, bottom) = edges
        return Region(left, top, right, bottom)

    def _along(self, axis: int, sign: int) -> tuple[float, float]:
        low, high = self.stack.extent(axis)
        half = self.stack.gap / 2
        if axis != self.stack.across:
            half = self.stack.steps[self.stack.along.index(axis)] / 2
        low, high = low - half, high + half
        return (low, high) if sign > 0 else (-high, -low)

    def regions_around(self, structure: Outlines) -> Iterator[tuple[Plane, Region]]:
        """Yield each plane with a square around a structure, of equal size."""
        low, high = structure.box
        size = float((high - low).max()) * _MARGIN + _MARGIN_MM
        largest = max(max(self.whole_region(plane).size) for plane in Plane)
        half = min(max(size, _LEAST_SHOWN_MM), largest) / 2
        middle = (low + high) / 2
        for plane in Plane:
            (right, right_sign), (down, down_sign) = plane.right, plane.down
            x, y = float(middle[right]) * right_sign, float(middle[down]) * down_sign
            yield plane, Region(x - half, y - half, x + half, y + half)

    def outlines(self, plane: Plane, index: int) -> Iterator[tuple[Outlines, list[CutLine]]]:
        """Yield the structures in a picture and their outlines."""
        stack = self.stack
        position = float(stack.positions(plane)[index])
        slab = stack.slab(index) if plane is self._across else (position, position)
        for structure in self.drawn:
            lines = structure.lines(plane, position, slab, stack.gap)
            if lines:
                yield structure, lines
