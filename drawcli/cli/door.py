"""The frame of every command: common options, one result, errors as messages and exit codes."""

import errno
import inspect
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from drawcli.cli import render
from drawcli.cli.lazy_options import NAMES, keyword_signature, with_options
from drawcli.cli.render import Result, Style
from drawcli.errors import DrawcliError

if TYPE_CHECKING:
    from drawcli.adapters.rulebook.rulebook import Rulebook
    from drawcli.config.load import Settings
    from drawcli.pipeline.context import Context

INTERRUPTED: Final = 130
_FAILING: Final = frozenset({errno.EIO, errno.EROFS})

DryRunOption = Annotated[
    bool, typer.Option("--dry-run", "-n", help="Show what would be done; write and send nothing.")
]
IdentifyOption = Annotated[
    bool, typer.Option("--identify", help="Show patient data; on a terminal only.")
]


class Common(NamedTuple):
    """The options of every command, given before or after the command's name."""

    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="The site's settings file.", metavar="FILE"),
    ] = None
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object on standard output.")] = (
        False
    )
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only errors.")] = False
    verbose: Annotated[
        int,
        typer.Option("--verbose", "-v", count=True, help="Log to standard error; -vv logs more."),
    ] = 0
    no_color: Annotated[bool, typer.Option("--no-color", help="No colours (as NO_COLOR does).")] = (
        False
    )
    debug: Annotated[
        bool,
        typer.Option("--debug", help="Show tracebacks. They may contain patient data."),
    ] = False

    def over(self, earlier: "Common") -> "Common":
        """Return these options, completed by options given earlier."""
        names = [name for name in self._fields if not getattr(self, name)]
        return self._replace(**{name: getattr(earlier, name) for name in names})


class RunOptions(NamedTuple):
    """The options of a command that runs a step."""

    job: Annotated[str | None, typer.Option("--job", help="Only this job.", metavar="ID")] = None
    limit: Annotated[
        int | None,
        typer.Option("--limit", min=1, max=1_000_000, help="At most so many jobs.", metavar="N"),
    ] = None
    max_minutes: Annotated[
        float | None,
        typer.Option(
            "--max-minutes", min=0, help="Start no further job after so long.", metavar="N"
        ),
    ] = None
    fail_if_idle: Annotated[
        bool, typer.Option("--fail-if-idle", help="Exit with 9 if there was nothing to do.")
    ] = False
    dry_run: DryRunOption = False

    @property
    def chooses(self) -> bool:
        """Whether an option says which jobs to take."""
        return (self.job, self.limit, self.max_minutes) != (None, None, None)


class Door(NamedTuple):
    """The first argument of a command: access to the site and to the terminal."""

    command: str
    common: Common
    typed: typer.Context | None = None  # the command line as parsed

    @property
    def style(self) -> Style:
        """The style of the output."""
        common = self.common
        return Style(as_json=common.as_json, quiet=common.quiet, color=not common.no_color)

    @property
    def to_person(self) -> bool:
        """Whether output goes to a terminal."""
        return render.on_terminal() and not self.common.as_json and not self.common.quiet

    @property
    def can_ask(self) -> bool:
        """Whether questions can be asked at a terminal."""
        return self.to_person and sys.stdin.isatty() and sys.stderr.isatty()

    @property
    def wants_talk(self) -> bool:
        """Whether results without errors are printed: a terminal, --json or -v."""
        return sys.stderr.isatty() or self.common.as_json or bool(self.common.verbose)

    def settings_file(self) -> Path:
        """Return the settings file of the site."""
        from drawcli.config.locate import find_settings

        return find_settings(self.common.config, os.environ)

    def settings(self, path: Path | None = None) -> "Settings":
        """Return the settings of the site; raise ConfigError with all errors in them."""
        from drawcli.config.load import load_settings
        from drawcli.system.ownership import end_as_owner

        settings = load_settings(path or self.settings_file(), os.environ)
        end_as_owner(settings.state_dir, settings.server.token_file)
        return settings

    def rulebook(self) -> "Rulebook":
        """Return the rules and templates of the site."""
        from drawcli.adapters.rulebook.rulebook import site_rulebook

        return site_rulebook(self.settings())

    @contextmanager
    def context(self, *, dry_run: bool = False) -> "Iterator[Context]":
        """Open the site; a dry run writes no log."""
        from drawcli.adapters.state import logs
        from drawcli.pipeline.context import open_context

        logs.keep_off_stderr()
        with open_context(self.settings()) as ctx:
            if not dry_run:
                logs.to_file(ctx.settings.state_dir, ctx.settings.logs, ctx.run_id)
            yield ctx

    def check_identify(self, *, identify: bool) -> None:
        """Raise UsageError unless output goes to a terminal."""
        if identify and (self.common.as_json or not render.on_terminal()):
            from drawcli.errors import UsageError

            raise UsageError("--identify shows patient data on a terminal only, never in a file")


def end_after(minutes: float | None, now: datetime) -> datetime | None:
    """Return when a command ends that a user gave so many minutes; None if it has no end."""
    try:
        return None if minutes is None else now + timedelta(minutes=minutes)
    except (OverflowError, ValueError):  # beyond the calendar, or NaN
        from drawcli.errors import UsageError

        raise UsageError("--max-minutes: too many", hint="Name a number below 1,000,000.") from None


def command(app: typer.Typer, name: str, *, group: str = "", **settings: Any) -> Callable[..., Any]:
    """Register a function as a command: it gets a Door first and returns a Result.

    The common options are added to its own, so that they may stand on either side of its name.
    """
    words = f"{group} {name}".strip()

    def register(function: Callable[..., Result | None]) -> Callable[..., Result | None]:
        own = list(inspect.signature(function).parameters.values())[1:]

        @wraps(function, assigned=NAMES)
        def enter(typer_context: typer.Context, common: Common, **given: Any) -> None:
            earlier = typer_context.obj if isinstance(typer_context.obj, Common) else Common()
            _run(function, Door(words, common.over(earlier), typer_context), given)

        context, common, _ = inspect.signature(enter, follow_wrapped=False).parameters.values()
        enter.__signature__ = keyword_signature([context, *own, common])  # type: ignore[attr-defined] # as functools does
        app.command(name, **settings)(with_options(enter))
        return function

    return register


def group(
    app: typer.Typer, name: str, commands: dict[str, Callable[..., Any]], *, what: str
) -> typer.Typer:
    """Register functions by command name as a group of commands; return the group.

    A group in another one has the names of both: "qa golden".
    """
    from drawcli.cli.help_command import HelpByUse

    inner = typer.Typer(cls=HelpByUse, no_args_is_help=True, rich_markup_mode=None)
    for word, function in commands.items():
        command(inner, word, group=name)(function)
    app.add_typer(inner, name=name.rpartition(" ")[2], help=what)
    return inner


def _run(function: Callable[..., Result | None], door: Door, given: dict[str, Any]) -> None:
    """Run a command and exit with its code; every error becomes a message."""
    if door.common.verbose:
        from drawcli.adapters.state import logs

        logs.to_stderr(door.common.verbose)
    try:
        result = function(door, **given)
    except KeyboardInterrupt:
        if not door.common.as_json:
            render.say("drawcli: interrupted; nothing is lost")
        result = Result(exit_code=INTERRUPTED)
    except Exception as err:
        if door.common.debug:
            raise
        result = _failure(err, door)
    if result is None:  # the command has said everything itself
        return
    raise typer.Exit(render.finish(door.command, result, door.style))


def _failure(err: Exception, door: Door) -> Result:
    """Return the message for an error, without texts of foreign errors: they may quote data."""
    from drawcli.errors import OutOfMemory
    from drawcli.system.failures import shortage_behind

    if not isinstance(err, OutOfMemory):  # it names the job already
        err = shortage_behind(err) or err
    if isinstance(err, OSError):
        err = _own_file(err, door)
    if not isinstance(err, DrawcliError):
        import logging

        from drawcli.adapters.state import logs

        logs.keep_off_stderr()
        logging.getLogger(__name__).error("command=%s", door.command, exc_info=err)
        err = DrawcliError(
            f"bug: {type(err).__name__} at {logs.origin(err)}",
            code="bug",
            hint="Please report this line; it contains no patient data. --debug shows more.",
        )
    return Result(errors=[err], exit_code=err.exit_code)


def _own_file(err: OSError, door: Door) -> Exception:
    """Return an error that names the file, if it belongs to the site."""
    from drawcli.errors import ConfigError, DiskFull, UsageError
    from drawcli.system.failures import in_words
    from drawcli.system.files import NO_SPACE
    from drawcli.system.ownership import owner_hint

    place = ""
    ours = []
    with suppress(OSError):  # the working folder may have been removed
        ours = [Path.cwd()]
    with suppress(DrawcliError, OSError):
        settings = door.settings()
        ours = [settings.state_dir, settings.server.token_file]
    if isinstance(err.filename, str):
        named = Path(err.filename)
        if any(named == one or one in named.parents for one in ours):
            place = f"{named}: "
    if err.errno == errno.ENAMETOOLONG and not place:
        hint = "Name a shorter one; a name has at most 255 bytes, a path some 4,000."
        return UsageError("a path on the command line or in the settings is too long", hint=hint)
    if err.errno in NO_SPACE:
        return DiskFull(
            f"no space left {f'for {place[:-2]}' if place else 'on the disk of the site'}",
            hint="Free some space and run the command again; nothing was lost.",
        )
    if err.errno in _FAILING:
        where = place[:-2] or "the disk of the site"
        return ConfigError(
            f"{where}: {err.strerror}",
            code="io",
            hint="Check the disk: it is failing or read-only. Nothing was lost; the jobs wait.",
        )
    hint = "Check that the user running drawcli can read and write the site's files."
    hint = owner_hint(named) if place and isinstance(err, PermissionError) else hint
    return ConfigError(f"{place}{in_words(err)}", code="io", hint=hint)
