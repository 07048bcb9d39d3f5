"""What a scan does with a series, and why."""

from dataclasses import dataclass
from enum import StrEnum


class Readiness(StrEnum):
    """What a scan does with a series."""

    READY = "ready"
    WAITING = "waiting"  # may still mend itself
    REFUSED = "refused"  # an image series that a person must look at
    IGNORED = "ignored"  # not for us


@dataclass(frozen=True, slots=True)
class Verdict:
    """A readiness with its reason: a stable code and one sentence without patient values."""

    readiness: Readiness
    code: str = ""
    text: str = ""


def waiting(code: str, text: str) -> Verdict:
    """Return that a series may still mend itself."""
    return Verdict(Readiness.WAITING, code, text)


def refused(code: str, text: str) -> Verdict:
    """Return that a person must look at a series."""
    return Verdict(Readiness.REFUSED, code, text)


def ignored(code: str, text: str) -> Verdict:
    """Return that a series is not for us."""
    return Verdict(Readiness.IGNORED, code, text)
