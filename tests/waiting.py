"""Waiting for what takes milliseconds, on machines of any speed."""

import socket
import time
from collections.abc import Callable
from typing import Final

import pytest

PATIENCE: Final = 120.0  # seconds: a sign of life, not a speed


def wait_until(is_so: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > deadline:
            pytest.fail("it never happened")
        time.sleep(0.01)


def longest_pause(call: Callable[[], object], times: int, seconds: float) -> float:
    """Call something again and again, and sleep after each time; return the longest interval."""
    longest, last = 0.0, time.monotonic()
    for _ in range(times):
        call()
        time.sleep(seconds)
        now = time.monotonic()
        longest, last = max(longest, now - last), now
    return longest


def wait_for_port(port: int) -> None:
    """Wait until a program listens on this machine."""
    wait_until(lambda: _is_open(port))


def _is_open(port: int) -> bool:
    with socket.socket() as trial:
        return trial.connect_ex(("127.0.0.1", port)) == 0
