"""Which ROI of structure set B belongs to which ROI of A. Nothing is guessed.

Names pair if they are equal, then ignoring case, then as the same TG-263 name, then by the site's
table of aliases. What is left pairs if its contours are the same under another name, or if several
ROIs of B together are one ROI of A; very many such ROIs are not compared.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from drawcli.core.qa.overlap import common_mm3, is_untouched
from drawcli.core.qa.structures import Solid
from drawcli.core.templates.tg263 import plain_name

MOST_COMPARED: Final = 10_000  # pairs of ROIs whose names do not pair: 100 of each file
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
    if len(a) * max(len(a), len(b)) <= MOST_COMPARED:
        pairs += _by_contours(a, b)
        pairs += _by_parts(a, b)
    pairs += [Pair(one, ()) for one in a]
    order = {id(one): place for place, one in enumerate(first)}
    pairs.sort(key=lambda pair: order.get(id(pair.a), len(order)))
    return [*pairs, *(Pair(None, (one,)) for one in b)]


def _by_key(a: list[Solid], b: list[Solid], by: str, key: Callable[[str], str]) -> list[Pair]:
    """Take the ROIs whose names have the same key from both lists; no name is no key."""
    own, others = _grouped(a, key), _grouped(b, key)
    names = [name for name in own if name and name in others]
    pairs = []
    for name in names:
        both = tuple(others[name])
        ambiguous = len(own[name]) > 1 or len(both) > 1
        pairs += [Pair(one, both, by, ambiguous=ambiguous) for one in own[name]]
    _remove(a, [one for name in names for one in own[name]])
    _remove(b, [one for name in names for one in others[name]])
    return pairs


def _grouped(solids: Sequence[Solid], key: Callable[[str], str]) -> dict[str, list[Solid]]:
    groups = defaultdict[str, list[Solid]](list)
    for solid in solids:
        groups[key(solid.name)].append(solid)
    return groups


def _by_contours(a: list[Solid], b: list[Solid]) -> list[Pair]:
    """Take the ROIs with the same contours under different names; neither file has them twice."""
    pairs = []
    for one in [one for one in a if one.slabs]:
        same, own = _same(one, b), _same(one, a)
        if len(same) == len(own) == 1:
            pairs.append(Pair(one, (same[0],), "contours"))
            _remove(a, own)
            _remove(b, same)
    return pairs


def _same(one: Solid, others: Sequence[Solid]) -> list[Solid]:
    """Return the solids with the contours of one."""
    return [other for other in others if other.slabs and is_untouched(one, other)]


def _by_parts(a: list[Solid], b: list[Solid]) -> list[Pair]:
    """Take the ROIs of A that several ROIs of B make up together, without overlap."""
    volumes = {id(one): one.volume_mm3 for one in (*a, *b)}
    pairs = []
    for one in [one for one in a if one.slabs]:
        whole = volumes[id(one)]
        parts = [
            other
            for other in b
            if 0 < (part := volumes[id(other)]) < whole and common_mm3(one, other) >= _PART * part
        ]
        total = sum(volumes[id(other)] for other in parts)
        if len(parts) > 1 and _PART <= total / whole <= 1 / _PART:
            pairs.append(Pair(one, tuple(parts), "parts"))
            _remove(a, [one])
            _remove(b, parts)
    return pairs


def _remove(solids: list[Solid], taken: Sequence[Solid]) -> None:
    gone = {id(one) for one in taken}
    solids[:] = [one for one in solids if id(one) not in gone]
