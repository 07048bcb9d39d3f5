"""help and version; and the help of a group of commands, by use and never cut short."""

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperGroup

from drawcli import __version__
from drawcli.cli import render
from drawcli.cli.door import Door, command
from drawcli.cli.render import Result
from drawcli.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

_WHOLE: Final = 1_000  # characters of a first sentence; it is wrapped, not cut
# The commands by use, in the order of the help and of the reference.
BY_USE: Final[dict[str, str]] = {
    "Every day": "status group quarantine show open preview explain reasons",
    "Decide about jobs": "release retry assign cancel seen redeliver",
    "Run": "run-once scan match deidentify upload poll fetch reidentify receive pull worker pause "
    "resume",
    "Rules and templates": "rules templates import-draw-client",
    "Set up and check a site": "init config doctor nodes token key notify dashboard users cluster",
    "Records": "report logs audit verify ledger vault clean unlock",
    "Inspect and compare": "diff-header gate qa",
    "Try it out": "demo sandbox phantoms",
    "Help": "help version",
}
_OTHERS: Final = "Commands"


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    command(app, "help")(help_)
    command(app, "version")(version)


class HelpByUse(TyperGroup):
    """A group of commands whose help shows whole sentences, and the top ones by use."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write the commands with their first sentences."""
        width = max(map(len, self.commands), default=0)
        for title, names in sections(self, is_top=ctx.parent is None):
            texts = [self.commands[name].get_short_help_str(_WHOLE) for name in names]
            rows = [(name.ljust(width), text) for name, text in zip(names, texts, strict=True)]
            with formatter.section(title):
                formatter.write_dl(rows)


def sections(group: TyperGroup, *, is_top: bool) -> "Iterator[tuple[str, list[str]]]":
    """Yield the titles of a group's help with the names of their commands."""
    left = [name for name, one in group.commands.items() if not one.hidden]
    for title, names in BY_USE.items() if is_top else ():
        known = [name for name in names.split() if name in left]
        left = [name for name in left if name not in known]
        if known:
            yield title, known
    if left:
        yield _OTHERS, left


def help_(
    door: Door,
    words: Annotated[
        list[str] | None,
        typer.Argument(help="A command, such as 'status' or 'token set'.", metavar="[COMMAND]..."),
    ] = None,
) -> Result:
    """Show the help of drawcli, or of a command."""
    from drawcli.system.records import suggest

    context: Any = door.typed
    context = context.find_root()
    for word in words or ():
        known = getattr(context.command, "commands", {})
        if word not in known:
            raise UsageError(
                f"there is no command '{' '.join(words or ())}'{suggest(word, known)}",
                hint="'drawcli help' lists the commands.",
            )
        context = type(context)(known[word], info_name=word, parent=context)
    text = context.get_help()
    data = {"command": " ".join(words or ()), "help": text}
    return Result(data=data, show=render.verbatim(f"{text}\n"))


def version(door: Door) -> Result:
    """Show the version of drawcli and of Python."""
    import platform

    del door  # no site is needed
    python = platform.python_version()
    return Result(
        data={"version": __version__, "python": python},
        show=render.verbatim(f"drawcli {__version__} (Python {python})\n"),
    )
