"""How many connections and associations are open at once, in total and from one address.

A connection without an association counts as waiting. Where too many wait, a new one closes the
one that has waited longest, of the address with most; so silent connections never keep others out,
whose request arrives within milliseconds. Where there are too many associations, a new one ends
one in which nothing was ever answered, the one that has been silent longest; if there is none, it
is rejected for now.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Final

from drawcli.core.dicom_service.callers import Address

_SHARE: Final = 2  # the reciprocal of the part of all open files that may be connections


@dataclass(slots=True, eq=False)
class PeerConnection:
    """An open connection."""

    address: Address
    cut: Callable[[], object]  # ends it at once
    silent_since: Callable[[], float]  # inf: it has been used
    is_association: bool = False


class Admission:
    """All open connections, the oldest first; only the event loop uses this.

    Parameters
    ----------
    most_waiting
        The largest number of connections without an association.
    most, most_of_address
        The largest numbers of associations.
    """

    def __init__(self, most_waiting: int, most: int, most_of_address: int) -> None:
        self._most_waiting = most_waiting
        self._most = most
        self._most_of_address = most_of_address
        self._all: dict[PeerConnection, None] = {}
        self.crowded = 0  # connections closed for want of room

    def __len__(self) -> int:
        """Return how many connections are open."""
        return len(self._all)

    def add(self, connection: PeerConnection) -> None:
        """Count an accepted connection; close another one if too many wait."""
        waiting = [one for one in self._all if not one.is_association]
        if len(waiting) >= self._most_waiting:
            self._close(_of_largest(waiting)[0])
        self._all[connection] = None

    def remove(self, connection: PeerConnection) -> None:
        """Forget a connection that has ended."""
        self._all.pop(connection, None)

    def admit(self, connection: PeerConnection) -> bool:
        """Count an association of a connection; return False if there are too many."""
        own = [one for one in self._associations() if one.address == connection.address]
        if not self._make_room(own, self._most_of_address):
            return False
        connection.is_association = self._make_room(self._associations(), self._most)
        return connection.is_association

    def _associations(self) -> list[PeerConnection]:
        return [one for one in self._all if one.is_association]

    def _make_room(self, crowd: list[PeerConnection], most: int) -> bool:
        """End an association in which nothing was asked, if there are too many."""
        if len(crowd) < most:
            return True
        unused = [one for one in crowd if one.silent_since() < inf]
        if unused:
            self._close(min(_of_largest(unused), key=lambda one: one.silent_since()))
        return bool(unused)

    def _close(self, connection: PeerConnection) -> None:
        self.crowded += 1
        self.remove(connection)
        connection.cut()


def _of_largest(crowd: list[PeerConnection]) -> list[PeerConnection]:
    """Return the connections of the address with most, the oldest first."""
    ((largest, _),) = Counter(one.address for one in crowd).most_common(1)
    return [one for one in crowd if one.address == largest]


def max_waiting(wanted: int, associations: int, open_files: int) -> int:
    """Return how many connections may wait, so that files and associations have room.

    >>> max_waiting(256, 64, 1024), max_waiting(256, 64, 256)
    (256, 64)
    """
    return max(min(wanted, open_files // _SHARE - associations), _SHARE)
