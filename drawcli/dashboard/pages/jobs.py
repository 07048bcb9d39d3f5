"""The list of jobs with filter, order and paging; and a job in full."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from drawcli.adapters.state.workdir import REPORT
from drawcli.core.jobs.columns import STATUS, as_plain, facts, waits_text
from drawcli.core.jobs.job import Job, State
from drawcli.core.jobs.timeline import moments
from drawcli.core.jobs.waiting import way_out
from drawcli.core.jobs.warned import unseen_warnings
from drawcli.core.rules.conditions import Truth
from drawcli.dashboard.access.rights import Right, visitor_of
from drawcli.dashboard.actions import available_actions, completed_action
from drawcli.dashboard.csv_download import csv_download
from drawcli.dashboard.explanations import stored_node
from drawcli.dashboard.find.cases import case_of_job
from drawcli.dashboard.find.downloads import downloads_of
from drawcli.dashboard.find.filters import saved_filters
from drawcli.dashboard.job_query import DAYS, HELD, NOW, ROWS, SORTS, WARNINGS, JobQuery, Listing
from drawcli.dashboard.job_table import columns_for, job_rows, titles
from drawcli.dashboard.next_steps import of_job
from drawcli.dashboard.pages.ratings import rating_box
from drawcli.dashboard.qa.reader import QaReader
from drawcli.dashboard.qa.words import STATUS_TEXTS
from drawcli.dashboard.snapshot import SiteReader
from drawcli.dashboard.view import page, parts_of
from drawcli.pipeline.identity import private_facts
from drawcli.pipeline.stored_explanation import read_explanation


def jobs(request: Request) -> Response:
    """List the jobs that match the query."""
    parts = parts_of(request)
    site, identify = parts.site, visitor_of(request).may(Right.PATIENTS)
    query = JobQuery.of(request.query_params)
    among = _among(query, site)
    listing = Listing.select(query, among)
    columns = columns_for(listing.jobs, site.now)
    patient = site.patient if identify else None
    return page(
        request,
        "jobs.html",
        listing=listing,
        lines=job_rows(listing.jobs, site.now, columns, parts.find.series.of, patient),
        states=[HELD, WARNINGS, *State],
        templates=sorted({job.template for job in among if job.template}),
        modalities=sorted({job.modality for job in among if job.modality}),
        months=site.snapshot().months,
        titles=titles(columns),
        sorts=[(name, label) for name, (label, _) in SORTS.items()],
        rows=ROWS,
        days=DAYS,
        filters=saved_filters(request),
    )


def takes_long(request: Request) -> bool:
    """Return whether the list of an address takes long."""
    return JobQuery.of(request.query_params).takes_long


def jobs_csv(request: Request) -> Response:
    """Return all jobs that match the query as CSV, with the columns of `status --csv`."""
    site = parts_of(request).site
    query = JobQuery.of(request.query_params)
    among = _among(query, site)
    found = Listing.select(replace(query, page=1, rows=max(len(among), 1)), among).jobs
    rows = (as_plain(one, site.now, STATUS).values() for one in found)
    return csv_download("drawcli-jobs.csv", [column.name for column in STATUS], map(tuple, rows))


def _among(query: JobQuery, site: SiteReader) -> Sequence[Job]:
    """Return the jobs of a period: of the ledger, of a month of the archive, or of some days."""
    period = query.period(site.now.date())
    if period is not None:
        return site.between(*period)
    return site.snapshot().jobs if query.when == NOW else [*site.month(query.when).values()]


def job(request: Request) -> Response:
    """Show everything about a job."""
    parts = parts_of(request)
    site, visitor = parts.site, visitor_of(request)
    identify, may_act = visitor.may(Right.PATIENTS), visitor.may(Right.ACT)
    found = site.job(request.path_params["job"])
    work = site.ctx.work
    done = request.query_params.get("done", "")
    has_pictures = parts.previews.can_show(found)
    explanation = read_explanation(found, work, site.rulebook if identify else None)
    return page(
        request,
        "job.html",
        job=found,
        command=way_out(found),
        waits_for=waits_text(found, site.now),
        history=list(moments(found)),
        warnings=unseen_warnings(found),
        facts=facts(found, site.now),
        known=[one for one in parts.find.series.of(found)._asdict().items() if one[1]],
        private=private_facts(found, site.ctx) if identify else [],
        who=case_of_job(found, site.ctx) if identify else None,
        trees=_trees(explanation),
        sentence=explanation.get("sentence", ""),
        acceptance=work.read_json(found.id, REPORT) or {},
        files=dict(work.files_of(found.id)),
        siblings=_siblings(found, site),
        downloads=downloads_of(found, parts, visitor),
        actions=available_actions(found, site.ctx) if may_act else {},
        templates=site.template_names() if may_act else [],
        done=completed_action(found, done),
        rating=rating_box(found, site, done, identify=identify),
        has_pictures=has_pictures,
        steps=of_job(found, visitor, has_pictures=has_pictures and parts.entry.requires_login),
        pair=_pair(found, parts.qa),
    )


def _pair(job: Job, qa: QaReader) -> str:
    """Return what is known of the clinical structure set of a job, in words; "": nothing."""
    status = qa.status(job.id) if job.delivered_sha256 else None
    return STATUS_TEXTS[status] if status else ""


def _trees(explanation: dict[str, Any]) -> list[tuple[str, Any]]:
    """Return the explanation of each rule, matching rules first."""
    trees = [(name, stored_node(tree)) for name, tree in explanation.get("rules", {}).items()]
    return sorted(trees, key=lambda tree: tree[1].outcome != Truth.TRUE)


def _siblings(job: Job, site: SiteReader) -> list[Job]:
    """Return the other jobs of the same series that are open or recently finished."""
    every = site.snapshot().jobs
    return [other for other in every if other.series_key == job.series_key and other.id != job.id]
