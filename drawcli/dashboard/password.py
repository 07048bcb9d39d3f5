"""The password or token of the page: only its argon2 hash is kept, readable by its owner alone."""

import hashlib
import secrets
from pathlib import Path
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error

from drawcli.errors import ConfigError, UsageError
from drawcli.system.files import make_private, write_durably
from drawcli.system.platforms import is_readable_by_others

FILE_NAME: Final = "dashboard-password"
SHORTEST: Final = 12  # characters
_LONGEST: Final = 1024  # characters that are hashed at all


class Secret:
    """What lets a person in.

    Parameters
    ----------
    state_dir
        Where its hash is kept.
    hasher
        Tests give one that is quick; else argon2id with the parameters of RFC 9106.
    """

    def __init__(self, state_dir: Path, hasher: PasswordHasher | None = None) -> None:
        self.path = state_dir / FILE_NAME
        self._hasher = hasher or PasswordHasher()

    @property
    def is_set(self) -> bool:
        """Whether there is one; where nobody can tell, there is."""
        try:
            self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True
        return True

    @property
    def stamp(self) -> str:
        """What tells this one from the one before it; "" where there is none."""
        try:
            status = self.path.stat()
        except OSError:
            return ""
        return f"{status.st_mtime_ns:x}-{status.st_ino:x}"

    @property
    def key(self) -> bytes:
        """A key that ends with this password; made of its hash, so readable by its owner alone."""
        try:
            return hashlib.sha256(self.path.read_bytes()).digest()
        except OSError:
            return secrets.token_bytes(32)  # there is no password: no seal fits

    def store(self, words: str) -> None:
        """Keep the hash of a new one in place of the old.

        Raises
        ------
        UsageError
            Where it is too short.
        """
        if not SHORTEST <= len(words) <= _LONGEST:
            raise UsageError(
                f"a password of {len(words)} characters is too "
                f"{'short' if len(words) < SHORTEST else 'long'}",
                hint=f"Take {SHORTEST} or more: a few words are easy to keep in mind.",
            )
        make_private(self.path.parent)
        write_durably(self.path, f"{self._hasher.hash(words)}\n".encode("ascii"))

    def fits(self, words: str) -> bool:
        """Tell whether it is this; takes as long for a wrong one, and 64 MiB."""
        try:
            return self._hasher.verify(self._hash(), words[:_LONGEST])
        except (Argon2Error, OSError, ValueError):  # it is damaged, or gone: then nobody comes in
            return False

    def _hash(self) -> str:
        if is_readable_by_others(self.path):
            raise ConfigError(
                f"{self.path}: others may read it", hint=f"Run: chmod 600 '{self.path}'"
            )
        return self.path.read_text(encoding="ascii").strip()

    def check(self) -> None:
        """Raise ConfigError where the file cannot be trusted."""
        if self.is_set:
            self._hash()
