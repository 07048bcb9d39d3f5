"""What a report on contours says beside its table, for terminal and document."""

from collections.abc import Iterator, Sequence
from typing import Final

from drawcli.core.qa.summary import NOTED
from drawcli.operations.qa.report import QaReport, StructureReport
from drawcli.operations.qa.summary_text import counts_text
from drawcli.system.printable import counted

_CHANGED: Final = (
    "a case is changed if its figure is not the best possible: Dice below 1, a distance above 0"
)
_MOST_JOBS: Final = 10  # that are named for each reason


def sections(made: QaReport) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield what a report says beside its table, each part with its title."""
    parts: tuple[tuple[str, Sequence[str]], ...] = (
        ("signals of the charts", list(_signals(made))),
        ("changes", list(_changes(made))),
        ("not compared", list(_uncompared(made))),
        ("other outcomes", [text for row in made.structures if (text := _others(row))]),
        ("in clinical sets only", list(_added(made))),
        ("ratings", list(_ratings(made))),
    )
    for title, lines in parts:
        if lines:
            yield title, lines


def noted_text(made: QaReport) -> str:
    """Return the structures that are to be looked at, with their states."""
    noted = [row for row in made.structures if row.state in NOTED]
    return ", ".join(f"{row.template} {row.roi} ({row.state})" for row in noted) or "nothing"


def _signals(made: QaReport) -> Iterator[str]:
    yield from made.signals
    if made.signals:
        yield _CHANGED
    found = [(one.template, signal.at, signal.job) for one in made.charts for signal in one.signals]
    latest = {template: job for template, _, job in sorted(found)}
    for template, job in latest.items():
        yield (
            f"the cases of {template}: 'drawcli qa list --template {template}';"
            f" the latest with a signal: 'drawcli qa show {job}'"
        )


def _changes(made: QaReport) -> Iterator[str]:
    for one in made.changes:
        yield f"{one.at:%Y-%m-%d} {one.template}: {one.text}"
    yield from made.shifts


def _uncompared(made: QaReport) -> Iterator[str]:
    jobs: dict[tuple[str, str], list[str]] = {}
    for record in made.unpaired:
        jobs.setdefault((str(record.status), record.note), []).append(record.job)
    for (status, note), found in jobs.items():
        more = f" and {len(found) - _MOST_JOBS} more" if len(found) > _MOST_JOBS else ""
        why = f" ({note})" if note else ""
        ids = " ".join(found[:_MOST_JOBS])
        yield f"{counts_text({status: len(found)})}{why}: {ids}{more}"


def _others(row: StructureReport) -> str:
    kinds = ", ".join(f"{n} {outcome}" for outcome, n in row.others.items())
    return f"{row.template} {row.roi}: {kinds}" if kinds else ""


def _added(made: QaReport) -> Iterator[str]:
    if made.added:
        yield ", ".join(f"{name} ({n})" for name, n in made.added.items())
    if made.unlisted:
        yield f"{counted(made.unlisted, 'other structure')} (names are kept only if of TG-263)"


def _ratings(made: QaReport) -> Iterator[str]:
    """Yield a line for each template: its first row counts all structures."""
    for row in made.ratings:
        if row.structure:
            continue
        facts = [counted(row.n, "rating")]
        facts += [] if row.overall is None else [f"median {row.overall:g} of 10"]
        facts += [] if row.minutes is None else [f"{row.minutes:g} min of editing"]
        edits = [f"{n} {edit}" for edit, n in row.edits.items()]
        facts += [f"structures: {', '.join(edits)}"] if edits else []
        yield f"{row.template or 'no template'}: {'; '.join(facts)}"
