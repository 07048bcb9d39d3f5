"""The command blocks of a page, and the shell script that runs them in order.

A comment directly above a block says how it differs from one that is run and must end with 0:

    <!-- not run: reason -->       it cannot run here; the reason says why
    <!-- exit: 6 -->               it ends with another code
    <!-- long: reason -->          it takes long: run in the long form only
    <!-- second terminal -->       it starts the sandbox, which the test keeps running meanwhile

A page with `<!-- starts from: practice -->` continues where the tutorial ended; one with
`<!-- with: postgresql -->` has PostgreSQL, whose owner is the user.
"""

import os
import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PORT: Final = "127.0.0.1:8042"  # of a sandbox, as the pages have it
DATABASE: Final = "127.0.0.1/"  # the server of the database, as the pages have it
OUTSIDE_DOCS: Final = (
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "cron/README.md",
    "packaging/README.md",
)
IN_FULL: Final = os.environ.get("DOCS") == "long"
_FENCE: Final = re.compile(
    r"^(?P<mark><!-- (?P<word>not run|exit|long|second terminal)(?:: (?P<why>.+?))? -->\n)?"
    r"```(?:sh|powershell)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
_OF_THE_MACHINE: Final = re.compile(
    r"(?<![\w.~-])/(?:etc|opt|usr|var|home|root|mnt)\b|\b(?:sudo|apt|apt-get|brew|crontab|systemctl"
    r"|docker|pipx|uv|pip install|useradd|mount)\b"
)
_INDENTED: Final = re.compile(r"(?: {4}|\t)\s*(?:\$ )?(?:sudo )?(?:drawcli|pipx?|uv|make)\b")
_COMMAND: Final = re.compile(r"\s*(?:\$ )?(?:sudo )?(?:drawcli|pipx?|uv|make) ")
# What a terminal needs that does not find drawcli, installed as the page on installing says.
FIND: Final = 'export PATH="$HOME/.local/bin:$PATH"'
IN_PRACTICE: Final = f"{FIND}; cd ~/practice"
STARTS_FROM_PRACTICE: Final = "<!-- starts from: practice -->"
WITH_POSTGRES: Final = "<!-- with: postgresql -->"


@dataclass(frozen=True, slots=True)
class Block:
    """One block of commands."""

    page: str  # from the top of the repository
    line: int
    text: str
    word: str = ""  # of the comment above it
    why: str = ""

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"{self.page}:{self.line}"

    @property
    def touches_the_machine(self) -> bool:
        """Whether it would change, or ask for, what is not of the folder it is typed in."""
        return _OF_THE_MACHINE.search(self.text) is not None

    @property
    def is_run(self) -> bool:
        """Whether a test types it."""
        return self.word not in ("not run", "second terminal") and (IN_FULL or self.word != "long")


def pages() -> list[Path]:
    """Return every page that may hold commands."""
    return [*(ROOT / name for name in OUTSIDE_DOCS), *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(path: Path, text: str | None = None) -> list[Block]:
    """Return the blocks of a page, in order."""
    whole = path.read_text(encoding="utf-8") if text is None else text
    name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name
    return [
        Block(
            page=name,
            line=whole.count("\n", 0, found.start("text")) + 1,
            text=found["text"],
            word=found["word"] or "",
            why=found["why"] or "",
        )
        for found in _FENCE.finditer(whole)
    ]


def strays(text: str) -> list[int]:
    """Return the lines of a page where commands stand, or may stand, that no test would see.

    That is every fence that does not say what it holds, and every command that stands in a fence
    of another language, or is only indented.
    """
    found, language = [], None
    for number, line in enumerate(text.splitlines(), 1):
        if line.lstrip().startswith("```"):
            opens = language is None
            language = line.strip("` ") if opens else None
            if opens and not language:
                found.append(number)
        elif language is None:
            found += [number] if _INDENTED.match(line) else []
        elif language not in ("sh", "powershell") and _COMMAND.match(line):
            found.append(number)
    return found


def script(todo: list[Block], url: str, first: str = "", database: str = "") -> str:
    """Return a script that runs `first`, then blocks, and ends where one goes wrong.

    `database` is the address of PostgreSQL, such as 127.0.0.1:5432, of a page that needs it. Where
    it stands is kept in the file $AT, so that a failure can name its block.

    Raises
    ------
    ValueError
        Where a block would reach beyond its folder: whoever wrote it forgot the comment above it.
    """
    for block in todo:
        if block.touches_the_machine:
            raise ValueError(f"{block.place}: touches the machine; say '<!-- not run: why -->'")
    lines = ["set -eu", first]
    for block in todo:
        text = block.text.replace(PORT, url.removeprefix("http://"))
        text = text.replace(DATABASE, f"{database}/") if database else text
        lines.append(f'echo {shlex.quote(block.place)} > "$AT"')
        if block.word == "exit":
            code = int(block.why)
            lines += ["set +e", text, "code=$?", "set -e"]
            lines.append(f'[ "$code" -eq {code} ] || {{ echo "ended with $code" >&2; exit 99; }}')
        else:
            lines.append(text)
    return "\n".join(lines) + "\n"
