"""Parts of the output that need rich only where they are coloured, folded or wide."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

_UNPRINTABLE: Final = "\0"
_INDENT: Final = 2  # of the second line of a job
_FIRST_COMBINING: Final = "\u0300"  # all printable characters below have the width 1


def outcome_style(outcome: str) -> str:
    """Return the style of the outcome of a condition; it has the word, too."""
    return {"pass": "green", "fail": "red"}.get(outcome, "yellow")


class StyledLine(NamedTuple):
    """A text in a style, folded at the edge of the terminal."""

    text: str
    style: str = ""

    def __rich__(self) -> "Text":
        """Return it as rich prints it."""
        from rich.text import Text

        return Text(self.text, style=self.style, overflow="fold")


class HangingLine(NamedTuple):
    """A text beside its title, indented as a whole."""

    title: str
    body: str
    style: str = ""
    width: int = 3  # of the title, characters
    indent: int = 4
    gap: int = 2  # between title and text

    def __rich__(self) -> "Padding":
        """Return it as rich prints it."""
        from rich.padding import Padding
        from rich.table import Table

        grid = Table.grid(padding=(0, self.gap, 0, 0))
        grid.add_column(width=max(self.width, len(self.title)), no_wrap=True)
        grid.add_column(overflow="fold")
        grid.add_row(self.title, self.body, style=self.style)
        return Padding(grid, (0, 0, 0, self.indent), expand=False)

    @property
    def text(self) -> str:
        """The line, where it is not folded."""
        title = f"{self.title:<{self.width}}"
        line = f"{' ' * self.indent}{title}{' ' * self.gap}{self.body}"
        return line if "\n" not in self.body else _UNPRINTABLE


class TextTable(NamedTuple):
    """A table without lines. A cell is folded if it is too wide, but not in the columns `whole`."""

    titles: Sequence[str]
    rows: Sequence[Sequence[str]]
    whole: AbstractSet[int]  # numbers of columns
    right: AbstractSet[int] = frozenset()  # columns of numbers
    least: Mapping[int, int] = {}  # least widths of columns
    narrow: bool = False  # one blank between columns, not two
    styles: Sequence[str] = ()  # of the rows, if they have any

    def __rich__(self) -> "Table":
        """Return it as rich prints it."""
        from rich.table import Table

        padding = (0, 1, 0, 0) if self.narrow else (0, 1)
        table = Table(box=None, pad_edge=False, header_style="bold", padding=padding)
        for number, title in enumerate(self.titles):
            table.add_column(
                title,
                justify="right" if number in self.right else "left",
                no_wrap=number in self.whole,
                overflow="fold",
                min_width=self.least.get(number),
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
        widths = [
            max(self.least.get(number, 0), *map(len, column))
            for number, column in enumerate(zip(*lines, strict=True))
        ]
        places = [">" if number in self.right else "<" for number in range(len(widths))]
        return "\n".join(
            (" " if self.narrow else "  ").join(
                f"{cell:{place}{width}}"
                for cell, place, width in zip(line, places, widths, strict=True)
            )
            for line in lines
        )


class JobTable(NamedTuple):
    """A table of jobs; where it does not fit, two lines for each: what it is, what it waits for."""

    titles: Sequence[str]
    rows: Sequence[Sequence[str]]
    whole: AbstractSet[int]
    right: AbstractSet[int] = frozenset()
    least: Mapping[int, int] = {}
    styles: Sequence[str] = ()
    brief: bool = False  # the second line is cut, not folded

    @property
    def table(self) -> TextTable:
        """The table with one line for each job."""
        return TextTable(*self[:5], styles=self.styles)

    @property
    def text(self) -> str:
        """The table as text."""
        return self.table.text

    def __rich_console__(self, _: "Console", options: "ConsoleOptions") -> "Iterator[Any]":
        """Yield it as rich prints it."""
        from rich.padding import Padding
        from rich.text import Text

        if max(map(len, self.text.splitlines())) <= options.max_width:
            yield self.table
            return
        head, *rows = (row[:-1] for row in (self.titles, *self.rows))
        short = TextTable(head, rows, self.whole, self.right, self.least, narrow=True)
        title, *lines = short.text.splitlines()
        yield StyledLine(title.rstrip(), "bold")
        for line, row, style in zip_longest(lines, self.rows, self.styles, fillvalue=""):
            yield StyledLine(line.rstrip(), style)
            room = options.max_width - _INDENT
            is_cut = self.brief and len(row[-1]) > room
            text = f"{row[-1][: room - 1]}…" if is_cut else row[-1]
            yield Padding(Text(text, style or "dim", overflow="fold"), (0, 0, 0, _INDENT))


def text_of(part: Any) -> str:
    """Return a text; a character that cannot be printed if it is something else."""
    if isinstance(part, StyledLine | HangingLine | TextTable | JobTable):
        return part.text
    return part if isinstance(part, str) else _UNPRINTABLE


def fits(line: str, room: int | None) -> bool:
    """Return whether a line is printed as it is: Latin characters of width 1, not too many."""
    is_latin = line.isascii() or max(line) < _FIRST_COMBINING
    return is_latin and line.isprintable() and (room is None or len(line) <= room)
