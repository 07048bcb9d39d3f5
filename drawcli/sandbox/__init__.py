"""A DRAW server on loopback, with patients that were never born: for demonstration and training.

Nothing in this folder is meant for clinical use, and it shares no code with the client: only so is
it an honest peer for tests.
"""

from typing import Final

NOTICE: Final = "SANDBOX: for demonstration and training only, not for clinical use"
