"""The token file of a site: read, checked, and replaced on disk before a new pair is used."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from filelock import FileLock

from drawcli.core.tokens import Tokens, parsed_moment
from drawcli.errors import ConfigError
from drawcli.files import open_to_others, write_durably

_PATIENCE_SECONDS: Final = 120.0
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
        except (OSError, ValueError, KeyError, TypeError) as err:
            raise ConfigError(
                f"{self.path}: cannot be read as a token file ({type(err).__name__})",
                hint=f"It should hold {_FORM}.",
            ) from None
        if exposed:
            raise ConfigError(
                f"{self.path}: others can read it", hint=f"Run 'chmod 600 {self.path}'."
            )
        refresh = plain.get("refresh_token") or ""
        if not all(isinstance(token, str) and token.isascii() for token in (access, refresh)):
            raise ConfigError(f"{self.path}: a token is no text", hint=f"It should hold {_FORM}.")
        if not access.strip():
            raise ConfigError(f"{self.path}: access_token is empty")
        return Tokens(access.strip(), refresh.strip(), parsed_moment(plain.get("expires_at")))

    def write(self, tokens: Tokens) -> None:
        """Replace the pair; durable when this returns."""
        plain = {
            "access_token": tokens.access,
            "refresh_token": tokens.refresh,
            "expires_at": tokens.expires_at.isoformat() if tokens.expires_at else None,
        }
        write_durably(self.path, json.dumps(plain, indent=1).encode("utf-8") + b"\n")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from refreshing the pair at the same time."""
        with FileLock(f"{self.path}.lock", timeout=_PATIENCE_SECONDS, mode=0o600):
            yield
