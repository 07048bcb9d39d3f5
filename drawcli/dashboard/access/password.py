"""The password or token of the page; only its argon2 hash is stored, with mode 0600."""

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
LONGEST: Final = 1024  # characters


def check_words(words: str) -> None:
    """Raise UsageError if a password is too short or too long."""
    if not SHORTEST <= len(words) <= LONGEST:
        raise UsageError(
            f"a password of {len(words)} characters is too "
            f"{'short' if len(words) < SHORTEST else 'long'}",
            hint=f"Use {SHORTEST} characters or more; a few words are easy to remember.",
        )


class Secret:
    """The password of the page.

    Parameters
    ----------
    state_dir
        The folder of its hash.
    hasher
        A fast one in tests; by default argon2id with the parameters of RFC 9106.
    """

    def __init__(self, state_dir: Path, hasher: PasswordHasher | None = None) -> None:
        self.path = state_dir / FILE_NAME
        self.hasher = hasher or PasswordHasher()

    @property
    def is_set(self) -> bool:
        """Whether a password is stored; True if the file cannot be checked."""
        try:
            self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True
        return True

    @property
    def stamp(self) -> str:
        """An identifier that changes with the password; "" without one."""
        try:
            status = self.path.stat()
        except OSError:
            return ""
        return f"{status.st_mtime_ns:x}-{status.st_ino:x}"

    @property
    def key(self) -> bytes:
        """A key derived from the stored hash, which changes with the password."""
        try:
            return hashlib.sha256(self.path.read_bytes()).digest()
        except OSError:
            return secrets.token_bytes(32)  # without a password no seal is valid

    def store(self, words: str) -> None:
        """Store the hash of a new password; raise UsageError if it is too short or too long."""
        check_words(words)
        make_private(self.path.parent)
        write_durably(self.path, f"{self.hasher.hash(words)}\n".encode("ascii"))

    def verify(self, words: str) -> bool:
        """Return whether the password is right; takes 64 MiB, and as long for a wrong one."""
        try:
            return self.hasher.verify(self._hash(), words[:LONGEST])
        except (Argon2Error, OSError, ValueError):  # the file is damaged or missing
            return False

    def _hash(self) -> str:
        if is_readable_by_others(self.path):
            raise ConfigError(
                f"{self.path}: readable by others", hint=f"Run: chmod 600 '{self.path}'"
            )
        return self.path.read_text(encoding="ascii").strip()

    def check(self) -> None:
        """Raise ConfigError where the file cannot be trusted."""
        if self.is_set:
            self._hash()
