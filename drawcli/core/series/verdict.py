"""The verdict of a scan on a series."""

from enum import StrEnum
from typing import NamedTuple


class Readiness(StrEnum):
    """Whether a series is sent."""

    READY = "ready"
    WAITING = "waiting"  # may still become complete
    REFUSED = "refused"  # images that someone must check
    IGNORED = "ignored"  # not images, or not wanted


class Verdict(NamedTuple):
    """A readiness and its reason: a stable code and a sentence without patient data."""

    readiness: Readiness
    code: str = ""
    text: str = ""


def waiting(code: str, text: str) -> Verdict:
    """Return the verdict on a series that may still become complete."""
    return Verdict(Readiness.WAITING, code, text)


def refused(code: str, text: str) -> Verdict:
    """Return the verdict on a series that someone must check."""
    return Verdict(Readiness.REFUSED, code, text)


def ignored(code: str, text: str) -> Verdict:
    """Return the verdict on a series that is not sent."""
    return Verdict(Readiness.IGNORED, code, text)
