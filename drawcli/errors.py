"""The exceptions of drawcli, in one tree.

    DrawcliError                  exit 1   anything drawcli raises on purpose
    ├── UsageError                exit 2   the command line is invalid
    ├── ConfigError               exit 3   settings, rules or templates are invalid
    ├── LedgerError               exit 4   the ledger is unreadable
    ├── ServerRefused             exit 5   the server refuses our token: no job can go on
    ├── OutOfReach                exit 7   server or datastore does not answer: try later
    │   └── LeaseLost                      the claim of a job ended; another machine may have it
    ├── AnotherRun                exit 11  another run holds the lock
    ├── DiskFull                  exit 12  not enough disk space
    ├── OutOfMemory               exit 12  not enough memory, whatever the job
    │   └── OutOfResources                 no more files, threads or processes
    └── JobError                  exit 6   one job failed; the run goes on with the next
        ├── TryLater                       the job keeps its state and is tried again
        │   ├── ServerUnavailable
        │   │   └── ServerSilent
        │   ├── FolderSilent
        │   └── SourceUnsettled
        └── NeedsPerson                    the job is held until someone releases it
            ├── RequestRefused
            ├── SeriesRefused
            ├── GateBlocked       exit 8   the gate found an identifying value; nothing was sent
            └── BadStructureSet

A message may be mailed by cron or pasted into an issue. It names jobs, files that the site wrote
itself, DICOM keywords and counts; never a value read from a dataset, nor a path in the datastore.
"""

from copy import copy
from typing import Any, ClassVar, Final, Self


class DrawcliError(Exception):
    """Anything drawcli raises on purpose.

    The hint is one imperative sentence: the next thing to do. The code is a stable identifier for
    scripts and for the documentation.
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
    """The command line is invalid."""

    exit_code = 2
    code = "usage"


class ConfigError(DrawcliError):
    """Settings, rules or templates are invalid."""

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
    """The server or the datastore does not answer; no job is at fault."""

    exit_code = 7
    code = "out-of-reach"


class LeaseLost(OutOfReach):
    """The claim of a job ended during a step; another machine may have the job."""

    code = "lease-lost"
    hint = "No action: the job continues by itself. If it lasts, check the network to the database."

    @classmethod
    def of(cls, job_id: str) -> Self:
        """Return the error of a job."""
        return cls(
            f"the claim of job {job_id} ended before this step did: the machine was suspended, or "
            "had no connection to the database; another machine may have taken the job over"
        )


class AnotherRun(DrawcliError):
    """Another run holds the lock."""

    exit_code = 11
    code = "another-run"


class DiskFull(DrawcliError):
    """Not enough disk space for the next package."""

    exit_code = 12
    code = "disk-full"


class OutOfMemory(DrawcliError):
    """Not enough memory for the next step."""

    exit_code = 12
    code = "out-of-memory"
    hint = "Nothing is lost; the next run goes on. Check which programs use the memory."


class OutOfResources(OutOfMemory):
    """The system gives this process no more files, threads or processes."""

    code = "out-of-resources"
    hint = "Nothing is lost; the next run goes on. Check 'ulimit -n', 'ulimit -u' and the memory."


SHORT: Final = frozenset({OutOfMemory.code, OutOfResources.code})  # of jobs, too


class JobError(DrawcliError):
    """One job failed; the others go on."""

    exit_code = 6


class TryLater(JobError):
    """The job keeps its state and is tried again."""

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
    """The server has not sent its whole answer in time."""

    code = "server-lost"


class FolderSilent(TryLater):
    """The folder for structure sets does not answer; the checked result stays with the job."""

    code = "delivery"


class SourceUnsettled(TryLater):
    """A file of the series vanished, grew or changed since the scan."""

    code = "source-changed"


DELIVERY: Final = "delivery"  # the structure set could not be written to its folder
NODE: Final = "dicom-node"  # it is in its folder; the DICOM node has not accepted it yet
COMMITMENT: Final = "commitment"  # a node has it, and has not committed to keep it yet
UNDELIVERED: Final = frozenset({DELIVERY, NODE, COMMITMENT})
SILENT: Final = "datastore-silent"  # the file server of the images does not answer
MODEL_CHANGED: Final = "model-changed"  # a golden case of the template has come back different
FIRST_RUN: Final = "first-run"  # a new site would send more than match.first_run_limit
HOST_AWAY: Final = "host-away"  # another machine has the images, and is away
LOCKED: Final = frozenset({"audit-busy", "token-busy"})  # another process holds the lock
AWAY: Final = UNDELIVERED | LOCKED | {SILENT}  # unreachable, other than the server
RENEWAL: Final = "token-renewal"  # the tokens could not be refreshed for now
# Codes of ServerUnavailable for the whole server: unreachable, not ready, or no token. It took
# nothing of the request, and the next job would fail too.
SERVER_TOOK_NOTHING: Final = frozenset({"server-down", "server-busy", RENEWAL})


class NeedsPerson(JobError):
    """The job is held until someone releases it."""

    code = "held"


class RequestRefused(NeedsPerson):
    """The server refuses the request of this job."""

    code = "server-refused-job"


class SeriesRefused(NeedsPerson):
    """The series cannot be de-identified safely, so nothing of it is sent."""

    code = "series-refused"


class GateBlocked(NeedsPerson):
    """The finished package still holds an identifying value; it was not sent."""

    exit_code = 8
    code = "privacy-gate"


class BadStructureSet(NeedsPerson):
    """The returned RTSTRUCT does not belong to the series it was made for."""

    code = "bad-structure-set"
