"""ledger check, repair, backup, restore, export; clean, unlock."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from drawcli.cli import render
from drawcli.cli.cluster.ledger_migrate import migrate
from drawcli.cli.door import Door, DryRunOption, command, group
from drawcli.cli.render import Result
from drawcli.errors import LedgerError, UsageError
from drawcli.system.printable import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from drawcli.operations.ledger_check import Trouble
    from drawcli.pipeline.context import Context


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    group(
        app,
        "ledger",
        {
            "check": check,
            "repair": repair,
            "backup": backup,
            "restore": restore,
            "export": export,
            "migrate": migrate,
        },
        what="Check, repair, back up, export and move the ledger.",
    )
    command(app, "clean")(clean)
    command(app, "unlock")(unlock)


def check(
    door: Door,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also read every package and compare its digest.")
    ] = False,
) -> Result:
    """Compare the ledger with work folders, vaults and archive."""
    from drawcli.operations import ledger_check

    with door.context(dry_run=True) as ctx:
        found = ledger_check.check(ctx, deep=deep)
        count, archived = len(ctx.ledger.jobs()), len(ctx.ledger.archive)
    result = _summary(
        found, f"{counted(count, 'job')}, {archived} in the archive: all is as the ledger says"
    )
    if found:
        result.errors = [
            LedgerError(
                f"{len(found)} things are not as the ledger says",
                code="ledger-check",
                hint="'drawcli ledger repair --dry-run' shows what it would do.",
            )
        ]
        result.exit_code = LedgerError.exit_code
    return result


def repair(door: Door, dry_run: DryRunOption = False) -> Result:
    """Repair what the check finds, if that loses nothing."""
    from drawcli.operations import ledger_check

    with door.context(dry_run=dry_run) as ctx:
        if dry_run:
            return _summary(ledger_check.check(ctx, deep=True), "there is nothing to repair")
        with ctx.work.run_lock(ctx.now()):
            ctx.ledger.keep_copy()
            found = ledger_check.check(ctx, deep=True)
            repaired = ledger_check.repair(found, ctx)
    left = [trouble for trouble in found if trouble not in repaired]
    result = _summary(repaired, "there was nothing to repair")
    if left:
        result.errors = [
            LedgerError(
                f"{trouble.where}: {trouble.text}",
                code=trouble.code,
                hint="This cannot be repaired automatically.",
            )
            for trouble in left
        ]
        result.exit_code = LedgerError.exit_code
    return result


def backup(
    door: Door,
    file: Annotated[Path, typer.Argument(help="The zip to write.", show_default=False)],
) -> Result:
    """Write ledger and archive into one zip; no patient data."""
    from drawcli.operations.ledger_copies import back_up

    with door.context() as ctx:
        count = back_up(ctx, file)
    return _said(f"{file}  {counted(count, 'file')}", {"file": str(file), "files": count})


def restore(
    door: Door,
    copy: Annotated[
        Path | None,
        typer.Argument(help="A copy of ledger.json; by default the newest intact one."),
    ] = None,
    dry_run: DryRunOption = False,
) -> Result:
    """Restore a copy of the ledger; the present one is kept."""
    from drawcli.adapters.ledger import FileLedger
    from drawcli.adapters.state.audit_log import record_action
    from drawcli.adapters.state.workdir import WorkDir
    from drawcli.operations.ledger_copies import restore as put_back

    settings = door.settings()
    if settings.ledger:
        raise UsageError(
            "the ledger is in a database, and this command restores a file",
            hint="Stop all hosts and restore the database with pg_restore, from the file of "
            "'drawcli cluster upgrade' or of pg_dump.",
        )
    state_dir = settings.state_dir
    if copy is not None and not copy.is_file():
        raise UsageError(f"there is no file {copy}")
    if dry_run:
        ledger_copies = [str(copy) for copy in FileLedger(state_dir / "ledger.json").copies]
        return _said("\n".join(ledger_copies) or "there is no copy", {"copies": ledger_copies})
    now = datetime.now(UTC)
    with WorkDir(state_dir).run_lock(now):
        record_action(state_dir, "ledger-restore", now)
        used, aside = put_back(state_dir, copy)
    said = f"put back  {used}"
    said += f"\nkept      {aside}" if aside else ""
    said += "\nNow run 'drawcli ledger check': work folders may be further than this copy."
    return _said(said, {"copy": str(used), "kept": str(aside) if aside else None})


def export(
    door: Door,
    as_csv: Annotated[bool, typer.Option("--csv", help="As CSV with a header line.")] = False,
) -> Result:
    """Print all jobs including archived ones; no patient data."""
    from drawcli.core.jobs.columns import TABLE
    from drawcli.operations import ledger_copies

    with door.context(dry_run=True) as ctx:
        jobs, now = list(ctx.ledger.all_jobs()), ctx.now()
    rows = list(ledger_copies.exported(jobs))
    if as_csv:
        text = ledger_copies.as_csv(rows, ledger_copies.COLUMNS)
        return Result(data={"csv": text}, show=render.verbatim(text))

    def show(out: "Console") -> None:
        cells = ([column.shown(job, now) for column in TABLE] for job in jobs)
        render.columns([column.title for column in TABLE], cells)(out)

    return Result(data={"jobs": rows}, show=show)


def clean(
    door: Door,
    job: Annotated[
        str | None,
        typer.Option(
            "--job",
            help="Only this finished job: all its files, of any age, also those in the database.",
            metavar="ID",
        ),
    ] = None,
    dry_run: DryRunOption = False,
) -> Result:
    """Remove old work folders of finished jobs. Each run does this at its end."""
    from drawcli.pipeline.tidying import expired_jobs, tidy

    with door.context(dry_run=dry_run) as ctx:
        if job is not None:
            return _erased(job, ctx, dry_run=dry_run)
        if dry_run:
            return _cleaned(
                {job.id: ctx.work.size_of(job.id) for job in expired_jobs(ctx)}, "would be"
            )
        with ctx.work.run_lock(ctx.now()):
            sizes = {job.id: ctx.work.size_of(job.id) for job in expired_jobs(ctx)}
            tidy(ctx)
    return _cleaned(sizes, "were")


def _erased(name: str, ctx: "Context", *, dry_run: bool) -> Result:
    from drawcli.pipeline.actions import find_job
    from drawcli.pipeline.tidying import check_erasable, erase

    job = find_job(name, ctx)
    check_erasable(job)
    size = ctx.work.size_of(job.id) if dry_run else erase(job, ctx)
    return _cleaned({job.id: size}, "would be" if dry_run else "were")


def _cleaned(sizes: dict[str, int], were: str) -> Result:
    total = sum(sizes.values())
    lines = [f"{job_id}  {size:,} bytes" for job_id, size in sizes.items()]
    lines.append(f"{len(sizes)} work folders of finished jobs {were} removed, {total:,} bytes")
    return _said("\n".join(lines), {"jobs": sizes, "bytes": total})


def unlock(door: Door) -> Result:
    """Show who holds which lock. Locks end with their process."""
    from drawcli.system.mounts_and_locks import holder_of

    settings = door.settings()
    state_dir = settings.state_dir
    more = "\n'drawcli cluster status' shows what other hosts work on." if settings.ledger else ""
    names = {
        "run.lock": "a run",
        "ledger.json.lock": "the ledger",
        "scan-index.sqlite.lock": "the scan index",
        "alarms.lock": "alarms",
        "qa/scan.lock": "a comparison of structure sets",
        "qa/scan-index.sqlite.lock": "the index of qa.folders",
    }
    paths = [state_dir / name for name in names]
    paths += sorted((state_dir / "work").glob("*.lock"))
    held = []
    for path in paths:
        holder = holder_of(path)
        if holder is not None:
            what = names.get(path.relative_to(state_dir).as_posix()) or f"job {path.stem}"
            held.append({"what": what, "pid": holder.pid, "command": holder.command})
    if not held:
        return _said(f"No lock is held: there is nothing to unlock.{more}", {"held": []})
    lines = [f"{lock['what']}: process {lock['pid']}  {lock['command']}" for lock in held]
    lines.append(f"Wait for that process or end it: its locks are released, nothing is lost.{more}")
    return _said("\n".join(lines), {"held": held})


def _summary(troubles: "Sequence[Trouble]", well: str) -> Result:
    data = {"troubles": [trouble.as_plain() for trouble in troubles]}
    if not troubles:
        return _said(well, data)
    rows = [
        (trouble.where, trouble.text, trouble.repair or "(needs a person)") for trouble in troubles
    ]
    return Result(data=data, show=render.columns(("where", "what", "repair"), rows))


def _said(text: str, data: dict[str, Any]) -> Result:
    return Result(data=data, show=lambda out: out.print(text, soft_wrap=True))
