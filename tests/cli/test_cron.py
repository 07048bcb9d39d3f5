"""The line that cron runs, run as cron does: by sh, at home, with almost no environment."""

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from drawcli.adapters.state.run_log import RunLog
from drawcli.adapters.state.workdir import WorkDir
from drawcli.sandbox.server import running
from tests.cli.conftest import Run, at_sandbox
from tests.conftest import Site

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="cron is of POSIX systems")


def command_of(line: str) -> str:
    """Return what cron makes of its line: five words of time, then the command."""
    return re.sub(r"^(\S+ ){5}", "", line.strip()).replace(r"\%", "%")


def as_cron(line: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a line of a crontab; what it prints is what cron would mail."""
    return subprocess.run(
        ["/bin/sh", "-c", command_of(line)],
        cwd=home,
        env={"HOME": str(home), "LOGNAME": "x", "SHELL": "/bin/sh", "PATH": "/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.mark.usefixtures("pelvis")
def test_the_line_that_init_prints_runs_in_silence_and_mails_only_trouble(
    drawcli: Run, site: Site, tmp_path: Path
) -> None:
    line = drawcli("init", ".", "--cron", "--scheduler", "crontab").out
    with running(tmp_path / "sandbox") as server:
        at_sandbox(site, server.url, server.token_file)
        well = as_cron(line, tmp_path)
    with WorkDir(site.state).run_lock(datetime.now(UTC)):
        beside_another = as_cron(line, tmp_path)
    (site.folder / "token.json").unlink()
    in_trouble = as_cron(line, tmp_path)

    assert (well.returncode, well.stdout) == (0, "")
    assert (beside_another.returncode, beside_another.stdout) == (11, "")
    assert in_trouble.returncode == 3
    assert in_trouble.stdout.startswith("drawcli: ")
    assert len(in_trouble.stdout.splitlines()) == 2  # what, and what to do
    codes = [run.exit_code for run in RunLog(site.state).newest_first()]
    assert codes == [3, 0]


def test_init_prints_what_it_would_install_and_installs_only_when_asked(
    drawcli: Run, site: Site
) -> None:
    crontab = site.folder / "crontab"
    crontab.write_text('#!/bin/sh\ntest "$1" = -l || cat > "$0.tab"\n')
    crontab.chmod(0o755)
    path = f"{site.folder}:/usr/bin:/bin"

    words = ("init", ".", "--cron", "--scheduler", "cron", "--install")
    dry, wet = drawcli(*words, "-n", PATH=path), drawcli(*words, "--json", PATH=path)

    assert dry.code == 0
    assert wet.answer["data"]["installed"] is True
    assert (site.folder / "crontab.tab").read_text() == wet.answer["data"]["by_hand"] + "\n"
    assert dry.out.strip() == f"would be in the crontab  {wet.answer['data']['by_hand']}"


def test_init_prints_the_services_of_workers_and_page_of_a_site(drawcli: Run, site: Site) -> None:
    of_file = drawcli("init", ".", "--cron", "--worker")
    site.add_line("ledger: postgresql://north@db.example/draw")
    worker, page = (drawcli("init", ".", "--cron", f"--{name}") for name in ("worker", "dashboard"))
    both = drawcli("init", ".", "--cron", "--worker", "--dashboard")
    other = drawcli("init", ".", "--cron", "--worker", "--scheduler", "launchd")

    assert (worker.code, page.code) == (0, 0), worker.err
    assert f" worker --config {site.config}\n" in worker.out
    assert f" dashboard --config {site.config}\n" in page.out
    assert "-worker.service" in worker.out
    assert [one.code for one in (of_file, both, other)] == [2, 2, 2]
    assert "its in a file" in of_file.err
    assert "name one at a time" in both.err
    assert "only systemd" in other.err


def test_install_alone_says_what_it_goes_with(drawcli: Run) -> None:
    ended = drawcli("init", ".", "--install")

    assert ended.code == 2
    assert "--cron" in ended.err
