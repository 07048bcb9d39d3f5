"""Conditions that no header can meet, or that say something else than their author means.

They are valid, so a run uses them; `rules check` warns of them.

References
----------
PS3.5 6.2 (characters and lengths of a VR), PS3.3 C.7.3.1.1.2 (Patient Position).
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from operator import itemgetter
from typing import Final

from drawcli.core.dicom.elements import dictionary_vr
from drawcli.core.rules.conditions import Compare, Condition, Either, Every, Negation
from drawcli.core.rules.operators import PARTIAL, ValueKind, holds_one_value, kind_of
from drawcli.core.rules.synonyms import operator_meant
from drawcli.core.rules.values import number_of
from drawcli.core.rules.withheld import is_withheld
from drawcli.system.records import suggest

# The values that elements can have in an image that drawcli sends.
_TERMS: Final = {
    "Modality": "CT MR PT",
    "PatientSex": "F M O",
    "PatientPosition": "HFS HFP HFDR HFDL FFS FFP FFDR FFDL LFP LFS RFP RFS AFDR AFDL PFDR PFDL",
    "Laterality": "L R",
    "MRAcquisitionType": "2D 3D",
    "BurnedInAnnotation": "NO YES",
    "LossyImageCompression": "00 01",
}
_LONGEST: Final = {"CS": 16, "SH": 16, "AE": 16, "LO": 64, "UI": 64}  # characters, PS3.5 6.2
_CHARACTERS: Final = {
    "CS": (re.compile(r"[A-Z0-9 _]*"), "letters, digits, blanks and _"),
    "UI": (re.compile(r"[0-9.]*"), "digits and dots"),
}
_WHOLE: Final = frozenset({"IS", "SL", "SS", "SV", "UL", "US", "UV"})
_EQUAL: Final = frozenset({"equals", "not_equals", "in", "not_in"})
_LEAST: Final = frozenset({"above", "at_least"})
_MOST: Final = frozenset({"below", "at_most"})
_ANY: Final = re.compile(r".*", re.DOTALL)
_SYMBOL: Final = re.compile(r"([<>=!~≤≥≠]+)\s*(\S.*)")
_Limit = tuple[float, Compare]
_first: Final = itemgetter(0)
_MOST_WORDS: Final = 6  # of an operator
_OF_TEXT: Final = frozenset(
    """
    contains contain containing starts_with startswith starts begins_with beginswith begins
    ends_with endswith matches matches_regex regex regexp equals
    """.split()
)


def doubts(when: Condition) -> Iterator[str]:
    """Yield what is wrong with the conditions of a rule."""
    for compare in _compares(when):
        yield from _of_compare(compare)
    yield from _empty_ranges(when)


def _compares(when: Condition) -> Iterator[Compare]:
    if isinstance(when, Compare):
        yield when
    elif isinstance(when, Negation):
        yield from _compares(when.part)
    else:
        for part in when.parts:
            yield from _compares(part)


def _of_compare(compare: Compare) -> Iterator[str]:
    many = compare.wanted if isinstance(compare.wanted, tuple) else (compare.wanted,)
    if compare.operator == "between":
        low, high = many[0], many[-1]
        if _is_above(low, high):
            yield f"{compare.keyword} is never between {low} and {high}: the lower one comes first"
        return
    if compare.values == "count" or compare.operator not in _EQUAL | PARTIAL:
        return
    for wanted in many:
        why = _impossible(compare, str(wanted))
        if why and is_withheld(compare.keyword):
            yield f"{compare.keyword} never has the value that it is compared with"
        elif why:
            yield f"{compare.keyword} {why}"


def _impossible(compare: Compare, wanted: str) -> str:
    """Return why an element never equals or contains a value; "" if it may."""
    vr, is_whole_value = _vr(compare.keyword), compare.operator in _EQUAL
    keyword = compare.keyword.rpartition(".")[2]
    if kind_of(compare.keyword) is ValueKind.NUMBER:
        number = number_of(wanted)
        is_part = number is not None and not number.is_integer()
        return f"is a whole number, never {wanted}" if vr in _WHOLE and is_part else ""
    if written := instead_of(wanted, is_text=True):
        return f"is compared with the text '{wanted}'; write {keyword}: {written}"
    if is_whole_value and (why := _no_term(keyword, wanted) or _no_whole_value(keyword, wanted)):
        return why
    return _foreign_character(vr, wanted) or _too_long(vr, wanted)


def instead_of(wanted: object, *, is_text: bool = False) -> str:
    """Return the condition that a text such as "contains head" means; "" if it is a plain text.

    A text may begin with many words that mean an operator, but hardly with those of `_OF_TEXT`.

    >>> instead_of("contains head", is_text=True), instead_of(">= 3"), instead_of("less than 3")
    ('{contains: head}', '{at_least: 3}', '{below: 3}')
    >>> instead_of("above knee", is_text=True), instead_of("in [HEAD, NECK]", is_text=True)
    ('', '{in: [HEAD, NECK]}')
    """
    if found := _SYMBOL.fullmatch(str(wanted).strip()):
        return f"{{{operator_meant(found[1])}: {found[2]}}}" if operator_meant(found[1]) else ""
    words = str(wanted).split()
    for count in range(min(len(words) - 1, _MOST_WORDS), 0, -1):
        meant, value = operator_meant(" ".join(words[:count])), " ".join(words[count:])
        is_list = meant in ("in", "not_in") and value.startswith("[")
        if meant and (is_list or not is_text or words[0].casefold() in _OF_TEXT):
            return f"{{{meant}: {value}}}"
    return ""


def _no_term(keyword: str, wanted: str) -> str:
    """Return why a value is none of the few values of an element."""
    terms = _TERMS.get(keyword, "").split()
    if not terms or wanted.strip().upper() in terms:
        return ""
    return f"is never '{wanted}': it is {', '.join(terms)}{_near(wanted, terms)}"


def _no_whole_value(keyword: str, wanted: str) -> str:
    if "\\" in wanted:
        return f"is never '{wanted}': '\\' separates its values, and each is compared by itself"
    if "*" in wanted:
        needle = wanted.replace("*", " ").strip()
        return f"is compared with '*' itself; write {keyword}: {{contains: {needle}}}"
    if wanted != wanted.strip():
        return f"is never '{wanted}': blanks at its ends do not count"
    return ""


def _foreign_character(vr: str, wanted: str) -> str:
    characters, words = _CHARACTERS.get(vr, (_ANY, ""))
    if characters.fullmatch(wanted.upper()):
        return ""
    several = f"; for several values write {{in: [{wanted}]}}" if "," in wanted else ""
    return f"is never '{wanted}': it has only {words}{several}"


def _too_long(vr: str, wanted: str) -> str:
    if len(wanted.strip()) <= _LONGEST.get(vr, len(wanted)):
        return ""
    return f"is never so long: it has at most {_LONGEST[vr]} characters"


def _near(wanted: str, terms: list[str]) -> str:
    """Return the term that a text contains or resembles, as a suggestion."""
    words = re.findall(r"[A-Z0-9]+", wanted.upper())
    within = next((term for term in terms if term in words), "")
    return f"; did you mean '{within}'?" if within else suggest(wanted, terms)


def _vr(path: str) -> str:
    from drawcli.core.dicom.dictionary import keyword_dict

    keyword = path.rpartition(".")[2]
    return dictionary_vr(keyword_dict[keyword]) if keyword in keyword_dict else ""


def _empty_ranges(when: Condition) -> Iterator[str]:
    """Yield single-valued elements that must be above one number and below a smaller one."""
    if isinstance(when, Compare | Negation):
        return
    if isinstance(when, Every):
        for keyword, (lows, highs) in _limits(when).items():
            if lows and highs:
                (low, least), (high, most) = max(lows, key=_first), min(highs, key=_first)
                if low > high:
                    text = f"{keyword} is never {_words(least)} and {_words(most)}"
                    yield f"{text}: the two exclude each other"
    for part in when.parts if isinstance(when, Either) else ():
        yield from _empty_ranges(part)


def _limits(when: Every) -> dict[str, tuple[list[_Limit], list[_Limit]]]:
    """Return lower and upper limits by element; dates and ages are left out."""
    limits = defaultdict[str, tuple[list[_Limit], list[_Limit]]](lambda: ([], []))
    for one in _joined(when):
        if one.operator in _LEAST | _MOST and holds_one_value(one.keyword):
            number = number_of(str(one.wanted))
            if number is not None:
                limits[one.keyword][one.operator in _MOST].append((number, one))
    return limits


def _joined(when: Every) -> Iterator[Compare]:
    for part in when.parts:
        if isinstance(part, Compare):
            yield part
        elif isinstance(part, Every):
            yield from _joined(part)


def _words(compare: Compare) -> str:
    return f"{compare.operator.replace('_', ' ')} {compare.wanted}"


def _is_above(low: object, high: object) -> bool:
    """Return whether two numbers are in the wrong order; dates and ages are not compared."""
    one, other = number_of(str(low)), number_of(str(high))
    return one is not None and other is not None and one > other
