"""Which values of the received file are delivered, and what replaces invalid ones."""

import pytest
from pydicom import Dataset

from drawcli.core.dicom.header import read_header
from drawcli.core.rtstruct.server_values import server_values
from tests.core.files import as_bytes
from tests.core.rtstruct.test_contour_checks import crosswalk

REQUIRED = dict.fromkeys((0x00080070, 0x00200011, 0x30060008, 0x30060009), b"")
DATES = (0x00080012, 0x00080021, 0x30060008)
TIMES = (0x00080013, 0x00080031, 0x30060009)
TEXTS = (0x00080070, 0x00081090, 0x00181020)


def kept(tag: int, value: str, **dates: str) -> bytes | None:
    """Return what is delivered of one value of a file that has no other."""
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.481.3", "2.25.1"
    dataset.add_new(tag, "UT", value)  # written as any text is
    header = read_header(as_bytes(dataset), complete=True)
    values = server_values(header, crosswalk()._replace(dates=dates))
    others = {other: text for other, text in values.items() if other != tag}
    assert others == {other: text for other, text in REQUIRED.items() if other != tag}
    return values.get(tag)


@pytest.mark.parametrize("tag", DATES)
def test_dates_are_days_of_the_calendar_and_those_of_the_images_again(tag: int) -> None:
    missing = REQUIRED.get(tag)

    assert kept(tag, "20240229") == b"20240229"
    assert kept(tag, "20261114", **{"20261114": "20250101"}) == b"20250101"
    assert [kept(tag, text) for text in ("20230229", "2024-02-29", "2024W093", "x", "")] == [
        missing
    ] * 5
    assert kept(tag, "20000101") == missing  # what de-identification writes for every date


@pytest.mark.parametrize("tag", TIMES)
def test_times_are_of_a_day(tag: int) -> None:
    valid = ("00", "2359", "235959", "120000.123456", "12.5")

    assert [kept(tag, text) for text in valid] == [text.encode() for text in valid]
    assert [kept(tag, text) for text in ("24", "1260", "120060", "12:00", "120000.", "")] == [
        REQUIRED.get(tag)
    ] * 6


@pytest.mark.parametrize("tag", TEXTS)
def test_texts_are_ascii_on_one_line(tag: int) -> None:
    assert kept(tag, "Qurit 1.2 [~]") == b"Qurit 1.2 [~]"
    assert kept(tag, "x" * 64) == b"x" * 64
    assert [kept(tag, text) for text in ("x" * 65, "a\\b", "a\tb", "")] == [REQUIRED.get(tag)] * 4


def test_the_number_of_the_series_is_a_whole_number() -> None:
    assert [kept(0x00200011, text) for text in ("7", "-12", "+123456789")] == [
        b"7",
        b"-12",
        b"+123456789",
    ]
    assert [kept(0x00200011, text) for text in ("1.5", "1234567890", "x", "")] == [b""] * 4
