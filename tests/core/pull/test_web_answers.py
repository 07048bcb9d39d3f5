"""Queries and answers of QIDO-RS."""

import json
from datetime import date

import pytest

from drawcli.core.dicom import tags
from drawcli.core.pull.answers import (
    ArchivedSeries,
    BadAnswer,
    instance_in,
    query_of,
    return_keys,
    study_in,
)
from drawcli.core.pull.keys import IMAGE, SERIES, STUDY, QueryKey
from drawcli.core.pull.web_answers import decode_answers, query_path, retrieve_path

ASKED = ArchivedSeries("1.2.9", "1.2.3", "CT")
TODAY = date(2026, 3, 1)


def test_a_query_names_upper_levels_in_its_path() -> None:
    keys = [QueryKey("SeriesDescription", ("a b*&c",)), QueryKey("StudyDate", ("-1d..today",))]

    series = query_path(
        SERIES, query_of(SERIES, return_keys(SERIES, study="1.2.9"), keys, TODAY), 0, 5
    )
    studies = query_path(STUDY, query_of(STUDY, return_keys(STUDY), keys, TODAY), 10, 5)
    images = query_path(IMAGE, return_keys(IMAGE, ASKED), 0, 5)

    assert series.startswith("/studies/1.2.9/series?")
    assert "0008103E=a+b%2A%26c" in series
    assert "0020000D" not in series
    assert "00080020=20260228-20260301" in studies
    assert studies.endswith("&limit=5&offset=10")
    assert images.startswith("/studies/1.2.9/series/1.2.3/instances?")
    assert retrieve_path(ASKED, "1.5") == "/studies/1.2.9/series/1.2.3/instances/1.5"


def test_values_are_read_as_text() -> None:
    body = json.dumps(
        [
            {
                "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Muster^Maria"}]},
                "00200011": {"vr": "IS", "Value": [3]},
                "0020000D": {"vr": "UI", "Value": ["1.2.9"]},
                "00080090": {"vr": "PN"},
                "00081140": {"vr": "SQ", "Value": [{}]},
                "bogus": {"Value": ["x"]},
                "00081030": {"vr": "LO", "Value": ["x" * 5000]},
            }
        ]
    )

    (found,) = decode_answers(body.encode())

    assert found[tags.PatientName] == ["Muster^Maria"]
    assert found[0x00200011] == ["3"]
    assert study_in(found) == "1.2.9"
    assert found[0x00081140] == [""]
    assert found[tags.StudyDescription] == []


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b"\xff", b"[" * 100_000, b"<html>", b"[{}"])
def test_what_is_no_list_of_answers_is_an_error(body: bytes) -> None:
    with pytest.raises(BadAnswer, match="cannot be read"):
        decode_answers(body)


@pytest.mark.parametrize("uid", ["../../x", "\ud800", "1.2\x003", -1, None, ["1.2"], {"a": 1}])
def test_what_is_no_uid_is_an_error(uid: object) -> None:
    body = json.dumps([{"00080018": {"vr": "UI", "Value": [uid]}}]).encode()

    with pytest.raises(BadAnswer, match="without a valid SOP Instance UID"):
        instance_in(decode_answers(body)[0], ASKED)


def test_an_answer_about_another_series_is_an_error() -> None:
    body = json.dumps([{"0020000E": {"vr": "UI", "Value": ["1.2.4"]}}]).encode()

    with pytest.raises(BadAnswer, match="for another series"):
        instance_in(decode_answers(body)[0], ASKED)
