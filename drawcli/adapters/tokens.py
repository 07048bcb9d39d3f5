"""The token file of a site: read, checked, and replaced on disk before a new pair is used."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from drawcli.core.tokens import Tokens, parsed_moment
from drawcli.errors import ConfigError, TryLater
from drawcli.files import open_to_others, write_durably

_PATIENCE_SECONDS: Final = 120.0
_TOKEN: Final = re.compile(r"[\x21-\x7e]*")  # what can stand in a header of HTTP
_FORM: Final = '{"access_token": "...", "refresh_token": "...", "expires_at": "..."}'


class TokenFile:
    """`{"access_token", "refresh_token", "expires_at"}` in a file that only its owner reads."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Tokens:
        """Return the tokens.

        Raises
        ------
        ConfigError
            Where the file is missing, damaged, or others can read it.
        """
        try:
            exposed = open_to_others(self.path)
            plain = json.loads(self.path.read_bytes())
            access = plain["access_token"]
        except FileNotFoundError:
            raise ConfigError(
                f"{self.path}: there is no token",
                code="no-token",
                hint=f"Write {_FORM} into it, as the DRAW administrator gave it to you, "
                f"and run 'chmod 600 {self.path}'.",
            ) from None
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as err:
            raise ConfigError(
                f"{self.path}: cannot be read as a token file ({type(err).__name__})",
                hint=f"It should hold {_FORM}.",
            ) from None
        if exposed:
            raise ConfigError(
                f"{self.path}: others can read it", hint=f"Run 'chmod 600 {self.path}'."
            )
        access, refresh = self._word(access), self._word(plain.get("refresh_token") or "")
        if not access:
            raise ConfigError(f"{self.path}: access_token is empty", hint=f"It should hold {_FORM}")
        return Tokens(access, refresh, parsed_moment(plain.get("expires_at")))

    def _word(self, token: object) -> str:
        word = token.strip() if isinstance(token, str) else "\0"
        if not _TOKEN.fullmatch(word):
            raise ConfigError(
                f"{self.path}: a token is not one word of ASCII text",
                hint=f"It should hold {_FORM}, each token in one line as it was given to you.",
            )
        return word

    def write(self, tokens: Tokens) -> None:
        """Replace the pair; durable when this returns.

        Raises
        ------
        ConfigError
            Where the file cannot be written; it is as it was.
        """
        plain = {
            "access_token": tokens.access,
            "refresh_token": tokens.refresh,
            "expires_at": tokens.expires_at.isoformat() if tokens.expires_at else None,
        }
        text = json.dumps(plain, indent=1).encode("utf-8") + b"\n"
        with self._may_write():
            write_durably(self.path, text)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from refreshing the pair at the same time.

        Raises
        ------
        TryLater
            Where another process is at it for minutes.
        """
        lock = FileLock(f"{self.path}.lock", timeout=_PATIENCE_SECONDS, mode=0o600)
        try:
            with self._may_write():
                lock.acquire()
        except Timeout:
            raise TryLater("another process is refreshing the token", code="token-busy") from None
        try:
            yield
        finally:
            lock.release()

    @contextmanager
    def _may_write(self) -> Iterator[None]:
        try:
            yield
        except Timeout:
            raise
        except OSError as err:
            raise ConfigError(
                f"{self.path}: cannot be written: {err.strerror}",
                hint="drawcli must be able to renew the tokens: let it write into that folder.",
            ) from None
