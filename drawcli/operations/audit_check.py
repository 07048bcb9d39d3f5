"""The audit log held against the ledger: what one says has left, the other must know."""

from collections import Counter
from dataclasses import dataclass

from drawcli.adapters.state.audit_log import ATTEMPT
from drawcli.pipeline.context import Context


@dataclass(frozen=True, slots=True)
class Lacking:
    """A job of which more uploads were begun than the audit log tells."""

    job: str
    begun: int  # since there is an audit log
    told: int

    def __str__(self) -> str:
        """Say it in a sentence."""
        return (
            f"uploads of job {self.job}: {self.begun} by the ledger, {self.told} by the audit log"
        )


def unattested(ctx: Context) -> list[Lacking]:
    """Return the jobs of which the audit log tells less than the ledger counts.

    The ledger counts an upload once its line is on disk, and never takes one back: so it takes a
    lost end of the log, or the loss of all of it, to have one. What was sent before there was an
    audit log is not counted. The ledger is read first, for a run may be at work.
    """
    counted = {job.id: job.attested for job in ctx.ledger.all_jobs() if job.attested}
    lines = (line.facts for line in ctx.audit.lines())
    told = Counter(facts.get("job") for facts in lines if facts.get("what") == ATTEMPT)
    return [Lacking(one, begun, told[one]) for one, begun in counted.items() if told[one] < begun]
