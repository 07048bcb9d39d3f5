"""The frame of the program: wrong usage, a closed pipe and an interruption end it in our own words.

What typer finds before a command runs is a message like any other, and JSON with --json.
"""

import re
from collections.abc import Callable
from typing import Any, Final

import typer

from drawcli.cli import render
from drawcli.cli.render import Result, Style
from drawcli.errors import UsageError

INTERRUPTED: Final = 130
WRONG_USAGE: Any = typer.BadParameter.__base__  # typer exports no other class of its errors
_KINDS: Final = {"integer": "a whole number", "number": "a number", "boolean": "true or false"}
_OF_LIBRARY: Final = r"(?s)Input should be (?:a )?(?:valid )?(\w+)([^,]*)(?:, .*)?"


def run(command: Callable[..., Any], words: list[str]) -> int:
    """Run the command line that typer made; return its exit code."""
    try:
        code = command(prog_name="drawcli", standalone_mode=False)
    except WRONG_USAGE as err:
        if _asks_for_help(err) and not _wants_json(words):
            err.show()
            return UsageError.exit_code
        result = Result(errors=[_usage_error(err)], exit_code=UsageError.exit_code)
        render.finish(_command_of(err), result, Style(as_json=_wants_json(words)))
        return result.exit_code
    except (KeyboardInterrupt, typer.Abort):  # before a command had begun, or at a question
        render.say("drawcli: interrupted; nothing is lost")
        return INTERRUPTED
    except SystemExit as err:  # of typer, if nobody reads the help any more
        if not isinstance(err.__context__, OSError):
            raise
        return render.end_output(err.__context__, 0)
    return code if isinstance(code, int) else 0


def _wants_json(words: list[str]) -> bool:
    """Return whether --json is among the options."""
    return "--json" in (words[: words.index("--")] if "--" in words else words)


def _asks_for_help(err: Any) -> bool:
    """Return whether a group was called without a command: the message is then its help."""
    return type(err).__name__ == "NoArgsIsHelpError"


def _command_of(err: Any) -> str:
    path = err.ctx.command_path if err.ctx is not None else ""
    return str(path).partition(" ")[2]


def _usage_error(err: Any) -> UsageError:
    """Return what is wrong with the command line, and where its help is."""
    message, command = _message_of(err), f"drawcli {_command_of(err)}".strip()
    usage = _commands_of(err) or " ".join(err.ctx.get_usage().split()) if err.ctx else ""
    return UsageError(message, hint=f"'{command} -h' shows its help. {usage}".strip())


def _commands_of(err: Any) -> str:
    """Return the commands of the group that lacks one; "" for the program, which has too many."""
    if err.ctx.parent is None or not str(err.format_message()).startswith("No such command"):
        return ""
    return f"Commands: {', '.join(err.ctx.command.list_commands(err.ctx))}."


def _message_of(err: Any) -> str:
    if _asks_for_help(err):
        return "name a command"
    message = str(err.format_message()).rstrip(".").replace("Value error, ", "")
    message = re.sub(_OF_LIBRARY, _in_our_words, message)
    return f"{message[:1].lower()}{message[1:]}"


def _in_our_words(found: re.Match[str]) -> str:
    return f"it should be {_KINDS.get(found[1], found[1])}{found[2]}"
