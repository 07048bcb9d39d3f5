"""The time of day in which an archive is asked: the setting `between`."""

from datetime import time
from typing import NamedTuple

from drawcli.core.protocol.bandwidth import parse_time_of_day


class HoursOfDay(NamedTuple):
    """A part of each day, local time, which may pass midnight."""

    begin: time
    end: time

    def has(self, now: time) -> bool:
        """Return whether a time of day is in it.

        >>> night = parse_window("20:00-06:00")
        >>> [night.has(time(hour)) for hour in (19, 20, 0, 5, 6)]
        [False, True, True, True, False]
        """
        if self.begin < self.end:
            return self.begin <= now < self.end
        return now >= self.begin or now < self.end

    def __str__(self) -> str:
        """Return it as it is written in settings."""
        return f"{self.begin:%H:%M}-{self.end:%H:%M}"


def parse_window(text: str) -> HoursOfDay:
    """Return the window of a text such as "20:00-06:00"; raise ValueError if it is none."""
    begin, dash, end = text.partition("-")
    if not dash:
        raise ValueError("should be two times of day such as '20:00-06:00'")
    window = HoursOfDay(parse_time_of_day(begin), parse_time_of_day(end))
    if window.begin == window.end:
        raise ValueError("begins when it ends; leave it out for the whole day")
    return window
