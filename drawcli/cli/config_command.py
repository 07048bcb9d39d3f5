"""config show, check: the settings in force, and where each comes from."""

import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from drawcli.cli import render
from drawcli.cli.door import Door, group
from drawcli.cli.render import Result

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from drawcli.config.origins import EffectiveSetting

_NOT_NAMED = "the site"  # keys outside of sections


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    group(app, "config", {"show": show, "check": check}, what="Show and check the settings.")


def show(
    door: Door,
    changed: Annotated[
        bool, typer.Option("--changed", help="Only what the file or the environment sets.")
    ] = False,
) -> Result:
    """Show the settings in force, and where each comes from. Secrets are not shown."""
    path, settings = _read(door)
    rows = [setting for setting in settings if setting.place or not changed]
    data = {"file": str(path), "found_by": _found_by(door), "settings": [*map(_plain, rows)]}

    def tell(out: "Console") -> None:
        out.print(f"{path}  ({_found_by(door)})", soft_wrap=True)
        render.columns(("setting", "value", "from"), _table(rows))(out)

    return Result(data=data, show=tell)


def check(door: Door) -> Result:
    """Check the settings: report all errors, with file, line and column."""
    path, settings = _read(door)
    counts = Counter(setting.source for setting in settings)
    text = ", ".join(f"{count} {source}" for source, count in sorted(counts.items()))
    rows = [
        ("settings", f"{path}: no errors"),
        ("values from", text),
        ("also", "drawcli rules check, drawcli templates check, drawcli doctor"),
    ]
    return Result(data={"file": str(path), "from": dict(counts)}, show=render.lines(rows))


def _read(door: Door) -> "tuple[Path, list[EffectiveSetting]]":
    from drawcli.config.origins import effective_settings

    path = door.settings_file().absolute()
    return path, effective_settings(path, os.environ)


def _found_by(door: Door) -> str:
    if door.common.config is not None:
        return "--config"
    if os.environ.get("DRAWCLI_CONFIG"):
        return "DRAWCLI_CONFIG"
    return "in this folder" if Path("drawcli.yaml").exists() else "in your configuration folder"


def _plain(setting: "EffectiveSetting") -> dict[str, Any]:
    from drawcli.operations.setting_texts import SECRET, setting_plain

    key = setting.key.rpartition(".")[2]
    return {
        "key": setting.key,
        "value": setting_plain(key, setting.value),
        "is_secret": key in SECRET,
        "source": str(setting.source),
        "place": setting.place or None,
    }


def _table(rows: "list[EffectiveSetting]") -> "Iterator[tuple[str, str, str]]":
    """Yield name, value and origin of each setting, below the names of their sections."""
    from drawcli.config.origins import Source
    from drawcli.operations.setting_texts import setting_text

    section = _NOT_NAMED
    for setting in rows:
        group, _, name = setting.key.rpartition(".")
        if group != section and group:
            yield group, "", ""
        section = group
        line = f"line {setting.place.rpartition(':')[2]}"
        origin = {Source.FILE: line, Source.DEFAULT: "default"}.get(setting.source, setting.place)
        yield f"  {name}" if group else name, setting_text(name, setting.value), origin
