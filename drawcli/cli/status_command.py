"""status, quarantine: whether runs work, which jobs are held and why."""

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from drawcli.cli import render
from drawcli.cli.door import Door, IdentifyOption, command
from drawcli.cli.render import Result
from drawcli.errors import UsageError
from drawcli.pipeline.identity import names_patient, patient_of, whereabouts
from drawcli.system.printable import counted

if TYPE_CHECKING:
    from drawcli.cli.status_view import Picture
    from drawcli.core.jobs.job import Job
    from drawcli.pipeline.context import Context

_EVERY_SECONDS: Final = 2.0
HELD: Final = "held"  # values of --state that are no states
WARNINGS: Final = "warnings"
StateOption = Annotated[
    str | None,
    typer.Option(
        "--state", help="Only jobs in this state, or 'held', or 'warnings' that nobody has seen."
    ),
]
SinceOption = Annotated[
    str | None,
    typer.Option(
        "--since",
        help="Only jobs with an event since: 12h, 7d or 2026-01-31 (UTC).",
        metavar="WHEN",
    ),
]
PatientOption = Annotated[
    str | None,
    typer.Option(
        "--patient",
        help="Where the structure sets of a patient are, by words of name or ID; with --identify.",
    ),
]
TemplateOption = Annotated[
    str | None, typer.Option("--template", help="Only jobs with this template.", metavar="NAME")
]
ModalityOption = Annotated[
    str | None, typer.Option("--modality", help="Only jobs of this modality: CT, MR or PT.")
]
UnmatchedOption = Annotated[
    bool, typer.Option("--unmatched", help="Only unmatched series of the last week.")
]
AllOption = Annotated[bool, typer.Option("--all", help="All jobs, one line each.")]
WatchOption = Annotated[
    bool, typer.Option("--watch", "-w", help="Update continuously; Ctrl-C ends it.")
]
CsvOption = Annotated[bool, typer.Option("--csv", help="As CSV with a header line.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    command(app, "status")(status)
    command(app, "quarantine")(quarantine)


class JobFilter(NamedTuple):
    """Which jobs to list."""

    state: str | None = None
    since: datetime | None = None
    patient: str | None = None
    template: str | None = None
    modality: str | None = None
    unmatched: bool = False
    everything: bool = False
    identify: bool = False

    @property
    def is_any(self) -> bool:
        """Whether there is a filter: then all matching jobs are listed."""
        texts = (self.state, self.patient, self.template, self.modality)
        return self.everything or self.unmatched or any(texts) or self.since is not None

    @property
    def lists(self) -> bool:
        """Whether all jobs are listed, or their patients are named."""
        return self.is_any or self.identify


def status(
    door: Door,
    state: StateOption = None,
    since: SinceOption = None,
    patient: PatientOption = None,
    template: TemplateOption = None,
    modality: ModalityOption = None,
    unmatched: UnmatchedOption = False,
    everything: AllOption = False,
    watch: WatchOption = False,
    as_csv: CsvOption = False,
    identify: IdentifyOption = False,
) -> Result:
    """List the jobs and what each waits for."""
    from drawcli.core.jobs.job import State

    door.check_identify(identify=identify)
    _check(door, patient=patient, identify=identify, watch=watch, as_csv=as_csv)
    if state is not None and state not in {*State, HELD, WARNINGS}:
        known = ", ".join((HELD, WARNINGS, *State))
        raise UsageError(f"there is no state '{state}'", hint=f"States: {known}.")
    with door.context(dry_run=True) as ctx:
        choice = JobFilter(
            state=state,
            since=None if since is None else moment(since, ctx.now()),
            patient=patient,
            template=template,
            modality=modality and modality.upper(),
            unmatched=unmatched,
            everything=everything,
            identify=identify,
        )
        if watch:
            return _watched(door, choice, ctx)
        if ctx.settings.ledger and not (choice.lists or as_csv or door.common.as_json):
            from drawcli.cli.cluster.large_status import picture_of_many

            return Result(show=picture_of_many(ctx, door.settings_file(), _contours(ctx)).show)
        picture = _picture(*chosen_jobs(choice, ctx), choice, ctx, door)
    if as_csv:
        from drawcli.core.jobs.columns import STATUS
        from drawcli.operations.ledger_copies import as_csv as table

        text = table(_rows(picture), [column.name for column in STATUS])
        return Result(data={"csv": text}, show=render.verbatim(text))
    return Result(data=_facts(picture), show=picture.show)


def quarantine(door: Door, as_csv: CsvOption = False, identify: IdentifyOption = False) -> Result:
    """List the held jobs: why, and how to continue."""
    return status(door, state="held", as_csv=as_csv, identify=identify)


def moment(text: str, now: datetime) -> datetime:
    """Return the time given by --since."""
    from drawcli.system.durations import parse_moment

    try:
        return parse_moment(text, now)
    except ValueError as err:
        raise UsageError(str(err), hint="Write --since 12h, 7d, 2w or 2026-01-31.") from None


def past_moment(text: str, now: datetime) -> datetime:
    """Return the time given by --since of a report, which cannot be in the future."""
    first = moment(text, now)
    if first >= now:
        raise UsageError("--since is in the future")
    return first


def _check(door: Door, *, patient: str | None, identify: bool, watch: bool, as_csv: bool) -> None:
    """Raise UsageError for options that would write patient data or cannot be shown live."""
    if patient is not None and not patient.strip():
        raise UsageError("--patient is empty", hint="Give words of the patient's name, or the ID.")
    if patient is not None and not (identify and render.on_terminal()):
        raise UsageError(
            "--patient needs --identify, on a terminal",
            hint="Its output names patients: 'drawcli status --identify --patient NAME'.",
        )
    if as_csv and identify:
        raise UsageError("--csv is for files; --identify works on a terminal only")
    if watch and (not door.to_person or as_csv):
        raise UsageError(
            "--watch needs a terminal, without --json, --csv and --quiet",
            hint="Without --watch, 'drawcli status' shows the present state.",
        )


def _picture(
    jobs: "list[Job]", who: dict[str, str], choice: JobFilter, ctx: "Context", door: Door
) -> "Picture":
    from drawcli.cli.status_view import Picture
    from drawcli.operations.overview import RunHealth, newest_delivery
    from drawcli.operations.verdict.site import SiteView, setup_of_new_site, verdict_of

    pulse, every = RunHealth.of_site(ctx.settings, ctx.ledger.shared), ctx.ledger.jobs()
    setup = setup_of_new_site(ctx, door.settings_file(), pulse, every)
    return Picture(
        pulse=pulse,
        verdict=verdict_of(SiteView(ctx, pulse, every, ctx.now(), setup)),
        setup=setup,
        jobs=jobs,
        now=ctx.now(),
        archived=len(ctx.ledger.archive),
        last_delivered=None if choice.is_any else newest_delivery(jobs, ctx.ledger.archive),
        who=who,
        chosen=choice.is_any,
        if_none=_none_of(choice, ctx),
        where={job.id: whereabouts(job, ctx) for job in jobs} if choice.patient else {},
        contours="" if choice.is_any else _contours(ctx),
    )


def _contours(ctx: "Context") -> str:
    """Return what contour QA asks for; "" if nothing, or if there is no summary."""
    from drawcli.adapters.state.qa_summary import read_summary

    summary = read_summary(ctx.settings.state_dir)
    return "" if summary is None else summary.notice(ctx.now())


def _none_of(choice: JobFilter, ctx: "Context") -> str:
    """Return what to say if no job passes the filter."""
    if choice.patient is not None:
        days = ctx.settings.deliver.keep_days
        return (
            f"No job of such a patient among {counted(len(ctx.work.job_ids()), 'work folder')}; "
            f"they are removed {counted(days, 'day')} after the end of a job (deliver.keep_days)."
        )
    none = {HELD: "Nothing is held.", WARNINGS: "No warnings that nobody has seen."}
    return none.get(choice.state or "", "No such jobs.")


def chosen_jobs(choice: JobFilter, ctx: "Context") -> "tuple[list[Job], dict[str, str]]":
    """Return the jobs of a filter, and their patients with --identify."""
    if choice.identify or choice.patient is not None:
        from drawcli.pipeline.cluster.reading import look_at_all

        look_at_all(ctx)
    if choice.patient is not None:
        jobs = list(ctx.kept_jobs())
    elif choice.since is not None:
        jobs = list(ctx.ledger.all_jobs(f"{choice.since:%Y-%m}"))
    else:
        jobs = ctx.ledger.jobs()
    jobs = [job for job in jobs if _wanted(job, choice, ctx.now())]
    who = {job.id: patient_of(job, ctx) for job in jobs} if choice.identify else {}
    if choice.patient is not None:
        jobs = [job for job in jobs if names_patient(choice.patient, who[job.id])]
    return sorted(jobs, key=lambda job: (job.since, job.id)), who


def _wanted(job: "Job", choice: JobFilter, now: datetime) -> bool:
    from drawcli.cli.status_view import LATELY
    from drawcli.core.jobs.waiting import last_touched
    from drawcli.core.jobs.warned import unseen_warnings

    marks = (HELD if job.held else None, WARNINGS if unseen_warnings(job) else None)
    if choice.state not in (None, job.state, *marks):
        return False
    if choice.template not in (None, job.template) or choice.modality not in (None, job.modality):
        return False
    if choice.since is not None and last_touched(job) < choice.since:
        return False
    return not choice.unmatched or (job.state == "unmatched" and now - job.since <= LATELY)


def _facts(picture: "Picture") -> dict[str, Any]:
    from drawcli.core.jobs.warned import unseen_warnings

    return {
        "at": picture.now.isoformat(),
        "counts": dict(Counter(str(job.state) for job in picture.jobs)),
        "held": sum(job.held for job in picture.jobs),
        "archived": picture.archived,
        **picture.pulse.as_plain(picture.now),
        "contours": picture.contours or None,
        "warnings": sum(bool(unseen_warnings(job)) for job in picture.jobs),
        "verdict": None if picture.verdict is None else picture.verdict.as_plain(),
        "setup": [step.as_plain() for step in picture.setup] or None,
        "jobs": _rows(picture),
    }


def _rows(picture: "Picture") -> list[dict[str, Any]]:
    from drawcli.core.jobs.columns import STATUS, as_plain

    return [as_plain(job, picture.now, STATUS) for job in picture.jobs]


def _watched(door: Door, choice: JobFilter, ctx: "Context") -> Result:
    """Redraw the status until Ctrl-C; the ledger is read again when it has changed."""
    import time

    from rich.console import Group
    from rich.live import Live

    stamp, found = ctx.ledger.stamp, chosen_jobs(choice, ctx)
    picture = _picture(*found, choice, ctx, door)
    try:
        with Live(console=render.console(door.style), screen=True, auto_refresh=False) as live:
            while True:
                live.update(Group(*picture.parts(), "\nCtrl-C ends this."), refresh=True)
                time.sleep(_EVERY_SECONDS)
                if ctx.ledger.stamp != stamp:
                    stamp, found = ctx.ledger.stamp, chosen_jobs(choice, ctx)
                picture = _picture(*found, choice, ctx, door)
    except KeyboardInterrupt:
        return Result(show=picture.show)
