"""External programs, limited in time and output.

A program runs in its own session. When it times out or prints too much, it is told to end, so that
it can remove its locks. Then, as when it ends by itself, the whole session is killed, so that no
child process stays behind. A process that cannot be killed because it waits for a disk is
abandoned.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import IO, Any, Final, NamedTuple, cast

from drawcli.errors import OutOfMemory, OutOfResources
from drawcli.system.failures import in_words, shortage_behind
from drawcli.system.network.limit import Limit, bytes_in_words
from drawcli.system.platforms import end_session
from drawcli.system.threads import run_in_thread

_PIECE: Final = 64 << 10
_GRACE_SECONDS: Final = 1.0  # to read the last output of a program that has ended, or to let it end


class ProgramResult(NamedTuple):
    """How a program ended."""

    code: int | None = None  # None: it could not be started, or was killed
    output: bytes = b""
    why: str = ""  # the reason where code is None: "did not end within 30 s"
    shortage: OutOfMemory | None = None  # why it could not be started: no fault of the program


def run_program(
    words: Sequence[str],
    limit: Limit,
    given: bytes = b"",
    *,
    environment: Mapping[str, str] | None = None,
    with_errors: bool = False,
) -> ProgramResult:
    """Run a program without a shell; return how it ended and what it printed.

    Parameters
    ----------
    words
        The program and its arguments.
    limit
        The seconds that it may run, and the bytes that it may print.
    given
        Its standard input.
    environment
        Variables that it has beside those of this process.
    with_errors
        Whether its standard error is part of the output; otherwise it is discarded.
    """
    try:
        process = subprocess.Popen(  # noqa: S603 - words of the settings, or our own
            list(words),
            stdin=subprocess.PIPE if given else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if with_errors else subprocess.DEVNULL,
            env=None if environment is None else os.environ | environment,
            bufsize=0,
            start_new_session=True,
        )
    except (OSError, ValueError) as err:
        why = f"cannot be started: {in_words(err)}"
        return ProgramResult(why=why, shortage=_shortage(err))
    try:
        return _wait_for(process, limit, given)
    finally:
        end_session(process)


def _shortage(err: Exception) -> OutOfMemory | None:
    """Return the shortage for which a program could not be started; None if there is none."""
    if isinstance(err, BlockingIOError):  # EAGAIN: the process table is full
        return OutOfResources("the system starts no further process")
    return shortage_behind(err)


def _wait_for(process: "subprocess.Popen[bytes]", limit: Limit, given: bytes) -> ProgramResult:
    """Wait for a program within its limit; its children may keep its output open."""
    deadline, printed = monotonic() + limit.seconds, bytearray()
    too_much = ProgramResult(why=f"printed more than {bytes_in_words(limit.largest)}")
    if process.stdin is not None:
        run_in_thread(partial(_feed, process.stdin, given))
    reading = run_in_thread(
        partial(_read, cast("IO[bytes]", process.stdout), printed, limit.largest)
    )
    ending = run_in_thread(process.wait)
    both: list[Future[Any]] = [reading, ending]
    wait(both, limit.seconds, FIRST_COMPLETED)
    if len(printed) > limit.largest:
        _ask_to_end(process, ending)
        return too_much
    wait([ending], max(deadline - monotonic(), 0.0))
    if not ending.done():
        _ask_to_end(process, ending)
        return ProgramResult(why=f"did not end within {limit.seconds:g} s")
    end_session(process)
    wait([reading], _GRACE_SECONDS)
    return (
        too_much if len(printed) > limit.largest else ProgramResult(ending.result(), bytes(printed))
    )


def _ask_to_end(process: "subprocess.Popen[bytes]", ending: "Future[int]") -> None:
    """Let a program remove its locks before it is killed."""
    with suppress(OSError):
        process.terminate()
    wait([ending], _GRACE_SECONDS)


def _feed(stream: IO[bytes], given: bytes) -> None:
    """Write the standard input of a program."""
    with suppress(OSError), stream:
        left = memoryview(given)
        while left:
            left = left[stream.write(left) :]


def _read(stream: IO[bytes], printed: bytearray, most: int) -> None:
    """Read the output of a program, until it exceeds the limit."""
    with suppress(OSError), stream:
        while len(printed) <= most and (piece := stream.read(_PIECE)):
            printed += piece
