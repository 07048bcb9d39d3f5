"""A terminal for programs that behave differently at one."""

import os
import select
import struct
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

_TO_TERMINAL = 'tty=$1; shift; exec "$@" <"$tty" >"$tty" 2>&1'


def at_terminal(
    words: Sequence[str], folder: Path, env: Mapping[str, str], longest_seconds: float
) -> tuple[int, str]:
    """Run a program at a terminal of 80 columns; return its exit code and what was shown."""
    import fcntl
    import pty
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    shell = ["sh", "-c", _TO_TERMINAL, "sh", os.ttyname(theirs), *words]
    shown, until = b"", time.monotonic() + longest_seconds
    with subprocess.Popen(shell, cwd=folder, env=env, start_new_session=True) as typing:
        while typing.poll() is None or select.select([ours], [], [], 0)[0]:
            if select.select([ours], [], [], 0.2)[0]:
                shown += os.read(ours, 1 << 16)
            if time.monotonic() > until:
                typing.kill()
    os.close(theirs)
    os.close(ours)
    return typing.returncode, shown.decode("utf-8", "replace").replace("\r\n", "\n")
