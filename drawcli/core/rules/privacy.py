"""What of a header may stand in a file that lies under git: nothing that tells a patient.

Rules, and the tests beside them, are written from the headers of real series. An element whose
values name a patient, a study or a day is never copied; any other value is copied only where the
names and ids of its own patient do not occur in it.
"""

from collections.abc import Iterator
from typing import Final

from drawcli.core.dicom.elements import dictionary_vr
from drawcli.core.gate.text_traces import Traces, days, fold, has_long_number, has_mail
from drawcli.core.rules.conditions import Compare, Condition, Negation, Rule, RuleHeader
from drawcli.core.rules.operators import DERIVED, PRESENCE
from drawcli.core.rules.withheld import is_number_of, tells_a_patient

_OF_WORDS: Final = frozenset({"LO", "SH", "UC", "LT", "ST", "UT", "DA"})
_HARMLESS: Final = frozenset({"PatientSex", "PatientAge", "SOPClassUID"})
_BOUNDS: Final = frozenset("at_least at_most above below after before between".split())
_WHO: Final = ("PatientName", "PatientID", "OtherPatientIDs", "AccessionNumber", "StudyID")
_PATIENT_GROUP: Final = 0x0010
_LONGEST: Final = 64  # characters of a value that is worth a condition


def names_a_patient(path: str) -> bool:
    """Tell whether the element at a canonical path holds a name or number, or words on a patient.

    Of such an element even a part names one: *contains MUELLER*, not only what it equals.

    >>> [names_a_patient(path) for path in ("PatientName", "StudyID", "StudyDate", "PatientWeight")]
    [True, True, False, False]
    """
    from drawcli.core.dicom.dictionary import keyword_dict

    keyword = path.rpartition(".")[2]
    if keyword in _HARMLESS or keyword not in keyword_dict:
        return False
    tag, vr = keyword_dict[keyword], dictionary_vr(keyword_dict[keyword])
    on_patient = tag >> 16 == _PATIENT_GROUP and vr in _OF_WORDS
    return on_patient or vr in ("PN", "UI") or is_number_of(keyword, vr)


def shareable(header: RuleHeader) -> dict[str, tuple[str, ...]]:
    """Return the elements of a header that may be copied, in its order; empty ones are left out."""
    patient = patient_of(header)
    return {
        path: values
        for path, values in header.values.items()
        if any(values)
        and not tells_a_patient(path)
        and all(_is_clean(value, patient) for value in values)
    }


def patient_of(header: RuleHeader) -> Traces:
    """Return what names the patient of a series."""
    traces = Traces()
    for keyword in _WHO:
        for value in header.values.get(keyword, ()):
            traces.learn(value)
    return traces


def says_who(wanted: object, patient: Traces) -> bool:
    """Tell whether what a condition asks for names the patient."""
    many = wanted if isinstance(wanted, list | tuple) else [wanted]
    return any(patient.in_text(fold(str(one))) for one in many)


def names_patient(rule: Rule) -> Iterator[str]:
    """Yield the elements of which a rule asks for the value of one patient or study."""
    yield from dict.fromkeys(_named_in(rule.when))


def _named_in(when: Condition) -> Iterator[str]:
    if isinstance(when, Compare):
        yield from (when.keyword,) if _names(when) else ()
        return
    for part in (when.part,) if isinstance(when, Negation) else when.parts:
        yield from _named_in(part)


def _names(one: Compare) -> bool:
    if one.operator in PRESENCE | _BOUNDS:
        return False
    private = one.keyword.startswith("(") or one.keyword in DERIVED
    one_value = one.operator in ("equals", "in") and tells_a_patient(one.keyword)
    return names_a_patient(one.keyword) or (one_value and not private)


def paths_in(when: Condition) -> Iterator[str]:
    """Yield the canonical path of every element that a condition asks for."""
    if isinstance(when, Compare):
        yield when.keyword
        return
    for part in (when.part,) if isinstance(when, Negation) else when.parts:
        yield from paths_in(part)


def _is_clean(value: str, patient: Traces) -> bool:
    plain = fold(value)
    if len(value) > _LONGEST or not value.isprintable():
        return False
    speaks = patient.in_text(plain) or has_mail(plain)
    return not (speaks or has_long_number(plain) or any(True for _ in days(plain)))
