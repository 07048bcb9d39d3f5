"""logs: the last lines of the log."""

from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from drawcli.cli import render
from drawcli.cli.door import Door, command
from drawcli.cli.render import Result
from drawcli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from drawcli.adapters.state.log_reader import Entry


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "logs")(logs)


def logs(
    door: Door,
    job: Annotated[
        str | None, typer.Option("--job", help="Only entries about this job.", metavar="ID")
    ] = None,
    lines: Annotated[
        int,
        typer.Option(
            "--lines", "-l", help="At most so many entries.", min=1, max=1_000_000, metavar="N"
        ),
    ] = 40,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Then print new ones; Ctrl-C ends it.")
    ] = False,
) -> Result | None:
    """Show the last entries of the log: time (UTC), run, message."""
    from drawcli.adapters.state.log_reader import follow_lines, log_lines, read_entries
    from drawcli.adapters.state.logs import log_path

    if follow and door.common.as_json:
        raise UsageError("--follow and --json cannot be combined")
    state_dir = door.settings().state_dir
    news = follow_lines(state_dir) if follow else None
    job_id = None if job is None else _job_id(door, job)
    last = deque(_about(read_entries(log_lines(state_dir)), job_id), maxlen=lines)
    if news is None:
        data = {"file": str(log_path(state_dir)), "entries": [one.as_plain() for one in last]}
        return Result(data=data, show=render.verbatim(_text(last) or "No entries.\n"))
    tell = render.teller(door.style)
    tell(_text(last).rstrip("\n"))
    with suppress(KeyboardInterrupt):  # how it is meant to end
        for new in news:
            for entry in _about(read_entries(new), job_id):
                tell(entry.text())
    return None


def _text(entries: "Iterable[Entry]") -> str:
    return "".join(f"{entry.text()}\n" for entry in entries)


def _about(entries: "Iterable[Entry]", job_id: str | None) -> "Iterator[Entry]":
    return (one for one in entries if job_id is None or one.pairs.get("job") == job_id)


def _job_id(door: Door, name: str) -> str:
    from drawcli.pipeline.actions import find_job

    with door.context(dry_run=True) as ctx:
        return find_job(name, ctx).id
