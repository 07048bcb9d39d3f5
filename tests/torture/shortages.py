"""Shortages of memory, descriptors, threads and processes, made in the process that has them.

An order names one of them:

    memory      the address space may grow by so many bytes from now on (RLIMIT_AS)
    no_memory   the allocation of this number fails, as those of the `for` following it do
    files       so many descriptors may be open (RLIMIT_NOFILE)
    no_file     the opening of this number fails, as those of the `for` following it do: of a file,
                a folder, a socket or a database, as when the system has no more descriptors
    threads     so many threads may be started, then the system has none
    processes   so many programs and processes may be started, then the process table is full

The last two are counted in Python, with the errors that Linux gives: limits of the system count
the threads of a user, whom a test shares with other processes.
"""

import _posixsubprocess
import _thread
import errno
import gc
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable
from multiprocessing import util
from pathlib import Path
from typing import Any, Final

NAMES: Final = ("memory", "no_memory", "files", "no_file", "threads", "processes")
_OPENINGS: Final = frozenset(
    {"open", "os.scandir", "os.listdir", "socket.__new__", "sqlite3.connect"}
)
_opened = [0]
NO_THREAD: Final = "can't start new thread"  # the text of Python's error


def install(order: dict[str, Any]) -> None:
    """Make the shortage of an order, the last thing before drawcli begins."""
    if "threads" in order:
        threads(int(order["threads"]))
    if "processes" in order:
        processes(int(order["processes"]))
    if "files" in order:
        _limit(resource.RLIMIT_NOFILE, int(order["files"]))
    failing = int(order.get("no_file", 0))
    _count_openings(range(failing, failing + int(order.get("for", 1))) if failing else range(0))
    if "memory" in order:
        gc.collect()
        _limit(resource.RLIMIT_AS, address_space() + int(order["memory"]))
    if "no_memory" in order:
        import _testcapi  # type: ignore[import-not-found] # of CPython, for its own tests

        first = int(order["no_memory"])
        _testcapi.set_nomemory(first, first + int(order.get("for", 1)))


def end(order: dict[str, Any]) -> None:
    """End a shortage of allocations, so that the process can report its end."""
    if "no_memory" in order:
        import _testcapi

        _testcapi.remove_mem_hooks()


def opened() -> int:
    """Return how many files, folders, sockets and databases were opened."""
    return _opened[0]


def threads(most: int) -> None:
    """Let so many threads start; then raise what Python raises without resources."""
    start = _at_most(_thread.start_new_thread, most, RuntimeError(NO_THREAD))
    setattr(threading, "_start_new_thread", start)  # noqa: B010 - a name of the library
    setattr(_thread, "start_new_thread", start)  # noqa: B010 - likewise


def processes(most: int) -> None:
    """Let so many processes start; then raise what fork raises when the process table is full."""
    full = BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    start = _at_most(_posixsubprocess.fork_exec, most, full)
    for module, name in ((subprocess, "_fork_exec"), (_posixsubprocess, "fork_exec")):
        if hasattr(module, name):
            setattr(module, name, start)
    setattr(util, "_posixsubprocess", _posixsubprocess)  # noqa: B010 - of multiprocessing
    for name in ("fork", "posix_spawn", "posix_spawnp"):
        setattr(os, name, _at_most(getattr(os, name), most, full))


def address_space() -> int:
    """Return the address space of this process, bytes."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    return pages * resource.getpagesize()


def _count_openings(failing: range) -> None:
    """Count what is opened from now on; make some of it fail."""

    def audit(event: str, _: tuple[object, ...]) -> None:
        if event in _OPENINGS:
            _opened[0] += 1
            if _opened[0] in failing:
                raise OSError(errno.ENFILE, os.strerror(errno.ENFILE))

    sys.addaudithook(audit)


def _at_most(function: Callable[..., Any], most: int, err: Exception) -> Callable[..., Any]:
    left = [most]

    def call(*args: Any, **more: Any) -> Any:
        if not left[0]:
            raise err
        left[0] -= 1
        return function(*args, **more)

    return call


def _limit(which: int, value: int) -> None:
    _, hard = resource.getrlimit(which)
    resource.setrlimit(which, (value, hard))
