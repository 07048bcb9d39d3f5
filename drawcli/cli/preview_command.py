"""preview: the structures of a job on its images, as files and in the terminal."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import typer

from drawcli.cli import render
from drawcli.cli.delivery_commands import JobArgument
from drawcli.cli.door import Door, DryRunOption, command
from drawcli.cli.render import Result, not_written
from drawcli.errors import UsageError
from drawcli.system.printable import volume_text

if TYPE_CHECKING:
    from rich.console import Console

    from drawcli.pipeline.context import Context
    from drawcli.pipeline.preview import Preview

_SHEET: Final = ".png"
_PAGE: Final = (".html", ".htm")


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "preview")(preview)


def preview(
    door: Door,
    job: JobArgument,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to", help="A PNG, an HTML file, or a folder for both.", metavar="FILE|FOLDER"
        ),
    ] = None,
    in_terminal: Annotated[
        Literal["auto", "kitty", "sixel", "never"],
        typer.Option("--open-in-terminal", help="Also show the sheet in the terminal."),
    ] = "auto",
    dry_run: DryRunOption = False,
) -> Result:
    """Draw the structures of a job on its images. Writes a contact sheet and a page."""
    from drawcli.pipeline.actions import find_job
    from drawcli.pipeline.preview import preview_of

    with door.context(dry_run=dry_run) as ctx:
        found = find_job(job, ctx)
        targets = _targets(found.id, to, ctx)
        made = preview_of(found, ctx)
        if not dry_run:
            _write(targets, made)
    shown = _for_terminal(made, in_terminal, door)
    return Result(
        data=_facts(found.id, targets, made),
        show=lambda out: _tell(out, made, targets, shown, dry_run=dry_run),
    )


def _targets(job_id: str, to: Path | None, ctx: "Context") -> dict[str, Path]:
    """Return where sheet and page are written."""
    from drawcli.adapters.state.workdir import PREVIEW_PAGE, PREVIEW_SHEET

    if to is None:
        names = {"sheet": PREVIEW_SHEET, "page": PREVIEW_PAGE}
        return {what: ctx.work.file(job_id, name) for what, name in names.items()}
    _check_outside(to, ctx)
    if to.suffix.lower() == _SHEET and not to.is_dir():
        return {"sheet": to}
    if to.suffix.lower() in _PAGE and not to.is_dir():
        return {"page": to}
    if to.is_file():
        raise UsageError("--to needs a name ending in .png or .html, or a folder")
    return {"sheet": to / f"{job_id}.png", "page": to / f"{job_id}.html"}


def _check_outside(to: Path, ctx: "Context") -> None:
    from drawcli.system.platforms import is_within

    if any(is_within(to, folder) for folder in ctx.settings.datastore):
        raise UsageError("--to is inside the datastore, which is read-only; choose another folder")


def _write(targets: dict[str, Path], made: "Preview") -> None:
    from drawcli.system.files import make_private, write_durably

    for what, path in targets.items():
        try:
            make_private(path.parent)
            write_durably(path, made.sheet() if what == "sheet" else made.page())
        except OSError as err:
            raise not_written(path, err) from None


def _for_terminal(made: "Preview", wanted: str, door: Door) -> str:
    """Return what shows the sheet in the terminal; "" where it cannot, or shall not."""
    from drawcli.core.pictures.terminal import Protocol, detect_protocol

    if wanted == "never" or door.common.as_json or (wanted == "auto" and not door.to_person):
        return ""
    protocol = detect_protocol(os.environ) if wanted == "auto" else Protocol(wanted)
    if protocol is None:
        return ""
    return made.for_terminal(protocol, render.console(door.style).width)


def _facts(job_id: str, targets: dict[str, Path], made: "Preview") -> dict[str, Any]:
    return {
        "job": job_id,
        "files": {what: str(path) for what, path in targets.items()},
        "structures": [
            {
                "number": structure.number,
                "name": structure.name,
                "color": structure.color,
                "volume_cm3": structure.volume_cm3,
                "slices": structure.slices,
            }
            for structure in made.structures
        ],
        "findings": [warning.as_plain() for warning in made.warnings],
    }


def _tell(
    out: "Console", made: "Preview", targets: dict[str, Path], shown: str, *, dry_run: bool
) -> None:
    if shown:
        render.verbatim(shown, drawn=True)(out)
    rows = [
        (structure.name, structure.color, volume_text(structure.volume_cm3), str(structure.slices))
        for structure in made.structures
    ]
    render.columns(("structure", "colour", "cm³", "slices"), rows)(out)
    for finding in made.warnings:
        out.print(f"{finding.severity}  {finding.code}: {finding.text}", soft_wrap=True)
    for path in targets.values():
        out.print(f"{'would write' if dry_run else 'written'}: {path}", soft_wrap=True)
