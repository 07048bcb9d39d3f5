"""Tables, sentences and JSON: the only module that writes to standard output."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from io import TextIOWrapper
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final, cast

from drawcli.errors import DrawcliError
from drawcli.system.printable import plain, plain_json, plain_lines

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text


SCHEMA: Final = 1
_LONGEST_VALUE: Final = 48  # characters of a value in a table
_FORCE: Final = ("FORCE_COLOR", "TTY_COMPATIBLE")  # variables that make rich use colours
_UNPRINTABLE: Final = "\0"
_WIDE: Final = 200  # columns, where nothing says how wide the reader's paper is


@dataclass(slots=True)
class Result:
    """The result of a command: data for programs, output for people, an exit code."""

    data: dict[str, Any] = field(default_factory=dict)
    show: "Callable[[Console], None] | None" = None  # for people, on standard output
    errors: list[DrawcliError] = field(default_factory=list)
    exit_code: int = 0
    is_partial: bool = False  # in spite of an exit code of an error, something was done


@dataclass(frozen=True, slots=True, kw_only=True)
class Style:
    """The style of the output."""

    as_json: bool = False
    quiet: bool = False
    color: bool = True


def present(command: str, result: Result, style: Style) -> None:
    """Write a result as one JSON object, or as text and tables; errors go to standard error."""
    if style.as_json:
        _write_json(command, result)
        return
    if result.show is not None and not style.quiet:
        result.show(output(style))
    for err in result.errors:
        say_error(err)


def say_error(err: DrawcliError) -> None:
    """Write an error with its hint to standard error."""
    for line in str(err).splitlines():
        say(f"drawcli: {line}")
    if err.hint:
        say(f"  {err.hint}")


def say(line: str) -> None:
    """Write a message to standard error."""
    sys.stderr.write(f"{plain_lines(line)}\n")


def on_terminal() -> bool:
    """Return whether standard output is a terminal."""
    return sys.stdout.isatty()


def console(style: Style, *, stderr: bool = False) -> "Console":
    """Return a console for standard output or standard error."""
    colorless = not style.color or bool(os.environ.get("NO_COLOR"))
    width = None if on_terminal() or "COLUMNS" in os.environ else _WIDE
    return plain_console(stderr=stderr, no_color=colorless, width=width)


def output(style: Style) -> "Console":
    """Return what results are printed to: a console, or without a terminal a plain one."""
    width = os.environ.get("COLUMNS", str(_WIDE))
    if on_terminal() or not width.isdigit() or any(map(os.environ.get, _FORCE)):
        return console(style)
    return cast("Console", PlainOutput(int(width), style))


class PlainOutput:
    """Prints as rich does where nothing is coloured; rich is imported only for what it lays out."""

    def __init__(self, width: int, style: Style) -> None:
        self._width = width
        self._style = style

    def print(self, *parts: Any, soft_wrap: bool = False, **options: Any) -> None:
        """Print a text as it is, if it fits or shall not be wrapped; anything else with rich."""
        text = None if options or len(parts) > 1 else "".join(map(_as_text, parts))
        room = None if soft_wrap else self._width
        if text is None or not all(_fits(line, room) for line in text.split("\n")):
            console(self._style).print(*parts, soft_wrap=soft_wrap, **options)
        else:
            sys.stdout.write(f"{text}\n")

    def __getattr__(self, name: str) -> Any:
        """Return what else a console has."""
        return getattr(console(self._style), name)


@dataclass(frozen=True, slots=True)
class StyledLine:
    """A text in a style, folded at the edge of the terminal."""

    text: str
    style: str = ""

    def __rich__(self) -> "Text":
        """Return it as rich prints it."""
        from rich.text import Text

        return Text(self.text, style=self.style, overflow="fold")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextTable:
    """A table without lines. A cell is folded if it is too wide, but not in the columns `whole`."""

    titles: Sequence[str]
    rows: Sequence[Sequence[str]]
    whole: AbstractSet[int]  # numbers of columns
    right: AbstractSet[int] = frozenset()  # columns of numbers
    styles: Sequence[str] = ()  # of the rows, if they have any

    def __rich__(self) -> "Table":
        """Return it as rich prints it."""
        from rich.table import Table

        table = Table(box=None, pad_edge=False, header_style="bold")
        for number, title in enumerate(self.titles):
            table.add_column(
                title,
                justify="right" if number in self.right else "left",
                no_wrap=number in self.whole,
                overflow="fold",
            )
        for row, style in zip_longest(self.rows, self.styles, fillvalue=""):
            table.add_row(*row, style=style)
        return table

    @property
    def text(self) -> str:
        """The table as text; a character that cannot be printed if a cell has several lines."""
        lines = [self.titles, *self.rows]
        if any("\n" in cell for line in lines for cell in line):
            return _UNPRINTABLE
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        places = [">" if number in self.right else "<" for number in range(len(widths))]
        return "\n".join(
            "  ".join(
                f"{cell:{place}{width}}"
                for cell, place, width in zip(line, places, widths, strict=True)
            )
            for line in lines
        )


def _as_text(part: Any) -> str:
    """Return a text; a character that cannot be printed if it is something else."""
    if isinstance(part, StyledLine | TextTable):
        return part.text
    return part if isinstance(part, str) else _UNPRINTABLE


def _fits(line: str, room: int | None) -> bool:
    return line.isascii() and line.isprintable() and (room is None or len(line) <= room)


def plain_console(**options: Any) -> "Console":
    """Return a console that removes control characters from all it prints."""
    from rich.console import Console

    class Plain(Console):
        def render(self, *args: Any, **options: Any) -> Iterator[Any]:
            for one in super().render(*args, **options):
                yield one if one.control else one._replace(text=plain_lines(one.text))

    return Plain(highlight=False, emoji=False, markup=False, **options)


def survive_any_text() -> None:
    """Replace characters that the terminal's encoding lacks instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def spinner(what: str) -> AbstractContextManager[Any]:
    """Show on standard error that work is in progress."""
    return plain_console(stderr=True).status(plain(f"{what} ..."))


def lines(pairs: Iterable[tuple[str, object]]) -> "Callable[[Console], None]":
    """Return a renderer of facts, one a line, with aligned names."""
    rows = [(plain(name), plain(str(value))) for name, value in pairs if value not in (None, "")]
    width = max((len(name) for name, _ in rows), default=0)

    def show(out: "Console") -> None:
        for name, value in rows:
            out.print(f"{name:<{width}}  {value}", soft_wrap=True)

    return show


def columns(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> "Callable[[Console], None]":
    """Return a renderer of a plain table."""
    shown = [list(map(plain, row)) for row in rows]
    grid = TextTable(titles=titles, rows=shown, whole={0})
    return lambda out: out.print(grid)


def shortened(text: str, longest: int = _LONGEST_VALUE) -> str:
    r"""Return a value from a header for a table: on one line, and cut short.

    >>> shortened("A\x1b[2JB"), shortened("x" * 50, 5)
    ('A·[2JB', 'xxxx…')
    """
    shown = plain(text)
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def verbatim(text: str, *, drawn: bool = False) -> "Callable[[Console], None]":
    """Return how to write a text in its own lines, however long: for files of other programs.

    What is drawn by codes of the terminal, a picture of our own, is written as it is.
    """

    def show(out: "Console") -> None:
        out.file.write(text if drawn else plain_lines(text))

    return show


def teller(style: Style) -> "Callable[[str], None]":
    """Return a writer of single lines for work in progress."""
    out = console(style)
    return lambda line: out.print(line, soft_wrap=True)


def _write_json(command: str, result: Result) -> None:
    status = "success" if not result.errors and not result.exit_code else "partial"
    ended_early = result.exit_code in (1, 2, 3, 4, 5, 11, 12, 130)
    if result.errors and ended_early and not result.is_partial:
        status = "error"
    envelope = {
        "schema": SCHEMA,
        "command": command,
        "status": status,
        "data": result.data,
        "errors": [
            {"code": err.code, "message": str(err), "hint": err.hint or None}
            for err in result.errors
        ],
    }
    import json

    text = json.dumps(envelope, ensure_ascii=False)
    is_unicode = (sys.stdout.encoding or "").casefold().startswith("utf")
    sys.stdout.write(plain_json(text, ascii_only=not is_unicode) + "\n")
