"""init --cron: the schedule of a site and its services, shown or installed."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from drawcli.cli.door import Door
from drawcli.cli.render import Result
from drawcli.errors import UsageError
from drawcli.operations.schedules import Scheduler

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from drawcli.config.load import Settings
    from drawcli.operations.schedules import Schedule


def scheduled(
    door: Door,
    config: Path,
    made: "Callable[[Path, Settings], tuple[Scheduler, Schedule]]",
    *,
    install: bool,
    dry_run: bool,
) -> Result:
    """Show the schedule of a site, or install it."""
    from drawcli.operations import schedule_install, schedules

    settings = door.settings(config)
    scheduler, what = made(config, settings)
    line = what.by_hand
    if install and not dry_run:
        schedule_install.install(what)
        if scheduler in (Scheduler.CRONTAB, Scheduler.CRON):
            user = schedules.place_of(config, settings).user
            line = schedule_install.install_cron_line(line, schedule_install.crontab_of(user))
    data = {
        "scheduler": str(scheduler),
        "files": {str(path): text for path, text in what.files.items()},
        "commands": [list(words) for words in what.commands],
        "by_hand": what.by_hand,
        "installed": install and not dry_run,
    }
    show = _told(what, line, "would be " if dry_run else "") if install else _printed(what)
    return Result(data=data, show=show)


def runs(
    chosen: Scheduler | None, config: Path, settings: "Settings"
) -> "tuple[Scheduler, Schedule]":
    """Return what runs a site every ten minutes."""
    from drawcli.operations import schedules

    scheduler = chosen or schedules.usual_here()
    return scheduler, schedules.schedule(scheduler, schedules.place_of(config, settings))


def service(
    chosen: Scheduler | None, config: Path, settings: "Settings"
) -> "tuple[Scheduler, Schedule]":
    """Return what keeps the listener of a site running."""
    from drawcli.operations.receive import service as services

    scheduler = chosen or services.usual_here()
    made = services.receive_service(scheduler, config, settings)
    if made is None:
        raise UsageError(
            f"{scheduler} keeps no service running",
            hint="Choose --scheduler systemd, launchd or windows.",
        )
    return scheduler, made


def kept(
    command: str, chosen: Scheduler | None, config: Path, settings: "Settings"
) -> "tuple[Scheduler, Schedule]":
    """Return the unit of systemd that keeps a command of a site running."""
    from dataclasses import replace

    from drawcli.operations import schedules

    if chosen not in (None, Scheduler.SYSTEMD):
        raise UsageError(f"{chosen} does not keep 'drawcli {command}' running: only systemd")
    if command == "worker" and not settings.ledger:
        raise UsageError("a worker needs a ledger in a database, and this site has its in a file")
    place = replace(schedules.place_of(config, settings), command=command)
    return Scheduler.SYSTEMD, schedules.always(place)


def _printed(what: "Schedule") -> "Callable[[Console], None]":
    """Return a renderer of the schedule's files and commands."""

    def show(out: "Console") -> None:
        for path, text in what.files.items():
            out.print(f"# {path}\n\n{text}", soft_wrap=True)
        for words in what.commands:
            out.print(f"# {shlex.join(words)}", soft_wrap=True)
        if what.by_hand:
            out.print(what.by_hand, soft_wrap=True)

    return show


def _told(what: "Schedule", line: str, would: str) -> "Callable[[Console], None]":
    """Return a renderer of what was or would be installed."""

    def show(out: "Console") -> None:
        for path in what.files:
            out.print(f"{would}in place  {path}", soft_wrap=True)
        for words in what.commands:
            out.print(f"{would}called  {shlex.join(words)}", soft_wrap=True)
        if line:
            place = "to be called by you" if what.files else f"{would}in the crontab"
            out.print(f"{place}  {line}", soft_wrap=True)

    return show
