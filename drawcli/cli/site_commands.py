"""init: the files of a new site."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from drawcli.cli.door import Door, DryRunOption, command
from drawcli.cli.render import Result
from drawcli.errors import UsageError
from drawcli.operations.schedules import Scheduler, cron_line, program

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from drawcli.operations.schedules import Schedule

SITE_FILES: Final = ("drawcli.yaml", "rules.yaml", "templates.yaml")


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "init")(init)


def init(
    door: Door,
    folder: Annotated[Path, typer.Argument(help="Folder for the files.")] = Path(),
    datastore: Annotated[
        Path | None, typer.Option("--datastore", help="The DICOM datastore, for drawcli.yaml.")
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", help="The DRAW server, for drawcli.yaml.")
    ] = None,
    cron: Annotated[
        bool, typer.Option("--cron", help="Show the schedule that runs the site in FOLDER.")
    ] = False,
    scheduler: Annotated[
        Scheduler | None,
        typer.Option("--scheduler", help="A scheduler other than the system's usual one."),
    ] = None,
    install: Annotated[
        bool, typer.Option("--install", help="With --cron: install and start the schedule.")
    ] = False,
    dry_run: DryRunOption = False,
) -> Result:
    """Create the files of a new site; never overwrite."""
    if cron:
        return _scheduled(door, folder, scheduler, install=install, dry_run=dry_run)
    if install or scheduler:
        raise UsageError("--install and --scheduler need --cron")
    made: list[str] = []
    kept: list[str] = []
    for name in SITE_FILES:
        target = folder / name
        if target.exists():
            kept.append(str(target))
            continue
        made.append(str(target))
        if not dry_run:
            folder.mkdir(parents=True, exist_ok=True)
            text = _site_file(name, datastore, url)
            target.write_text(text, encoding="utf-8")
    made += [str(folder / name) for name in _write_schemas(folder, dry_run=dry_run)]
    if not dry_run:
        key, is_new = _site_key(door, folder / SITE_FILES[0])
        (made if is_new else kept).append(str(key))
    config = (folder / SITE_FILES[0]).absolute()
    line = cron_line((*program(), "run-once", "--config", str(config)))
    data = {"made": made, "kept": kept, "cron": line, "dry_run": dry_run}
    return Result(data=data, show=_report(made, kept, line, folder, dry_run=dry_run))


def _scheduled(
    door: Door, folder: Path, chosen: Scheduler | None, *, install: bool, dry_run: bool
) -> Result:
    """Show the schedule of a site, or install it."""
    from drawcli.operations import schedules

    config = (folder / SITE_FILES[0]).absolute()
    scheduler = chosen or schedules.usual_here()
    what = schedules.schedule(scheduler, schedules.place_of(config, door.settings(config)))
    line = what.by_hand
    if install and not dry_run:
        schedules.install(what)
        if scheduler is Scheduler.CRONTAB:
            line = schedules.install_cron_line(line)
    data = {
        "scheduler": str(scheduler),
        "files": {str(path): text for path, text in what.files.items()},
        "commands": [list(words) for words in what.commands],
        "by_hand": what.by_hand,
        "installed": install and not dry_run,
    }
    show = _told(what, line, "would be " if dry_run else "") if install else _printed(what)
    return Result(data=data, show=show)


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


def _write_schemas(folder: Path, *, dry_run: bool) -> list[str]:
    """Write what editors complete rules and templates by, as this version knows them.

    They hold nothing of the site: one of an earlier version is replaced.
    """
    from drawcli.core.rules.json_schema import SCHEMAS, as_text

    changed = []
    for name, schema in SCHEMAS.items():
        target, text = folder / name, as_text(schema())
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            changed.append(name)
            if not dry_run:
                target.write_text(text, encoding="utf-8")
    return changed


def _site_key(door: Door, config: Path) -> tuple[Path, bool]:
    """Create the site key if needed; return its path and whether it is new."""
    from drawcli.adapters.state.site_key import make_site_key, site_key_path

    state_dir = door.settings(config).state_dir
    is_new = not site_key_path(state_dir).exists()
    return make_site_key(state_dir), is_new


def _site_file(name: str, datastore: Path | None, url: str | None) -> str:
    from importlib import resources

    text = (resources.files("drawcli") / "data" / name).read_text(encoding="utf-8")
    if name != SITE_FILES[0]:
        schema = name.replace(".yaml", ".schema.json")
        text = f"# yaml-language-server: $schema={schema}\n{text}"
    if datastore is not None:
        text = text.replace("datastore: /mnt/dicom", f"datastore: {_quoted(datastore.absolute())}")
    if url is not None:
        text = text.replace("url: https://draw.chavi.ai/", f"url: {_quoted(url)}")
    return text


def _quoted(value: object) -> str:
    """Return a text as a single-quoted YAML string."""
    return "'" + str(value).replace("'", "''") + "'"


def _report(
    made: list[str], kept: list[str], cron: str, folder: Path, *, dry_run: bool
) -> "Callable[[Console], None]":
    def show(out: "Console") -> None:
        for path in made:
            out.print(f"{'would make' if dry_run else 'made'}  {path}", soft_wrap=True)
        for path in kept:
            out.print(f"kept  {path}", soft_wrap=True)
        for line in (
            "",
            "Next:",
            f"  1. Set datastore and server in {folder / SITE_FILES[0]}.",
            "  2. Store the tokens that the DRAW administrator gave you: drawcli token set",
            "  3. See what would happen: drawcli scan --dry-run",
            "  4. Keep rules.yaml and templates.yaml under git; back up the site key apart.",
            "  5. Let cron run it, or what else there is (drawcli init FOLDER --cron): crontab -e",
            f"     {cron}",
        ):
            out.print(line, soft_wrap=True)

    return show
