"""Faults of a sandbox: `upload:500*2,status:html,rtstruct:truncate@50%,slow:4k/s`.

A fault is `ENDPOINT:FAULT` and occurs once; with `*3` three times, with `*` always, with `@30s`
always in the first thirty seconds. The endpoint `any` means all of HTTP. The archive has faults of
its own: `store:full,find:lose*,move:A701`; a status of four hex digits, or a word.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from threading import Lock
from time import monotonic
from typing import Final

from drawcli.errors import UsageError
from drawcli.sandbox.pacs.options import ARCHIVE_FAULTS, NOT_SLOW, OPERATIONS

# The name of an endpoint in `--fault`, and the name of its route.
ENDPOINTS: Final = {
    "any": "",
    "health": "health",
    "models": "models",
    "upload": "upload",
    "status": "status",
    "rtstruct": "download",
    "confirm": "confirm",
    "token": "refresh",
    "qido": "qido",
    "wado": "wado",
    "stow": "stow",
}
# Instead of a response; to a response; and to the server before a request.
INSTEAD: Final = {
    "html": "a page of a proxy, with status 200",
    "json": "a response that is not JSON",
    "drop": "the connection is closed before a response",
    "stall": "no response",
    "drip": "an endless response, a byte at a time",
    "cut-request": "the connection is closed in the middle of the request",
    "redirect": "a redirect to another host",
}
AFTER: Final = {
    "lost": "the request is processed, and the connection is closed without a response",
    "truncate": "half of the body (@20% another part), as if it were complete",
    "length": "the connection is closed in the middle of the response",
    "checksum": "a wrong X-File-Checksum",
    "no-checksum": "no X-File-Checksum",
    "keys": "JSON without any of its keys",
    "extra": "JSON with unknown keys",
    "word": "an unknown status word",
    "failed": "the status of a failed task",
    "twice": "the request is processed twice",
    "partial": "a structure set without its last structure",
    "foreign": "a structure set that refers to other images",
    "patient": "a structure set of another patient",
    "junk": "bytes that are not a DICOM file",
}
FIRST: Final = {
    "expire": "every access token expires",
    "lockout": "every token expires, refresh tokens too",
    "forget": "every task is deleted",
}
SLOW: Final = "slow"
_NAMES: Final = (*ENDPOINTS, *OPERATIONS)
DICOM_STATUS: Final = re.compile(r"[0-9A-F]{4}")
_CODE: Final = re.compile(r"([45]\d\d)(?:/(\d+)s)?")
_RATE: Final = re.compile(r"(\d+)([kM]?)/s")
_PART: Final = re.compile(r"@(\d{1,2})%")
_HOW_OFTEN: Final = re.compile(r"(?:\*(\d*)|@(\d+)s)$")
_THOUSANDS: Final = {"": 1, "k": 1_000, "M": 1_000_000}
_ONCE: Final = 1
_HINT: Final = "Example: --fault 'upload:500*2,status:html'; '--fault list' lists all faults."


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault of an endpoint."""

    endpoint: str  # the name of a route; "" any
    what: str  # a status code, or a name of the tables above
    part: float = 0.5  # of the body that is sent, for truncate
    rate: float = 0.0  # bytes per second, for slow
    wait: int | None = None  # seconds, for Retry-After
    times: int | None = _ONCE  # None: always
    seconds: float | None = None  # only in the first seconds after the start

    @property
    def is_of_archive(self) -> bool:
        """Tell whether the archive has this fault, and not the web server."""
        words = self.endpoint in ARCHIVE_FAULTS.get(self.what, ("", ()))[1]
        return self.endpoint in OPERATIONS or words


def read_faults(text: str) -> tuple[Fault, ...]:
    """Return the faults of a --fault text; raise UsageError if it is invalid.

    Examples
    --------
    >>> read_faults("upload:500*2")[0].times, read_faults("health:503@30s")[0].seconds
    (2, 30.0)
    """
    return tuple(_fault(part.strip()) for part in text.split(",") if part.strip())


def table() -> Iterator[tuple[str, str]]:
    """Yield every fault with its description."""
    yield "404, 500, 503, ...", "a response with this status; 429/30s with Retry-After"
    yield from (INSTEAD | AFTER | FIRST).items()
    yield "slow:4k/s", "this many bytes per second in both directions (k, M); always"


def archive_table() -> Iterator[tuple[str, str, str]]:
    """Yield every fault of the archive, with its operations and its description."""
    yield "A700, C001, ...", "all but associate", "a response with this status"
    for what, (meaning, operations) in ARCHIVE_FAULTS.items():
        order = [name for name in (*OPERATIONS, *ENDPOINTS) if name in operations]
        yield what, ", ".join(order), meaning
    yield "slow:4k/s", "store, move, get", "so many bytes per second; always"


class Panel:
    """The faults of a sandbox, and how often each will still occur. Threads may share it."""

    def __init__(self, faults: tuple[Fault, ...], *, now: Callable[[], float] = monotonic) -> None:
        self._faults = faults
        self._left = [fault.times for fault in faults]
        self._now = now
        self._lock = Lock()
        self._start = now()
        self.played = 0  # slowness is not counted

    def next(self, endpoint: str) -> list[Fault]:
        """Return the faults of a request: each `slow`, and the first other one that is due."""
        with self._lock:
            return self._next(endpoint)

    def _next(self, endpoint: str) -> list[Fault]:
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
    if endpoint not in _NAMES or not colon:
        names = ", ".join(_NAMES)
        raise UsageError(f"--fault: '{text}' does not begin with one of {names}", hint=_HINT)
    route = ENDPOINTS.get(endpoint, endpoint)
    if what.startswith(SLOW) and endpoint not in NOT_SLOW:
        return _slow(route, what.removeprefix(SLOW).lstrip(":= "), text)
    times: int | None = _ONCE
    seconds: float | None = None
    if found := _HOW_OFTEN.search(what):
        what = what[: found.start()]
        seconds = float(found[2]) if found[2] else None
        times = int(found[1]) if found[1] else None
    if endpoint in OPERATIONS and DICOM_STATUS.fullmatch(what):
        return Fault(endpoint=route, what=what, times=times, seconds=seconds)
    part = 0.5
    if found := _PART.search(what):
        what, part = what.replace(found[0], ""), int(found[1]) / 100
    if endpoint in ENDPOINTS and (found := _CODE.fullmatch(what)):
        wait = int(found[2]) if found[2] else None
        return Fault(endpoint=route, what=found[1], wait=wait, times=times, seconds=seconds)
    _check_word(what, endpoint, text)
    return Fault(endpoint=route, what=what, part=part, times=times, seconds=seconds)


def _check_word(what: str, endpoint: str, text: str) -> None:
    words = _words_of(endpoint)
    if what not in words:
        near = get_close_matches(what, words, n=1)
        instead = f"; did you mean '{near[0]}'?" if near else ""
        raise UsageError(f"--fault: '{text}': unknown fault '{what}'{instead}", hint=_HINT)


def _words_of(endpoint: str) -> list[str]:
    """Return the faults of an endpoint or operation that are words."""
    of_archive = [what for what, (_, where) in ARCHIVE_FAULTS.items() if endpoint in where]
    return of_archive + ([*INSTEAD, *AFTER, *FIRST] if endpoint in ENDPOINTS else [])


def _slow(route: str, rate: str, text: str) -> Fault:
    found = _RATE.fullmatch(rate)
    if found is None or not int(found[1]):
        raise UsageError(f"--fault: '{text}': needs a rate such as 4k/s or 2M/s", hint=_HINT)
    pace = float(found[1]) * _THOUSANDS[found[2]]
    return Fault(endpoint=route, what=SLOW, rate=pace, times=None)
