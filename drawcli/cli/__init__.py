"""The command line: thin commands, one module for each group."""

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Final

import typer
from typer.main import get_command

from drawcli import __version__
from drawcli.cli import (
    audit_command,
    config_command,
    dashboard_command,
    deidentify_commands,
    delivery_commands,
    doctor_command,
    help_command,
    job_commands,
    key_commands,
    ledger_commands,
    logs_command,
    migration_command,
    notify_command,
    open_command,
    pause_command,
    pipeline_commands,
    preview_command,
    reasons_command,
    render,
    report_command,
    rules_commands,
    sandbox_commands,
    scan_command,
    show_command,
    site_commands,
    status_command,
    template_commands,
    token_commands,
)
from drawcli.cli.door import Common
from drawcli.cli.lazy_options import only_asked, with_options, with_values_as_typed

# Where shells put the line that is to be completed.
_WORDS_TO_COMPLETE: Final = ("COMP_WORDS", "_TYPER_COMPLETE_ARGS")

# When the garbage collector looks: ten thousand jobs of a ledger are many objects, and no garbage.
_RARELY: Final = (100_000, 50, 50)

app = typer.Typer(
    name="drawcli",
    cls=help_command.HelpByUse,
    no_args_is_help=True,
    rich_markup_mode=None,  # help without rich starts in half the time, and at each TAB
    pretty_exceptions_enable=False,  # a traceback with local variables would print the patient
    context_settings={"help_option_names": ["-h", "--help"]},
)

pipeline_commands.register(
    app,
    {
        "deidentify": deidentify_commands.deidentify,
        "reidentify": delivery_commands.reidentify,
        "scan": scan_command.scan,
    },
)
deidentify_commands.register(app)
status_command.register(app)
show_command.register(app)
reasons_command.register(app)
report_command.register(app)
doctor_command.register(app)
job_commands.register(app)
delivery_commands.register(app)
preview_command.register(app)
rules_commands.register(app)
template_commands.register(app)
site_commands.register(app)
migration_command.register(app)
key_commands.register(app)
token_commands.register(app)
ledger_commands.register(app)
audit_command.register(app)
notify_command.register(app)
dashboard_command.register(app)
sandbox_commands.register(app)
pause_command.register(app)
open_command.register(app)
logs_command.register(app)
config_command.register(app)
help_command.register(app)


@app.callback(invoke_without_command=True)
@with_options
def drawcli(
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
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
        raise typer.Exit(2)


def main() -> None:
    """Run the command line."""
    gc.set_threshold(*_RARELY)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # each thread reserves memory
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "1")  # it looks for them in every package
    render.survive_any_text()
    with _shortage_unsaid():
        _run_app()


@contextmanager
def _shortage_unsaid() -> Iterator[None]:
    """Print nothing for a thread that could not start for lack of memory: the run reports it."""
    before = sys.unraisablehook

    def hook(what: Any) -> None:
        if not isinstance(what.exc_value, MemoryError):
            before(what)

    sys.unraisablehook = hook
    try:
        yield
    finally:
        sys.unraisablehook = before


def _run_app() -> None:
    typed = " ".join(os.environ.get(name, "") for name in _WORDS_TO_COMPLETE).split()
    quick = only_asked(app, {*sys.argv, *typed})
    try:
        with_values_as_typed(get_command(quick))() if typed else quick()
    except KeyboardInterrupt:  # before a command had begun
        sys.exit(130)
