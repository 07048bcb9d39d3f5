"""The program of the desktop that opens a file or folder, where this session has a desktop."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from drawcli.system.platforms import System, system

_START_SECONDS: Final = 2.0  # an opener that fails does so at once; others may stay open
_DISPLAYS: Final = ("WAYLAND_DISPLAY", "DISPLAY")
_REMOTE: Final = ("SSH_CONNECTION", "SSH_TTY")
_LINUX: Final = (("xdg-open",), ("gio", "open"))


class NoDesktop(Exception):
    """Nothing can be opened in this session; the text says why."""


def opener(env: Mapping[str, str], here: System | None = None) -> list[str]:
    """Return the words of the command that opens a path; [] for the call of Windows.

    Raises
    ------
    NoDesktop
        If there is no desktop, or no program of it.
    """
    is_remote = any(env.get(name) for name in _REMOTE)
    here = here or system()
    if here != "other":
        if is_remote:
            raise NoDesktop("this is a session over ssh")
        return ["open"] if here == "macos" else []
    if not any(env.get(name) for name in _DISPLAYS):
        raise NoDesktop(
            "this is a session over ssh, without a display" if is_remote else "there is no display"
        )
    for program, *words in _LINUX:
        if found := shutil.which(program, path=env.get("PATH")):
            return [found, *words]
    raise NoDesktop("neither xdg-open nor gio is installed")


def open_path(path: Path, env: Mapping[str, str]) -> None:
    """Open a file or folder with the program that the desktop chooses.

    Raises
    ------
    NoDesktop
        If there is none, or it fails.
    """
    words = opener(env)
    try:
        if not words:
            os.startfile(path)  # type: ignore[attr-defined,unused-ignore] # noqa: S606 - Windows
            return
        process = subprocess.Popen(  # noqa: S603 - our own words
            [*words, str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # it lives on when drawcli has ended
        )
    except OSError as err:
        raise NoDesktop(f"it cannot be opened: {err.strerror or type(err).__name__}") from None
    try:
        code = process.wait(_START_SECONDS)
    except subprocess.TimeoutExpired:
        process.returncode = 0  # it shows the file: not ours to wait for
        return
    if code:
        raise NoDesktop(f"{Path(words[0]).name} failed with exit code {code}")
