"""Inputs in JSON with one value removed, moved, or replaced by one of another kind."""

import json
from copy import deepcopy
from math import inf, nan
from random import Random
from typing import Any, Final

ODD: Final[tuple[Any, ...]] = (
    *(None, True, 0, -1, 0.5, 2**70, inf, nan, "", "x", "0", "1e5", "2026-02-30", "9" * 400),
    *([], {}, [None], [[]], {"x": 1}, "\x1b[2J", "\ud800", "../x", "\u202e"),
)


def altered(data: bytes, chance: Random) -> bytes:
    """Return a JSON text with a value or two changed; what is no JSON stays."""
    try:
        whole = json.loads(data)
    except (ValueError, RecursionError):
        return data
    for _ in range(chance.choice((1, 1, 2))):
        places = [*_places([whole], [])]
        if places[1:]:
            _change(*chance.choice(places[1:]), places, chance)
    return json.dumps(whole, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")


def _places(container: Any, found: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """Return each value as its list or object and its index or key."""
    for key in [*container] if isinstance(container, dict) else range(len(container)):
        found.append((container, key))
        if isinstance(container[key], dict | list):
            _places(container[key], found)
    return found


def _change(container: Any, key: Any, places: list[tuple[Any, Any]], chance: Random) -> None:
    kind = chance.randrange(5)
    other, name = chance.choice(places)
    if kind == 0:
        del container[key]
    elif kind == 1:
        container[key] = deepcopy(other[name])  # no value may contain itself
    elif kind == 2 and isinstance(container, dict) and isinstance(other, dict):
        container[name] = container.pop(key)
    elif kind == 3 and isinstance(container, list):
        container.insert(key, deepcopy(container[key]))
    else:
        container[key] = deepcopy(chance.choice(ODD))
