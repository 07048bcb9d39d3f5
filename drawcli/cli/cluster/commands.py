"""The group of commands `cluster`."""

from typing import TYPE_CHECKING

from drawcli.cli.cluster import admin_commands, status_command
from drawcli.cli.door import group

if TYPE_CHECKING:
    import typer


def register(app: "typer.Typer") -> None:
    """Add the commands to the program."""
    group(
        app,
        "cluster",
        {
            "init": admin_commands.init,
            "add-site": admin_commands.add_site,
            "upgrade": admin_commands.upgrade,
            "status": status_command.status,
        },
        what="Several machines with one ledger in PostgreSQL.",
    )
