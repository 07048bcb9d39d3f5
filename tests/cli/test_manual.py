"""The manual and the completion of shells, as they are installed with the package."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from drawcli.cli.commands import app
from drawcli.cli.manual import SHELLS, commands_page, completion, settings_page

ROFF_HYPHEN = r"\-"


def test_the_page_has_every_command_with_its_own_options() -> None:
    page = commands_page()

    names = [str(one.name) for one in app.registered_commands]
    groups = [f"{one.name} " for one in app.registered_groups]
    assert len(names) > 20
    for name in (*names, *groups):
        assert f'.SS "drawcli {name}'.replace("-", ROFF_HYPHEN) in page
    assert r"\-\-fail\-if\-idle" in page
    assert page.count(r"\-\-no\-color") == 1  # what all commands have is told once


def test_the_page_of_settings_is_the_file_that_init_writes() -> None:
    page = settings_page()

    assert "datastore: /mnt/dicom" in page
    assert r"DRAWCLI_SERVER__URL" in page


@pytest.mark.sweep
@pytest.mark.skipif(not (shutil.which("man") and shutil.which("groff")), reason="needs man")
@pytest.mark.parametrize("page", [commands_page, settings_page])
def test_man_has_nothing_to_warn_of(page: object, tmp_path: Path) -> None:
    assert callable(page)
    (tmp_path / "page").write_text(page())

    done = subprocess.run(
        ["man", "--warnings=w", "-l", str(tmp_path / "page")],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANWIDTH": "100"},
    )

    assert done.stderr == ""
    assert "drawcli" in done.stdout


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_is_told_to_ask_drawcli(shell: str) -> None:
    script = completion(shell)

    assert f"complete_{shell}" in script
    assert script.splitlines()[0] != "#compdef drawcli" or shell == "zsh"


@pytest.mark.skipif(sys.platform == "win32" or not shutil.which("bash"), reason="needs bash")
def test_bash_completes_by_the_script(tmp_path: Path) -> None:
    script = tmp_path / "drawcli.bash"
    script.write_text(completion("bash"))
    stand_in = tmp_path / "drawcli"
    stand_in.write_text(f"#!{sys.executable}\nfrom drawcli.cli import main\nmain()\n")
    stand_in.chmod(0o755)
    typed = "COMP_WORDS=(drawcli redel); COMP_CWORD=1; _drawcli_completion drawcli redel drawcli"

    done = subprocess.run(
        ["bash", "-c", f'. {script}; {typed}; echo "${{COMPREPLY[*]}}"'],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
    )

    assert done.stdout.strip() == "redeliver"
