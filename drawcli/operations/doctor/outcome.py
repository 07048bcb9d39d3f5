"""Results of the checks of `doctor`, and how checks are run: none of them raises.

A check returns its result and, if something is wrong, the command or sentence that fixes it. A
check that raises an error is a failed check, never a crash, except where the machine has no more
memory, files or threads; one that cannot be made is "not
checked", and never passed. No text comes from an image; paths are
those in the settings.
"""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from drawcli.config.load import Settings
from drawcli.errors import DrawcliError
from drawcli.pipeline.context import Context
from drawcli.system.failures import in_words, raise_if_short

if TYPE_CHECKING:
    from drawcli.adapters.server.token_store import TokenStore

_LOOK: Final = "Check that the site's files exist and that the user running drawcli can read them."


class Grade(StrEnum):
    """The grade of a check."""

    PASS = "PASS"  # noqa: S105 - no password
    WARN = "WARN"
    FAIL = "FAIL"
    SKIP = "SKIP"  # not checked


class CheckResult(NamedTuple):
    """The result of one check."""

    grade: Grade
    text: str
    remedy: str = ""  # a command or sentence that fixes it

    @classmethod
    def well(cls, text: str) -> "CheckResult":
        """Return a result without problems."""
        return cls(Grade.PASS, text)

    @classmethod
    def warned(cls, text: str, remedy: str) -> "CheckResult":
        """Return a problem that does not stop runs."""
        return cls(Grade.WARN, text, remedy)

    @classmethod
    def failed(cls, text: str, remedy: str) -> "CheckResult":
        """Return a problem that stops runs."""
        return cls(Grade.FAIL, text, remedy)

    @classmethod
    def not_checked(cls, why: str, remedy: str) -> "CheckResult":
        """Return the result of a check that could not be made, and how it can be."""
        return cls(Grade.SKIP, f"not checked: {why}", remedy)

    @classmethod
    def of_error(cls, err: Exception) -> "CheckResult":
        """Return an error as a result; other errors may quote data: no text. Raise a shortage."""
        raise_if_short(err)
        if isinstance(err, DrawcliError):
            return cls.failed(str(err), err.hint or _LOOK)
        return cls.failed(f"could not be checked: {in_words(err)}", _LOOK)


class Outcome(NamedTuple):
    """The name of a check and its result."""

    check: str
    result: CheckResult

    def as_plain(self) -> dict[str, Any]:
        """Return it as plain values for JSON."""
        result = self.result
        return {
            "check": self.check,
            "grade": str(result.grade),
            "text": result.text,
            "remedy": result.remedy or None,
        }


class CheckContext(NamedTuple):
    """The input of the checks."""

    settings: Settings
    config: Path  # the settings file
    now: datetime
    ctx: Context | None = None  # None if the site cannot be opened
    closed: Exception | None = None  # why not; reported by the check of the ledger
    probes: bool = True  # whether checks may write a file to test that they can

    @property
    def tokens(self) -> "TokenStore":
        """Where the tokens are, also if the site cannot be opened."""
        from drawcli.pipeline.cluster.tokens import site_tokens

        return site_tokens(self.settings) if self.ctx is None else self.ctx.tokens


Check = Callable[[CheckContext], CheckResult]
EXPECTED: Final = (  # errors of checks and messages, which no run depends on
    *(DrawcliError, OSError, ValueError, LookupError, TypeError, AttributeError),
    *(ArithmeticError, ImportError, RuntimeError),
)
_SHARE_SECONDS: Final = 30.0  # longest wait for a network share: somebody watches


def run_checks(checks: Iterable[tuple[str, Check]], site: CheckContext) -> Iterator[Outcome]:
    """Yield the result of each check; a check that raises yields the error as its result.

    Raises
    ------
    OutOfMemory
        If memory, files or threads run short, which would be taken for a fault of the site.
    """
    for name, check in checks:
        yield Outcome(name, _checked(check, site))


def _checked(check: Check, site: CheckContext) -> CheckResult:
    try:
        return check(site)
    except EXPECTED as err:
        return CheckResult.of_error(err)


def of_share(check: Check, longest_seconds: float = _SHARE_SECONDS) -> Check:
    """Return a check that gives up if a network share does not answer.

    A thread that waits for a file server in a system call cannot be interrupted, so the check runs
    in a thread of its own, which is abandoned.
    """

    def look(site: CheckContext) -> CheckResult:
        from drawcli.system.threads import call_with_timeout

        seconds = min(longest_seconds, site.settings.scan.answer_seconds)
        try:
            return call_with_timeout(lambda: _checked(check, site), seconds)
        except TimeoutError:
            return CheckResult.failed("does not answer", "Check the file server and the mount.")

    return look
