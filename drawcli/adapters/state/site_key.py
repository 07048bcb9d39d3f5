"""The site key: 32 random bytes from which every stand-in is derived.

    state_dir/site.key             the current key
              site.key.<key id>    a retired key: jobs made with it are delivered with it, and
                                   series sent under it are recognised by it
              key-backup.json      when 'key backup' was called last, and of which keys

A key is never overwritten before it is retired. The state folder has its own `.gitignore`, so that
no key is committed to a repository.
"""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from drawcli.errors import ConfigError
from drawcli.system.failures import raise_shortage
from drawcli.system.files import (
    make_private,
    rename_if_free,
    write_durably,
)
from drawcli.system.ownership import owner_hint
from drawcli.system.platforms import fsync_folder, is_readable_by_others

FILE_NAME: Final = "site.key"
LENGTH: Final = 32  # bytes
_ID_LENGTH: Final = 8  # hex digits
_LEDGER: Final = "ledger.json"
_BACKUP: Final = "key-backup.json"
_GITIGNORE: Final = ".gitignore"


def site_key_path(state_dir: Path) -> Path:
    """Return the path of the site key."""
    return state_dir / FILE_NAME


class KeyBackup(NamedTuple):
    """The last backup of the site keys: when it was made, and of which keys."""

    at: datetime  # UTC
    key_ids: frozenset[str]


def note_backup(state_dir: Path, backup: KeyBackup) -> None:
    """Record that the keys were backed up; where to is not recorded."""
    plain = {"at": backup.at.isoformat(), "keys": sorted(backup.key_ids)}
    write_durably(state_dir / _BACKUP, json.dumps(plain).encode("ascii") + b"\n")


def read_backup(state_dir: Path) -> KeyBackup | None:
    """Return the recorded last backup of the keys; None if there is none."""
    try:
        plain = json.loads((state_dir / _BACKUP).read_bytes())
        at = datetime.fromisoformat(plain["at"])
        return KeyBackup(at.astimezone(UTC), frozenset(map(str, plain["keys"])))
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise_shortage(err)
        return None


def make_site_key(state_dir: Path) -> Path:
    """Create the site key if there is none; return its path.

    Raises
    ------
    ConfigError
        If there is a ledger, whose jobs need the key that is missing.
    """
    path = site_key_path(make_private(state_dir))
    if os.path.lexists(path):  # also a link to a disk that is not mounted
        return path
    if (state_dir / _LEDGER).exists():
        raise ConfigError(
            f"{path}: the site key is missing, and the ledger needs it",
            hint="Restore the key from its backup; a new one would not fit the ledger.",
        )
    if not (ignore := state_dir / _GITIGNORE).exists():
        write_durably(ignore, b"*\n")
    fresh = path.with_name(f".{FILE_NAME}.{os.getpid()}.tmp")
    write_durably(fresh, _as_text(os.urandom(LENGTH)))
    rename_if_free(fresh, path)  # if two processes create a key, the first one is used
    fresh.unlink(missing_ok=True)
    fsync_folder(state_dir)
    return path


def foreign_key(state_dir: Path) -> ConfigError:
    """Return the error for jobs of a key that the site does not have."""
    return ConfigError(
        f"{state_dir}: the jobs were made with another site key",
        code="site-key",
        hint="Restore that key: without it the series would be sent again under other pseudonyms.",
    )


def retire_site_key(state_dir: Path, key_id: str) -> None:
    """Save the current key under its id; durable when this returns."""
    key = read_site_key(state_dir)
    write_durably(_retired_path(state_dir, key_id), _as_text(key))


def replace_site_key(state_dir: Path) -> bytes:
    """Replace the current key, which must be retired, by a new one; return it."""
    key = os.urandom(LENGTH)
    write_durably(site_key_path(state_dir), _as_text(key))
    return key


def restore_site_keys(state_dir: Path, key: bytes, retired: Mapping[str, bytes]) -> None:
    """Write keys from a backup, the current key last.

    Raises
    ------
    ConfigError
        If there is a site key already; it is not overwritten.
    """
    path = site_key_path(make_private(state_dir))
    if os.path.lexists(path):
        raise ConfigError(f"{path}: there is a site key; it is not overwritten")
    if not (ignore := state_dir / _GITIGNORE).exists():
        write_durably(ignore, b"*\n")
    for key_id, old in retired.items():
        write_durably(_retired_path(state_dir, key_id), _as_text(old))
    write_durably(path, _as_text(key))


def retired_keys(state_dir: Path) -> dict[str, bytes]:
    """Return the retired keys by id; raise ConfigError as `read_site_key` does."""
    paths = sorted(state_dir.glob(f"{FILE_NAME}.{'[0-9a-f]' * _ID_LENGTH}"))
    return {path.name.removeprefix(f"{FILE_NAME}."): _read(path) for path in paths}


def read_site_key(state_dir: Path) -> bytes:
    """Return the site key.

    Raises
    ------
    ConfigError
        If it is missing, damaged, readable by others, or in a git work tree.
    """
    return _read(site_key_path(state_dir))


def could_be_committed(folder: Path) -> bool:
    """Return whether a folder is in a git work tree and not ignored."""
    if not any((parent / ".git").exists() for parent in (folder, *folder.parents)):
        return False
    try:
        return "*" not in (folder / _GITIGNORE).read_text(encoding="utf-8").split()
    except (OSError, ValueError) as err:
        raise_shortage(err)
        return True


def _retired_path(state_dir: Path, key_id: str) -> Path:
    return site_key_path(state_dir).with_name(f"{FILE_NAME}.{key_id}")


def _as_text(key: bytes) -> bytes:
    return key.hex().encode("ascii") + b"\n"


def _read(path: Path) -> bytes:
    state_dir = path.parent
    try:
        exposed = is_readable_by_others(path)
        key = bytes.fromhex(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: there is no site key",
            hint="Run 'drawcli init' for a new site, or restore the key from its backup.",
        ) from None
    except PermissionError:
        raise ConfigError(f"{path}: this user may not read it", hint=owner_hint(path)) from None
    except (OSError, ValueError) as err:
        raise ConfigError(
            f"{path}: cannot be read ({type(err).__name__})",
            hint="Restore the key from its backup.",
        ) from None
    if exposed:
        raise ConfigError(f"{path}: others can read it", hint=f"Run 'chmod 600 {path}'.")
    if len(key) != LENGTH:
        raise ConfigError(f"{path}: damaged", hint="Restore the key from its backup.")
    if could_be_committed(state_dir.resolve()):
        raise ConfigError(
            f"{path}: is in a git work tree and could be committed",
            hint=f"Write a line with '*' into {state_dir / _GITIGNORE}, or move state_dir.",
        )
    return key
