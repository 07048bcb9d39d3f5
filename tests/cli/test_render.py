"""What is printed without a terminal is what rich would print, which is then not imported."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from drawcli.cli.render import PlainOutput, Style, console, output
from drawcli.cli.text_parts import HangingLine, StyledLine, TextTable

PRINTED: list[Callable[[Any], None]] = [
    lambda out: out.print(),
    lambda out: out.print(""),
    lambda out: out.print("a\nb"),
    lambda out: out.print("x " * 99 + "yz  "),
    lambda out: out.print("x " * 150),
    lambda out: out.print("x " * 150, soft_wrap=True),
    lambda out: out.print("tab\there", "[bold]no markup[/] :smile:"),
    lambda out: out.print("Füße", style="red"),
    lambda out: out.print("1 uploaded · 3 done, Łódź"),
    lambda out: out.print("·" * 201),
    lambda out: out.print("soft\xadhyphen, fixed\xa0space"),
    lambda out: out.print(TextTable(titles=["ü", "b"], rows=[["é", "e\u0301"]], whole={0})),
    lambda out: out.print(TextTable(titles=["ü", "b"], rows=[["漢字", "·"]], whole={0})),
    lambda out: out.print(StyledLine("word " * 60, "red")),
    lambda out: out.print(HangingLine("why", "it waits", "bold")),
    lambda out: out.print(HangingLine("", "word " * 60, "dim")),
    lambda out: out.print(StyledLine("\nHELD: 1", "bold red")),
    lambda out: out.print(TextTable(titles=["a", "b"], rows=[], whole={0})),
    lambda out: out.print(TextTable(titles=["a", ""], rows=[["1\n2", "x"]], whole={0})),
    lambda out: out.print(TextTable(titles=["a", "b"], rows=[["1", "x " * 150]], whole={0})),
]


@pytest.fixture(autouse=True)
def _no_width(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


def printed(show: Callable[[Any], None], out: Any, capsys: pytest.CaptureFixture[str]) -> str:
    show(out)
    return capsys.readouterr().out


@pytest.mark.parametrize("show", PRINTED)
def test_text_without_a_terminal_is_that_of_rich(
    show: Callable[[Any], None], capsys: pytest.CaptureFixture[str]
) -> None:
    plain = output(Style())

    assert isinstance(plain, PlainOutput)
    assert printed(show, plain, capsys) == printed(show, console(Style()), capsys)


def test_latin_text_needs_no_rich(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delattr("drawcli.cli.render.console")

    assert printed(lambda out: out.print("2 · Łódź"), output(Style()), capsys) == "2 · Łódź\n"


def test_tables_without_a_terminal_are_those_of_rich(capsys: pytest.CaptureFixture[str]) -> None:
    chosen = random.Random(1)  # noqa: S311 - no secret

    def text() -> str:
        return "".join(chosen.choice("abc 0·Łü") for _ in range(chosen.randrange(30))).strip()

    for _ in range(50):
        count = chosen.randrange(1, 8)
        grid = TextTable(
            titles=[text() for _ in range(count)],
            rows=[[text() for _ in range(count)] for _ in range(chosen.randrange(5))],
            whole={0},
            right={chosen.randrange(count)},
            least={0: chosen.randrange(20)},
            narrow=chosen.random() < 0.3,
        )

        shown = printed(lambda out: out.print(grid), output(Style()), capsys)  # noqa: B023 - called at once

        assert shown == printed(lambda out: out.print(grid), console(Style()), capsys)  # noqa: B023 - likewise


@pytest.mark.parametrize(
    ("name", "value"), [("FORCE_COLOR", "1"), ("TTY_COMPATIBLE", "1"), ("COLUMNS", "wide")]
)
def test_who_asks_for_colours_gets_the_console_of_rich(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)

    assert not isinstance(output(Style()), PlainOutput)


def test_the_width_is_that_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "20")

    assert printed(lambda out: out.print("word " * 6), output(Style()), capsys).count("\n") == 2
