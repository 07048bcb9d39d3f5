"""Past patients in a folder, each with images and a clinical structure set."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from drawcli.operations.commissioning import golden, results
from tests.conftest import PELVIS, SLICES, Clock
from tests.phantoms.planning import write_planning_ct
from tests.structure_sets import structure_set

ROIS = ("Bladder", "Rectum", "Femur_Head_L", "Femur_Head_R")


def moved(mm: float, *names: str) -> Callable[[Dataset], None]:
    """Return a change of a structure set: contours (all, or some ROIs) go to the left."""

    def change(dataset: Dataset) -> None:
        for roi, drawn in zip(
            dataset.StructureSetROISequence, dataset.ROIContourSequence, strict=True
        ):
            for contour in drawn.ContourSequence if not names or roi.ROIName in names else ():
                data = [float(value) for value in contour.ContourData]
                data[::3] = [x + mm for x in data[::3]]
                contour.ContourData = [f"{value:.10g}" for value in data]

    return change


def clinical_set(images: Sequence[Path], change: Callable[[Dataset], None]) -> bytes:
    """Return a structure set for images, as a planning system exports it."""
    return structure_set([dcmread(path) for path in images], ROIS, change=change)


@dataclass
class PastPatients:
    """A folder of past patients."""

    folder: Path

    def add(
        self,
        number: int,
        mm: float = 3.0,
        *,
        change: Callable[[Dataset], None] = lambda _dataset: None,
        name: str = "clinical.dcm",
    ) -> Path:
        """Add a patient whose clinical contours are so far to the left of the model's."""
        return self.add_set(self.images(number), mm, change=change, name=name)

    def images(self, number: int) -> list[Path]:
        """Return the images of a patient, written once."""
        folder = self.folder / f"KOWALSKI-{number}"
        person = replace(PELVIS, patient_id=f"PAST-{number:03d}")
        return write_planning_ct(folder, person, slices=SLICES, size=32, seed=1)

    def add_set(
        self,
        images: Sequence[Path],
        mm: float,
        *,
        change: Callable[[Dataset], None] = lambda _dataset: None,
        name: str = "clinical.dcm",
    ) -> Path:
        """Add a clinical structure set to images."""

        def both(dataset: Dataset) -> None:
            dataset.SpecificCharacterSet = dcmread(images[0]).SpecificCharacterSet
            moved(mm)(dataset)
            change(dataset)

        path = images[0].parent / name
        path.write_bytes(clinical_set(images, both))
        return path


@pytest.fixture
def distances() -> None:
    """Let a test compute distances between surfaces, which take most of the time."""


@pytest.fixture(autouse=True)
def _faster(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if "distances" not in request.fixturenames:
        for module in (results, golden):
            monkeypatch.setattr(module, "has_scipy", lambda: False)


@pytest.fixture
def past(tmp_path: Path) -> PastPatients:
    """Return a folder for past patients."""
    folder = tmp_path / "past"
    folder.mkdir()
    return PastPatients(folder)


@pytest.fixture
def sleep(clock: Clock) -> Callable[[float], None]:
    """Let the clock run instead of waiting."""
    return lambda seconds: clock.advance(seconds=seconds)


def as_dataset(data: bytes) -> Dataset:
    """Return the data set of a file."""
    return dcmread(io.BytesIO(data))
