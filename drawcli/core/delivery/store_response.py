"""Parse the response of a STOW-RS request for one instance (PS3.18 10.5.3, annex I) strictly.

The response counts only if it names the instance that was sent, once. A reason for a failure or a
warning has the same codes as the status of a C-STORE (PS3.18 table I.2-2, PS3.4 table B.2-1).
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final
from xml.etree import ElementTree as ET

_CLASS, _INSTANCE = "00081150", "00081155"  # Referenced SOP Class UID, Instance UID
_WARNING, _FAILURE = "00081196", "00081197"  # Warning Reason, Failure Reason
_STORED, _FAILED = "00081199", "00081198"  # Referenced SOP Sequence, Failed SOP Sequence
_JSON: Final = frozenset({"application/dicom+json", "application/json"})
_XML: Final = frozenset({"application/dicom+xml", "application/xml", "text/xml"})
_DEEPEST: Final = 12  # levels of XML; a response needs 6
_LARGEST_CODE: Final = 0xFFFF
DataSet = Mapping[str, Any]  # as in DICOM JSON: {"00081150": {"vr": "UI", "Value": ["1.2"]}}


class UnreadableResponse(ValueError):
    """The response cannot be read, or does not fit the request; the text is a predicate."""


def store_status(body: bytes, media_type: str, sop_class: str, sop_instance: str) -> int | None:
    """Return the status of one instance: 0 if stored, the reason of a warning or failure.

    None if the response does not name the instance.

    Parameters
    ----------
    body
        The response; its length was limited before.
    media_type
        Its content type, with or without parameters.
    sop_class, sop_instance
        UIDs of the only instance that was sent.

    Raises
    ------
    UnreadableResponse
        If it cannot be read, names another instance, or contradicts itself.

    Examples
    --------
    >>> item = {"00081155": {"vr": "UI", "Value": ["1.2.3"]}}
    >>> body = json.dumps({"00081199": {"vr": "SQ", "Value": [item]}}).encode()
    >>> store_status(body, "application/dicom+json", "1.2", "1.2.3")
    0
    """
    response = _read(body, media_type)
    stored, failed = _items(response, _STORED), _items(response, _FAILED)
    for item in (*stored, *failed):
        if _text(item, _INSTANCE) != sop_instance or _text(item, _CLASS) not in (sop_class, ""):
            raise UnreadableResponse("answers for another SOP instance than the one it was sent")
    if len(stored) + len(failed) > 1:
        raise UnreadableResponse("answers for one SOP instance twice")
    if stored:
        return _code(stored[0], _WARNING) or 0
    if not failed:
        return None
    reason = _code(failed[0], _FAILURE)
    if not reason:
        raise UnreadableResponse("answers without the reason of a failure")
    return reason


def _read(body: bytes, media_type: str) -> DataSet:
    kind = media_type.partition(";")[0].strip().lower()
    if kind not in _JSON | _XML:
        raise UnreadableResponse("does not answer in DICOM JSON or DICOM XML")
    try:
        text = body.decode("utf-8-sig")
        response = _from_json(text) if kind in _JSON else _from_xml(text)
    except (ValueError, RecursionError, ET.ParseError):
        raise UnreadableResponse("sends an answer that cannot be read") from None
    if not isinstance(response, dict):
        raise UnreadableResponse("sends an answer that cannot be read")
    return response


def _from_json(text: str) -> Any:
    response = json.loads(text, object_pairs_hook=_without_duplicates)
    is_list_of_one = isinstance(response, list) and len(response) == 1  # as some archives answer
    return response[0] if is_list_of_one else response


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key twice")
    return found


def _from_xml(text: str) -> DataSet:
    """Return a data set of the native DICOM model (PS3.19 annex A)."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("declarations")  # entities could grow without end
    root = ET.fromstring(text)  # noqa: S314 - short, and without declarations
    if _name(root) != "NativeDicomModel":
        raise ValueError("another document")
    return _attributes(root, 1)


def _attributes(parent: ET.Element, depth: int) -> DataSet:
    if depth > _DEEPEST:
        raise ValueError("nested too deep")
    found: dict[str, Any] = {}
    for attribute in parent:
        tag = attribute.get("tag", "").upper()
        if _name(attribute) != "DicomAttribute" or tag in found:
            raise ValueError("not an attribute, or one twice")
        values: list[Any] = [
            _attributes(part, depth + 1) if _name(part) == "Item" else (part.text or "").strip()
            for part in attribute
        ]
        found[tag] = {"vr": attribute.get("vr"), "Value": values}
    return found


def _name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def _values(item: DataSet, tag: str) -> list[Any]:
    element = item.get(tag, {})
    values = element.get("Value", []) if isinstance(element, dict) else None
    if not isinstance(values, list):
        raise UnreadableResponse("sends an answer that cannot be read")
    return values


def _items(response: DataSet, tag: str) -> list[DataSet]:
    items = _values(response, tag)
    if not all(isinstance(item, dict) for item in items):
        raise UnreadableResponse("sends an answer that cannot be read")
    return items


def _only(values: Iterable[Any]) -> Any:
    first, *more = [*values] or [None]
    if more:
        raise UnreadableResponse("sends an answer that cannot be read")
    return first


def _text(item: DataSet, tag: str) -> str:
    value = _only(_values(item, tag))
    return value.rstrip("\0 ") if isinstance(value, str) else ""


def _code(item: DataSet, tag: str) -> int | None:
    """Return a US value; XML has it as text."""
    value = _only(_values(item, tag))
    if value is None:
        return None
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if not is_number and not (isinstance(value, str) and value.isascii() and value.isdecimal()):
        raise UnreadableResponse("sends an answer that cannot be read")
    code = int(value) if len(str(value)) < len("100000") else _LARGEST_CODE + 1
    if not 0 <= code <= _LARGEST_CODE:
        raise UnreadableResponse("sends an answer that cannot be read")
    return code
