"""What the benches work on: datastores of many small CT slices, and jobs of a ledger."""

from datetime import datetime
from pathlib import Path
from typing import Any

from pydicom import dcmread

from drawcli.core.jobs.job import Event, EventKind, Job, State
from drawcli.sandbox.patients import PEOPLE
from drawcli.sandbox.phantom import write_planning_ct

EACH = 100  # slices of a series
_SERIES = "1.2.826.0.1.3680043.10.1.1{:08d}"
_SOP = "1.2.826.0.1.3680043.10.2.1{:010d}"
_PLACE = "-250.0\\-250.0\\{:08.2f}"


def template(folder: Path) -> bytes:
    """Return a CT slice with places for UIDs and position that can be replaced byte by byte."""
    path, *_ = write_planning_ct(folder, PEOPLE[0], slices=3, size=16)
    dataset = dcmread(path)
    dataset.SeriesInstanceUID = _SERIES.format(0)
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = _SOP.format(0)
    dataset.ImagePositionPatient = _PLACE.format(0).split("\\")
    dataset.save_as(path)
    return path.read_bytes()


def fill(root: Path, files: int, one: bytes) -> None:
    """Write so many slices: a hundred to a series and folder, ten of them to a patient."""
    place = _PLACE.format(0).encode()
    for number in range(files):
        series = number // EACH
        folder = root / f"p{series // 10:05d}" / f"s{series:06d}"
        if number % EACH == 0:
            folder.mkdir(parents=True)
        data = one.replace(_SERIES.format(0).encode(), _SERIES.format(series).encode())
        data = data.replace(_SOP.format(0).encode(), _SOP.format(number).encode())
        data = data.replace(place, _PLACE.format(number % EACH * 3).encode())
        (folder / f"CT.{number:08d}.dcm").write_bytes(data)


def sample_job(number: int, state: State, since: datetime, **more: Any) -> Job:
    """Return a job of the usual size, about 1.2 kB; `more` names other values of its fields."""
    words = ("found", "matched", "packaged", "uploaded")
    values: dict[str, Any] = {
        "id": f"{number:012x}-1",
        "modality": "CT",
        "slices": 180,
        "source_digest": f"{number:016x}",
        "source_stamp": f"{number:016x}",
        "template": "Prostate_OAR",
        "rule": "pelvis-planning-ct",
        "rules_digest": "a" * 64,
        "zip_sha256": "b" * 64,
        "zip_bytes": 64_000_000,
        "events": tuple(Event(since, EventKind.REACHED, word) for word in words),
    }
    return Job(state=state, since=since, **values | more)
