"""reasons: explain a reason code, from the documentation of this version."""

from dataclasses import asdict, astuple
from typing import TYPE_CHECKING, Annotated

import typer

from drawcli.cli.door import Door, command
from drawcli.cli.render import Result, columns
from drawcli.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from drawcli.adapters.reference import Reason


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "reasons")(reasons)


def reasons(
    door: Door,
    code: Annotated[
        str | None, typer.Argument(help="As shown by 'status' and 'show'.", metavar="CODE")
    ] = None,
) -> Result:
    """Explain a reason code and what to do about it; without CODE, list all."""
    from drawcli.adapters.reference import reasons as entries
    from drawcli.system.records import suggest

    del door  # no site is needed
    known = entries()
    if code is not None and code not in known:
        raise UsageError(
            f"there is no reason '{code}'{suggest(code, known)}",
            hint="'drawcli reasons' lists them.",
        )
    chosen = known if code is None else {code: known[code]}
    data = [
        {"code": name, "page": page_of(name), **asdict(_joined(several))}
        for name, several in chosen.items()
    ]
    if code is None:
        rows = [(name, _joined(several).meaning) for name, several in chosen.items()]
        return Result(data={"reasons": data}, show=columns(("code", "meaning"), rows))
    return Result(data={"reasons": data}, show=lambda out: _tell(out, code, chosen[code]))


def page_of(code: str) -> str:
    """Return where the documentation explains a reason."""
    return f"reasons.md#{code}"


def _joined(several: "list[Reason]") -> "Reason":
    from drawcli.adapters.reference import Reason

    return Reason(*("; or: ".join(texts) for texts in zip(*map(astuple, several), strict=True)))


def _tell(out: "Console", code: str, several: "list[Reason]") -> None:
    """Write the entries of one code, each with a heading for its three parts."""
    from rich.padding import Padding

    out.print(code, style="bold")
    for reason in several:
        for title, text in zip(("why", "look at", "do"), astuple(reason), strict=True):
            out.print(f"  {title}", style="bold")
            out.print(Padding(text, (0, 0, 0, 4)))
