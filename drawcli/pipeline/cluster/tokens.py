"""The token pair of a site: in a file, from a command, in a keyring; or shared by its hosts.

A renewed pair makes the old one invalid, so hosts with copies would lock each other out. With a
ledger in a database the pair is stored there, sealed with the site key. Until the database has a
pair, `server.token_file` is read. If a user changes that file later, its pair replaces that of the
database.
"""

import base64
import hashlib
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Final

from drawcli.adapters.ledger.postgres.site_values import read_value, try_lock, write_value
from drawcli.adapters.server import own_tokens
from drawcli.adapters.server.token_file import TokenFile
from drawcli.adapters.server.token_store import TokenStore
from drawcli.core.protocol.tokens import Tokens, parse_pair
from drawcli.errors import ConfigError, LedgerError, TryLater
from drawcli.system.files import make_private, write_durably

if TYPE_CHECKING:
    from drawcli.adapters.ledger.postgres.database import Database
    from drawcli.adapters.work_store.sealing import FileKeys
    from drawcli.config.load import Settings
    from drawcli.core.jobs.ledger import Ledger

_NAME: Final = "tokens"
_LOCK_SECONDS: Final = 120.0
_ASKED_AGAIN: Final = 0.25  # s


def site_tokens(settings: "Settings", ledger: "Ledger | None" = None) -> TokenStore:
    """Return the token store of a site; one in a database uses the connection of `ledger`."""
    own = own_tokens(settings)
    if not (settings.ledger and isinstance(own, TokenFile) and settings.cluster.share_tokens):
        return own
    from drawcli.adapters.ledger.postgres.jobs import DatabaseLedger

    opened = ledger.database if isinstance(ledger, DatabaseLedger) else None
    return SharedTokens(settings, own, opened)


def are_at_hand(settings: "Settings") -> bool:
    """Return whether the tokens of a site are read without a command or a keyring."""
    return isinstance(site_tokens(settings), TokenFile | SharedTokens)


class SharedTokens(TokenStore):
    """The pair in the database of the ledger, sealed.

    Parameters
    ----------
    settings
        The settings of the site.
    own
        The token file of this host.
    opened
        The connection of the ledger; without it each access opens a connection. The lock always
        has its own connection, and ends with it.
    """

    def __init__(
        self, settings: "Settings", own: TokenFile, opened: "Database | None" = None
    ) -> None:
        super().__init__(settings.state_dir / "token")
        self._settings, self._own, self._opened = settings, own, opened
        self._site = settings.cluster.site
        self._seen = settings.state_dir / "token.seen"  # the digest of token_file, of this host
        self.place = "the database of the ledger, for all hosts of the site"

    def load(self) -> Tokens:
        """Return the pair, or that of `server.token_file` while the database has none.

        Raises
        ------
        ConfigError
            If there is none, or it cannot be used.
        OutOfReach
            If the database does not answer.
        """
        with self._database() as database:
            found = read_value(database, self._site, _NAME)
        if found is None or self._has_new_file():
            tokens = self._own.load()
            if found is not None:
                self.store(tokens)
            self._note_file()
            return tokens
        try:
            sealed = base64.b64decode(found, validate=True)
            return parse_pair(self._keys().open(_NAME, _NAME, sealed))
        except (ValueError, LedgerError):
            raise ConfigError(
                f"{self.place}: the tokens there cannot be used",
                code="no-token",
                hint="Run 'drawcli token set' to write them again; all hosts need the same site "
                "key.",
            ) from None

    def _has_new_file(self) -> bool:
        """Return whether a user has changed `server.token_file` since this host has seen it."""
        if not self._seen.exists():
            self._note_file()
        return self._own.path.exists() and self._seen.read_bytes() != self._digest()

    def _note_file(self) -> None:
        write_durably(make_private(self._seen.parent) / self._seen.name, self._digest())

    def _digest(self) -> bytes:
        path = self._own.path
        content = path.read_bytes() if path.exists() else b""
        return hashlib.sha256(content).hexdigest().encode("ascii") + b"\n"

    def store(self, tokens: Tokens) -> None:
        """Replace the pair; durable when this returns."""
        sealed = self._keys().seal(_NAME, _NAME, tokens.as_json().encode("utf-8"))
        with self._database() as database:
            write_value(database, self._site, _NAME, base64.b64encode(sealed).decode("ascii"))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock for refreshing the pair, against every process of every host.

        Raises
        ------
        TryLater
            If another process holds it for two minutes.
        """
        with super().locked(), self._new_database() as database:
            until = time.monotonic() + _LOCK_SECONDS
            while not try_lock(database, self._site, _NAME):
                if time.monotonic() > until:
                    raise TryLater("another host is refreshing the token", code="token-busy")
                time.sleep(_ASKED_AGAIN)
            yield  # the lock ends with the connection

    def _database(self) -> "AbstractContextManager[Database]":
        return self._new_database() if self._opened is None else nullcontext(self._opened)

    def _new_database(self) -> "Database":
        from drawcli.adapters.ledger.postgres.database import Database

        return Database(self._settings.ledger, self._settings.cluster)

    def _keys(self) -> "FileKeys":
        from drawcli.adapters.state.keys.key_source import site_keys
        from drawcli.adapters.work_store.sealing import FileKeys

        keys = site_keys(self._settings)
        return FileKeys(keys.stand_ins, keys.older)
