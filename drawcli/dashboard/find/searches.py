"""Searches for patients, kept in memory under random ids: no address holds what was searched."""

import secrets
from collections import OrderedDict
from threading import Lock
from time import monotonic
from typing import Final, NamedTuple

_MOST: Final = 200  # searches that are kept
_SECONDS: Final = 3600.0
LONGEST: Final = 100  # characters of a search


class PatientSearch(NamedTuple):
    """What was searched, and by which session."""

    words: str
    day: str  # yyyy-mm-dd; "": any
    session: str
    at: float  # by the monotonic clock


class Searches:
    """The last searches of all sessions."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[str, PatientSearch] = OrderedDict()

    def add(self, words: str, day: str, session: str) -> str:
        """Keep a search; return its id."""
        number = secrets.token_urlsafe(16)
        with self._lock:
            self._kept[number] = PatientSearch(words[:LONGEST], day[:10], session, monotonic())
            while len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        return number

    def get(self, number: str, session: str) -> PatientSearch | None:
        """Return a search of this session; None if there is none any more."""
        with self._lock:
            found = self._kept.get(number)
        is_own = found is not None and found.session == session
        return found if found and is_own and monotonic() - found.at < _SECONDS else None
