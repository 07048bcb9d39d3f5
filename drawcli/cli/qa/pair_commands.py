"""qa list, show and export: the records of delivered and clinical structure sets."""

from dataclasses import dataclass
from itertools import groupby
from textwrap import fill
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from drawcli.cli import render
from drawcli.cli.door import Door, IdentifyOption
from drawcli.cli.job_commands import JobArgument
from drawcli.cli.render import Result
from drawcli.cli.status_command import CsvOption, TemplateOption
from drawcli.errors import UsageError
from drawcli.system.printable import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from drawcli.core.jobs.job import Job
    from drawcli.core.qa.records import PairRecord
    from drawcli.core.qa.summary import ChartSummary
    from drawcli.pipeline.context import Context

_CHOSEN: Final = {
    "only": "no other structure set could be meant",
    "approved": "it is approved, or with a date of review",
    "edited": "the others are unchanged copies of the delivered set",
    "predecessor": "it names the delivered set as its predecessor",
    "plan": "a plan refers to it",
    "newest": "it is the newest",
}

_SEARCHED: Final = frozenset({"missing", "unclear", "closed"})
_NAMES_FILES: Final = "names the files of the series that were found"


def list_(
    door: Door,
    status: Annotated[
        str | None, typer.Option("--status", help="Only pairs with this status.", metavar="STATUS")
    ] = None,
    template: TemplateOption = None,
    as_csv: CsvOption = False,
) -> Result:
    """List the pairs of delivered and clinical structure sets, the latest delivery first."""
    from drawcli.core.qa.pair_rows import RECORD_COLUMNS, in_words, outcome_counts
    from drawcli.core.qa.records import PairStatus

    if status is not None and status not in set(PairStatus):
        known = ", ".join(PairStatus)
        raise UsageError(f"there is no status '{status}'", hint=f"Statuses: {known}.")
    found = [
        record
        for record in _records(door)
        if status in (None, record.status) and template in (None, record.template)
    ]
    rows = [_row(record) | {"summary": in_words(record)} for record in found]
    if as_csv:
        from drawcli.operations.ledger_copies import as_csv as table

        rows = [row | {"passed_over": " ".join(row["passed_over"])} for row in rows]
        text = table(rows, (*RECORD_COLUMNS, "summary"))
        return Result(data={"csv": text}, show=render.verbatim(text))
    for row, record in zip(rows, found, strict=True):
        row["outcomes"] = dict(outcome_counts(record))

    def show(out: "Console") -> None:
        if not found:
            out.print("no such pairs; 'drawcli qa scan' finds them", soft_wrap=True)
            return
        cells = [
            (one.job, f"{one.delivered_at:%Y-%m-%d}", one.template, str(one.status), in_words(one))
            for one in found
        ]
        titles = ("job", "delivered", "template", "status", "what is known")
        render.columns(titles, cells)(out)

    return Result(data={"pairs": rows}, show=show)


def _records(door: Door) -> "list[PairRecord]":
    """Return the present record of each job, the latest delivery first."""
    from drawcli.adapters.state.qa_records import QaRecords

    found = QaRecords(door.settings().state_dir).by_job().values()
    return sorted(found, key=lambda one: (one.delivered_at, one.job), reverse=True)


def _row(record: "PairRecord") -> dict[str, Any]:
    plain = record.as_plain()
    del plain["structures"]
    return plain


@dataclass(frozen=True, slots=True)
class _FoundFile:
    """A structure set that was found for a job, for --identify."""

    path: str
    why: str


def show(door: Door, job: JobArgument, identify: IdentifyOption = False) -> Result:
    """Show the pair of a job: the figures of each structure, and why this set was chosen."""
    from drawcli.adapters.state.qa_summary import read_summary
    from drawcli.operations.qa.ratings import rating_of
    from drawcli.pipeline.actions import find_job

    door.check_identify(identify=identify)
    with door.context(dry_run=True) as ctx:
        found = find_job(job, ctx)
        record = _record_of(found, ctx)
        files = _files(found, record, ctx) if identify else []
        patient = _patient(found, ctx) if identify else ""
        summary = read_summary(ctx.settings.state_dir)
        rating = rating_of(found, ctx)
    charts = [
        chart
        for chart in (summary.noted() if summary else ())
        if (chart.template, chart.version) == (record.template, record.version)
    ]
    facts = [*_facts(record, patient), ("rating", rating.in_words if rating else "")]
    data = {
        "pair": record.as_plain(),
        "rating": rating.as_export() if rating else None,
        "others": _others(record),
        "charts": [{"roi": one.roi, "metric": one.metric, "state": one.state} for one in charts],
    }
    return Result(data=data, show=lambda out: _show(out, record, facts, charts, files))


def _record_of(job: "Job", ctx: "Context") -> "PairRecord":
    from drawcli.adapters.state.qa_records import QaRecords

    record = QaRecords(ctx.settings.state_dir).of_job(job.id)
    if record is None:
        raise UsageError(
            f"job {job.id} has no record of quality assurance",
            hint="'drawcli qa scan' makes one once its structure set is delivered.",
        )
    return record


def _facts(record: "PairRecord", patient: str) -> list[tuple[str, object]]:
    why = _CHOSEN.get(record.chosen_by, "")
    approval = record.approval.lower() or "no approval status"
    return [
        ("job", record.job),
        ("patient", patient),
        ("status", record.status),
        ("note", record.note),
        ("template", record.template),
        ("delivered", f"{record.delivered_at:%Y-%m-%d %H:%M} UTC, drawcli {record.drawcli}"),
        ("version", f"{record.version} (of template, models and drawcli)"),
        ("clinical set", f"{approval}; chosen because {why}" if why else ""),
        ("other sets", _others_in_words(record)),
        ("compared", f"{record.at:%Y-%m-%d %H:%M} UTC" if record.structures else ""),
    ]


def _others_in_words(record: "PairRecord") -> str:
    """Return the other sets; a note names them where there is one."""
    from drawcli.core.qa.candidates import PassedOver, in_words

    known = set(PassedOver)
    codes = [PassedOver(code) for code in record.passed_over if code in known]
    return "" if record.note else in_words(codes)


def _others(record: "PairRecord") -> list[dict[str, str]]:
    """Return why each of the other structure sets was not chosen."""
    from drawcli.core.qa.candidates import WHY, PassedOver

    known = set(PassedOver)
    return [
        {"reason": code, "text": WHY[PassedOver(code)] if code in known else code}
        for code in record.passed_over
    ]


def _show(
    out: "Console",
    record: "PairRecord",
    facts: "Sequence[tuple[str, object]]",
    charts: "Sequence[ChartSummary]",
    files: "Sequence[_FoundFile]",
) -> None:
    from drawcli.cli.qa.tables import legend, show_structures
    from drawcli.core.qa.chart_limits import METRICS

    render.lines(facts)(out)
    for file in files:
        out.print(f"{file.why}: {file.path}", soft_wrap=True)
    if record.structures:
        out.print()
        show_structures(out, record.structures)
        taus = sorted({one.tau_mm for one in record.structures if one.tau_mm is not None})
        out.print(legend(taus, "\nA: delivered, B: clinical."), soft_wrap=True)
    if record.unpaired:
        what = counted(record.unpaired, "clinical structure")
        out.print(f"{what} without a delivered one: not listed; see qa.aliases", soft_wrap=True)
    for (roi, state), same in groupby(charts, lambda one: (one.roi, one.state)):
        metrics = [METRICS[one.metric].label for one in same if one.metric in METRICS]
        out.print(fill(f"charts to {state}: {roi}, {', '.join(metrics)}", out.width))
    if record.status in _SEARCHED and not files:
        out.print(f"'drawcli qa show {record.job} --identify' {_NAMES_FILES}", soft_wrap=True)


def _patient(job: "Job", ctx: "Context") -> str:
    from drawcli.pipeline.identity import patient_of

    return patient_of(job, ctx) if ctx.work.has_folder(job.id) else ""


def _files(job: "Job", record: "PairRecord", ctx: "Context") -> list[_FoundFile]:
    """Return the structure sets that name the series of a job, and what each is."""
    from drawcli.operations.qa.clinical.found_files import found_files
    from drawcli.pipeline.identity import readable

    return [_FoundFile(readable(str(path)), why) for path, why in found_files(job, record, ctx)]


def export(door: Door, as_csv: CsvOption = False) -> Result:
    """Print the present record of every pair: JSON lines, or CSV with a row for each structure."""
    import json

    records = _records(door)
    if as_csv:
        from drawcli.core.qa.pair_rows import RECORD_COLUMNS, STRUCTURE_COLUMNS, export_rows
        from drawcli.operations.ledger_copies import as_csv as table

        rows = [row for record in records for row in export_rows(record)]
        text = table(rows, (*RECORD_COLUMNS, *STRUCTURE_COLUMNS))
        return Result(data={"csv": text}, show=render.verbatim(text))
    plain = [record.as_plain() for record in records]
    text = "".join(f"{json.dumps(one)}\n" for one in plain)
    return Result(data={"records": plain}, show=render.verbatim(text))
