"""`drawcli` on a host of the scenario: its clock is minutes off, and waits take seconds.

Started as `python -m tests.torture.cluster.host WORD ...` with SHIFT in the environment. Processes
that the program starts read this file, too, and so have the same clock.
"""

import os
from datetime import timedelta
from unittest.mock import patch

from drawcli.core.jobs import backoff
from drawcli.operations.workers import worker
from drawcli.pipeline import runner
from drawcli.pipeline.cluster import pressure
from drawcli.pipeline.steps import upload
from tests.torture.forge import shift_clock

_SOON = timedelta(seconds=4)  # in place of minutes, which the scenario does not have


def install(shift: float) -> None:
    """Shift the clock by so many seconds, and shorten the waits."""
    shift_clock(shift)
    for module, name, value in (
        (upload, "BETWEEN_POSTS", _SOON),
        (backoff, "_SHORT_WAIT", _SOON),
        (backoff, "backoff", lambda _tries: _SOON),
        (runner, "_SOON_SECONDS", _SOON.total_seconds()),
        (pressure, "_SOON_SECONDS", _SOON.total_seconds()),
        (worker, "_AGAIN", _SOON),
    ):
        patch.object(module, name, value).start()


if "SHIFT" in os.environ:
    install(float(os.environ["SHIFT"]))

if __name__ == "__main__":
    from drawcli.cli import main

    main()
