"""The slices of one uploaded series, in order along their normal, with values in real units."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

Floats = npt.NDArray[np.float64]


class BadSeries(Exception):
    """The slices cannot be put together to a volume; the text says why, without values."""


@dataclass(frozen=True, slots=True, eq=False)
class Slice:
    """One slice: who it is, where its pixels lie in the patient, and what they measure."""

    header: Dataset  # without the pixels
    origin: Floats  # middle of the first pixel, mm, LPS
    along_row: Floats  # from one pixel of a row to the next, mm
    along_column: Floats  # from one row to the next, mm
    stored: npt.NDArray[np.generic]  # rows x columns
    slope: float
    intercept: float

    def values(self) -> Floats:
        """Return the pixels in the units of the modality: HU, Bq/ml, or none for MR."""
        return self.stored.astype(np.float64) * self.slope + self.intercept

    def to_mm(self, points: Floats) -> Floats:
        """Return points (n x 2: column, row; fractions allowed) as mm in the patient (n x 3)."""
        return self.origin + points[:, :1] * self.along_row + points[:, 1:] * self.along_column

    @property
    def pixel_mm2(self) -> float:
        """The area of a pixel."""
        return float(np.linalg.norm(np.cross(self.along_row, self.along_column)))


def volume(datasets: Iterable[Dataset]) -> list[Slice]:
    """Return the slices in order along their normal.

    Raises
    ------
    BadSeries
        If a slice lacks pixels or geometry, or differs from the others in size or direction.

    References
    ----------
    PS3.3 C.7.6.2.1.1: position, orientation, and their equation.
    """
    slices = [_slice(dataset) for dataset in datasets]
    if not slices:
        raise BadSeries("no slice")
    first = slices[0]
    normal = np.cross(first.along_row, first.along_column)
    for each in slices[1:]:
        if each.stored.shape != first.stored.shape:
            raise BadSeries("the slices differ in their number of rows or columns")
        if not np.allclose(np.cross(each.along_row, each.along_column), normal, rtol=1e-3):
            raise BadSeries("the slices differ in direction or pixel spacing")
    return sorted(slices, key=lambda each: float(each.origin @ normal))


def _slice(dataset: Dataset) -> Slice:
    try:
        directions = np.array(dataset.ImageOrientationPatient, float).reshape(2, 3)
        between_rows, between_columns = map(float, dataset.PixelSpacing)
        origin = np.array(dataset.ImagePositionPatient, float).reshape(3)
        stored = dataset.pixel_array
    except (AttributeError, TypeError, ValueError, NotImplementedError, RuntimeError) as err:
        raise BadSeries(f"a slice has no usable pixels or geometry ({type(err).__name__})") from err
    if stored.ndim != 2:  # noqa: PLR2004 - rows and columns
        raise BadSeries("a file with more than one frame, or in colour")
    slope = float(dataset.get("RescaleSlope", 1) or 1)
    intercept = float(dataset.get("RescaleIntercept", 0) or 0)
    del dataset.PixelData
    return Slice(
        header=dataset,
        origin=origin,
        along_row=directions[0] * between_columns,
        along_column=directions[1] * between_rows,
        stored=stored,
        slope=slope,
        intercept=intercept,
    )
