"""Parts of the documentation of this version, for `drawcli reasons` and the page: no internet."""

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Final

_REASON: Final = re.compile(r"\| (`.+?`) \| (.+) \| (.+) \| (.+) \|")
_CODE: Final = re.compile(r"`([a-z0-9]+(?:-[a-z0-9]+)*)`")
_ROW: Final = re.compile(r"\| `([a-z0-9_.]+)` \|(?:.*\|)? (.+) \|")
_COMMAND: Final = re.compile(r"`(drawcli [^`]+)`")
_LINK: Final = re.compile(r"\[([^\]]+)\]\([^)]+\)")


@dataclass(frozen=True, slots=True)
class Reason:
    """The entry of a reason code. Some codes have one in more than one place."""

    meaning: str  # why it happens
    look: str  # what to look at
    do: str


@cache
def reasons() -> dict[str, list[Reason]]:
    """Return the entries of every reason code."""
    found: dict[str, list[Reason]] = {}
    for line in _lines("reasons.md"):
        if row := _REASON.fullmatch(line):
            reason = Reason(*(_plain(cell) for cell in row.groups()[1:]))
            for code in _CODE.findall(row[1]):
                found.setdefault(code, []).append(reason)
    return found


@cache
def setting_meanings() -> dict[str, str]:
    """Return the meaning of every setting, by its key with its section."""
    rows = filter(None, map(_ROW.fullmatch, _lines("settings.md")))
    return {row[1]: _plain(row[2]) for row in rows}


@cache
def state_meanings() -> dict[str, str]:
    """Return what is true of a job in every state."""
    rows = (line.split("|") for line in _lines("states.md") if line.startswith("| `"))
    return {row[1].strip(" `"): _plain(row[2].strip()) for row in rows}


def _lines(name: str) -> list[str]:
    text = (resources.files("drawcli") / "data" / name).read_text(encoding="utf-8")
    return text.splitlines()


def _plain(cell: str) -> str:
    quoted = _COMMAND.sub(r"'\1'", cell)
    return _LINK.sub(r"\1", quoted.replace("`", "").replace("**", ""))
