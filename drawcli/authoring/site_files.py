"""Files that init writes where they are missing: those of a site, those for monitoring."""

import shlex
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Final

from drawcli.errors import ConfigError, UsageError
from drawcli.system.ownership import user_name

MONITORING_FILES: Final = ("README.md", "grafana-dashboard.json", "prometheus-rules.yml")


def write_missing(
    folder: Path, texts: Mapping[str, str], *, dry_run: bool
) -> tuple[list[str], list[str]]:
    """Write the files that are missing in a folder; return these, and those that were there."""
    kept = [name for name in texts if (folder / name).exists()]
    made = [name for name in texts if name not in kept]
    try:
        for name in made if not dry_run else ():
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(texts[name], encoding="utf-8")
    except (FileExistsError, NotADirectoryError):
        raise UsageError(f"{folder} is not a folder") from None
    except PermissionError:
        make = f"sudo install -d -o {user_name()} {shlex.quote(str(folder.absolute()))}"
        raise ConfigError(
            f"{folder}: this user may not write it",
            hint=f"Make it for the user that will run drawcli: {make}; or choose another folder.",
        ) from None
    return [str(folder / name) for name in made], [str(folder / name) for name in kept]


def monitoring_texts() -> dict[str, str]:
    """Return the files for Prometheus and Grafana by name."""
    data = resources.files("drawcli") / "data" / "monitoring"
    return {name: (data / name).read_text(encoding="utf-8") for name in MONITORING_FILES}
