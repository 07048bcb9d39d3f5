"""Search for the settings file of a site."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from drawcli.errors import ConfigError

FILE_NAME: Final = "drawcli.yaml"
MACHINE: Final = Path("/etc/drawcli") / FILE_NAME


def find_settings(given: Path | None, env: Mapping[str, str]) -> Path:
    """Return the settings file: `given`, DRAWCLI_CONFIG, that of this folder, user or machine."""
    if given is not None:
        return given
    if named := env.get("DRAWCLI_CONFIG"):
        return Path(named)
    here = Path(FILE_NAME)
    if _is_there(here):
        return here
    from platformdirs import user_config_path

    users = user_config_path("drawcli") / FILE_NAME
    for path in (users, MACHINE):
        if _is_there(path):
            return path
    raise ConfigError(
        f"no settings: neither {FILE_NAME} in this folder nor {users} nor {MACHINE}",
        hint="Add --config FILE, or run 'drawcli init' to create a site here.",
    )


def _is_there(path: Path) -> bool:
    """Return whether a file exists; False also in a folder that this user may not enter."""
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises PermissionError there
