"""Quality assurance of contours: compares two structure sets, without site, server or ledger."""

from typing import Final

DEFAULT_TAU_MM: Final = 3.0  # tolerance of surface Dice and added path length
