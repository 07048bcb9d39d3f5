"""group: every site of the group in one table."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from drawcli.cli import render
from drawcli.cli.door import Door, command
from drawcli.cli.render import Result
from drawcli.errors import ConfigError
from drawcli.system.printable import counted
from drawcli.system.printable import plain as printable

if TYPE_CHECKING:
    import typer
    from rich.console import Console


def register(app: "typer.Typer") -> None:
    """Add the command to the program."""
    command(app, "group")(group)


def group(door: Door) -> Result:
    """Show the sites of the group: what needs attention, counts, runs; no patient data."""
    from drawcli.operations.group.sites import group_sites

    settings, now = door.settings(), datetime.now(UTC)
    if not settings.group.is_on:
        raise ConfigError(
            "no group is configured",
            hint="Set group.folder, group.sites or group.database; see docs/how-to/group.md.",
        )
    sites = group_sites(settings.group, now)
    rows = [
        (site.name, site.level, str(site.open_jobs), str(plain["held"]), printable(site.why))
        for site in sites
        for plain in [site.as_plain()]
    ]

    def show(out: "Console") -> None:
        out.print(f"{counted(len(sites), 'site')}")
        render.columns(("site", "state", "in progress", "held", "why"), rows)(out)

    return Result(data={"sites": [site.as_plain() for site in sites]}, show=show)
