"""The site key: 32 random bytes from which every stand-in is derived.

It is made once and never replaced: with another key no job that is under way can come home. The
state folder is kept out of git by a `.gitignore` of its own, because a key in a repository is a key
that others have.
"""

import os
import secrets
from pathlib import Path
from typing import Final

from drawcli.errors import ConfigError
from drawcli.files import (
    fsync_folder,
    make_private,
    name_if_free,
    open_to_others,
    write_durably,
)

FILE_NAME: Final = "site.key"
LENGTH: Final = 32  # bytes
_LEDGER: Final = "ledger.json"
_GITIGNORE: Final = ".gitignore"


def site_key_path(state_dir: Path) -> Path:
    """Return where the key of a site lies."""
    return state_dir / FILE_NAME


def make_site_key(state_dir: Path) -> Path:
    """Make the site key, unless there is one; return where it lies.

    Raises
    ------
    ConfigError
        Where a ledger waits for a key that is gone: a new one would not fit it.
    """
    path = site_key_path(make_private(state_dir))
    if os.path.lexists(path):  # a link to a disk that is not there is a key, too
        return path
    if (state_dir / _LEDGER).exists():
        raise ConfigError(
            f"{path}: the site key is gone, and there is a ledger that was made with it",
            hint="Put the key back from its backup; a new one would not fit.",
        )
    if not (ignore := state_dir / _GITIGNORE).exists():
        write_durably(ignore, b"*\n")
    fresh = path.with_name(f".{FILE_NAME}.{os.getpid()}.tmp")
    write_durably(fresh, secrets.token_bytes(LENGTH).hex().encode("ascii") + b"\n")
    name_if_free(fresh, path)  # of two at the same time the first one counts
    fresh.unlink(missing_ok=True)
    fsync_folder(state_dir)
    return path


def read_site_key(state_dir: Path) -> bytes:
    """Return the site key.

    Raises
    ------
    ConfigError
        Where it is missing, damaged, or others can get at it: nothing is sent with such a key.
    """
    path = site_key_path(state_dir)
    try:
        exposed = open_to_others(path)
        key = bytes.fromhex(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: there is no site key",
            hint="Run 'drawcli init' for a new site, or put the key back from its backup.",
        ) from None
    except (OSError, ValueError) as err:
        raise ConfigError(
            f"{path}: cannot be read ({type(err).__name__})",
            hint="Put the key back from its backup.",
        ) from None
    if exposed:
        raise ConfigError(f"{path}: others can read it", hint=f"Run 'chmod 600 {path}'.")
    if len(key) != LENGTH:
        raise ConfigError(f"{path}: damaged", hint="Put the key back from its backup.")
    if _could_be_committed(state_dir.resolve()):
        raise ConfigError(
            f"{path}: lies in a git work tree, from where it could get into the repository",
            hint=f"Write one line with '*' into {state_dir / _GITIGNORE}, or move state_dir away.",
        )
    return key


def _could_be_committed(state_dir: Path) -> bool:
    """Tell whether git could take up the key: a tree above it, and nothing that says no."""
    if not any((folder / ".git").exists() for folder in (state_dir, *state_dir.parents)):
        return False
    try:
        return "*" not in (state_dir / _GITIGNORE).read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return True
