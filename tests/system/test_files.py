import errno
import hashlib
import os
import stat
from pathlib import Path

import pytest

from drawcli.errors import DiskFull
from drawcli.system.files import (
    fresh_file,
    make_private,
    rename_if_free,
    report_disk_full,
    sha256_of,
    write_durably,
)
from drawcli.system.platforms import is_readable_by_others


def failing(error: BaseException) -> object:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


with_and_without_links = pytest.mark.parametrize(
    "link", [os.link, failing(OSError(errno.EPERM, "no links here"))], ids=["links", "no links"]
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.EIO, "I/O error")])
def test_a_crash_while_writing_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: BaseException
) -> None:
    path = tmp_path / "ledger.json"
    write_durably(path, b"old")
    monkeypatch.setattr(os, call, failing(error))

    with pytest.raises(type(error)):
        write_durably(path, b"new, and longer than the old one")

    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["ledger.json"]


def test_a_block_that_fails_half_way_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "package.zip"
    write_durably(path, b"old")

    with pytest.raises(ZeroDivisionError), fresh_file(path) as stream:
        stream.write(b"half of the n" + bytes(1 // len(b"")))

    assert path.read_bytes() == b"old"
    assert names(tmp_path) == ["package.zip"]


def test_the_content_is_durable_before_it_has_its_name_and_the_name_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, happened = tmp_path / "vault", []
    fsync, replace = os.fsync, os.replace

    def noted_fsync(descriptor: int) -> None:
        kind = "folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file"
        happened.append(f"fsync {kind} of {os.fstat(descriptor).st_size if kind == 'file' else ''}")
        fsync(descriptor)

    def noted_replace(source: Path, target: Path) -> None:
        happened.append("rename")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    write_durably(path, b"12345")

    assert happened == ["fsync file of 5", "rename", "fsync folder of "]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_named_with_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(os, "fsync", failing(OSError(number, "full")))

    with pytest.raises(DiskFull) as caught:
        write_durably(tmp_path / "package.zip", b"much")

    assert str(caught.value) == f"no space left in {tmp_path}"
    assert caught.value.exit_code == 12
    assert names(tmp_path) == []


def test_other_failures_of_the_disk_are_not_called_full() -> None:
    with pytest.raises(OSError, match="I/O error"), report_disk_full("a folder"):
        raise OSError(errno.EIO, "I/O error")


def test_a_file_is_for_its_owner_alone_whatever_the_umask_and_the_one_before(
    tmp_path: Path,
) -> None:
    path = tmp_path / "token.json"
    path.write_bytes(b"{}")
    path.chmod(0o644)
    before = os.umask(0)
    try:
        write_durably(path, b"secret")
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not is_readable_by_others(path)


def test_a_temporary_file_left_by_a_dead_process_lends_neither_its_mode_nor_its_target(
    tmp_path: Path,
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(b"of somebody else")
    (tmp_path / f".vault.{os.getpid()}.tmp").symlink_to(elsewhere)

    write_durably(tmp_path / "vault", b"mine")

    assert elsewhere.read_bytes() == b"of somebody else"
    assert (tmp_path / "vault").read_bytes() == b"mine"
    assert not (tmp_path / "vault").is_symlink()


def test_a_private_folder_is_made_with_those_above_it(tmp_path: Path) -> None:
    folder = make_private(tmp_path / "a" / "b")

    assert folder == tmp_path / "a" / "b"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert make_private(folder) == folder


def test_the_name_of_a_new_folder_is_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    make_private(tmp_path / "work")

    assert synced == [tmp_path.stat().st_ino]


@with_and_without_links
def test_a_name_that_is_taken_stays_with_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: object
) -> None:
    monkeypatch.setattr(os, "link", link)
    temporary, path = tmp_path / "new", tmp_path / "RS.dcm"
    temporary.write_bytes(b"ours")
    path.write_bytes(b"theirs")

    rename_if_free(temporary, path)

    assert path.read_bytes() == b"theirs"


@with_and_without_links
def test_a_name_that_is_free_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: object
) -> None:
    monkeypatch.setattr(os, "link", link)
    temporary, path = tmp_path / "new", tmp_path / "RS.dcm"
    temporary.write_bytes(b"ours")

    rename_if_free(temporary, path)

    assert path.read_bytes() == b"ours"


def test_a_link_to_nowhere_takes_a_name_too(tmp_path: Path) -> None:
    temporary, path = tmp_path / "new", tmp_path / "site.key"
    temporary.write_bytes(b"ours")
    path.symlink_to(tmp_path / "not mounted")

    rename_if_free(temporary, path)

    assert path.is_symlink()
    assert not path.exists()


def test_the_digest_is_that_of_hashlib(tmp_path: Path) -> None:
    path = tmp_path / "package.zip"
    path.write_bytes(bytes(range(256)) * 9000)

    assert sha256_of(path) == hashlib.sha256(bytes(range(256)) * 9000).hexdigest()
