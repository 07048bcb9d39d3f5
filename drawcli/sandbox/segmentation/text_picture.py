"""One slice with its contours, drawn with characters: for a terminal without graphics.

Structures are letters, soft tissue is dots, bone is colons. Axial images only, as those of the
phantoms.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pydicom import Dataset

    Grid = NDArray[np.float64]
    Mask = NDArray[np.bool_]

_WIDTH, _HEIGHT = 72, 30  # characters, about twice as high as they are wide
_SKIN_HU, _BONE_HU = -300.0, 250.0
_AIR, _TISSUE, _BONE = " ", ".", ":"


class Mark(NamedTuple):
    """A structure of the picture."""

    letter: str
    name: str
    color: str  # "#rrggbb"


class TextPicture(NamedTuple):
    """Lines of characters, and what the letters in them mean."""

    lines: list[str]
    marks: list[Mark]


def text_picture(structure_set: Path, images: Sequence[Path]) -> TextPicture:
    """Return the slice of a structure set that has the most structures.

    Parameters
    ----------
    structure_set
        An RTSTRUCT file.
    images
        The files of its series.
    """
    from pydicom import dcmread

    dataset = dcmread(structure_set)
    names = {int(roi.ROINumber): str(roi.ROIName) for roi in dataset.StructureSetROISequence}
    by_slice: dict[str, dict[int, list[Any]]] = defaultdict(lambda: defaultdict(list))
    colors: dict[int, str] = {}
    for roi in dataset.ROIContourSequence:
        number = int(roi.ReferencedROINumber)
        colors[number] = "#{:02x}{:02x}{:02x}".format(*map(int, roi.ROIDisplayColor))
        for contour in roi.get("ContourSequence", []):
            uid = str(contour.ContourImageSequence[0].ReferencedSOPInstanceUID)
            by_slice[uid][number].append([float(value) for value in contour.ContourData])
    uid, drawn = max(by_slice.items(), key=lambda one: len(one[1]))
    image = next(one for one in map(dcmread, images) if str(one.SOPInstanceUID) == uid)
    marks = dict(zip(drawn, _marks(drawn, names, colors), strict=True))
    lines = _lines(image, {mark.letter: drawn[number] for number, mark in marks.items()})
    return TextPicture(lines, list(marks.values()))


def _marks(numbers: Iterable[int], names: dict[int, str], colors: dict[int, str]) -> list[Mark]:
    """Return a letter for each structure, from its name if that is free."""
    marks: list[Mark] = []
    for number in numbers:
        used = {mark.letter for mark in marks}
        wanted = f"{names[number].upper()}{ascii_uppercase}"
        free = (one for one in wanted if one in ascii_uppercase and one not in used)
        marks.append(Mark(next(free, "*"), names[number], colors[number]))
    return marks


def _lines(image: "Dataset", structures: dict[str, list[list[float]]]) -> list[str]:
    import numpy as np

    hu = image.pixel_array * float(image.RescaleSlope) + float(image.RescaleIntercept)
    rows, columns = np.nonzero(hu > _SKIN_HU)
    ys = _centres(rows.min(), rows.max(), _HEIGHT)
    xs = _centres(columns.min(), columns.max(), _WIDTH)
    sampled = hu[np.ix_(ys.round().astype(int), xs.round().astype(int))]
    signs = np.where(sampled > _BONE_HU, _BONE, np.where(sampled > _SKIN_HU, _TISSUE, _AIR))
    left, top = (float(value) for value in image.ImagePositionPatient[:2])
    down, across = (float(value) for value in image.PixelSpacing)
    x, y = np.meshgrid(left + xs * across, top + ys * down)
    for letter, contours in structures.items():
        signs[_inside(x, y, contours)] = letter
    return ["".join(row).rstrip() for row in signs]


def _centres(first: int, last: int, count: int) -> "Grid":
    import numpy as np

    return first + (np.arange(count) + 0.5) * (last - first) / count


def _inside(x: "Grid", y: "Grid", contours: Iterable[Sequence[float]]) -> "Mask":
    """Return which points lie inside contours, by the even-odd rule."""
    import numpy as np

    inside = np.zeros(x.shape, dtype=bool)
    for points in contours:
        xs, ys = np.array(points[0::3]), np.array(points[1::3])
        for x1, y1, x2, y2 in zip(xs, ys, np.roll(xs, -1), np.roll(ys, -1), strict=True):
            if y1 != y2:
                crosses = (y1 > y) != (y2 > y)
                inside ^= crosses & (x < (x2 - x1) * (y - y1) / (y2 - y1) + x1)
    return inside
