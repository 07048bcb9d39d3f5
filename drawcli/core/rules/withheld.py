"""Conditions of rules as anybody may see them: without what they ask of a patient or a hospital.

A rule may ask for one patient by name, though `rules check` warns of it; its value is as much a
name as that in the image. By the de-identification policy such elements do not leave, and what a
rule asks of them is shown to nobody but one who may see patients.
"""

import re
from functools import cache
from typing import Final

from drawcli.core.dicom.elements import dictionary_vr
from drawcli.core.gate.text_traces import Traces, days, fold, has_long_number, has_mail
from drawcli.core.rules.operators import DERIVED, OPERATORS, PRESENCE, ValueKind, kind_of

INSTEAD: Final = "(not told)"
_OF_ONE_PATIENT: Final = frozenset({"PN", "DA", "DT", "TM", "UI", "LT", "ST", "UT", "UR"})
_HARMLESS: Final = frozenset({"PatientSex", "PatientAge", "SOPClassUID"})
_OF_ONE_STUDY: Final = ("ID", "IDs", "UID", "Number", "Address", "Comments", "Telephone")
_PATIENT_GROUP: Final = 0x0010
# Facts of a series that are made of such elements, and the words of others that name places,
# persons and machines: PS3.15 table E.1-1 lets none of them out.
_DERIVED: Final = frozenset({"folder", "station"})
_OF_PLACES: Final = re.compile(
    "Institution|Department|Station|Physician|Operator|Person|Observer|Author|Reviewer|Address"
    "|Telephone|Telecom|Comment|Serial|Location|Residence|Admi|Visit|Requesting|Occupation|History"
    "|Insurance|Custodian|Issuer|AETitle|Identifier|ClinicalTrial|DeviceUID|Gantry|Detector|Plate"
)
_TEXTS: Final = frozenset({"LO", "SH", "UC", "AE"})
_CONDITION: Final = re.compile(
    r"(?P<path>\([0-9a-fA-F]{4},.{1,64}?,?[0-9a-fA-F]{2}\)|\S+) "
    rf"(?P<operator>{'|'.join(sorted((one.replace('_', ' ') for one in OPERATORS), reverse=True))})"
    r"(?: .*)?",
    re.DOTALL,
)


def tells_a_patient(path: str) -> bool:
    """Tell whether the element at a canonical path names a patient, a study or a day.

    >>> [tells_a_patient(path) for path in ("PatientID", "StudyDate", "ProtocolName", "slices")]
    [True, True, False, False]
    """
    from drawcli.core.dicom.dictionary import keyword_dict

    if path in DERIVED:
        return path in ("study_age_days", "folder")
    keyword = path.rpartition(".")[2]
    if keyword in _HARMLESS:
        return False
    if keyword not in keyword_dict:  # private: nobody knows what it holds
        return True
    tag, vr = keyword_dict[keyword], dictionary_vr(keyword_dict[keyword])
    return tag >> 16 == _PATIENT_GROUP or vr in _OF_ONE_PATIENT or is_number_of(keyword, vr)


def is_number_of(keyword: str, vr: str) -> bool:
    """Tell whether an element holds the number, the address or the like of one study."""
    return vr in ("LO", "SH", "UC", "AE") and keyword.endswith(_OF_ONE_STUDY)


@cache
def is_withheld(path: str) -> bool:
    """Tell whether what a rule asks of the element at a canonical path is not for everybody.

    >>> [is_withheld(path) for path in ("InstitutionName", "folder", "SeriesDescription", "KVP")]
    [True, True, False, False]
    """
    from drawcli.core.dicom.dictionary import keyword_dict

    if path in DERIVED:
        return path in _DERIVED
    if "(" in path:  # private, or unknown to PS3.6: nobody knows what it holds
        return True
    keyword = path.rpartition(".")[2]
    if keyword not in keyword_dict:
        return False
    is_place = _OF_PLACES.search(keyword) and dictionary_vr(keyword_dict[keyword]) in _TEXTS
    return bool(is_place) or tells_a_patient(path)


def masked(condition: str) -> str:
    """Return the text of a condition without what it asks of a patient or a hospital.

    >>> masked("PatientID equals X17"), masked("PatientID exists True"), masked("KVP equals 120")
    ('PatientID equals (not told)', 'PatientID exists True', 'KVP equals 120')
    >>> masked("(0029,MY MAKER,10) starts with X17"), masked("ProtocolName contains 773402199")
    ('(0029,MY MAKER,10) starts with (not told)', 'ProtocolName contains (not told)')
    """
    found = _CONDITION.fullmatch(condition)
    if found is None:
        return condition
    path = found["path"]
    if found["operator"] in PRESENCE:
        return condition
    return emptied(condition) if is_withheld(path) or _tells(path, condition) else condition


def names(condition: str, patient: Traces) -> bool:
    """Tell whether what a condition asks for, of a text, names a patient."""
    found = _CONDITION.fullmatch(condition)
    return found is not None and _is_text(found["path"]) and patient.in_text(_asked_for(condition))


def _tells(path: str, condition: str) -> bool:
    """Tell whether a text that is asked for looks like a record's number, a day or an address."""
    asked = _asked_for(condition)
    looks = has_long_number(asked) or has_mail(asked) or any(True for _ in days(asked))
    return looks and path not in _HARMLESS and _is_text(path)


def _is_text(path: str) -> bool:
    return kind_of(path) in (ValueKind.TEXT, ValueKind.NAME, ValueKind.ANY)


def emptied(condition: str) -> str:
    """Return the text of a condition without what it asks for."""
    found = _CONDITION.fullmatch(condition)
    return f"{found['path']} {found['operator']} {INSTEAD}" if found else condition


def _asked_for(condition: str) -> str:
    found = _CONDITION.fullmatch(condition)
    return fold(condition[found.end("operator") :].strip()) if found else ""
