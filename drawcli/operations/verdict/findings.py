"""A verdict: its findings, the worst first, and the sentence that names the worst.

The texts name no patient and no path, so they may be mailed and sent to a monitor; details, which
may name files of the site, are for `status` and the page.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import Any, Final, NamedTuple


class Level(StrEnum):
    """How urgent a finding is; also the verdict of a site."""

    WELL = "well"
    ATTENTION = "attention"  # somebody should look; the site works
    BROKEN = "broken"  # the site, or a part of it, does not work


SIGNS: Final = {Level.WELL: "✓", Level.ATTENTION: "!", Level.BROKEN: "✕"}
ALL_WELL: Final = "All is well"
# Codes of findings, those that explain others first; unknown ones come last.
_ORDER: Final = (
    *("state-folder", "site-key", "free-space", "run-overdue", "run-stopped", "token"),
    *(
        "run-failed",
        "datastore",
        "server",
        "receive",
        "pull",
        "delivery",
        "setup",
        "privacy-gate",
        "held",
    ),
    *("paused", "run-late", "no-run", "node", "contours", "warnings"),
)
_RANKS: Final = {code: number for number, code in enumerate(_ORDER)}


class SiteFinding(NamedTuple):
    """One reason why a site is not well."""

    level: Level
    code: str
    text: str  # a sentence without full stop, beginning in lower case
    do: str = ""  # a command, or what to do in words
    page: str = ""  # of the web page
    detail: str = ""

    def as_plain(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return {
            "level": str(self.level),
            "code": self.code,
            "text": self.text,
            "do": self.do or None,
            "detail": self.detail or None,
        }


class SetupStep(NamedTuple):
    """A step of setting up a site."""

    name: str
    text: str
    done: bool
    do: str = ""  # a command, or what to do in words
    page: str = ""  # of the web page
    check: str = ""  # of `doctor`, with the same subject

    def as_plain(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return {"step": self.name, "done": self.done, "text": self.text, "do": self.do or None}


class SiteVerdict(NamedTuple):
    """The verdict on a site at a time."""

    findings: tuple[SiteFinding, ...] = ()  # the worst first, each code once

    @classmethod
    def of(cls, findings: Iterable[SiteFinding]) -> "SiteVerdict":
        """Return the verdict of findings in any order; of two with one code the worse counts."""
        last = len(_ORDER)
        ranked = sorted(
            findings,
            key=lambda one: (one.level is not Level.BROKEN, _RANKS.get(one.code, last), one.code),
        )
        worst: dict[str, SiteFinding] = {}
        for one in ranked:
            worst.setdefault(one.code, one)
        return cls(tuple(worst.values()))

    @property
    def level(self) -> Level:
        """The level of the worst finding."""
        return self.findings[0].level if self.findings else Level.WELL

    @property
    def sign(self) -> str:
        """A sign of the level, for who does not see its colour."""
        return SIGNS[self.level]

    @property
    def headline(self) -> str:
        """The worst finding, and how many more there are."""
        if not self.findings:
            return ALL_WELL
        text = self.findings[0].text
        more = len(self.findings) - 1
        return f"{text[:1].upper()}{text[1:]}{f' (and {more} more)' if more else ''}"

    def as_plain(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        return {
            "level": str(self.level),
            "headline": self.headline,
            "findings": [one.as_plain() for one in self.findings],
        }
