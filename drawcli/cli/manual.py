"""The pages of the manual and the scripts of shells, made of the commands as they are.

They are made when a wheel is built, and installed with it: nothing of them can grow stale.
"""

from collections.abc import Iterator
from importlib import resources
from typing import Any, Final

import typer
from typer.testing import CliRunner

from drawcli import __version__, errors
from drawcli.cli.commands import app

SHELLS: Final = {  # where each looks for the completion of a program that is installed
    "bash": "share/bash-completion/completions/drawcli",
    "zsh": "share/zsh/site-functions/_drawcli",
    "fish": "share/fish/vendor_completions.d/drawcli.fish",
    "powershell": "share/drawcli/drawcli-completion.ps1",
}
_NAME: Final = "drawcli"
_ZSH_FIRST_TIME: Final = '[ "$funcstack[1]" = _drawcli ] && _drawcli_completion "$@"'


def shared_files() -> dict[str, str]:
    """Return the files to install below `share`, by relative path."""
    pages = {"share/man/man1/drawcli.1": commands_page()}
    pages["share/man/man5/drawcli.yaml.5"] = settings_page()
    return pages | {place: completion(shell) for shell, place in SHELLS.items()}


def completion(shell: str) -> str:
    """Return the completion script for a shell."""
    asked = {"_DRAWCLI_COMPLETE": f"source_{shell}"}
    script = CliRunner().invoke(app, prog_name=_NAME, env=asked).stdout
    # zsh calls the file itself the first time, which by then has only said what to call later.
    return f"{script}{_ZSH_FIRST_TIME}\n" if shell == "zsh" else script


def commands_page() -> str:
    """Return drawcli(1)."""
    whole = typer.main.get_command(app)
    return "\n".join(
        [
            _title("drawcli", 1, "Send planning scans to DRAW, deliver structure sets"),
            *_section("SYNOPSIS", [_usage(whole, _NAME)]),
            *_section("DESCRIPTION", [whole.help or ""]),
            *_section("OPTIONS", _options(whole)),
            *_section("COMMANDS", _commands(whole, _NAME)),
            *_section("EXIT STATUS", _exit_codes()),
            *_section("SEE ALSO", [".BR drawcli.yaml (5)"], plain=False),
            "",
        ]
    )


def settings_page() -> str:
    """Return drawcli.yaml(5): the commented file that `drawcli init` writes."""
    text = (resources.files("drawcli") / "data" / "drawcli.yaml").read_text(encoding="utf-8")
    where = (
        "Found by --config, $DRAWCLI_CONFIG, in the current folder, or in the user's folder of "
        "configuration. Variables DRAWCLI_* win over it."
    )
    lines = [".nf", *map(_plain, text.splitlines()), ".fi"]
    return "\n".join(
        [
            _title("drawcli.yaml", 5, "The settings of a site"),
            *_section("DESCRIPTION", [where]),
            *_section("THE FILE, WITH ITS DEFAULTS", lines, plain=False),
            *_section("SEE ALSO", [".BR drawcli (1)"], plain=False),
            "",
        ]
    )


def _title(name: str, section: int, what: str) -> str:
    head = f'.TH {name.upper()} {section} "" "drawcli {__version__}" "drawcli"'
    return f"{head}\n.SH NAME\n{_plain(name)} \\- {_plain(what)}"


def _section(name: str, lines: list[str], *, plain: bool = True) -> list[str]:
    """Return a section; its lines are plain text, or marked-up pairs."""
    return [
        f'.SH "{name}"',
        *(line if not plain or line[:1] == "." else _plain(line) for line in lines),
    ]


def _commands(group: Any, name: str) -> list[str]:
    """Return every command of a group, recursively, with its options."""
    lines = []
    for word, command in sorted(group.commands.items()):
        if not command.hidden:
            lines += list(_command(command, f"{name} {word}"))
    return lines


def _command(command: Any, name: str) -> Iterator[str]:
    if hasattr(command, "commands"):
        yield from _commands(command, name)
        return
    yield f'.SS "{_plain(name)}"'
    yield ".B " + _plain(_usage(command, name))
    yield ".PP"
    yield from (f".br\n{_plain(line)}" for line in (command.help or "").splitlines() if line)
    common = {tuple(option.opts) for option in typer.main.get_command(app).params}
    yield from _options(command, without=common)


def _options(command: Any, without: set[tuple[str, ...]] | None = None) -> list[str]:
    """Return the arguments and options of a command, without the common ones."""
    context = typer.Context(command)
    records = [
        option.get_help_record(context)
        for option in command.params
        if tuple(option.opts) not in (without or ())
    ]
    return [f".TP\n.B {_plain(what)}\n{_plain(text)}" for what, text in filter(None, records)]


def _usage(command: Any, name: str) -> str:
    """Return the usage line of a command."""
    return " ".join([name, *command.collect_usage_pieces(typer.Context(command))])


def _exit_codes() -> list[str]:
    meanings = {0: "Success, also when there was nothing to do."}
    for kind in vars(errors).values():
        if isinstance(kind, type) and issubclass(kind, errors.DrawcliError):
            meanings.setdefault(kind.exit_code, (kind.__doc__ or "").partition("\n")[0])
    meanings |= {1: "A bug in drawcli.", 6: "The run finished; a job is newly held."}
    meanings |= {9: "--fail-if-idle, and there was nothing to do.", 130: "Interrupted."}
    return [f".TP\n.B {code}\n{_plain(meanings[code])}" for code in sorted(meanings)]


def _plain(text: str) -> str:
    """Escape a text for roff."""
    safe = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{safe}" if safe[:1] in (".", "'") else safe
