"""scan: the datastore, or given files."""

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from drawcli.cli import render
from drawcli.cli.door import Door, RunOptions
from drawcli.cli.pipeline_commands import step_command
from drawcli.cli.render import Result
from drawcli.cli.run_result import IDLE, result_of
from drawcli.errors import JobError, UsageError
from drawcli.system.network.limit import bytes_in_words
from drawcli.system.printable import counted

if TYPE_CHECKING:
    from rich.console import Console

    from drawcli.core.jobs.job import Job
    from drawcli.pipeline.one_off import OneOffResult

LARGEST_LIST: Final = 16 << 20  # bytes: 100,000 long paths
_STANDARD_INPUT: Final = "-"
_UTF_8_MARK: Final = b"\xef\xbb\xbf"


def scan(
    door: Door,
    run: RunOptions,
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATH",
            help="Folders, images or zips from outside the datastore, for a one-off job.",
            show_default=False,
        ),
    ] = None,
    from_list: Annotated[
        str | None,
        typer.Option(
            "--from-list", help="A file with one PATH a line; - is standard input.", metavar="FILE"
        ),
    ] = None,
    deliver_to: Annotated[
        Path | None,
        typer.Option("--deliver-to", help="Folder for its structure set.", metavar="DIR"),
    ] = None,
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Keep running: scan whenever the datastore changes."),
    ] = False,
) -> Result | None:
    """Find complete planning scans in the datastore or PATH."""
    if follow:
        if paths or from_list or deliver_to or run != RunOptions(max_minutes=run.max_minutes):
            raise UsageError("--follow can only be combined with --max-minutes")
        return _follow(door, run.max_minutes)
    shown = [*(paths or []), *(_listed(from_list) if from_list is not None else [])]
    if from_list is None and not paths:
        if deliver_to is not None:
            raise UsageError("--deliver-to needs PATH")
        return step_command("scan")(door, run)
    if not shown:
        raise UsageError("the list contains no PATH")
    if run.chooses:
        raise UsageError("--job, --limit and --max-minutes belong to a scan of the datastore")
    return _one_off(door, shown, deliver_to, fail_if_idle=run.fail_if_idle, dry_run=run.dry_run)


def _follow(door: Door, max_minutes: float | None) -> Result | None:
    """Scan at each change; print each result, and each error once."""
    from drawcli.adapters.state.receive_state import mark_file
    from drawcli.pipeline.follow import follow, watch_datastore

    site = door.settings()
    marks = [mark_file(site.state_dir).parent] if site.receive.folder else []
    until = None if max_minutes is None else time.monotonic() + max_minutes * 60
    changes = watch_datastore(site.datastore, marks)
    if changes.blind and door.to_person:
        render.say(f"{changes.blind}: looking from time to time, too")
    reported: list[str] = []
    for report in follow(door.context, changes, lambda: until is None or time.monotonic() < until):
        result = result_of([report], fail_if_idle=False, always=bool(report.outcomes))
        trouble = [str(err) for err in result.errors]
        if trouble == reported:
            result.errors = []
        reported = trouble
        if report.outcomes or result.errors:
            render.present(door.command, result, door.style)
    return None


def _listed(name: str) -> list[Path]:
    """Return the paths in a list, one a line, in any encoding."""
    try:
        if name == _STANDARD_INPUT:
            raw = sys.stdin.buffer.read(LARGEST_LIST + 1)
        else:
            with Path(name).open("rb") as stream:
                raw = stream.read(LARGEST_LIST + 1)
    except OSError as err:
        raise UsageError(f"--from-list: the list cannot be read: {err.strerror}") from None
    if len(raw) > LARGEST_LIST:
        raise UsageError(f"--from-list: the list is longer than {bytes_in_words(LARGEST_LIST)}")
    lines = raw.removeprefix(_UTF_8_MARK).replace(b"\r\n", b"\n").split(b"\n")
    return [Path(os.fsdecode(line)) for line in lines if line.strip()]


def _whole(path: Path) -> Path:
    """Return an absolute path: cron runs elsewhere. A shell leaves the "~" of --option=~/x."""
    return Path(os.path.expanduser(path)).absolute()  # noqa: PTH111 - pathlib's raises for "~nobody"


def _one_off(
    door: Door, paths: Sequence[Path], to: Path | None, *, fail_if_idle: bool, dry_run: bool
) -> Result:
    from drawcli.pipeline.one_off import OneOffRequest, scan_paths

    request = OneOffRequest(tuple(map(_whole, paths)), "" if to is None else str(_whole(to)))
    spinner = render.spinner("scan") if door.to_person else nullcontext()
    with door.context(dry_run=dry_run) as ctx, spinner:
        shown = scan_paths(request, ctx, dry_run=dry_run)
    code = JobError.exit_code if shown.refused else 0
    if fail_if_idle and not (shown.found or shown.ready or code):
        code = IDLE
    return Result(data=_facts(shown), show=_shown(shown), errors=[*shown.refused], exit_code=code)


def _facts(shown: "OneOffResult") -> dict[str, Any]:
    found = [{"job": job.id, "step": "scan", "outcome": str(job.state)} for job in shown.found]
    return {
        "steps": {"scan": {"found": len(found)} if found else {}},
        "jobs": found,
        "known": [
            {"job": job.id, "state": str(job.state), "held": job.held, "done": did or None}
            for job, did in shown.known
        ],
        "planned": [
            {
                "step": "scan",
                "job": seen.key,
                "would": f"{seen.modality} of {counted(seen.files, 'file')}",
            }
            for seen in shown.ready
        ],
        "files_passed_over": dict(shown.passed_over),
        "series_ignored": dict(shown.ignored),
    }


def _shown(shown: "OneOffResult") -> "Callable[[Console], None]":
    def show(out: "Console") -> None:
        for job in shown.found:
            out.print(
                f"{job.id}  found: {job.modality} of {counted(job.slices or 0, 'file')}",
                soft_wrap=True,
            )
        for seen in shown.ready:
            out.print(
                f"{seen.key}  would be found: {seen.modality} of {counted(seen.files, 'file')}",
                soft_wrap=True,
            )
        for job, did in shown.known:
            out.print(f"{job.id}  known already: {did or _how_it_fares(job)}", soft_wrap=True)
        aside = sorted((shown.ignored + shown.passed_over).items())
        if aside:
            counts = ", ".join(f"{count} {reason}" for reason, count in aside)
            render.say(f"left alone: {counts}")

    return show


def _how_it_fares(job: "Job") -> str:
    """Return the state of a job and the command to continue."""
    if job.held or job.state == "waiting":
        return f"{job.state}{', held' if job.held else ''}: {job.reason}"
    if job.state in ("done", "delivered", "cancelled"):
        return f"{job.state}; 'drawcli assign {job.id} TEMPLATE' sends it once more"
    return f"{job.state}, on its way"
