"""How many lines of the log strangers may cause: a flood must not push out what others logged."""

from math import inf
from typing import Final

LINES: Final = 60  # a minute
_MINUTE: Final = 60.0


class LogBudget:
    """A number of lines a minute; what is above it is counted."""

    def __init__(self) -> None:
        self._since = -inf
        self._left = 0
        self.suppressed = 0  # lines, until the caller has reported them

    def allows(self, now: float) -> bool:
        """Return whether a line may be logged, by the monotonic clock; count it if not."""
        if now >= self._since + _MINUTE:
            self._since, self._left = now, LINES
        self._left -= 1
        if self._left >= 0:
            return True
        self.suppressed += 1
        return False
