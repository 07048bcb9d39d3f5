"""Upload bandwidth limits by time of day: the setting `server.bwlimit`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import time
from typing import Final

_MIDNIGHT: Final = time(0)
_TIME: Final = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")
_RATE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([kKmMgG]?)")
_FACTORS: Final = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}
_SLOWEST: Final = 1000.0  # bytes per second: smaller values are typing errors
_MINUTES_OF_A_DAY: Final = 24 * 60


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """The limit for each time of day, in bytes per second; None for no limit."""

    since: tuple[tuple[time, float | None], ...] = ()  # in order; the last lasts past midnight

    def at(self, now: time) -> float | None:
        """Return the limit at a local time of day.

        >>> by_day = parse_bandwidth({"07:00": "2M", "19:00": "off"})
        >>> [by_day.at(time(hour)) for hour in (3, 7, 18, 19)]
        [None, 2000000.0, 2000000.0, None]
        """
        started = [rate for start, rate in self.since if start <= now]
        return (started or [rate for _, rate in self.since] or [None])[-1]


def parse_bandwidth(value: object) -> Bandwidth:
    """Return the limits of a setting: one rate for all day, or rates by their start times.

    YAML reads an unquoted `19:00` as the number 19 * 60, and `off` as false; both are accepted.

    Raises
    ------
    ValueError
        If a time or a rate is not valid.
    """
    if value is None:
        return Bandwidth()
    if not isinstance(value, Mapping):
        return Bandwidth(((_MIDNIGHT, _rate(value)),))
    limits = [(parse_time_of_day(start), _rate(rate)) for start, rate in value.items()]
    if len(dict(limits)) < len(limits):
        raise ValueError("gives one time of day twice")
    return Bandwidth(tuple(sorted(limits, key=lambda limit: limit[0])))


def parse_time_of_day(value: object) -> time:
    """Return a time of day such as "7:00", or as YAML reads it without quotes (minutes).

    >>> parse_time_of_day("7:00"), parse_time_of_day(7 * 60)
    (datetime.time(7, 0), datetime.time(7, 0))
    """
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MINUTES_OF_A_DAY:
        return time(*divmod(value, 60))
    match = _TIME.fullmatch(str(value).strip())
    if match is None:
        raise ValueError(f"'{value}' is not a time of day such as '07:00'")
    return time(int(match[1]), int(match[2]))


def _rate(value: object) -> float | None:
    if value is False or str(value).strip().lower() == "off":
        return None
    match = _RATE.fullmatch(str(value).strip())
    if match is None or isinstance(value, bool):
        raise ValueError(f"'{value}' is not a rate such as 500K, 2M or off (bytes per second)")
    rate = float(match[1]) * _FACTORS[match[2].lower()]
    if rate < _SLOWEST:
        raise ValueError(f"{value} bytes per second is too slow for uploads; write 500K or 2M")
    return rate
