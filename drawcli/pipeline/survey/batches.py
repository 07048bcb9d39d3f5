"""Batches of files that a walk of the datastore reads and stores together."""

from dataclasses import dataclass, field
from typing import NamedTuple

from drawcli.core.series.image_file import File
from drawcli.pipeline.survey.readers import Reading


class Item(NamedTuple):
    """A file to read."""

    folder: int
    path: str
    file: File
    since: int  # first seen in its present state at, ns; 0: now
    was: int | None  # its former series
    odd: str  # why it is not read; "" if it is


class Close(NamedTuple):
    """A folder whose files have all been read."""

    folder: int
    digest: bytes
    stamp: str


class Unlisted(NamedTuple):
    """A folder that could not be listed."""

    reason: str
    series: set[int]  # with files in it or below, as they were known


@dataclass(slots=True)
class Batch:
    """Files and folders that are read and stored together."""

    items: list[Item] = field(default_factory=list)
    closes: list[Close] = field(default_factory=list)

    @property
    def readings(self) -> list[Reading]:
        """The files to open."""
        return [(item.path, item.file) for item in self.items if not item.odd]
