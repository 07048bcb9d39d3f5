"""A start that reads the options of no command but the one that is asked for."""

from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from drawcli.cli.commands import app
from drawcli.cli.lazy_options import _QuickValue, only_asked
from drawcli.cli.program import _QUICK, _app_for, _command_in

SHELL = CliRunner()


def options_of(quick: typer.Typer) -> dict[str, int]:
    commands = typer.main.get_group(quick).commands
    return {name: len(command.params) for name, command in commands.items()}


def test_every_command_is_there_and_only_the_one_asked_for_has_its_options() -> None:
    whole, quick = options_of(app), options_of(only_asked(app, {"drawcli", "status"}))

    assert quick.keys() == whole.keys()
    assert quick["status"] == whole["status"] > 0
    assert [name for name, count in quick.items() if count] == ["status"]
    assert options_of(app) == whole  # the app itself is left as it is


@pytest.mark.parametrize("words", [[], ["rules"], ["token", "set"], ["run-once"]])
def test_help_says_the_same(words: list[str]) -> None:
    quick = only_asked(app, {*words})

    said = SHELL.invoke(quick, [*words, "--help"])

    assert said.exit_code == 0
    assert said.output == SHELL.invoke(app, [*words, "--help"]).output


def test_a_command_that_was_not_asked_for_cannot_run_in_silence() -> None:
    ended = SHELL.invoke(only_asked(app, frozenset()), ["status"])

    assert isinstance(ended.exception, AssertionError)


@pytest.mark.parametrize("name", sorted(_QUICK))
def test_a_command_that_is_loaded_alone_is_the_same(
    name: str,
) -> None:
    alone = only_asked(_app_for([name]), {name})

    assert alone is not app
    assert options_of(alone)[name] == options_of(app)[name]
    said = SHELL.invoke(alone, [name, "--help"])
    assert said.output == SHELL.invoke(app, [name, "--help"]).output


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["status"], "status"),
        (["-c", "show", "status"], "status"),
        (["-qc", "show", "status"], "status"),
        (["--config=show", "-q", "status"], "status"),
        (["--config", "status"], ""),
        (["--", "show"], "show"),
        (["-h"], ""),
    ],
)
def test_the_command_is_the_first_word_that_is_no_option(words: list[str], command: str) -> None:
    assert _command_in(words) == command


def path_parameters(command: Any) -> list[Any]:
    inner = [
        one for each in getattr(command, "commands", {}).values() for one in path_parameters(each)
    ]
    kinds = [(one, getattr(one, "type_descriptor", None)) for one in command.params]
    return inner + [one for one, kind in kinds if kind and kind.annotation is Path]


def test_paths_are_converted_as_typer_does(tmp_path: Path) -> None:
    """Its checks, such as `exists`, are no part of the quick conversion."""
    whole = typer.main.get_command(app)
    parameters, ctx = path_parameters(whole), typer.Context(whole)
    (tmp_path / "file").touch()

    assert len(parameters) > 10
    for parameter in parameters:
        convert = parameter.get_runtime_param
        for path in (tmp_path, tmp_path / "file", tmp_path / "none"):
            quick = _QuickValue(convert).coerce(str(path), parameter, ctx)
            assert quick == convert().coerce(str(path), parameter, ctx) == path
