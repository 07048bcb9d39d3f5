"""Contours of a structure set in batches: the numbers of many contours in one array.

A structure set of 100 MB has some 15,000 contours with 5,000,000 points. They are read once, and
checked with a few operations of arrays for each batch.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from drawcli.core.gate.acceptance import FileContour, read_many_decimals
from drawcli.core.rtstruct.contour_table import KINDS

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Indices = npt.NDArray[np.intp]
    Which = npt.NDArray[np.bool_]

_BYTES: Final = 500_000  # of a batch, mostly: its arrays fit into the cache of a processor
_CONTOURS: Final = 2_000  # of a batch


@dataclass(slots=True)
class ContourBatch:
    """Consecutive contours of one structure."""

    roi: int
    contours: list[FileContour] = field(default_factory=list)
    faults: list[tuple[int, str]] = field(default_factory=list)  # of those without points: check
    drawn: list[int] = field(default_factory=list)  # index of each contour without such a fault
    plain: int = 0  # contours whose numbers are known to be a valid DS
    _arrays: list["Floats"] = field(default_factory=list)  # of those drawn, flat
    _bytes: int = 0  # of the numbers of all

    def add(self, contour: FileContour) -> None:
        """Add a contour."""
        self.contours.append(contour)
        self._bytes += len(contour.data)

    def read(self) -> Self:
        """Read the numbers of all contours; return the batch."""
        decimals = read_many_decimals(contour.data for contour in self.contours)
        for number, (contour, (values, plain)) in enumerate(
            zip(self.contours, decimals, strict=True)
        ):
            self.plain += plain
            if contour.kind not in KINDS or values is None:
                self.faults.append((number, "contour-values"))
            elif not contour.states(values.size):
                self.faults.append((number, "contour-points"))
            else:
                self.drawn.append(number)
                self._arrays.append(values)
        return self

    @property
    def is_full(self) -> bool:
        """Whether no contour should be added."""
        return self._bytes >= _BYTES or len(self.contours) >= _CONTOURS

    def points(self) -> "tuple[Floats, Indices]":
        """Return the points of the drawn contours (3 x n, mm), and how many each has."""
        import numpy as np

        counts = np.array([values.size // 3 for values in self._arrays], np.intp)
        flat = np.concatenate(self._arrays) if self._arrays else np.empty(0)
        return flat.reshape(-1, 3).T, counts


def batches(contours: Iterable[FileContour]) -> Iterator[ContourBatch]:
    """Yield contours in batches, each of one structure."""
    batch: ContourBatch | None = None
    for contour in contours:
        if batch is not None and (batch.is_full or batch.roi != contour.roi):
            yield batch.read()
            batch = None
        if batch is None:
            batch = ContourBatch(contour.roi)
        batch.add(contour)
    if batch is not None:
        yield batch.read()
