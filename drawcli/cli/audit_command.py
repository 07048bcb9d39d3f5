"""audit: the history of the jobs; what was sent, who did what, and whether the log is intact."""

import re
from collections.abc import Container
from datetime import UTC, datetime
from enum import StrEnum
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from drawcli.cli import render
from drawcli.cli.door import Door, command
from drawcli.cli.render import Result
from drawcli.errors import LedgerError, UsageError
from drawcli.system.printable import counted

if TYPE_CHECKING:
    from rich.console import Console

    from drawcli.adapters.state.audit_log import ChainReport
    from drawcli.adapters.state.hash_chain import Link
    from drawcli.core.jobs.job import Job
    from drawcli.pipeline.context import Context

ACTION: Final = "action"  # of `adapters.state.audit_log`, which is not imported at the start
_HEAD: Final = re.compile(r"(\d{1,12}):([0-9a-f]{64})")


class Subject(StrEnum):
    """The subject of an audit."""

    EVENTS = "events"
    DISCLOSURES = "disclosures"
    ACTIONS = "actions"
    VERIFY = "verify"


SinceOption = Annotated[
    datetime | None, typer.Option("--since", help="Only since this day.", formats=["%Y-%m-%d"])
]
JobOption = Annotated[str | None, typer.Option("--job", help="Only this job.", metavar="ID")]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "audit")(audit)


def audit(
    door: Door,
    subject: Annotated[
        str,
        typer.Argument(
            help="events: the history of each job; disclosures: what was sent, when, to whom, by "
            "whom; actions: who released, assigned, rated, edited ... what, and when; verify: "
            "whether the log of both is intact; or a job, or the SeriesInstanceUID of an image "
            "for all jobs of the series: the lines in that log.",
            metavar="JOB|SUBJECT",
        ),
    ] = Subject.EVENTS,
    since: SinceOption = None,
    job: JobOption = None,
    head: Annotated[
        str | None,
        typer.Option(
            "--head",
            help="With verify: the head of the log as noted earlier, from a digest.",
            metavar="N:SHA256",
        ),
    ] = None,
) -> Result:
    """List the history of jobs or uploads; verify the log."""
    if head is not None and subject != Subject.VERIFY:
        raise UsageError("--head is for 'audit verify'")
    first = None if since is None else since.replace(tzinfo=UTC)
    if subject not in {*Subject} and (job or since):
        raise UsageError("'audit JOB' takes neither --job nor --since")
    with door.context(dry_run=True) as ctx:
        if subject == Subject.VERIFY:
            return _verified(ctx, None if head is None else _link(head))
        if subject == Subject.DISCLOSURES:
            return _disclosures(ctx, first, job)
        if subject == Subject.ACTIONS:
            return _actions(ctx, first, job)
        return _events(ctx, first, job) if subject == Subject.EVENTS else _of_job(ctx, subject)


def _events(ctx: "Context", first: datetime | None, job: str | None) -> Result:
    jobs = ctx.ledger.all_jobs() if job is None else iter(_jobs(ctx, job))
    found = [
        (event.at, job.id, event.what, event.by)
        for job in jobs
        for event in job.events
        if first is None or event.at >= first
    ]
    found.sort(key=itemgetter(0))  # those of one moment stay in their order
    events = [(f"{at:%Y-%m-%d %H:%M:%S}", *rest) for at, *rest in found]
    plain = [
        {"at": at.isoformat(), "job": job_id, "what": what, "by": by or None}
        for at, job_id, what, by in found
    ]
    shown = render.columns(("at (UTC)", "job", "what", "by"), events)
    return Result(data={"events": plain}, show=shown)


def _disclosures(ctx: "Context", first: datetime | None, job: str | None) -> Result:
    rows = [row for row in _lines_since(ctx, first, job) if row.get("what") != ACTION]
    titles = ("n", "at (UTC)", "what", "job", "to", "bytes", "zip", "who")
    return Result(data={"lines": rows}, show=render.columns(titles, map(_row, rows)))


def _actions(ctx: "Context", first: datetime | None, job: str | None) -> Result:
    rows = [row for row in _lines_since(ctx, first, job) if row.get("what") == ACTION]
    titles = ("n", "at (UTC)", "action", "job", "from", "who", "details")
    return Result(data={"lines": rows}, show=render.columns(titles, map(_action_row, rows)))


def _lines_since(ctx: "Context", first: datetime | None, job: str | None) -> list[dict[str, Any]]:
    jobs = None if job is None else {one.id for one in _jobs(ctx, job)}
    since = "" if first is None else first.isoformat()
    return [row for row in _lines(ctx, jobs) if str(row.get("at")) >= since]


def _jobs(ctx: "Context", name: str) -> "list[Job]":
    """Return the job of an id; otherwise every job of the series that `name` stands for."""
    from drawcli.pipeline.actions import find_job

    found = find_job(name, ctx)
    if name.strip().lower() == found.id:
        return [found]
    keys = [found.series_key]
    if "." in name:  # a UID: each site key gave the series another key; the present one is last
        keys = [one.series_key(name.strip()) for one in (*ctx.retired, ctx.stand_ins)]
    return [job for key in keys for job in ctx.ledger.of_series(key)]


def _lines(ctx: "Context", jobs: Container[str] | None) -> list[dict[str, Any]]:
    """Return the lines of the audit log with their numbers; None: of all jobs."""
    return [
        dict(line.facts) | {"n": line.link.number}
        for line in ctx.audit.lines()
        if jobs is None or line.facts.get("job") in jobs
    ]


def _of_job(ctx: "Context", name: str) -> Result:
    """Return the lines of a job or series in the audit log, and whether the log is intact."""
    from drawcli.operations.ledger_check import unattested

    ids = [job.id for job in _jobs(ctx, name)]
    rows, verdict = _lines(ctx, ids), ctx.audit.verify()
    errors = [_broken(f"{gap.where} {gap.what}") for gap in verdict.breaks]
    errors += [_broken(str(attempt)) for attempt in unattested(ctx) if attempt.job in ids]

    def show(out: "Console") -> None:
        for row in rows:
            what = row.get("action") or row.get("what")
            of_job = f"  {row['job']}" if len(ids) > 1 else ""
            out.print(
                f"{row['n']}  {_when(row)} UTC  {what}{of_job}  by {_who(row)}", soft_wrap=True
            )
            others = row.keys() - {"n", "at", "what", "who", "job", "action"}
            render.lines((f"    {name}", row[name]) for name in row if name in others)(out)
        if not rows:
            out.print(f"Nothing of job {', '.join(ids)} was sent.")
        out.print(f"chain: {_state_of(verdict)}, {verdict.lines:,} lines")

    data = {"job": ids[-1], "jobs": ids, "lines": rows, "chain_intact": not verdict.breaks}
    return Result(
        data=data, show=show, errors=[*errors], exit_code=LedgerError.exit_code if errors else 0
    )


def _row(facts: dict[str, Any]) -> tuple[str, ...]:
    return (
        str(facts["n"]),
        _when(facts),
        " ".join(filter(None, (str(facts.get("what")), facts.get("code")))),
        str(facts.get("job") or ""),
        str(facts.get("server") or facts.get("task") or ""),
        f"{facts['zip_bytes']:,}" if "zip_bytes" in facts else "",
        str(facts.get("zip_sha256") or "")[:12],
        _who(facts),
    )


def _action_row(facts: dict[str, Any]) -> tuple[str, ...]:
    others = facts.keys() - {"n", "at", "what", "who", "job", "run", "action", "source"}
    return (
        str(facts["n"]),
        _when(facts),
        str(facts.get("action")),
        str(facts.get("job") or ""),
        str(facts.get("source") or ""),
        _who(facts),
        " ".join(f"{name}={facts[name]}" for name in facts if name in others),
    )


def _when(facts: dict[str, Any]) -> str:
    return str(facts.get("at", ""))[:19].replace("T", " ")


def _who(facts: dict[str, Any]) -> str:
    from drawcli.adapters.state.audit_log import who_in_words

    return who_in_words(facts)


def _verified(ctx: "Context", kept: "Link | None") -> Result:
    from drawcli.operations.ledger_check import unattested

    verdict = ctx.audit.verify(kept)
    lacking = unattested(ctx)
    data = {
        "files": verdict.files,
        "lines": verdict.lines,
        "head": str(verdict.head),
        "mended": verdict.mended,
        "without_outcome": verdict.unended,
        "breaks": [{"where": gap.where, "what": gap.what} for gap in verdict.breaks],
        "not_attested": [attempt.job for attempt in lacking],
    }
    errors = [_broken(f"{gap.where} {gap.what}") for gap in verdict.breaks]
    errors += [_broken(str(attempt)) for attempt in lacking]
    return Result(
        data=data,
        show=render.lines(_chain_facts(verdict, len(lacking))),
        errors=[*errors],
        exit_code=LedgerError.exit_code if errors else 0,
    )


def _state_of(verdict: "ChainReport") -> str:
    return "BROKEN" if verdict.breaks else "whole"


def _chain_facts(verdict: "ChainReport", lacking: int) -> list[tuple[str, object]]:
    chain = _state_of(verdict)
    unended = ", ".join(verdict.unended)
    return [
        ("lines", f"{verdict.lines:,} in {counted(verdict.files, 'file')}"),
        ("chain", f"{chain}; LINES OF {lacking} JOBS ARE MISSING" if lacking else chain),
        ("cut short", f"{verdict.mended} by crashes, accounted for" if verdict.mended else ""),
        ("no outcome", f"{unended}: begun, and the run ended before an answer" if unended else ""),
        ("head", f"{verdict.head}  (keep it elsewhere; --head proves the log by it)"),
    ]


def _broken(what: str) -> LedgerError:
    return LedgerError(
        f"audit log: {what}",
        code="audit-broken",
        hint="Keep the folder 'audit' as it is and compare it with a backup.",
    )


def _link(text: str) -> "Link":
    from drawcli.adapters.state.hash_chain import Link

    found = _HEAD.fullmatch(text.strip())
    if found is None:
        raise UsageError("--head needs the form of 'audit verify': N:SHA256")
    return Link(int(found[1]), found[2])
