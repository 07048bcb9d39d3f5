"""The site key: 32 random bytes from which every stand-in is derived."""

import secrets
from pathlib import Path
from typing import Final

from drawcli.errors import ConfigError
from drawcli.files import make_private, open_to_others, write_durably

FILE_NAME: Final = "site.key"
LENGTH: Final = 32  # bytes


def site_key_path(state_dir: Path) -> Path:
    """Return where the key of a site lies."""
    return state_dir / FILE_NAME


def make_site_key(state_dir: Path) -> Path:
    """Make the site key, unless there is one; return where it lies."""
    path = site_key_path(make_private(state_dir))
    if not path.exists():
        write_durably(path, secrets.token_bytes(LENGTH).hex().encode("ascii") + b"\n")
    return path


def read_site_key(state_dir: Path) -> bytes:
    """Return the site key.

    Raises
    ------
    ConfigError
        Where it is missing, damaged, or others can read it: nothing is sent with such a key.
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
        raise ConfigError(f"{path}: cannot be read ({type(err).__name__})") from None
    if exposed:
        raise ConfigError(f"{path}: others can read it", hint=f"Run 'chmod 600 {path}'.")
    if len(key) != LENGTH:
        raise ConfigError(f"{path}: damaged", hint="Put the key back from its backup.")
    return key
