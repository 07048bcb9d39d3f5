"""Values of the received file that are delivered if valid: dates, times, manufacturer."""

import re
from datetime import date
from typing import Final

from drawcli.core.deid.engine import FIXED_DATE
from drawcli.core.dicom.header import Header
from drawcli.core.series.crosswalk import Crosswalk

# VR, and whether the element must be present.
_KEPT: Final = {
    0x00080012: ("DA", False),  # InstanceCreationDate
    0x00080013: ("TM", False),  # InstanceCreationTime
    0x00080021: ("DA", False),  # SeriesDate
    0x00080031: ("TM", False),  # SeriesTime
    0x00080070: ("LO", True),  # Manufacturer
    0x00081090: ("LO", False),  # ManufacturerModelName
    0x00181020: ("LO", False),  # SoftwareVersions
    0x00200011: ("IS", True),  # SeriesNumber
    0x30060008: ("DA", True),  # StructureSetDate
    0x30060009: ("TM", True),  # StructureSetTime
}
_FORMS: Final = {  # of values without padding (PS3.5 table 6.2-1)
    "IS": re.compile(r"[+-]?[0-9]{1,9}"),
    "LO": re.compile(r"[ -\[\]-~]{1,64}"),
    "TM": re.compile(r"(?:[01][0-9]|2[0-3])(?:[0-5][0-9]){0,2}(?:\.[0-9]{1,6})?"),
}


def server_values(header: Header, crosswalk: Crosswalk) -> dict[int, bytes]:
    """Return the kept elements; invalid values are empty if required, or else left out."""
    values: dict[int, bytes] = {}
    for tag, (vr, needed) in _KEPT.items():
        text = header.text(tag)
        if vr == "DA":
            text = crosswalk.dates.get(text, text)
            text = "" if text == FIXED_DATE else text
        valid = _is_date(text) if vr == "DA" else _FORMS[vr].fullmatch(text) is not None
        if valid or needed:
            values[tag] = text.encode("ascii") if valid else b""
    return values


def _is_date(text: str) -> bool:
    """Return whether a text is a valid DA (YYYYMMDD)."""
    try:
        return date.fromisoformat(text).strftime("%Y%m%d") == text
    except ValueError:
        return False
