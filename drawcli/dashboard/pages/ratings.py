"""The rating of a delivered job on its page, and the form that rates it."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Final, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from drawcli.adapters.state.qa_records import QaRatings
from drawcli.core.jobs.job import Job
from drawcli.core.qa.ratings import (
    HIGHEST,
    LONGEST_COMMENT,
    LONGEST_NAME,
    MEANINGS,
    MOST_MINUTES,
    Rating,
    RatingSource,
)
from drawcli.dashboard.access.auth import SEE_OTHER, verified_form
from drawcli.dashboard.access.rights import Right, require
from drawcli.dashboard.local_time import local_time
from drawcli.dashboard.snapshot import SiteReader
from drawcli.dashboard.view import parts_of
from drawcli.errors import UsageError
from drawcli.operations.qa.ratings import (
    COMMENT_NOTE,
    RatingAnswers,
    can_be_rated,
    parse_edits,
    rating_of,
    structures_of,
)
from drawcli.operations.qa.ratings import rate as rate_job
from drawcli.pipeline import actions

_Number = TypeVar("_Number", int, float)
_log = logging.getLogger(__name__)
DONE: Final = "rate"  # in the address after a rating was stored
_JUST_NOW: Final = timedelta(minutes=1)
_FIELD: Final = "structure:"  # and the name of the structure


@dataclass(frozen=True, slots=True)
class RatingBox:
    """The rating of a job, and what its form needs."""

    rating: Rating | None
    structures: tuple[str, ...]
    asks_name: bool
    is_new: bool  # it was stored a moment ago
    shows_comment: bool  # with --identify: it is free text, and the page says it names no patient
    meanings: ClassVar = MEANINGS
    note: ClassVar = COMMENT_NOTE
    highest: ClassVar = HIGHEST
    most_minutes: ClassVar = MOST_MINUTES
    longest_comment: ClassVar = LONGEST_COMMENT
    longest_name: ClassVar = LONGEST_NAME

    @property
    def facts(self) -> list[tuple[str, str]]:
        """The rating without its structures; empty if there is none."""
        rating = self.rating
        if rating is None:
            return []
        rows = [
            ("rated", local_time(rating.at)),
            ("overall", "" if rating.overall is None else f"{rating.overall} of {HIGHEST}"),
            ("minutes of editing", "" if rating.minutes is None else f"{rating.minutes:g}"),
            ("comment", rating.comment if self.shows_comment else self._comment_elsewhere),
            ("by", rating.by),
        ]
        return [(name, value) for name, value in rows if value]

    @property
    def _comment_elsewhere(self) -> str:
        if self.rating is None or not self.rating.comment:
            return ""
        return f"'drawcli qa rate {self.rating.job} --show' shows it"

    @property
    def comment(self) -> str:
        """The comment to begin with in the form."""
        return self.rating.comment if self.rating and self.shows_comment else ""

    def edit_of(self, name: str) -> str:
        """Return the stored edit of a structure; "" if it is not rated."""
        return str(self.rating.structures.get(name, "")) if self.rating else ""


def rating_box(job: Job, site: SiteReader, done: str, *, identify: bool) -> RatingBox | None:
    """Return the rating of a job for its page; None if nothing was delivered."""
    if not can_be_rated(job):
        return None
    rating = rating_of(job, site.ctx)
    is_new = done == DONE and rating is not None and site.now - rating.at < _JUST_NOW
    with site.lock:
        structures = structures_of(job, site.ctx)
    return RatingBox(rating, structures, site.ctx.settings.qa.raters, is_new, identify)


async def rate(request: Request) -> Response:
    """Store the rating of a form; 403 without --allow-actions."""
    parts = parts_of(request)
    form = await verified_form(request)
    visitor = require(request, Right.ACT)
    done = await run_in_threadpool(
        _rated, request.path_params["job"], form, parts.site, visitor.name
    )
    return RedirectResponse(f"/jobs/{done.id}?done={DONE}#rating", SEE_OTHER)


def _rated(name: str, form: FormData, site: SiteReader, by: str) -> Job:
    """Rate a job, with the site opened again, so that the state on disk is used."""
    with site.reopen(by) as ctx:
        job = actions.find_job(name, ctx)
        answers = _answers(form, structures_of(job, ctx))
        rating = rate_job(job, answers, RatingSource.PAGE, ctx)
        ctx.record(DONE, job)
        QaRatings(ctx.settings.state_dir).add([rating])
    _log.info("job=%s action=%s from=page", job.id, DONE)
    return job


def _answers(form: FormData, known: tuple[str, ...]) -> RatingAnswers:
    """Return what a form says; an empty field is no answer."""
    given = {name: text for name, value in form.items() if (text := str(value).strip())}
    edits = [(name.removeprefix(_FIELD), name) for name in given if name.startswith(_FIELD)]
    words = [f"{structure}={given[name]}" for structure, name in edits]
    return RatingAnswers(
        overall=_number(given, "overall", int),
        minutes=_number(given, "minutes", float),
        structures=parse_edits(words, given.get("every"), known),
        comment=given.get("comment", ""),
        by=given.get("by", ""),
    )


def _number(given: Mapping[str, str], name: str, kind: Callable[[str], _Number]) -> _Number | None:
    """Return a number of a form; `Rating` checks its range."""
    try:
        return kind(given[name]) if name in given else None
    except ValueError:
        raise UsageError(f"'{name}' is not a number", hint="Nothing was stored.") from None
