"""Awkward series on disk, one for each way in which a datastore is not as one would like it."""

from collections.abc import Callable, Sequence
from math import cos, radians, sin
from pathlib import Path

from pydicom import Dataset

from tests.core.files import ROOT, as_bytes, ct_slice, item

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
PRONE = (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
FEET_FIRST = (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
SAGITTAL = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
OBLIQUE = (cos(0.3), sin(0.3), 0.0, -sin(0.3) * cos(0.2), cos(0.3) * cos(0.2), sin(0.2))
TILT = radians(18.5)
MR = "1.2.840.10008.5.1.4.1.1.4"
PT = "1.2.840.10008.5.1.4.1.1.128"
SECONDARY = "1.2.840.10008.5.1.4.1.1.7"
DOSE_REPORT = "1.2.840.10008.5.1.4.1.1.88.67"
RTSTRUCT, RTDOSE, RTPLAN = (f"1.2.840.10008.5.1.4.1.1.481.{n}" for n in (3, 2, 5))
BIG_ENDIAN = "1.2.840.10008.1.2.2"

Change = Callable[[int, Dataset], None]


def stack(
    count: int = 8,
    *,
    series: int = 1,
    step: float = 3.0,
    lies: Sequence[float] = AXIAL,
    change: Change = lambda _number, _one: None,
) -> list[Dataset]:
    """Return the slices of a series, `step` mm apart along their normal."""
    rx, ry, rz, cx, cy, cz = lies
    normal = (ry * cz - rz * cy, rz * cx - rx * cz, rx * cy - ry * cx)
    made = []
    for number in range(count):
        one = ct_slice(
            SOPInstanceUID=f"{ROOT}.{series}.{number + 1}",
            SeriesInstanceUID=f"{ROOT}.3.{series}",
            InstanceNumber=str(number + 1),
            ImageOrientationPatient=[f"{value:.9g}" for value in lies],
            ImagePositionPatient=[f"{part * step * number:.9g}" for part in normal],
        )
        change(number, one)
        made.append(one)
    return made


def every(**values: object) -> Change:
    """Return a change of all slices; None takes an element away."""

    def change(_number: int, one: Dataset) -> None:
        for keyword, value in values.items():
            if value is None:
                delattr(one, keyword)
            else:
                setattr(one, keyword, value)

    return change


def only(which: int, **values: object) -> Change:
    """Return a change of one slice."""
    return lambda number, one: every(**values)(number, one) if number == which else None


def put(folder: Path, slices: Sequence[Dataset], syntax: str = "explicit") -> list[Path]:
    """Write data sets into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    there = sum(1 for _ in folder.iterdir())
    for number, one in enumerate(slices, start=there):
        path = folder / f"{number:04d}.dcm"
        path.write_bytes(as_bytes(one, syntax))
        paths.append(path)
    return paths


def phases(count: int, *, together: bool) -> list[Dataset]:
    """Return the phases of a 4D-CT, in one series or one series each."""
    return [
        one
        for phase in range(count)
        for one in stack(
            series=phase + 1,
            change=every(SeriesInstanceUID=f"{ROOT}.3.1") if together else every(),
        )
    ]


def structure_set() -> Dataset:
    """Return an RTSTRUCT such as drawcli delivers beside a series."""
    return item(
        SOPClassUID=RTSTRUCT,
        SOPInstanceUID=f"{ROOT}.9",
        SeriesInstanceUID=f"{ROOT}.9.9",
        StudyInstanceUID=f"{ROOT}.2",
        Modality="RTSTRUCT",
        PatientID="PID-0815",
    )
