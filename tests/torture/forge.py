"""Runs drawcli as processes that kill themselves: a helper that has it loaded, and forks.

Started as `python -m tests.torture.forge`; with `--all` it has also loaded what runs load later,
which saves them a sixth of their CPU time. Each line on its standard input is one run: JSON with
`words`, `folder`, and what shall go wrong; each line on its standard output the end of that run. A
fork costs a tenth of a fresh interpreter, so that thousands of kills take minutes.

With `power` the power fails then. `fail_at` and `errno` let an effect fail instead, as a disk does,
or as an allocation for it does (ENOMEM is a MemoryError); `clock` shifts the time; `shortages.py`
says how memory, descriptors, threads and processes run short.

An effect is an fsync, a rename, a link, a removal, a file or folder made, or the moment before or
after a request: whatever changes the world. `kill_at` is the effect at which the run kills itself.
A run that does not end within `seconds` is ended by a signal.
"""

import builtins
import contextlib
import errno
import importlib
import io
import json
import os
import pkgutil
import signal
import sys
import time
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any, Final, Self

import httpx

import drawcli
import drawcli.cli
import drawcli.pipeline.context
from tests.torture import shortages
from tests.torture.power import Disk

_LOADED_LATER: Final = (  # what runs load of other packages when they need it
    "cryptography.hazmat.primitives.ciphers.aead",
    "h2.connection",
    "httpcore",
)
_COUNTED: Final = ("fsync", "replace", "rename", "link", "unlink", "mkdir")


class Effects:
    """Counts what changes the world, and strikes at one of them."""

    def __init__(self, order: dict[str, Any]) -> None:
        self.count = 0
        self._kill_at = int(order.get("kill_at", 0))
        self._fail_at = int(order.get("fail_at", 0))
        self._fail_on = int(order.get("fail_on", 1))  # so many effects in a row
        self._errno = int(order.get("errno", 0))
        self._disk = Disk() if order.get("power") else None

    def install(self) -> None:
        """Count every effect from now on."""
        if self._disk is not None:
            self._disk.install()
        for name in _COUNTED:
            setattr(os, name, self._counted(getattr(os, name)))
        os.open = self._counted_open(os.open)
        through_os_open()
        if not self._fail_at:
            setattr(httpx.Client, "send", self._counted(httpx.Client.send, behind=True))  # noqa: B010

    def strike(self) -> None:
        """Let one effect pass, or die here as the machine would."""
        self.count += 1
        if self.count == self._kill_at:
            if self._disk is not None:
                self._disk.cut()
            os.kill(os.getpid(), signal.SIGKILL)
        if 0 <= self.count - self._fail_at < self._fail_on and self._fail_at:
            if self._errno == errno.ENOMEM:
                raise MemoryError
            raise OSError(self._errno, os.strerror(self._errno))

    def _counted(self, function: Callable[..., Any], *, behind: bool = False) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            self.strike()
            answer = function(*args, **more)
            if behind:
                self.strike()
            return answer

        return call

    def _counted_open(self, function: Callable[..., int]) -> Callable[..., int]:
        """Strike behind the making of a file: it is there, and empty."""

        def call(path: Any, flags: int, *args: Any, **more: Any) -> int:
            descriptor = function(path, flags, *args, **more)
            if flags & os.O_CREAT:
                self.strike()
            return descriptor

        return call


def through_os_open() -> None:
    """Let `open` and `Path.open` make their files by os.open, which is watched."""
    opened = io.open

    def call(file: Any, mode: str = "r", *args: Any, **more: Any) -> Any:
        if isinstance(file, str | os.PathLike) and not set("rb") >= set(mode):
            more.setdefault("opener", os.open)
        return opened(file, mode, *args, **more)

    for module in (io, builtins):
        setattr(module, "open", call)  # noqa: B010 - a name of the standard library


def shift_clock(seconds: float) -> None:
    """Let drawcli believe that it is another time."""

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Self:
            now = datetime.now(tz) + timedelta(seconds=seconds)
            return cls.fromtimestamp(now.timestamp(), tz)

    setattr(drawcli.pipeline.context, "datetime", Shifted)  # noqa: B010 - a name that it imports


def child(order: dict[str, Any]) -> None:
    """Be one run of drawcli; never return."""
    signal.alarm(order["seconds"])
    folder = Path(order["folder"])
    os.chdir(folder)
    for number, name in ((1, "out"), (2, "err")):
        opened = os.open(folder / f"last.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, number)
    os.environ.clear()
    os.environ.update({"HOME": str(folder), "PATH": os.defpath})
    sys.argv = ["drawcli", *order["words"]]
    if order.get("clock"):
        shift_clock(order["clock"])
    effects, unwatched = Effects(order), io.open
    effects.install()
    code = 0
    with unwatched(folder / "last.effects", "w", encoding="ascii") as counted:
        shortages.install(order)
        try:
            drawcli.cli.main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        shortages.end(order)
        counted.write(f"{effects.count} {shortages.opened()}")
        counted.flush()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def main() -> None:
    """Take orders until there are no more."""
    for module in pkgutil.walk_packages(drawcli.__path__, "drawcli."):
        if not module.name.startswith(("drawcli.sandbox", "drawcli.__main__")):
            importlib.import_module(module.name)  # once, and not in every child
    for name in _LOADED_LATER if "--all" in sys.argv else ():
        importlib.import_module(name)
    import pydicom.datadict
    import shapely  # noqa: F401 - likewise

    _ = pydicom.datadict.keyword_dict
    for line in sys.stdin:
        order = json.loads(line)
        begun = time.monotonic()
        pid = os.fork()
        if not pid:
            child(order)
        _, status = os.waitpid(pid, 0)
        ended = {"code": os.waitstatus_to_exitcode(status), "seconds": time.monotonic() - begun}
        sys.stdout.write(json.dumps(ended) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
