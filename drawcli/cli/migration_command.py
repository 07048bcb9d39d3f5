"""import-draw-client: rules and templates of a former DRAW client."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from drawcli.cli.door import Door, DryRunOption, command
from drawcli.cli.render import Result
from drawcli.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from drawcli.adapters.state.former_client import FormerHistory
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
    history: Annotated[
        bool,
        typer.Option("--history", help="Import series done, ratings and statistics instead."),
    ] = False,
    dry_run: DryRunOption = False,
) -> Result:
    """Import rules and templates of a former DRAW client."""
    if history:
        if to is not None:
            raise UsageError("--history goes to the state folder", hint="Leave out --to.")
        return _import_history(door, files, dry_run=dry_run)
    migration = _migration(door, to)
    migration.take([path.absolute() for path in files])
    if not dry_run:
        migration.write()
    data = {
        "taken": [item.as_plain() for item in migration.taken],
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


def _migration(door: Door, to: Path | None) -> "Migration":
    """Return what imports into new files in a folder, or into those of the site."""
    from drawcli.authoring.migrate import migrate_to_folder, migrate_to_site

    if to is not None:
        return migrate_to_folder(to.absolute())
    settings = door.settings()
    return migrate_to_site(settings.rules, settings.templates, settings.deliver.longest_name)


def _import_history(door: Door, files: list[Path], *, dry_run: bool) -> Result:
    """Keep what the former client did in the state folder, for `scan` and `report`."""
    from drawcli.adapters.state.former_client import FormerHistory, read_history, write_history
    from drawcli.authoring.former_export import HISTORY, FormerExport
    from drawcli.authoring.former_history import history_of

    found = FormerHistory()
    with door.context(dry_run=dry_run) as ctx:
        for path in files:
            dump = FormerExport(path.absolute(), HISTORY)
            stand_ins = ctx.stand_ins
            found = found.joined(history_of(dump, stand_ins.key_id, stand_ins.series_key))
        whole = read_history(ctx.settings.state_dir).joined(found)
        if not dry_run:
            write_history(ctx.settings.state_dir, whole)
    data = {**found.counts, "written": not dry_run}
    return Result(data=data, show=lambda out: _show_history(out, found, written=not dry_run))


def _show_history(out: "Console", found: "FormerHistory", *, written: bool) -> None:
    counts = found.counts
    for outcome, many in counts["series"].items():
        out.print(f"series {outcome} by the former client: {many:,}")
    out.print(f"reviews: {counts['ratings']:,}; statistics: {counts['statistics']:,}")
    out.print("kept in the state folder" if written else "nothing is written")
    if counts["series"]:
        out.print("Next: drawcli scan; see 'scan.segmented' in docs/reference/settings.md")
    out.print("The export contains patient data: delete it when you have finished.")


def _show(out: "Console", migration: "Migration", *, written: bool) -> None:
    for item in migration.taken:
        out.print(f"{item.kind} {item.name}: {item.outcome}", soft_wrap=True)
        for why in item.why:
            out.print(f"  {why}", soft_wrap=True)
    for note in migration.notes:
        out.print(note, soft_wrap=True)
    for document in (migration.rules, migration.templates):
        done = "written" if written else "nothing is written; it would be"
        out.print(f"{document.path}: {done}", soft_wrap=True)
    if any(item.outcome == "not translated" for item in migration.taken):
        out.print("What is not translated is a comment at the end of its file.")
    out.print("Next: drawcli rules check; drawcli templates check; drawcli match --dry-run")
