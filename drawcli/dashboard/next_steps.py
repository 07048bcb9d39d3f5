"""The page that does what a text asks for: links and buttons beside the commands of a terminal."""

from collections.abc import Sequence
from typing import Final, NamedTuple
from urllib.parse import quote

from drawcli.core.jobs.job import Job, State
from drawcli.dashboard.access.rights import Right, Visitor
from drawcli.operations.verdict.findings import SetupStep, SiteFinding

CONTROLS: Final = "/#controls-title"  # of the overview: run, pause
# Reasons that a change of the template can solve.
_BY_TEMPLATE: Final = frozenset({"structures-missing", "structures-empty", "structure-volume"})


class NextStep(NamedTuple):
    """A link that leads on."""

    text: str
    page: str


class Possible(NamedTuple):
    """What the visitor of a page can do there at present."""

    visitor: Visitor
    unmatched: int  # series that no rule matches
    is_running: bool  # a run is at work, so that no other can be started

    @property
    def can_run(self) -> bool:
        """Whether the visitor can start a run."""
        return self.visitor.may(Right.ACT) and not self.is_running


def of_finding(finding: SiteFinding, setup: Sequence[SetupStep], now: Possible) -> NextStep:
    """Return where to go on because of a finding."""
    if finding.code == "setup":
        missing = (of_step(step, now) for step in setup if not step.done)
        return next(missing, None) or NextStep("Show the steps", finding.page)
    if finding.code == "held":
        return NextStep("Held jobs", "/held")
    if finding.code == "warnings":
        return NextStep("Look at the warnings", finding.page)
    if now.can_run and finding.code in {"no-run", "run-late", "run-stopped"}:
        return NextStep("Run now", CONTROLS)
    if now.visitor.may(Right.ACT) and finding.code == "paused":
        return NextStep("Send again", CONTROLS)
    return NextStep("Show", finding.page)


def of_step(step: SetupStep, now: Possible) -> NextStep | None:
    """Return where a step of the set-up can be done on the page; None: in a terminal only."""
    may_edit = now.visitor.may(Right.EDIT)
    if step.name == "Templates" and may_edit:
        return NextStep("New template", "/edit/templates")
    if step.name == "Rules" and may_edit and now.unmatched:
        return NextStep("Write a rule from a series", "/unmatched")
    if step.name == "Rules" and may_edit and now.can_run:
        return NextStep("Run now, then write a rule from a series", CONTROLS)
    if step.name == "Cron" and now.can_run:
        return NextStep("Run now", CONTROLS)
    return None


def of_job(job: Job, visitor: Visitor, *, has_pictures: bool) -> list[NextStep]:
    """Return where to go on with a job that waits for a user, or to see its contours."""
    found = [NextStep("Open the viewer", f"/jobs/{job.id}/viewer")] if has_pictures else []
    if job.state in (State.UNMATCHED, State.AMBIGUOUS) and visitor.may(Right.EDIT):
        found.append(NextStep("Write a rule", f"/edit/rules/new?job={job.id}"))
    if job.held and job.template and job.reason_code in _BY_TEMPLATE:
        name = quote(job.template)
        if visitor.may(Right.EDIT):
            to = f"/edit/templates?template={name}"
            found.append(NextStep(f"Change template {job.template}", to))
        else:
            found.append(NextStep(f"Template {job.template}", f"/templates/{name}"))
    return found
