"""A secret for a network service, from a file or the output of a command."""

from pathlib import Path
from typing import NamedTuple

from drawcli.errors import ConfigError
from drawcli.system.failures import in_words
from drawcli.system.limits import EXCHANGES
from drawcli.system.platforms import is_readable_by_others
from drawcli.system.programs import run_program


class SecretSource(NamedTuple):
    """Where a secret comes from; the command is used if there is no file."""

    file: Path | None
    command: list[str]
    what: str  # in words: "token"
    file_setting: str
    command_setting: str
    longest: int  # characters
    form: str = "one line"

    def read(self) -> str:
        """Return the secret, printable ASCII without blanks at its ends; "" if there is no source.

        Raises
        ------
        ConfigError
            If it cannot be read, others can read the file, or it has no secret.
        """
        if self.file is None and not self.command:
            return ""
        where = self.command_setting if self.file is None else str(self.file)
        raw = self._printed() if self.file is None else self._contents(self.file)
        text = raw.decode("ascii", "replace").strip()
        if not text or len(text) > self.longest or not (text.isascii() and text.isprintable()):
            raise ConfigError(
                f"{where}: there is no {self.what} in it",
                code="no-token",
                hint=f"It should be {self.form}.",
            )
        return text

    def _contents(self, path: Path) -> bytes:
        try:
            if is_readable_by_others(path):
                raise ConfigError(
                    f"{path}: others can read this {self.what}", hint=f"Run 'chmod 600 {path}'."
                )
            with path.open("rb") as stream:
                return stream.read(self.longest + 2)
        except OSError as err:
            raise ConfigError(
                f"{path}: cannot be read: {in_words(err)}",
                code="no-token",
                hint=f"{self.file_setting} should name a file with the {self.what}.",
            ) from None

    def _printed(self) -> bytes:
        ended = run_program(self.command, EXCHANGES["token-command"])
        if ended.code == 0:
            return ended.output
        if ended.shortage is not None:
            raise ended.shortage
        raise ConfigError(
            f"{self.command_setting} {ended.why or f'exited with {ended.code}'}",
            code="token-command",
            hint="Run it as the user that runs drawcli, to see its output.",
        )
