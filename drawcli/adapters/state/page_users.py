"""The users of the web page: state_dir/dashboard-users, mode 0600, replaced as a whole.

{"users": {NAME: {"roles": [...], "hash": argon2id}}, "keys": {NAME: random}}

A session remembers the key of its user. A new password, a removal and `users logout` renew the key,
which ends all sessions of that name, also those by single sign-on, whose users are not in the file.
"""

import json
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, NamedTuple
from unicodedata import normalize

from filelock import FileLock, Timeout

from drawcli.errors import ConfigError, UsageError
from drawcli.system.files import PRIVATE, make_private, write_durably
from drawcli.system.platforms import is_readable_by_others

FILE_NAME: Final = "dashboard-users"
ROLES: Final = ("view", "patients", "act", "edit")
MOST_USERS: Final = 1000
_NAME: Final = re.compile(r"\w[\w.@+-]{0,63}")
_LOCK_SECONDS: Final = 10.0


class PageUser(NamedTuple):
    """A user with a password of the page."""

    roles: frozenset[str]
    password_hash: str = ""


@dataclass(frozen=True, slots=True)
class PageUsers:
    """The users of a site, and the keys of their sessions."""

    users: Mapping[str, PageUser] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)

    def with_user(self, name: str, user: PageUser) -> "PageUsers":
        """Return the users with one more, or a changed one; the sessions go on."""
        return replace(self, users={**self.users, name: user})

    def without_user(self, name: str) -> "PageUsers":
        """Return the users without one, whose sessions end."""
        users = {other: user for other, user in self.users.items() if other != name}
        return replace(self, users=users).with_new_key(name)

    def with_new_key(self, name: str) -> "PageUsers":
        """Return the users with a new key for one: its sessions end."""
        return replace(self, keys={**self.keys, name: secrets.token_urlsafe(12)})


def user_name(text: str) -> str:
    """Return a name as it is stored: case does not matter.

    Raises
    ------
    UsageError
        If it is empty, too long, or has blanks or other unsuitable characters.

    >>> user_name("Dr.Smith@ward-7")
    'dr.smith@ward-7'
    """
    name = normalize("NFC", text.strip()).casefold()
    if not _NAME.fullmatch(name):
        raise UsageError(
            "a user name has 1 to 64 letters, digits and . @ + - _, and no blanks",
            hint="Such as 'a.smith'.",
        )
    return name


def roles_of(words: Iterable[str]) -> frozenset[str]:
    """Return roles by their names; `view` is always one. UsageError for an unknown one."""
    given = {word.strip().casefold() for word in words}
    if unknown := given - {*ROLES}:
        raise UsageError(
            f"'{min(unknown)}' is not a role", hint=f"The roles are {', '.join(ROLES)}."
        )
    return frozenset(given | {"view"})


class UserFile:
    """The file of the users; safe for any number of processes and threads."""

    def __init__(self, state_dir: Path) -> None:
        self.path = state_dir / FILE_NAME
        self._read: tuple[tuple[int, int, int], PageUsers] | None = None

    def read(self) -> PageUsers:
        """Return the users at present; none if there is no file.

        Raises
        ------
        ConfigError
            If the file cannot be read, is damaged, or others can read it.
        """
        try:
            status = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return PageUsers()
        except OSError:
            raise self._damaged("it cannot be read") from None
        stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
        if self._read is None or self._read[0] != stamp:
            self._read = (stamp, self._parsed())
        return self._read[1]

    def change(self, edit: Callable[[PageUsers], PageUsers]) -> PageUsers:
        """Change the users under a lock between processes; durable on return.

        Raises
        ------
        ConfigError
            As `read`.
        UsageError
            If there would be too many, or another process keeps the lock.
        """
        make_private(self.path.parent)
        lock = FileLock(self.path.with_name(f"{FILE_NAME}.lock"), mode=PRIVATE)
        try:
            with lock.acquire(timeout=_LOCK_SECONDS):
                after = edit(self.read())
                if len(after.users) > MOST_USERS:
                    raise UsageError(f"there can be {MOST_USERS} users at most")
                write_durably(self.path, _as_json(after))
        except Timeout:
            raise UsageError(
                "another process is changing the users", hint="Run the command again."
            ) from None
        return after

    def _parsed(self) -> PageUsers:
        if is_readable_by_others(self.path):
            raise ConfigError(
                f"{self.path}: readable by others", hint=f"Run: chmod 600 '{self.path}'"
            )
        try:
            return _parsed(json.loads(self.path.read_bytes()))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, UsageError):
            raise self._damaged("it is damaged") from None

    def _damaged(self, what: str) -> ConfigError:
        return ConfigError(
            f"{self.path}: {what}",
            hint="Restore it from a copy, or move it away and add the users again.",
        )


def _parsed(plain: Any) -> PageUsers:
    users = {
        user_name(name): PageUser(roles_of(entry["roles"]), str(entry["hash"]))
        for name, entry in plain["users"].items()
    }
    return PageUsers(users, {str(name): str(key) for name, key in plain["keys"].items()})


def _as_json(users: PageUsers) -> bytes:
    plain = {
        "users": {
            name: {"roles": [role for role in ROLES if role in user.roles]}
            | {"hash": user.password_hash}
            for name, user in sorted(users.users.items())
        },
        "keys": dict(users.keys),
    }
    return json.dumps(plain, indent=1, ensure_ascii=False).encode("utf-8") + b"\n"
