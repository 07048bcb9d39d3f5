"""Where the token pair of a site lies, and how it survives being exchanged for a new one.

A refresh kills the old refresh token at the server, at once. So that no crash locks the site out,
the new pair is on disk in the moment in which the answer is here, before anything else is done:

    token.json        the pair
    token.json.lock   held from before the request until the new pair lies in its place
    token.json.next   while it is held: that an exchange was begun, and of which pair; then the new
                      pair itself. What a crash leaves of it is taken up by whoever reads next.

Between the server's sending and the first write lies nothing but the network. If the answer is lost
there, the file says that an exchange was begun and not answered, and the refusal that follows can
be told for what it is.
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

from filelock import FileLock, Timeout

from drawcli.core.protocol.tokens import Tokens, parse_moment, parse_pair
from drawcli.errors import ConfigError, TryLater
from drawcli.system.files import write_durably

_PATIENCE_SECONDS: Final = 120.0


class Exchanging:
    """The file that says how far an exchange of tokens has come."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def begin(self, old: Tokens, now: datetime) -> None:
        """Note that a pair is about to be exchanged; durable when this returns."""
        if self.begun(old) is None:
            note = json.dumps({"pair": _digest(old), "begun": now.isoformat()})
            write_durably(self.path, note.encode("ascii") + b"\n")

    def keep(self, new: Tokens) -> None:
        """Add the new pair: one write to a file that is there already, then made durable."""
        line = json.dumps(json.loads(new.as_json())).encode("utf-8")
        descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND)
        try:
            os.write(descriptor, b"\n" + line + b"\n")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def end(self) -> None:
        """Forget the exchange."""
        self.path.unlink(missing_ok=True)

    def begun(self, old: Tokens) -> datetime | None:
        """Return when an exchange of this pair was begun that has not ended."""
        try:
            note, *_ = self.path.read_text(encoding="utf-8").splitlines()
            plain = json.loads(note)
            return parse_moment(plain["begun"]) if plain["pair"] == _digest(old) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def kept(self, old: Tokens) -> Tokens | None:
        """Return what the server gave for this pair, if that came through."""
        if self.begun(old) is None:
            return None
        for line in reversed(self.path.read_text(encoding="utf-8").splitlines()[1:]):
            try:
                return parse_pair(line)
            except ValueError:
                continue
        return None


class TokenStore(ABC):
    """A place for the pair: subclasses say how it is read and written there."""

    can_renew = True  # whether a new pair can be put there
    place = ""  # for people: which one it is
    no_other = "Ask the DRAW administrator for a new token pair, then run 'drawcli token set'."

    def __init__(self, beside: Path) -> None:
        self.lock_file = Path(f"{beside}.lock")
        self.exchanging = Exchanging(Path(f"{beside}.next"))

    @abstractmethod
    def stored(self) -> Tokens:
        """Return the pair that lies there; raise ConfigError where there is none to be used."""

    @abstractmethod
    def store(self, tokens: Tokens) -> None:
        """Replace the pair that lies there; durable when this returns."""

    def read(self) -> Tokens:
        """Return the pair; the newer one, where a crash left it on its way."""
        stored = self.stored()
        return self.exchanging.kept(stored) or stored

    def write(self, tokens: Tokens) -> None:
        """Replace the pair, durably; an exchange that was under way is over.

        Raises
        ------
        ConfigError
            Where it is not there when it is read again. A pair that came by an exchange stays in
            the file of that exchange, and is taken from there.
        """
        self._store_and_look(tokens)
        with self._may_write():
            self.exchanging.end()

    def settle(self) -> None:
        """Put a pair that a crash left on its way into its place."""
        stored = self.stored()
        if self.exchanging.kept(stored) is not None:
            with self.locked():
                self.write(self.read())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from refreshing the pair at the same time.

        Raises
        ------
        TryLater
            Where another process is at it for minutes.
        """
        lock = FileLock(self.lock_file, timeout=_PATIENCE_SECONDS, mode=0o600)
        try:
            with self._may_write():
                lock.acquire()
        except Timeout:
            raise TryLater(
                "another process is refreshing the token",
                code="token-busy",
                hint="Look for a drawcli that hangs; the lock is free once it has ended.",
            ) from None
        try:
            yield
        finally:
            lock.release()

    def begin_exchange(self, old: Tokens, now: datetime) -> None:
        """Find out that a new pair can be stored, and note that one will be asked for.

        Raises
        ------
        ConfigError
            Where it cannot: better now than when the old pair is dead.
        """
        self._store_and_look(old)
        with self._may_write():
            self.exchanging.begin(old, now)

    def _store_and_look(self, tokens: Tokens) -> None:
        """Store a pair and read it again: some places take everything and keep nothing."""
        self.store(tokens)
        there = self._stored_again()
        if there.access != tokens.access or there.refresh not in ("", tokens.refresh):
            raise self._not_stored("another token is")

    def _stored_again(self) -> Tokens:
        try:
            return self.stored()
        except ConfigError as err:
            if err.code == "no-token":
                raise self._not_stored("nothing is") from None
            raise

    def _not_stored(self, what: str) -> ConfigError:
        return ConfigError(
            f"{self.place}: {what} there after the token was stored",
            code="token-not-stored",
            hint="See that it is stored where it is read from, and that this place keeps what it "
            "is given: some keyrings do not. Or use server.token_file.",
        )

    @contextmanager
    def _may_write(self) -> Iterator[None]:
        try:
            yield
        except Timeout:
            raise
        except OSError as err:
            raise ConfigError(
                f"{self.lock_file.with_suffix('')}: cannot be written: {err.strerror}",
                hint="drawcli must be able to renew the tokens: let it write into that folder.",
            ) from None


def _digest(tokens: Tokens) -> str:
    """Return what tells one pair from another, and nothing of either."""
    return hashlib.sha256(f"{tokens.access}\n{tokens.refresh}".encode()).hexdigest()
