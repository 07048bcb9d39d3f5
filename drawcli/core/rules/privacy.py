"""Values of a header that may be copied into files in git.

Rules and their tests are written from the headers of real series. Elements that identify a patient,
a study or a day are never copied; other values only if they do not contain the names and ids of
their own patient.
"""

from collections.abc import Iterator
from typing import Final

from drawcli.core.dicom.elements import dictionary_vr
from drawcli.core.gate.text_traces import Traces, days, fold, has_long_number, has_mail
from drawcli.core.rules.conditions import Compare, Condition, Negation, Rule, RuleHeader
from drawcli.core.rules.operators import DERIVED, PRESENCE
from drawcli.core.rules.withheld import identifies_patient, is_number_of

_OF_WORDS: Final = frozenset({"LO", "SH", "UC", "LT", "ST", "UT", "DA"})
_HARMLESS: Final = frozenset({"PatientSex", "PatientAge", "SOPClassUID"})
_BOUNDS: Final = frozenset("at_least at_most above below after before between".split())
_WHO: Final = ("PatientName", "PatientID", "OtherPatientIDs", "AccessionNumber", "StudyID")
_PATIENT_GROUP: Final = 0x0010
_LONGEST: Final = 64  # characters of a value that is copied


def names_a_patient(path: str) -> bool:
    """Return whether the element at a canonical path holds a name, an identifier or free text.

    Even a part of such a value may identify a patient: *contains MUELLER*.

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


def shareable_values(header: RuleHeader) -> dict[str, tuple[str, ...]]:
    """Return the non-empty elements of a header that may be copied, in its order."""
    patient = patient_of(header)
    return {
        path: values
        for path, values in header.values.items()
        if any(values)
        and not identifies_patient(path)
        and all(_is_clean(value, patient) for value in values)
    }


def patient_of(header: RuleHeader) -> Traces:
    """Return the identifiers of the patient of a series."""
    traces = Traces()
    for keyword in _WHO:
        for value in header.values.get(keyword, ()):
            traces.learn(value)
    return traces


def wanted_names_patient(wanted: object, patient: Traces) -> bool:
    """Return whether the wanted values of a condition contain identifiers of the patient."""
    many = wanted if isinstance(wanted, list | tuple) else [wanted]
    return any(patient.in_text(fold(str(value))) for value in many)


def patient_elements(rule: Rule) -> Iterator[str]:
    """Yield the elements that a rule compares with a value of one patient or study."""
    yield from dict.fromkeys(_named_in(rule.when))


def _named_in(when: Condition) -> Iterator[str]:
    if isinstance(when, Compare):
        yield from (when.keyword,) if _is_identifying(when) else ()
        return
    for part in (when.part,) if isinstance(when, Negation) else when.parts:
        yield from _named_in(part)


def _is_identifying(compare: Compare) -> bool:
    keyword = compare.keyword
    if compare.operator in PRESENCE | _BOUNDS:
        return False
    is_exact = compare.operator in ("equals", "in") and identifies_patient(keyword)
    return names_a_patient(keyword) or (
        is_exact and not keyword.startswith("(") and keyword not in DERIVED
    )


def paths_in(when: Condition) -> Iterator[str]:
    """Yield the canonical path of every element in a condition."""
    if isinstance(when, Compare):
        yield when.keyword
        return
    for part in (when.part,) if isinstance(when, Negation) else when.parts:
        yield from paths_in(part)


def _is_clean(value: str, patient: Traces) -> bool:
    plain = fold(value)
    if len(value) > _LONGEST or not value.isprintable():
        return False
    is_identifying = patient.in_text(plain) or has_mail(plain) or has_long_number(plain)
    return not (is_identifying or any(True for _ in days(plain)))
