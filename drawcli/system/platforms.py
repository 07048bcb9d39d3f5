"""Differences between operating systems.

Windows has no file modes for other users, cannot sync a folder, refuses to replace an open file,
and reserves some file names.
"""

import errno
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from subprocess import Popen

System = Literal["windows", "macos", "other"]
_NAMES: Final[dict[str, System]] = {"win32": "windows", "darwin": "macos"}
_UNSUPPORTED: Final = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES})
_RESERVED: Final = re.compile(r"(?i:con|prn|aux|nul|com[0-9]|lpt[0-9])")  # with any suffix
_GROUP_AND_OTHERS: Final = 0o077
_OTHERS_WRITE: Final = 0o002
_TOO_LONG_FOR_WINDOWS: Final = 260  # characters, unless long paths are enabled
_MOUNTS: Final = Path("/proc/self/mountinfo")
_PSEUDO: Final = frozenset(
    """
    binder binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts devtmpfs efivarfs fusectl mqueue
    nsfs proc pstore rpc_pipefs securityfs selinuxfs sysfs tracefs
    """.split()
)
_TRIES: Final = 40
_BETWEEN_SECONDS: Final = 0.05  # two seconds in all; readers hold our files for milliseconds
_SOCKETS_ON_WINDOWS: Final = 512  # the limit of select()
_UNLIMITED: Final = 1 << 20


def system() -> System:
    """Return the operating system."""
    return _NAMES.get(sys.platform, "other")


def is_readable_by_others(path: Path) -> bool:
    """Return whether a file's mode gives group or others access; False on Windows."""
    return _has_mode(path, _GROUP_AND_OTHERS)


def is_writable_by_others(path: Path) -> bool:
    """Return whether a file's mode lets others write it; False on Windows."""
    return _has_mode(path, _OTHERS_WRITE)


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder durable, if the system can.

    Windows and some shares cannot, nor can a user who may write into the folder but not list it.
    """
    if system() == "windows":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as err:
        if err.errno not in _UNSUPPORTED:
            raise


def replace_path(source: Path, target: Path) -> None:
    """Rename a file, replacing `target`.

    On Windows this waits up to two seconds for readers and virus scanners: the system refuses to
    replace an open file.
    """
    for _ in range(_TRIES if system() == "windows" else 0):
        try:
            source.replace(target)
        except PermissionError:
            time.sleep(_BETWEEN_SECONDS)
        else:
            return
    source.replace(target)


def is_within(path: Path, folder: Path) -> bool:
    """Return whether a path is a folder or is in it, however either is written.

    On file systems that ignore case, or with a share mounted twice, this compares inodes.
    """
    path, folder = path.resolve(), folder.resolve()
    above = (path, *path.parents)
    return folder in above or any(_is_same_file(parent, folder) for parent in above)


def with_parents(path: str) -> Iterator[str]:
    """Yield a path and each folder above it, the nearest first, with and without a last separator.

    >>> [part.replace(os.sep, "/") for part in with_parents(os.path.join(os.sep, "mnt", "a"))]
    ['/mnt/a', '/mnt/', '/mnt', '/', '']
    """
    yield path
    end = len(path)
    while (end := path.rfind(os.sep, 0, end)) >= 0:
        yield path[: end + 1]
        yield path[:end]


def comparable_path(path: str) -> str:
    """Return a path for comparison: casefolded on Windows and macOS."""
    return path if system() == "other" else path.casefold()


def pseudo_devices(mounts: Path = _MOUNTS) -> frozenset[int]:
    """Return the device numbers of the kernel's file systems, such as /proc and /sys.

    A scan that followed a link there would list half a million entries, and some block a reader.
    """
    devices = set()
    with suppress(OSError):
        for line in mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            head, _, tail = line.partition(" - ")
            major, _, minor = head.split()[2].partition(":")
            if tail.split()[0] in _PSEUDO:
                devices.add(os.makedev(int(major), int(minor)))
    return frozenset(devices)


def is_too_long(path: Path, refusal: OSError) -> bool:
    """Return whether a path was refused for its length: Windows reports it as missing."""
    is_long = system() == "windows" and len(str(path)) >= _TOO_LONG_FOR_WINDOWS
    return refusal.errno == errno.ENAMETOOLONG or (is_long and refusal.errno == errno.ENOENT)


def is_alive(pid: int) -> bool:
    """Return whether a process exists; always True on Windows, where os.kill would end it."""
    if system() == "windows" or pid <= 0:
        return pid > 0
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # another user's
    return True


def end_session(process: "Popen[bytes]") -> None:
    """Kill a session leader and every process of its session.

    A child in a session of its own, as the agent of a keyring, goes on. On Windows, which has no
    sessions, only the program itself is killed.
    """
    if system() == "windows":
        with suppress(OSError):  # it has ended
            process.kill()
        return
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    for pid in _session_processes(process.pid):  # other process groups, as of a shell's jobs
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def _session_processes(session: int) -> Iterator[int]:
    """Yield the processes of a session, on systems with proc(5)."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            words = path.read_bytes().rpartition(b")")[2].split()  # after the process name
            if int(words[3]) == session:
                yield int(path.parent.name)


def limit_memory(size: int) -> None:
    """Limit the memory of this process, in bytes, if the system supports it."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (size, size))


def portable_name(name: str) -> str:
    """Return a file name, changed if Windows reserves it.

    On every system, since folders for structure sets are often Windows shares.

    >>> portable_name("12345"), portable_name("aux"), portable_name("COM1.x")
    ('12345', 'aux_', 'COM1_.x')
    """
    stem, dot, ending = name.partition(".")
    return f"{stem}_{dot}{ending}" if _RESERVED.fullmatch(stem) else name


def _is_same_file(path: Path, other: Path) -> bool:
    try:
        status, other_status = path.stat(), other.stat()
    except OSError:
        return False
    return bool(status.st_ino) and os.path.samestat(status, other_status)  # 0: unknown


def _has_mode(path: Path, bits: int) -> bool:
    return system() != "windows" and bool(path.stat().st_mode & bits)


def max_open_files() -> int:
    """Return how many files and sockets this process may have open."""
    if sys.platform == "win32":
        return _SOCKETS_ON_WINDOWS
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _UNLIMITED if soft == resource.RLIM_INFINITY else soft


def has_file_size_limit() -> bool:
    """Return whether this process may write files only up to some size (ulimit -f)."""
    if sys.platform == "win32":
        return False
    import resource

    return resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY
