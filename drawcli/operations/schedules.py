"""Schedules that call `drawcli run-once` every ten minutes: cron, systemd, launchd, Task Scheduler.

The texts are in `site/schedule`; those in `cron/` at the top of the repository are the same, for a
site in /etc/drawcli.
"""

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from drawcli.system.platforms import system

if TYPE_CHECKING:
    from drawcli.config.load import Settings

UNITS: Final = Path("/etc/systemd/system")
PLAIN_NAME: Final = "drawcli"
_USUAL_FOLDER: Final = Path("/etc/drawcli")
LOGROTATE: Final = Path("/etc/logrotate.d")
_VAR_LIB: Final = Path("/var/lib")
ALWAYS: Final = {  # commands that a unit of systemd keeps running, and what it says of them
    "worker": (
        "Does each step of each job as soon as it is due, in place of runs by the clock.",
        "worker: does the steps of jobs, with a ledger in PostgreSQL",
    ),
    "dashboard": (
        "The web page. Options, such as --host and --tls-cert, go to the end of ExecStart.",
        "dashboard: the web page of a site",
    ),
}


class Scheduler(StrEnum):
    """A scheduler of an operating system."""

    CRONTAB = "crontab"
    CRON = "cron"  # the same
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
    command: str = "run-once"

    @property
    def name(self) -> str:
        """The name of its units and tasks: `drawcli` in /etc/drawcli, else with its folder.

        A unit `drawcli` that runs this site already, from an earlier version, is kept.
        """
        earlier = UNITS / f"{PLAIN_NAME}.service"
        if self.config.parent == _USUAL_FOLDER or _runs(earlier, self):
            return PLAIN_NAME
        return f"{PLAIN_NAME}-{'-'.join(re.findall('[A-Za-z0-9_.]+', str(self.config.parent)))}"

    @property
    def words(self) -> tuple[str, ...]:
        """The command line."""
        return (*self.program, self.command, "--config", str(self.config))


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """The files of a schedule, and the commands that install it."""

    files: Mapping[Path, str] = field(default_factory=dict)
    commands: tuple[tuple[str, ...], ...] = ()
    undo: tuple[tuple[str, ...], ...] = ()  # if one fails: before and after files are removed
    by_hand: str = ""  # remaining manual steps


def program() -> tuple[str, ...]:
    """Return the command that starts this drawcli from any folder."""
    found = shutil.which("drawcli") or shutil.which("drawcli", path=Path(sys.executable).parent)
    return (found,) if found else (sys.executable, "-m", "drawcli")


def place_of(config: Path, settings: "Settings") -> ScheduledSite:
    """Return the facts of a site that a schedule needs."""
    from drawcli.adapters.delivery.folder import made_below

    delivered: list[Path] = []
    for folder in settings.deliver.folders:
        delivered += [made_below(folder)] if isinstance(folder, Path) else settings.datastore
    figures, work = settings.metrics.textfile, Path(settings.cluster.work)
    kept = [settings.server.token_file.parent, *([figures.parent] if figures else [])]
    pulled = [source.folder for source in settings.pull.sources if source.folder is not None]
    shared = [work] if work.is_absolute() else []  # else `host`, or an object store
    user, group = _owner(settings.state_dir)
    return ScheduledSite(
        program=program(),
        config=config,
        state_dir=settings.state_dir,
        writable=tuple(dict.fromkeys([*kept, *delivered, *pulled, *shared])),
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


def _owner(folder: Path) -> tuple[str, str]:
    """Return the names of the user and the group of a folder."""
    try:
        return folder.owner(), folder.group()
    except (OSError, KeyError, NotImplementedError):  # the last one: Windows
        return "drawcli", "drawcli"


def _runs(unit: Path, place: ScheduledSite) -> bool:
    """Return whether a unit runs a site."""
    try:
        text = unit.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    command = " ".join(map(unit_word, place.words[len(place.program) :]))
    return text.find(f" {command}\n") >= 0


def _for_crontab(place: ScheduledSite) -> Schedule:
    return Schedule(by_hand=cron_line(place.words))


def _for_systemd(place: ScheduledSite) -> Schedule:
    facts = unit_facts(place) | {"name": place.name}
    service, timer = (f"{place.name}.{kind}" for kind in ("service", "timer"))
    return Schedule(
        files={
            UNITS / service: text_of("drawcli.service", facts),
            UNITS / timer: text_of("drawcli.timer", facts),
        },
        commands=(
            ("systemctl", "daemon-reload"),
            ("systemctl", "enable", "--now", timer),
        ),
        undo=(("systemctl", "disable", "--now", timer), ("systemctl", "daemon-reload")),
    )


def always(place: ScheduledSite) -> Schedule:
    """Return the unit of systemd that keeps a command of `ALWAYS` running."""
    about, description = ALWAYS[place.command]
    facts = unit_facts(place) | {"about": about, "description": f"drawcli {description}"}
    name = f"{place.name}-{place.command}.service"
    return service_unit(name, text_of("drawcli-always.service", facts))


def service_unit(name: str, text: str) -> Schedule:
    """Return a unit of systemd that is started now and with the machine."""
    return Schedule(
        files={UNITS / name: text},
        commands=(("systemctl", "daemon-reload"), ("systemctl", "enable", "--now", name)),
        undo=(("systemctl", "disable", "--now", name), ("systemctl", "daemon-reload")),
    )


def unit_facts(place: ScheduledSite) -> dict[str, str]:
    """Return what every unit of systemd says of its site."""
    writable = [f"-{path}" for path in (place.state_dir, *place.writable)]
    return {
        "user": place.user,
        "command": " ".join(map(unit_word, place.words)),
        "state": _state_lines(place),
        "writable": " ".join(unit_word(one, dollars=False) for one in writable),
    }


def _state_lines(place: ScheduledSite) -> str:
    """Return the lines of a unit that let systemd make a state folder below /var/lib."""
    if place.state_dir.parent != _VAR_LIB:
        return "# state_dir is not below /var/lib: named in the next line."
    return f"StateDirectory={unit_word(place.state_dir.name)}\nStateDirectoryMode=0700"


def for_launchd(place: ScheduledSite, suffix: str = "") -> Schedule:
    """Return an agent of launchd; `suffix` ends the names of what is no run: "-receive"."""
    path = Path(f"~/Library/LaunchAgents/{place.name}{suffix}.plist").expanduser()
    facts = {
        "name": place.name,
        "words": "\n".join(f"    <string>{xml_text(word)}</string>" for word in place.words),
        "errors": xml_text(str(place.state_dir / f"launchd{suffix}.log")),
    }
    return Schedule(
        files={path: text_of(f"drawcli{suffix}.plist", facts)},
        commands=(("launchctl", "load", "-w", str(path)),),
        undo=(("launchctl", "unload", "-w", str(path)),),
    )


def for_windows(place: ScheduledSite, suffix: str = "", script: str = "install-task") -> Schedule:
    """Return a task of Windows; `script`, without its ending, registers it for a person."""
    folder = place.config.parent
    facts = {
        "command": xml_text(place.words[0]),
        "arguments": xml_text(subprocess.list2cmdline(place.words[1:])),
        "folder": xml_text(str(folder)),
    }
    file = folder / f"{script}.ps1"
    return Schedule(
        files={
            folder / f"drawcli{suffix}-task.xml": text_of(f"drawcli{suffix}-task.xml", facts),
            file: text_of(file.name, {"name": place.name}),
        },
        by_hand=f'powershell -ExecutionPolicy Bypass -File "{file}"',
    )


def _for_logrotate(place: ScheduledSite) -> Schedule:
    facts = {
        "logs": f'"{place.state_dir / "logs" / "*.log"}"',
        "user": place.user,
        "group": place.group,
    }
    return Schedule(files={LOGROTATE / place.name: text_of("logrotate", facts)})


def xml_text(text: str) -> str:
    """Escape a text for an XML element."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def unit_word(word: str, *, dollars: bool = True) -> str:
    """Escape a word for systemd: % and, in commands, $ are special."""
    plain = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    plain = plain.replace("$", "$$") if dollars else plain
    return f'"{plain}"' if " " in plain or "'" in plain else plain


_MAKERS: Final = {
    Scheduler.CRONTAB: _for_crontab,
    Scheduler.CRON: _for_crontab,
    Scheduler.SYSTEMD: _for_systemd,
    Scheduler.LAUNCHD: for_launchd,
    Scheduler.WINDOWS: for_windows,
    Scheduler.LOGROTATE: _for_logrotate,
}
