"""Storage of the site's token pair, safe against a crash while the pair is renewed.

A refresh invalidates the old refresh token at the server at once. So that no crash locks the site
out, the new pair is written to disk as soon as it arrives:

    token.json        the pair
    token.json.lock   held from before the request until the new pair is in place
    token.json.next   while the lock is held: a note that an exchange was begun, and of which pair;
                      then the new pair. After a crash the next reader takes the pair from here.

If the answer is lost on the network, the note remains and explains why the next refresh fails.
"""

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from drawcli.core.protocol.tokens import Tokens, parse_moment, parse_pair
from drawcli.errors import ConfigError, TryLater
from drawcli.system.failures import raise_shortage
from drawcli.system.files import write_durably

_LOCK_SECONDS: Final = 120.0


class PendingExchange:
    """The file `.next`: an exchange of tokens that has been begun."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, old: Tokens, now: datetime) -> None:
        """Record that a pair is about to be exchanged; durable when this returns."""
        if self.begun(old) is None:
            note = json.dumps({"pair": _digest(old), "begun": now.isoformat()})
            write_durably(self.path, note.encode("ascii") + b"\n")

    def keep(self, new: Tokens) -> None:
        """Append the new pair in one write; durable when this returns."""
        line = json.dumps(json.loads(new.as_json())).encode("utf-8")
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(descriptor, b"\n" + line + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def end(self) -> None:
        """Remove the file."""
        self.path.unlink(missing_ok=True)

    def begun(self, old: Tokens) -> datetime | None:
        """Return when the unfinished exchange of this pair was begun; None if there is none."""
        try:
            note, *_ = self.path.read_text(encoding="utf-8").splitlines()
            plain = json.loads(note)
            return parse_moment(plain["begun"]) if plain["pair"] == _digest(old) else None
        except (OSError, ValueError, KeyError, TypeError) as err:
            raise_shortage(err)
            return None

    def kept(self, old: Tokens) -> Tokens | None:
        """Return the new pair that the server gave for this one, if it arrived."""
        if self.begun(old) is None:
            return None
        for line in reversed(self.path.read_text(encoding="utf-8").splitlines()[1:]):
            try:
                return parse_pair(line)
            except ValueError:
                continue
        return None


class TokenStore(ABC):
    """Base of the stores of a token pair; subclasses implement `load` and `store`."""

    can_renew = True  # whether a new pair can be stored
    place = ""  # description for messages
    no_other = "Ask the DRAW administrator for a new token pair, then run 'drawcli token set'."

    def __init__(self, beside: Path) -> None:
        self.lock_file = Path(f"{beside}.lock")
        self.pending = PendingExchange(Path(f"{beside}.next"))

    @abstractmethod
    def load(self) -> Tokens:
        """Return the stored pair; raise ConfigError if there is none that can be used."""

    @abstractmethod
    def store(self, tokens: Tokens) -> None:
        """Replace the stored pair; durable when this returns."""

    def read(self) -> Tokens:
        """Return the pair; after a crash in an exchange, the new one."""
        stored = self.load()
        return self.pending.kept(stored) or stored

    def write(self, tokens: Tokens) -> None:
        """Replace the pair, durably, and end a pending exchange.

        Raises
        ------
        ConfigError
            If another pair is read back. A pair from an exchange stays in the file of the
            exchange, and is read from there.
        """
        self._store_and_verify(tokens)
        with self._convert_os_errors():
            self.pending.end()

    def recover(self) -> None:
        """Finish an exchange that a crash interrupted."""
        if self.pending.kept(self.load()) is not None:
            with self.locked():
                self.write(self.read())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock for refreshing the pair.

        Raises
        ------
        TryLater
            If another process holds it for two minutes.
        """
        from filelock import FileLock, Timeout

        lock = FileLock(self.lock_file, timeout=_LOCK_SECONDS, mode=0o600)
        try:
            with self._convert_os_errors():
                lock.acquire()
        except Timeout:
            raise TryLater(
                "another process is refreshing the token",
                code="token-busy",
                hint="Look for a hanging drawcli process; its lock is released when it ends.",
            ) from None
        try:
            yield
        finally:
            lock.release()

    def begin_exchange(self, old: Tokens, now: datetime) -> None:
        """Check that a pair can be stored, while the old one is still valid; record the exchange.

        Raises
        ------
        ConfigError
            If it cannot be stored.
        """
        self._store_and_verify(old)
        with self._convert_os_errors():
            self.pending.begin(old, now)

    def _store_and_verify(self, tokens: Tokens) -> None:
        """Store a pair and read it back: some keyrings accept a password and do not keep it."""
        self.store(tokens)
        try:
            read = self.load()
        except ConfigError as err:
            if err.code == "no-token":
                raise self._not_stored("nothing") from None
            raise
        if read.access != tokens.access or read.refresh not in ("", tokens.refresh):
            raise self._not_stored("another token")

    def _not_stored(self, content: str) -> ConfigError:
        return ConfigError(
            f"{self.place}: holds {content} after the token was stored",
            code="token-not-stored",
            hint="Check that tokens are stored where they are read from, and that the store keeps "
            "them: some keyrings do not. Or use server.token_file.",
        )

    @contextmanager
    def _convert_os_errors(self) -> Iterator[None]:
        from filelock import Timeout

        try:
            yield
        except Timeout:
            raise
        except OSError as err:
            raise ConfigError(
                f"{self.lock_file.with_suffix('')}: cannot be written: {err.strerror}",
                hint="Allow drawcli to write into that folder: it must store renewed tokens.",
            ) from None


def _digest(tokens: Tokens) -> str:
    """Return a digest that identifies a pair without revealing it."""
    return hashlib.sha256(f"{tokens.access}\n{tokens.refresh}".encode()).hexdigest()
