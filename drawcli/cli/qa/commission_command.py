"""qa commission: past patients by the steps of the pipeline, and a page to sign."""

import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from drawcli.cli import render
from drawcli.cli.door import Door, IdentifyOption, end_after
from drawcli.cli.progress_bar import shown
from drawcli.cli.qa.commission_result import facts_of, show_result
from drawcli.cli.render import Result, not_written
from drawcli.errors import JobError, OutOfReach, UsageError
from drawcli.system.printable import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drawcli.operations.commissioning.commission import CommissionRequest
    from drawcli.operations.commissioning.results import Commissioned
    from drawcli.operations.commissioning.side_ledger import WaitOptions
    from drawcli.pipeline.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class CommissionOptions:
    """The options of `qa commission`."""

    template: Annotated[
        str, typer.Option("--template", help="The template to commission.", metavar="TEMPLATE")
    ]
    accept: Annotated[
        Path, typer.Option("--accept", help="The acceptance file (YAML).", metavar="FILE")
    ]
    html: Annotated[
        Path | None,
        typer.Option("--html", help="Also write a page to sign, as HTML.", metavar="FILE"),
    ] = None
    pdf: Annotated[Path | None, typer.Option("--pdf", help="The same as PDF.", metavar="FILE")] = (
        None
    )
    baseline: Annotated[
        bool, typer.Option("--baseline", help="Take the result as limits of the control charts.")
    ] = False
    again: Annotated[
        bool, typer.Option("--again", help="Send every series once more, as a new round.")
    ] = False
    retry: Annotated[bool, typer.Option("--retry", help="Try series that were held once more.")] = (
        False
    )
    max_minutes: Annotated[
        float | None,
        typer.Option("--max-minutes", min=0, help="Stop waiting after so long.", metavar="N"),
    ] = None


def commission(
    door: Door,
    folder: Annotated[
        Path,
        typer.Argument(help="Past patients: images and RTSTRUCT of each.", metavar="FOLDER"),
    ],
    options: CommissionOptions,
    identify: IdentifyOption = False,
) -> Result:
    """Commission a template with past patients; deliver nothing.

    Each series that has a clinical structure set goes to the server and back by the usual steps.
    Its contours are compared with the clinical ones, and judged by the acceptance file. A second
    call goes on where the first has ended.
    """
    from drawcli.operations.commissioning.commission import commission as commission_folder

    door.check_identify(identify=identify)
    _check_targets(options)
    with door.context() as ctx:
        request = _request(folder, options)
        waiting = wait_options(door, options.max_minutes, ctx.now())
        with shown(door, waiting.progress):
            done = commission_folder(ctx, request, waiting)
        written = _write(done, options, ctx)
        charts = _baseline(done, ctx) if options.baseline else None
    result = Result(data=facts_of(done, charts) | written, errors=list(_errors(done)))
    result.exit_code = _exit_code(done)
    if options.baseline and charts is None:
        result.errors.append(_no_baseline(done))
        result.exit_code = result.exit_code or JobError.exit_code
    result.show = lambda out: show_result(out, done, charts, written, identify=identify)
    return result


def _request(folder: Path, options: CommissionOptions) -> "CommissionRequest":
    from drawcli.operations.commissioning.commission import CommissionRequest

    return CommissionRequest(
        folder=folder.absolute(),
        template=options.template,
        accept=options.accept,
        again=options.again,
        retry=options.retry,
    )


def _check_targets(options: CommissionOptions) -> None:
    """Raise an error at once if the pages cannot be written: what follows may take hours."""
    for path in (options.html, options.pdf):
        if path is not None and not path.absolute().parent.is_dir():
            raise UsageError(f"{path}: there is no folder {path.parent}", hint="Create it first.")
    if options.pdf is not None:
        from drawcli.operations.qa.document_pdf import check_installed

        check_installed()


def wait_options(door: Door, max_minutes: float | None, now: datetime) -> "WaitOptions":
    """Return how to wait for the server: at a terminal with progress of the jobs."""
    from drawcli.operations.commissioning.side_ledger import WaitOptions

    last: list[str] = []

    def tell(line: str) -> None:
        if door.to_person and last != [line]:
            render.say(line)
            last[:] = [line]

    return WaitOptions(sleep=time.sleep, until=end_after(max_minutes, now), tell=tell)


def _write(done: "Commissioned", options: CommissionOptions, ctx: "Context") -> dict[str, Any]:
    """Write the pages; return their paths."""
    from drawcli.operations.commissioning.report import document_of
    from drawcli.operations.qa.document import as_html
    from drawcli.operations.qa.document_pdf import as_pdf

    paths = {"html": options.html, "pdf": options.pdf}
    if any(paths.values()):
        document = document_of(done, ctx.settings, ctx.rulebook.commit or "")
        if options.html is not None:
            _write_file(options.html, as_html(document).encode("utf-8"))
        if options.pdf is not None:
            _write_file(options.pdf, as_pdf(document))
    return {name: path and str(path) for name, path in paths.items()}


def _write_file(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as err:
        raise not_written(path, err) from None


def _baseline(done: "Commissioned", ctx: "Context") -> int | None:
    """Store the limits of the charts; return for how many, None if the result does not allow it."""
    from drawcli.operations.commissioning.limits import save_baseline

    if done.passed is not True or not done.is_complete:
        return None
    return save_baseline(ctx.settings.state_dir, done, ctx.settings.qa.charts, ctx.now())


def _no_baseline(done: "Commissioned") -> JobError:
    why = "the result is not a pass" if done.is_complete else "some cases are not finished"
    return JobError(
        f"no baseline was written: {why}",
        code="no-baseline",
        hint="The baseline is taken from a finished commissioning that passes.",
    )


def _exit_code(done: "Commissioned") -> int:
    if done.stopped:
        return OutOfReach.exit_code
    held = any(one.job.held for one in done.cases)
    return JobError.exit_code if held or done.passed is False else 0


def _errors(done: "Commissioned") -> "Iterator[JobError | OutOfReach]":
    if done.stopped:
        yield OutOfReach(
            f"not finished: {done.stopped}",
            hint="Nothing is lost. The same command goes on where this one has stopped.",
        )
    for reason in dict.fromkeys(one.job.reason for one in done.cases if one.job.held):
        count = sum(one.job.held and one.job.reason == reason for one in done.cases)
        yield JobError(
            f"{counted(count, 'case')} held: {reason}",
            code="held",
            hint="With --retry the command tries them once more.",
        )
