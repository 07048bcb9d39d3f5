"""The scanner of the simulated month: which series it sends, and how their files arrive."""

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from pydicom import dcmread

from drawcli.sandbox import phantom
from tests.conftest import HEAD_NECK, PELVIS, THORAX

PEOPLE: Final = (PELVIS, HEAD_NECK, THORAX)
SLICES: Final = 5
KINDS: Final = {  # how often
    "plain": 12,
    "growing": 4,
    "no rule": 3,
    "gap": 1,
    "late": 1,
    "phantom": 1,
    "copied": 2,  # sent again into another folder
    "extended": 1,  # likewise, with one more slice
    "altered": 1,  # likewise, with other pixels in one slice
}
ARRIVALS: Final = {  # minutes until each slice is there
    "growing": (0, 0, 8, 15, 23),
    "gap": (0, 0, 20 * 60, 0, 0),
    "late": (0, 0, 0, 0, 60),
}
SENT_AGAIN: Final = frozenset({"copied", "extended", "altered"})
AGAIN_AFTER: Final = (5, 15, 45, 180, 30 * 60)  # minutes: before the upload up to the archive
_OTHER: Final = {
    "no rule": ("OTHER", "ARM"),
    "phantom": ("QA", "PHANTOM"),
}


@dataclass
class Series:
    """A series of the scanner and what shall become of it."""

    number: int
    kind: str
    patient_id: str
    folder: Path
    uid: str
    left: list[tuple[datetime, Path, bytes]] = field(default_factory=list)  # still to come

    @property
    def again(self) -> Path:
        """The folder for files that are sent again."""
        return self.folder.with_name(f"{self.folder.name} again")

    def arrive(self, now: datetime) -> None:
        """Write the files that are due."""
        for _, path, data in [each for each in self.left if each[0] <= now]:
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
            os.utime(path, (now.timestamp(), now.timestamp()))
        self.left = [each for each in self.left if each[0] > now]


def scanned(folder: Path, number: int, kind: str, dice: random.Random, now: datetime) -> Series:
    """Return a new series; none of its files is there yet."""
    person = replace(dice.choice(PEOPLE), patient_id=f"PAT-{number:05d}")
    if kind in _OTHER:
        protocol, body_part = _OTHER[kind]
        person = replace(person, site="thorax", protocol=protocol, body_part=body_part)
    with TemporaryDirectory() as made:
        paths = phantom.write_planning_ct(Path(made), person, slices=SLICES, size=16, seed=number)
        uid = str(dcmread(paths[0], stop_before_pixels=True).SeriesInstanceUID)
        files = [(path.name, path.read_bytes()) for path in paths]
    one = Series(number, kind, person.patient_id, folder, uid)
    first = files[: SLICES - 1] if kind == "extended" else files
    waits = ARRIVALS.get(kind, (0,) * len(first))
    for (name, data), minutes in zip(first, waits, strict=True):
        one.left.append((now + timedelta(minutes=minutes), folder / name, data))
    if kind in SENT_AGAIN:
        later = now + timedelta(minutes=dice.choice(AGAIN_AFTER))
        one.left += [(later, one.again / name, data) for name, data in _sent_again(kind, files)]
    return one


def _sent_again(kind: str, files: list[tuple[str, bytes]]) -> Iterator[tuple[str, bytes]]:
    """Yield the files of the second sending; the last byte of a slice is of its last pixel."""
    (name, data), *others = files
    yield name, data[:-1] + bytes([data[-1] ^ 1]) if kind == "altered" else data
    yield from others
