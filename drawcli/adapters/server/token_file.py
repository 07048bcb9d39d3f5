"""The token pair in a file."""

from glob import escape
from pathlib import Path

from drawcli.adapters.server.token_store import TokenStore
from drawcli.core.protocol.tokens import FORM, Tokens, parse_pair
from drawcli.errors import ConfigError
from drawcli.system.failures import in_words
from drawcli.system.files import write_durably
from drawcli.system.ownership import owner_hint
from drawcli.system.platforms import is_readable_by_others


class TokenFile(TokenStore):
    """`{"access_token", "refresh_token", "expires_at"}` in a file that only its owner can read."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.path = path
        self.place = f"token file {path}"

    def load(self) -> Tokens:
        """Return the tokens.

        Raises
        ------
        ConfigError
            If the file is missing or damaged, or others can read it.
        """
        try:
            exposed = is_readable_by_others(self.path)
            raw = self.path.read_bytes()
            tokens = parse_pair(raw)
        except FileNotFoundError:
            raise ConfigError(
                f"{self.path}: there is no token",
                code="no-token",
                hint="Run 'drawcli token set' with what the DRAW administrator gave you.",
            ) from None
        except PermissionError:
            raise ConfigError(
                f"{self.path}: this user may not read it", hint=owner_hint(self.path)
            ) from None
        except OSError as err:
            raise ConfigError(
                f"{self.path}: cannot be read as a token file: {in_words(err)}",
                hint=f"It should contain {FORM}, and be yours.",
            ) from None
        except ValueError as err:
            raise ConfigError(
                f"{self.path}: {err}",
                hint=f"It should contain {FORM}, each token in one line: 'drawcli token set' "
                "writes it.",
            ) from None
        if exposed:
            raise ConfigError(
                f"{self.path}: others can read it", hint=f"Run 'chmod 600 {self.path}'."
            )
        return tokens

    def store(self, tokens: Tokens) -> None:
        """Replace the pair; durable when this returns.

        Raises
        ------
        ConfigError
            If the file cannot be written; it is unchanged.
        """
        with self._convert_os_errors():
            write_durably(self.path, tokens.as_json().encode("utf-8") + b"\n")
            for left in self.path.parent.glob(f".{escape(self.path.name)}.*.tmp"):
                left.unlink(missing_ok=True)  # left by a dead process; we hold the lock
