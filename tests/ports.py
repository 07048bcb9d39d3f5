"""Ports for programs that cannot take any free one themselves."""

import os
import socket
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Final

_FIRST: Final = 10_000
_APART: Final = 97  # ports between those of two processes with consecutive numbers
_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_taken = count()


def free_port() -> int:
    """Return a port on which nothing listens, and which the system gives to nobody else.

    A port that the system chose (0) may be given to another process between its release here and
    the start of the program that is to listen. These are outside of the range that it chooses from.
    """
    span = _first_of_the_system() - _FIRST
    if span < 10 * _APART:
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            return int(free.getsockname()[1])
    while True:
        port = _FIRST + (_APART * os.getpid() + next(_taken)) % span
        try:
            with closing(socket.create_server(("127.0.0.1", port))):
                return port
        except OSError:  # something listens there
            continue


def _first_of_the_system() -> int:
    """Return the first port that the system chooses for a connection, or for port 0."""
    try:
        return int(_RANGE.read_text().split()[0])
    except OSError:
        return 32_768  # that of Linux; of other systems it is higher
