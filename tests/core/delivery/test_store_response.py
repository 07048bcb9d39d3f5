"""Responses of STOW-RS: what they say about the instance that was sent, and those that lie."""

import json
from typing import Any

import pytest

from drawcli.core.delivery.store_response import UnreadableResponse, store_status

CLASS, INSTANCE = "1.2.840.10008.5.1.4.1.1.481.3", "2.25.7"
STORED, FAILED, WARNING, REASON = "00081199", "00081198", "00081196", "00081197"
JSON, XML = "application/dicom+json", "application/dicom+xml"


def item(instance: str = INSTANCE, sop_class: str = CLASS, **codes: Any) -> dict[str, Any]:
    uids = {"00081150": ("UI", sop_class), "00081155": ("UI", instance)}
    every = uids | {f"0008{key[1:]}": ("US", code) for key, code in codes.items()}
    return {tag: {"vr": vr, "Value": [value]} for tag, (vr, value) in every.items()}


def as_json(**sequences: list[dict[str, Any]]) -> bytes:
    return json.dumps(
        {f"0008{key[1:]}": {"vr": "SQ", "Value": items} for key, items in sequences.items()}
    ).encode()


def as_xml(**sequences: list[dict[str, Any]]) -> bytes:
    def attribute(tag: str, vr: str, inner: str) -> str:
        return f'<DicomAttribute tag="{tag}" vr="{vr}">{inner}</DicomAttribute>'

    def one(number: int, item: dict[str, Any]) -> str:
        inner = "".join(
            attribute(tag, value["vr"], f'<Value number="1">{value["Value"][0]}</Value>')
            for tag, value in item.items()
        )
        return f'<Item number="{number}">{inner}</Item>'

    whole = "".join(
        attribute(f"0008{key[1:]}", "SQ", "".join(one(n, item) for n, item in enumerate(items, 1)))
        for key, items in sequences.items()
    )
    space = "http://dicom.nema.org/PS3.19/models/NativeDICOM"
    root = f'<NativeDicomModel xmlns="{space}">{whole}</NativeDicomModel>'
    return f'<?xml version="1.0"?>{root}'.encode()


EACH = pytest.mark.parametrize(("kind", "make"), [(JSON, as_json), (XML, as_xml)])


def status(body: bytes, kind: str = JSON) -> int | None:
    return store_status(body, kind, CLASS, INSTANCE)


@EACH
def test_an_instance_that_is_stored_has_status_0(kind: str, make: Any) -> None:
    assert status(make(_1199=[item()]), kind) == 0


@EACH
@pytest.mark.parametrize("code", [0xB000, 0xB006])
def test_a_warning_of_the_archive_is_its_status(kind: str, make: Any, code: int) -> None:
    assert status(make(_1199=[item(_1196=code)]), kind) == code


@EACH
@pytest.mark.parametrize("code", [0x0111, 0xA700, 0xC000])
def test_the_reason_of_a_failure_is_its_status(kind: str, make: Any, code: int) -> None:
    assert status(make(_1198=[item(_1197=code)]), kind) == code


@EACH
def test_a_response_that_does_not_name_the_instance_says_nothing(kind: str, make: Any) -> None:
    assert status(make(), kind) is None
    assert status(make(_1199=[]), kind) is None


@EACH
def test_a_response_about_another_instance_or_class_is_refused(kind: str, make: Any) -> None:
    for other in (item("2.25.8"), item(sop_class="1.2.3")):
        with pytest.raises(UnreadableResponse, match="another SOP instance"):
            status(make(_1199=[other]), kind)
        with pytest.raises(UnreadableResponse, match="another SOP instance"):
            status(make(_1199=[item()], _1198=[other]), kind)


@EACH
def test_an_instance_that_is_stored_and_failed_is_a_contradiction(kind: str, make: Any) -> None:
    with pytest.raises(UnreadableResponse, match="twice"):
        status(make(_1199=[item()], _1198=[item(_1197=0xC000)]), kind)
    with pytest.raises(UnreadableResponse, match="twice"):
        status(make(_1199=[item(), item()]), kind)


@EACH
@pytest.mark.parametrize("codes", [{}, {"_1197": 0}])
def test_a_failure_without_a_reason_is_refused(kind: str, make: Any, codes: Any) -> None:
    with pytest.raises(UnreadableResponse, match="without the reason"):
        status(make(_1198=[item(**codes)]), kind)


def test_a_list_with_one_response_is_that_response() -> None:
    assert status(b"[" + as_json(_1199=[item()]) + b"]") == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"[{}, {}]",
        b"7",
        b"{",
        b"\xff\xfe",
        b'{"00081199": 7}',
        b'{"00081199": {"Value": 7}}',
        b'{"00081199": {"Value": [7]}}',
        b'{"00081199": {"Value": []}, "00081199": {"Value": []}}',
        as_json(_1199=[item(_1196=True)]),
        as_json(_1199=[item(_1196=-1)]),
        as_json(_1199=[item(_1196=0x1FFFF)]),
        as_json(_1198=[item(_1197=[1, 2])]),
        as_json(_1198=[item(_1197="9" * 9999)]),
        b"[" * 30_000,
        b'{"a":' * 30_000,
    ],
)
def test_json_that_is_no_response_is_refused(body: bytes) -> None:
    with pytest.raises(UnreadableResponse):
        status(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<a/>",
        b"<NativeDicomModel>",
        b"<NativeDicomModel><Item/></NativeDicomModel>",
        as_xml(_1199=[]).replace(b"></DicomAttribute>", b"><Value>7</Value></DicomAttribute>"),
        as_xml(_1199=[item()]).replace(b"?>", b"?><!DOCTYPE x>", 1),
        as_xml(_1199=[item()]).decode().encode("utf-16"),
        b"<NativeDicomModel>" + b'<DicomAttribute tag="1"><Item>' * 20,
        b"<NativeDicomModel>"
        + b'<DicomAttribute tag="1"><Item>' * 20
        + b"</Item></DicomAttribute>" * 20
        + b"</NativeDicomModel>",
    ],
)
def test_xml_that_is_no_response_is_refused(body: bytes) -> None:
    with pytest.raises(UnreadableResponse):
        status(body, XML)


def test_entities_of_xml_are_not_expanded() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "1234567890">' + b"".join(
        b'<!ENTITY %c "&%c;&%c;&%c;&%c;&%c;&%c;&%c;&%c;">' % ((n + 1, *[n] * 8))
        for n in range(97, 115)
    )
    with pytest.raises(UnreadableResponse):
        status(bomb + b"]><NativeDicomModel>&s;</NativeDicomModel>", XML)


@pytest.mark.parametrize("kind", ["", "text/html", "application/dicom", "multipart/related"])
def test_another_media_type_is_refused(kind: str) -> None:
    with pytest.raises(UnreadableResponse, match="does not answer in DICOM"):
        status(as_json(_1199=[item()]), kind)


def test_the_media_type_may_have_parameters() -> None:
    assert status(as_json(_1199=[item()]), "Application/DICOM+json; charset=utf-8") == 0
