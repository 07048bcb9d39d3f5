"""Answers of an archive: read strictly; what is no UID never becomes one."""

import struct
from collections.abc import Sequence
from datetime import date

import pytest

from drawcli.core.dicom import tags
from drawcli.core.pull.answers import (
    ArchivedInstance,
    ArchivedSeries,
    BadAnswer,
    decode_answer,
    encode_query,
    instance_in,
    mismatches,
    query_of,
    return_keys,
    series_in,
    study_in,
)
from drawcli.core.pull.keys import IMAGE, SERIES, STUDY, QueryKey

ASKED = ArchivedSeries("1.2.9", "1.2.3", "CT")
TODAY = date(2026, 3, 1)


def element(tag: int, value: bytes) -> bytes:
    value += b" " * (len(value) % 2)
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value


def answer(*elements: tuple[int, bytes]) -> dict[int, list[str]]:
    return decode_answer(b"".join(element(tag, value) for tag, value in elements))


def test_a_query_names_upper_levels_keys_and_what_is_to_be_returned() -> None:
    keys = [QueryKey("Modality", ("CT",)), QueryKey("StudyDate", ("-1d",))]

    asked = query_of(SERIES, return_keys(SERIES, study="1.2.9"), keys, TODAY)
    read = decode_answer(encode_query(SERIES, asked))

    assert read[0x00080052] == ["SERIES"]
    assert read[tags.StudyInstanceUID] == ["1.2.9"]
    assert read[tags.SeriesInstanceUID] == [""]
    assert read[tags.Modality] == ["CT"]
    assert tags.StudyDate not in read  # of the level above


def test_texts_beyond_ascii_are_asked_in_utf_8() -> None:
    key = QueryKey("StudyDescription", ("Schädel*",))

    raw = encode_query(STUDY, query_of(STUDY, return_keys(STUDY), [key], TODAY))

    assert b"ISO_IR 192" in raw
    assert "Schädel*".encode() in raw


def test_texts_are_read_in_their_character_set() -> None:
    read = answer(
        (tags.SpecificCharacterSet, b"ISO_IR 100"), (tags.SeriesDescription, b"Sch\xe4del")
    )

    assert mismatches(read, [QueryKey("SeriesDescription", ("schädel",))], SERIES, TODAY) == []


def test_a_character_set_that_is_none_ends_in_a_text() -> None:
    read = answer((tags.SpecificCharacterSet, b"A\0B"), (tags.SeriesDescription, b"Sch\xe4del"))

    assert read[tags.SeriesDescription] == ["Schädel"]


@pytest.mark.parametrize(
    "uid",
    [b"", b"../../etc", b"1.2\0.3", b"1.2/3", b"1..2", b"C:1", b"\xed\xa0\x80", b"1" * 65, b"1\\2"],
)
def test_what_is_no_uid_is_an_error_that_quotes_nothing(uid: bytes) -> None:
    for read, tag, upper in (
        (study_in, tags.StudyInstanceUID, ()),
        (lambda one: series_in(one, "1.2.9"), tags.SeriesInstanceUID, ()),
        (lambda one: instance_in(one, ASKED), tags.SOPInstanceUID, ()),
    ):
        with pytest.raises(BadAnswer, match="without a valid") as err:
            read(answer((tag, uid), *upper))
        assert "etc" not in str(err.value)


@pytest.mark.parametrize(
    "elements",
    [
        [(tags.SOPInstanceUID, b"1.5"), (tags.SeriesInstanceUID, b"1.2.4")],
        [(tags.SOPInstanceUID, b"1.5"), (tags.StudyInstanceUID, b"1.2.8")],
        [(tags.SOPInstanceUID, b"1.5"), (tags.SeriesInstanceUID, b"1.2.3\\1.2.4")],
        [(tags.SOPInstanceUID, b"1.5"), (tags.SeriesInstanceUID, b"../x")],
    ],
)
def test_an_answer_about_another_series_is_an_error(
    elements: Sequence[tuple[int, bytes]],
) -> None:
    with pytest.raises(BadAnswer, match="for another"):
        instance_in(answer(*elements), ASKED)


def test_an_answer_need_not_repeat_the_series() -> None:
    whole = answer(
        (tags.SOPClassUID, b"1.2.840.10008.5.1.4.1.1.2"),
        (tags.SOPInstanceUID, b"1.5"),
        (tags.StudyInstanceUID, b"1.2.9"),
        (tags.SeriesInstanceUID, b"1.2.3"),
    )

    assert instance_in(answer((tags.SOPInstanceUID, b"1.5")), ASKED) == ArchivedInstance("1.5")
    assert instance_in(whole, ASKED) == ArchivedInstance("1.5", "1.2.840.10008.5.1.4.1.1.2")


@pytest.mark.parametrize(("said", "read"), [(b"240", 240), (b"", None), (b"many", None)])
def test_the_number_of_instances_may_be_missing(said: bytes, read: int | None) -> None:
    found = series_in(answer((tags.SeriesInstanceUID, b"1.2.3"), (0x00201209, said)), "1.2.9")

    assert found.instances == read


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x08\0",
        element(tags.StudyInstanceUID, b"1.2")[:-1],
        element(tags.SeriesInstanceUID, b"1.2") + element(tags.StudyInstanceUID, b"1.2"),
        element(tags.StudyInstanceUID, b"1.2") * 2,
        struct.pack("<HHI", 0x20, 0xD, 0xFFFFFFF0),
    ],
)
def test_bytes_that_are_no_identifier_are_an_error(raw: bytes) -> None:
    with pytest.raises(BadAnswer, match="cannot be read"):
        decode_answer(raw)


def test_the_identifier_of_an_image_query_names_the_series() -> None:
    read = decode_answer(encode_query(IMAGE, return_keys(IMAGE, ASKED)))

    assert read[tags.SeriesInstanceUID] == ["1.2.3"]
    assert read[tags.SOPInstanceUID] == [""]
