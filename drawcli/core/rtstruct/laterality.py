"""Left and right in the names of structures.

Names are split at non-letters and where the case changes, so a word for a side is recognised
anywhere in a name: `Femoral Head Lt`, `LungLeft`, `Femur_L_PRV05`. Two names are a pair if they
differ only in one word, which means left in one name and right in the other. A single name with a
word that means a side in some language has therefore no effect.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

_LEFT: Final = frozenset(
    """
    l lt lft left li lks linke linker linkes links sn sx sin sinister sinistra sinistro izq izda
    izquierda izquierdo gauche gche esq esquerda esquerdo venstre vänster vä vas vasen lewa lewe
    lewy levá levé levý lijeva lijevi lev lev. bal sol balra лев левая левое левый лів ліва ліве
    лівий αριστερά αριστερός αριστερό 左 左侧 左側 左边 왼 왼쪽 좌 좌측
    """.split()
)
_RIGHT: Final = frozenset(
    """
    r rt rgt rht right re rts rechte rechter rechtes rechts dx dex dext dexter destra destro der
    dcha derecha derecho droit droite dte dir direita direito høyre højre höger hö oik oikea prawa
    prawe prawy pravá pravé pravý desna desni prav jobb sağ прав правая правое правый права праве
    правий δεξ δεξιά δεξιός δεξιό 右 右侧 右側 右边 오른 오른쪽 우 우측
    """.split()
)
_AT_ENDS: Final = (  # also as the beginning or the end of a word
    ("left", "right"),
    ("links", "rechts"),
    ("lt", "rt"),
    ("l", "r"),
    ("左", "右"),
)
_WORD: Final = re.compile(r"[^\W\d_]+|\d+")
_LEAST: Final = 3  # other letters of a word with a side, so that `cleft` and `bright` have none
_SHORT: Final = 2  # letters: longest word in which the names of an unclear pair may differ

Rest = tuple[str, ...]  # the words of a name, with * in place of the side


def sides_of(name: str) -> Iterator[tuple[str, Rest]]:
    """Yield each side that a name may mean, "left" or "right", and the words without it.

    >>> list(sides_of("Head Lt")), list(sides_of("Neck_R_PRV05"))
    ([('left', ('head', '*'))], [('right', ('neck', '*', 'prv', '05'))])
    >>> list(sides_of("Bone")), list(sides_of("右肺")), list(sides_of("eyelt"))
    ([], [('right', ('*肺',))], [('left', ('eye*',))])
    """
    words = _words(name)
    for place, word in enumerate(words):
        for side, without in _sides_in(word):
            yield side, (*words[:place], without, *words[place + 1 :])


def other_side(names: Iterable[str]) -> dict[str, str]:
    """Return left name -> right name for each pair.

    >>> other_side(["Lung-Left", "LUNG_RIGHT", "Heart", "Kidney_L"])
    {'Lung-Left': 'LUNG_RIGHT'}
    """
    said = [(name, side, rest) for name in names for side, rest in sides_of(name)]
    rights = {rest: name for name, side, rest in said if side == "right"}
    return {name: rights[rest] for name, side, rest in said if side == "left" and rest in rights}


def unclear_pairs(names: Iterable[str]) -> list[tuple[str, str]]:
    """Return pairs of names that may be left and right, but do not say which is which.

    They differ in one short word that is not a known word for a side.

    >>> unclear_pairs(["Poumon_G", "Poumon_D", "Kidney_L", "Kidney_R", "Level_1", "Level_2"])
    [('Poumon_G', 'Poumon_D')]
    """
    names = list(names)
    found, seen, pairs = [], dict[Rest, tuple[str, str]](), other_side(names)
    paired = {*pairs, *pairs.values()}
    for name in names:
        words = _words(name)
        if name in paired or len(words) == 1:
            continue
        for place, word in enumerate(words):
            if word in _LEFT | _RIGHT or not word.isalpha() or len(word) > _SHORT:
                continue
            frame = (*words[:place], "?", *words[place + 1 :])
            other, before = seen.setdefault(frame, (name, word))
            if before != word:
                found.append((other, name))
    return found


def _words(name: str) -> Rest:
    return tuple(part.casefold() for word in _WORD.findall(name) for part in _parts(word))


def _parts(word: str) -> Iterator[str]:
    """Yield the parts of a word, split where the case changes and around letters without case.

    >>> [list(_parts(word)) for word in ("FemurHeadL", "LLung", "Lèvre", "Lung左")]
    [['Femur', 'Head', 'L'], ['L', 'Lung'], ['Lèvre'], ['Lung', '左']]
    """
    start = 0
    for n in range(1, len(word)):
        before, here, behind = word[n - 1], word[n], word[n + 1 : n + 2]
        begins = here.isupper() and (not before.isupper() or behind.islower())
        if begins or _has_case(before) != _has_case(here):
            yield word[start:n]
            start = n
    yield word[start:]


def _has_case(letter: str) -> bool:
    return letter.lower() != letter.upper()


def _sides_in(word: str) -> Iterator[tuple[str, str]]:
    """Yield each side that a word may mean, and the word with * in place of the side."""
    if word in _LEFT or word in _RIGHT:
        yield ("left" if word in _LEFT else "right"), "*"
        return
    for both in _AT_ENDS:
        for side, part in zip(("left", "right"), both, strict=True):
            least = _LEAST if part.isascii() else 1
            if len(word) >= len(part) + least:
                if word.startswith(part):
                    yield side, f"*{word.removeprefix(part)}"
                if word.endswith(part):
                    yield side, f"{word.removesuffix(part)}*"
