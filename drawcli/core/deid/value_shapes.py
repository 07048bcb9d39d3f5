"""What the value of a kept element looks like; one that looks otherwise does not leave.

A file may hold anything under any tag: a name as a slice thickness, a record number as a count.
Numbers have to be numbers, and words the words that scanners write there.

References
----------
PS3.5 table 6.2-1, with the small liberties that scanners take.
"""

import re
from typing import Final

_DECIMAL: Final = rb" *+(?:[+-]?(?:[0-9]++\.?[0-9]*+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?)? *+"
_INTEGER: Final = rb" *+(?:[+-]?[0-9]{1,12}+)? *+"
# A time of day, and no other six digits (PS3.5 table 6.2-1; 60 is a leap second).
CLOCK: Final = rb"(?:[01][0-9]|2[0-3])(?::?[0-5][0-9](?::?(?:[0-5][0-9]|60)(?:\.[0-9]{1,6}+)?)?)?"
# Nothing that may be a record number, a date or a UID.
_NO_NUMBER: Final = rb"(?![^\0]*[0-9]{6})"
_NO_DATE: Final = rb"(?![^\0]*[0-9][./ -][0-9]{1,2}+[./ -][0-9]{2})"
_NO_UID: Final = rb"(?![^\0]*(?:[0-9]++\.){4})"
_UNTELLING: Final = _NO_NUMBER + _NO_DATE + _NO_UID
# What a machine is called: no address either, ASCII alone.
_WORDS: Final = _UNTELLING + rb"[ -?A-~]{0,64}+"
# PS3.16 Annex L, those of planning scans: a word that is none of them may be anything.
_BODY_PARTS: Final = b"""
    ABDOMEN ABDOMENPELVIS ANKLE ARM AXILLA BACK BLADDER BODY BRAIN BREAST CERVIX CHEST CHESTABDOMEN
    CHESTABDPELVIS CLAVICLE COLON CSPINE EAR ELBOW ESOPHAGUS EXTREMITY EYE FEMUR FOOT HAND HEAD
    HEADNECK HEART HIP HUMERUS JAW KIDNEY KNEE LEG LIVER LSPINE LUNG MAXILLA MEDIASTINUM MOUTH NECK
    NECKCHEST NECKCHESTABDOMEN NECKCHESTABDPELV NOSE ORBIT PANCREAS PAROTID PELVIS PHARYNX PROSTATE
    RECTUM RIB SHOULDER SKULL SPINE SPLEEN SSPINE STERNUM STOMACH TESTIS THIGH THORAX THYROID
    TLSPINE TONGUE TSPINE UTERUS VAGINA VULVA WHOLEBODY WRIST
""".split()
_COUNTS: Final = (
    *("DimensionIndexValues", "InStackPositionNumber", "TemporalPositionIndex"),
    "ConcatenationFrameOffsetNumber",
)
_SHAPES: Final = {
    name: re.compile(rb"(?:%b)?[ \0]*+" % shape, re.DOTALL)
    for name, shape in {
        # No age above 89 years (45 CFR 164.514(b)(2)(i)(C)).
        "AS": rb" *+(?:[0-9]{1,3}+[DWM]|0?[0-8]?[0-9]Y)",
        "AT": rb"(?:[\x18\x20\x28\x54]\0..)*+",  # attributes of acquisitions, images, PET series
        "CS": _UNTELLING + rb"[A-Za-z0-9 _./+\\-]*+",
        "DS": rb"%b(?:\\%b)*+" % (_DECIMAL, _DECIMAL),
        # No eight letters: of numbers that are measured, hardly one looks so.
        "FD": rb"(?:(?![A-Za-z ^,.-]{8}).{7}[\0\x36-\x46\x80\xb6-\xc6])*+",
        "FL": rb"(?:.{4})*+",
        "IS": rb"%b(?:\\%b)*+" % (_INTEGER, _INTEGER),
        "LO": _WORDS,
        "LT": _WORDS,
        "SH": _WORDS,
        "SL": rb"(?:.{4})*+",
        "SS": rb"(?:..)*+",
        "ST": _WORDS,
        "TM": CLOCK,
        "UI": rb"[0-9.]++",
        "UL": rb"(?:.{4})*+",
        "US": rb"..",
        "xs": rb"..",
        "PatientSex": rb"[MFO]",
        "AttenuationCorrectionMethod": rb"(?i:none|measured|calculated|ctac|mrac)",
        "RescaleType": rb"[A-Z0-9_]{1,16}",
        "BodyPartExamined": b"|".join(_BODY_PARTS),
        "StackID": rb" *+(?:[0-9]{1,4})? *+",
        **dict.fromkeys(_COUNTS, rb"(?:..\0\0)*+"),  # below 65536
        "AcquisitionMatrix": rb"(?:.[\0-\x1f]){4}",  # four numbers below 8192
        "SpecificCharacterSet": rb"(?:(?:ISO_IR|ISO 2022 IR) [0-9]{1,3}|GB18030|GBK|\\)*+",
    }.items()
}


def fits(keyword: str, vr: str, raw: bytes) -> bool:
    """Tell whether a value looks as its attribute's values do, and so may stay."""
    shape = _SHAPES.get(keyword) or _SHAPES[vr]
    return shape.fullmatch(raw) is not None


def body_parts() -> list[str]:
    """Return the parts of bodies that may be named."""
    return [part.decode("ascii") for part in _BODY_PARTS]


def has_shape(vr: str) -> bool:
    """Tell whether values of a VR can be looked at, and so be kept at all."""
    return vr in _SHAPES
