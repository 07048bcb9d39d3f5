"""What one step of a run did."""

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from drawcli.errors import UNDELIVERED, OutOfReach, TryLater

if TYPE_CHECKING:
    from drawcli.core.jobs.job import Job
    from drawcli.pipeline.steps.scan import Scanned


@dataclass(slots=True)
class StepReport:
    """What one step did."""

    step: str
    begun: int = 0
    outcomes: list[tuple[str, str]] = field(default_factory=list)  # job, what became of it
    held: "list[Job]" = field(default_factory=list)  # newly
    silent: int = 0  # how many in a row have had no answer in time
    silences: int = 0  # how many in all
    blocked: int = 0  # by the privacy gate
    unreachable: str = ""  # why the server could not be reached
    undelivered: TryLater | None = None  # why their place, or the images, are out of reach
    stopped: bool = False  # what the step waits for does not answer: no further job is begun
    no_memory: bool = False  # the step failed for lack of it
    scanned: "Scanned | None" = None

    @property
    def counts(self) -> Counter[str]:
        """How many jobs became what."""
        return Counter(what for _, what in self.outcomes)


def out_of_reach(reports: list[StepReport]) -> list[OutOfReach]:
    """Return what to say where server, datastore or the place for structure sets do not answer."""
    errors = []
    for report in reports:
        errors += report.scanned.lost if report.scanned is not None else []
        if report.unreachable:
            hint = "Nothing is lost; the jobs wait. Check the network and server.url if it lasts."
            errors.append(OutOfReach(f"no answer from the server: {report.unreachable}", hint=hint))
        if err := report.undelivered:
            kept = "The checked file stays with the job and is tried again. 'drawcli doctor' looks."
            hint = kept if err.code in UNDELIVERED else err.hint
            errors.append(OutOfReach(str(err), code=err.code, hint=hint))
    return errors
