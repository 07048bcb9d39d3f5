"""init: the files of a new site."""

import os
import re
import shlex
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from drawcli.cli.door import Door, DryRunOption, command
from drawcli.cli.render import Result
from drawcli.cli.site_schedule import kept, runs, scheduled, service
from drawcli.errors import UsageError
from drawcli.operations.schedules import Scheduler, cron_line, program

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rich.console import Console

    from drawcli.operations.schedules import Schedule


_ON: Final = "\n     "  # the next line of a step
_NEW_RULE: Final = (
    f"Write a rule for each protocol, from a real series; the examples are disabled:{_ON}"
    "drawcli rules new --from FOLDER"
)
SITE_FILES: Final = ("drawcli.yaml", "rules.yaml", "templates.yaml")
_IGNORED: Final = """\
# Secrets that do not belong in git. The folder state has a .gitignore of its own.
token.json*
notify.urls
oidc-secret
"""
_METRICS: Final = "metrics.textfile in drawcli.yaml, or /metrics of 'drawcli dashboard'"

_Practice = Annotated[
    bool,
    typer.Option(
        "--practice",
        help="For invented patients: example rules enabled, any study date, no waiting.",
    ),
]
_OfReceive = Annotated[
    bool,
    typer.Option("--receive", help="With --cron: only the service of 'drawcli receive'."),
]
_OfWorker = Annotated[
    bool,
    typer.Option("--worker", help="With --cron: only the service of 'drawcli worker' (systemd)."),
]
_OfPage = Annotated[
    bool,
    typer.Option(
        "--dashboard", help="With --cron: only the service of 'drawcli dashboard' (systemd)."
    ),
]
_Monitoring = Annotated[
    Path | None,
    typer.Option(
        "--monitoring",
        help="Only write a Grafana dashboard and Prometheus alert rules.",
        metavar="DIR",
    ),
]


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
    practice: _Practice = False,
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
    of_receive: _OfReceive = False,
    of_worker: _OfWorker = False,
    of_page: _OfPage = False,
    monitoring: _Monitoring = None,
    dry_run: DryRunOption = False,
) -> Result:
    """Create the files of a new site; never overwrite."""
    if monitoring is not None and (cron or practice or datastore or url):
        raise UsageError("--monitoring goes with no other option than --dry-run")
    if monitoring is not None:
        return _monitoring(monitoring, dry_run=dry_run)
    wanted = _services(receive=of_receive, worker=of_worker, dashboard=of_page)
    if cron:
        what = wanted[0] if wanted else runs
        config = (folder / SITE_FILES[0]).absolute()
        return scheduled(door, config, partial(what, scheduler), install=install, dry_run=dry_run)
    if install or scheduler or wanted:
        raise UsageError("--install, --scheduler, --receive, --worker and --dashboard need --cron")
    adapt = _for_practice if practice else _guarded
    texts = {name: adapt(name, _site_file(name, datastore, url)) for name in SITE_FILES}
    texts[".gitignore"] = _IGNORED
    return _new_site(door, folder, texts, dry_run=dry_run)


def _services(**asked_for: bool) -> "list[Callable[..., tuple[Scheduler, Schedule]]]":
    """Return what makes the service that is asked for, if any; UsageError for several."""
    names = [name for name, is_wanted in asked_for.items() if is_wanted]
    if len(names) > 1:
        raise UsageError(f"--{names[0]} and --{names[1]} are two services: name one at a time")
    return [service if name == "receive" else partial(kept, name) for name in names]


def _new_site(door: Door, folder: Path, texts: "Mapping[str, str]", *, dry_run: bool) -> Result:
    """Write the files of a site that are missing, its schemas and its key."""
    from drawcli.authoring.site_files import write_missing

    made, kept = write_missing(folder, texts, dry_run=dry_run)
    made += [str(folder / name) for name in _write_schemas(folder, dry_run=dry_run)]
    if not dry_run:
        key, is_new = _site_key(door, folder / SITE_FILES[0])
        (made if is_new else kept).append(key)
    config = (folder / SITE_FILES[0]).absolute()
    line = cron_line((*program(), "run-once", "--config", str(config)))
    data = {"made": made, "kept": kept, "cron": line, "dry_run": dry_run}
    return Result(data=data, show=_report(made, kept, line, folder, dry_run=dry_run))


def _monitoring(folder: Path, *, dry_run: bool) -> Result:
    """Write the files for Prometheus and Grafana that are missing in a folder."""
    from drawcli.authoring.site_files import monitoring_texts, write_missing

    made, kept = write_missing(folder, monitoring_texts(), dry_run=dry_run)

    def show(out: "Console") -> None:
        _show_files(out, made, kept, dry_run=dry_run)
        out.print(f"README.md says how to load them; metrics: {_METRICS}", soft_wrap=True)

    return Result(data={"made": made, "kept": kept, "dry_run": dry_run}, show=show)


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


def _site_key(door: Door, config: Path) -> tuple[str, bool]:
    """Create the site key if needed; return where it is and whether it is new."""
    from drawcli.pipeline.cluster.opening import first_site_key

    return first_site_key(door.settings(config))


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


def _for_practice(name: str, text: str) -> str:
    """Return a file of a site with invented patients, which are complete and of any date."""
    if name != SITE_FILES[0]:
        return text
    quick = "  quiet_minutes: 0              # the invented patients are complete"
    return re.sub("#   quiet_minutes: [^\n]*\n.*", quick, text.replace("# scan:\n", "scan:\n"))


def _guarded(name: str, text: str) -> str:
    """Return a file of a new site so that it sends nothing old, and nothing by an example rule."""
    if name == SITE_FILES[0]:
        day = datetime.now().astimezone().date()
        dated = (
            f"  studied_after: {day}      # the day of 'drawcli init': older studies are ignored"
        )
        text = text.replace("# scan:\n", "scan:\n")
        return re.sub("#   studied_after: .*", dated, text)
    if name == "rules.yaml":
        off = r"\1    enabled: false       # an example: adapt it, then delete this line\n"
        return re.sub(r"(  - name: .*\n)(?=    template)", off, text)
    return text


def _quoted(value: object) -> str:
    """Return a text as a single-quoted YAML string."""
    return "'" + str(value).replace("'", "''") + "'"


def _report(
    made: list[str], kept: list[str], cron: str, folder: Path, *, dry_run: bool
) -> "Callable[[Console], None]":
    def show(out: "Console") -> None:
        _show_files(out, made, kept, dry_run=dry_run)
        for line in _next_steps(folder, cron):
            out.print(line, soft_wrap=True)

    return show


def _show_files(out: "Console", made: list[str], kept: list[str], *, dry_run: bool) -> None:
    """Name the files that were written, and those that were there."""
    for path in made:
        out.print(f"{'would make' if dry_run else 'made'}  {path}", soft_wrap=True)
    for path in kept:
        out.print(f"kept  {path}", soft_wrap=True)


def _next_steps(folder: Path, cron: str) -> list[str]:
    """Return what is to be done before a new site sends its first series."""
    config = (folder / SITE_FILES[0]).absolute()
    name_it = f"Name this site for all commands: export DRAWCLI_CONFIG={shlex.quote(str(config))}"
    steps = [
        *([] if _is_found(config) else [name_it]),
        "Set datastore, server.url and server.client_id in drawcli.yaml.",
        "Store the tokens that the DRAW administrator gave you: drawcli token set",
        "Compare templates.yaml with what the server offers: drawcli templates pull",
        _NEW_RULE,
        "Choose from which study date on series are sent: scan.studied_after in drawcli.yaml.",
        "Check it: drawcli doctor; see what would be sent: drawcli scan --dry-run",
        "Send one series: drawcli run-once --limit 1; run it again to deliver the contours.",
        "Back up the site key apart (drawcli key backup FILE); keep the YAML files under git.",
        f"Let cron run it (other schedulers: drawcli init FOLDER --cron): crontab -e{_ON}{cron}",
    ]
    numbered = [f"{number:3d}. {step}" for number, step in enumerate(steps, 1)]
    return ["", "Next; nothing is sent before 'run-once':", *numbered]


def _is_found(config: Path) -> bool:
    """Return whether commands find a site from any folder."""
    from drawcli.config.locate import MACHINE

    return str(config) in (os.environ.get("DRAWCLI_CONFIG"), str(MACHINE))
