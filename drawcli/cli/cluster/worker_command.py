"""worker: long-running processes that do the work of `run-once`, on any number of hosts."""

import os
from typing import Annotated, Final

import typer

from drawcli.cli import render
from drawcli.cli.door import Door, command
from drawcli.cli.render import Result
from drawcli.core.jobs.tasks import KINDS
from drawcli.errors import UsageError

_GRACE_SECONDS: Final = 30.0


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "worker")(worker)


def worker(
    door: Door,
    queues: Annotated[
        str,
        typer.Option(
            "--queues",
            help="Kinds of work, with commas between: scan, match, deidentify, upload, poll, "
            "fetch, reidentify, tidy (always done). By default cluster.queues.",
            metavar="LIST",
        ),
    ] = "",
    parallel: Annotated[
        int,
        typer.Option(
            "--parallel",
            min=0,
            max=256,
            help="Tasks at once, each in a process; by default one for each core.",
            metavar="N",
        ),
    ] = 0,
    grace: Annotated[
        float,
        typer.Option(
            "--grace",
            min=0,
            help="Seconds that running steps have to end after SIGTERM or Ctrl-C.",
            metavar="SECONDS",
        ),
    ] = _GRACE_SECONDS,
) -> Result | None:
    """Do the work of run-once continuously, until SIGTERM or Ctrl-C; needs a ledger in a database.

    Any number of hosts may run workers. A second signal ends the running steps at once; their jobs
    continue later, as after a power cut.
    """
    from drawcli.adapters.state import logs
    from drawcli.operations.workers.worker import WorkerOptions, work

    given = _kinds(queues)
    logs.keep_off_stderr()
    settings = door.settings()
    logs.to_file(settings.state_dir, settings.logs, f"worker-{os.getpid()}")
    options = WorkerOptions(door.settings_file().absolute(), given, parallel or _cores(), grace)
    work(options, lambda text: None if door.common.quiet else render.say(text))
    return None


def _kinds(text: str) -> tuple[str, ...]:
    named = [word.strip() for word in text.split(",") if word.strip()]
    for word in named:
        if word not in KINDS:
            raise UsageError(
                f"--queues: there is no kind of work '{word}'", hint=f"One of: {', '.join(KINDS)}."
            )
    return tuple(dict.fromkeys(named))


def _cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
