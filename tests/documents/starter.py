"""Starts drawcli quickly: a process that has imported it forks one child for each command.

The command `drawcli` of the test is a small script that hands its own input, output, folder and
environment to this process, and leaves with the code that comes back. What runs is `main`, in a
process of its own, with everything but the imports.
"""

import gc
import json
import os
import socket
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages

COMMAND = """#!{python} -I
import json, os, socket, sys
door = socket.socket(socket.AF_UNIX)
door.connect({door!r})
said = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
socket.send_fds(door, [len(said).to_bytes(4, "big")], [0, 1, 2])
door.sendall(said)
sys.exit(int(door.makefile().readline() or 70))
"""


def write_command(path: Path, door: Path) -> None:
    """Write the command that talks to this process."""
    path.write_text(COMMAND.format(python=sys.executable, door=str(door)))
    path.chmod(0o755)


def serve(door: Path) -> None:
    """Start commands until this process is ended."""
    import drawcli

    for module in walk_packages(drawcli.__path__, "drawcli."):
        if module.name not in ("drawcli.__main__", "drawcli.pytest_plugin"):
            with suppress(ImportError):  # of an extra that is not there
                import_module(module.name)
    gc.disable()  # a collection would touch, and so copy, every page that parent and child share
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(door))
        listening.listen()
        while True:
            asked, _ = listening.accept()
            with asked:
                head, descriptors, _, _ = socket.recv_fds(asked, 4, 3)
                if not head:  # somebody looked whether we answer
                    continue
                said = asked.makefile("rb").read(int.from_bytes(head, "big"))
                child = os.fork()
                if not child:
                    listening.close()
                    _become(*json.loads(said), descriptors=descriptors)
                for one in descriptors:
                    os.close(one)
                _, status = os.waitpid(child, 0)
                asked.sendall(f"{os.waitstatus_to_exitcode(status)}\n".encode())


def _become(
    words: list[str], folder: str, environment: dict[str, str], *, descriptors: list[int]
) -> None:
    """Run drawcli in this process, and end it."""
    from drawcli.cli import main

    for number, one in enumerate(descriptors):
        os.dup2(one, number)
    for name, number in (("stdout", 1), ("stderr", 2)):  # what was there knows another file
        setattr(sys, name, open(number, "w", encoding="utf-8", closefd=False))  # noqa: SIM115
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["drawcli", *words]
    code: object = 0
    try:
        main()
    except SystemExit as err:
        code = err.code
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code if isinstance(code, int) else 1)


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
