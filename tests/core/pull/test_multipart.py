"""The parts of a multipart body, however it is cut; and the file meta at their beginning."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawcli.core.pull.answers import BadAnswer
from drawcli.core.pull.multipart import PartReader, boundary_of, file_meta

MARK = b"xYz"


def body(*parts: bytes, head: bytes = b"Content-Type: application/dicom") -> bytes:
    made = b"".join(b"\r\n--" + MARK + b"\r\n" + head + b"\r\n\r\n" + part for part in parts)
    return made[2:] + b"\r\n--" + MARK + b"--\r\n"


def parts_of(pieces: list[bytes]) -> tuple[list[bytes], bool]:
    reader, found = PartReader(MARK), list[bytearray]()
    ended = 0
    for piece in pieces:
        for one in reader.feed(piece):
            if one is None:
                found.append(bytearray())
            else:
                ended += one == b""
                found[-1] += one
    assert ended == len(found) or not reader.is_ended
    return list(map(bytes, found)), reader.is_ended


@given(
    st.lists(st.binary(max_size=40).filter(lambda part: b"\r\n--" + MARK not in part), max_size=4),
    st.lists(st.integers(1, 12), max_size=40),
)
def test_parts_survive_every_cut(parts: list[bytes], cuts: list[int]) -> None:
    whole, pieces = body(*parts) if parts else b"--" + MARK + b"--", list[bytes]()
    for cut in cuts:
        pieces.append(whole[:cut])
        whole = whole[cut:]

    assert parts_of([*pieces, whole]) == (parts, True)


def test_what_resembles_a_delimiter_is_content() -> None:
    part = b"\r\n--xY\r\n\r--xYz\r\n-" * 3

    assert parts_of([bytes([byte]) for byte in body(part, b"")]) == ([part, b""], True)


def test_a_preamble_is_skipped_and_what_follows_the_end_ignored() -> None:
    assert parts_of([b"for old mail readers\r\n" + body(b"one") + b"more"]) == ([b"one"], True)


def test_a_body_that_ends_early_is_known() -> None:
    whole = body(b"one", b"two")

    assert parts_of([whole[:-10]])[1] is False


@pytest.mark.parametrize(
    "data",
    [bytes(100_000), b"--xYz\r\n" + bytes(100_000), b"--xYz\r\nA: " + b"b" * 9000 + b"\r\n\r\n"],
)
def test_a_body_without_parts_or_with_endless_heads_is_refused(data: bytes) -> None:
    with pytest.raises(BadAnswer):
        parts_of([data[at : at + 5000] for at in range(0, len(data), 5000)])


@pytest.mark.parametrize(
    ("kind", "boundary"),
    [
        ('multipart/related; type="application/dicom"; boundary=abc', b"abc"),
        ('Multipart/Related; boundary="a b:c"; type="application/dicom"', b"a b:c"),
    ],
)
def test_the_boundary_is_read(kind: str, boundary: bytes) -> None:
    assert boundary_of(kind) == boundary


@pytest.mark.parametrize(
    "kind", ["", "application/dicom", "multipart/related", "text/html; boundary=abc"]
)
def test_another_content_is_refused(kind: str) -> None:
    with pytest.raises(BadAnswer, match="multipart/related"):
        boundary_of(kind)


def dicom_file(syntax: bytes = b"1.2.840.10008.1.2.1", uid: bytes = b"1.2.3\0") -> bytes:
    def element(number: int, value: bytes) -> bytes:
        value += b"\0" * (len(value) % 2)
        return struct.pack("<HH2sH", 2, number, b"UI", len(value)) + value

    meta = element(2, b"1.2.840.10008.5.1.4.1.1.2\0") + element(3, uid) + element(0x10, syntax)
    length = struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(meta))
    return bytes(128) + b"DICM" + length + meta


def test_the_file_meta_is_read_once_it_is_whole() -> None:
    whole = dicom_file()

    assert all(file_meta(whole[:size]) is None for size in range(len(whole)))
    found = file_meta(whole + b"data")
    assert found is not None
    assert found.sop_instance == "1.2.3"
    assert found.transfer_syntax == "1.2.840.10008.1.2.1"
    assert found.length == len(whole)


@pytest.mark.parametrize(
    "data",
    [
        b"<html>" * 50,
        bytes(128) + b"DICM" + bytes(100),
        dicom_file().replace(b"UL\4\0", b"UL\4\1"),
        dicom_file()[:140] + b"\xff\xff\xff\xff" + dicom_file()[144:],
        dicom_file().replace(b"UI", b"QQ"),
    ],
)
def test_what_is_no_dicom_file_is_refused(data: bytes) -> None:
    with pytest.raises(BadAnswer):
        file_meta(data)


def test_a_uid_that_is_none_is_empty() -> None:
    found = file_meta(dicom_file(uid=b"../../etc/"))

    assert found is not None
    assert found.sop_instance == ""
