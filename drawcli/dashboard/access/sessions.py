"""The sessions of the page, in memory: a restart ends all. The cookie holds the id of one.

A session ends at its time, when it was unused for too long, and when its user, password or key is
no longer what it was at the login.
"""

import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock
from time import time
from typing import Final, NamedTuple

_MOST: Final = 2000  # sessions; the one unused for longest makes room


class SessionLimits(NamedTuple):
    """How long a session lasts."""

    hours: float = 12.0  # from the login
    idle_minutes: float = 60.0  # of a user with a name, without a request; 0: no limit


@dataclass(slots=True, kw_only=True)
class Session:
    """A login."""

    id: str = field(default_factory=lambda: secrets.token_urlsafe(16))
    user: str  # "": with the password of the page
    stamp: str  # of the password, or the key of the user, at the login
    address: str = ""
    roles: frozenset[str] | None = None  # of a user by single sign-on; None: by the file
    began: float = 0.0  # seconds since 1970, as the next two
    seen: float = 0.0
    until: float = 0.0


class Sessions:
    """The sessions of a page; safe for any number of threads."""

    def __init__(self, limits: SessionLimits) -> None:
        self.limits = limits
        self._lock = Lock()
        self._by_id: OrderedDict[str, Session] = OrderedDict()

    def start(self, session: Session) -> Session:
        """Keep a new session."""
        session.began = session.seen = time()
        session.until = session.began + self.limits.hours * 3600
        with self._lock:
            self._by_id[session.id] = session
            while len(self._by_id) > _MOST:
                self._by_id.popitem(last=False)
        return session

    def get(self, session_id: str) -> Session | None:
        """Return a session that has not ended by its time."""
        with self._lock:
            session = self._by_id.get(session_id)
            if session is not None and self._is_over(session):
                del self._by_id[session_id]
                return None
            return session

    def use(self, session: Session) -> None:
        """Note that its user has just used a session."""
        with self._lock:
            session.seen = time()
            if session.id in self._by_id:
                self._by_id.move_to_end(session.id)

    def end(self, session_id: str) -> None:
        """End a session."""
        with self._lock:
            self._by_id.pop(session_id, None)

    def end_all(self, user: str) -> None:
        """End all sessions of a user."""
        with self._lock:
            for session in [one for one in self._by_id.values() if one.user == user]:
                del self._by_id[session.id]

    def list(self, is_valid: Callable[[Session], bool]) -> list[Session]:
        """Return the sessions that have not ended, newest use first."""
        with self._lock:
            found = [one for one in self._by_id.values() if not self._is_over(one)]
        return [session for session in reversed(found) if is_valid(session)]

    def _is_over(self, session: Session) -> bool:
        now, idle = time(), self.limits.idle_minutes * 60
        has_idled = bool(session.user and idle) and now >= session.seen + idle
        return now >= session.until or has_idled
