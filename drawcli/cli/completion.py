"""Completion at TAB: names of templates, and ids of jobs with their states.

Neither tells a patient. It reads the files of the site as they lie, without locks and without the
settings' checks, so that it is quick; where anything is odd it offers nothing and says nothing.
"""

import inspect
import os
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import typer

from drawcli.errors import DrawcliError
from drawcli.system.printable import plain

Offers = list[tuple[str, str]]  # each with a word on it
_SETTING: Final = "DRAWCLI_{}"
_ODD: Final = (DrawcliError, OSError, ValueError, LookupError, TypeError, AttributeError)


def offer(parameter: inspect.Parameter) -> None:
    """Add completion to a parameter of a command, if it takes a job or a template."""
    for info in getattr(parameter.annotation, "__metadata__", ()):
        names = re.split(r"\W+", getattr(info, "metavar", None) or "")
        for word in (*names, getattr(info, "default", None)):  # typer has the first flag there
            if isinstance(word, str) and word in _OFFERED:
                info.autocompletion = _OFFERED[word]


def jobs(ctx: typer.Context) -> Offers:
    """Complete job ids from the ledger, without the archive."""
    return _offered(_jobs, ctx)


def templates(ctx: typer.Context) -> Offers:
    """Complete the names of templates."""
    return _offered(_templates, ctx)


def subjects(ctx: typer.Context) -> Offers:
    """Complete the subjects of `audit`, and jobs."""
    from drawcli.cli.audit_command import Subject

    return [*((str(subject), "") for subject in Subject), *jobs(ctx)]


def commands(ctx: typer.Context) -> Offers:
    """Complete the names of commands, of `help`."""
    group: Any = ctx.find_root().command
    for word in ctx.params.get("words") or ():
        group = getattr(group, "commands", {}).get(word)
    known = getattr(group, "commands", {})
    return [(name, one.get_short_help_str()) for name, one in known.items()]


def _offered(
    read: Callable[[dict[str, Any], Path], Iterator[tuple[str, str]]], ctx: typer.Context
) -> Offers:
    """Return all completions; typer filters them by what was typed."""
    with suppress(*_ODD):
        from drawcli.config.locate import find_settings
        from drawcli.system.yaml_read import read_yaml

        path = find_settings(_config(ctx), os.environ)
        settings = dict(read_yaml(path).data)
        return list(read(settings, path.parent))
    return []


def _jobs(settings: dict[str, Any], folder: Path) -> Iterator[tuple[str, str]]:
    import json

    state = folder / _set(settings, "state_dir", "")
    files = [state / "ledger.json", *(state / "ledger").glob("*.json")]  # which has parts, if many
    rows = [row for path in files for row in json.loads(path.read_bytes())["jobs"].values()]
    for row in sorted(rows, key=lambda row: row["since"], reverse=True):
        where = f"held at {row['state']}" if row.get("held") else row["state"]
        yield plain(row["id"]), plain(" ".join(filter(None, (where, row.get("template")))))


def _templates(settings: dict[str, Any], folder: Path) -> Iterator[tuple[str, str]]:
    from drawcli.system.yaml_read import read_yaml

    path = folder / _set(settings, "templates", "templates.yaml")
    for name, template in read_yaml(path).data["templates"].items():
        yield plain(name), plain(template.get("description") or "")


def _set(settings: dict[str, Any], name: str, default: str) -> Path:
    """Return a path from the settings; the environment has precedence over the file."""
    return Path(os.environ.get(_SETTING.format(name.upper())) or settings.get(name, default))


def _config(ctx: typer.Context) -> Path | None:
    """Return the settings file given before or after the command."""
    here: Any = ctx
    while here is not None:
        if given := here.params.get("config"):
            return Path(given)
        here = here.parent
    return None


_OFFERED: Final = {
    "COMMAND": commands,
    "JOB": jobs,
    "SUBJECT": subjects,
    "--job": jobs,
    "TEMPLATE": templates,
    "--template": templates,
}
