"""Mount and lock tables: the file system of a folder, and the process that holds a lock."""

import os
import re
from pathlib import Path
from typing import Final, NamedTuple

from drawcli.errors import ConfigError

_REMOTE: Final = frozenset(
    {"9p", "afs", "ceph", "cifs", "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "smb3", "smbfs"}
)
_OCTAL: Final = re.compile(r"\\([0-7]{3})")  # the mount table's escape for blanks
_MOUNTS: Final = Path("/proc/self/mountinfo")
_LOCKS: Final = Path("/proc/locks")


class Holder(NamedTuple):
    """A process that holds a lock, for messages only."""

    pid: int
    command: str  # name and subcommand, without other arguments


def remote_disk(folder: Path, mounts: Path = _MOUNTS) -> str | None:
    """Return the type of a folder's network file system; None for a local disk.

    Locks do not exclude other clients of a share, and some shares lose writes.
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return None  # no such table on this system
    here = os.path.realpath(folder)
    kinds = {}
    for line in lines:
        head, _, tail = line.partition(" - ")
        mount_point = _OCTAL.sub(lambda code: chr(int(code[1], 8)), head.split()[4])
        kinds[mount_point] = tail.split()[0]
    folders = [here, *map(str, Path(here).parents)]
    kind = next((kinds[path] for path in folders if path in kinds), "")
    return kind if kind in _REMOTE or kind.startswith("fuse.") else None


def check_local_disk(state_dir: Path) -> None:
    """Raise ConfigError if the state folder is on a network share."""
    kind = remote_disk(state_dir)
    if kind is not None:
        raise ConfigError(
            f"state_dir {state_dir} is on a network share ({kind})",
            code="state-on-share",
            hint="File locks do not work there. Choose a folder on a local disk; images may stay.",
        )


def holder_of(lock: Path, locks: Path = _LOCKS) -> Holder | None:
    """Return the process that holds a lock file; None where it is free or the system hides it."""
    try:
        inode = lock.stat().st_ino
        lines = locks.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    for line in lines:
        words = line.split()
        if "FLOCK" in words and words[-3].endswith(f":{inode}"):
            return Holder(int(words[-4]), _command(int(words[-4])))
    return None


def has_lock_table(locks: Path = _LOCKS) -> bool:
    """Return whether the system lists its locks; without it `holder_of` always returns None."""
    return locks.exists()


def _command(pid: int) -> str:
    """Return the name and subcommand of a process, without paths and options."""
    try:
        raw = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    words = [Path(word).name for word in raw.decode("utf-8", "replace").split("\0") if word]
    return " ".join(word for word in words[:4] if re.fullmatch(r"[a-z-]+[0-9.]*", word))
