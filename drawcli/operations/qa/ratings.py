"""Rate the delivered contours of a job, and read the ratings of a site."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final

from drawcli.adapters.state.qa_records import QaRatings, QaRecords
from drawcli.adapters.state.workdir import AS_SENT, REPORT
from drawcli.core.jobs.job import Job, State
from drawcli.core.qa.outcomes import ContourOutcome
from drawcli.core.qa.ratings import Edit, Rating, RatingSource, current_ratings
from drawcli.errors import DrawcliError, JobError, UsageError
from drawcli.system.records import suggest

if TYPE_CHECKING:
    from pathlib import Path

    from drawcli.pipeline.context import Context

_DELIVERED: Final = frozenset({State.DELIVERED, State.DONE})
COMMENT_NOTE: Final = "Do not name a patient in a comment."


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingAnswers:
    """What a person said about a structure set."""

    overall: int | None = None
    minutes: float | None = None
    structures: Mapping[str, Edit] = field(default_factory=dict)
    comment: str = ""
    by: str = ""


def check_can_be_rated(job: Job) -> None:
    """Raise UsageError unless contours of the job were delivered."""
    if not can_be_rated(job):
        raise UsageError(
            f"job {job.id} is {job.state}: nothing was delivered yet, so there is nothing to rate",
            hint=f"'drawcli show {job.id}' shows what it waits for.",
        )


def can_be_rated(job: Job) -> bool:
    """Return whether contours of the job were delivered."""
    return job.state in _DELIVERED and bool(job.delivered_sha256)


def structures_of(job: Job, ctx: "Context") -> tuple[str, ...]:
    """Return the names of the structures of a delivered job, as the planning system shows them.

    They come from the template that was sent; for jobs whose work folder is gone from the record of
    their comparison, else from the present template.
    """
    return _sent(job, ctx) or _compared(job, ctx) or _of_present_template(job, ctx)


def _sent(job: Job, ctx: "Context") -> tuple[str, ...]:
    from drawcli.core.templates.template import from_json

    with suppress(OSError, ValueError, KeyError, TypeError):  # of an early version, or damaged
        return from_json(ctx.work.file(job.id, AS_SENT).read_bytes()).shown
    report = ctx.work.read_json(job.id, REPORT) or {}
    return tuple(str(one["name"]) for one in report.get("structures", ()))


def _compared(job: Job, ctx: "Context") -> tuple[str, ...]:
    record = QaRecords(ctx.settings.state_dir).of_job(job.id)
    if record is None:
        return ()
    added = ContourOutcome.ADDED
    return tuple(one.name for one in record.structures if one.outcome is not added)


def _of_present_template(job: Job, ctx: "Context") -> tuple[str, ...]:
    try:
        return ctx.rulebook.template_named(job.template or "").shown
    except DrawcliError:
        return ()


def parse_edits(words: Iterable[str], every: str | None, known: Sequence[str]) -> dict[str, Edit]:
    """Return the edits that a command line names.

    Parameters
    ----------
    words
        Texts such as `Bladder=minor`.
    every
        The edit of all structures that `words` does not name; None: these are not rated.
    known
        The names of the structures.

    Raises
    ------
    UsageError
        If a structure or an edit is unknown, or a structure is named twice.
    """
    edits = {} if every is None else dict.fromkeys(known, parse_edit(every))
    named = set[str]()
    for text in words:
        name, equals, word = (part.strip() for part in text.rpartition("="))
        if not equals:
            raise UsageError(
                f"--structure '{text}' has no '='", hint="Such as: --structure Bladder=minor."
            )
        own = _known_name(name, known)
        if own in named:
            raise UsageError(f"--structure names {own} twice")
        named.add(own)
        edits[own] = parse_edit(word)
    return edits


def parse_edit(word: str) -> Edit:
    """Return an edit by its name; raise UsageError if there is none."""
    try:
        return Edit(word.strip().casefold())
    except ValueError:
        raise UsageError(
            f"'{word}' is not {', '.join(Edit)}{suggest(word, Edit)}",
            hint="'drawcli help qa rate' says what they mean.",
        ) from None


def _known_name(name: str, known: Sequence[str]) -> str:
    """Return the name of a structure in its own spelling."""
    if name in known:
        return name
    same = [one for one in known if one.casefold() == name.casefold()]
    if len(same) == 1:
        return same[0]
    raise UsageError(
        f"no structure '{name}' was delivered{suggest(name, known)}",
        hint=f"Delivered: {', '.join(known)}." if known else "Their names are not known any more.",
    )


def rate(job: Job, answers: RatingAnswers, source: RatingSource, ctx: "Context") -> Rating:
    """Return the rating of a job, checked but not stored.

    Raises
    ------
    UsageError
        If nothing was delivered, a value is not allowed, a structure is unknown, or the comment
        names the patient.
    """
    check_can_be_rated(job)
    known = structures_of(job, ctx)
    comment, by = (" ".join(text.split()) for text in (answers.comment, answers.by))
    if by and not ctx.settings.qa.raters:
        raise UsageError(
            "names of raters are not kept at this site", hint="The setting qa.raters allows them."
        )
    try:
        rating = Rating(
            job=job.id,
            series=job.series_key,
            at=ctx.now(),
            source=source,
            template=job.template or "",
            overall=answers.overall,
            minutes=answers.minutes,
            structures={_known_name(name, known): e for name, e in answers.structures.items()},
            comment=comment,
            by=by,
        )
    except ValueError as err:
        raise UsageError(str(err)) from None
    if rating.is_empty:
        raise UsageError("nothing is rated: give an overall rating, minutes, or a structure")
    _check_no_patient(comment, job, ctx)
    return rating


def _check_no_patient(comment: str, job: Job, ctx: "Context") -> None:
    """Raise UsageError if a comment names the job's patient, or holds a record or phone number."""
    if not comment:
        return
    from drawcli.core.gate.text_traces import has_long_number, has_mail

    found = "a long number" if has_long_number(comment) else ""
    found = found or ("an e-mail address" if has_mail(comment) else "")
    found = found or _of_patient(comment, job, ctx)
    if found:
        raise UsageError(
            f"the comment holds {found}; nothing was stored", hint="Say it without the patient."
        )


def _of_patient(comment: str, job: Job, ctx: "Context") -> str:
    from drawcli.core.gate.identifiers import COMMON
    from drawcli.operations.support_bundle_search import Haystack, PatientTerms

    try:
        wanted = PatientTerms.of(job.id, ctx.crosswalk(job), ctx.settings.datastore)
    except JobError:  # the work folder is gone
        return ""
    found = wanted.found_in(Haystack.of([comment]), COMMON | wanted.numbers)
    return f"{found} of the patient" if found else ""


def rating_of(job: Job, ctx: "Context") -> Rating | None:
    """Return the rating of a job that counts."""
    return current_ratings(QaRatings(ctx.settings.state_dir).of_job(job.id)).get(job.id)


def site_ratings(
    state_dir: "Path", since: datetime | None = None, template: str | None = None
) -> list[Rating]:
    """Return the ratings of a site that count, oldest first."""
    found = current_ratings(QaRatings(state_dir).every()).values()
    wanted = [
        rating
        for rating in found
        if (since is None or rating.at >= since) and template in (None, rating.template)
    ]
    return sorted(wanted, key=lambda rating: rating.at)
