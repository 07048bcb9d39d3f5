"""Headers that differ in few values are searched as if pydicom had read each of them."""

import io
import random
from collections.abc import Callable
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from drawcli.core.gate.needed import needed_keywords
from drawcli.core.gate.plain_values import plain_texts
from drawcli.core.gate.pydicom_elements import PIXEL_DATA, Piece, pieces, pixel_key, texts_of
from drawcli.core.gate.similar_headers import SimilarHeaders
from tests.core.files import as_bytes, ct_slice, item

META = "file meta/"
LENGTH = 0x00020000  # pydicom has decoded it, and keeps no bytes of it


def read(raw: bytes) -> Dataset:
    return dcmread(io.BytesIO(raw))


def numbered(number: int, **values: object) -> Dataset:
    """Return a slice that differs from its neighbours as those of a scanner do."""
    usual: dict[str, object] = {
        "InstanceNumber": str(number),
        "SOPInstanceUID": f"1.2.3.{number**5}",
        "ImagePositionPatient": ["-250", "-250", f"{number * 2.5}"],
        "ContentTime": f"1200{number % 60:02}.25",
    }
    return ct_slice(**usual | values)


def in_implicit_vr(one: Dataset) -> bytes:
    return as_bytes(one, "implicit")


def told(piece: Piece) -> tuple[Any, ...]:
    raw = b"" if piece.tag == LENGTH else piece.raw
    return piece.where, piece.tag, piece.keyword, piece.vr, tuple(piece.texts), raw


def told_by_pydicom(raws: list[bytes]) -> set[tuple[Any, ...]]:
    """Return all elements of all headers."""
    seen: set[Any] = set()
    found: set[tuple[Any, ...]] = set()
    for one in map(read, raws):
        found |= {*map(told, pieces(one.file_meta, seen, META)), *map(told, pieces(one, seen))}
    return found


def told_by_the_gate(raws: list[bytes]) -> tuple[set[tuple[Any, ...]], int]:
    """Return the same as the gate reads it, and how many headers pydicom did not read."""
    like, seen, similar_ones = SimilarHeaders(), set[Any](), 0
    found: set[tuple[Any, ...]] = set()
    for raw in raws:
        similar = like.match(raw)
        if similar is None:
            one = read(raw)
            like.learn(raw, one)
            found |= {*map(told, pieces(one.file_meta, seen, META)), *map(told, pieces(one, seen))}
            continue
        similar_ones += 1
        whole = read(raw)
        assert similar.key == pixel_key(whole)
        assert raw[similar.start : similar.end] == whole.get_item(PIXEL_DATA).value
        found |= set(map(told, similar.pieces(seen, META)))
    return found, similar_ones


LATIN, UNICODE = {"SpecificCharacterSet": "ISO_IR 100"}, {"SpecificCharacterSet": "ISO_IR 192"}
SERIES: dict[str, tuple[list[Any], int]] = {
    "numbers": ([{}], 6),
    "names": ([UNICODE | {"OperatorsName": name} for name in ("Tambe^P", "कुलकर्णी", "")], 5),
    "texts": ([{"ImageComments": text} for text in ("by Dr Tambe", "x" * 4000, "")], 5),
    "codes": ([{"ImageType": ["DERIVED", one]} for one in ("SECONDARY", "KULKARNEE")], 6),
    "sequences": (
        [
            {"ReferencedImageSequence": [item(ReferencedSOPInstanceUID=one)]}
            for one in ("1.2.3.99", "1.2.3.4.5")
        ],
        6,
    ),
    "character sets": (
        [one | {"OperatorsName": "Müller"} for one in (LATIN, UNICODE)],
        0,  # it decides how all names are read
    ),
    "sizes": ([{"Rows": rows, "PixelData": bytes(4 * rows)} for rows in (2, 4)], 0),
    "elements": ([{}, {"ImageComments": "sometimes"}], 0),
}


@pytest.mark.parametrize("write", [as_bytes, in_implicit_vr], ids=["explicit", "implicit"])
@pytest.mark.parametrize("what", SERIES)
def test_the_elements_of_a_series_are_those_that_pydicom_reads(
    what: str, write: Callable[[Dataset], bytes]
) -> None:
    values, least = SERIES[what]
    raws = [write(numbered(n, **values[n % len(values)])) for n in range(1, 10)]

    found, similar_ones = told_by_the_gate(raws)

    assert found == told_by_pydicom(raws)
    assert similar_ones >= least
    assert (similar_ones > 0) == (least > 0)


def private(one: Dataset, text: str) -> Dataset:
    one.private_block(0x0029, "ACME", create=True).add_new(1, "LO", text)
    return one


@pytest.mark.parametrize("write", [as_bytes, in_implicit_vr], ids=["explicit", "implicit"])
def test_private_elements_that_differ_are_read(write: Callable[[Dataset], bytes]) -> None:
    raws = [write(private(numbered(n), f"Kulkarnee {n}")) for n in range(1, 8)]

    found, similar_ones = told_by_the_gate(raws)

    assert found == told_by_pydicom(raws)
    assert similar_ones >= 4


def test_elements_out_of_order_are_read_as_pydicom_reads_them() -> None:
    raws = []
    for raw in (as_bytes(numbered(n)) for n in range(1, 8)):
        at, first = raw.index(b"\x20\0\x13\0IS"), raw.index(b"\x08\0\x05\0CS")
        moved = raw[at : at + 10]  # InstanceNumber, before SpecificCharacterSet
        raws.append(raw[:first] + moved + raw[first:at] + raw[at + 10 :])

    found, similar_ones = told_by_the_gate(raws)

    assert found == told_by_pydicom(raws)
    assert similar_ones == 4


def documented(number: int) -> Dataset:
    """Return a slice with an element of undefined length, which is another in the first slice."""
    one = numbered(number)
    document = b"first " if number == 1 else b"others"
    one.EncapsulatedDocument = b"\xfe\xff\0\xe0\6\0\0\0" + document
    one["EncapsulatedDocument"].is_undefined_length = True
    return one


def test_an_element_of_undefined_length_may_not_differ() -> None:
    raws = [as_bytes(documented(n)) for n in (2, 3, 4, 5, 6, 1)]

    found, similar_ones = told_by_the_gate(raws)
    assert found == told_by_pydicom(raws)
    assert similar_ones == 3

    found, similar_ones = told_by_the_gate([raws[-1], *raws[:-1]])
    assert found == told_by_pydicom(raws)
    assert similar_ones == 3


def test_bytes_that_were_seen_in_no_character_set_are_read_again_in_one() -> None:
    stated = b"\x08\0\x05\0CS\x0a\0ISO_IR 192"
    raws = [as_bytes(numbered(n, **UNICODE, OperatorsName=f"Müller {n}")) for n in range(5)]
    raws = [raws[4].replace(stated, b""), *raws]

    found, similar_ones = told_by_the_gate(raws)

    assert found == told_by_pydicom(raws)
    assert similar_ones == 2
    names = {texts for _, _, keyword, _, texts, _ in found if keyword == "OperatorsName"}
    assert {("Müller 4",), ("MÃ¼ller 4",)} <= names


def test_pixels_are_compared_at_the_position_of_each_header() -> None:
    """Also where nothing before the position differs."""
    raws = [as_bytes(numbered(1, ImagePositionPatient=["0", "0", f"{n}"])) for n in range(4)]

    found, similar_ones = told_by_the_gate(raws)

    assert found == told_by_pydicom(raws)
    assert similar_ones == 2


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("modality", [b"CT", b"CT \0", b"XCT ", b"\tCT ", b"MR"])
def test_the_elements_that_are_needed_are_those_of_the_modality(modality: bytes) -> None:
    usual = b"\x08\0\x60\0CS\2\0CT"
    other = usual[:6] + len(modality).to_bytes(2, "little") + modality
    raws = [as_bytes(numbered(n)).replace(usual, other) for n in (1, 2, 3, 4)]
    like = SimilarHeaders()
    for raw in raws[:3]:
        like.learn(raw, read(raw))

    similar = like.match(raws[3])

    assert similar is not None
    assert similar.needed == needed_keywords(read(raws[3]))
    assert ("KVP" in similar.needed) is modality.startswith(b"CT")


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_any_damage_is_seen_as_pydicom_sees_it() -> None:
    """One byte of a header changed at random, in a series that is known by then."""
    dice, raws = random.Random(3), [as_bytes(numbered(n)) for n in range(1, 6)]  # noqa: S311 - no secrets
    usual, matched, like = told_by_pydicom(raws), 0, SimilarHeaders()
    for raw in raws:
        like.learn(raw, read(raw))
    for _ in range(150):
        spoilt = bytearray(as_bytes(numbered(dice.randrange(6, 99))))
        at = dice.randrange(132, len(spoilt) - 8)
        spoilt[at] = dice.randrange(256)
        similar = like.match(bytes(spoilt))
        if similar is None:
            continue
        matched += 1
        new = set(map(told, similar.pieces(set(), META)))
        whole = read(bytes(spoilt))
        seen: set[Any] = set()
        every = {*map(told, pieces(whole.file_meta, seen, META)), *map(told, pieces(whole, seen))}
        assert new <= every
        assert every - usual <= new
    assert matched > 7


@pytest.mark.parametrize(
    ("vr", "values"),
    [
        ("DS", ["1", "-1.50", " 2.5e-3 ", "1\\2\\3 ", ".5", "5.", "+7", "1e99", "0" * 16]),
        ("IS", ["1", "-12 ", "1\\2", " 7", "000", "123456789"]),
        ("UI", ["1.2.3", "1.2\\3.4", "2.25." + "1" * 39]),
        ("DA", ["20260314", "20260314\\20260315\\20260316\\20260317"]),
        ("TM", ["1200", "120000.25 ", "12", "235959.999999"]),
    ],
)
def test_plain_values_are_those_that_pydicom_decodes(vr: str, values: list[str]) -> None:
    keyword = {
        "DS": "WindowCenter",
        "IS": "ReferencedFrameNumber",
        "UI": "ReferencedSOPInstanceUID",
        "DA": "ContentDate",
        "TM": "ContentTime",
    }[vr]
    for value in values:
        one = ct_slice()
        setattr(one, keyword, "")
        raw = as_bytes(one)
        head = raw.index(vr.encode() + b"\0\0", 300)
        coded = value.encode() + (b"\0" if vr == "UI" else b" ") * (len(value) % 2)
        spliced = raw[: head + 2] + len(coded).to_bytes(2, "little") + coded + raw[head + 4 :]
        decoded = read(spliced)[keyword]
        assert vr == decoded.VR
        assert plain_texts(vr, coded) == texts_of(decoded.value), value


@pytest.mark.parametrize(
    ("vr", "raw"),
    [
        ("DS", b"abc "),
        ("DS", b""),
        ("DS", b"1.5\\"),
        ("DS", b"Nan "),
        ("IS", b"1.5 "),
        ("UI", b"1.2.x"),
        ("DA", b"2026-03-14"),
        ("TM", b"Kulkarnee"),
        ("LO", b"1.5 "),
        ("PN", b"A^B "),
        ("US", b"abc"),
        ("", b"1"),
    ],
)
def test_all_other_values_are_left_to_pydicom(vr: str, raw: bytes) -> None:
    assert plain_texts(vr, raw) is None


def test_the_differing_values_are_returned_as_plain_text_by_place() -> None:
    like, similar = SimilarHeaders(), None
    for number in (1, 2, 3, 4):
        times = ["1200", f"130{number}"]
        raw = as_bytes(numbered(number, AcquisitionTime=times, PatientSex="FMOF"[number - 1]))
        similar = like.match(raw)
        if similar is None:
            like.learn(raw, read(raw))

    assert similar is not None
    uid = f"1.2.3.{4**5}"
    keywords = {"AcquisitionTime", "SOPInstanceUID", "PatientSex", "Rows"}
    assert similar.plain(keywords) == {  # the sex is a text
        "AcquisitionTime": "1200\\1304",
        "SOPInstanceUID": uid,
    }
    stated = f"{META}MediaStorageSOPInstanceUID"
    assert similar.plain({stated}, META) == {stated: uid}
    assert similar.plain({stated}) == {}
    assert similar.is_plain({"SOPInstanceUID", "Rows"})
    assert not similar.is_plain({"SOPInstanceUID", "PatientSex"})
    assert similar.key == pixel_key(read(raw))
    seen: set[Any] = set()
    assert [*similar.pieces(seen)]
    assert [*similar.pieces(seen)] == []


def test_a_header_does_not_match_if_a_value_that_must_be_plain_is_not() -> None:
    for must_be_plain, matches in ((frozenset[str](), True), (frozenset({"PatientSex"}), False)):
        like = SimilarHeaders(must_be_plain)
        assert (like.length, like.match(as_bytes(numbered(1)))) == (0, None)
        raw = b""
        for number in (1, 2, 3):
            raw = as_bytes(numbered(number, PatientSex="FMO"[number - 1]))
            like.learn(raw, read(raw))
        assert like.length == len(raw) - 8

        assert (like.match(as_bytes(numbered(4, PatientSex="F"))) is not None) is matches
        assert like.match(as_bytes(numbered(4, PatientName="Other"))) is None
        assert like.match(b"") is None


def test_a_header_whose_lengths_differ_is_found_with_its_pixels() -> None:
    like = SimilarHeaders()
    for number in (1, 12, 123):
        raw = as_bytes(numbered(number, ImageComments="x" * number))
        like.learn(raw, read(raw))

    longer = as_bytes(numbered(1234, ImageComments="y" * 300))
    similar = like.match(longer)

    assert similar is not None
    assert (similar.start, similar.end) == (len(longer) - 8, len(longer))
    assert similar.needed == needed_keywords(read(longer))
