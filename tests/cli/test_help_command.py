"""help and version; the help of drawcli by use, and whole at 80 columns."""

from typing import Any

import pytest
import typer

from drawcli import __version__
from drawcli.cli.commands import app
from drawcli.cli.help_command import BY_USE
from tests.cli.conftest import Run

ROOT: Any = typer.main.get_command(app)


def test_every_command_stands_in_the_help_once_under_its_use() -> None:
    listed = [name for names in BY_USE.values() for name in names.split()]

    assert sorted(listed) == sorted(ROOT.commands)


@pytest.mark.parametrize("words", [(), *((name,) for name in ROOT.commands)])
def test_help_fits_80_columns_and_is_that_of_the_option(
    drawcli: Run, words: tuple[str, ...]
) -> None:
    ended = drawcli("help", *words, COLUMNS="80")

    assert ended.code == 0
    assert max(map(len, ended.out.splitlines())) <= 80
    assert ended.out == drawcli(*words, "--help", COLUMNS="80").out


@pytest.mark.parametrize("words", [(), ("token",), ("ledger",)])
def test_no_sentence_is_cut_short(drawcli: Run, words: tuple[str, ...]) -> None:
    group = ROOT.commands[words[0]] if words else ROOT

    said = " ".join(drawcli("help", *words, COLUMNS="60").out.split())

    for name, command in group.commands.items():
        assert f"{name} {command.get_short_help_str(1000)}" in said


def test_help_of_a_command_of_a_group(drawcli: Run) -> None:
    ended = drawcli("help", "token", "set", "--json").answer["data"]

    assert ended["command"] == "token set"
    assert ended["help"].startswith("Usage: drawcli token set ")


def test_help_of_a_mistyped_command(drawcli: Run) -> None:
    ended = drawcli("help", "token", "sett")

    assert ended.code == 2
    assert "there is no command 'token sett'; did you mean 'set'?" in ended.err


def test_version(drawcli: Run) -> None:
    assert drawcli("version").out.startswith(f"drawcli {__version__} (Python ")
    assert drawcli("version", "--json").answer["data"]["version"] == __version__
