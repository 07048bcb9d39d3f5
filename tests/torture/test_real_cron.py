"""Debian's own cron runs a site: the cycle in silence, then one mail, when something is wrong.

It waits for three whole minutes. Cron gets a spool, a `sendmail` and a /run of its own, in a mount
namespace; those of the machine stay untouched.
"""

import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drawcli.adapters.state.run_log import RunLog
from drawcli.operations.schedules import cron_line
from drawcli.sandbox.server import running
from tests.cli.conftest import at_sandbox
from tests.conftest import Site

APART = """
mount --bind {folder}/spool /var/spool/cron/crontabs
mount --bind /usr/sbin {folder}/theirs
for program in {folder}/theirs/*; do ln -s "$program" {folder}/sbin/; done
ln -sf {folder}/sendmail {folder}/sbin/sendmail
mount --bind {folder}/sbin /usr/sbin
mount --bind {folder}/pam /etc/pam.d/cron
mount -t tmpfs none /run
exec cron -f
"""


@contextmanager
def cron(folder: Path, line: str) -> Iterator[Path]:
    """Run cron with one line; yield the file that its mails go to."""
    (folder / "spool").mkdir(mode=0o1730)
    (folder / "theirs").mkdir()
    (folder / "sbin").mkdir()
    (folder / "spool" / "root").write_text(f"MAILTO=physics\n{line}\n")
    (folder / "spool" / "root").chmod(0o600)
    (folder / "sendmail").write_text(f"#!/bin/sh\ncat >> {folder}/mails\n")
    (folder / "sendmail").chmod(0o755)
    (folder / "pam").write_text("session required pam_permit.so\naccount required pam_permit.so\n")
    process = subprocess.Popen(
        ["unshare", "--mount", "sh", "-e", "-c", APART.format(folder=folder)]
    )
    try:
        yield folder / "mails"
    finally:
        process.terminate()
        process.wait(timeout=60)


def is_possible() -> bool:
    """Tell whether there is a cron, and whether this user may give it mounts of its own."""
    if sys.platform != "linux" or not shutil.which("cron") or not shutil.which("unshare"):
        return False
    return not subprocess.run(["unshare", "--mount", "true"], check=False).returncode


def wait_until(is_so: Callable[[], object], *, seconds: float = 200) -> None:
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until
        time.sleep(0.2)


def test_cron_runs_the_cycle_and_mails_only_when_something_is_wrong(
    site: Site, pelvis: list[Path], tmp_path: Path
) -> None:
    if not is_possible():
        pytest.skip("needs cron, and a user who may mount")
    words = (sys.executable, "-m", "drawcli", "run-once", "--config", str(site.config))
    line = cron_line(words).replace("*/10", "*", 1)
    book = RunLog(site.state)

    def runs() -> int:
        return len(list(book.newest_first()))

    (tmp_path / "cron").mkdir()
    with running(tmp_path / "sandbox") as server, cron(tmp_path / "cron", line) as mails:
        at_sandbox(site, server.url, server.token_file)
        wait_until(lambda: runs() == 1)
        wait_until(lambda: runs() == 2)
        silent = not mails.exists()
        home = list(pelvis[0].parent.glob("RS.*"))
        (site.folder / "token.json").unlink()
        wait_until(lambda: runs() == 3)
        wait_until(mails.exists)
        time.sleep(0.5)
        mail = mails.read_text()

    assert silent
    assert len(home) == 1
    header, _, body = mail.partition("\n\n")
    assert "To: physics" in header
    assert body.startswith("drawcli: ")
    assert len(body.strip().splitlines()) == 2  # what, and what to do
