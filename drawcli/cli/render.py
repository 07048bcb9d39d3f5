"""Tables, sentences and JSON: the only module that writes to standard output."""

import codecs
import errno
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from io import StringIO, TextIOWrapper
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from drawcli.cli.text_parts import TextTable, fits, text_of
from drawcli.errors import DiskFull, DrawcliError, UsageError
from drawcli.system.failures import shortage_behind
from drawcli.system.printable import plain, plain_json, plain_lines

if TYPE_CHECKING:
    from rich.console import Console


_CLOSED: Final = frozenset({errno.EPIPE, errno.EINVAL, errno.ESHUTDOWN})  # EINVAL on Windows
_ESCAPED: Final = "drawcli-escaped"
_SIGNS: Final = {"·": "-", "…": "...", "²": "2", "³": "3"}
SCHEMA: Final = 1
_LONGEST_VALUE: Final = 48  # characters of a value in a table
_LONGEST_LINE: Final = 2_000  # characters of an error; it may quote what was typed
_LONGEST_KEY: Final = 32  # characters of a code or an id
_FORCE: Final = ("FORCE_COLOR", "TTY_COMPATIBLE")  # variables that make rich use colours
_WIDE: Final = 200  # columns, where nothing says how wide the reader's paper is


@dataclass(slots=True)
class Result:
    """The result of a command: data for programs, output for people, an exit code."""

    data: dict[str, Any] = field(default_factory=dict)
    show: "Callable[[Console], None] | None" = None  # for people, on standard output
    errors: list[DrawcliError] = field(default_factory=list)
    exit_code: int = 0
    is_partial: bool = False  # in spite of an exit code of an error, something was done


class Style(NamedTuple):
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
        sys.stdout.flush()  # `scan --follow` presents many results
    for err in result.errors:
        say_error(err)


def finish(command: str, result: Result, style: Style) -> int:
    """Write a result; return its exit code, also if nobody reads the output any more."""
    try:
        present(command, result, style)
        sys.stdout.flush()
    except OSError as err:
        short = shortage_behind(err)  # what lays the output out is loaded late
        with suppress(OSError):
            for error in () if style.as_json else result.errors:
                say_error(error)
            if short:
                say_error(short)
        return short.exit_code if short else end_output(err, result.exit_code)
    return result.exit_code


def end_output(err: OSError, exit_code: int) -> int:
    """Give up output that cannot be written; return the exit code.

    A reader that has gone, as in `| head -1`, changes nothing. A full disk is an error.
    """
    is_closed = err.errno in _CLOSED
    if not is_closed:
        with suppress(OSError):
            say(f"drawcli: the output cannot be written: {err.strerror}")
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # else Python would complain at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return exit_code if is_closed else exit_code or DiskFull.exit_code


def not_written(path: object, err: OSError) -> DrawcliError:
    """Return the error for a file that a user named, and that cannot be written."""
    from drawcli.system.files import NO_SPACE

    if err.errno in NO_SPACE:
        hint = "Free some space, or choose another folder, and run the command again."
        return DiskFull(f"{path} cannot be written: {err.strerror}", hint=hint)
    return UsageError(
        f"{path} cannot be written: {err.strerror}", hint="Choose a file that you may write."
    )


def say_error(err: DrawcliError) -> None:
    """Write an error with its hint to standard error."""
    for line in str(err).splitlines():
        say(f"drawcli: {line if len(line) <= _LONGEST_LINE else line[:_LONGEST_LINE] + '…'}")
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
        text = None if options or len(parts) > 1 else "".join(map(text_of, parts))
        room = None if soft_wrap else self._width
        if text is None or not all(fits(line, room) for line in text.split("\n")):
            console(self._style).print(*parts, soft_wrap=soft_wrap, **options)
        else:
            sys.stdout.write(f"{text}\n")

    def __getattr__(self, name: str) -> Any:
        """Return what else a console has."""
        return getattr(console(self._style), name)


def plain_console(**options: Any) -> "Console":
    """Return a console that removes control characters from all it prints."""
    from rich.console import Console

    class Plain(Console):
        def render(self, *args: Any, **options: Any) -> Iterator[Any]:
            for one in super().render(*args, **options):
                yield one if one.control else one._replace(text=plain_lines(one.text))

        def on_broken_pipe(self) -> None:
            raise BrokenPipeError(errno.EPIPE, "nobody reads the output any more")

    return Plain(highlight=False, emoji=False, markup=False, **options)


def ignore_odd_sizes() -> None:
    """Remove the size of the terminal from the environment where it is none."""
    for name in ("COLUMNS", "LINES"):
        if not re.fullmatch("[1-9][0-9]{0,3}", os.environ.get(name, "")):
            os.environ.pop(name, None)


def survive_any_text() -> None:
    """Replace characters that the terminal's encoding lacks instead of failing."""
    codecs.register_error(_ESCAPED, _in_ascii)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by the caller
            setattr(sys, name, StringIO())
        elif isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=_ESCAPED)


def is_unicode(stream: Any) -> bool:
    """Return whether a stream can show every character."""
    return (getattr(stream, "encoding", None) or "").casefold().startswith("utf")


def _in_ascii(err: UnicodeError) -> tuple[str | bytes, int]:
    """Return our own signs as ASCII; any other character as an escape."""
    if isinstance(err, UnicodeEncodeError) and (sign := _SIGNS.get(err.object[err.start])):
        return sign, err.start + 1
    return codecs.backslashreplace_errors(err)


def spinner(what: str) -> AbstractContextManager[Any]:
    """Show on standard error that work is in progress."""
    kind = "dots" if is_unicode(sys.stderr) else "line"
    return plain_console(stderr=True).status(plain(f"{what} ..."), spinner=kind)


def lines(pairs: Iterable[tuple[str, object]]) -> "Callable[[Console], None]":
    """Return a renderer of facts, one a line, with aligned names."""
    rows = [(plain(name), plain(str(value))) for name, value in pairs if value not in (None, "")]
    width = max((len(name) for name, _ in rows), default=0)

    def show(out: "Console") -> None:
        for name, value in rows:
            out.print(f"{name:<{width}}  {value}", soft_wrap=True)

    return show


def columns(
    titles: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    numbers_from: int | None = None,
    styles: Sequence[str] = (),
) -> "Callable[[Console], None]":
    """Return a renderer of a plain table; columns from a number on are narrow and aligned right.

    `styles` are those of the rows, if they have any.
    """
    cells = [[*map(plain, row)] for row in rows]
    every = range(len(titles))
    # Ids and codes are shown whole: they are typed.
    keys = [number for number in every if not number or titles[number] == "job"]
    longest = {key: max((len(row[key]) for row in cells), default=0) for key in keys}
    table = TextTable(
        titles=titles,
        rows=cells,
        whole=set(keys if numbers_from is None else every),
        right=set() if numbers_from is None else set(every[numbers_from:]),
        least={key: min(length, _LONGEST_KEY) for key, length in longest.items()},
        narrow=numbers_from is not None,
        styles=styles,
    )
    return lambda out: out.print(table)


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
    sys.stdout.write(plain_json(text, ascii_only=not is_unicode(sys.stdout)) + "\n")
