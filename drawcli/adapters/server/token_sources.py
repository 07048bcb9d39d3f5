"""The token pair from a command of the site, or from the keyring of the system."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from drawcli.adapters.server.token_store import TokenStore
from drawcli.core.protocol.tokens import Tokens, parse_pair_or_token
from drawcli.errors import ConfigError
from drawcli.system.limits import EXCHANGES
from drawcli.system.network.limit import bytes_in_words
from drawcli.system.packages import not_installed
from drawcli.system.programs import run_program
from drawcli.system.threads import call_with_timeout

if TYPE_CHECKING:
    from types import ModuleType

_READ: Final = "server.token_command"
_STORE: Final = "server.token_store_command"
_NAMELESS: Final = "drawcli"  # user of the keyring entry if server.client_id is not set


class TokenCommand(TokenStore):
    """The pair as JSON, or a bare access token, printed by a command of the site.

    Its standard error is discarded: such programs quote secrets. A new pair goes to the standard
    input of a second command; without that command the pair is never renewed.
    """

    def __init__(self, read: list[str], store: list[str], beside: Path) -> None:
        super().__init__(beside)
        self._read, self._store = read, store
        self.can_renew = bool(store)
        self.place = f"the output of {_READ}"
        if not store:
            self.no_other = (
                f"Check that {_READ} prints a valid token, or set {_STORE}, so that drawcli can "
                "renew the pair: a new one must be stored before it is used."
            )

    def load(self) -> Tokens:
        """Run the command; return the tokens that it prints.

        Raises
        ------
        ConfigError
            If it fails, takes too long, or prints no token.
        """
        try:
            return parse_pair_or_token(_run(_READ, self._read).decode("utf-8"))
        except ValueError as err:
            text = "is not text" if isinstance(err, UnicodeDecodeError) else str(err)
            raise ConfigError(
                f"{_READ}: its output {text}" if text.startswith("is ") else f"{_READ}: {text}",
                hint="It should print the JSON pair or one access token, and nothing else.",
            ) from None

    def store(self, tokens: Tokens) -> None:
        """Pass the pair to the second command; durable when that exits with 0."""
        if not self._store:
            raise ConfigError(
                f"tokens come from {_READ}, and {_STORE} is not set to store new ones",
                hint=f"Store them where {_READ} reads them, or set {_STORE}.",
            )
        _run(_STORE, self._store, tokens.as_json().encode("utf-8") + b"\n")


class TokenKeyring(TokenStore):
    """The pair in the keyring of the system: Keychain, Credential Manager, Secret Service."""

    def __init__(self, service: str, user: str, beside: Path) -> None:
        super().__init__(beside)
        self._service, self._user = service, user or _NAMELESS
        self.place = f"keyring entry {service}, user {self._user}"

    def load(self) -> Tokens:
        """Return the pair of the entry.

        Raises
        ------
        ConfigError
            If there is no keyring, no such entry, or no token in it.
        """
        keyring = _keyring()
        text = _ask(keyring, lambda: keyring.get_password(self._service, self._user))
        if not text:
            raise ConfigError(
                f"{self.place}: there is no token",
                code="no-token",
                hint="Run 'drawcli token set' with what the DRAW administrator gave you.",
            )
        try:
            return parse_pair_or_token(text)
        except ValueError as err:
            hint = "Run 'drawcli token set' to write it again."
            raise ConfigError(f"{self.place}: {err}", hint=hint) from None

    def store(self, tokens: Tokens) -> None:
        """Replace the entry."""
        keyring, pair = _keyring(), tokens.as_json()
        _ask(keyring, lambda: keyring.set_password(self._service, self._user, pair))


def _keyring() -> "ModuleType":
    """Return the module keyring, which is an extra."""
    try:
        import keyring
        import keyring.errors
    except ImportError:
        or_else = "Or use server.token_file."
        raise not_installed(
            "server.token_keyring", "keyring", code="no-keyring", or_else=or_else
        ) from None
    return keyring


def _ask(keyring: "ModuleType", ask: Callable[[], str | None]) -> str | None:
    """Return the keyring's answer, within a limit: a locked keyring may wait for a password."""
    limit = EXCHANGES["keyring"]
    try:
        text = call_with_timeout(ask, limit.seconds)
    except (keyring.errors.KeyringError, TimeoutError) as err:
        raise _locked(err) from None
    if text and len(text) > limit.largest:
        raise ConfigError(f"the keyring entry is longer than {bytes_in_words(limit.largest)}")
    return text


def _locked(err: Exception) -> ConfigError:
    return ConfigError(
        f"the keyring of this system {_fault(err)}",
        code="no-keyring",
        hint="Under cron there is often no keyring, or it is locked: use server.token_file or "
        "server.token_command.",
    )


def _fault(err: Exception) -> str:
    if isinstance(err, TimeoutError):
        return "does not answer: it may wait for a password"
    return "is locked, refuses access, or does not work"


def _run(setting: str, words: list[str], given: bytes = b"") -> bytes:
    """Run a command of the site; return its output."""
    ended = run_program(words, EXCHANGES["token-command"], given)
    if ended.code == 0:
        return ended.output
    if ended.shortage is not None:
        raise ended.shortage
    raise ConfigError(
        f"{setting} {ended.why or f'exited with {ended.code}'}",
        code="token-command",
        hint="Run it as the user that runs drawcli, to see its output.",
    )
