"""Patients and studies: the search, and a page for each; only for who may see patients.

Addresses have keys derived from the site key, or random ids of searches.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from drawcli.core.jobs.job import Job
from drawcli.core.jobs.timeline import Moment, moments
from drawcli.dashboard.access.auth import SEE_OTHER, verified_form
from drawcli.dashboard.access.rights import Right, require
from drawcli.dashboard.find.cases import PatientCase, PatientQuery, date_text, different
from drawcli.dashboard.find.searches import PatientSearch
from drawcli.dashboard.view import PageParts, page, parts_of

MOST_PATIENTS: Final = 100  # in one list
_MOST_MOMENTS: Final = 300  # in one timeline
_NEWEST: Final = 400  # series in which the latest patients are looked for
_LATEST: Final = 20  # patients that are shown without a search


@dataclass(frozen=True, slots=True, kw_only=True)
class PatientRow:
    """A patient in a list."""

    key: str
    names: list[str]
    ids: list[str]
    births: list[str]
    accessions: list[str]
    days: list[str]  # of studies, the latest first
    jobs: list[Job]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyPart:
    """A study on a page."""

    key: str
    day: str
    description: str
    accession: str
    jobs: list[Job]


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """An event of one of several jobs."""

    job: Job
    moment: Moment


def patients(request: Request) -> Response:
    """Show the search and the latest patients."""
    require(request, Right.PATIENTS)
    parts = parts_of(request)
    parts.find.patients.follow()
    rows = _rows(parts.find.patients.newest(_NEWEST), parts)
    return _listed(request, rows[:_LATEST], len(rows), None)


async def search(request: Request) -> Response:
    """Keep the search of a form, and go to its results."""
    form = await verified_form(request)
    require(request, Right.PATIENTS)
    words, day = (str(form.get(name, "")).strip() for name in ("words", "day"))
    if not PatientQuery.of(words, day):
        return RedirectResponse("/patients", SEE_OTHER)
    number = parts_of(request).find.searches.add(words, day, _session(request))
    return RedirectResponse(f"/patients/found/{number}", SEE_OTHER)


def found(request: Request) -> Response:
    """Show the patients of a search."""
    require(request, Right.PATIENTS)
    parts = parts_of(request)
    kept = parts.find.searches.get(request.path_params["search"], _session(request))
    if kept is None:
        return RedirectResponse("/patients", SEE_OTHER)  # it is over, or of another session
    parts.find.patients.follow()
    cases = parts.find.patients.find(PatientQuery.of(kept.words, kept.day))
    keys = {*islice(dict.fromkeys(case.patient for case in cases), MOST_PATIENTS)}
    rows = _rows([case for case in cases if case.patient in keys], parts)
    return _listed(request, rows, len({case.patient for case in cases}), kept)


def patient(request: Request) -> Response:
    """Show all studies of a patient, with the timeline of their jobs."""
    require(request, Right.PATIENTS)
    parts = parts_of(request)
    parts.find.patients.follow()
    return _timeline_page(
        request, parts.find.patients.of_patient(request.path_params["patient"]), "patient"
    )


def study(request: Request) -> Response:
    """Show one study of a patient, with the timeline of its jobs."""
    require(request, Right.PATIENTS)
    parts = parts_of(request)
    parts.find.patients.follow()
    cases = parts.find.patients.of_study(request.path_params["study"])
    return _timeline_page(request, cases, "study")


def _listed(
    request: Request, rows: list[PatientRow], count: int, kept: PatientSearch | None
) -> Response:
    index = parts_of(request).find.patients
    return page(
        request,
        "patients.html",
        rows=rows,
        count=count,
        search=kept,
        progress=index.progress,
        size=index.size,
    )


def _timeline_page(request: Request, cases: Sequence[PatientCase], what: str) -> Response:
    parts = parts_of(request)
    progress = parts.find.patients.progress
    if not cases and not progress.is_building:
        raise HTTPException(404, f"There is no such {what} any more: work folders are removed.")
    rows = _rows(cases, parts)
    studies = _studies(cases, parts)
    return page(
        request,
        "patient.html",
        what=what,
        row=rows[0] if rows else None,
        studies=studies,
        timeline=_timeline([job for part in studies for job in part.jobs]),
        progress=progress,
    )


def _rows(cases: Iterable[PatientCase], parts: PageParts) -> list[PatientRow]:
    """Return a row for each patient, in the order of the cases."""
    grouped: dict[str, list[PatientCase]] = {}
    for case in cases:
        grouped.setdefault(case.patient, []).append(case)
    jobs = {
        job.id: job for job in parts.site.jobs_named(c.job for g in grouped.values() for c in g)
    }
    return [_row(key, group, jobs) for key, group in grouped.items()]


def _row(key: str, cases: list[PatientCase], jobs: dict[str, Job]) -> PatientRow:
    days = sorted({case.study_date for case in cases if case.study_date}, reverse=True)
    return PatientRow(
        key=key,
        names=different(case.name for case in cases),
        ids=different(case.patient_id for case in cases),
        births=different(date_text(case.birth_date) for case in cases),
        accessions=different(case.accession for case in cases),
        days=[date_text(day) for day in days],
        jobs=[jobs[case.job] for case in cases if case.job in jobs],
    )


def _studies(cases: Iterable[PatientCase], parts: PageParts) -> list[StudyPart]:
    grouped: dict[str, list[PatientCase]] = {}
    for case in sorted(cases, key=lambda case: case.study_date, reverse=True):
        grouped.setdefault(case.study, []).append(case)
    jobs = {
        job.id: job for job in parts.site.jobs_named(c.job for g in grouped.values() for c in g)
    }
    return [
        StudyPart(
            key=key,
            day=date_text(group[0].study_date),
            description=next(filter(None, (case.description for case in group)), ""),
            accession=next(filter(None, (case.accession for case in group)), ""),
            jobs=sorted(
                (jobs[case.job] for case in group if case.job in jobs), key=_begun, reverse=True
            ),
        )
        for key, group in grouped.items()
    ]


def _timeline(jobs: Iterable[Job]) -> list[TimelineEntry]:
    """Return the events of jobs, the newest first."""
    events = [TimelineEntry(job, moment) for job in jobs for moment in reversed([*moments(job)])]
    events.sort(key=lambda one: one.moment.at, reverse=True)
    return events[:_MOST_MOMENTS]


def _begun(job: Job) -> datetime:
    return job.events[0].at if job.events else job.since


def _session(request: Request) -> str:
    return str(request.session.get("in", ""))
