"""What a sandbox does wrong on purpose: `upload:500*2,status:html,rtstruct:truncate@50%,slow:4k/s`.

A fault is `ENDPOINT:WHAT`, and plays once. `*3` plays it three times, `*` always, `@30s` always
in the first thirty seconds. The endpoint `any` stands for all of them.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from time import monotonic
from typing import Final

from drawcli.errors import UsageError

# What the client calls an endpoint, and the name of its route.
ENDPOINTS: Final = {
    "any": "",
    "health": "health",
    "models": "models",
    "upload": "upload",
    "status": "status",
    "rtstruct": "download",
    "confirm": "confirm",
    "token": "refresh",
}
# In place of an answer; before the request is read, or in the middle of it; and in the server.
INSTEAD: Final = {
    "html": "a page of a proxy, with the code 200",
    "json": "an answer that is no JSON",
    "drop": "the connection is closed before an answer",
    "stall": "no answer ever comes",
    "drip": "an answer that comes a byte at a time, and never ends",
    "cut-request": "the connection is closed in the middle of the request",
    "redirect": "a redirect to another host",
}
AFTER: Final = {
    "lost": "all is done, and the connection is closed without an answer",
    "truncate": "half of the body (@20% another part), as if it were the whole",
    "length": "the connection is closed in the middle of the answer",
    "checksum": "a wrong X-File-Checksum",
    "no-checksum": "no X-File-Checksum",
    "keys": "JSON without any of its keys",
    "extra": "JSON with keys that nobody knows",
    "word": "a status word that nobody knows",
    "failed": "the task is said to have failed",
    "twice": "the request is done twice",
    "partial": "a structure set without its last structure",
    "foreign": "a structure set that refers to other images",
    "patient": "a structure set of another patient",
    "junk": "bytes that are no DICOM file",
}
FIRST: Final = {
    "expire": "every access token ends",
    "lockout": "every token ends, the one to refresh with too",
    "forget": "every task is forgotten, as after a restart with memory lost",
}
SLOW: Final = "slow"
_CODE: Final = re.compile(r"([45]\d\d)(?:/(\d+)s)?")
_RATE: Final = re.compile(r"(\d+)([kM]?)/s")
_PART: Final = re.compile(r"@(\d{1,2})%")
_HOW_OFTEN: Final = re.compile(r"(?:\*(\d*)|@(\d+)s)$")
_THOUSANDS: Final = {"": 1, "k": 1_000, "M": 1_000_000}
_ONCE: Final = 1
_HINT: Final = "Such as: --fault 'upload:500*2,status:html'; '--fault list' tells what there is."


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong."""

    endpoint: str  # the name of a route; "" any
    what: str  # a status code, or a word of the tables above
    part: float = 0.5  # of the body that comes through, for truncate
    rate: float = 0.0  # bytes a second, for slow
    wait: int | None = None  # seconds, for Retry-After
    times: int | None = _ONCE  # None: always
    seconds: float | None = None  # only so long after the start


def read_faults(text: str) -> tuple[Fault, ...]:
    """Return the faults that a text asks for.

    Raises
    ------
    UsageError
        With the part that cannot be read, and what may stand there.

    Examples
    --------
    >>> read_faults("upload:500*2")[0].times, read_faults("health:503@30s")[0].seconds
    (2, 30.0)
    """
    return tuple(_fault(part.strip()) for part in text.split(",") if part.strip())


def table() -> Iterator[tuple[str, str]]:
    """Yield what can go wrong, with what it means."""
    yield "404, 500, 503, ...", "an answer with this code; 429/30s asks to wait so long"
    yield from (INSTEAD | AFTER | FIRST).items()
    yield "slow:4k/s", "so many bytes a second, both ways (k, M); always"


class Panel:
    """The faults of a sandbox, and how often each is still to come."""

    def __init__(self, faults: tuple[Fault, ...], *, now: Callable[[], float] = monotonic) -> None:
        self._faults = faults
        self._left = [fault.times for fault in faults]
        self._now = now
        self._start = now()
        self.played = 0  # slowness is not counted

    def next(self, endpoint: str) -> list[Fault]:
        """Return what goes wrong with a request: each slowness, and the first other fault due."""
        due = [number for number in range(len(self._faults)) if self._is_due(number, endpoint)]
        slow = [self._faults[number] for number in due if self._faults[number].what == SLOW]
        other = next((number for number in due if self._faults[number].what != SLOW), None)
        if other is None:
            return slow
        left = self._left[other]
        self._left[other] = None if left is None else left - 1
        self.played += 1
        return [*slow, self._faults[other]]

    def _is_due(self, number: int, endpoint: str) -> bool:
        fault = self._faults[number]
        over = fault.seconds is not None and self._now() - self._start >= fault.seconds
        return fault.endpoint in ("", endpoint) and self._left[number] != 0 and not over


def _fault(text: str) -> Fault:
    endpoint, colon, what = text.partition(":")
    if endpoint == SLOW and colon:
        return _slow("", what, text)
    if endpoint not in ENDPOINTS or not colon:
        names = ", ".join(ENDPOINTS)
        raise UsageError(f"--fault: '{text}' begins with none of {names}", hint=_HINT)
    route = ENDPOINTS[endpoint]
    if what.startswith(SLOW):
        return _slow(route, what.removeprefix(SLOW).lstrip(":= "), text)
    times: int | None = _ONCE
    seconds: float | None = None
    if found := _HOW_OFTEN.search(what):
        what = what[: found.start()]
        seconds = float(found[2]) if found[2] else None
        times = int(found[1]) if found[1] else None
    part = 0.5
    if found := _PART.search(what):
        what, part = what.replace(found[0], ""), int(found[1]) / 100
    if found := _CODE.fullmatch(what):
        wait = int(found[2]) if found[2] else None
        return Fault(endpoint=route, what=found[1], wait=wait, times=times, seconds=seconds)
    if what not in INSTEAD | AFTER | FIRST:
        near = get_close_matches(what, [*INSTEAD, *AFTER, *FIRST], n=1)
        instead = f"; did you mean '{near[0]}'?" if near else ""
        raise UsageError(f"--fault: '{text}': nothing is called '{what}'{instead}", hint=_HINT)
    return Fault(endpoint=route, what=what, part=part, times=times, seconds=seconds)


def _slow(route: str, rate: str, text: str) -> Fault:
    found = _RATE.fullmatch(rate)
    if found is None or not int(found[1]):
        raise UsageError(f"--fault: '{text}': a rate such as 4k/s or 2M/s", hint=_HINT)
    pace = float(found[1]) * _THOUSANDS[found[2]]
    return Fault(endpoint=route, what=SLOW, rate=pace, times=None)
