"""A program that cannot be started: a fault of the program, or a shortage of the system."""

import errno
import os
import subprocess

import pytest

from drawcli.errors import OutOfMemory, OutOfResources
from drawcli.system.limits import EXCHANGES
from drawcli.system.programs import run_program

LIMIT = EXCHANGES["token-command"]


@pytest.mark.parametrize(
    ("number", "shortage"),
    [
        (errno.EAGAIN, OutOfResources),
        (errno.EMFILE, OutOfResources),
        (errno.ENFILE, OutOfResources),
        (errno.ENOMEM, OutOfMemory),
    ],
)
def test_a_shortage_of_the_system_is_no_fault_of_the_program(
    monkeypatch: pytest.MonkeyPatch, number: int, shortage: type[OutOfMemory]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(subprocess, "Popen", full)

    ended = run_program(["true"], LIMIT)

    assert type(ended.shortage) is shortage
    assert ended.why.startswith("cannot be started: ")


def test_a_program_that_is_not_there_is_no_shortage() -> None:
    ended = run_program(["/no/such/program"], LIMIT)

    assert ended == (None, b"", "cannot be started: no such file or directory", None)
