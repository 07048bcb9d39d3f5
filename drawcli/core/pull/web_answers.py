"""QIDO-RS: the path and parameters of a query, and its answers in DICOM JSON (PS3.18 10.6, F)."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, urlencode

from drawcli.core.dicom import tags
from drawcli.core.pull.answers import ArchivedSeries, BadAnswer
from drawcli.core.pull.keys import IMAGE, SERIES

_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}")
_LONGEST_VALUE: Final = 4096  # characters; longer ones are no values that are compared
_UPPER: Final = {  # the UIDs that stand in the path, by level
    SERIES: frozenset({tags.StudyInstanceUID}),
    IMAGE: frozenset({tags.StudyInstanceUID, tags.SeriesInstanceUID}),
}


def query_path(level: str, attributes: Mapping[int, str], offset: int, limit: int) -> str:
    """Return the path and parameters of a query.

    Parameters
    ----------
    level, attributes
        As for C-FIND: tags and values, "" for what is to be returned.
    offset, limit
        The first answer of a page, and their number.
    """
    upper = _UPPER.get(level, frozenset())
    asked = {tag: value for tag, value in attributes.items() if tag not in upper}
    named = [(f"{tag:08X}", value) for tag, value in asked.items() if value]
    named += [("includefield", f"{tag:08X}") for tag, value in asked.items() if not value]
    named += [("limit", str(limit)), ("offset", str(offset))]
    parents = "".join(
        f"/{name}/{quote(attributes[tag], safe='')}"
        for tag, name in ((tags.StudyInstanceUID, "studies"), (tags.SeriesInstanceUID, "series"))
        if tag in upper
    )
    what = {SERIES: "series", IMAGE: "instances"}.get(level, "studies")
    return f"{parents}/{what}?{urlencode(named, errors='replace')}"


def retrieve_path(series: ArchivedSeries, sop_instance: str = "") -> str:
    """Return the path of a series, or of one of its instances."""
    path = f"/studies/{series.study}/series/{series.series}"
    return f"{path}/instances/{sop_instance}" if sop_instance else path


def decode_answers(body: bytes) -> list[dict[int, list[str]]]:
    """Return the attributes of each answer; raise BadAnswer if they cannot be read."""
    try:
        plain = json.loads(body.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        plain = None
    if not isinstance(plain, list) or not all(isinstance(one, dict) for one in plain):
        raise BadAnswer("sends an answer that cannot be read")
    return [_attributes(one) for one in plain]


def _attributes(plain: Mapping[str, Any]) -> dict[int, list[str]]:
    found = dict[int, list[str]]()
    for name, element in plain.items():
        values = element.get("Value") if isinstance(element, dict) else None
        if _TAG.fullmatch(name) and isinstance(values, list):
            found[int(name, 16)] = [text for value in values if (text := _text(value)) is not None]
    return found


def _text(value: Any) -> str | None:
    """Return a value as text; None for an item of a sequence, or a value that is too long."""
    if isinstance(value, dict):  # of VR PN
        value = value.get("Alphabetic")
    if value is None:
        return ""
    text = str(value) if isinstance(value, str | int | float) else None
    return text if text is not None and len(text) <= _LONGEST_VALUE else None
