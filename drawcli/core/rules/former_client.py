"""What a test of a former DRAW client means in our rule language; refused where it cannot be said.

The former clients compared the text that pydicom shows of a value in the first image of a series.
An element that was missing fitted nothing; one that was there and empty differed from every text.
What is returned here takes and refuses the same headers, or says in what it differs.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from drawcli.core.dicom.elements import dictionary_vr
from drawcli.core.rules.conditions import Compare
from drawcli.core.rules.operators import ValueKind, canonical, holds_one_value, kind_of
from drawcli.core.rules.privacy import names_a_patient
from drawcli.core.rules.withheld import is_withheld, tells_a_patient

When = dict[str, Any]  # a condition as it stands in rules.yaml

_ORDER: Final = {
    "GREATER_THAN": "above",
    "LESS_THAN": "below",
    "GREATER_THAN_OR_EQUAL_TO": "at_least",
    "LESS_THAN_OR_EQUAL_TO": "at_most",
}
# operator of the former client -> ours, whether case matters, whether it is turned round
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
_TAG: Final = re.compile(r"\(?([0-9A-Fa-f]{4}),? ?([0-9A-Fa-f]{4})\)?")
_OF_EACH_SLICE: Final = frozenset(
    "SOPInstanceUID InstanceNumber ImagePositionPatient SliceLocation InstanceCreationTime".split()
)
_LIST_SIGNS: Final = frozenset("[],'\"\\")  # in which pydicom shows several values
_DAY: Final = re.compile(r"[0-9]{8}")


_UNDER_GIT: Final = "rules lie under git now, and what {} is compared with may tell a patient"


class UntranslatableError(ValueError):
    """Our rule language cannot say it; the message completes the name of the element."""


@dataclass(frozen=True, slots=True)
class FormerTest:
    """One test of a former client: an element, by name and tag, and what it is compared with."""

    name: str
    tag: str
    operator: str
    wanted: str

    @property
    def text(self) -> str:
        """The test in a line; what could name one patient is left out."""
        named, tagged = _canonical(self.name), _tagged(self.tag)
        secret = named is None or any(tells_a_patient(path) for path in (named, tagged) if path)
        wanted = "..." if secret else " ".join(self.wanted.split())
        return f"{' '.join(self.name.split())} {self.operator} {wanted}"


@dataclass(frozen=True, slots=True)
class TranslatedTest:
    """A test in our language, and in what it differs; "" where in nothing."""

    when: When
    remark: str = ""


def translate(asked: FormerTest) -> TranslatedTest:
    """Return a test in our language.

    Raises
    ------
    UntranslatableError
        Where that would take or refuse other series, in a way that cannot be told in a sentence.

    Examples
    --------
    >>> equal = "CASE_INSENSITIVE_STRING_EXACT_MATCH"
    >>> translate(FormerTest("Modality", "(0008,0060)", equal, "ct")).when
    {'Modality': 'ct'}
    >>> translate(FormerTest("Slice Thickness", "", "LESS_THAN", "3.5")).when
    {'SliceThickness': {'below': 3.5}}
    """
    path = _path(asked)
    if asked.operator in _ORDER:
        when = _checked(path, _ORDER[asked.operator], _ordered(path, asked.wanted))
        return TranslatedTest(when, _UNDER_GIT.format(path) if names_a_patient(path) else "")
    if asked.operator not in _TEXT:
        raise UntranslatableError(f"has an operator that nobody knows: {asked.operator}")
    operator, case, turned = _TEXT[asked.operator]
    if asked.wanted != asked.wanted.strip() or not asked.wanted:
        raise UntranslatableError("is compared with a text that begins or ends with a blank")
    one_value = (
        operator == "equals" and tells_a_patient(path) and kind_of(path) is not ValueKind.DATE
    )
    if one_value or names_a_patient(path):
        raise UntranslatableError(
            "is asked for what names one patient or study; rules lie under git"
        )
    if operator == "contains":
        when = _turned(path, _contains(path, asked.wanted, case=case), turned=turned)
        return TranslatedTest(when, _UNDER_GIT.format(path) if tells_a_patient(path) else "")
    return _equals(path, asked.wanted, case=case, turned=turned)


def joined(parts: Sequence[When], joiners: Sequence[str]) -> When:
    """Return conditions as the former client joined them: from left to right, nothing binds closer.

    Parameters
    ----------
    joiners
        "AND" or "OR" behind each part but the last.

    Raises
    ------
    UntranslatableError
        Where a joiner is neither.

    Examples
    --------
    >>> joined([{"A": 1}, {"B": 2}, {"C": 3}], ["AND", "OR"])
    {'any': [{'all': [{'A': 1}, {'B': 2}]}, {'C': 3}]}
    """
    whole = parts[0]
    for part, joiner in zip(parts[1:], joiners, strict=True):
        key = {"AND": "all", "OR": "any"}.get(joiner)
        if key is None:
            raise UntranslatableError("is joined by neither AND nor OR")
        whole = {key: [*(whole[key] if [*whole] == [key] else [whole]), part]}
    return whole


def _path(asked: FormerTest) -> str:
    """Return the canonical path of the element that is asked for."""
    named = _canonical(asked.name)
    tagged = _tagged(asked.tag)
    path = named or tagged
    if path is None or path.startswith("("):
        raise UntranslatableError("is no element of the DICOM standard")
    if named and tagged and named != tagged:
        raise UntranslatableError(f"and its tag, that of {tagged}, are two elements")
    if kind_of(path) is ValueKind.ANY:
        raise UntranslatableError("has no value that is a text or a number")
    if path in _OF_EACH_SLICE:
        raise UntranslatableError("differs from slice to slice; only the first was looked at")
    return path


def _tagged(tag: str) -> str | None:
    """Return the canonical path of a tag: of "(0010,0040)" it is PatientSex."""
    found = _TAG.fullmatch(tag.strip())
    return canonical(f"({found[1]},{found[2]})") if found else None


def _canonical(name: str) -> str | None:
    """Return the keyword that a name or keyword means: "Patient's Sex" is PatientSex."""
    return _keywords().get(re.sub(r"[^a-z0-9]", "", name.casefold()))


@cache
def _keywords() -> dict[str, str]:
    from drawcli.core.dicom.dictionary import dictionary_description, keyword_dict

    names: dict[str, str] = {}
    for keyword, tag in keyword_dict.items():
        for word in (dictionary_description(tag), keyword) if keyword else ():
            names.setdefault(re.sub(r"[^a-z0-9]", "", word.casefold()), keyword)
    return names


def _ordered(path: str, wanted: str) -> float | str:
    """Return what an element is above or below; float() of the whole text was compared."""
    kind = kind_of(path)
    is_day = kind is ValueKind.DATE and _vr(path) == "DA"
    if is_day and _DAY.fullmatch(wanted.strip()):
        day = wanted.strip()
        return f"{day[:4]}-{day[4:6]}-{day[6:]}"
    if kind is not ValueKind.NUMBER:
        raise UntranslatableError(f"is compared as a number, and holds {kind}")
    if not holds_one_value(path):
        raise UntranslatableError("may have several values, which were never above or below")
    try:
        number = float(wanted)
    except ValueError:
        raise UntranslatableError("is compared with what is no number; it never fitted") from None
    return int(number) if number.is_integer() else number


def _vr(path: str) -> str:
    from drawcli.core.dicom.dictionary import keyword_dict

    return dictionary_vr(keyword_dict[path])


def _contains(path: str, wanted: str, *, case: bool) -> When:
    if not holds_one_value(path) and _LIST_SIGNS & set(wanted):
        raise UntranslatableError("is searched for the signs between several values")
    return _checked(path, "contains", wanted, **({"case": True} if case else {}))


def _equals(path: str, wanted: str, *, case: bool, turned: bool) -> TranslatedTest:
    kind = kind_of(path)
    remark = _UNDER_GIT.format(path) if tells_a_patient(path) else ""
    if not holds_one_value(path) and wanted.startswith("["):
        raise UntranslatableError("is compared with the signs between several values")
    if kind is ValueKind.TEXT:
        when = _same_text(path, wanted, case=case)
    else:
        if _vr(path) == "DT":  # ours would take the whole day
            raise UntranslatableError(
                "holds a date with a time, of which only the date is compared"
            )
        when = _checked(path, "equals", _as_file(wanted, kind))
        if kind is not ValueKind.DATE:
            remark = f"{path} is compared by its value ({kind}), no longer by its spelling"
    if not holds_one_value(path):
        when = {"all": [{path: {"equals": 1, "values": "count"}}, when]}
    return TranslatedTest(_turned(path, when, turned=turned), remark)


def _same_text(path: str, wanted: str, *, case: bool) -> When:
    """Return that a text is the same, where `equals` would also take a number."""
    options = {"case": True} if case else {}
    if not _is_number(wanted):
        return _checked(path, "equals", wanted, **options)
    return _checked(path, "matches", f"^{re.escape(wanted)}$", **options)


def _as_file(wanted: str, kind: ValueKind) -> float | str:
    if kind is ValueKind.NUMBER and _is_number(wanted):
        return int(wanted) if re.fullmatch(r"-?[0-9]+", wanted) else float(wanted)
    return wanted


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _turned(path: str, when: When, *, turned: bool) -> When:
    """Return what holds where a condition does not: the element is there, be it empty."""
    if not turned:
        return when
    if "all" in when:  # counts values, which even an element that is missing has: none
        return {"all": [{path: {"missing": False}}, {"not": when}]}
    return {"any": [{path: {"empty": True}}, {"not": when}]}


def _checked(path: str, operator: str, wanted: Any, **options: Any) -> When:
    """Return a condition that our reader takes."""
    try:
        Compare(path, operator, wanted, **options)
    except ValueError as err:
        if is_withheld(path):  # the message quotes what is wanted
            raise UntranslatableError(f"holds {kind_of(path)}; something else is asked") from None
        raise UntranslatableError(str(err)) from None
    if operator == "equals" and not options:
        return {path: wanted}
    return {path: {operator: wanted, **options}}
