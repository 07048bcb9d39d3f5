"""qa golden: fixed scans that are sent again, to see whether a model has changed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from drawcli.cli import render
from drawcli.cli.door import Door
from drawcli.cli.progress_bar import shown
from drawcli.cli.qa.commission_command import wait_options
from drawcli.cli.render import Result
from drawcli.errors import JobError, OutOfReach, UsageError
from drawcli.system.printable import counted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from drawcli.core.qa.golden import GoldenCase, GoldenResult
    from drawcli.operations.commissioning.golden import GoldenRun
    from drawcli.operations.commissioning.golden_cases import ListedCase

CaseArgument = Annotated[
    str, typer.Argument(help="A golden case: the beginning of its id.", metavar="CASE")
]


def add(
    door: Door,
    source: Annotated[
        str, typer.Argument(help="A job, or a folder with images.", metavar="JOB|FOLDER")
    ],
    template: Annotated[
        str | None,
        typer.Option("--template", help="Of a folder: what is asked for.", metavar="TEMPLATE"),
    ] = None,
) -> Result:
    """Keep a scan as a golden case: of a job, or of a folder.

    The package is kept as it was sent: de-identified and checked. It stays when work folders go.
    """
    from drawcli.operations.commissioning.golden_cases import add_folder, add_job
    from drawcli.pipeline.actions import find_job

    with door.context() as ctx:
        if template is not None:
            cases = add_folder(Path(source).absolute(), template, ctx)
        elif Path(source).is_dir():
            raise UsageError(
                f"{source} is a folder: which template?", hint="Add --template TEMPLATE."
            )
        else:
            cases = [add_job(find_job(source, ctx), ctx)]

    def show(out: "Console") -> None:
        for case in cases:
            out.print(f"{case.id}  {_what(case)}", soft_wrap=True)
        out.print("'drawcli qa golden run' sends what is due.", soft_wrap=True)

    return Result(data={"cases": [case.as_plain() for case in cases]}, show=show)


def run(
    door: Door,
    now: Annotated[
        bool, typer.Option("--now", help="Send all cases, whether they are due or not.")
    ] = False,
    max_minutes: Annotated[
        float | None,
        typer.Option("--max-minutes", min=0, help="Stop waiting after so long.", metavar="N"),
    ] = None,
) -> Result:
    """Send the golden cases that are due, and compare what comes back with last time.

    The same contours (within 0.01 mm) mean that the model has not changed. With qa.enabled,
    'run-once' does the same without waiting.
    """
    from drawcli.operations.commissioning.golden import run_golden

    with door.context() as ctx:
        waiting = wait_options(door, max_minutes, ctx.now())
        with shown(door, waiting.progress):
            done = run_golden(ctx, waiting, everything=now)
    result = Result(data=facts_of_run(done), errors=list(errors_of(done)))
    if done.stopped:
        result.errors.append(OutOfReach(f"not finished: {done.stopped}"))
    bad = [one for one in done.results if one.outcome in ("changed", "failed")]
    result.exit_code = OutOfReach.exit_code if done.stopped else JobError.exit_code if bad else 0
    result.show = lambda out: _show_run(out, done)
    return result


def facts_of_run(done: "GoldenRun") -> dict[str, Any]:
    """Return a run as JSON values."""
    return {
        "sent": done.sent,
        "waiting": done.waiting,
        "results": [one.as_plain() for one in done.results],
    }


def errors_of(done: "GoldenRun") -> "Iterable[JobError]":
    """Yield an error for each template that has changed, and for each case that failed."""
    by_template = {one.template: one for one in done.changes}
    for template, one in by_template.items():
        names = ", ".join(structure.name for structure in one.structures)
        yield JobError(
            f"a golden case shows that the contours of template {template} have changed: {names}",
            code="model-changed",
            hint="'drawcli qa golden list' shows how; 'drawcli qa golden accept "
            f"{template}' once you have looked.",
        )
    for one in done.results:
        if one.outcome == "failed":
            yield JobError(
                f"golden case {one.case} did not come back: {one.note}",
                code="golden-failed",
                hint="It is sent again tomorrow, or with 'drawcli qa golden run --now'.",
            )


def list_(door: Door) -> Result:
    """List the golden cases, their last result, and when they are due."""
    from drawcli.operations.commissioning.golden_cases import listed_cases

    with door.context(dry_run=True) as ctx:
        cases = list(listed_cases(ctx))
        on_change = ctx.settings.qa.on_change

    def show(out: "Console") -> None:
        rows = [
            (
                one.case.id,
                one.case.template,
                "never sent" if one.last is None else str(one.last.outcome),
                "" if one.last is None else f"{one.last.at:%Y-%m-%d}",
                "now" if one.due_at is None else f"{one.due_at:%Y-%m-%d}",
            )
            for one in cases
        ]
        if not rows:
            out.print("No golden cases. 'drawcli qa golden add JOB' keeps one.")
            return
        render.columns(("case", "template", "last result", "at", "due"), rows)(out)
        for one in cases:
            if one.last is not None:
                _show_differences(out, one.last)
            if one.is_outdated:
                text = "the template has changed since; remove the case and add the scan again"
                out.print(f"{one.case.id}  {text}", soft_wrap=True)

    data = {"on_change": on_change, "cases": [_listed(one) for one in cases]}
    return Result(data=data, show=show)


def accept(
    door: Door,
    template: Annotated[str, typer.Argument(help="The template.", metavar="TEMPLATE")],
    why: Annotated[str, typer.Option("--why", help="What you have seen. No patient data.")] = "",
) -> Result:
    """Accept changed contours: they are the reference from now on; held jobs go on."""
    from drawcli.operations.commissioning.golden_cases import accept_change

    with door.context() as ctx:
        released = accept_change(template, ctx, why)
    jobs = counted(len(released), "held job")
    return Result(
        data={"template": template, "released": [job.id for job in released]},
        show=lambda out: out.print(
            f"accepted: new reference for {template}" + (f"; {jobs} released" if released else ""),
            soft_wrap=True,
        ),
    )


def remove(door: Door, case: CaseArgument) -> Result:
    """Remove a golden case; its results are kept."""
    from drawcli.adapters.state.golden_store import GoldenStore

    with door.context() as ctx:
        store = GoldenStore(ctx.settings.state_dir)
        found = store.case_named(case)
        store.remove(found.id)
    return Result(data={"removed": found.id}, show=lambda out: out.print(f"removed: {found.id}"))


def _what(case: "GoldenCase") -> str:
    scan = f"{case.modality} of {counted(case.slices or 0, 'file')}"
    return f"{case.template}, {scan}, {case.zip_bytes / 1e6:.1f} MB"


def _listed(one: "ListedCase") -> dict[str, Any]:
    return {
        **one.case.as_plain(),
        "last": one.last and one.last.as_plain(),
        "due_at": one.due_at and one.due_at.isoformat(),
        "outdated": one.is_outdated,
    }


def _show_run(out: "Console", done: "GoldenRun") -> None:
    for one in done.results:
        out.print(f"{one.case}  {one.template}: {one.outcome}", soft_wrap=True)
        _show_differences(out, one)
    if done.waiting:
        out.print(f"{counted(done.waiting, 'case')} on the way", soft_wrap=True)
    if not done.results and not done.waiting:
        out.print("No golden case is due.")


def _show_differences(out: "Console", one: "GoldenResult") -> None:
    from drawcli.operations.qa.page import figure

    since = f" since {one.since:%Y-%m-%d}" if one.since else ""
    for structure in one.structures:
        figures = [] if structure.dice else [str(structure.outcome)]
        figures += [f"Dice {figure(structure.dice, 3)}"] if structure.dice else []
        if structure.hd95_mm is not None:
            figures.append(f"HD95 {figure(structure.hd95_mm, 1)} mm")
        if structure.volume_a_cm3 and structure.volume_b_cm3:
            figures.append(f"volume {structure.volume_b_cm3 / structure.volume_a_cm3 - 1:+.1%}")
        text = f"{structure.name} has changed{since}: {', '.join(figures)}"
        out.print(f"{one.case}  {text}", soft_wrap=True)
    if one.note:
        out.print(f"{one.case}  {one.outcome}: {one.note}", soft_wrap=True)
