"""status and show; release, retry, assign and cancel."""

from collections import Counter
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from drawcli import render
from drawcli.cli.door import Door, DryRunOption, IdentifyOption, command
from drawcli.errors import NeedsPerson, UsageError
from drawcli.render import Result

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from rich.console import Console

    from drawcli.context import Context
    from drawcli.core.job import Job

_A_WEEK = timedelta(days=7)
JobArgument = Annotated[
    str, typer.Argument(help="A job's id, or enough of it to be clear.", metavar="JOB")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    command(app, "status")(status)
    command(app, "show")(show)
    command(app, "release")(release)
    command(app, "retry")(retry)
    command(app, "assign")(assign)
    command(app, "cancel")(cancel)


def status(
    door: Door,
    state: Annotated[
        str | None, typer.Option("--state", help="Only jobs in this state, or 'held'.")
    ] = None,
    unmatched: Annotated[
        bool,
        typer.Option("--unmatched", help="Only series of the last week that no rule takes."),
    ] = False,
    identify: IdentifyOption = False,
) -> Result:
    """List the jobs, and what each waits for."""
    from drawcli.core.job import State

    door.check_identify(identify=identify)
    if state is not None and state not in {*State, "held"}:
        raise UsageError(f"there is no state '{state}'", hint=f"States: held, {', '.join(State)}.")
    with door.context(dry_run=True) as ctx:
        now = ctx.now()
        jobs = [job for job in ctx.ledger.jobs() if _wanted(job, state)]
        if unmatched:
            jobs = [job for job in jobs if _unmatched(job, now)]
        who = {job.id: _patient(job, ctx) for job in jobs} if identify else {}
        data = {
            "counts": dict(Counter(str(job.state) for job in jobs)),
            "held": sum(job.held for job in jobs),
            "archived": len(ctx.ledger.archive),
            "jobs": [render.job_facts(job, now) for job in jobs],
        }
        return Result(data=data, show=render.jobs_table(jobs, now, who))


def show(
    door: Door,
    job: JobArgument,
    identify: IdentifyOption = False,
) -> Result:
    """Tell everything about one job."""
    from drawcli.actions import find_job
    from drawcli.adapters.workdir import EXPLANATION, REPORT

    door.check_identify(identify=identify)
    with door.context(dry_run=True) as ctx:
        found = find_job(job, ctx)
        explanation = ctx.work.read_json(found.id, EXPLANATION)
        report = ctx.work.read_json(found.id, REPORT)
        facts = render.job_facts(found, ctx.now()) | _more_facts(found)
        data = {
            "job": facts,
            "events": [{"at": e.at.isoformat(), "what": e.what} for e in found.events],
            "explanation": explanation,
            "acceptance": report,
        }
        private = _private_facts(found, ctx) if identify else []
        return Result(data=data, show=_story(found, explanation, report, private))


def release(
    door: Door,
    job: JobArgument,
    dry_run: DryRunOption = False,
) -> Result:
    """Let a held job go on from where it stands."""
    from drawcli import actions

    return _act(door, job, actions.release, "released", dry_run=dry_run)


def cancel(
    door: Door,
    job: JobArgument,
    dry_run: DryRunOption = False,
) -> Result:
    """Set a job aside; nothing more is done for it."""
    from drawcli import actions

    return _act(door, job, actions.cancel, "cancelled", dry_run=dry_run)


def retry(
    door: Door,
    jobs: Annotated[
        list[str] | None, typer.Argument(help="Jobs to take up again.", metavar="[JOB]...")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every job that waits or is held.")
    ] = False,
    dry_run: DryRunOption = False,
) -> Result:
    """Try jobs again now, from the step that failed."""
    from drawcli import actions
    from drawcli.core.job import FINISHED

    if bool(jobs) == everything:
        raise UsageError("name the jobs to retry, or give --all")
    with door.context(dry_run=dry_run) as ctx:
        if everything:
            stuck = (job for job in ctx.ledger.jobs() if job.held or job.due_at)
            chosen = [job for job in stuck if job.state not in FINISHED]
        else:
            chosen = [actions.find_job(name, ctx) for name in jobs or []]
        after = [_changed(job, actions.retry, ctx, dry_run=dry_run) for job in chosen]
    return _acted(after, "to be tried again", dry_run=dry_run)


def assign(
    door: Door,
    job: Annotated[
        str, typer.Argument(help="A job's id, or a SeriesInstanceUID.", metavar="SERIES|JOB")
    ],
    template: Annotated[str, typer.Argument(help="A name in templates.yaml.", metavar="TEMPLATE")],
    dry_run: DryRunOption = False,
) -> Result:
    """Give a series a template, whatever the rules say."""
    from drawcli import actions

    with door.context(dry_run=dry_run) as ctx:
        found = actions.find_job(job, ctx)
        actions.check_assignable(found, template, ctx)
        if dry_run:
            after = found
        else:
            after = actions.locked(found, ctx, lambda now: actions.assign(now, template, ctx))
    return _acted([after], f"assigned to {template}", dry_run=dry_run)


def _act(
    door: Door,
    name: str,
    action: "Callable[[Job, Context], Job]",
    done: str,
    *,
    dry_run: bool,
) -> Result:
    from drawcli.actions import find_job

    with door.context(dry_run=dry_run) as ctx:
        after = _changed(find_job(name, ctx), action, ctx, dry_run=dry_run)
    return _acted([after], done, dry_run=dry_run)


def _changed(
    job: "Job", action: "Callable[[Job, Context], Job]", ctx: "Context", *, dry_run: bool
) -> "Job":
    from drawcli.actions import locked

    if dry_run:
        return action(job, ctx)
    return locked(job, ctx, lambda now: ctx.ledger.commit(action(now, ctx)))


def _acted(jobs: "list[Job]", done: str, *, dry_run: bool) -> Result:
    said = f"would be {done}" if dry_run else done

    def show(out: "Console") -> None:
        for job in jobs:
            out.print(f"{job.id}  {said}; state {job.state}", soft_wrap=True)
        if not jobs:
            out.print("No job waits or is held.")

    return Result(data={"jobs": [job.id for job in jobs], "dry_run": dry_run}, show=show)


def _wanted(job: "Job", state: str | None) -> bool:
    return state is None or job.state == state or (state == "held" and job.held)


def _unmatched(job: "Job", now: "datetime") -> bool:
    """Tell whether the rules lately left a series; its reason names the nearest rule."""
    return job.state == "unmatched" and now - job.since <= _A_WEEK


def _patient(job: "Job", ctx: "Context") -> str:
    """Return whose series it is, for a person who asked; "?" where the vault cannot be opened."""
    try:
        crosswalk = ctx.crosswalk(job)
    except NeedsPerson:
        return "?"
    return f"{_readable(crosswalk.patient_name)} ({_readable(crosswalk.patient_id)})"


def _private_facts(job: "Job", ctx: "Context") -> list[tuple[str, object]]:
    from drawcli.delivered import place_of

    try:
        crosswalk = ctx.crosswalk(job)
    except NeedsPerson as err:
        return [("identity", str(err))]
    facts: list[tuple[str, object]] = [
        ("patient", _patient(job, ctx)),
        ("series", crosswalk.series_uid),
        ("first file", _readable(crosswalk.files[0].path)),
    ]
    if job.delivered_sha256:
        facts.append(("delivered to", place_of(job, ctx)))
    elif crosswalk.deliver_to:
        facts.append(("to be delivered to", crosswalk.deliver_to))
    return facts


def _readable(text: str) -> str:
    """Return a header's text for a terminal: its bytes are most often UTF-8."""
    return text.encode("ascii", "surrogateescape").decode("utf-8", "replace")


def _more_facts(job: "Job") -> dict[str, Any]:
    return {
        "one_off": job.one_off,
        "rules_commit": job.rules_commit,
        "rules_digest": job.rules_digest,
        "key_id": job.key_id,
        "zip_sha256": job.zip_sha256,
        "zip_bytes": job.zip_bytes,
        "uploads_begun": job.posts,
        "uploads_unanswered": job.unanswered,
        "task_id": job.task_id,
        "uploaded_at": job.uploaded_at.isoformat() if job.uploaded_at else None,
        "received_sha256": job.received_sha256,
        "delivered_sha256": job.delivered_sha256,
    }


def _story(
    job: "Job", explanation: Any, report: Any, private: list[tuple[str, object]]
) -> "Callable[[Console], None]":
    """Return how to tell a job's story."""
    facts: list[tuple[str, object]] = [
        ("job", job.id),
        ("state", f"{job.state}, held" if job.held else job.state),
        ("reason", job.reason),
        ("what to do", job.hint),
        ("next try", f"{job.due_at:%Y-%m-%d %H:%M:%S} UTC" if job.due_at else ""),
        ("series", f"{job.modality}, {job.slices} files{', one-off' if job.one_off else ''}"),
        ("template", job.template),
        ("rule", job.rule or ("assigned by a person" if job.template else "")),
        ("rules commit", job.rules_commit),
        ("package", f"{job.zip_bytes:,} bytes, sha256 {job.zip_sha256}" if job.zip_sha256 else ""),
        ("uploads begun", job.posts or ""),
        ("unanswered", _orphans(job)),
        ("task", job.task_id),
        ("received", f"sha256 {job.received_sha256}" if job.received_sha256 else ""),
        ("delivered", f"sha256 {job.delivered_sha256}" if job.delivered_sha256 else ""),
        *private,
    ]

    def show(out: "Console") -> None:
        render.lines(facts)(out)
        out.print("\nhistory (UTC)")
        for event in job.events:
            out.print(f"  {event.at:%Y-%m-%d %H:%M:%S}  {event.what}", soft_wrap=True)
        for name, tree in (explanation or {}).get("rules", {}).items():
            out.print(f"\nrule {name}")
            _print_tree(out, tree, 1)
        for number, one in enumerate((report or {}).get("structures", [])):
            measured = f"{one['volume_cm3']:,.1f} cm3, {one['contours']} contours"
            before = "" if number else "\n"
            out.print(f"{before}structure {one['name']}: {measured}", soft_wrap=True)
        for finding in (report or {}).get("findings", []):
            out.print(f"\nacceptance: {finding['severity']}: {finding['text']}", soft_wrap=True)

    return show


def _orphans(job: "Job") -> str:
    """Return what is left at the server by uploads whose answers were lost."""
    if not job.unanswered:
        return ""
    uploads = "upload was" if job.unanswered == 1 else "uploads were"
    return f"{job.unanswered} {uploads} begun and not answered; the server may hold as many orphans"


def _print_tree(out: "Console", tree: dict[str, Any], depth: int) -> None:
    out.print(f"{'  ' * depth}{tree['outcome']:<8}{tree['condition']}", soft_wrap=True)
    for part in tree.get("parts", []):
        _print_tree(out, part, depth + 1)
