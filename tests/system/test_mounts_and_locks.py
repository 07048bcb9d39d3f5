"""On which disk a folder lies, and who holds a lock."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from drawcli.errors import ConfigError
from drawcli.pipeline.context import open_context
from drawcli.system.mounts_and_locks import holder_of, remote_disk
from tests.conftest import Site

MOUNTS = """\
22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
30 22 0:40 / /mnt/share rw - cifs //server/share rw
31 22 0:41 / /mnt/with\\040blank rw - nfs4 server:/x rw
32 30 8:2 / /mnt/share/local rw - xfs /dev/sdb1 rw
33 22 0:42 / /home/me/far rw - fuse.sshfs me@far: rw
34 22 0:43 / /media/stick rw - fuseblk /dev/sdc1 rw
"""


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/srv/drawcli", None),
        ("/mnt/share/drawcli/state", "cifs"),
        ("/mnt/shared", None),
        ("/mnt/with blank/state", "nfs4"),
        ("/mnt/share/local/state", None),
        ("/home/me/far", "fuse.sshfs"),
        ("/media/stick/state", None),
    ],
)
def test_a_share_is_known_by_the_mount_table(tmp_path: Path, folder: str, kind: str | None) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(MOUNTS)

    assert remote_disk(Path(folder), table) == kind


def test_a_system_without_such_a_table_is_believed(tmp_path: Path) -> None:
    assert remote_disk(tmp_path, tmp_path / "nothing") is None


def test_a_site_on_a_share_is_refused(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drawcli.system.mounts_and_locks.remote_disk", lambda _folder: "nfs4")

    with pytest.raises(ConfigError, match=r"network share \(nfs4\)"), open_context(site.settings()):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone lists its locks")
def test_who_holds_a_lock_is_told(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    with FileLock(path):
        mine = holder_of(path)
        assert mine is not None
        assert mine.pid == os.getpid()
    assert holder_of(path) is None
    assert holder_of(tmp_path / "nothing") is None


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone lists its locks")
def test_the_words_of_a_holder_name_no_path(tmp_path: Path) -> None:
    path = tmp_path / "KULKARNEE.lock"
    code = (
        "import sys, filelock\n"
        "lock = filelock.FileLock(sys.argv[-1]); lock.acquire(); print(flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, "run-once", str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        found = holder_of(path)
        holder.kill()

    assert found is not None
    assert found.pid == holder.pid
    assert "run-once" in found.command
    assert "KULKARNEE" not in found.command
