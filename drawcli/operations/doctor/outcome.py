"""What a check of `doctor` says, and how checks are made: none of them raises.

A check returns what it saw and, where that is not well, the line that mends it. One that cannot be
made says so itself: a person who asks what is wrong is never answered with a crash. Nothing told
here comes from an image; paths are those that the site's settings name.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from threading import Thread
from typing import Any, Final

from drawcli.config.load import Settings
from drawcli.errors import DrawcliError
from drawcli.pipeline.context import Context

_LOOK: Final = "See that the files of the site are there, and that who runs drawcli may read them."


class Grade(StrEnum):
    """How well a thing is."""

    PASS = "PASS"  # noqa: S105 - no password
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What one check saw."""

    grade: Grade
    text: str
    remedy: str = ""  # the line that mends it

    @classmethod
    def well(cls, text: str) -> "CheckResult":
        """Return that all is well."""
        return cls(Grade.PASS, text)

    @classmethod
    def warned(cls, text: str, remedy: str) -> "CheckResult":
        """Return what a person should look at; runs go on."""
        return cls(Grade.WARN, text, remedy)

    @classmethod
    def failed(cls, text: str, remedy: str) -> "CheckResult":
        """Return what keeps runs from their work."""
        return cls(Grade.FAIL, text, remedy)

    @classmethod
    def of_error(cls, err: Exception) -> "CheckResult":
        """Return an error as what was seen; a stranger's words may quote a value."""
        if isinstance(err, DrawcliError):
            return cls.failed(str(err), err.hint or _LOOK)
        what = err.strerror if isinstance(err, OSError) else None
        text = f"could not be looked at: {what or type(err).__name__}"
        return cls.failed(text, _LOOK)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One check by name, and what it saw."""

    check: str
    seen: CheckResult

    def as_plain(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        one = self.seen
        return {
            "check": self.check,
            "grade": str(one.grade),
            "text": one.text,
            "remedy": one.remedy or None,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckContext:
    """What the checks look at."""

    settings: Settings
    config: Path  # the settings file
    now: datetime
    ctx: Context | None = None  # None where the site cannot be opened
    closed: Exception | None = None  # why it cannot: the ledger's check tells
    probes: bool = True  # whether a file may be written to see that it can be


Check = Callable[[CheckContext], CheckResult]
EXPECTED: Final = (  # of what is looked at or told beside the work
    *(DrawcliError, OSError, ValueError, LookupError, TypeError, AttributeError),
    *(ArithmeticError, ImportError, RuntimeError),
)
_PATIENCE_SECONDS: Final = 30.0  # with a share; a person waits


def looked(checks: Iterable[tuple[str, Check]], site: CheckContext) -> Iterator[Outcome]:
    """Yield what each check saw; what one could not do is what it saw."""
    for name, check in checks:
        try:
            yield Outcome(name, check(site))
        except EXPECTED as err:
            yield Outcome(name, CheckResult.of_error(err))


def of_share(check: Check, patience_seconds: float = _PATIENCE_SECONDS) -> Check:
    """Return a check that is given up where a share does not answer.

    Who waits for a file server in a system call cannot be told to stop: another thread looks, and
    is left alone.
    """

    def look(site: CheckContext) -> CheckResult:
        found: list[Outcome] = []
        looking = Thread(target=lambda: found.extend(looked([("", check)], site)), daemon=True)
        looking.start()
        looking.join(min(patience_seconds, site.settings.scan.answer_seconds))
        if found:
            return found[0].seen
        return CheckResult.failed("does not answer", "Look at the file server and at the mount.")

    return look
