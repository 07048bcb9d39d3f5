"""Saving a changed file: compared with what was read, durable, atomic, read back and committed."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from drawcli.adapters.edited_files.git_commit import Commit, Repository
from drawcli.errors import AnotherRun, ConfigError, DrawcliError, UsageError
from drawcli.system.files import PRIVATE, fresh_file, make_private

LOCK: Final = "editing.lock"
_WAIT_SECONDS: Final = 90.0  # another save, with the hooks of git
_LARGEST: Final = 1_000_000  # bytes, as of all files of a site
_NOTHING_CHANGED: Final = "Nothing was changed."


class ChangedMeanwhile(UsageError):
    """Somebody saved the file after it was read."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A file as it was saved."""

    digest: str  # SHA-256 of its bytes, 64 hex digits
    commit: str  # of git; "" where the file is not kept by git


def digest_of(source: bytes) -> str:
    """Return the SHA-256 of a text, 64 hex digits."""
    return hashlib.sha256(source).hexdigest()


def save_file(path: Path, *, expected: str, source: bytes, what: Commit, state_dir: Path) -> Saved:
    """Replace a file, and commit it where git keeps it.

    Parameters
    ----------
    path
        A file of the settings; a symbolic link stays one, and its target is replaced.
    expected
        The digest of the file that was read.
    source
        Its new bytes.
    what
        Who changed it, and what: for the commit.
    state_dir
        The folder with the lock: one save at a time, of all processes.

    Raises
    ------
    ChangedMeanwhile
        Where the file is not the expected one.
    ConfigError, DiskFull
        Where it cannot be written, or git refuses it. The file is then as it was.
    """
    if len(source) > _LARGEST:
        raise ConfigError(f"{path}: larger than {_LARGEST} bytes", hint=_NOTHING_CHANGED)
    with editing_lock(state_dir):
        target = _target(path)
        before = target.read_bytes()
        if digest_of(before) != expected:
            hint = f"{_NOTHING_CHANGED} Look at what changed, and save again."
            raise ChangedMeanwhile(f"{path} has changed since it was read", hint=hint)
        repository = Repository.of(target)
        if repository is not None:
            repository.check()
            _check_writable(path, target)
            if repository.differs:
                repository.commit(Commit("", f"{target.name} as it was changed outside the page"))
        _replace(path, target, source)
        commit = "" if repository is None else _committed(repository, what, target, before)
        if digest_of(target.read_bytes()) != digest_of(source):
            hint = "Perhaps a hook of git changes files. Compare it with what you wanted."
            raise ConfigError(f"{path} was changed by another program after the save", hint=hint)
    return Saved(digest_of(source), commit)


def _committed(repository: Repository, what: Commit, target: Path, before: bytes) -> str:
    """Commit a file; put it back as it was where that is not possible."""
    try:
        return repository.commit(what)
    except BaseException as err:
        try:
            _replace(target, target, before)
        except DrawcliError as failed:
            raise ConfigError(
                f"{err}. The file could not be put back: {failed}",
                hint="The new text is in force, and is not committed.",
            ) from None
        raise


@contextmanager
def editing_lock(state_dir: Path) -> Iterator[None]:
    """Hold the lock of all saves, of the page and of commands; AnotherRun if it stays taken."""
    from filelock import FileLock, Timeout

    lock = FileLock(make_private(state_dir) / LOCK, mode=PRIVATE)
    try:
        lock.acquire(timeout=_WAIT_SECONDS)
    except Timeout:
        raise AnotherRun(
            "another save is still in progress", hint="Try again in a minute."
        ) from None
    try:
        yield
    finally:
        lock.release()


def _target(path: Path) -> Path:
    """Return the file that a path names, without symbolic links."""
    try:
        target = path.resolve(strict=True)
        if not target.is_file():
            raise ConfigError(f"{path} is not a file", hint=_NOTHING_CHANGED)
    except OSError as err:
        raise ConfigError(f"{path}: {err.strerror}", hint=_NOTHING_CHANGED) from None
    return target


def _check_writable(path: Path, target: Path) -> None:
    """Raise ConfigError where this user may not write a file, or make another in its folder."""
    for place, kind in ((target, "file"), (target.parent, "folder")):
        if not os.access(place, os.W_OK):
            raise ConfigError(
                f"{path}: this user may not write the {kind}",
                hint=f"{_NOTHING_CHANGED} Give the user of the page the right to write {place}.",
            )


def _replace(path: Path, target: Path, source: bytes) -> None:
    """Replace a file; mode, owner, group and extended attributes stay."""
    _check_writable(path, target)
    status = target.stat()
    try:
        with fresh_file(target, mode=status.st_mode & 0o777) as stream:
            _keep_owner(target, status, stream.fileno())
            stream.write(source)
    except OSError as err:
        raise ConfigError(f"{path}: {err.strerror}", hint=_NOTHING_CHANGED) from None


def _keep_owner(target: Path, status: os.stat_result, new: int) -> None:
    """Give a new file the owner, group, attributes and mode of the old one, as far as possible."""
    if not hasattr(os, "fchown"):  # Windows
        return
    with suppress(PermissionError):
        os.fchown(new, status.st_uid, -1)  # only root may; otherwise the file becomes ours
    os.fchown(new, -1, status.st_gid)
    if hasattr(os, "listxattr"):
        for name in os.listxattr(target):
            with suppress(OSError):  # those of the system belong to it
                os.setxattr(new, name, os.getxattr(target, name))
    os.fchmod(new, status.st_mode & 0o7777)
