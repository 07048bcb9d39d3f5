"""The output of `status`: the verdict, health, held jobs, jobs in progress.

Without a filter it fits one screen of 80 columns.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, NamedTuple

from drawcli.cli.text_parts import HangingLine, JobTable, StyledLine
from drawcli.core.jobs.columns import TABLE, Column, files_text
from drawcli.core.jobs.job import Job, State
from drawcli.core.jobs.waiting import held_since, way_out
from drawcli.core.jobs.warned import unseen_warnings
from drawcli.operations.overview import Overview, RunHealth
from drawcli.operations.verdict.findings import Level, SetupStep, SiteFinding, SiteVerdict
from drawcli.system.durations import duration

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

LATELY: Final = timedelta(days=7)
_MOST_HELD: Final = 3  # jobs, where nobody asked for all
MOST_OPEN: Final = 5
_MOST_FINDINGS: Final = 3
_MOST_IN_TABLE: Final = (
    300  # a table that fits its columns takes time; more are written as they are
)
_ID_WIDTH: Final = len("0123456789ab-1")  # ids are shown whole: they are typed again
_HEAD_WIDTH: Final = 9  # of the names of the lines at the top
_COLOURS: Final = {State.DONE: "dim", State.CANCELLED: "dim", State.DELIVERED: "green"}
_LEVELS: Final = {Level.WELL: "green", Level.ATTENTION: "yellow", Level.BROKEN: "bold red"}


class Picture(NamedTuple):
    """The output of `status`."""

    pulse: RunHealth
    jobs: Sequence[Job]
    now: datetime
    archived: int
    last_delivered: datetime | None
    who: Mapping[str, str]  # patients by job, where a person asked for them
    chosen: bool  # a person asked for some of the jobs: all of those are listed
    if_none: str = "No such jobs."
    where: Mapping[str, str] = {}  # of the structure set, by job
    contours: str = ""  # what contour QA asks for
    verdict: SiteVerdict | None = None
    setup: Sequence[SetupStep] = ()  # of a new site
    overview: Overview | None = None  # if it is not that of `jobs`
    more: int = 0  # jobs in progress that are not in `jobs`
    unmatched_lately: int = 0  # unmatched series of the last week that are not in `jobs`

    def show(self, out: "Console") -> None:
        """Print all parts."""
        for part in self.parts():
            out.print(part, soft_wrap=getattr(part, "overflow", None) == "ignore")

    def parts(self) -> "Iterator[RenderableType]":
        """Yield the parts from the top."""
        overview = self.overview or Overview.of(self.jobs)
        if not self.chosen:
            yield from self._verdict()
            yield from self._head(overview)
            yield from self._missing()
            if not overview.counts.total() and not self.archived:
                yield "No jobs."
        yield from self._whereabouts()
        yield from self._held(overview.held)
        listed = [] if self.where else self._listed(overview)
        yield from self._table(listed if self.chosen else listed[:MOST_OPEN])
        if self.chosen:
            if not self.jobs:
                yield self.if_none
        else:
            yield from self._footer(overview, self.more + len(listed) - MOST_OPEN)

    def _verdict(self) -> Iterator[HangingLine]:
        """Yield the verdict, then every finding with what to do about it."""
        if self.verdict is None:
            return
        level, findings = self.verdict.level, self.verdict.findings
        yield _head(str(level), self.verdict.headline, _LEVELS[level])
        for finding in findings[:_MOST_FINDINGS]:
            yield from self._finding(finding, is_first=finding is findings[0])
        if len(findings) > _MOST_FINDINGS:
            yield _head("", f"and {len(findings) - _MOST_FINDINGS} more: drawcli status --json")

    def _finding(self, finding: SiteFinding, *, is_first: bool) -> Iterator[HangingLine]:
        if not is_first:
            yield _head(str(finding.level), finding.text, _LEVELS[finding.level])
        if finding.detail:
            yield _head("", finding.detail, "dim")
        if finding.do:
            yield _head("", f"-> {finding.do}")

    def _head(self, overview: Overview) -> Iterator[HangingLine]:
        for line in self.pulse.sentences(self.now):
            yield _head(line.subject, line.text, "yellow" if line.is_alarm else "")
        if self.contours:
            yield _head("contours", self.contours, "yellow")
        yield _head("jobs", overview.flow(self.archived))

    def _missing(self) -> Iterator[HangingLine | str]:
        """Yield what is still to be set up at a new site."""
        if not self.setup:
            return
        yield "\nSet up"
        for step in self.setup:
            sign, style = ("✓", "green") if step.done else ("·", "")
            text = step.text if step.done else f"{step.text}: {step.do}"
            yield HangingLine(f"{sign} {step.name}", text, style, width=12, indent=2)

    def _whereabouts(self) -> "Iterator[Text]":
        """Yield a line for each job: the patient, and where the structure set is."""
        if not self.where:
            return
        from rich.text import Text

        for job in self.jobs:
            line = f"{self.who[job.id]}, {job.template or 'no template'}: {self.where[job.id]}"
            yield Text(f"{line}  [{job.id}]", no_wrap=True, overflow="ignore")

    def _held(self, held: Sequence[Job]) -> Iterator[StyledLine | HangingLine]:
        if held and not self.chosen:
            yield StyledLine(f"\nHELD: {len(held)}", "bold red")
        most = len(held) if self.chosen else _MOST_HELD
        for job in held[:most]:
            yield from self._held_job(job)
        if len(held) > most:
            yield StyledLine(f"    and {len(held) - most} more: drawcli quarantine")

    def _held_job(self, job: Job) -> Iterator[HangingLine]:
        template = job.template or "no template"
        what = f"{job.modality or ''} of {files_text(job)}, {template}"
        what = "a folder, no series" if job.of_folder else what
        named = f"  {self.who[job.id]}" if job.id in self.who else ""
        since = duration(self.now - held_since(job))
        said = f"held at {job.state} for {since}  {what}{named}"
        yield HangingLine(job.id, said, "red", width=_ID_WIDTH, indent=0)
        command = way_out(job)
        yield HangingLine("why", f"{job.reason}")
        yield HangingLine("do", command, "bold")
        is_said = f"'{command}'" in (job.hint or "") and "preview" not in command
        is_needed = self.chosen or command.startswith("drawcli show ")
        if job.hint and is_needed and not is_said:
            yield HangingLine("", job.hint, "dim")

    def _listed(self, overview: Overview) -> list[Job]:
        """Return the jobs of the table; without a filter, only those in progress."""
        if self.chosen:
            return [job for job in self.jobs if not job.held]
        return list(overview.open)

    def _table(self, jobs: Sequence[Job]) -> "Iterator[RenderableType]":
        if not jobs:
            return
        columns = [c for c in TABLE if c.always or any(c.shown(job, self.now) for job in jobs)]
        titles = self._with_patient([column.title for column in columns], "patient")
        if not self.chosen:
            yield ""
        if len(jobs) > _MOST_IN_TABLE:
            yield _as_they_are(titles, [self._cells(job, columns) for job in jobs])
            return
        fixed = columns[:-1]
        yield JobTable(
            titles=titles,
            rows=[self._cells(job, columns) for job in jobs],
            whole=set(range(len(fixed))),
            right={number for number, column in enumerate(fixed) if column.is_number},
            least={0: _ID_WIDTH},
            styles=[
                "yellow" if unseen_warnings(job) else _COLOURS.get(job.state, "") for job in jobs
            ],
            brief=not self.chosen,
        )

    def _cells(self, job: Job, columns: Sequence[Column]) -> list[str]:
        cells = [column.shown(job, self.now) for column in columns]
        return self._with_patient(cells, self.who.get(job.id, ""))

    def _with_patient(self, cells: list[str], patient: str) -> list[str]:
        return [*cells[:-1], patient, cells[-1]] if self.who else cells

    def _footer(self, overview: Overview, more: int) -> Iterator[str]:
        lines = [f"and {more} more: drawcli status --all"] if more > 0 else []
        lately = [job for job in overview.left if job.state is State.UNMATCHED]
        if unmatched := overview.counts[State.UNMATCHED]:
            new = self.unmatched_lately
            new += sum(self.now - job.since <= LATELY for job in lately)
            lines.append(f"{unmatched:,} unmatched, {new:,} this week: drawcli status --unmatched")
        if came := self.last_delivered:
            lines.append(
                f"last delivered {duration(self.now - came)} ago ({came:%Y-%m-%d %H:%M} UTC)"
            )
        yield from (["", *lines] if lines else [])


def _head(name: str, text: str, style: str = "") -> HangingLine:
    """Return a line at the top, with its name in a column."""
    return HangingLine(name, text, style, width=_HEAD_WIDTH, indent=0, gap=1)


def _as_they_are(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> "Text":
    """Return many rows in columns of fixed width, except for the last."""
    from rich.text import Text

    widths = [max(map(len, column)) for column in zip(titles, *rows, strict=True)]
    widths[-1] = 0
    lines = (
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (titles, *rows)
    )
    return Text("\n".join(lines), no_wrap=True, overflow="ignore")
