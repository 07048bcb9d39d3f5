"""What a listener needs of the place where objects are stored; its calls run in threads."""

from collections.abc import Callable
from typing import Protocol

from drawcli.core.dicom_service.received_object import ObjectFacts
from drawcli.core.dicom_service.tally import StoreOutcome


class NotStored(Exception):
    """An object cannot be stored; `outcome` is the answer to its sender."""

    def __init__(self, outcome: StoreOutcome) -> None:
        super().__init__(outcome.code)
        self.outcome = outcome


class IncomingObject(Protocol):
    """An object that is being received."""

    def write(self, data: bytes | bytearray) -> None:
        """Append to the data set; raise NotStored if there is no room."""

    def finish(self) -> StoreOutcome:
        """Check it and make it durable under its name, or refuse it."""

    def discard(self) -> None:
        """Remove it, unless it is finished; no effect the second time."""


class ObjectStore(Protocol):
    """Stores objects."""

    def begin(self, facts: ObjectFacts) -> IncomingObject:
        """Begin an object; raise NotStored if there is no room."""

    def association_ended(self) -> None:
        """Remember that an association ended in which objects were stored."""


class ArrivingObject(Protocol):
    """An object that was asked for and arrives."""

    def write(self, data: bytes) -> None:
        """Take a piece of its data set; raise NotStored if it cannot be stored."""

    def end(self) -> None:
        """Take note that it is complete."""

    def discard(self) -> None:
        """Forget it, unless it is complete."""


Take = Callable[[ObjectFacts], "ArrivingObject | StoreOutcome"]  # an object, or why it is refused
