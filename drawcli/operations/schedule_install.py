"""Installs a schedule: writes its files and calls the programs of the system."""

import os
import shlex
import subprocess
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from drawcli.errors import ConfigError, UsageError
from drawcli.operations.schedules import Schedule

READABLE: Final = 0o644
_NOTHING_DONE: Final = "Nothing was installed; choose another with --scheduler, or try again."
_PATIENCE_SECONDS: Final = 60.0


def install(what: Schedule) -> None:
    """Write the files of a schedule and run its commands; existing files are not changed.

    Raises
    ------
    UsageError
        Where a file is there that says something else; then nothing was changed.
    ConfigError
        Where a command fails, or the system does not let this user do it; then the files that
        were written are removed.
    """
    missing = {path: text for path, text in what.files.items() if not path.exists()}
    for path in what.files.keys() - missing.keys():
        if path.read_text(encoding="utf-8") != what.files[path]:
            hint = "Compare it with what 'drawcli init --cron' prints; delete it to have it new."
            raise UsageError(f"{path} is there and says something else", hint=hint)
    with ExitStack() as failing:
        failing.callback(_take_back, what, missing)
        for path, text in missing.items():
            _write(path, text)
        for words in what.commands:
            _call(words)
        failing.pop_all()


def _write(path: Path, text: str) -> None:
    """Write a file of a schedule; raise ConfigError if this user may not."""
    from drawcli.system.files import write_durably

    try:
        write_durably(path, text.encode(), mode=READABLE)
    except PermissionError:
        hint = "Call it with sudo, or print it without --install and put it there yourself."
        raise ConfigError(f"{path} may not be written by this user", hint=hint) from None
    except FileNotFoundError:
        hint = "Make it, or choose another with --scheduler."
        raise ConfigError(f"there is no folder {path.parent} here", hint=hint) from None


def _take_back(what: Schedule, written: Iterable[Path]) -> None:
    """Remove what an installation that failed has written, as far as the system lets it."""
    there = [path for path in written if path.exists()]
    undo = what.undo if there else ()
    _tried(undo[:1])
    for path in there:
        with suppress(OSError):
            path.unlink()
    _tried(undo[1:])


def _tried(commands: Iterable[tuple[str, ...]]) -> None:
    """Run commands, whether or not they fail."""
    for words in commands:
        with suppress(ConfigError):
            _call(words)


def crontab_of(user: str) -> tuple[str, ...]:
    """Return the program that edits the crontab of a user; only root may name another."""
    is_root = hasattr(os, "geteuid") and os.geteuid() == 0
    if is_root and user != "root" and _exists(user):
        return ("crontab", "-u", user)
    return ("crontab",)


def _exists(user: str) -> bool:
    try:
        from pwd import getpwnam
    except ImportError:  # Windows
        return False
    with suppress(KeyError):
        return bool(getpwnam(user))
    return False


def install_cron_line(line: str, crontab: tuple[str, ...] = ("crontab",)) -> str:
    """Add a line to a crontab; return the line that runs the site now.

    A line that runs the site already stays, whatever a person made of it.
    """
    before = _read(crontab)
    run = line[line.index("run-once") :]
    for one in before.splitlines():
        if not one.lstrip().startswith("#") and f"{run} " in f"{one} ":
            return one
    _call((*crontab, "-"), given="\n".join([*before.splitlines(), line, ""]))
    return line


def _read(crontab: tuple[str, ...]) -> str:
    """Return a crontab; "" if there is none."""
    try:
        done = subprocess.run(  # noqa: S603 - one of ours, without a shell
            [*crontab, "-l"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as err:
        what = err.strerror if isinstance(err, OSError) else "it does not end"
        raise ConfigError(f"crontab cannot be started: {what}") from None
    if done.returncode and "no crontab" not in done.stderr:
        raise ConfigError(f"crontab -l says: {done.stderr.strip()}")
    return done.stdout


def _call(words: tuple[str, ...], given: str | None = None) -> None:
    """Run a program of the system; its error output becomes part of the error."""
    try:
        done = subprocess.run(  # noqa: S603 - one of ours, without a shell
            words,
            input=given or "",
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as err:
        why = f"'{shlex.join(words)}' did not go: {type(err).__name__}"
        raise ConfigError(why, hint=_NOTHING_DONE) from None
    if done.returncode:
        said = done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}"
        raise ConfigError(f"'{shlex.join(words)}' says: {said}", hint=_NOTHING_DONE)
