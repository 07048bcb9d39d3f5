"""Who guesses passwords is made to wait, longer each time."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Final

FREE: Final = 5  # wrong ones without a wait
_LONGEST_SECONDS: Final = 900.0
_MOST: Final = 1000  # addresses that are kept in mind


@dataclass(slots=True)
class _Record:
    wrong: int = 0
    until: float = 0.0


class Attempts:
    """How often each address was wrong, and until when it waits."""

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._records: OrderedDict[str, _Record] = OrderedDict()

    def wait_seconds(self, address: str) -> float:
        """Return how long an address has to wait before it is listened to; 0: not at all."""
        record = self._records.get(address)
        return 0.0 if record is None else max(record.until - self._clock(), 0.0)

    def failed(self, address: str) -> None:
        """Note a wrong password; the wait doubles with each above the first few."""
        record = self._records.setdefault(address, _Record())
        self._records.move_to_end(address)
        record.wrong += 1
        if record.wrong >= FREE:
            span = min(2.0 ** min(record.wrong - FREE, 30), _LONGEST_SECONDS)
            record.until = self._clock() + span
        while len(self._records) > _MOST:
            self._records.popitem(last=False)

    def succeeded(self, address: str) -> None:
        """Forget what was wrong."""
        self._records.pop(address, None)
