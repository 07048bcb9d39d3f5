"""Compare the audit log with the ledger: both must know the same uploads."""

from collections import Counter
from dataclasses import dataclass

from drawcli.adapters.state.audit_log import ATTEMPT
from drawcli.pipeline.context import Context


@dataclass(frozen=True, slots=True)
class Lacking:
    """A job with more uploads in the ledger than in the audit log."""

    job: str
    begun: int  # uploads by the ledger, since the audit log exists
    logged: int  # uploads by the audit log

    def __str__(self) -> str:
        """Return it as a sentence."""
        return f"uploads of job {self.job}: {self.begun} in ledger, {self.logged} in audit log"


def unattested(ctx: Context) -> list[Lacking]:
    """Return the jobs with fewer uploads in the audit log than in the ledger.

    The ledger counts an upload only after its line in the log is on disk, so a difference means
    that lines were lost. Uploads from before the audit log existed are not counted. The ledger is
    read first because a run may be active.
    """
    counted = {job.id: job.attested for job in ctx.ledger.every() if job.attested}
    lines = (line.facts for line in ctx.audit.lines())
    logged = Counter(facts.get("job") for facts in lines if facts.get("what") == ATTEMPT)
    return [Lacking(job, n, logged[job]) for job, n in counted.items() if logged[job] < n]
