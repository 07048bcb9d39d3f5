"""Records of quality assurance as rows: for the export, and in a few words."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, Final

from drawcli.core.qa.outcomes import ContourOutcome, StructureComparison
from drawcli.core.qa.records import PairRecord, PairStatus, drawn_structures

# Columns of the CSV: those of the record, repeated for each of its structures.
RECORD_COLUMNS: Final = (
    *(item.name for item in fields(PairRecord) if item.name != "structures"),
    "version",
)
_RENAMED: Final = {"name": "structure", "note": "structure_note"}
_SPREAD: Final = {
    "shift_mm": ("shift_left_mm", "shift_posterior_mm", "shift_superior_mm"),
    "ends_moved": ("slices_added_below", "slices_added_above"),
}
FIGURE_COLUMNS: Final = tuple(
    column
    for item in fields(StructureComparison)
    for column in _SPREAD.get(item.name, (item.name,))
)
STRUCTURE_COLUMNS: Final = tuple(_RENAMED.get(column, column) for column in FIGURE_COLUMNS)
_UNCHANGED: Final = frozenset({ContourOutcome.UNTOUCHED, ContourOutcome.RENAMED})


def export_rows(record: PairRecord) -> Iterator[dict[str, Any]]:
    """Yield a row for each structure of a record; one without figures if it has none."""
    plain = record.as_plain()
    plain["passed_over"] = " ".join(plain["passed_over"])
    head = {name: plain[name] for name in RECORD_COLUMNS}
    for structure in plain["structures"] or [{}]:
        row = {_RENAMED.get(name, name): value for name, value in spread(structure)}
        yield head | dict.fromkeys(STRUCTURE_COLUMNS) | row


def spread(structure: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the values of a compared structure; those of a list with a name for each."""
    for name, value in structure.items():
        columns = _SPREAD.get(name)
        if columns is None:
            yield name, value
        else:
            yield from zip(columns, value or (None,) * len(columns), strict=True)


def outcome_counts(record: PairRecord) -> Counter[str]:
    """Return the number of structures of each outcome."""
    return Counter(str(structure.outcome) for structure in record.structures)


def in_words(record: PairRecord) -> str:
    """Return what a record says in a few words: what was changed, or why nothing is known."""
    if record.status is not PairStatus.COMPARED:
        return record.note
    drawn = drawn_structures(record)
    changed = [one for one in drawn if one.outcome not in _UNCHANGED]
    counts = outcome_counts(record)
    parts = [f"{len(changed)} of {len(drawn)} changed"]
    others = ("removed", "added", "emptied", "filled", "split", "ambiguous")
    parts += [f"{counts[name]} {name}" for name in others if counts[name]]
    dice = [(one.dice, one.name) for one in changed if one.dice is not None]
    if dice:
        least, name = min(dice)
        parts.append(f"least Dice {least:.3f} ({name})")
    return ", ".join(parts)
