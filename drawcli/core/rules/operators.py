"""Operators of conditions by the kind of value; wanted values are checked.

Values are compared by their VR (PS3.5 6.2): as numbers, dates, times or ages; person names by
component group; texts without case by default. A wanted value that the element can never have is an
error in the file, not a rule that never fires.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date, timedelta
from enum import StrEnum
from math import isclose
from typing import Any, Final

from drawcli.core.dicom.elements import dictionary_vr
from drawcli.core.rules.values import DAYS, age_of, date_of, groups_of, number_of, seconds_of


class ValueKind(StrEnum):
    """The kind of the values of an element, as messages show it."""

    NUMBER = "a number"
    DATE = "a date such as '2026-01-31', or '-30d'"
    TIME = "a time such as '08:30'"
    AGE = "an age such as 064Y, or years"
    NAME = "a person's name"
    TEXT = "a text"
    FLAG = "true or false"
    ANY = "a text or a number"  # of an element that is not in PS3.6


DERIVED: Final[Mapping[str, ValueKind]] = {  # facts of the series that are not elements
    "slices": ValueKind.NUMBER,
    "spacing_mm": ValueKind.NUMBER,
    "extent_mm": ValueKind.NUMBER,
    "oblique": ValueKind.FLAG,
    "contrast": ValueKind.FLAG,
    "station": ValueKind.TEXT,
    "folder": ValueKind.TEXT,
    "age_years": ValueKind.NUMBER,
    "study_age_days": ValueKind.NUMBER,
}
PRESENCE: Final = frozenset({"exists", "missing", "empty"})
_BY_VR: Final = (
    dict.fromkeys(("DS", "IS", "FL", "FD", "SL", "SS", "SV", "UL", "US", "UV"), ValueKind.NUMBER)
    | {
        "DA": ValueKind.DATE,
        "DT": ValueKind.DATE,
        "TM": ValueKind.TIME,
        "AS": ValueKind.AGE,
        "PN": ValueKind.NAME,
    }
    | dict.fromkeys(("AE", "CS", "LO", "LT", "SH", "ST", "UC", "UI", "UR", "UT"), ValueKind.TEXT)
)
_TAG: Final = re.compile(r"\(([0-9A-Fa-f]{4}),([0-9A-Fa-f]{4})\)")
_PRIVATE: Final = re.compile(r"\(([0-9A-Fa-f]{3}[13579BDFbdf]),(.{1,64}),([0-9A-Fa-f]{2})\)")
_RELATIVE: Final = re.compile(r"-([0-9]{1,5})d")
_PATTERN: Final = "matches"
_LONGEST_PATTERN: Final = 1000  # characters

Value = Any
Checker = Callable[[str, date], bool | None]  # None: the element holds no value of its kind


def canonical_path(path: str) -> str | None:
    """Return a path in the form that headers use; None if PS3.6 has no such element.

    >>> canonical_path("(0018,0015)"), canonical_path("(0029,siemens csa header,10)")
    ('BodyPartExamined', '(0029,SIEMENS CSA HEADER,10)')
    >>> canonical_path("RequestAttributesSequence.*.ScheduledProcedureStepID")
    'RequestAttributesSequence.*.ScheduledProcedureStepID'
    >>> canonical_path("Modality.0.Manufacturer") is None
    True
    """
    from drawcli.core.dicom.dictionary import keyword_dict, keyword_for_tag

    if path in DERIVED:
        return path
    *above, last = path.split(".") if not path.startswith("(") else [path]
    for keyword, item in zip(above[::2], above[1::2], strict=False):
        is_sequence = keyword in keyword_dict and dictionary_vr(keyword_dict[keyword]) == "SQ"
        if not is_sequence or not (item == "*" or item.isdigit()):
            return None
    if len(above) % 2:
        return None
    if found := _TAG.fullmatch(last):
        last = keyword_for_tag(int(found[1] + found[2], 16)) or last.lower()
    elif found := _PRIVATE.fullmatch(last):
        return f"({found[1].lower()},{found[2].upper()},{found[3].lower()})"
    elif last not in keyword_dict or not last:
        return None
    return ".".join((*above, last))


def known_paths() -> list[str]:
    """Return every keyword of PS3.6, and the facts of a series."""
    from drawcli.core.dicom.dictionary import keyword_dict

    return [*keyword_dict, *DERIVED]


def kind_of(path: str) -> ValueKind:
    """Return the kind of the values at a canonical path."""
    from drawcli.core.dicom.dictionary import keyword_dict

    if path in DERIVED:
        return DERIVED[path]
    keyword = path.rpartition(".")[2]
    if keyword not in keyword_dict:
        return ValueKind.ANY
    return _BY_VR.get(dictionary_vr(keyword_dict[keyword]), ValueKind.ANY)


def holds_one_value(path: str) -> bool:
    """Return whether the element at a canonical path has at most one value (PS3.6: VM 1)."""
    from drawcli.core.dicom.dictionary import dictionary_VM, keyword_dict

    if path in DERIVED:
        return True
    return path in keyword_dict and dictionary_VM(keyword_dict[path]) == "1"


def checker_of(operator: str, wanted: Any, kind: ValueKind, *, case: bool = False) -> Checker:
    """Return the test of one value, which is given as text.

    Raises
    ------
    ValueError
        If elements of this kind cannot be compared so; the message completes "'Keyword'".
    """
    if operator == _PATTERN or operator in _ON_TEXT:
        return _text_test(operator, wanted, kind, case=case)
    read = _reader(kind, case=case)
    if operator in ("in", "not_in", "between"):
        many = wanted if isinstance(wanted, list | tuple) else [wanted]
        wants = [_parse_wanted(value, kind, read) for value in many]
        if operator == "between" and len(wants) != 2:  # noqa: PLR2004 - from and to
            raise ValueError("is compared with two values: from and to")
    else:
        wants = [_parse_wanted(wanted, kind, read)]
    if operator not in _EQUALITY and kind not in _ORDERED:
        raise ValueError(f"holds {kind}, which has no order")
    if operator in ("before", "after") and kind not in (ValueKind.DATE, ValueKind.TIME):
        raise ValueError(f"holds {kind}: use below and above")
    compare = _COMPARE[operator]

    def test(text: str, today: date) -> bool | None:
        """Return whether a text matches; None if it is not a value of this kind."""
        value = read(text)
        if value is None:
            return None
        return compare(value, [_resolve(want, today) for want in wants])

    return test


def _text_test(operator: str, wanted: Any, kind: ValueKind, *, case: bool) -> Checker:
    if kind not in (ValueKind.TEXT, ValueKind.NAME, ValueKind.ANY):
        raise ValueError(f"holds {kind}: '{operator}' is for texts")
    if not isinstance(wanted, str | int | float) or isinstance(wanted, bool):
        raise ValueError("is compared with a text; put it in quotes")  # noqa: TRY004 - of the file
    if not str(wanted).strip():
        raise ValueError("is compared with an empty text")
    if operator == _PATTERN:
        return _pattern_test(str(wanted), case=case)
    fold = str if case else str.casefold
    needle, within = fold(str(wanted)), _ON_TEXT[operator]
    return lambda text, _today: within(fold(text), needle)


def _pattern_test(pattern: str, *, case: bool) -> Checker:
    """Return a search by RE2, which takes linear time for any pattern."""
    import re2

    options = re2.Options()
    options.case_sensitive, options.log_errors = case, False
    if len(pattern) > _LONGEST_PATTERN:
        raise ValueError(f"is compared with a pattern of more than {_LONGEST_PATTERN} characters")
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as err:
        raise ValueError(
            f"is compared with a pattern that cannot be read: {_error_text(err)}"
        ) from None
    return lambda text, _today: compiled.search(text) is not None


def _error_text(err: Exception) -> str:
    (text, *_) = err.args or ("",)
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


def _reader(kind: ValueKind, *, case: bool) -> Callable[[str], Value | None]:
    readers: dict[ValueKind, Callable[[str], Value | None]] = {
        ValueKind.NUMBER: number_of,
        ValueKind.DATE: date_of,
        ValueKind.TIME: seconds_of,
        ValueKind.AGE: age_of,
        ValueKind.NAME: lambda text: groups_of(text if case else text.casefold()),
    }
    return readers.get(kind, str if case else str.casefold)


def _parse_wanted(wanted: Any, kind: ValueKind, read: Callable[[str], Value | None]) -> Value:
    """Return a value of the file in the form that is compared."""
    if kind is ValueKind.FLAG:
        if not isinstance(wanted, bool):
            raise ValueError("is true or false")
        return str(wanted).casefold()
    if isinstance(wanted, bool) or not isinstance(wanted, str | int | float):
        message = "is compared with a text or a number; put it in quotes"
        raise ValueError(message)  # noqa: TRY004 - a mistake in the file
    text = str(wanted)
    if not text.strip():
        raise ValueError("is compared with an empty text")
    if kind is ValueKind.AGE and number_of(text) is not None:
        return float(text) * DAYS["Y"]
    if kind is ValueKind.DATE and (found := _RELATIVE.fullmatch(text)):
        return timedelta(days=int(found[1]))
    value = read(text)
    if value is None:
        raise ValueError(f"holds {kind}; '{text}' is none")
    return value


def _resolve(wanted: Value, today: date) -> Value:
    return today - wanted if isinstance(wanted, timedelta) else wanted


def _equal(value: Value, wanted: Value) -> bool:
    if isinstance(value, frozenset):
        return bool(value & wanted)
    if isinstance(value, float) and isinstance(wanted, float):
        return isclose(value, wanted, rel_tol=1e-9, abs_tol=1e-9)
    if value == wanted:
        return True
    if isinstance(value, str) and isinstance(wanted, str):  # of an unknown kind
        number = number_of(value)
        return number is not None and number == number_of(wanted)
    return False


def _is_any(value: Value, wants: list[Value]) -> bool:
    return any(_equal(value, want) for want in wants)


_ORDERED: Final = frozenset({ValueKind.NUMBER, ValueKind.DATE, ValueKind.TIME, ValueKind.AGE})
_EQUALITY: Final = frozenset({"equals", "not_equals", "in", "not_in"})
_ON_TEXT: Final[dict[str, Callable[[str, str], bool]]] = {
    "contains": lambda text, needle: needle in text,
    "starts_with": str.startswith,
    "ends_with": str.endswith,
}
_COMPARE: Final[dict[str, Callable[[Value, list[Value]], bool]]] = {
    "equals": _is_any,
    "in": _is_any,
    "not_equals": lambda value, wants: not _is_any(value, wants),
    "not_in": lambda value, wants: not _is_any(value, wants),
    "at_least": lambda value, wants: value >= wants[0],
    "at_most": lambda value, wants: value <= wants[0],
    "above": lambda value, wants: value > wants[0],
    "below": lambda value, wants: value < wants[0],
    "after": lambda value, wants: value > wants[0],
    "before": lambda value, wants: value < wants[0],
    "between": lambda value, wants: wants[0] <= value <= wants[1],
}
PARTIAL: Final = frozenset(_ON_TEXT)  # compare a part of a text
OPERATORS: Final = (*_COMPARE, *_ON_TEXT, _PATTERN, *sorted(PRESENCE))
