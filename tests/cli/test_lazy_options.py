"""A start that reads the options of no command but the one that is asked for."""

import pytest
import typer
from typer.testing import CliRunner

from drawcli.cli import app
from drawcli.cli.lazy_options import only_asked

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
