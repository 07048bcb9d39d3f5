"""Owners of the files of a site: the user who runs it must own them all."""

import atexit
import os
import stat
from contextlib import suppress
from pathlib import Path


def owner_hint(path: Path) -> str:
    """Return who owns a path that this user may not use, and how to fix that.

    The owner of a path in a closed folder is not known: then it is that of the folder.
    """
    closed = next((one for one in (path, *path.parents) if _owner(one)), path)
    owner, me = _owner(closed) or "another user", user_name()
    return (
        f"{closed} belongs to {owner}, and this is {me}: run drawcli as {owner}, "
        f"or give it to this user: sudo chown -R {me} {closed}"
    )


def end_as_owner(state_dir: Path, *others: Path) -> None:
    """At the end of the process, give what root has written to the owner of a site.

    Parameters
    ----------
    state_dir
        The owner of this folder runs the site.
    others
        Files elsewhere that the site needs.
    """
    if not hasattr(os, "geteuid") or os.geteuid():
        return
    with suppress(OSError):
        if state_dir.stat().st_uid:
            atexit.register(give_to_owner, state_dir, *others)


def give_to_owner(folder: Path, *others: Path) -> None:
    """Give files of root in a folder, and other files, to the owner of the folder.

    Links, and files with several names, are left alone.
    """
    owner = folder.stat()
    for path in (*folder.rglob("*"), *others):
        with suppress(OSError):
            status = path.lstat()
            is_file = stat.S_ISREG(status.st_mode) and status.st_nlink == 1
            if not status.st_uid and (is_file or stat.S_ISDIR(status.st_mode)):
                os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def _owner(path: Path) -> str:
    """Return the name of the owner of a path; "" if it cannot be seen."""
    try:
        return path.owner()
    except KeyError:  # no name
        return str(path.stat().st_uid)
    except (OSError, NotImplementedError):  # the last one: Windows
        return ""


def user_name() -> str:
    """Return the name of the user that this process runs as."""
    try:
        from pwd import getpwuid

        return getpwuid(os.geteuid()).pw_name
    except ImportError:  # Windows
        return os.environ.get("USERNAME", "this user")
    except KeyError:  # a number without a name, as in a container
        return str(os.geteuid())
