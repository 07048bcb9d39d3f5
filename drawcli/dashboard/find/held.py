"""Held jobs grouped by cause, with one action for all that are selected.

The jobs are changed one after another in the background, each under its own lock and only if it is
as the page showed it. The outcome of each is shown on a page of its own.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from threading import Thread
from typing import Final, NamedTuple

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from drawcli.core.jobs.job import Job
from drawcli.dashboard.access.auth import SEE_OTHER, verified_form
from drawcli.dashboard.access.rights import Right, require, visitor_of
from drawcli.dashboard.actions import DESCRIPTIONS, act_on, available_actions
from drawcli.dashboard.find.joint_action import JobOutcome, JointAction
from drawcli.dashboard.snapshot import SiteReader
from drawcli.dashboard.view import page, parts_of, row
from drawcli.errors import DrawcliError, UsageError
from drawcli.pipeline.context import Context

MOST_JOBS: Final = 1000  # of one cause on a page, and in one form
_ASKED: Final = 20  # jobs of a cause that are asked what can be done
_OTHER: Final = "other"  # the cause of jobs without a code


class Cause(NamedTuple):
    """Jobs that are held for the same reason code."""

    code: str
    reason: str  # of the job held longest
    hint: str
    jobs: Sequence[Job]  # held longest first
    since: datetime  # when the first was held
    templates: Sequence[tuple[str, int]]  # with their numbers of jobs


def causes_of(held: Sequence[Job]) -> list[Cause]:
    """Group held jobs by reason code, the largest group first."""
    groups: dict[str, list[Job]] = {}
    for job in sorted(held, key=lambda job: row(job)["since"]):
        groups.setdefault(job.reason_code or _OTHER, []).append(job)
    found = [_cause(code, jobs) for code, jobs in groups.items()]
    return sorted(found, key=lambda cause: -len(cause.jobs))


def _cause(code: str, jobs: list[Job]) -> Cause:
    first = jobs[0]
    templates = Counter(job.template or "no template" for job in jobs).most_common()
    return Cause(code, first.reason or "", first.hint or "", jobs, row(first)["since"], templates)


def held(request: Request) -> Response:
    """Show the held jobs by cause; those of one cause with boxes to select them."""
    parts = parts_of(request)
    causes = causes_of(parts.site.snapshot().overview.held)
    code = request.query_params.get("cause", causes[0].code if len(causes) == 1 else "")
    chosen = next((cause for cause in causes if cause.code == code), None)
    may_act = visitor_of(request).may(Right.ACT)
    return page(
        request,
        "held.html",
        causes=causes,
        chosen=chosen,
        jobs=chosen.jobs[:MOST_JOBS] if chosen else [],
        actions=_possible(chosen, parts.site) if chosen and may_act else {},
        templates=parts.site.template_names() if chosen and may_act else [],
        all_selected="all" in request.query_params,
    )


async def act_on_many(request: Request) -> Response:
    """Begin the action of a form on its jobs; 403 without --allow-actions."""
    form = await verified_form(request, most_fields=MOST_JOBS + 10)
    visitor = require(request, Right.ACT)
    parts = parts_of(request)
    action, template = str(form.get("action", "")), str(form.get("template", ""))
    if action not in DESCRIPTIONS:
        raise HTTPException(404, f"There is no action '{action}'.")
    chosen = dict(str(one).partition(" ")[::2] for one in form.getlist("job"))
    if not 0 < len(chosen) <= MOST_JOBS:
        raise UsageError(
            "no job is selected" if not chosen else f"more than {MOST_JOBS} jobs are selected",
            hint="Nothing was done. Select the jobs first.",
        )
    joint = JointAction(action, len(chosen), str(request.session.get("in", "")))
    number = parts.find.joint.add(joint)
    Thread(
        target=_work,
        args=(joint, chosen, template, parts.site, visitor.name),
        name="joint action",
        daemon=True,
    ).start()
    return RedirectResponse(f"/held/done/{number}", SEE_OTHER)


def outcomes(request: Request) -> Response:
    """Show what came of an action on several jobs."""
    require(request, Right.ACT)
    session = str(request.session.get("in", ""))
    joint = parts_of(request).find.joint.get(request.path_params["number"], session)
    if joint is None:
        return RedirectResponse("/held", SEE_OTHER)
    return page(request, "held_done.html", joint=joint, outcomes=list(joint.outcomes))


def _work(
    joint: JointAction, chosen: dict[str, str], template: str, site: SiteReader, by: str
) -> None:
    """Act on each job that is as it was seen; one that fails leaves the others."""
    trouble = "it ended early; see the log of drawcli"
    try:
        with site.reopen(by) as ctx:
            for name, revision in chosen.items():
                joint.outcomes.append(_outcome(name, joint.action, revision, template, ctx))
    except (OSError, DrawcliError) as err:
        trouble = str(err)
    finally:
        left = [*chosen][len(joint.outcomes) :]
        said = f"not tried: {trouble}"
        joint.outcomes += [JobOutcome(name, said, done=False) for name in left]


def _outcome(name: str, action: str, revision: str, template: str, ctx: Context) -> JobOutcome:
    try:
        after = act_on(name, action, revision, template, ctx)
    except DrawcliError as err:
        return JobOutcome(name, f"{err}. {err.hint}".strip(), done=False)
    return JobOutcome(name, f"now {row(after)['state']}")


def _possible(cause: Cause, site: SiteReader) -> dict[str, str]:
    """Return what can be done to at least one of the first jobs of a cause."""
    found: dict[str, str] = {}
    for job in cause.jobs[:_ASKED]:
        found |= available_actions(job, site.ctx)
    return {name: text for name, text in DESCRIPTIONS.items() if name in found}
