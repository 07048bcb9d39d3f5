"""The page on installing, typed as it stands: for oneself, and as root on a server with cron.

The server is this machine, with layers over its folders in a mount namespace: nothing is changed.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from drawcli.sandbox.server import running
from tests.documents.blocks import ROOT, blocks
from tests.documents.terminal import at_terminal

PAGE = ROOT / "docs/how-to/install.md"
LONGEST = 900  # seconds
SECURE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"  # that of sudo
SUDO = f"""#!/bin/sh
export PATH={SECURE_PATH}
[ "$1" = -u ] || exec "$@"
user=$2
shift 2
exec setpriv --reuid "$user" --regid "$user" --init-groups "$@"
"""
LAYERS = """
for place in /etc /opt /usr/local /var /mnt; do
  up=$TMPDIR/up$place work=$TMPDIR/work$place
  mkdir -p "$up" "$work"
  mount -t overlay -o "lowerdir=$place,upperdir=$up,workdir=$work" none "$place"
done
mkdir /mnt/dicom
"""
AFTER = r"""
sudo -u drawcli /usr/local/bin/drawcli token set - < {token}
line=$(sudo crontab -u drawcli -l | sed 's|^.* \* ||')
sudo -u drawcli env -i HOME=/ PATH=/usr/bin:/bin sh -c "cd / && $line" > "$TMPDIR/mail" 2>&1
sudo /usr/local/bin/drawcli status
find /etc/drawcli -user root > "$TMPDIR/of-root"
"""
SECTIONS = (
    "1. Program, user and folder",
    "4. Back up the site key",
    "5. Let it run every ten minutes",
)
pytestmark = [pytest.mark.sweep, pytest.mark.skipif(os.name != "posix", reason="POSIX shells")]


def has_system_python() -> bool:
    check = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"
    words = ["/usr/bin/python3", "-c", check]
    there = Path(words[0]).exists() and shutil.which("crontab") and shutil.which("unshare")
    return bool(there) and not subprocess.run(words, capture_output=True, check=False).returncode


def of_section(heading: str) -> str:
    """Return the text of the blocks of a section, up to the next heading of its level."""
    level = len(heading.partition(" ")[0])
    after = PAGE.read_text(encoding="utf-8").partition(f"\n{heading}\n")[2]
    section = re.split(rf"(?m)^#{{1,{level}}} ", after)[0]
    posix = [block.text for block in blocks(PAGE, section) if "& $" not in block.text]
    return "".join(text for text in posix if "systemctl" not in text)


def typed(text: str, folder: Path, env: dict[str, str], *, within: tuple[str, ...] = ()) -> None:
    """Run a script at a terminal, in the checkout; fail with what was shown."""
    (folder / "typed").write_text(f"set -eu\n{text}")
    words = [*within, "sh", str(folder / "typed")]

    code, shown = at_terminal(words, ROOT, env | {"TMPDIR": str(folder)}, LONGEST)

    assert code == 0, shown


def environment(home: Path, path: str) -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if name.startswith("PIP_")}
    kept["PIP_COMPILE"] = "no"  # of modules in advance: up to a quarter of the CPU time
    return kept | {"HOME": str(home), "PATH": path, "TERM": "xterm"}


def test_one_user_installs_it_for_himself(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    path = f"{Path(sys.executable).resolve().parent}:/usr/bin:/bin"

    typed(of_section("## For yourself"), tmp_path, environment(home, path))

    assert (home / ".local" / "bin" / "drawcli").exists()


@pytest.mark.skipif(
    sys.platform != "linux" or os.geteuid() != 0 or not has_system_python(),
    reason="needs root, unshare, cron and the system's own Python with venv",
)
def test_an_administrator_reaches_a_site_that_cron_runs(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sudo").write_text(SUDO)
    (tmp_path / "bin" / "sudo").chmod(0o755)

    with running(tmp_path / "sandbox") as server:
        parts = [of_section(f"### {one}") for one in SECTIONS]
        text = "".join(parts).replace("https://draw.chavi.ai/", server.url)
        env = environment(tmp_path, f"{tmp_path / 'bin'}:/usr/sbin:/usr/bin:/sbin:/bin")
        typed(
            LAYERS + text + AFTER.format(token=server.token_file),
            tmp_path,
            env,
            within=("unshare", "--mount"),
        )

    assert (tmp_path / "mail").read_text() == ""  # no news is good news
    assert (tmp_path / "of-root").read_text() == ""
    assert not Path("/etc/drawcli").exists()
