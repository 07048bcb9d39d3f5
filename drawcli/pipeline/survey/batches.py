"""What a walk of the datastore reads and stores together."""

from dataclasses import dataclass, field
from typing import NamedTuple

from drawcli.core.series.image_file import File
from drawcli.pipeline.survey.readers import Reading


class Item(NamedTuple):
    """A file that is to be read."""

    folder: int
    path: str
    file: File
    since: int  # when it was first seen as it is now; 0: now
    was: int | None  # the series it was of
    odd: str  # why it is not read at all; "" where it is


class Close(NamedTuple):
    """A folder whose files have all been read."""

    folder: int
    digest: bytes
    stamp: str


class Unlisted(NamedTuple):
    """A folder that should have been listed, and could not be."""

    reason: str
    series: set[int]  # with files in it or below, as they were known


@dataclass(slots=True)
class Batch:
    """What is read and stored together."""

    items: list[Item] = field(default_factory=list)
    closes: list[Close] = field(default_factory=list)

    @property
    def readings(self) -> list[Reading]:
        """What is to be opened."""
        return [(item.path, item.file) for item in self.items if not item.odd]
