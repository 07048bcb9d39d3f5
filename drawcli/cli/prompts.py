"""Questions at a terminal, on standard error so that standard output has only the result."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, TypeVar

import typer

from drawcli.cli import render
from drawcli.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from drawcli.authoring.picks import Pick
    from drawcli.core.rules.conditions import RuleHeader

Chosen = TypeVar("Chosen")
_NUMBER: Final = re.compile("[0-9]{1,9}")
_AT_FIRST: Final = 20  # rows, so that the usual ones stay on the screen
_HOW: Final = "Pick by number. Or: NUMBER contains pelvis. Or: slices at_least 40. /word searches."


def asked(question: str, default: str = "") -> str:
    """Return the answer; Ctrl-C and Ctrl-D exit without changes."""
    try:
        return str(typer.prompt(question, default=default, show_default=bool(default), err=True))
    except typer.Abort:
        raise KeyboardInterrupt from None


def asked_unseen(question: str) -> str:
    """Return a typed secret without echo."""
    try:
        return str(
            typer.prompt(question, default="", show_default=False, hide_input=True, err=True)
        )
    except typer.Abort:
        raise KeyboardInterrupt from None


def agreed(question: str) -> bool:
    """Ask for confirmation; Enter means yes."""
    try:
        return typer.confirm(question, default=True, err=True)
    except typer.Abort:
        raise KeyboardInterrupt from None


def one_of(question: str, names: Sequence[str]) -> str:
    """Ask for one of the names, by number or name, until one is given."""
    for number, name in enumerate(names, 1):
        render.say(f"{number:>4}  {name}")
    while True:
        answer = asked(question)
        if answer in names:
            return answer
        if _NUMBER.fullmatch(answer) and 0 < int(answer) <= len(names):
            return names[int(answer) - 1]
        render.say(f"      a number from 1 to {len(names)}, or a name of the list")


def search_and_choose(
    out: "Console",
    rows: Sequence[tuple[str, ...]],
    titles: Sequence[str],
    choose: Callable[[str], list[Chosen]],
    *,
    how: str,
) -> list[Chosen]:
    """Show rows and accept choices or searches until Enter."""

    def show(word: str, most: int | None = None) -> None:
        fits = [(str(n), *row) for n, row in enumerate(rows, 1) if _has(row, word)]
        render.columns(("", *titles), fits[:most])(out)
        if fits[most or len(fits) :]:
            render.say(f"and {len(fits) - (most or 0)} more: / shows all")

    show("", _AT_FIRST)
    render.say(how)
    chosen: list[Chosen] = []
    while answer := asked("pick, or Enter to end"):
        if answer.startswith("/"):
            show(answer[1:])
            continue
        try:
            chosen += choose(answer)
        except UsageError as err:
            render.say_error(err)
    return chosen


def picks_of(
    header: "RuleHeader",
    elements: Mapping[str, tuple[str, ...]],
    rows: Sequence[tuple[str, ...]],
    out: "Console",
) -> "list[Pick]":
    """Ask for the conditions of a rule, from a header."""
    from drawcli.authoring.picks import parse_pick

    paths = list(elements)

    def choose(answer: str) -> "list[Pick]":
        number, _, rest = answer.partition(" ")
        found = list(parse_pick(f"{row_of(number, paths)} {rest}", header))
        for pick in found:
            render.say(f"      {pick.line}")
        return found

    return search_and_choose(out, rows, ("element", "value", "also in"), choose, how=_HOW)


def row_of(word: str, names: Sequence[str]) -> str:
    """Return the name for a number of the list, or the text itself."""
    if not _NUMBER.fullmatch(word):
        return word
    if not 0 < int(word) <= len(names):
        raise UsageError(f"the list has no number {word}")
    return names[int(word) - 1]


def element_rows(
    elements: Mapping[str, tuple[str, ...]], share: Mapping[str, int], total: int
) -> Iterator[tuple[str, str, str]]:
    """Yield element, value, and the number of series in the ledger with the same value."""
    for path, values in elements.items():
        value = render.shortened("\\".join(values))
        yield path, value, f"{share.get(path, 0)} of {total}" if total else ""


def _has(row: Sequence[str], word: str) -> bool:
    return word.casefold() in " ".join(row).casefold()
