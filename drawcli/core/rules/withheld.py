"""Conditions of rules without values that identify a patient or a hospital.

A rule may name one patient, though `rules check` warns of it. Such a value is hidden from users who
may not see patient data, like the element in the image.
"""

import re
from functools import cache
from typing import Final

from drawcli.core.dicom.elements import dictionary_vr
from drawcli.core.gate.text_traces import Traces, days, fold, has_long_number, has_mail
from drawcli.core.rules.operators import DERIVED, OPERATORS, PRESENCE, ValueKind, kind_of

INSTEAD: Final = "(hidden)"
_OF_ONE_PATIENT: Final = frozenset({"PN", "DA", "DT", "TM", "UI", "LT", "ST", "UT", "UR"})
_HARMLESS: Final = frozenset({"PatientSex", "PatientAge", "SOPClassUID"})
_OF_ONE_STUDY: Final = ("ID", "IDs", "UID", "Number", "Address", "Comments", "Telephone")
_PATIENT_GROUP: Final = 0x0010
# Facts of a series that are made of such elements, and parts of the keywords of elements on places,
# persons and machines, which PS3.15 table E.1-1 removes.
_DERIVED: Final = frozenset({"folder", "station"})
_OF_PLACES: Final = re.compile(
    "Institution|Department|Station|Physician|Operator|Person|Observer|Author|Reviewer|Address"
    "|Telephone|Telecom|Comment|Serial|Location|Residence|Admi|Visit|Requesting|Occupation|History"
    "|Insurance|Custodian|Issuer|AETitle|Identifier|ClinicalTrial|DeviceUID|Gantry|Detector|Plate"
)
_TEXTS: Final = frozenset({"LO", "SH", "UC", "AE"})
_NAMES: Final = sorted((name.replace("_", " ") for name in OPERATORS), reverse=True)
_CONDITION: Final = re.compile(
    r"(?P<path>\([0-9a-fA-F]{4},.{1,64}?,?[0-9a-fA-F]{2}\)|\S+) "
    rf"(?P<operator>{'|'.join(_NAMES)})"
    r"(?: .*)?",
    re.DOTALL,
)


def identifies_patient(path: str) -> bool:
    """Return whether the element at a canonical path identifies a patient, a study or a day.

    >>> [identifies_patient(path) for path in ("PatientID", "StudyDate", "ProtocolName", "slices")]
    [True, True, False, False]
    """
    from drawcli.core.dicom.dictionary import keyword_dict

    if path in DERIVED:
        return path in ("study_age_days", "folder")
    keyword = path.rpartition(".")[2]
    if keyword in _HARMLESS:
        return False
    if keyword not in keyword_dict:  # private: its content is unknown
        return True
    tag, vr = keyword_dict[keyword], dictionary_vr(keyword_dict[keyword])
    return tag >> 16 == _PATIENT_GROUP or vr in _OF_ONE_PATIENT or is_number_of(keyword, vr)


def is_number_of(keyword: str, vr: str) -> bool:
    """Return whether an element holds an identifier, an address or comments of one study."""
    return vr in ("LO", "SH", "UC", "AE") and keyword.endswith(_OF_ONE_STUDY)


@cache
def is_withheld(path: str) -> bool:
    """Return whether wanted values for the element at a canonical path are hidden.

    >>> [is_withheld(path) for path in ("InstitutionName", "folder", "SeriesDescription", "KVP")]
    [True, True, False, False]
    """
    from drawcli.core.dicom.dictionary import keyword_dict

    if path in DERIVED:
        return path in _DERIVED
    if "(" in path:  # private, or not in PS3.6: its content is unknown
        return True
    keyword = path.rpartition(".")[2]
    if keyword not in keyword_dict:
        return False
    is_place = _OF_PLACES.search(keyword) and dictionary_vr(keyword_dict[keyword]) in _TEXTS
    return bool(is_place) or identifies_patient(path)


def mask_condition(condition: str) -> str:
    """Return the text of a condition, with a value on a patient or a hospital hidden.

    >>> mask_condition("PatientID equals X17"), mask_condition("KVP equals 120")
    ('PatientID equals (hidden)', 'KVP equals 120')
    >>> mask_condition("ProtocolName contains 773402199"), mask_condition("PatientID exists True")
    ('ProtocolName contains (hidden)', 'PatientID exists True')
    >>> mask_condition("(0029,MY MAKER,10) starts with X17")
    '(0029,MY MAKER,10) starts with (hidden)'
    """
    found = _CONDITION.fullmatch(condition)
    if found is None:
        return condition
    path = found["path"]
    if found["operator"] in PRESENCE:
        return condition
    return (
        hide_value(condition)
        if is_withheld(path) or _looks_identifying(path, condition)
        else condition
    )


def mentions_patient(condition: str, patient: Traces) -> bool:
    """Return whether the wanted value for a text contains identifiers of a patient."""
    found = _CONDITION.fullmatch(condition)
    return (
        found is not None and _is_text(found["path"]) and patient.in_text(_wanted_text(condition))
    )


def _looks_identifying(path: str, condition: str) -> bool:
    """Return whether the wanted text looks like a record number, a day or an e-mail address."""
    asked = _wanted_text(condition)
    looks = has_long_number(asked) or has_mail(asked) or any(True for _ in days(asked))
    return looks and path not in _HARMLESS and _is_text(path)


def _is_text(path: str) -> bool:
    return kind_of(path) in (ValueKind.TEXT, ValueKind.NAME, ValueKind.ANY)


def hide_value(condition: str) -> str:
    """Return the text of a condition with its wanted value hidden."""
    found = _CONDITION.fullmatch(condition)
    return f"{found['path']} {found['operator']} {INSTEAD}" if found else condition


def _wanted_text(condition: str) -> str:
    found = _CONDITION.fullmatch(condition)
    return fold(condition[found.end("operator") :].strip()) if found else ""
