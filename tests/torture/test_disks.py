"""A disk that fails at any effect, or is full from some moment on: what was there stays whole."""

import errno
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.torture.conftest import Make
from tests.torture.kit import tell
from tests.torture.test_kills import LONG, TIMES, effects

STRIDE = 1 if LONG else 83
CODES = {0, 3, 4, 6, 7, 12}  # 3: the disk fails; 4: the ledger; 6: a job; 12: the disk is full
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="forks")


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC, errno.EROFS], ids=os.strerror)
def test_a_disk_that_fails_once_at_any_effect(world: Make, error: int) -> None:
    counts = effects(world())
    tried = 0
    for number, count in enumerate(counts):
        for effect in range(1 + error % STRIDE, count + 1, STRIDE):
            one = world()
            for run in range(len(counts)):
                one.run("retry", "--all")
                failing = {"fail_at": effect, "errno": error} if run == number else {}
                assert one.run("run-once", **failing) in CODES
            one.bring_home()
            one.check_home()
            tried += 1
    tell(f"{os.strerror(error)}: {tried} effects failed")
    assert tried >= sum(counts) // STRIDE - 2


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EROFS], ids=os.strerror)
def test_a_disk_that_is_full_from_some_moment_on_stops_the_run_with_few_words(
    world: Make, error: int
) -> None:
    counts, dice = effects(world()), random.Random(99)  # noqa: S311 - moments, not secrets
    for _ in range(2 * TIMES):
        one = world()
        for _ in range(2):
            one.run("retry", "--all")
            begun = dice.randint(1, max(counts))
            assert one.run("run-once", fail_at=begun, fail_on=10_000, errno=error) in CODES
            said = (one.site.folder / "last.err").read_text()
            assert len(said.splitlines()) <= 6, said
        one.bring_home()
        one.check_home()


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a small file system")
def test_a_real_small_disk_fills_and_is_emptied(world: Make, tmp_path: Path) -> None:
    """The state lies on 400 kB: packages do not fit beside each other."""
    one = world()
    small = tmp_path / "small"
    small.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(small)]
    if shutil.which("mount") is None or subprocess.call(words, stderr=subprocess.DEVNULL):
        pytest.skip("a file system cannot be mounted here")
    try:
        shutil.copytree(one.site.state, small, dirs_exist_ok=True)
        shutil.rmtree(one.site.state)
        one.site.state.symlink_to(small)
        (small / "ballast").write_bytes(bytes(330_000))
        for _ in range(3):
            assert one.run("run-once") in CODES
        subprocess.run(["mount", "-o", "remount,size=300m", str(small)], check=True)
        (small / "ballast").unlink()
        one.bring_home()
        one.check_home()
    finally:
        subprocess.run(["umount", str(small)], check=True)
