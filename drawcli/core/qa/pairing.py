"""Which ROI of structure set B belongs to which ROI of A. Nothing is guessed.

Names pair if they are equal, then ignoring case, then as the same TG-263 name, then by the site's
table of aliases. What is left pairs if its contours are the same under another name, or if several
ROIs of B together are one ROI of A.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from drawcli.core.qa.overlap import common_mm3, is_untouched
from drawcli.core.qa.structures import Solid
from drawcli.core.templates.tg263 import plain_name

_PART: Final = 0.995  # share of a part's volume that lies in the structure it was split from


@dataclass(frozen=True, slots=True)
class Pair:
    """An ROI of A, the ROIs of B that belong to it, and why."""

    a: Solid | None
    b: tuple[Solid, ...]
    by: str = ""  # name, case, TG-263, alias, contours, parts
    ambiguous: bool = False  # several ROIs of one file claim the name


def pair_rois(
    first: Sequence[Solid], second: Sequence[Solid], aliases: Mapping[str, str] | None = None
) -> list[Pair]:
    """Return all ROIs of both files, each once: pairs in the order of A, then the rest of B.

    Parameters
    ----------
    first, second
        The structures of A and of B.
    aliases
        Name in B -> name in A, both as written.
    """
    a, b, pairs = list(first), list(second), list[Pair]()
    table = {other.casefold(): own.casefold() for other, own in (aliases or {}).items()}
    keys: dict[str, Callable[[str], str]] = {
        "name": str,
        "case": str.casefold,
        "TG-263": plain_name,
        "alias": lambda name: table.get(name.casefold(), name.casefold()),
    }
    for by, key in keys.items():
        pairs += _by_key(a, b, by, key)
    pairs += _by_contours(a, b)
    pairs += _by_parts(a, b)
    pairs += [Pair(one, ()) for one in a]
    order = {id(one): place for place, one in enumerate(first)}
    pairs.sort(key=lambda pair: order.get(id(pair.a), len(order)))
    return [*pairs, *(Pair(None, (one,)) for one in b)]


def _by_key(a: list[Solid], b: list[Solid], by: str, key: Callable[[str], str]) -> list[Pair]:
    """Take the ROIs whose names have the same key from both lists."""
    pairs = []
    for name in dict.fromkeys(key(one.name) for one in a):
        own = [one for one in a if key(one.name) == name]
        others = [one for one in b if key(one.name) == name]
        if not others:
            continue
        if len(own) == len(others) == 1:
            pairs.append(Pair(own[0], (others[0],), by))
        else:
            pairs += [Pair(one, tuple(others), by, ambiguous=True) for one in own]
        _remove(a, own)
        _remove(b, others)
    return pairs


def _by_contours(a: list[Solid], b: list[Solid]) -> list[Pair]:
    """Take the ROIs with the same contours under different names."""
    pairs = []
    for one in [one for one in a if one.slabs]:
        same = [other for other in b if other.slabs and is_untouched(one, other)]
        if len(same) == 1:
            pairs.append(Pair(one, (same[0],), "contours"))
            _remove(a, [one])
            _remove(b, same)
    return pairs


def _by_parts(a: list[Solid], b: list[Solid]) -> list[Pair]:
    """Take the ROIs of A that several ROIs of B make up together, without overlap."""
    pairs = []
    for one in [one for one in a if one.slabs]:
        parts = [
            other
            for other in b
            if other.slabs and common_mm3(one, other) >= _PART * other.volume_mm3
        ]
        total = sum(other.volume_mm3 for other in parts)
        if len(parts) > 1 and _PART <= total / one.volume_mm3 <= 1 / _PART:
            pairs.append(Pair(one, tuple(parts), "parts"))
            _remove(a, [one])
            _remove(b, parts)
    return pairs


def _remove(solids: list[Solid], taken: Sequence[Solid]) -> None:
    gone = {id(one) for one in taken}
    solids[:] = [one for one in solids if id(one) not in gone]
