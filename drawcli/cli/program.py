"""The program: reads the command line and runs the command that it names."""

import os
import sys
import threading
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command

from drawcli import __version__
from drawcli.cli import render, usage
from drawcli.cli.door import Common
from drawcli.cli.lazy_options import (
    only_asked,
    with_options,
    with_quick_values,
    with_values_as_typed,
)
from drawcli.system.failures import let_no_start_hang, refuse_libraries_without_memory

# Where shells put the line that is to be completed.
_TO_COMPLETE: Final = ("COMP_WORDS", "_TYPER_COMPLETE_ARGS")

# Commands that run often, and their modules: the other modules are not imported for them.
_QUICK: Final = {
    "status": "status_command",
    "quarantine": "status_command",
    "show": "show_command",
    "run-once": "pipeline_commands",
    "match": "pipeline_commands",
    "upload": "pipeline_commands",
    "poll": "pipeline_commands",
    "fetch": "pipeline_commands",
    "release": "job_commands",
    "retry": "job_commands",
    "assign": "job_commands",
    "cancel": "job_commands",
}


def bare_app(kind: type[TyperGroup] = TyperGroup) -> typer.Typer:
    """Return the program without commands."""
    app = typer.Typer(
        name="drawcli",
        cls=kind,
        no_args_is_help=True,
        rich_markup_mode=None,  # help without rich starts in half the time, and at each TAB
        pretty_exceptions_enable=False,  # a traceback with local variables would print the patient
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(_drawcli)
    return app


@with_options
def _drawcli(
    ctx: typer.Context,
    common: Common,
    *,
    version: Annotated[bool, typer.Option("--version", help="Show the version.")] = False,
) -> None:
    """Send de-identified planning scans to the DRAW server and deliver the structure sets."""
    ctx.obj = common
    if version:
        typer.echo(f"drawcli {__version__}")
        raise typer.Exit
    if ctx.invoked_subcommand is None and common.as_json:
        raise usage.WRONG_USAGE("name a command", ctx=ctx)
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
        raise typer.Exit(2)


def run() -> None:
    """Run the command line and exit with its code."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # each thread reserves memory
    refuse_libraries_without_memory()
    let_no_start_hang()
    render.survive_any_text()
    render.ignore_odd_sizes()
    hook, of_thread = sys.unraisablehook, threading.excepthook
    sys.unraisablehook = _without_shortages(hook)
    threading.excepthook = _without_shortages(of_thread)
    try:
        _run_app()
    finally:
        sys.unraisablehook, threading.excepthook = hook, of_thread


def _without_shortages(before: Callable[[Any], object]) -> Callable[[Any], None]:
    """Return a hook that prints nothing where a thread gets no memory: the run reports it."""

    def hook(what: Any) -> None:
        if not isinstance(what.exc_value, MemoryError):
            before(what)

    return hook


def _run_app() -> None:
    typed = next(filter(None, map(os.environ.get, _TO_COMPLETE)), "")
    words = f"{typed}|".split()[1:-1] if typed else sys.argv[1:]  # without the word at the cursor
    command = get_command(only_asked(_app_for(words), {*sys.argv, *words}))
    if typed:
        with_values_as_typed(command)()
    sys.exit(usage.run(with_quick_values(command), sys.argv[1:]))


def _app_for(words: Iterable[str]) -> typer.Typer:
    """Return the program with the command that the words ask for, and perhaps with others."""
    module = _QUICK.get(_command_in(words))
    if module is None:
        from drawcli.cli.commands import app

        return app
    app = bare_app()
    import_module(f"drawcli.cli.{module}").register(app)
    return app


def _command_in(words: Iterable[str]) -> str:
    """Return the command of a command line, or "".

    >>> _command_in(["-q", "--config", "site.yaml", "status", "--all"])
    'status'
    """
    rest = iter(words)
    for word in rest:
        if not word.startswith("-"):
            return word
        if word == "--config" or (word[1:2] != "-" and word.endswith("c")):
            next(rest, None)
    return ""
