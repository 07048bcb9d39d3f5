"""The outcome of one step of a run."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from drawcli.adapters.state.pause import Pause, read_pause
from drawcli.errors import UNDELIVERED, DrawcliError, OutOfReach, TryLater

if TYPE_CHECKING:
    from drawcli.core.jobs.job import Job
    from drawcli.core.jobs.ledger import SharedFacts
    from drawcli.pipeline.pull.outcome import PullReport
    from drawcli.pipeline.survey.scan_result import ScanResult


@dataclass(slots=True)
class StepReport:
    """The outcome of one step."""

    step: str
    begun: int = 0
    outcomes: list[tuple[str, str]] = field(default_factory=list)  # job id, outcome
    held: "list[Job]" = field(default_factory=list)  # newly
    silent: int = 0  # timeouts in a row
    silences: int = 0  # timeouts in total
    blocked: int = 0  # by the privacy gate
    unreachable: str = ""  # why the server could not be reached
    undelivered: TryLater | None = None  # why a delivery target, or the images, cannot be reached
    stopped: bool = False  # a server or share does not answer: no further job is started
    shortage: TryLater | None = None  # of memory, files or threads: the run cannot go on
    scanned: "ScanResult | None" = None
    pulled: "PullReport | None" = None
    pull_error: DrawcliError | None = None  # why no archive was asked
    pause: Pause | None = None  # uploads are paused, and a package waits

    def is_paused(self, state_dir: Path, shared: "SharedFacts | None") -> bool:
        """Return, and note, whether the step must not go on: uploads are paused."""
        self.pause = read_pause(state_dir, shared) if self.step == "upload" else None
        return self.pause is not None

    @property
    def counts(self) -> Counter[str]:
        """The number of jobs by outcome."""
        return Counter(what for _, what in self.outcomes)


def outcome_of(before: "Job", after: "Job") -> str:
    """Return what a step has done to a job, as reports count it."""
    if after.held:
        return "held"
    if after.state is not before.state:
        return str(after.state)
    return "confirmed" if before.replaced and not after.replaced else "waiting"


def out_of_reach(reports: list[StepReport]) -> list[OutOfReach]:
    """Return an error for each server, datastore or delivery target that does not answer."""
    errors = []
    for report in reports:
        errors += report.scanned.lost if report.scanned is not None else []
        if report.unreachable:
            hint = "Nothing is lost; the jobs wait. Check the network and server.url if it lasts."
            errors.append(OutOfReach(f"no answer from the server: {report.unreachable}", hint=hint))
        if err := report.undelivered:
            kept = (
                "The checked file is kept and delivered later. 'drawcli doctor' tests the target."
            )
            hint = kept if err.code in UNDELIVERED else err.hint
            errors.append(OutOfReach(str(err), code=err.code, hint=hint))
    return errors
