from datetime import time

import pytest

from drawcli.core.protocol.bandwidth import parse_bandwidth


def test_without_a_setting_there_is_no_limit() -> None:
    assert parse_bandwidth(None).at(time(12)) is None


@pytest.mark.parametrize(
    ("written", "rate"),
    [
        ("500K", 500_000),
        ("2M", 2_000_000),
        (" 1.5 m ", 1_500_000),
        ("1G", 1_000_000_000),
        (250_000, 250_000),
        ("off", None),
        (False, None),
    ],
)
def test_one_rate_counts_all_day(written: object, rate: float | None) -> None:
    limits = parse_bandwidth(written)

    assert [limits.at(time(hour)) for hour in (0, 12, 23)] == [rate] * 3


@pytest.mark.parametrize(
    ("at", "rate"),
    [
        (time(0, 0), None),
        (time(6, 59, 59), None),
        (time(7, 0), 2e6),
        (time(11, 59), 2e6),
        (time(12, 0), 5e5),
        (time(18, 59), 5e5),
        (time(19, 0), None),
        (time(23, 59, 59), None),
    ],
)
def test_a_rate_counts_from_its_time_on_and_the_last_past_midnight(
    at: time, rate: float | None
) -> None:
    limits = parse_bandwidth({"19:00": "off", "07:00": "2M", "12:00": "500K"})

    assert limits.at(at) == rate


def test_unquoted_yaml_times_and_off_are_understood() -> None:
    limits = parse_bandwidth({420: "2M", 1140: False})

    assert limits == parse_bandwidth({"7:00": "2M", "19:00": "off"})


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("fast", "'fast' is not a rate"),
        ("2MB/s", "not a rate"),
        ("-1", "not a rate"),
        (True, "not a rate"),
        ([1], "not a rate"),
        ("0", "too slow"),
        ("900", "too slow"),
        ({"25:00": "2M"}, "'25:00' is not a time of day"),
        ({"7": "2M"}, "not a time of day"),
        ({1440: "2M"}, "not a time of day"),
        ({"07:00": "2X"}, "not a rate"),
        ({"07:00": "2M", "7:00": "1M"}, "twice"),
    ],
)
def test_an_invalid_limit_is_refused_with_a_reason(written: object, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_bandwidth(written)
