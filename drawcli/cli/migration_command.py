"""import-draw-client: rules and templates of a former DRAW client."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from drawcli.cli.door import Door, DryRunOption, command
from drawcli.cli.render import Result

if TYPE_CHECKING:
    from rich.console import Console

    from drawcli.authoring.migrate import Migration

_DOUBTS: Final = 6  # finished; a person must look at something


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "import-draw-client")(import_draw_client)


def import_draw_client(
    door: Door,
    files: Annotated[
        list[Path],
        typer.Argument(
            help="The client's exports (JSON) and template files (YAML).", metavar="FILE..."
        ),
    ],
    to: Annotated[
        Path | None,
        typer.Option("--to", help="Write new files there instead of adding to the site's."),
    ] = None,
    dry_run: DryRunOption = False,
) -> Result:
    """Import rules and templates of a former DRAW client."""
    from drawcli.authoring.migrate import migrate_to_folder, migrate_to_site

    if to is not None:
        migration = migrate_to_folder(to.absolute())
    else:
        settings = door.settings()
        migration = migrate_to_site(
            settings.rules, settings.templates, settings.deliver.longest_name
        )
    migration.take([path.absolute() for path in files])
    if not dry_run:
        migration.write()
    data = {
        "taken": [one.as_plain() for one in migration.taken],
        "notes": migration.notes,
        "rules": migration.rules.source.decode("utf-8-sig"),
        "templates": migration.templates.source.decode("utf-8-sig"),
        "written": not dry_run,
    }
    return Result(
        data=data,
        show=lambda out: _show(out, migration, written=not dry_run),
        exit_code=_DOUBTS if migration.has_doubts else 0,
    )


def _show(out: "Console", migration: "Migration", *, written: bool) -> None:
    for one in migration.taken:
        out.print(f"{one.kind} {one.name}: {one.outcome}", soft_wrap=True)
        for why in one.why:
            out.print(f"  {why}", soft_wrap=True)
    for note in migration.notes:
        out.print(note, soft_wrap=True)
    for document in (migration.rules, migration.templates):
        done = "written" if written else "nothing is written; it would be"
        out.print(f"{document.path}: {done}", soft_wrap=True)
    if any(one.outcome == "not translated" for one in migration.taken):
        out.print("What is not translated is a comment at the end of its file.")
    out.print("Next: drawcli rules check; drawcli templates check; drawcli match --dry-run")
