"""Translation of tests of the former DRAW clients into conditions of rules.yaml.

The former clients compared pydicom's text of a value in the first image of a series. A missing
element matched nothing; an empty one differed from every text. A translated condition matches the
same headers, or has a remark on the difference; other tests are refused.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from drawcli.core.dicom.elements import dictionary_vr
from drawcli.core.rules.conditions import Compare
from drawcli.core.rules.former_test import FormerTest, UntranslatableError, element_of
from drawcli.core.rules.operators import ValueKind, holds_one_value, kind_of
from drawcli.core.rules.privacy import names_a_patient
from drawcli.core.rules.withheld import identifies_patient, is_withheld

When = dict[str, Any]  # a condition as written in rules.yaml

_ORDER: Final = {
    "GREATER_THAN": "above",
    "LESS_THAN": "below",
    "GREATER_THAN_OR_EQUAL_TO": "at_least",
    "LESS_THAN_OR_EQUAL_TO": "at_most",
}
# operator of the former client -> ours, case-sensitive, negated
_TEXT: Final = {
    "EQUALS": ("equals", True, False),
    "NOT_EQUALS": ("equals", True, True),
    "CASE_SENSITIVE_STRING_EXACT_MATCH": ("equals", True, False),
    "CASE_INSENSITIVE_STRING_EXACT_MATCH": ("equals", False, False),
    "CASE_SENSITIVE_STRING_CONTAINS": ("contains", True, False),
    "CASE_INSENSITIVE_STRING_CONTAINS": ("contains", False, False),
    "CASE_SENSITIVE_STRING_DOES_NOT_CONTAIN": ("contains", True, True),
    "CASE_INSENSITIVE_STRING_DOES_NOT_CONTAIN": ("contains", False, True),
}
_LIST_SIGNS: Final = frozenset("[],'\"\\")  # used by pydicom to show several values
_DAY: Final = re.compile(r"[0-9]{8}")


_UNDER_GIT: Final = "the value for {} may identify a patient, and rules are kept in git"


@dataclass(frozen=True, slots=True)
class TranslatedTest:
    """A condition, and a remark on how it differs from the former test."""

    when: When
    remark: str = ""


def translate(asked: FormerTest) -> TranslatedTest:
    """Return a test as a condition of rules.yaml.

    Raises
    ------
    UntranslatableError
        If no condition matches the same series.

    Examples
    --------
    >>> equal = "CASE_INSENSITIVE_STRING_EXACT_MATCH"
    >>> translate(FormerTest("Modality", "(0008,0060)", equal, "ct")).when
    {'Modality': 'ct'}
    >>> translate(FormerTest("Slice Thickness", "", "LESS_THAN", "3.5")).when
    {'SliceThickness': {'below': 3.5}}
    """
    path = element_of(asked)
    if asked.operator in _ORDER:
        when = _condition(path, _ORDER[asked.operator], _bound(path, asked.wanted))
        return TranslatedTest(when, _UNDER_GIT.format(path) if names_a_patient(path) else "")
    if asked.operator not in _TEXT:
        raise UntranslatableError(f"has an unknown operator: {asked.operator}")
    operator, case, turned = _TEXT[asked.operator]
    if asked.wanted != asked.wanted.strip() or not asked.wanted:
        raise UntranslatableError("is compared with a text that begins or ends with a blank")
    one_value = (
        operator == "equals" and identifies_patient(path) and kind_of(path) is not ValueKind.DATE
    )
    if one_value or names_a_patient(path):
        raise UntranslatableError(
            "is compared with a value that identifies a patient or study; rules are kept in git"
        )
    if operator == "contains":
        when = _negate_if(path, _contains(path, asked.wanted, case=case), turned=turned)
        return TranslatedTest(when, _UNDER_GIT.format(path) if identifies_patient(path) else "")
    return _equals(path, asked.wanted, case=case, turned=turned)


def join_conditions(parts: Sequence[When], joiners: Sequence[str]) -> When:
    """Join conditions as the former client did: from left to right, without precedence.

    Parameters
    ----------
    joiners
        "AND" or "OR" after each part but the last.

    Raises
    ------
    UntranslatableError
        If a joiner is neither.

    Examples
    --------
    >>> join_conditions([{"A": 1}, {"B": 2}, {"C": 3}], ["AND", "OR"])
    {'any': [{'all': [{'A': 1}, {'B': 2}]}, {'C': 3}]}
    """
    whole = parts[0]
    for part, joiner in zip(parts[1:], joiners, strict=True):
        key = {"AND": "all", "OR": "any"}.get(joiner)
        if key is None:
            raise UntranslatableError("is joined by neither AND nor OR")
        whole = {key: [*(whole[key] if [*whole] == [key] else [whole]), part]}
    return whole


def _bound(path: str, wanted: str) -> float | str:
    """Return the bound of an ordering; the former client compared float() of the whole text."""
    kind = kind_of(path)
    is_day = kind is ValueKind.DATE and _vr(path) == "DA"
    if is_day and _DAY.fullmatch(wanted.strip()):
        day = wanted.strip()
        return f"{day[:4]}-{day[4:6]}-{day[6:]}"
    if kind is not ValueKind.NUMBER:
        raise UntranslatableError(f"is compared as a number, but holds {kind}")
    if not holds_one_value(path):
        raise UntranslatableError(
            "may have several values, which the former client could not order"
        )
    try:
        number = float(wanted)
    except ValueError:
        raise UntranslatableError(
            "is compared with a text that is not a number; it never matched"
        ) from None
    return int(number) if number.is_integer() else number


def _vr(path: str) -> str:
    from drawcli.core.dicom.dictionary import keyword_dict

    return dictionary_vr(keyword_dict[path])


def _contains(path: str, wanted: str, *, case: bool) -> When:
    if not holds_one_value(path) and _LIST_SIGNS & set(wanted):
        raise UntranslatableError("is searched for the separators between several values")
    return _condition(path, "contains", wanted, **({"case": True} if case else {}))


def _equals(path: str, wanted: str, *, case: bool, turned: bool) -> TranslatedTest:
    kind = kind_of(path)
    remark = _UNDER_GIT.format(path) if identifies_patient(path) else ""
    if not holds_one_value(path) and wanted.startswith("["):
        raise UntranslatableError("is compared with the separators between several values")
    if kind is ValueKind.TEXT:
        when = _same_text(path, wanted, case=case)
    else:
        if _vr(path) == "DT":  # ours would match the whole day
            raise UntranslatableError(
                "holds a date with a time, of which only the date is compared"
            )
        when = _condition(path, "equals", _file_value(wanted, kind))
        if kind is not ValueKind.DATE:
            remark = f"{path} is now compared by value ({kind}), not by text"
    if not holds_one_value(path):
        when = {"all": [{path: {"equals": 1, "values": "count"}}, when]}
    return TranslatedTest(_negate_if(path, when, turned=turned), remark)


def _same_text(path: str, wanted: str, *, case: bool) -> When:
    """Return a condition for an identical text; `equals` would also match an equal number."""
    options = {"case": True} if case else {}
    if not _is_number(wanted):
        return _condition(path, "equals", wanted, **options)
    return _condition(path, "matches", f"^{re.escape(wanted)}$", **options)


def _file_value(wanted: str, kind: ValueKind) -> float | str:
    if kind is ValueKind.NUMBER and _is_number(wanted):
        return int(wanted) if re.fullmatch(r"-?[0-9]+", wanted) else float(wanted)
    return wanted


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _negate_if(path: str, when: When, *, turned: bool) -> When:
    """Return the negation, if wanted; the element must be present, but may be empty."""
    if not turned:
        return when
    if "all" in when:  # a missing element has a count of values, too: 0
        return {"all": [{path: {"missing": False}}, {"not": when}]}
    return {"any": [{path: {"empty": True}}, {"not": when}]}


def _condition(path: str, operator: str, wanted: Any, **options: Any) -> When:
    """Return a valid condition of rules.yaml."""
    try:
        Compare(path, operator, wanted, **options)
    except ValueError as err:
        if is_withheld(path):  # the message quotes the wanted value
            raise UntranslatableError(
                f"holds {kind_of(path)} and is compared with a value of another kind"
            ) from None
        raise UntranslatableError(str(err)) from None
    if operator == "equals" and not options:
        return {path: wanted}
    return {path: {operator: wanted, **options}}
