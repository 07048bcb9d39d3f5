"""Planning scans of the invented patients, as a clinical scanner writes them.

Identifying values are in all the elements in which real files have them. Scans are reproducible
from their seed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from drawcli.sandbox.anatomy import BODIES, FIELD_MM, LENGTH_MM, Floats, grid_mm, slice_hu
from drawcli.sandbox.headers import ct_header, secondary_capture_header, write
from drawcli.sandbox.patients import PEOPLE, Person, identifying_values

__all__ = [
    "PEOPLE",
    "Person",
    "Visit",
    "identifying_values",
    "write_dose_report",
    "write_planning_ct",
    "write_scout",
    "write_visit",
]

INTERCEPT: Final = -1024.0  # HU of a stored 0
NOISE_HU: Final = 14.0  # standard deviation in a large patient with a soft kernel


@dataclass(frozen=True, slots=True)
class Visit:
    """The files of a person: the planning series, and others in its folder."""

    planning: tuple[Path, ...]
    others: tuple[Path, ...]


def write_visit(
    folder: Path, person: Person, *, slices: int = 120, size: int = 512, seed: int = 0
) -> Visit:
    """Write a planning CT with, for head and neck, a scout and, for the thorax, a dose report."""
    planning = write_planning_ct(folder, person, slices=slices, size=size, seed=seed)
    others: tuple[Path, ...] = ()
    if person.site == "head-neck":
        others = (write_scout(folder, person, size=size, seed=seed),)
    elif person.site == "thorax":
        others = (write_dose_report(folder, person, seed=seed),)
    return Visit(tuple(planning), others)


def write_planning_ct(  # noqa: PLR0913 - each is a property of the scan
    folder: Path,
    person: Person,
    *,
    slices: int = 120,
    size: int = 512,
    slice_mm: float | None = None,
    seed: int = 0,
) -> list[Path]:
    """Write the slices of a planning CT; return their paths from feet to head.

    Parameters
    ----------
    folder
        The target folder; created if missing.
    person
        The patient; the site determines the anatomy.
    slices, size
        Number of slices, and their rows and columns. The field of view is always 500 mm.
    slice_mm
        Slice thickness and spacing, mm. By default the slices fill 300 mm.
    seed
        Another seed gives another series of the same study, with other UIDs and noise.
    """
    thickness = round(LENGTH_MM / slices, 4) if slice_mm is None else slice_mm
    header = ct_header(person, size=size, thickness_mm=thickness, seed=seed)
    paths = []
    for number, (z, stored) in enumerate(_slices(person, slices, size, thickness, seed), start=1):
        header.SOPInstanceUID = person.uid("CT", seed, number)
        header.InstanceNumber = number
        header.ImagePositionPatient = [*corner_mm(size), round(z, 4)]
        header.SliceLocation = round(z, 4)
        header.PixelData = stored.tobytes()
        name = f"{person.file_name}.CT.{person.study_date}.{seed}.{number:04d}.dcm"
        paths.append(write(header, folder / name))
    return paths


def write_scout(folder: Path, person: Person, *, size: int = 512, seed: int = 0) -> Path:
    """Write the projection image of a scan."""
    header = ct_header(person, size=size, thickness_mm=LENGTH_MM, seed=seed)
    header.SeriesInstanceUID = person.uid("scout", seed)
    header.SOPInstanceUID = person.uid("scout", seed, 1)
    header.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    header.SeriesNumber = 1
    header.InstanceNumber = 1
    header.SeriesDescription = f"Scout {person.series_description}"[:64]
    # A frontal view: rows run to the left, columns to the feet (PS3.3 C.7.6.2.1.1).
    header.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    header.ImagePositionPatient = [corner_mm(size)[0], 0, -corner_mm(size)[1]]
    header.SliceLocation = 0
    del header.RescaleType  # HU have no meaning in a projection
    header.PixelData = _projection(person, size).tobytes()
    return write(header, folder / f"{person.file_name}.SCOUT.{seed}.dcm")


def write_dose_report(folder: Path, person: Person, *, seed: int = 0) -> Path:
    """Write a dose report, a page of text as an image, with the patient's name burned in."""
    header = secondary_capture_header(person, seed=seed)
    header.PixelData = _striped_page(header.Rows, header.Columns).tobytes()
    name = f"{person.file_name}.DOSE.{seed}.dcm"
    return write(header, folder / name)


def _slices(
    person: Person, slices: int, size: int, thickness: float, seed: int
) -> Iterator[tuple[float, npt.NDArray[np.int16]]]:
    """Yield the level of each slice in mm, and its stored values."""
    body = BODIES[person.site]
    dice = np.random.default_rng(seed)
    noise = _noise(dice, size)
    x = grid_mm(size)
    beyond = x[:, None] ** 2 + x[None, :] ** 2 > (FIELD_MM / 2) ** 2
    for number in range(slices):
        z = (number - (slices - 1) / 2) * thickness
        row, column = dice.integers(0, size, 2)
        hu = slice_hu(body, z, thickness, size) + noise[row : row + size, column : column + size]
        stored = np.clip(np.rint(hu - INTERCEPT), 0, 4095).astype(np.int16)  # 12 bits
        stored[beyond] = person.scanner.outside
        yield z, stored


def _noise(dice: np.random.Generator, size: int) -> Floats:
    """Return a field of noise, of which each slice uses another window.

    Neighbours are correlated as by a soft reconstruction kernel, which matters for compression.
    """
    white = dice.standard_normal((2 * size + 1, 2 * size + 1), dtype=np.float32)
    soft = white[1:, 1:] + white[:-1, 1:] + white[1:, :-1] + white[:-1, :-1]
    return (soft * np.float32(NOISE_HU / 2)).astype(np.float32)


def _projection(person: Person, size: int) -> npt.NDArray[np.int16]:
    """Return a rough frontal projection of the body."""
    body = BODIES[person.site]
    rows = []
    for z in -grid_mm(size)[:: max(1, size // 64)]:
        hu = slice_hu(body, float(z), LENGTH_MM / 64, min(size, 128))
        seen = abs(z) < LENGTH_MM / 2
        rows.append(np.clip(hu.mean(axis=0) + 1000, 0, 4095) * seen)
    small = np.array(rows)
    picks = np.arange(size)
    grown = small[picks * len(small) // size][:, picks * small.shape[1] // size]
    return np.asarray(np.rint(grown), np.int16)


def _striped_page(rows: int, columns: int) -> npt.NDArray[np.uint8]:
    """Return white stripes on black, like lines of text."""
    page = np.zeros((rows, columns), np.uint8)
    page[16:-16:12, 16:-16] = 220
    return page


def corner_mm(size: int) -> tuple[float, float]:
    """Return x and y of the centre of the first pixel, mm."""
    first = round(float(FIELD_MM / size / 2 - FIELD_MM / 2), 6)
    return first, first
