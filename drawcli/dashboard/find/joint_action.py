"""Actions on several jobs at once, kept in memory under random ids with what has come of them."""

import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, NamedTuple

_MOST_KEPT: Final = 20  # actions whose outcomes are in memory


class JobOutcome(NamedTuple):
    """What was done to one of the selected jobs."""

    job: str
    text: str
    done: bool = True


@dataclass(slots=True)
class JointAction:
    """An action on several jobs, and what has come of it so far."""

    action: str
    total: int
    session: str
    outcomes: list[JobOutcome] = field(default_factory=list)

    @property
    def failed(self) -> int:
        """The number of jobs that were left as they were."""
        return sum(not one.done for one in self.outcomes)


class JointActions:
    """The last actions on several jobs, by random ids."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._kept: OrderedDict[str, JointAction] = OrderedDict()

    def add(self, action: JointAction) -> str:
        """Keep an action; return its id."""
        number = secrets.token_urlsafe(12)
        with self._lock:
            self._kept[number] = action
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)
        return number

    def get(self, number: str, session: str) -> JointAction | None:
        """Return an action of this session; None if there is none any more."""
        found = self._kept.get(number)
        return found if found is not None and found.session == session else None

    @property
    def stamp(self) -> int:
        """What changes with every outcome."""
        with self._lock:
            return sum(len(one.outcomes) for one in self._kept.values())
