"""Reads an export of Django's `dumpdata`: a JSON list of records, one record at a time."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from drawcli.errors import ConfigError

_LARGEST: Final = 200_000_000  # bytes
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_EXPORT_HINT: Final = (
    "Run 'python manage.py dumpdata ... -o FILE.json' on the former client to export the records."
)


def read_entries(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of an export; only one of them is in memory, beside the text.

    Raises
    ------
    ConfigError
        If the file cannot be read, is too large, or is no export of a DRAW client.
    """
    is_known = False
    try:
        if path.stat().st_size > _LARGEST:
            raise ConfigError(f"{path}: larger than {_LARGEST} bytes", hint=_EXPORT_HINT)
        for entry in _list_items(path.read_text(encoding="utf-8-sig")):
            if not isinstance(entry, dict):
                raise ConfigError(f"{path}: not a list of records", hint=_EXPORT_HINT)
            is_known = is_known or "model" in entry
            yield entry
    except OSError as err:
        raise ConfigError(f"{path}: {err.strerror}") from None
    except ValueError:
        raise ConfigError(f"{path}: not JSON in UTF-8", hint=_EXPORT_HINT) from None
    except RecursionError:
        raise ConfigError(f"{path}: nested too deeply") from None
    if not is_known:
        raise ConfigError(f"{path}: contains no record of a DRAW client", hint=_EXPORT_HINT)


def _list_items(text: str) -> Iterator[Any]:
    """Yield the values of a JSON list; None if it is another JSON value.

    Raises
    ------
    ValueError
        If it is not JSON.
    """
    decode, at = json.JSONDecoder().raw_decode, _after_space(text, 0)
    if text[at : at + 1] != "[":
        json.loads(text)
        yield None
        return
    at = _after_space(text, at + 1)
    is_empty = text[at : at + 1] == "]"
    while not is_empty:
        value, at = decode(text, at)
        yield value
        at = _after_space(text, at)
        if text[at : at + 1] != ",":
            break
        at = _after_space(text, at + 1)
    if text[at : at + 1] != "]" or _after_space(text, at + 1) < len(text):
        raise ValueError


def _after_space(text: str, at: int) -> int:
    """Return where the next character of JSON is."""
    found = _SPACE.match(text, at)
    return at if found is None else found.end()
