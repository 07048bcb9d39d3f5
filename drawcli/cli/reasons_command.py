"""reasons: explain a reason code, from the documentation of this version."""

import re
from typing import Annotated, Final

import typer

from drawcli.cli.door import Door, command
from drawcli.cli.render import Result, columns
from drawcli.errors import UsageError

_ROW: Final = re.compile(r"\| (`.+?`) \| (.+) \|")
_CODE: Final = re.compile(r"`([a-z0-9]+(?:-[a-z0-9]+)*)`")


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "reasons")(reasons)


def reasons(
    door: Door,
    code: Annotated[
        str | None, typer.Argument(help="As shown by 'status' and 'show'.", metavar="CODE")
    ] = None,
) -> Result:
    """Explain a reason code; without CODE, list all."""
    from drawcli.system.records import suggest

    del door  # no site is needed
    known = _meanings()
    if code is not None and code not in known:
        raise UsageError(
            f"there is no reason '{code}'{suggest(code, known)}",
            hint="'drawcli reasons' lists them.",
        )
    chosen = known if code is None else {code: known[code]}
    rows = [(name, meaning, page_of(name)) for name, meaning in chosen.items()]
    data = {"reasons": [dict(zip(("code", "meaning", "page"), row, strict=True)) for row in rows]}
    return Result(data=data, show=columns(("code", "meaning"), [row[:2] for row in rows]))


def page_of(code: str) -> str:
    """Return where the documentation explains a reason."""
    return f"reasons.md#{code}"


def _meanings() -> dict[str, str]:
    """Return every code with its meaning."""
    from importlib import resources

    text = (resources.files("drawcli") / "data" / "reasons.md").read_text(encoding="utf-8")
    found: dict[str, str] = {}
    for line in text.splitlines():
        if row := _ROW.fullmatch(line):
            plain = row[2].replace("`", "").replace("**", "")
            for code in _CODE.findall(row[1]):  # some are told in more than one place
                found[code] = f"{found[code]}; or: {plain}" if code in found else plain
    return found
