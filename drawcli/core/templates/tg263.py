"""The standard names of structures: AAPM TG-263, Standardizing Nomenclatures in Radiation Oncology.

The list is the nomenclature worksheet of 2017-08-15. Names derived as in the report are standard
too: PRV margins (SpinalCord_PRV05), partial structures (Lung~), and targets.
"""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache, lru_cache
from importlib import resources
from typing import Final

LONGEST_TG263: Final = 16  # characters that every planning system of 2017 could show
EDITION: Final = "TG-263, worksheet of 2017-08-15"
_MARGIN: Final = re.compile(r"_PRV(\d\d)?$")
_TARGET: Final = re.compile(r"(GTV|CTV|ITV|IGTV|ICTV|PTV)[A-Za-z0-9!_+~^-]*")


@cache
def primary_names() -> tuple[str, ...]:
    """Return the primary names, in alphabetical order."""
    text = (resources.files("drawcli") / "data" / "tg263.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if not line.startswith("#"))


def is_standard(name: str) -> bool:
    """Return whether TG-263 has or derives such a name.

    >>> [is_standard(name) for name in ("Femur_Head_L", "SpinalCord_PRV05", "Lung_L~", "PTV_High")]
    [True, True, True, True]
    >>> is_standard("FemoralHead_L")
    False
    """
    whole = name.partition("^")[0].removesuffix("~")
    base = _MARGIN.sub("", whole)
    digits = re.sub(r"\d", "x", whole)
    return bool({whole, base, digits} & _known()) or _TARGET.fullmatch(name) is not None


@lru_cache(maxsize=4096)
def nearest_name(name: str) -> str | None:
    """Return the primary name most similar to a name, or None.

    >>> nearest_name("BrainStem"), nearest_name("Parotid Left"), nearest_name("Xyzzy")
    ('Brainstem', 'Parotid_L', None)
    """
    plain = plain_name(name)
    by_plain = _by_plain()
    if plain in by_plain:
        return by_plain[plain]
    near = get_close_matches(plain, by_plain, n=1, cutoff=0.75)
    return by_plain[near[0]] if near else None


def name_warnings(names: tuple[str, ...]) -> Iterator[str]:
    """Yield a warning for each name that TG-263 does not allow, with the nearest standard name."""
    for name in names:
        if len(name) > LONGEST_TG263:
            yield f"{name} has {len(name)} characters; some planning systems show {LONGEST_TG263}"
        if not is_standard(name):
            near = nearest_name(name)
            instead = f"; nearest {near}" if near else ""
            yield f"{name} is not a TG-263 name{instead}"


@cache
def _known() -> frozenset[str]:
    return frozenset(primary_names())


@cache
def _by_plain() -> dict[str, str]:
    return {plain_name(name): name for name in primary_names()}


def plain_name(name: str) -> str:
    """Return a name in a normal form: lower case, separated words, side as a last letter."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).replace("_", " ").replace("-", " ").split()
    sides = {"left": "l", "lt": "l", "right": "r", "rt": "r"}
    folded = [sides.get(word.casefold(), word.casefold()) for word in words]
    side = [word for word in folded if word in ("l", "r")]
    return " ".join([*(word for word in folded if word not in ("l", "r")), *side])
