"""The faults that are due in one request to the archive."""

from dataclasses import dataclass
from typing import Final

from drawcli.sandbox.faults import DICOM_STATUS, SLOW, Panel

_OUT_OF_RESOURCES: Final = 0xA700


@dataclass(frozen=True, slots=True)
class Disturbance:
    """The faults of a request: a word or a status, and a rate."""

    what: str = ""  # none
    rate: float | None = None  # bytes per second

    @property
    def status(self) -> int | None:
        """Return the status that is answered instead, if any."""
        if self.what == "full":
            return _OUT_OF_RESOURCES
        return int(self.what, 16) if DICOM_STATUS.fullmatch(self.what) else None

    def seconds(self, size: int) -> float:
        """Return how long so many bytes take."""
        return size / self.rate if self.rate else 0.0


def disturbance(panel: Panel, operation: str) -> Disturbance:
    """Return the faults that are due in a request."""
    faults = panel.next(operation)
    rate = next((fault.rate for fault in faults if fault.what == SLOW), None)
    return Disturbance(next((fault.what for fault in faults if fault.what != SLOW), ""), rate)
