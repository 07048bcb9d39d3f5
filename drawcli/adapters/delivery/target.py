"""The interface of delivery targets: a folder, a DICOM node and any other.

A new target is a class with these three methods, a key of `deliver.targets` and a branch in
`delivery.opened`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol


def keep_nothing() -> None:
    """Do nothing: the work folder belongs to this machine only."""


class Destination(NamedTuple):
    """The file of a delivered structure set; both names may identify the patient."""

    folder: Path
    name: str
    below: Path | None = None  # the part of the folder that must exist; None: all of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A finished structure set, with the properties of its job that a target needs."""

    job_id: str
    data: bytes
    destination_in: Callable[[Path | None], Destination]  # of a folder's pattern; None: beside
    sender: Callable[[], str]  # AE title that sent the images; "" if it is not known
    work_folder: Path  # of the job; a target may keep a record in it
    kept: Callable[[], None] = keep_nothing  # after each change of such a record


class Remark(NamedTuple):
    """A warning about a target that accepts structure sets, with a hint."""

    text: str  # a predicate: "accepts structure sets in ... only"
    hint: str


class DeliveryTarget(Protocol):
    """A target that structure sets are delivered to."""

    def describe(self) -> str:
        """Return its name for messages: "the DICOM node TPS@host:104"."""

    def check(self) -> Remark | None:
        """Test whether it accepts structure sets; raise TryLater, with a hint, if not."""

    def send(self, delivery: Delivery) -> str:
        """Deliver a structure set, durably when this returns; return a report, or "".

        Safe to repeat: a target that already has this file keeps one copy.

        Raises
        ------
        TryLater
            If the target cannot store it now.
        NeedsPerson
            If it refuses it, or has another file in its place.
        """


class SiteTarget(NamedTuple):
    """A target of a site, which is opened when it is first needed."""

    name: str  # in records: the address, or the pattern of the folder
    open: Callable[[], DeliveryTarget]
    required: bool = True
