"""`drawcli receive` as a process that kills itself: python -m tests.torture.receiver

The order is JSON in ORDER, as that of the forge; a write to a file is an effect, too.
"""

import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drawcli.cli import main
from tests.torture.forge import Effects


def locked(function: Callable[..., Any], lock: threading.RLock) -> Callable[..., Any]:
    """Return a function that one thread calls at a time, so that effects are counted in order."""

    def call(*args: Any, **more: Any) -> Any:
        with lock:
            return function(*args, **more)

    return call


if __name__ == "__main__":
    order = json.loads(os.environ["ORDER"])
    effects = Effects(order)
    setattr(effects, "strike", locked(effects.strike, threading.RLock()))  # noqa: B010
    effects.install()
    written = os.write

    def write(descriptor: int, data: Any) -> int:
        """Count a write before it, and in its middle, as a cut of a large one."""
        effects.strike()
        half = len(data) // 2
        if half > 1000:
            written(descriptor, data[:half])
            effects.strike()
            return half + written(descriptor, data[half:])
        return written(descriptor, data)

    os.write = write
    sys.argv = ["drawcli", "receive"]
    try:
        main()
    finally:
        Path("effects").write_text(str(effects.count))
