"""The checks of contours: their default severities and the texts of their findings."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from drawcli.core.gate.acceptance import Severity

MARGIN_MM: Final = 5.0  # how far a contour may be outside the image
FEWEST_POINTS: Final = 3
ROUNDING_MM: Final = 0.1  # distances from a plane up to this are rounding errors
LARGEST_SHIFT: Final = 0.2  # of the slice spacing: allowed median distance from the slices
MOST_CONTOURS: Final = 200_000  # in a structure set; large real sets have 20,000
MOST_POINTS: Final = 20_000_000
CLOSED: Final = "CLOSED_PLANAR"
CLOSED_KINDS: Final = (CLOSED, "CLOSEDPLANAR_XOR")
KINDS: Final = frozenset(  # PS3.3 C.8.8.6.1
    {CLOSED, "CLOSEDPLANAR_XOR", "OPEN_NONPLANAR", "OPEN_PLANAR", "POINT"}
)
# Default severities; a site can set others.
CHECKS: Final[Mapping[str, Severity]] = MappingProxyType(
    {
        "contour-type": Severity.BLOCK,
        "contour-points": Severity.BLOCK,
        "contour-off-slice": Severity.BLOCK,
        "contour-shifted": Severity.WARN,
        "contour-not-planar": Severity.BLOCK,
        "contours-shifted": Severity.BLOCK,
        "contour-outside": Severity.BLOCK,
        "contour-short": Severity.WARN,
        "contour-specks": Severity.WARN,
        "contour-crossing": Severity.WARN,
        "contour-overlap": Severity.WARN,
        "contour-tangled": Severity.BLOCK,
        "package-unknown": Severity.BLOCK,
        "structure-gaps": Severity.WARN,
        "structure-sides": Severity.BLOCK,
        "structure-volume": Severity.BLOCK,
    }
)
TEXTS: Final = {
    "contour-type": f"contours that are not {CLOSED}",
    "contour-values": (
        "contours whose ContourGeometricType or ContourData is missing or has values that no "
        "contour can have"
    ),
    "contour-points": "contours whose number of points is not NumberOfContourPoints",
    "contour-off-slice": (
        "contours closer to another slice than to one they refer to, or beyond the scan"
    ),
    "contour-shifted": f"contours more than {ROUNDING_MM:g} mm away from their slice",
    "contour-not-planar": f"contours extending more than {ROUNDING_MM:g} mm along the slice normal",
    "contour-outside": f"contours more than {MARGIN_MM:g} mm outside the image",
    "contour-short": f"contours of fewer than {FEWEST_POINTS} points",
    "contour-specks": "contours that enclose less than one pixel",
    "contour-crossing": "contours that cross themselves: the enclosed area depends on the reader",
    "contour-overlap": (
        "contours that repeat or partly overlap another in the same slice: the enclosed area "
        "depends on the reader"
    ),
    "contour-tangled": (
        "contours so entangled, with themselves or with each other, that no area can be computed"
    ),
    "structure-gaps": "slices without a contour between slices with one",
}
