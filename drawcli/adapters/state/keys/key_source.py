"""The site keys from a file or from a command, as of a KMS; read once per process.

The command prints the content of site.key: 64 hex digits. Retired keys follow, one a line. Its
output is never written to disk.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from drawcli.adapters.state.site_key import LENGTH, read_site_key, retired_keys, site_key_path
from drawcli.core.deid.pseudonyms import StandIns
from drawcli.errors import ConfigError
from drawcli.system.limits import EXCHANGES

if TYPE_CHECKING:
    from drawcli.config.load import Settings

SETTING: Final = "site_key_command"


class SiteKeys(NamedTuple):
    """The present key of a site, and the retired ones by id."""

    key: bytes
    retired: Mapping[str, bytes]
    where: str  # a path, or the setting

    @property
    def stand_ins(self) -> StandIns:
        """The replacement values of the present key."""
        return StandIns(self.key)

    @property
    def older(self) -> tuple[StandIns, ...]:
        """The replacement values of the retired keys."""
        return tuple(StandIns(key) for key in self.retired.values())

    @property
    def ring(self) -> tuple[StandIns, ...]:
        """The replacement values of all keys."""
        return (self.stand_ins, *self.older)


def site_keys(settings: "Settings") -> SiteKeys:
    """Return the keys of a site.

    Raises
    ------
    ConfigError
        If there is none, it cannot be used, or there are a command and a file.
    """
    command = settings.site_key_command
    if not command:
        key, retired = read_site_key(settings.state_dir), retired_keys(settings.state_dir)
        return SiteKeys(key, retired, str(site_key_path(settings.state_dir)))
    check_no_file(settings.state_dir)
    return _printed(tuple(command))


def check_no_file(state_dir: Path) -> None:
    """Raise ConfigError if there is a file with a key beside the command."""
    path = site_key_path(state_dir)
    if path.exists():
        raise ConfigError(
            f"{path}: there is a site key, and {SETTING} is set",
            code="site-key",
            hint="Back the file up with 'drawcli key backup' without the setting, see that the "
            "command prints the same key, and remove the file; or remove the setting.",
        )


@cache
def _printed(command: tuple[str, ...]) -> SiteKeys:
    from drawcli.system.programs import run_program

    ended = run_program(command, EXCHANGES["token-command"])
    if ended.code != 0:
        raise ConfigError(
            f"{SETTING} {ended.why or f'exited with {ended.code}'}",
            code="site-key",
            hint="Run it as the user that runs drawcli, to see its output.",
        )
    try:
        first, *more = [bytes.fromhex(line) for line in ended.output.decode("ascii").split()]
    except ValueError:
        first, more = b"", []
    if {len(key) for key in (first, *more)} != {LENGTH}:
        raise ConfigError(
            f"{SETTING}: its output is not a site key",
            code="site-key",
            hint=f"It should be {2 * LENGTH} hex digits; retired keys follow, one a line.",
        )
    return SiteKeys(first, {StandIns(key).key_id: key for key in more}, SETTING)
