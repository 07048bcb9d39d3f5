"""The elements and the file meta that drawcli writes itself.

References
----------
PS3.3 C.12.1, C.7.1.1 (markers of de-identification), PS3.10 7.1 (file meta).
"""

from collections.abc import Iterable
from functools import cache
from typing import Final

from drawcli import __version__
from drawcli.core.deid.profile import CHARACTERISTICS, EDITION, MODIFIED_DATES, PROFILE, Choices
from drawcli.core.dicom import tags
from drawcli.core.dicom.encoding import encode, encode_item, file_beginning

IMPLEMENTATION_CLASS: Final = "2.25.311886914404290474935046405817604716498"
_METHOD: Final = (
    f"drawcli {__version__}\\DICOM PS3.15 {EDITION} Annex E, keep-list, options as coded"
)
# PS3.16 CID 7050, and the purpose of the contributing equipment (CID 7005).
MEANINGS: Final = {
    PROFILE: "Basic Application Confidentiality Profile",
    CHARACTERISTICS: "Retain Patient Characteristics Option",
    MODIFIED_DATES: "Retain Longitudinal Temporal Information Modified Dates Option",
    "109104": "De-identifying Equipment",
}


@cache
def own_elements(choices: Choices, *, explicit: bool) -> dict[int, bytes]:
    """Return the elements that describe the de-identification (PS3.3 C.12.1, C.7.1.1)."""
    shifted = b"REMOVED" if choices.fixed_dates else b"MODIFIED"
    codes = b"".join(_code(code, explicit=explicit) for code in choices.claims)
    purpose = _code("109104", explicit=explicit)
    equipment = _elements(
        (
            (0x00080070, b"LO", b"DRAW"),
            (0x00081090, b"LO", b"drawcli"),
            (0x00181020, b"LO", __version__.encode("ascii")),
            (0x0040A170, b"SQ", purpose),
        ),
        explicit=explicit,
    )
    return {
        tag: encode(tag, vr, value, explicit=explicit)
        for tag, vr, value in (
            (tags.PatientIdentityRemoved, b"CS", b"YES"),
            (tags.DeidentificationMethod, b"LO", _METHOD.encode("ascii")),
            (tags.DeidentificationMethodCodeSequence, b"SQ", codes),
            (tags.ContributingEquipmentSequence, b"SQ", encode_item(equipment)),
            (tags.LongitudinalTemporalInformationModified, b"CS", shifted),
        )
    }


def _code(value: str, *, explicit: bool) -> bytes:
    """Return an item with the attributes of a coded entry (PS3.3 table 8.8-1)."""
    entry = (
        (0x00080100, b"SH", value.encode("ascii")),
        (0x00080102, b"SH", b"DCM"),
        (0x00080104, b"LO", MEANINGS[value].encode("ascii")),
    )
    return encode_item(_elements(entry, explicit=explicit))


def _elements(parts: Iterable[tuple[int, bytes, bytes]], *, explicit: bool) -> bytes:
    return b"".join(encode(tag, vr, value, explicit=explicit) for tag, vr, value in parts)


def file_meta(sop_class: str, sop_uid: str, transfer_syntax: str) -> bytes:
    """Return a zeroed preamble, the prefix, and new file meta (PS3.10 7.1)."""
    body = _elements(
        (
            (0x00020001, b"OB", b"\0\1"),
            (0x00020002, b"UI", sop_class.encode("ascii")),
            (0x00020003, b"UI", sop_uid.encode("ascii")),
            (0x00020010, b"UI", transfer_syntax.encode("ascii")),
            (0x00020012, b"UI", IMPLEMENTATION_CLASS.encode("ascii")),
            (0x00020013, b"SH", f"DRAWCLI_{__version__}"[:16].encode("ascii")),
        ),
        explicit=True,
    )
    return file_beginning(body)
