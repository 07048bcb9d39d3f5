"""Where systems differ: all that asks which one this is.

Windows has no modes for others, cannot make a folder durable, and lets nobody replace a file that
somebody has open; it reserves names that are usual elsewhere. Nothing here forks.
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
_RESERVED: Final = re.compile(r"(?i:con|prn|aux|nul|com[0-9]|lpt[0-9])")  # with any ending
_GROUP_AND_OTHERS: Final = 0o077
_OTHERS_WRITE: Final = 0o002
_TOO_LONG_FOR_WINDOWS: Final = 260  # characters, unless its administrator lifted the limit
_MOUNTS: Final = Path("/proc/self/mountinfo")
_PSEUDO: Final = frozenset(
    """
    binder binfmt_misc bpf cgroup cgroup2 configfs debugfs devpts devtmpfs efivarfs fusectl mqueue
    nsfs proc pstore rpc_pipefs securityfs selinuxfs sysfs tracefs
    """.split()
)
_TRIES: Final = 40
_BETWEEN_SECONDS: Final = 0.05  # so two seconds in all: readers hold our files for milliseconds
_SOCKETS_ON_WINDOWS: Final = 512  # that its usual way to wait for them takes
_UNLIMITED: Final = 1 << 20


def system() -> System:
    """Return which system this is, as far as it matters."""
    return _NAMES.get(sys.platform, "other")


def is_readable_by_others(path: Path) -> bool:
    """Tell whether others than the owner may read a file; False where there are no modes."""
    return _has_mode(path, _GROUP_AND_OTHERS)


def is_writable_by_others(path: Path) -> bool:
    """Tell whether everybody may change a file; False where there are no modes."""
    return _has_mode(path, _OTHERS_WRITE)


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where the system can.

    Windows and some shares cannot, nor can one who may write into a folder but not list it.
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
    """Give a file the name of another, which is gone then.

    On Windows it waits for readers and virus scanners: as long as one has either file open, the
    system refuses. Elsewhere a reader keeps what it has opened.
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
    """Tell whether a path is a folder or lies in it, however either is written.

    Where names do not distinguish case (Windows, macOS, many shares), or a share is mounted twice,
    only the system knows which names mean one folder.
    """
    place, home = path.resolve(), folder.resolve()
    above = (place, *place.parents)
    return home in above or any(_are_one(one, home) for one in above)


def path_prefix(folder: str) -> str:
    """Return what the path of everything in a folder begins with.

    The root of a share, or of all, ends with the separator already.

    >>> [path_prefix(folder).replace(os.sep, "/") for folder in (f"{os.sep}mnt", os.sep)]
    ['/mnt/', '/']
    """
    return folder if folder.endswith(os.sep) else folder + os.sep


def comparable_path(path: str) -> str:
    """Return a path without what does not distinguish it from others: case, on some systems."""
    return path if system() == "other" else path.casefold()


def pseudo_devices(mounts: Path = _MOUNTS) -> frozenset[int]:
    """Return the device numbers of the kernel's own file systems, such as /proc and /sys.

    A scan that followed a link there would find half a million entries; some block their reader.
    """
    found = set()
    with suppress(OSError):
        for line in mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
            head, _, tail = line.partition(" - ")
            major, _, minor = head.split()[2].partition(":")
            if tail.split()[0] in _PSEUDO:
                found.add(os.makedev(int(major), int(minor)))
    return frozenset(found)


def is_too_long(path: Path, refusal: OSError) -> bool:
    """Tell whether the system refused a path for its length: Windows says that it is not there."""
    is_long = system() == "windows" and len(str(path)) >= _TOO_LONG_FOR_WINDOWS
    return refusal.errno == errno.ENAMETOOLONG or (is_long and refusal.errno == errno.ENOENT)


def is_alive(pid: int) -> bool:
    """Tell whether a process is there; True where the system cannot tell without touching it.

    On Windows, os.kill would end it, whatever the signal.
    """
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
    """End a program that leads a session of its own, with everything it started there.

    What takes a session of its own is meant to stay, as the agents of key rings do. On Windows the
    program alone is ended: it has no sessions.
    """
    if system() == "windows":
        with suppress(OSError):  # it has ended
            process.kill()
        return
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    for pid in _of_session(process.pid):  # other groups of it, as a shell makes for its jobs
        with suppress(OSError):
            os.kill(pid, signal.SIGKILL)


def _of_session(session: int) -> Iterator[int]:
    """Yield the processes of a session, where the system tells them (Linux: proc(5))."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, ValueError, IndexError):
            words = path.read_bytes().rpartition(b")")[2].split()  # the name may hold anything
            if int(words[3]) == session:
                yield int(path.parent.name)


def limit_memory(size: int) -> None:
    """Limit the memory of this process, in bytes, where the system supports it."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (size, size))


def portable_name(name: str) -> str:
    """Return the name of a file or folder, changed where Windows gives it another meaning.

    It is the same on every system: folders for structure sets are often shares of Windows.

    >>> portable_name("12345"), portable_name("aux"), portable_name("COM1.x")
    ('12345', 'aux_', 'COM1_.x')
    """
    stem, dot, ending = name.partition(".")
    return f"{stem}_{dot}{ending}" if _RESERVED.fullmatch(stem) else name


def _are_one(one: Path, other: Path) -> bool:
    try:
        mine, theirs = one.stat(), other.stat()
    except OSError:
        return False
    return bool(mine.st_ino) and os.path.samestat(mine, theirs)  # 0: the system does not tell


def _has_mode(path: Path, bits: int) -> bool:
    return system() != "windows" and bool(path.stat().st_mode & bits)


def max_open_files() -> int:
    """Return how many files and sockets this process may have open."""
    if sys.platform == "win32":
        return _SOCKETS_ON_WINDOWS
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _UNLIMITED if soft == resource.RLIM_INFINITY else soft
