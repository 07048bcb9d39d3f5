"""Images and structures together: what there is to see, and where to look for it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

from drawcli.core.pictures.frame import Plane
from drawcli.core.pictures.outlines import CutLine, Outlines
from drawcli.core.pictures.stack import Stack
from drawcli.core.pictures.windows import Window

_LEAST_SHOWN_MM: Final = 120.0  # around a structure: less, and nobody knows where in the body it is
_ROOM: Final = 1.5  # times the size of a structure
_ROOM_MM: Final = 30.0


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
        """Return the least square around it."""
        half = max(self.size) / 2
        x, y = (self.left + self.right) / 2, (self.top + self.bottom) / 2
        return Region(x - half, y - half, x + half, y + half)


@dataclass(frozen=True, eq=False)
class Scene:
    """What pictures are made of."""

    stack: Stack
    structures: Sequence[Outlines]
    modality: str
    window: Window

    @cached_property
    def drawn(self) -> list[Outlines]:
        """The structures that have contours, the largest first: the small are drawn over them."""
        some = [one for one in self.structures if one.polygons]
        return sorted(some, key=self.volume_cm3, reverse=True)

    def volume_cm3(self, structure: Outlines) -> float:
        """Return the volume of a structure: areas, times the part of the patient of each slice."""
        return self._volumes[structure.number]

    @cached_property
    def _volumes(self) -> dict[int, float]:
        return {one.number: one.volume_cm3(self._thickness) for one in self.structures}

    def _thickness(self, level: float) -> float:
        low, high = self.stack.slab(self.stack.nearest(self._across, level))
        return high - low

    @cached_property
    def _across(self) -> Plane:
        return next(plane for plane in Plane if plane.normal == self.stack.across)

    def best_picture(self, plane: Plane, structure: Outlines | None = None) -> int:
        """Return the picture of a plane that shows a structure well; of None, most of them."""
        stack = self.stack
        if structure is not None and structure.polygons:
            return stack.nearest(plane, structure.best_position(plane))
        if structure is None and self.drawn:
            middles = sorted(float(one.middle[plane.normal]) for one in self.drawn)
            return stack.nearest(plane, middles[len(middles) // 2])
        return len(stack.positions(plane)) // 2

    def whole_region(self, plane: Plane) -> Region:
        """Return all that the images show in a plane."""
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
        """Yield the planes, and a square around a structure, of one size in each."""
        low, high = structure.box
        size = float((high - low).max()) * _ROOM + _ROOM_MM
        largest = max(max(self.whole_region(plane).size) for plane in Plane)
        half = min(max(size, _LEAST_SHOWN_MM), largest) / 2
        middle = (low + high) / 2
        for plane in Plane:
            (right, one), (down, other) = plane.right, plane.down
            x, y = float(middle[right]) * one, float(middle[down]) * other
            yield plane, Region(x - half, y - half, x + half, y + half)

    def outlines(self, plane: Plane, index: int) -> Iterator[tuple[Outlines, list[CutLine]]]:
        """Yield the structures that a picture cuts, and their outlines in it."""
        stack = self.stack
        position = float(stack.positions(plane)[index])
        slab = stack.slab(index) if plane is self._across else (position, position)
        for structure in self.drawn:
            lines = structure.lines(plane, position, slab, stack.gap)
            if lines:
                yield structure, lines
