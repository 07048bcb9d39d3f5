"""Schedules that call `drawcli run-once` every ten minutes: cron, systemd, launchd, Task Scheduler.

The texts are in `site/schedule`; those in `cron/` at the top of the repository are the same, for a
site in /etc/drawcli.
"""

import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from drawcli.errors import ConfigError, UsageError
from drawcli.system.platforms import system

if TYPE_CHECKING:
    from drawcli.config.load import Settings

UNITS: Final = Path("/etc/systemd/system")
LOGROTATE: Final = Path("/etc/logrotate.d")
READABLE: Final = 0o644
_VAR_LIB: Final = Path("/var/lib")
_PATIENCE_SECONDS: Final = 60.0


class Scheduler(StrEnum):
    """A scheduler of an operating system."""

    CRONTAB = "crontab"
    SYSTEMD = "systemd"
    LAUNCHD = "launchd"
    WINDOWS = "windows"
    LOGROTATE = "logrotate"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledSite:
    """The facts of a site that a schedule needs."""

    program: tuple[str, ...]  # the command that starts drawcli
    config: Path
    state_dir: Path
    writable: tuple[Path, ...] = ()  # in addition to state_dir: tokens, structure sets
    user: str = "drawcli"
    group: str = "drawcli"

    @property
    def words(self) -> tuple[str, ...]:
        """The command of one run."""
        return (*self.program, "run-once", "--config", str(self.config))


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The files of a schedule, and the commands that install it."""

    files: Mapping[Path, str] = field(default_factory=dict)
    commands: tuple[tuple[str, ...], ...] = ()
    by_hand: str = ""  # remaining manual steps


def program() -> tuple[str, ...]:
    """Return the command that starts this drawcli from any folder."""
    found = shutil.which("drawcli") or shutil.which("drawcli", path=Path(sys.executable).parent)
    return (found,) if found else (sys.executable, "-m", "drawcli")


def place_of(config: Path, settings: "Settings") -> ScheduledSite:
    """Return the facts of a site that a schedule needs."""
    from drawcli.adapters.delivery.folder import made_below

    folder = settings.deliver.folder
    delivered = [made_below(folder)] if isinstance(folder, Path) else settings.datastore
    figures = settings.metrics.textfile
    kept = [settings.server.token_file.parent, *([figures.parent] if figures else [])]
    user, group = _owner(settings.state_dir)
    return ScheduledSite(
        program=program(),
        config=config,
        state_dir=settings.state_dir,
        writable=tuple(dict.fromkeys([*kept, *delivered])),
        user=user,
        group=group,
    )


def usual_here() -> Scheduler:
    """Return the usual scheduler of this operating system."""
    if (here := system()) != "other":
        return Scheduler.WINDOWS if here == "windows" else Scheduler.LAUNCHD
    return Scheduler.CRONTAB if shutil.which("crontab") else Scheduler.SYSTEMD


def cron_line(words: tuple[str, ...]) -> str:
    """Return the line for `crontab -e`, with % escaped."""
    return "*/10 * * * * " + shlex.join(words).replace("%", r"\%")


def schedule(scheduler: Scheduler, place: ScheduledSite) -> Schedule:
    """Return the files and commands that make a scheduler run a site."""
    return _MAKERS[scheduler](place)


def text_of(name: str, facts: Mapping[str, str]) -> str:
    """Return a template text filled in with the facts of a site."""
    from importlib import resources
    from string import Template

    raw = (resources.files("drawcli") / "data" / "schedule" / name).read_text(encoding="utf-8")
    return Template(raw).substitute(facts)


def install(what: Schedule) -> None:
    """Write the files of a schedule and run its commands; existing files are not changed.

    Raises
    ------
    UsageError
        Where a file is there that says something else; then nothing was changed.
    ConfigError
        Where a command fails, or the system does not let this user do it.
    """
    from drawcli.system.files import write_durably

    missing = {path: text for path, text in what.files.items() if not path.exists()}
    for path in what.files.keys() - missing.keys():
        if path.read_text(encoding="utf-8") != what.files[path]:
            hint = "Compare it with what 'drawcli init --cron' prints; delete it to have it new."
            raise UsageError(f"{path} is there and says something else", hint=hint)
    for path, text in missing.items():
        try:
            write_durably(path, text.encode(), mode=READABLE)
        except PermissionError:
            hint = "Call it with sudo, or print it without --install and put it there yourself."
            raise ConfigError(f"{path} may not be written by this user", hint=hint) from None
        except FileNotFoundError:
            hint = "Make it, or choose another with --scheduler."
            raise ConfigError(f"there is no folder {path.parent} here", hint=hint) from None
    for words in what.commands:
        _call(words)


def install_cron_line(line: str) -> str:
    """Add a line to this user's crontab; return the line that runs the site now.

    A line that runs the site already stays, whatever a person made of it.
    """
    before = _crontab()
    run = line[line.index("run-once") :]
    for one in before.splitlines():
        if not one.lstrip().startswith("#") and f"{run} " in f"{one} ":
            return one
    _call(("crontab", "-"), given="\n".join([*before.splitlines(), line, ""]))
    return line


def _crontab() -> str:
    """Return this user's crontab; "" if there is none."""
    try:
        done = subprocess.run(
            ["crontab", "-l"],  # noqa: S607 - wherever the system has it
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
        raise ConfigError(f"'{shlex.join(words)}' did not go: {type(err).__name__}") from None
    if done.returncode:
        raise ConfigError(f"'{shlex.join(words)}' says: {done.stderr.strip() or done.stdout}")


def _owner(folder: Path) -> tuple[str, str]:
    """Return the names of the user and the group of a folder."""
    try:
        return folder.owner(), folder.group()
    except (OSError, KeyError, NotImplementedError):  # the last one: Windows
        return "drawcli", "drawcli"


def _for_crontab(place: ScheduledSite) -> Schedule:
    return Schedule(by_hand=cron_line(place.words))


def _for_systemd(place: ScheduledSite) -> Schedule:
    has_own = place.state_dir.parent == _VAR_LIB
    state = f"StateDirectory={_unit_word(place.state_dir.name)}\nStateDirectoryMode=0700"
    writable = [f"-{path}" for path in (place.state_dir, *place.writable)]
    facts = {
        "user": place.user,
        "command": " ".join(map(_unit_word, place.words)),
        "state": state if has_own else "# state_dir is not below /var/lib: named in the next line.",
        "writable": " ".join(_unit_word(one, dollars=False) for one in writable),
    }
    units = ("drawcli.service", "drawcli.timer")
    return Schedule(
        files={UNITS / name: text_of(name, facts) for name in units},
        commands=(
            ("systemctl", "daemon-reload"),
            ("systemctl", "enable", "--now", "drawcli.timer"),
        ),
    )


def _for_launchd(place: ScheduledSite) -> Schedule:
    path = Path("~/Library/LaunchAgents/drawcli.plist").expanduser()
    facts = {
        "words": "\n".join(f"    <string>{_xml(word)}</string>" for word in place.words),
        "errors": _xml(str(place.state_dir / "launchd.log")),
    }
    return Schedule(
        files={path: text_of("drawcli.plist", facts)},
        commands=(("launchctl", "load", "-w", str(path)),),
    )


def _for_windows(place: ScheduledSite) -> Schedule:
    folder = place.config.parent
    facts = {
        "command": _xml(place.words[0]),
        "arguments": _xml(subprocess.list2cmdline(place.words[1:])),
        "folder": _xml(str(folder)),
    }
    script = folder / "install-task.ps1"
    return Schedule(
        files={
            folder / "drawcli-task.xml": text_of("drawcli-task.xml", facts),
            script: text_of("install-task.ps1", {}),
        },
        by_hand=f'powershell -ExecutionPolicy Bypass -File "{script}"',
    )


def _for_logrotate(place: ScheduledSite) -> Schedule:
    facts = {
        "logs": f'"{place.state_dir / "logs" / "*.log"}"',
        "user": place.user,
        "group": place.group,
    }
    return Schedule(files={LOGROTATE / "drawcli": text_of("logrotate", facts)})


def _xml(text: str) -> str:
    """Escape a text for an XML element."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _unit_word(word: str, *, dollars: bool = True) -> str:
    """Escape a word for systemd: % and, in commands, $ are special."""
    plain = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    plain = plain.replace("$", "$$") if dollars else plain
    return f'"{plain}"' if " " in plain or "'" in plain else plain


_MAKERS: Final = {
    Scheduler.CRONTAB: _for_crontab,
    Scheduler.SYSTEMD: _for_systemd,
    Scheduler.LAUNCHD: _for_launchd,
    Scheduler.WINDOWS: _for_windows,
    Scheduler.LOGROTATE: _for_logrotate,
}
