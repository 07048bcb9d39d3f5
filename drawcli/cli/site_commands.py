"""init: the files of a new site."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from drawcli.cli.door import Door, DryRunOption, command
from drawcli.render import Result

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

SITE_FILES: Final = ("drawcli.yaml", "rules.yaml", "templates.yaml")


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "init")(init)


def init(
    door: Door,
    folder: Annotated[Path, typer.Argument(help="Where the files are made.")] = Path(),
    datastore: Annotated[
        Path | None, typer.Option("--datastore", help="The DICOM datastore, for drawcli.yaml.")
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", help="The DRAW server, for drawcli.yaml.")
    ] = None,
    dry_run: DryRunOption = False,
) -> Result:
    """Make the files of a new site; never overwrite one."""
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
    cron = cron_line((folder / SITE_FILES[0]).absolute())
    data = {"made": made, "kept": kept, "cron": cron, "dry_run": dry_run}
    return Result(data=data, show=_report(made, kept, cron, folder, dry_run=dry_run))


def _write_schemas(folder: Path, *, dry_run: bool) -> list[str]:
    """Write what editors complete rules and templates by, as this version knows them.

    They hold nothing of the site: one of an earlier version is replaced.
    """
    from drawcli.schemas import SCHEMAS, as_text

    changed = []
    for name, schema in SCHEMAS.items():
        target, text = folder / name, as_text(schema())
        if not target.exists() or target.read_text(encoding="utf-8") != text:
            changed.append(name)
            if not dry_run:
                target.write_text(text, encoding="utf-8")
    return changed


def _site_key(door: Door, config: Path) -> tuple[Path, bool]:
    """Make the site key where the settings say; return where it lies and whether it is new."""
    from drawcli.adapters.sitekey import make_site_key, site_key_path

    state_dir = door.settings(config).state_dir
    is_new = not site_key_path(state_dir).exists()
    return make_site_key(state_dir), is_new


def cron_line(config: Path) -> str:
    """Return the line for `crontab -e` that runs the site every ten minutes."""
    import shlex
    import shutil

    program = shutil.which("drawcli") or f"{sys.executable} -m drawcli"
    quoted = program if " -m " in program else shlex.quote(program)
    command = f"{quoted} run-once --config {shlex.quote(str(config))}"
    return "*/10 * * * * " + command.replace("%", r"\%")  # cron ends the command at a bare %


def _site_file(name: str, datastore: Path | None, url: str | None) -> str:
    from importlib import resources

    text = (resources.files("drawcli") / "site" / name).read_text(encoding="utf-8")
    if name != SITE_FILES[0]:
        schema = name.replace(".yaml", ".schema.json")
        text = f"# yaml-language-server: $schema={schema}\n{text}"
    if datastore is not None:
        text = text.replace("datastore: /mnt/dicom", f"datastore: {_quoted(datastore.absolute())}")
    if url is not None:
        text = text.replace("url: https://draw.chavi.ai/", f"url: {_quoted(url)}")
    return text


def _quoted(value: object) -> str:
    """Return a YAML string in single quotes."""
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
            "  3. Look at what would happen: drawcli scan --dry-run",
            "  4. Keep rules.yaml and templates.yaml under git; back up the site key apart.",
            "  5. Let cron run it: crontab -e",
            f"     {cron}",
        ):
            out.print(line, soft_wrap=True)

    return show
