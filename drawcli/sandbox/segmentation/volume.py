"""The slices of an uploaded series, in order along their normal, with values in physical units."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from pydicom import Dataset

Floats = npt.NDArray[np.float64]

_GROUPS: Final = frozenset(
    {
        "PixelMeasuresSequence",
        "PixelValueTransformationSequence",
        "PlaneOrientationSequence",
        "PlanePositionSequence",
    }
)


class BadSeries(Exception):
    """The slices do not form a volume; the text says why, without values."""


@dataclass(frozen=True, slots=True, eq=False)
class PhantomSlice:
    """A slice with its header, geometry and pixel values."""

    header: Dataset  # without the pixels
    origin: Floats  # centre of the first pixel, mm, LPS
    along_row: Floats  # step from one pixel of a row to the next, mm
    along_column: Floats  # step from one row to the next, mm
    stored: npt.NDArray[np.generic]  # rows x columns
    slope: float
    intercept: float
    frame: int | None = None  # of a multi-frame image, from 1

    def values(self) -> Floats:
        """Return the pixels in the units of the modality: HU, Bq/ml, or none for MR."""
        return self.stored.astype(np.float64) * self.slope + self.intercept

    def to_mm(self, points: Floats) -> Floats:
        """Return points (n x 2: column, row; fractional) in patient coordinates (n x 3), mm."""
        return self.origin + points[:, :1] * self.along_row + points[:, 1:] * self.along_column

    @property
    def pixel_mm2(self) -> float:
        """The area of a pixel."""
        return float(np.linalg.norm(np.cross(self.along_row, self.along_column)))


def volume(datasets: Iterable[Dataset]) -> list[PhantomSlice]:
    """Return the slices in order along their normal.

    Raises
    ------
    BadSeries
        If a slice lacks pixels or geometry, or differs from the others in size or direction.

    References
    ----------
    PS3.3 C.7.6.2.1.1: position, orientation, and their equation.
    """
    slices = [each for dataset in datasets for each in _slices(dataset)]
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


def _slices(dataset: Dataset) -> list[PhantomSlice]:
    """Return the slice of a file, or those of its frames."""
    try:
        stored = dataset.pixel_array
        del dataset.PixelData
        if "PerFrameFunctionalGroupsSequence" not in dataset:
            return [_slice(dataset, dataset, stored)]
        if stored.ndim == 2:  # noqa: PLR2004 - rows and columns: a single frame
            stored = stored[None]
        frames = enumerate(zip(framed(dataset), stored, strict=True), start=1)
        return [_slice(dataset, values, pixels, number) for number, (values, pixels) in frames]
    except (AttributeError, TypeError, ValueError, NotImplementedError, RuntimeError) as err:
        raise BadSeries(f"a slice has no usable pixels or geometry ({type(err).__name__})") from err


def framed(dataset: Dataset) -> Iterator[Dataset]:
    """Yield the functional groups of each frame (PS3.3 C.7.6.16) as a single-frame header."""
    shared = dataset.get("SharedFunctionalGroupsSequence") or [Dataset()]
    for groups in dataset.PerFrameFunctionalGroupsSequence:
        values = Dataset()
        for group in (*shared[0], *groups):
            if group.keyword in _GROUPS:
                values.update(group.value[0])
        yield values


def _slice(
    dataset: Dataset, values: Dataset, stored: npt.NDArray[np.generic], frame: int | None = None
) -> PhantomSlice:
    directions = np.array(values.ImageOrientationPatient, float).reshape(2, 3)
    between_rows, between_columns = map(float, values.PixelSpacing)
    if stored.ndim != 2:  # noqa: PLR2004 - rows and columns
        raise BadSeries("a file with more than one frame, or in colour")
    return PhantomSlice(
        header=dataset,
        origin=np.array(values.ImagePositionPatient, float).reshape(3),
        along_row=directions[0] * between_columns,
        along_column=directions[1] * between_rows,
        stored=stored,
        slope=float(values.get("RescaleSlope", 1) or 1),
        intercept=float(values.get("RescaleIntercept", 0) or 0),
        frame=frame,
    )
