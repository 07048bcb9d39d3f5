"""The command line: thin commands, one module for each group."""

import atexit
import gc
from typing import Final

# When the garbage collector looks: modules and the jobs of a ledger are many objects, no garbage.
_RARELY: Final = (100_000, 50, 50)


def main() -> None:
    """Run the command line."""
    gc.set_threshold(*_RARELY)
    atexit.register(gc.freeze)  # the interpreter looks twice as it ends: a tenth of a short command
    from drawcli.cli import program

    program.run()
