"""What can go wrong, in one tree.

    DrawcliError                  exit 1   anything drawcli raises on purpose
    ├── UsageError                exit 2   the command line asks for what cannot be
    ├── ConfigError               exit 3   settings, rules or templates cannot be used
    ├── LedgerError               exit 4   the ledger is unreadable
    ├── ServerRefused             exit 5   the server refuses our token: no job can go on
    ├── OutOfReach                exit 7   server or datastore do not answer: try later
    ├── AnotherRun                exit 11  another run holds the lock
    ├── DiskFull                  exit 12  not enough disk space
    ├── OutOfMemory               exit 12  not enough memory: no job is to blame
    └── JobError                  exit 6   one job is touched; the run goes on with the next
        ├── TryLater                       the job keeps its state and waits its turn
        │   ├── ServerUnavailable
        │   │   └── ServerSilent
        │   ├── FolderSilent
        │   └── SourceUnsettled
        └── NeedsPerson                    the job is held until someone looks
            ├── RequestRefused
            ├── SeriesRefused
            ├── GateBlocked       exit 8   an identifying value was found before it could leave
            └── BadStructureSet

A message may be mailed by cron or pasted into an issue. It names jobs, files that the site wrote
itself, DICOM keywords and counts; never a value read from a dataset, nor a path in the datastore.
"""

from copy import copy
from errno import ENOMEM
from typing import Any, ClassVar, Final, Self


class DrawcliError(Exception):
    """Anything drawcli raises on purpose.

    The hint is one imperative sentence: what the reader should do next. The code is a stable word
    for scripts and for the documentation.
    """

    exit_code: ClassVar[int] = 1
    code: str = "error"
    hint: str = ""
    answered: bool = False  # the server had answered this upload before it went wrong

    def __init__(self, message: str, *, code: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        if code is not None:
            self.code = code
        if hint is not None:
            self.hint = hint

    def replaced(self, **facts: Any) -> Self:
        """Return a copy of the error with other attributes; the error itself stays as it is."""
        other = copy(self)
        vars(other).update(facts)
        return other


class UsageError(DrawcliError):
    """The command line asks for something that cannot be."""

    exit_code = 2
    code = "usage"


class ConfigError(DrawcliError):
    """Settings, rules or templates cannot be used."""

    exit_code = 3
    code = "config"


class LedgerError(DrawcliError):
    """The ledger is unreadable."""

    exit_code = 4
    code = "ledger"


class ServerRefused(DrawcliError):
    """The server refuses our token."""

    exit_code = 5
    code = "token-refused"
    hint = "Ask the DRAW administrator for a new token pair, then run 'drawcli token set'."


class OutOfReach(DrawcliError):
    """The server or the datastore do not answer; nothing is wrong with any job."""

    exit_code = 7
    code = "out-of-reach"


class AnotherRun(DrawcliError):
    """Another run holds the lock."""

    exit_code = 11
    code = "another-run"


class DiskFull(DrawcliError):
    """There is not enough disk space for the next package."""

    exit_code = 12
    code = "disk-full"


class OutOfMemory(DrawcliError):
    """There is not enough memory for the next step."""

    exit_code = 12
    code = "out-of-memory"
    hint = "Nothing is lost; the next run goes on. See what else uses the memory of this machine."


# Errors that a shortage of memory may cause; see `is_memory_shortage`.
SHORTAGES: Final = (MemoryError, OSError, RuntimeError, ImportError, NameError, AttributeError)
_PROBE_BYTES: Final = 64 << 20


def is_memory_shortage(err: BaseException) -> bool:
    """Tell whether an error was caused by a shortage of memory.

    Some errors say so: of an object, a file, a thread. Others do not: a library that was loaded in
    part fails later, in any way. For an unexpected error, try whether memory is available.
    """
    if isinstance(err, MemoryError):
        return True
    if isinstance(err, OSError):
        return err.errno == ENOMEM
    if isinstance(err, DrawcliError):
        return False
    if isinstance(err, RuntimeError) and "start new thread" in str(err):
        return True
    try:
        bytearray(_PROBE_BYTES)
    except MemoryError:
        return True
    return False


def as_run_error(err: Exception) -> DrawcliError:
    """Return what has ended a run: one of our errors, or a shortage of memory.

    Raises
    ------
    Exception
        The error itself, where it is neither.
    """
    if isinstance(err, DrawcliError):
        return err
    if is_memory_shortage(err):
        return OutOfMemory("not enough memory")
    raise err


class JobError(DrawcliError):
    """One job is touched; the others go on."""

    exit_code = 6


class TryLater(JobError):
    """The job keeps its state and waits its turn."""

    code = "later"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str | None = None,
        wait_seconds: float | None = None,
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.wait_seconds = wait_seconds  # None: the pipeline's back-off decides


class ServerUnavailable(TryLater):
    """The server does not answer, or answers 408, 429 or 5xx."""

    code = "server-unavailable"


class ServerSilent(ServerUnavailable):
    """The server has not answered, or not to the end, in the time that it is given."""

    code = "server-lost"


class FolderSilent(TryLater):
    """The folder for structure sets does not answer; the checked result stays with the job."""

    code = "delivery"


class SourceUnsettled(TryLater):
    """A file of the series vanished, grew or changed since the scan."""

    code = "source-changed"


DELIVERY: Final = "delivery"  # code of a structure set that could not be put where it belongs
NODE: Final = "dicom-node"  # code of one that lies there, and that a DICOM node has not taken yet
UNDELIVERED: Final = frozenset({DELIVERY, NODE})
SILENT: Final = "datastore-silent"  # code of images whose file server does not answer
LOCKED: Final = frozenset({"audit-busy", "token-busy"})  # another process holds what each needs
AWAY: Final = UNDELIVERED | LOCKED | {SILENT}  # out of reach besides the server: no job is to blame
RENEWAL: Final = "token-renewal"  # code of a refresh of the tokens that came to nothing for now
# Codes of ServerUnavailable that speak of the whole server: not to be reached, not ready now, or
# without a token for us. Nothing of the request was taken; the next job would fare no better.
SERVER_TOOK_NOTHING: Final = frozenset({"server-down", "server-busy", RENEWAL})


def as_machine_error(err: Exception, step: str) -> TryLater | None:
    """Return what a disk, or a shortage of memory, means for a job; None for any other error."""
    if is_memory_shortage(err):
        return TryLater("there was not enough memory", code=OutOfMemory.code, hint=OutOfMemory.hint)
    if isinstance(err, OSError):
        return TryLater(f"{step}: {err.strerror or type(err).__name__}", code="io")
    return None


class NeedsPerson(JobError):
    """The job is held until someone looks."""

    code = "held"


class RequestRefused(NeedsPerson):
    """The server understands a request and will not do it."""

    code = "server-refused-job"


class SeriesRefused(NeedsPerson):
    """The series cannot be de-identified safely, so nothing of it is sent."""

    code = "series-refused"


class GateBlocked(NeedsPerson):
    """The finished zip still carries an identifying value; it was not sent."""

    exit_code = 8
    code = "privacy-gate"


class BadStructureSet(NeedsPerson):
    """The returned RTSTRUCT does not belong to the series it was made for."""

    code = "bad-structure-set"
