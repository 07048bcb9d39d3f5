"""The port of delivery: what a folder, a DICOM node and any further target implement.

A further target is a class with these three methods, a setting, a line in `delivery.targets_of`,
and a line in the checks of `doctor`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol


class Destination(NamedTuple):
    """The file that a structure set is delivered as; both names may be those of the patient."""

    folder: Path
    name: str
    below: Path | None = None  # the part of the folder that must be there; None: all of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A finished structure set, and what a target needs to know of its job."""

    job_id: str
    data: bytes
    destination: Destination
    work_folder: Path  # of the job; a target may keep a record in it


class Remark(NamedTuple):
    """What should be known of a target that takes structure sets, and what to do about it."""

    text: str  # a predicate: "takes structure sets in ... only"
    hint: str


class DeliveryTarget(Protocol):
    """Where structure sets are delivered to."""

    def describe(self) -> str:
        """Return what it is: "the DICOM node TPS@host:104"."""

    def check(self) -> Remark | None:
        """Ask whether it takes structure sets; raise TryLater, with a hint, where it does not."""

    def send(self, delivery: Delivery) -> str:
        """Deliver a structure set, durably when this returns; return what to report of it, or "".

        Safe to repeat: a target that has this very file already has it once.

        Raises
        ------
        TryLater
            Where the target cannot take it now.
        NeedsPerson
            Where it refuses it, or has another file in its place.
        """
