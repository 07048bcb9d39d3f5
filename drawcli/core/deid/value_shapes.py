"""The value format of each kept element; values of another format are emptied.

A file may hold anything under any tag: a name as a slice thickness, a record number as a count.

References
----------
PS3.5 table 6.2-1, with common deviations of scanners.
"""

import re
from typing import Final

_DECIMAL: Final = rb" *+(?:[+-]?(?:[0-9]++\.?[0-9]*+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?)? *+"
_INTEGER: Final = rb" *+(?:[+-]?[0-9]{1,12}+)? *+"
# A time of day, and no other six digits (PS3.5 table 6.2-1; 60 is a leap second).
CLOCK: Final = rb"(?:[01][0-9]|2[0-3])(?::?[0-5][0-9](?::?(?:[0-5][0-9]|60)(?:\.[0-9]{1,6}+)?)?)?"
# No record number, date or UID.
_NO_NUMBER: Final = rb"(?![^\0]*[0-9]{6})"
_NO_DATE: Final = rb"(?![^\0]*[0-9][./ -][0-9]{1,2}+[./ -][0-9]{2})"
_NO_UID: Final = rb"(?![^\0]*(?:[0-9]++\.){4})"
_NO_IDENTIFIER: Final = _NO_NUMBER + _NO_DATE + _NO_UID
# Names of devices: no mail address, ASCII only.
_DEVICE_TEXT: Final = _NO_IDENTIFIER + rb"[ -?A-~]{0,64}+"
# PS3.16 Annex L: the body parts of planning scans.
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
        "CS": _NO_IDENTIFIER + rb"[A-Za-z0-9 _./+\\-]*+",
        "DS": rb"%b(?:\\%b)*+" % (_DECIMAL, _DECIMAL),
        # Not eight letters: few measured numbers have such bytes.
        "FD": rb"(?:(?![A-Za-z ^,.-]{8}).{7}[\0\x36-\x46\x80\xb6-\xc6])*+",
        "FL": rb"(?:.{4})*+",
        "IS": rb"%b(?:\\%b)*+" % (_INTEGER, _INTEGER),
        "LO": _DEVICE_TEXT,
        "LT": _DEVICE_TEXT,
        "SH": _DEVICE_TEXT,
        "SL": rb"(?:.{4})*+",
        "SS": rb"(?:..)*+",
        "ST": _DEVICE_TEXT,
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
    """Return whether a value has the format of its attribute."""
    shape = _SHAPES.get(keyword) or _SHAPES[vr]
    return shape.fullmatch(raw) is not None


def body_parts() -> list[str]:
    """Return the accepted values of Body Part Examined."""
    return [part.decode("ascii") for part in _BODY_PARTS]


def has_shape(vr: str) -> bool:
    """Return whether values of a VR have a known format, so that they can be kept."""
    return vr in _SHAPES
