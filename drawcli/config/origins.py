"""Where the value of each setting comes from: the environment, the file, or the default."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from drawcli.config.load import PREFIX, load_settings, settings_in
from drawcli.system.records import Record
from drawcli.system.yaml_read import Document, read_yaml


class Source(StrEnum):
    """The layer that gives a value."""

    ENVIRONMENT = "environment"
    FILE = "file"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class EffectiveSetting:
    """A setting as drawcli uses it."""

    key: str  # "server.url"
    value: Any
    source: Source
    place: str = ""  # the variable, or file and line; "" for a default


def effective_settings(path: Path, env: Mapping[str, str]) -> list[EffectiveSetting]:
    """Return every setting of a site with its origin.

    Raises
    ------
    ConfigError
        As `load_settings`.
    """
    settings, document = load_settings(path, env), read_yaml(path)
    return [
        EffectiveSetting(".".join(at), value, *_origin(at, document, env))
        for at, value in _values(settings)
    ]


def _values(settings: Record) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the location of each setting and its value."""
    for name in settings.fields:
        value = getattr(settings, name)
        if isinstance(value, Record):
            yield from (((name, key), getattr(value, key)) for key in value.fields)
        else:
            yield (name,), value


def _origin(at: tuple[str, ...], document: Document, env: Mapping[str, str]) -> tuple[Source, str]:
    if _has(settings_in(env), at):
        return Source.ENVIRONMENT, _variable(at, env)
    if _has(document.data, at):
        return Source.FILE, document.place(at).rpartition(":")[0]
    return Source.DEFAULT, ""


def _has(values: Any, at: tuple[str, ...]) -> bool:
    """Return whether nested mappings have a value at a location."""
    for name in at:
        if not isinstance(values, dict) or name not in values:
            return False
        values = values[name]
    return True


def _variable(at: tuple[str, ...], env: Mapping[str, str]) -> str:
    """Return the variable that gives a setting: its own, one of its keys', or its section's."""
    own, section = (PREFIX + "__".join(names).upper() for names in (at, at[:1]))
    given = sorted(env, key=lambda name: name.upper() != own)
    return next(
        name
        for name in given
        if name.upper() in (own, section) or name.upper().startswith(f"{own}__")
    )
