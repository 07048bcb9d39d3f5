"""key init, status, rotate, backup, restore; vault show, rebuild."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drawcli.cli import render
from drawcli.cli.door import Door, DryRunOption, IdentifyOption, group
from drawcli.cli.render import Result
from drawcli.errors import JobError, UsageError
from drawcli.system.printable import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from drawcli.core.jobs.job import Job
    from drawcli.core.series.crosswalk import Crosswalk
    from drawcli.pipeline.context import Context

JobArgument = Annotated[
    str, typer.Argument(metavar="JOB", help="A job's id or its unique beginning.")
]


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    group(
        app,
        "key",
        {"init": init, "status": status, "rotate": rotate, "backup": backup, "restore": restore},
        what="Create, check, rotate and back up the site key.",
    )
    group(
        app,
        "vault",
        {"show": show, "rebuild": rebuild},
        what="Show or rebuild the vault of a job.",
    )


def init(door: Door) -> Result:
    """Create the site key, if there is none."""
    from drawcli.adapters.state.keys.key_source import site_keys
    from drawcli.pipeline.cluster.opening import first_site_key

    settings = door.settings()
    path, is_new = first_site_key(settings)
    key_id = site_keys(settings).stand_ins.key_id
    data = {"path": str(path), "key_id": key_id, "made": is_new}
    said = f"{'made' if is_new else 'kept'}  {path}  (key id {key_id})"
    return Result(data=data, show=_line(said))


def status(door: Door) -> Result:
    """Check the site key and count the jobs of each key."""
    from drawcli.adapters.state.keys.key_source import site_keys
    from drawcli.operations.keys import jobs_by_key

    with door.context(dry_run=True) as ctx:
        path, counts = site_keys(ctx.settings).where, jobs_by_key(ctx)
        today = ctx.stand_ins.key_id
    data = {"path": path, "key_id": today, "jobs": counts}

    def show(out: "Console") -> None:
        rows = (
            (key_id, "of today" if key_id == today else "retired", str(count))
            for key_id, count in counts.items()
        )
        render.columns(("key", "", "jobs"), rows)(out)
        if not ctx.settings.site_key_command:
            out.print(f"\n{path}: readable by its owner alone, and by no git", soft_wrap=True)

    return Result(data=data, show=show)


def rotate(door: Door, dry_run: DryRunOption = False) -> Result:
    """Create a new site key, retire the old one, re-encrypt all vaults.

    From then on a patient has another pseudonym and another shift of dates. Jobs that exist keep
    the key they were made with, and nothing is sent twice. Retired keys stay needed: back them up.
    """
    from drawcli.operations.keys import rotate as rotate_key

    with door.context(dry_run=dry_run) as ctx:
        if dry_run:
            said = f"key {ctx.stand_ins.key_id} would be retired, and a new one made"
            return Result(data={"would_retire": ctx.stand_ins.key_id}, show=_line(said))
        with ctx.work.run_lock(ctx.now()):
            done = rotate_key(ctx)
    data = {
        "key_id": done.key_id,
        "retired": done.retired,
        "vaults_sealed": done.sealed_anew,
        "vaults_left": list(done.left),
    }
    lines = [
        f"key {done.key_id} is in use; {done.retired} is retired"
        if done.retired
        else f"key {done.key_id} is in use; an earlier rotation was finished, no key was made",
        f"{done.sealed_anew} vaults sealed anew",
        "Back up the keys now: drawcli key backup FILE",
    ]
    if done.left:
        lines.insert(2, f"{len(done.left)} vaults are as they were: a step is at work on their job")
    return Result(data=data, show=_line("\n".join(lines)))


def backup(
    door: Door,
    file: Annotated[Path, typer.Argument(help="A new file, outside state_dir and datastore.")],
) -> Result:
    """Write all site keys into a file; store it apart from the images."""
    from drawcli.adapters.state.audit_log import record_action
    from drawcli.adapters.state.keys.key_source import site_keys
    from drawcli.operations.keys import back_up, check_backup_place, note_keys_kept

    settings, now = door.settings(), datetime.now(UTC)
    key, retired, _ = keys = site_keys(settings)
    forbidden = (settings.state_dir, *settings.datastore)
    check_backup_place(file, forbidden)
    record_action(settings.state_dir, "key-backup", now)
    back_up(file, key, retired, forbidden)
    note_keys_kept(settings.state_dir, keys, now)
    data = {"file": str(file), "keys": 1 + len(retired)}
    said = (
        f"{counted(1 + len(retired), 'key')} written to {file}\n"
        "Anyone with this file can re-identify the images that were sent."
    )
    return Result(data=data, show=_line(said))


def restore(
    door: Door,
    file: Annotated[Path, typer.Argument(help="A file written by 'key backup'.")],
) -> Result:
    """Restore the site keys from a backup, if there are none."""
    from drawcli.adapters.state.keys.key_source import site_keys
    from drawcli.operations.keys import note_keys_kept
    from drawcli.operations.keys import restore as put_keys_back

    settings = door.settings()
    if settings.site_key_command:
        raise UsageError(
            "the site key comes from site_key_command: there is no file to restore",
            hint="Restore the keys of the backup in the place from which the command reads them.",
        )
    key_id = put_keys_back(file, settings.state_dir)
    note_keys_kept(settings.state_dir, site_keys(settings), datetime.now(UTC))
    return Result(data={"key_id": key_id}, show=_line(f"key {key_id} is in use"))


def show(door: Door, job: JobArgument, identify: IdentifyOption = False) -> Result:
    """Show the contents of a job's vault; patient data with --identify."""
    from drawcli.pipeline.actions import act_locked, find_job

    door.check_identify(identify=identify)
    with door.context(dry_run=True) as ctx:
        found = find_job(job, ctx)
        crosswalk = ctx.crosswalk(found)
        facts = _facts(found, crosswalk, ctx)
        private = _private(crosswalk) if identify else []
        if identify:
            act_locked(
                found, ctx, lambda one: ctx.ledger.commit(one.noted(ctx.now(), "identified"))
            )
    return Result(data=dict(facts), show=render.lines([*facts, *private]))


def rebuild(door: Door, job: JobArgument) -> Result:
    """Rebuild a lost vault from unchanged images and the site key."""
    from drawcli.operations.keys import rebuild as rebuild_vault
    from drawcli.pipeline.actions import act_locked, find_job

    with door.context() as ctx:
        found = find_job(job, ctx)
        try:
            crosswalk = act_locked(found, ctx, lambda one: _rebuilt(one, rebuild_vault, ctx))
        except JobError as err:
            return Result(errors=[err], exit_code=err.exit_code)
    count = len(crosswalk.files)
    data = {"job": found.id, "files": count}
    return Result(
        data=data, show=_line(f"the vault of job {found.id} holds {counted(count, 'file')} again")
    )


def _rebuilt(
    job: "Job", rebuild_vault: "Callable[[Job, Context], Crosswalk]", ctx: "Context"
) -> "Crosswalk":
    crosswalk = rebuild_vault(job, ctx)
    ctx.ledger.commit(job.noted(ctx.now(), "vault rebuilt"))
    return crosswalk


def _facts(job: "Job", crosswalk: "Crosswalk", ctx: "Context") -> list[tuple[str, object]]:
    from drawcli.adapters.state.workdir import VAULT

    status = ctx.work.file(job.id, VAULT).stat()
    stand_ins = ctx.stand_ins_of(job)
    sealed = datetime.fromtimestamp(status.st_mtime, UTC)
    return [
        ("job", job.id),
        ("key", job.key_id),
        ("sealed", sealed.isoformat(timespec="seconds")),
        ("bytes", status.st_size),
        ("files", len(crosswalk.files)),
        ("policy", crosswalk.policy),
        ("patient", crosswalk.pseudonym),
        ("study", stand_ins.uid(crosswalk.study_uid)),
        ("series", stand_ins.uid(crosswalk.series_uid)),
        ("frame_of_reference", stand_ins.uid(crosswalk.frame_uid) if crosswalk.frame_uid else ""),
        ("uids", len(crosswalk.uids)),
        ("dates", len(crosswalk.dates)),
    ]


def _private(crosswalk: "Crosswalk") -> list[tuple[str, object]]:
    """Return the patient of a series, as in the source."""
    facts: list[tuple[str, object]] = [
        (keyword, render.shortened(text)) for keyword, text in crosswalk.readable().items()
    ]
    if not crosswalk.identity:  # not de-identified yet
        facts += list(zip(("PatientName", "PatientID"), crosswalk.patient, strict=True))
    facts += [
        ("StudyInstanceUID", crosswalk.study_uid),
        ("SeriesInstanceUID", crosswalk.series_uid),
        ("FrameOfReferenceUID", crosswalk.frame_uid),
    ]
    facts += [(f"date {sent}", day) for sent, day in sorted(crosswalk.dates.items())]
    return facts


def _line(text: str) -> "Callable[[Console], None]":
    return lambda out: out.print(text, soft_wrap=True)
