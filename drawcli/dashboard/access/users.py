"""The users of the page with passwords: argon2id hashes in a file, and rights by roles."""

import hashlib
import secrets
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error

from drawcli.adapters.state.page_users import PageUser, PageUsers, UserFile, user_name
from drawcli.dashboard.access.password import LONGEST, check_words
from drawcli.dashboard.access.rights import Right
from drawcli.errors import ConfigError, UsageError

_RIGHTS: Final = {"patients": Right.PATIENTS, "act": Right.ACT, "edit": Right.EDIT}


def rights_of(roles: Iterable[str]) -> frozenset[Right]:
    """Return the rights of roles."""
    return frozenset(_RIGHTS[role] for role in roles if role in _RIGHTS)


class Users:
    """The users with a password of the page.

    Parameters
    ----------
    state_dir
        The folder of their file.
    hasher
        A fast one in tests; by default argon2id with the parameters of RFC 9106.
    """

    def __init__(self, state_dir: Path, hasher: PasswordHasher | None = None) -> None:
        self.file = UserFile(state_dir)
        self._hasher = hasher or PasswordHasher()

    @property
    def exist(self) -> bool:
        """Whether there are users, or a file of users that cannot be read."""
        try:
            return bool(self.file.read().users)
        except ConfigError:
            return True

    def check(self) -> None:
        """Raise ConfigError where the file cannot be trusted."""
        self.file.read()

    @property
    def key(self) -> bytes:
        """A key that changes with any change of the users."""
        try:
            return hashlib.sha256(self.file.path.read_bytes()).digest()
        except OSError:
            return secrets.token_bytes(32)

    def get(self, name: str) -> PageUser | None:
        """Return a user; None if there is none of this name, or the file cannot be trusted."""
        return self._trusted().users.get(name)

    def session_key(self, name: str) -> str:
        """Return the key of the sessions of a user; "" for one whose sessions were never ended."""
        return self._trusted().keys.get(name, "")

    def _trusted(self) -> PageUsers:
        try:
            return self.file.read()
        except ConfigError:
            return PageUsers()

    def verify(self, name: str, words: str) -> bool:
        """Return whether name and password fit; an unknown name takes as long as a wrong password.

        Raises
        ------
        ConfigError
            If the file cannot be trusted.
        """
        nobody, user = self._dummy_hash, self.file.read().users.get(name)
        kept = nobody if user is None else user.password_hash
        try:
            self._hasher.verify(kept, words[:LONGEST])
        except (Argon2Error, ValueError):
            return False
        return user is not None

    @cached_property
    def _dummy_hash(self) -> str:
        """The hash of a password that nobody has."""
        return self._hasher.hash(secrets.token_urlsafe(32))

    def add(self, name: str, roles: frozenset[str], words: str) -> None:
        """Add a user; UsageError if there is one of this name, or the password is unsuitable."""
        check_words(words)
        kept = PageUser(roles, self._hasher.hash(words))

        def edit(users: PageUsers) -> PageUsers:
            if name in users.users:
                raise UsageError(
                    f"there is a user '{name}' already",
                    hint=f"'drawcli users role {name} ...' changes the roles.",
                )
            return users.with_user(name, kept).with_new_key(name)

        self.file.change(edit)

    def remove(self, name: str) -> None:
        """Remove a user, and end the sessions."""
        self.file.change(lambda users: _known(users, name).without_user(name))

    def set_roles(self, name: str, roles: frozenset[str]) -> None:
        """Change the roles of a user; they count from the next request on."""

        def edit(users: PageUsers) -> PageUsers:
            kept = _known(users, name).users[name]
            return users.with_user(name, kept._replace(roles=roles))

        self.file.change(edit)

    def set_password(self, name: str, words: str) -> None:
        """Change the password of a user, and end the sessions."""
        check_words(words)
        kept_hash = self._hasher.hash(words)

        def edit(users: PageUsers) -> PageUsers:
            kept = _known(users, name).users[name]
            return users.with_user(name, kept._replace(password_hash=kept_hash)).with_new_key(name)

        self.file.change(edit)

    def end_sessions(self, name: str) -> None:
        """End all sessions of a name, also by single sign-on."""
        self.file.change(lambda users: users.with_new_key(name))


def login_name(text: str) -> str:
    """Return a typed name as it is stored; "" if nobody can have it."""
    try:
        return user_name(text)
    except UsageError:
        return ""


def _known(users: PageUsers, name: str) -> PageUsers:
    if name not in users.users:
        raise UsageError(f"there is no user '{name}'", hint="'drawcli users list' shows the users.")
    return users
