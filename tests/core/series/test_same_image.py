"""Copies that came by two routes are the same image; what differs in anything else is not."""

from io import BytesIO

import pytest
from pydicom import Dataset
from pydicom.sequence import Sequence

from drawcli.core.series.same_image import is_same_image
from tests.core.files import as_bytes, ct_slice, item


def made(**values: object) -> Dataset:
    inner = item(CodeValue="CT1", CodingSchemeDesignator="L")
    whole = ct_slice(RequestAttributesSequence=Sequence([item(ScheduledProcedureStepID="S")]))
    whole.RequestAttributesSequence[0].ScheduledProtocolCodeSequence = Sequence([inner])
    for keyword, value in values.items():
        setattr(whole, keyword, value)
    return whole


def same(one: bytes, other: bytes) -> bool:
    there, back = (is_same_image(BytesIO(a), BytesIO(b)) for a, b in ((one, other), (other, one)))
    assert there == back
    return there


def with_meta(whole: bytes, tail: bytes = b"") -> bytes:
    """Return a file with another preamble and one more element of file meta."""
    title = b"\x02\x00\x16\x00AE\x08\x00ROUTER2 "
    length = int.from_bytes(whole[140:144], "little") + len(title)
    meta = whole[132:140] + length.to_bytes(4, "little") + whole[144 : 144 + length - len(title)]
    return b"II*\0".ljust(128, b"\1") + b"DICM" + meta + title + whole[128 + len(meta) + 4 :] + tail


def delimited(whole: Dataset) -> Dataset:
    whole["RequestAttributesSequence"].is_undefined_length = True
    return whole


@pytest.mark.parametrize("syntax", ["explicit", "implicit"])
def test_the_route_that_a_file_came_by_makes_no_other_image(syntax: str) -> None:
    plain = as_bytes(made(), syntax)

    assert same(plain, plain)
    assert same(plain, with_meta(plain))
    assert same(plain, with_meta(plain, b"\xfc\xff\xfc\xffOB\0\0\x08\0\0\0" + bytes(8)))
    assert same(plain, as_bytes(delimited(made()), syntax))


def test_explicit_and_implicit_vr_and_padded_pixels_are_the_same_image() -> None:
    plain = as_bytes(made())

    assert same(plain, as_bytes(made(), "implicit"))
    assert same(plain, as_bytes(delimited(made()), "implicit"))
    assert same(plain, as_bytes(made(PixelData=made().PixelData + bytes(512))))


def test_any_other_difference_makes_another_image() -> None:
    plain = as_bytes(made())
    pixels = made().PixelData
    deep = made()
    deep.RequestAttributesSequence[0].ScheduledProtocolCodeSequence[0].CodeValue = "CT2"
    one_more = made()
    one_more.RequestAttributesSequence.append(item(ScheduledProcedureStepID="T"))

    for other in (
        made(WindowCenter="41"),
        made(StationName="NEW"),
        made(PixelData=b"\1" + pixels[1:]),
        made(PixelData=pixels + bytes(510) + b"\0\1"),
        made(PixelData=pixels[:-2]),
        deep,
        one_more,
    ):
        assert not same(plain, as_bytes(other))
    assert not same(plain, plain[:-1])
    assert not same(plain, b"no image")
    assert not same(plain, plain.replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2.5\0"))
