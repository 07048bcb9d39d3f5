"""What a DICOMweb archive gets as Authorization."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from drawcli.system.network.secret_source import SecretSource

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
        source = SecretSource(
            self.file,
            self.command,
            "token",
            "token_file of a target",
            "token_command of a target",
            _LONGEST_TOKEN,
            "one line: a token, or 'Basic ...'",
        )
        token = source.read()
        return token if " " in token or not token else f"Bearer {token}"
