"""nodes check: whether the DICOM targets of structure sets can be reached, and what they accept."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from drawcli.cli.door import Door, group
from drawcli.cli.render import Result

if TYPE_CHECKING:
    from rich.console import Console

    from drawcli.operations.doctor.nodes import NodeCheck
    from drawcli.operations.pull.check import SourceCheck

NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="[NAME]",
        help="AE title or address of one target; all if omitted.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    group(
        app,
        "nodes",
        {"check": check},
        what="Check the DICOM targets of structure sets, and the archives of 'pull'.",
    )


def check(door: Door, name: NameArgument = "") -> Result:
    """Ask each DICOM node and DICOMweb archive what it accepts or offers. Nothing is stored."""
    from drawcli.adapters.state import logs
    from drawcli.operations.doctor.nodes import NodeCheck, check_nodes

    logs.keep_off_stderr()
    found, now = check_nodes(door.settings(), name), datetime.now(UTC)
    errors = [err for one in found if (err := one.error()) is not None]
    return Result(
        data={
            "targets": [one.as_plain(now) for one in found if isinstance(one, NodeCheck)],
            "sources": [one.as_plain(now) for one in found if not isinstance(one, NodeCheck)],
        },
        show=lambda out: _show(out, found, now),
        errors=list(errors),
        exit_code=max((err.exit_code for err in errors), default=0),
    )


def _show(out: "Console", found: "list[NodeCheck | SourceCheck]", now: datetime) -> None:
    from drawcli.cli import render

    for number, one in enumerate(found):
        if number:
            out.print()
        out.print(f"{one.name}{one.note}", soft_wrap=True)
        render.lines([(f"  {title}", text) for title, text in one.facts(now)])(out)
