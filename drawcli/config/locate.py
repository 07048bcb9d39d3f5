"""Search for the settings file of a site."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from drawcli.errors import ConfigError

FILE_NAME: Final = "drawcli.yaml"


def find_settings(given: Path | None, env: Mapping[str, str]) -> Path:
    """Return the settings file: `given`, DRAWCLI_CONFIG, that of this folder, or of the user."""
    if given is not None:
        return given
    if named := env.get("DRAWCLI_CONFIG"):
        return Path(named)
    here = Path(FILE_NAME)
    if here.exists():
        return here
    from platformdirs import user_config_path

    users = user_config_path("drawcli") / FILE_NAME
    if users.exists():
        return users
    raise ConfigError(
        f"no settings: neither {FILE_NAME} in this folder nor {users}",
        hint="Add --config FILE, or run 'drawcli init' to create a site here.",
    )
