"""Left and right in the names of structures.

Names are split at everything that is not a letter and where the case changes, so the word for a
side is found at either end and inside: `Femoral Head Lt`, `LungLeft`, `Femur_L_PRV05`.
"""

import re
from collections.abc import Iterable
from typing import Final

_LEFT: Final = frozenset("l lt lft left li lks links sin sinister sinistra izq gauche".split())
_RIGHT: Final = frozenset("r rt rgt right re rts rechts dex dexter destra der droite".split())
_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[^\W\d_A-Za-z]+|\d+")
_SHORT: Final = 2  # letters: names that differ in one word of at most so many may be a pair


def side_of(name: str) -> tuple[str, tuple[str, ...]]:
    """Return the side that a name says, "left", "right" or "", and the words without it.

    >>> side_of("Femoral Head Lt"), side_of("Femur_R_PRV05")
    (('left', ('femoral', 'head', '*')), ('right', ('femur', '*', 'prv', '05')))
    >>> side_of("Bladder"), side_of("Lungs_L+R")
    (('', ('bladder',)), ('', ('lungs', 'l', 'r')))
    """
    words = [word.casefold() for word in _WORD.findall(name)]
    sides = [n for n, word in enumerate(words) if word in _LEFT or word in _RIGHT]
    if len(sides) != 1:
        return "", tuple(words)
    side = "left" if words[sides[0]] in _LEFT else "right"
    words[sides[0]] = "*"
    return side, tuple(words)


def other_side(names: Iterable[str]) -> dict[str, str]:
    """Return the right structure of each left one, by name; names without a partner are left out.

    >>> other_side(["Lung-Left", "LUNG_RIGHT", "Heart", "Kidney_L"])
    {'Lung-Left': 'LUNG_RIGHT'}
    """
    sides = {name: side_of(name) for name in names}
    rights = {rest: name for name, (side, rest) in sides.items() if side == "right"}
    return {
        name: rights[rest]
        for name, (side, rest) in sides.items()
        if side == "left" and rest in rights
    }


def unclear_pairs(names: Iterable[str]) -> list[tuple[str, str]]:
    """Return names that look like a pair of sides, which cannot be told apart.

    They differ in one short word, and that word is not known as a side.

    >>> unclear_pairs(["Poumon_G", "Poumon_D", "Kidney_L", "Kidney_R", "Level_1", "Level_2"])
    [('Poumon_G', 'Poumon_D')]
    """
    found, seen = [], dict[tuple[str, ...], tuple[str, str]]()
    for name in names:
        words = side_of(name)[1]
        for place, word in enumerate(words):
            if "*" in words or not word.isalpha() or len(word) > _SHORT or len(words) == 1:
                continue
            frame = (*words[:place], "?", *words[place + 1 :])
            other, before = seen.setdefault(frame, (name, word))
            if before != word:
                found.append((other, name))
    return found
