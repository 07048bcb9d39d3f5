"""What a DICOMweb archive gets as Authorization."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from drawcli.errors import ConfigError
from drawcli.system.failures import in_words
from drawcli.system.limits import EXCHANGES
from drawcli.system.platforms import is_readable_by_others
from drawcli.system.programs import run_program

_LONGEST_TOKEN: Final = 16_384


@dataclass(slots=True)
class Credentials:
    """What is sent as Authorization: from a file or a command, read once a run."""

    file: Path | None = None
    command: list[str] = field(default_factory=list)
    _header: str | None = field(default=None, init=False, repr=False)

    def header(self) -> str:
        """Return the header, or "" for none.

        A bare token is sent as "Bearer TOKEN"; "Basic ..." or "Bearer ..." as it is.

        Raises
        ------
        ConfigError
            If there is no usable token.
        """
        if self._header is None:
            self._header = self._read()
        return self._header

    def forget(self) -> None:
        """Read it again with the next request: it was refused."""
        self._header = None

    def _read(self) -> str:
        if self.file is None and not self.command:
            return ""
        where = "token_command of a target" if self.file is None else str(self.file)
        raw = _printed(self.command) if self.file is None else _contents(self.file)
        token = raw.decode("ascii", "replace").strip()
        if (
            not token
            or len(token) > _LONGEST_TOKEN
            or not (token.isascii() and token.isprintable())
        ):
            raise ConfigError(
                f"{where}: there is no token in it",
                code="no-token",
                hint="It should be one line: a token, or 'Basic ...'.",
            )
        return token if " " in token else f"Bearer {token}"


def _contents(path: Path) -> bytes:
    try:
        if is_readable_by_others(path):
            raise ConfigError(
                f"{path}: others can read this token", hint=f"Run 'chmod 600 {path}'."
            )
        with path.open("rb") as stream:
            return stream.read(_LONGEST_TOKEN + 2)
    except OSError as err:
        raise ConfigError(
            f"{path}: cannot be read: {in_words(err)}",
            code="no-token",
            hint="token_file of a target should name a file with its token.",
        ) from None


def _printed(command: list[str]) -> bytes:
    ended = run_program(command, EXCHANGES["token-command"])
    if ended.code == 0:
        return ended.output
    raise ConfigError(
        f"token_command of a target {ended.why or f'exited with {ended.code}'}",
        code="token-command",
        hint="Run it as the user that runs drawcli, to see its output.",
    )
