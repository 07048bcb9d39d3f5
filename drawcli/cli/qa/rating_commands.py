"""qa rate and ratings: what people say about delivered contours."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from drawcli.cli import render
from drawcli.cli.door import Door, DryRunOption
from drawcli.cli.job_commands import JobArgument
from drawcli.cli.render import Result
from drawcli.cli.status_command import CsvOption, moment
from drawcli.errors import UsageError
from drawcli.system.printable import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from drawcli.core.jobs.job import Job
    from drawcli.core.qa.ratings import Edit, Rating, RatingRow
    from drawcli.operations.qa.ratings import RatingAnswers
    from drawcli.pipeline.context import Context

_NO_FIGURE: Final = "-"
_LONGEST_NAME: Final = 24  # characters in the table


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingOptions:
    """The options that rate."""

    overall: Annotated[
        int | None, typer.Option("--overall", help="0 (useless) to 10.", metavar="N")
    ] = None
    minutes: Annotated[
        float | None, typer.Option("--minutes", help="Minutes of editing.", metavar="M")
    ] = None
    structure: Annotated[
        list[str] | None,
        typer.Option(
            "--structure", help="none, minor, major or missing; repeat it.", metavar="NAME=EDIT"
        ),
    ] = None
    every: Annotated[
        str | None,
        typer.Option("--all", help="The same for all other structures.", metavar="EDIT"),
    ] = None
    comment: Annotated[
        str, typer.Option("--comment", help="At most 500 characters. No patient data.")
    ] = ""
    by: Annotated[str, typer.Option("--by", help="Who rates; with qa.raters.", metavar="NAME")] = ""

    @property
    def rates(self) -> bool:
        """Whether an option rates; the name of a person alone does not."""
        numbers = self.overall is not None or self.minutes is not None
        return numbers or bool(self.structure or self.every is not None or self.comment)

    def answers(self, known: "Sequence[str]") -> "RatingAnswers":
        """Return what they say about the structures of a job."""
        from drawcli.operations.qa.ratings import RatingAnswers, parse_edits

        return RatingAnswers(
            overall=self.overall,
            minutes=self.minutes,
            structures=parse_edits(self.structure or (), self.every, known),
            comment=self.comment,
            by=self.by,
        )


def rate(
    door: Door,
    job: JobArgument,
    options: RatingOptions,
    show: Annotated[bool, typer.Option("--show", help="Show the rating of the job.")] = False,
    dry_run: DryRunOption = False,
) -> Result:
    """Rate the delivered contours of a job.

    An edit is 'none' (used as delivered), 'minor', 'major' (redrawn, a risk of a dose error, or
    more than 1 cm in an axial plane) or 'missing' (not segmented, although it is in the images).
    Without options it asks, at a terminal. A later rating replaces an earlier one; all are kept.
    """
    from drawcli.adapters.state.qa_records import QaRatings
    from drawcli.core.qa.ratings import RatingSource
    from drawcli.operations.qa.ratings import check_can_be_rated, structures_of
    from drawcli.operations.qa.ratings import rate as rated
    from drawcli.pipeline.actions import find_job

    if show and options != RatingOptions():
        raise UsageError("--show shows the stored rating; it goes with no other option")
    with door.context(dry_run=dry_run or show) as ctx:
        found = find_job(job, ctx)
        if show:
            return _stored(found, ctx)
        check_can_be_rated(found)
        known = structures_of(found, ctx)
        answers = (
            options.answers(known) if options.rates else _asked(door, found, known, ctx, options.by)
        )
        rating = rated(found, answers, RatingSource.COMMAND, ctx)
        if not dry_run:
            ctx.record("rate", found)
            QaRatings(ctx.settings.state_dir).add([rating])
    data = {"rating": rating.as_export(), "written": not dry_run}
    return Result(data=data, show=lambda out: _show_rating(out, rating, written=not dry_run))


def _stored(job: "Job", ctx: "Context") -> Result:
    """Return the rating of a job that counts; the number of earlier ones is reported."""
    from drawcli.adapters.state.qa_records import QaRatings
    from drawcli.core.qa.ratings import current_ratings

    every = QaRatings(ctx.settings.state_dir).of_job(job.id)
    rating = current_ratings(every).get(job.id)
    if rating is None:
        return Result(
            data={"rating": None, "earlier": 0},
            show=lambda out: out.print(f"job {job.id} is not rated", soft_wrap=True),
        )
    data = {"rating": rating.as_export(with_comment=True), "earlier": len(every) - 1}

    def show(out: "Console") -> None:
        _show_rating(out, rating, written=None)
        if len(every) > 1:
            out.print(f"{counted(len(every) - 1, 'earlier rating')} of this job: replaced")

    return Result(data=data, show=show)


def _show_rating(out: "Console", rating: "Rating", *, written: bool | None) -> None:
    """Show a rating; `written` says whether it was stored just now, None: before."""
    head = {None: "rating", True: "rating stored", False: "rating not stored (dry run)"}
    overall = "" if rating.overall is None else f"{rating.overall} of 10"
    what = f"job {rating.job}, template {rating.template}"
    out.print(f"{head[written]}: {what}", soft_wrap=True)
    render.lines(
        [
            ("at", f"{rating.at:%Y-%m-%d %H:%M} UTC"),
            ("overall", overall),
            ("minutes of editing", "" if rating.minutes is None else f"{rating.minutes:g}"),
            ("comment", rating.comment),
            ("by", rating.by),
        ]
    )(out)
    if rating.structures:
        out.print()
        rows = [(name, str(edit)) for name, edit in rating.structures.items()]
        render.columns(("structure", "edited"), rows)(out)


def _asked(
    door: Door, job: "Job", known: "Sequence[str]", ctx: "Context", by: str
) -> "RatingAnswers":
    """Ask for a rating, structure by structure; Enter leaves a question unanswered."""
    from drawcli.cli.prompts import asked
    from drawcli.core.qa.ratings import MEANINGS
    from drawcli.operations.qa.ratings import COMMENT_NOTE, RatingAnswers

    if not door.can_ask:
        raise UsageError(
            "nothing is rated: give --overall, --minutes, --structure or --all",
            hint="At a terminal it asks; 'drawcli help qa rate' shows the options.",
        )
    render.say(f"job {job.id}, template {job.template}. Enter: no answer. Ctrl-C: no rating.")
    overall = _asked_number("overall, 0 (useless) to 10", 10)
    minutes = _asked_number("minutes of editing", 1440)
    for number, (edit, meaning) in enumerate(MEANINGS.items()):
        render.say(f"  {number} {edit:<8} {meaning}")
    given = {name: _asked_edit(name) for name in known}
    render.say(COMMENT_NOTE)
    return RatingAnswers(
        overall=overall,
        minutes=minutes,
        structures={name: edit for name, edit in given.items() if edit is not None},
        comment=asked("comment"),
        by=asked("your name", by) if ctx.settings.qa.raters else by,
    )


def _asked_number(question: str, most: int) -> int | None:
    from drawcli.cli.prompts import asked

    while answer := asked(question).strip():
        if answer.isdecimal() and int(answer) <= most:
            return int(answer)
        render.say(f"      a whole number from 0 to {most}, or Enter")
    return None


def _asked_edit(name: str) -> "Edit | None":
    from drawcli.cli.prompts import asked
    from drawcli.core.qa.ratings import Edit

    edits = list(Edit)
    while answer := asked(render.shortened(name)).strip().casefold():
        if answer.isdecimal() and int(answer) < len(edits):
            return edits[int(answer)]
        near = [edit for edit in edits if edit.startswith(answer)]
        if len(near) == 1:
            return near[0]
        render.say(f"      0 to 3, or {', '.join(edits)}; or Enter")
    return None


def ratings(
    door: Door,
    since: Annotated[
        str | None,
        typer.Option("--since", help="Since when: 12h, 7d or 2026-01-31 (UTC).", metavar="WHEN"),
    ] = None,
    template: Annotated[
        str | None, typer.Option("--template", help="Only this template.", metavar="NAME")
    ] = None,
    comments: Annotated[
        bool, typer.Option("--comments", help="Also the comments. They may name a patient.")
    ] = False,
    as_csv: CsvOption = False,
) -> Result:
    """Show the ratings by template and structure."""
    from drawcli.core.qa.ratings import ROW_COLUMNS, rating_rows
    from drawcli.operations.qa.ratings import site_ratings
    from drawcli.pipeline.context import utc_now

    if as_csv and comments:
        raise UsageError("--csv has rows of structures; comments are in --json, or shown")
    first = None if since is None else moment(since, utc_now())
    found = site_ratings(door.settings().state_dir, first, template)
    rows = rating_rows(found)
    if as_csv:
        from drawcli.operations.ledger_copies import as_csv as table

        text = table([row.as_plain() for row in rows], ROW_COLUMNS)
        return Result(data={"csv": text}, show=render.verbatim(text))
    data: dict[str, Any] = {
        "table": [row.as_plain() for row in rows],
        "ratings": [rating.as_export(with_comment=comments) for rating in found],
    }
    return Result(data=data, show=lambda out: _show_table(out, rows, found, comments=comments))


def _show_table(
    out: "Console", rows: "Sequence[RatingRow]", found: "Sequence[Rating]", *, comments: bool
) -> None:
    from drawcli.core.qa.ratings import Edit

    if not found:
        out.print("no ratings; 'drawcli qa rate JOB' adds one", soft_wrap=True)
        return
    cells = [
        (
            row.template or "(unknown)",
            render.shortened(row.structure or "(all)", _LONGEST_NAME),
            str(row.n),
            *(_percent(row.share(edit)) for edit in Edit),
            _figure(row.minutes),
            _figure(row.overall),
        )
        for row in rows
    ]
    titles = ("template", "structure", "n", *map(str, Edit), "minutes", "overall")
    render.columns(titles, cells, numbers_from=2)(out)
    out.print(
        "n: structure sets. none to missing: share of the rated structures.\n"
        "minutes, overall: medians, of whole structure sets.",
        soft_wrap=True,
    )
    for rating in found if comments else ():
        if rating.comment:
            what = f"job {rating.job}" if rating.job else "former client"
            out.print(f"{rating.at:%Y-%m-%d} {what}: {rating.comment}", soft_wrap=True)


def _percent(share: float | None) -> str:
    return _NO_FIGURE if share is None else f"{share:.0%}"


def _figure(value: float | None) -> str:
    return _NO_FIGURE if value is None else f"{value:.4g}"
