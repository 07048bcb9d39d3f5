import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from drawcli.adapters.state.site_key import make_site_key, read_site_key, site_key_path
from drawcli.errors import ConfigError, DiskFull


def test_a_new_key_has_32_bytes_and_is_private(tmp_path: Path) -> None:
    path = make_site_key(tmp_path / "state")

    assert path == site_key_path(tmp_path / "state")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.stat().st_nlink == 1
    key = read_site_key(tmp_path / "state")
    assert len(key) == 32
    assert path.read_text(encoding="ascii") == key.hex() + "\n"
    assert len(set(key)) > 8


def test_two_sites_have_two_keys(tmp_path: Path) -> None:
    make_site_key(tmp_path / "a")
    make_site_key(tmp_path / "b")

    assert read_site_key(tmp_path / "a") != read_site_key(tmp_path / "b")


@pytest.mark.parametrize("content", [b"", b"damaged", b"00" * 32])
def test_a_site_key_is_never_overwritten(tmp_path: Path, content: bytes) -> None:
    site_key_path(tmp_path).write_bytes(content)

    make_site_key(tmp_path)

    assert site_key_path(tmp_path).read_bytes() == content


def test_a_key_on_a_disk_that_is_not_mounted_is_not_replaced(tmp_path: Path) -> None:
    path = site_key_path(tmp_path)
    path.symlink_to(tmp_path / "usb" / "site.key")

    make_site_key(tmp_path)

    assert path.is_symlink()
    with pytest.raises(ConfigError, match="there is no site key"):
        read_site_key(tmp_path)


def test_a_lost_key_is_not_replaced_while_there_is_a_ledger(tmp_path: Path) -> None:
    (tmp_path / "ledger.json").write_bytes(b"{}")

    with pytest.raises(ConfigError, match="the site key is missing") as caught:
        make_site_key(tmp_path)

    assert "backup" in caught.value.hint
    assert not site_key_path(tmp_path).exists()


def test_of_keys_created_at_the_same_time_the_first_is_used(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from drawcli.adapters.state.site_key import make_site_key, read_site_key\n"
        "state = Path(sys.argv[1]); make_site_key(state); print(read_site_key(state).hex())\n"
    )
    words = [sys.executable, "-c", code, str(tmp_path)]
    makers = [subprocess.Popen(words, stdout=subprocess.PIPE) for _ in range(4)]

    keys = {maker.communicate(timeout=60)[0] for maker in makers}

    assert keys == {read_site_key(tmp_path).hex().encode() + b"\n"}
    assert sorted(path.name for path in tmp_path.iterdir()) == [".gitignore", "site.key"]


def test_a_crash_while_creating_a_key_leaves_no_partial_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(DiskFull):
            make_site_key(tmp_path)
    assert not site_key_path(tmp_path).exists()

    make_site_key(tmp_path)
    assert len(read_site_key(tmp_path)) == 32


def test_a_missing_key_is_reported_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no site key") as caught:
        read_site_key(tmp_path)

    assert "backup" in caught.value.hint
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o660, 0o601])
def test_a_key_that_others_can_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = make_site_key(tmp_path)
    path.chmod(mode)

    with pytest.raises(ConfigError, match="others can read it") as caught:
        read_site_key(tmp_path)

    assert caught.value.hint == f"Run 'chmod 600 {path}'."


@pytest.mark.parametrize(
    "content", [b"", b"ab" * 31, b"ab" * 33, b"xy" * 32, b"a" * 63, bytes(32), b"\xff" * 64]
)
def test_a_damaged_key_is_refused_and_not_shown(tmp_path: Path, content: bytes) -> None:
    path = make_site_key(tmp_path)
    path.write_bytes(content)

    with pytest.raises(ConfigError) as caught:
        read_site_key(tmp_path)

    assert "backup" in caught.value.hint
    if content:
        assert content.decode("latin-1") not in f"{caught.value} {caught.value.hint}"


def in_git(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", "init", "-q", folder], check=True)


def test_a_new_key_in_a_git_tree_is_ignored_by_git(tmp_path: Path) -> None:
    in_git(tmp_path / "site")
    make_site_key(tmp_path / "site" / "state")

    listed = subprocess.run(
        ["git", "-C", tmp_path / "site", "status", "--porcelain", "-uall"],
        check=True,
        capture_output=True,
    )

    assert listed.stdout == b""
    assert len(read_site_key(tmp_path / "site" / "state")) == 32


@pytest.mark.parametrize("gitignore", [None, "", "*.log\n", "*.log\n#*\n"])
def test_a_key_that_could_be_committed_is_refused(tmp_path: Path, gitignore: str | None) -> None:
    in_git(tmp_path / "site")
    state = tmp_path / "site" / "a" / "state"
    make_site_key(state)
    (state / ".gitignore").unlink()
    if gitignore is not None:
        (state / ".gitignore").write_text(gitignore)

    with pytest.raises(ConfigError, match="is in a git work tree") as caught:
        read_site_key(state)

    assert str(state / ".gitignore") in caught.value.hint


def test_a_gitignore_of_the_site_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("*.key\n")

    make_site_key(tmp_path)

    assert (tmp_path / ".gitignore").read_text() == "*.key\n"


def test_a_link_into_a_git_tree_does_not_hide_it(tmp_path: Path) -> None:
    in_git(tmp_path / "site")
    make_site_key(tmp_path / "site" / "state")
    (tmp_path / "site" / "state" / ".gitignore").unlink()
    (tmp_path / "state").symlink_to(tmp_path / "site" / "state")

    with pytest.raises(ConfigError, match="git work tree"):
        read_site_key(tmp_path / "state")
