"""A DRAW server on loopback and invented patients, for demonstration, training and tests.

Not for clinical use. It shares no code with the client, so that tests with it are independent.
"""

from typing import Final

NOTICE: Final = "SANDBOX: for demonstration and training only, not for clinical use"
