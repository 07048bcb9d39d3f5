"""Wrong usage, closed pipes and terminals of few characters end in our own words."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run, environment
from tests.conftest import Site

WRONG = {
    "nosuch": ("", "no such command 'nosuch'"),
    "statu": ("", "Did you mean 'status'?"),
    "": ("", "name a command"),
    "status --nosuch": ("status", "no such option: --nosuch"),
    "show": ("show", "missing argument 'JOB'"),
    "rules nosuch": ("rules", "no such command 'nosuch'"),
    "open 1234 nosuch": ("open", "'nosuch' is not one of 'picture'"),
    "rules test more": ("rules test", "unexpected extra argument"),
    "scan --limit x": ("scan", "invalid value for '--limit': it should be a whole number"),
    "scan --limit 0": ("scan", "it should be greater than or equal to 1"),
    "scan --max-minutes x": ("scan", "it should be a number"),
    "status --state nosuch": ("status", "there is no state 'nosuch'"),
    "show 12": ("show", "'12' is too short"),
    "scan --max-minutes 1e308": ("scan", "--max-minutes: too many"),
    "logs --lines 99999999999999999999": ("logs", "it should be less than or equal to 1000000"),
    "dashboard --port 65536": ("dashboard", "it should be less than or equal to 65535"),
}


@pytest.mark.parametrize("words", WRONG)
def test_wrong_usage_with_json_is_json(drawcli: Run, words: str) -> None:
    command, message = WRONG[words]

    ended = drawcli(*words.split(), "--json")

    (error,) = ended.answer["errors"]
    assert (ended.code, ended.err) == (2, "")
    assert ended.answer["command"] == command
    assert (ended.answer["schema"], ended.answer["status"]) == (1, "error")
    assert error["code"] == "usage"
    assert message in error["message"]
    assert error["hint"]


def test_the_program_has_its_name_when_python_runs_it_as_a_module(
    drawcli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["__main__"], "__package__", "drawcli")

    ended = drawcli("show", "--json")

    assert ended.answer["command"] == "show"
    assert "'drawcli show -h'" in ended.answer["errors"][0]["hint"]


@pytest.mark.parametrize("words", [words for words in WRONG if words])
def test_wrong_usage_is_a_message_with_a_way_to_the_help(drawcli: Run, words: str) -> None:
    ended = drawcli(*words.split())

    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("drawcli: ")
    assert WRONG[words][1] in ended.err
    for foreign in ("Error", "Value error", "Input should", "valid integer", "Traceback"):
        assert foreign not in ended.err


@pytest.mark.parametrize("words", ["show", "reasons", "help", "status --state", "qa rate"])
def test_a_very_long_word_is_not_quoted_in_full(drawcli: Run, words: str) -> None:
    ended = drawcli(*words.split(), "x" * 100_000)

    assert ended.code == 2
    assert "xxx…" in ended.err
    assert len(ended.err) < 3000


@pytest.mark.skipif(sys.platform == "win32", reason="paths are limited in other ways there")
@pytest.mark.parametrize("command", ["explain", "scan"])
def test_a_path_that_is_too_long_is_reported(drawcli: Run, command: str) -> None:
    ended = drawcli(command, "x" * 300)

    assert ended.code == 2
    assert "a path on the command line or in the settings is too long" in ended.err


@pytest.mark.parametrize("width", ["0", "00", "-1", "\u00b2", "9" * 5000, "1e3"])
def test_a_width_of_the_terminal_that_is_none_is_ignored(drawcli: Run, width: str) -> None:
    as_usual = drawcli("reasons", COLUMNS="200")

    assert drawcli("reasons", COLUMNS=width, LINES=width).out == as_usual.out != ""


def test_a_group_without_such_a_command_names_those_it_has(drawcli: Run) -> None:
    assert "Commands: set, status, refresh." in drawcli("token", "show").err
    assert "Commands:" not in drawcli("nosuch").err


def test_a_group_without_a_command_shows_its_help(drawcli: Run) -> None:
    ended = drawcli("rules")

    assert ended.code == 2
    assert "Check, test and write rules." in ended.err


def test_json_behind_the_end_of_options_is_a_word(drawcli: Run) -> None:
    assert drawcli("status", "--", "--json").out == ""


CLOSED = ["status --all", "reasons", "reasons --json", "--help", "rules --help", "show 12"]


@pytest.mark.skipif(sys.platform == "win32", reason="pipes are others there")
@pytest.mark.parametrize("words", CLOSED)
def test_a_reader_that_has_gone_changes_no_exit_code(site: Site, words: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "drawcli", *words.split()]

    done = subprocess.run(
        command,
        cwd=site.folder,
        env=environment(site),
        stdout=writer,
        stderr=subprocess.PIPE,
        check=False,
    )

    os.close(writer)
    assert done.returncode == (2 if words == "show 12" else 0)
    assert b"Traceback" not in done.stderr
    assert b"BrokenPipe" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_is_told(site: Site) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "drawcli", "reasons"],
            cwd=site.folder,
            env=environment(site),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )

    assert done.returncode == 12
    assert "the output cannot be written" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_full_disk_is_not_reported_as_wrong_usage(drawcli: Run) -> None:
    ended = drawcli("report", "--html", "/dev/full")

    assert ended.code == 12
    assert "/dev/full cannot be written: No space left" in ended.err


@pytest.mark.skipif(sys.platform != "linux", reason="removes the folder that it is in")
def test_a_command_in_a_removed_folder_reports_that(site: Site, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    words = [sys.executable, "-m", "drawcli", "-c", str(site.config), "ledger", "backup", "x.zip"]

    done = subprocess.run(
        ["/bin/sh", "-c", f'rmdir "{gone}"; exec "$0" "$@"', *words],
        cwd=gone,
        env=environment(site),
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 3
    assert done.stderr.startswith("drawcli: no such file or directory\n")


ENCODINGS = (
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "ascii:strict"},
    {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
)


@pytest.mark.parametrize("env", ENCODINGS, ids=str)
@pytest.mark.parametrize("words", ["show Lindqvíst", "show Lindqvíst --json", "rules check"])
def test_what_a_terminal_cannot_show_is_escaped(
    site: Site, env: dict[str, str], words: str
) -> None:
    rules = site.folder / "rules.yaml"
    rules.write_text(
        "rules: [{name: Lindqvíst …, template: Nosuch, when: {Modality: CT}}]\n", encoding="utf-8"
    )

    ended = subprocess.run(
        [sys.executable, "-m", "drawcli", *words.split()],
        cwd=site.folder,
        env=environment(site) | env,
        capture_output=True,
        check=False,
    )

    assert ended.returncode in (2, 3)
    assert (ended.stdout + ended.stderr).isascii()
    err = ended.stderr.decode()
    assert "Traceback" not in err
    assert "UnicodeEncodeError" not in err
    if words == "show Lindqvíst":
        assert any(text in err for text in (r"Lindqv\xedst", "Lindqv--st"))
    if "--json" in words:
        assert "Lindqv" in json.loads(ended.stdout)["errors"][0]["message"]
