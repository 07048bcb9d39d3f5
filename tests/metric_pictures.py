"""Draw the pictures of the pages about metrics: python -m tests.metric_pictures [FOLDER]

Each shows the example of the pages, a cylinder of 20 mm radius and the same 5 mm farther left, in
one slice or from the side. Shapes and figures are computed by drawcli, not drawn by hand.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from drawcli.core.rtstruct.outline_shapes import polygons_in
from tests.core.qa.example import MOVED_MM, RADIUS_MM, SLICES, STEP_MM, TAU_MM, compared

FOLDER: Final = Path(__file__).parents[1] / "docs" / "pictures" / "metrics"
SCALE: Final = 5.0  # units a millimetre
LEFT, TOP, RIGHT, BOTTOM = -27.0, -27.0, 50.0, 27.0  # mm
STYLE: Final = (
    "text{font:13px sans-serif;fill:#222}path{fill:none;stroke-width:2}"
    ".a{stroke:#1c6fa8}.b{stroke:#c26a00}.a-fill{fill:#1c6fa8;fill-opacity:.35}"
    ".b-fill{fill:#c26a00;fill-opacity:.35}.both{fill:#5a9e4b;fill-opacity:.45}"
    ".band{fill:#1c6fa8;fill-opacity:.12}.far{stroke:#c22;stroke-width:5}"
    ".near{stroke:#5a9e4b;stroke-width:5}.line{stroke:#222;stroke-width:1}"
    ".name-a{fill:#1c6fa8}.name-b{fill:#c26a00}"
)
A: Final = shapely.Point(0, 0).buffer(RADIUS_MM, quad_segs=32)
B: Final = shapely.Point(MOVED_MM, 0).buffer(RADIUS_MM, quad_segs=32)


def path(shape: BaseGeometry, kind: str) -> str:
    """Return an area or a line as a path."""
    rings = [
        ring.coords
        for polygon in polygons_in(shape)
        for ring in (polygon.exterior, *polygon.interiors)
    ]
    lines = shapely.get_parts(shapely.line_merge(shape)) if "Lin" in shape.geom_type else ()
    parts = [*rings, *(line.coords for line in lines)]
    steps = " ".join("M" + " L".join(place(x, y) for x, y, *_ in part) for part in parts)
    return f'<path class="{kind}" fill-rule="evenodd" d="{steps}"/>'


def place(x: float, y: float) -> str:
    """Return a point of the picture."""
    return f"{(x - LEFT) * SCALE:.1f},{(y - TOP) * SCALE:.1f}"


def line(begin: tuple[float, float], end: tuple[float, float], kind: str = "line") -> str:
    """Return a straight line."""
    return path(shapely.LineString([begin, end]), kind)


def words(x: float, y: float, text: str, kind: str = "") -> str:
    """Return text at a place."""
    across, down = place(x, y).split(",")
    return f'<text class="{kind}" x="{across}" y="{down}">{text}</text>'


def outlines() -> Iterator[str]:
    """Yield both contours and their names."""
    yield path(A.exterior, "a")
    yield path(B.exterior, "b")
    yield words(-26, -20, "A", "name-a")
    yield words(23, -20, "B", "name-b")


def volume() -> Iterator[str]:
    """From the side: each slice a slab."""
    for number in range(SLICES + 1):
        low = 16 - STEP_MM * (number + 0.5)
        for left, kind in ((-RADIUS_MM, "a"), (MOVED_MM - RADIUS_MM, "b")):
            if kind == "b" or number < SLICES:
                slab = shapely.box(left, low, left + 2 * RADIUS_MM, low + STEP_MM)
                yield path(slab, f"{kind} {kind}-fill")
    found = compared()
    yield words(-20, 23, f"A {found.volume_a_cm3:.1f} cm³", "name-a")
    yield words(6, 23, f"B {found.volume_b_cm3:.1f} cm³", "name-b")
    yield words(27, -10, "slabs of 3 mm")


def dice() -> Iterator[str]:
    """The common area."""
    yield path(A.intersection(B), "both")
    yield from outlines()
    yield words(-10, 1, f"common; Dice {compared().dice:.3f}")


def surface_dice() -> Iterator[str]:
    """Each contour, near to and far from the other."""
    yield from outlines()
    for one, other in ((A, B), (B, A)):
        close = other.exterior.buffer(TAU_MM, quad_segs=32)
        yield path(one.exterior.intersection(close), "near")
        yield path(one.exterior.difference(close), "far")
    yield words(-13, 1, f"within 3 mm: {compared().surface_dice:.3f}")
    yield words(27, 1, "farther")


def hausdorff() -> Iterator[str]:
    """The farthest point."""
    yield from outlines()
    yield line((RADIUS_MM, 0), (MOVED_MM + RADIUS_MM, 0), "far")
    found = compared()
    yield words(-12, 1, f"HD {found.hd_mm:.2f}, HD95 {found.hd95_mm:.2f} mm")
    yield words(27, 1, "5 mm in the slice")


def mean_distance() -> Iterator[str]:
    """The way from many points of B to A."""
    for angle in np.linspace(0, 2 * np.pi, 48, endpoint=False):
        begin = MOVED_MM + RADIUS_MM * np.cos(angle), RADIUS_MM * np.sin(angle)
        away = np.hypot(*begin)
        yield line(begin, (begin[0] * RADIUS_MM / away, begin[1] * RADIUS_MM / away))
    yield from outlines()
    yield words(-8, 1, f"mean {compared().mean_distance_mm:.2f} mm")


def added_path_length() -> Iterator[str]:
    """What of B is farther from A than the tolerance."""
    band = A.exterior.buffer(TAU_MM, quad_segs=32)
    yield path(band, "band")
    yield from outlines()
    yield path(B.exterior.difference(band), "far")
    yield words(-14, 1, f"added in all slices: {compared().apl_mm:.0f} mm")
    yield words(27, 1, "B beyond 3 mm")


def shift() -> Iterator[str]:
    """The centroids."""
    yield from outlines()
    yield line((0, 0), (MOVED_MM, 0), "far")
    left, posterior, superior = (round(mm, 1) + 0.0 for mm in compared().shift_mm or ())
    yield words(-14, -6, f"left {left:.1f}, posterior {posterior:.1f},")
    yield words(-14, -2.5, f"superior {superior:.1f} mm")


def over_under() -> Iterator[str]:
    """What only one of both has."""
    yield path(A.difference(B), "a-fill")
    yield path(B.difference(A), "b-fill")
    yield from outlines()
    found = compared()
    yield words(-14, 1, f"over {found.over_cm3:.2f} cm³", "name-a")
    yield words(-14, 6, f"under {found.under_cm3:.2f} cm³", "name-b")


PICTURES: Final[dict[str, Callable[[], Iterator[str]]]] = {
    "volume": volume,
    "dice": dice,
    "surface-dice": surface_dice,
    "hausdorff": hausdorff,
    "mean-distance": mean_distance,
    "added-path-length": added_path_length,
    "shift": shift,
    "over-under": over_under,
}


def drawn(name: str) -> str:
    """Return a picture as SVG."""
    width, height = (RIGHT - LEFT) * SCALE, (BOTTOM - TOP) * SCALE
    about = (PICTURES[name].__doc__ or "").strip()
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img">'
    ground = f'<rect width="{width:g}" height="{height:g}" fill="#fff"/>'
    parts = [head, f"<title>{about}</title>", f"<style>{STYLE}</style>", ground]
    return "\n".join([*parts, *PICTURES[name](), "</svg>", ""])


def main(folder: Path) -> None:
    """Draw all pictures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in PICTURES:
        (folder / f"{name}.svg").write_text(drawn(name), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
