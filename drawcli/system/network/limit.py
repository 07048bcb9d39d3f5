"""The limits of one kind of exchange, and how the reference shows them."""

from typing import Final, NamedTuple

KB: Final = 1 << 10
MB: Final = 1 << 20
# A transfer may go on while it keeps this rate: a line of half a megabit per second works.
SLOWEST_BYTES_PER_SECOND: Final = 50_000


class Limit(NamedTuple):
    """The limits of one kind of exchange."""

    peer: str
    content: str
    consequence: str
    seconds: float  # in total
    setting: str = ""  # that changes the time: "2 x server.timeout_seconds"
    grows: bool = False  # by a second for each `rate` bytes transferred
    rate: int = SLOWEST_BYTES_PER_SECOND
    largest: int = 0  # bytes received; 0: none are read, or another limit applies


def seconds_in_words(limit: Limit) -> str:
    """Return the time limit of an exchange as the table shows it.

    >>> seconds_in_words(Limit("mail relay", "an alarm", "it is sent again", 20.0))
    '20 s'
    >>> seconds_in_words(Limit("server", "a package", "later", 120.0, "2 x `x`", grows=True))
    '120 s (2 x `x`) + 1 s for each 50 kB transferred'
    """
    text = f"{limit.seconds:g} s"
    text += f" ({limit.setting})" if limit.setting else ""
    rate = f"{limit.rate / 1000:g} kB"
    return f"{text} + 1 s for each {rate} transferred" if limit.grows else text


def bytes_in_words(size: int) -> str:
    """Return a size in KiB or MiB; "" for 0.

    >>> bytes_in_words(0), bytes_in_words(128 * KB), bytes_in_words(256 * MB)
    ('', '128 KiB', '256 MiB')
    """
    if not size:
        return ""
    return f"{size // MB} MiB" if size >= MB else f"{size // KB} KiB"
