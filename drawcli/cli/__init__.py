"""The command line: thin commands, one module for each group."""

import atexit
import gc
import os
import sys
from typing import Final

from drawcli.system.failures import SHORTAGES, is_panic, shortage_behind

# When the garbage collector looks: modules and the jobs of a ledger are many objects, no garbage.
_RARELY: Final = (100_000, 50, 50)


def main() -> None:
    """Run the command line."""
    gc.set_threshold(*_RARELY)
    atexit.register(gc.freeze)  # the interpreter looks twice as it ends: a tenth of a short command
    try:
        from drawcli.cli import program

        program.run()
    except BaseException as err:  # before a command could begin, or as it wrote its result
        may_be = isinstance(err, SHORTAGES) or is_panic(err)
        if "--debug" in sys.argv or not may_be or (short := shortage_behind(err)) is None:
            raise
        os.write(2, f"drawcli: {short}\n  {short.hint}\n".encode())  # needs hardly any memory
        raise SystemExit(short.exit_code) from None
