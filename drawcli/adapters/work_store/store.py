"""The interface of shared storage: objects that are written once."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final, Protocol

from drawcli.errors import OutOfReach

AWAY: Final = "work-store"


class WorkStore(Protocol):
    """Storage that every host of a site reaches. Names have letters, digits, '/', '.' and '-'."""

    def describe(self) -> str:
        """Return its name for messages."""
        ...

    def put(self, name: str, pieces: Iterator[bytes], size: int) -> None:
        """Store an object of `size` bytes under a new name; durable and whole on return.

        Raises
        ------
        OutOfReach
            If the storage does not answer, or refuses.
        """
        ...

    def get(self, name: str) -> Iterator[bytes]:
        """Yield an object in pieces.

        Raises
        ------
        FileNotFoundError
            If there is no such object.
        OutOfReach
            If the storage does not answer, or refuses.
        """
        ...

    def remove(self, names: list[str]) -> None:
        """Remove objects, as far as they exist."""
        ...

    def older_than(self, limit: datetime) -> Iterator[str]:
        """Yield the names of the objects that were written before a time."""
        ...


def away(who: str, what: str, hint: str = "") -> OutOfReach:
    """Return the error for storage that fails: its name, the failure, and a hint."""
    hint = hint or "Nothing is lost; the next run goes on. Check the storage and cluster.work."
    return OutOfReach(f"{who} {what}", code=AWAY, hint=hint)
