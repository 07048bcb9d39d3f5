"""Nothing that others wrote steers a terminal, breaks a line, or ends in a traceback."""

import io
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawcli.cli import render
from drawcli.cli.render import Result, Style
from drawcli.errors import UsageError
from drawcli.pipeline.identity import readable
from drawcli.system.printable import plain, plain_json, plain_lines

STEERING = [
    *("\x1b]0;pwn\x07", "\x1b[31m", "\x9b31m", "\x90q", "\x85", "\x7f", "\x08", "\r", "\x00"),
    *("\u202e", "\u2066", "\u200f", "\u2028", "\u2029", "\ufeff", "\u200b", "\U000e0041", "\xad"),
    *("\ud800x", "\udfff", "\udcff", "\ue000"),
]
TEXTS = st.text(st.characters(exclude_categories=()))


SPACES = (
    "\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
)


def steers(text: str) -> list[str]:
    return [char for char in text if not char.isprintable() and char not in "\n\t" + SPACES]


@pytest.mark.parametrize("sign", STEERING, ids=ascii)
def test_each_sign_that_steers_is_shown_as_one_that_does_not(sign: str) -> None:
    assert steers(plain(f"A{sign}B")) == []
    assert plain(f"A{sign}B")[0] == "A"
    assert plain(f"A{sign}B")[-1] == "B"
    assert len(plain(f"A{sign}B")) == len(f"A{sign}B")  # nothing is hidden


@pytest.mark.parametrize(
    "text", ["Kulkarnee^Asha", "कुलकर्णी", "山田　太郎", "Müller a\xa0b", SPACES, ""]
)
def test_a_name_in_any_script_stays_as_it_is(text: str) -> None:
    assert (plain(text), plain_lines(text)) == (text, text)


@given(TEXTS)
def test_no_text_gets_past(text: str) -> None:
    assert not any(map(steers, (plain(text), plain_lines(text), plain_json(json.dumps(text)))))
    assert "\n" not in plain(text)


@given(TEXTS)
def test_json_says_the_same(text: str) -> None:
    dumped = json.dumps({text: [text]}, ensure_ascii=False)
    same = json.loads(json.dumps({text: [text]}))

    assert json.loads(plain_json(dumped)) == same
    assert json.loads(plain_json(dumped, ascii_only=True)) == same
    assert plain_json(dumped, ascii_only=True).isascii()
    plain_json(dumped).encode("utf-8")


def test_whatever_a_command_shows_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", err)
    bad = "".join(STEERING) + "[red]x[/red]\nforged"
    shows = [
        render.lines([(bad, bad)]),
        render.columns((bad, "b"), [(bad, bad)]),
        render.verbatim(bad),
        lambda console: console.print(bad, soft_wrap=True),
        lambda console: console.print(bad),
    ]
    for show in shows:
        render.present("show", Result(show=show, errors=[UsageError(bad, hint=bad)]), Style())
    render.say(bad)
    render.teller(Style())(bad)
    render.present("show", Result(data={bad: bad}), Style(as_json=True))

    assert steers(out.getvalue() + err.getvalue()) == []
    assert out.getvalue().count("pwn") == 11
    assert json.loads(out.getvalue().splitlines()[-1])["data"] == {bad: bad}


def test_a_line_break_in_a_value_makes_no_line_of_its_own() -> None:
    out = io.StringIO()
    console = render.console(Style())
    console.file = out
    render.lines([("patient", "A\npatient  B")])(console)
    render.columns(("patient",), [("A\nB",)])(console)

    said = [line.rstrip() for line in out.getvalue().splitlines()]
    assert said == ["patient  A·patient  B", "patient", "A·B"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("M\udcc3\udcbcller", "Müller"),
        ("Müller", "Müller"),
        ("\x1b[2J", "·[2J"),
        ("\ud800", "·"),
        ("\udcff", "�"),
    ],
)
def test_a_header_s_text_is_read_as_utf_8_and_shown_plain(text: str, shown: str) -> None:
    assert readable(text) == shown


def test_an_encoding_without_the_letter_ends_no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(raw, encoding="ascii", write_through=True))
    render.survive_any_text()
    render.present("show", Result(show=render.lines([("patient", "कुल\x1b")])), Style())
    render.present(
        "show", Result(data={"at": "कुल", "day": str(datetime.now(UTC))}), Style(as_json=True)
    )

    said, answer = raw.getvalue().decode("ascii").splitlines()
    assert said.startswith("patient  \\u0915")
    assert json.loads(answer)["data"]["at"] == "कुल"
