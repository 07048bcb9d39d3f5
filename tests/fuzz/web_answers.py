"""Answers of DICOMweb archives."""

import json

from drawcli.core.delivery.store_response import UnreadableResponse, store_status
from tests.fuzz import json_values
from tests.fuzz.targets import UNITS, Units, target

UNITS["stow_json"] = Units(alter=json_values.altered)
CLASS, INSTANCE = "1.2.840.10008.5.1.4.1.1.481.3", "1.2.3"


@target
def stow_json(data: bytes) -> None:
    """A STOW-RS answer in DICOM JSON."""
    _stow(data, "application/dicom+json")


@target
def stow_xml(data: bytes) -> None:
    """A STOW-RS answer in the native DICOM model."""
    _stow(data, "application/dicom+xml")


def _stow(data: bytes, media_type: str) -> None:
    try:
        status = store_status(data, media_type, CLASS, INSTANCE)
    except UnreadableResponse:
        return
    if status is not None:
        assert 0 <= status <= 0xFFFF
        assert INSTANCE.encode() in data or "json" in media_type or b"&#" in data
    if status == 0 and "json" in media_type:
        plain = json.loads(data.decode("utf-8-sig"))
        plain = plain[0] if isinstance(plain, list) else plain
        (item,) = plain["00081199"]["Value"]
        assert item["00081155"]["Value"][0].rstrip("\0 ") == INSTANCE
        assert not plain.get("00081198", {}).get("Value")
