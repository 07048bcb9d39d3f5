"""One pair: the delivered structure set and the clinical one, structure by structure."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from drawcli.adapters.state.qa_records import QaRatings
from drawcli.core.pictures.frame import Plane
from drawcli.core.qa.candidates import WHY
from drawcli.core.qa.outcomes import ContourOutcome, StructureComparison
from drawcli.core.qa.ratings import MEANINGS, Rating, current_ratings
from drawcli.core.qa.records import PairRecord
from drawcli.dashboard.pages.pictures import require_login
from drawcli.dashboard.preview import parse_plane
from drawcli.dashboard.qa.reader import QaReader
from drawcli.dashboard.qa.words import (
    NO_FIGURE,
    STATE_BADGES,
    STATUS_BADGES,
    STATUS_TEXTS,
    chart_address,
    worst,
)
from drawcli.dashboard.view import page, parts_of
from drawcli.errors import UsageError
from drawcli.system.printable import volume_text

_COLUMNS: Final = (  # figure, title, decimals
    ("dice", "Dice", 3),
    ("surface_dice", "surface Dice", 3),
    ("hd95_mm", "HD95, mm", 1),
    ("hd_mm", "HD, mm", 1),
    ("mean_distance_mm", "mean, mm", 2),
    ("apl_mm", "added path, mm", 0),
)
CHOSEN_BY: Final[Mapping[str, str]] = {
    "only": "no other set could be meant",
    "approved": "it is approved",
    "edited": "it differs from the delivered set",
    "reviewed": "it was reviewed",
    "predecessor": "it was made from the delivered set",
    "plan": "a plan refers to it",
    "newest": "it is the newest",
}
_TONES: Final = {
    ContourOutcome.UNTOUCHED: ("home", "="),
    ContourOutcome.RENAMED: ("home", "="),
    ContourOutcome.EDITED: ("moves", "✎"),
    ContourOutcome.REDRAWN: ("waits", "↻"),
    ContourOutcome.REMOVED: ("waits", "\N{MINUS SIGN}"),
    ContourOutcome.EMPTIED: ("waits", "\N{MINUS SIGN}"),
    ContourOutcome.ADDED: ("moves", "+"),
    ContourOutcome.FILLED: ("moves", "+"),
}
_OTHER_TONE: Final = ("left", "?")


@dataclass(frozen=True, slots=True)
class StructureLine:
    """A structure of a pair: a row of the page."""

    structure: StructureComparison
    other_name: str | None  # of the clinical one, if it is another
    tone: str
    glyph: str
    figures: tuple[str, ...]
    shift: str
    state: str  # of its charts; "" without
    address: str  # of its chart


def pair(request: Request) -> Response:
    """Show what is known of the clinical structure set of a job."""
    parts = parts_of(request)
    record = record_of(request.path_params["job"], parts.qa)
    return page(
        request,
        "qa_pair.html",
        record=record,
        badge=STATUS_BADGES[record.status],
        text=STATUS_TEXTS[record.status],
        facts=_facts(record),
        titles=[title for _, title, _ in _COLUMNS],
        sentence=_sentence(record),
        tolerance=_tolerance(record),
        lines=_lines(record, parts.qa),
        states=STATE_BADGES,
        rating=_rating(record.job, parts.qa),
        has_pictures=parts.differences.can_show(record),
        meanings=MEANINGS,
        volume=lambda value: _figure(None, 1) if value is None else volume_text(value),
    )


def pair_pictures(request: Request) -> Response:
    """Show where the contours of a pair differ most, each structure in three planes."""
    parts = parts_of(request)
    require_login(parts)
    record = record_of(request.path_params["job"], parts.qa)
    with parts.differences.use(record) as pictured:
        numbers, changed = list(pictured.contours), pictured.changed
    return page(
        request,
        "qa_pictures.html",
        record=record,
        structures=[(number, record.structures[number]) for number in numbers],
        planes=list(Plane),
        changed=changed,
        figure=lambda value: _figure(value, 3),
    )


def pair_picture(request: Request) -> Response:
    """Return a picture as PNG."""
    parts, path = parts_of(request), request.path_params
    require_login(parts)
    record = record_of(path["job"], parts.qa)
    data = parts.differences.picture(record, path["number"], parse_plane(path["plane"]))
    return Response(data, media_type="image/png")


def record_of(job: str, qa: QaReader) -> PairRecord:
    """Return what is known of the pair of a job; UsageError if nothing is."""
    record = qa.record(job)
    if record is None:
        raise UsageError(
            f"there is no record of quality assurance of job {job}",
            hint="A record is made by the first 'drawcli qa scan' after the delivery.",
        )
    return record


def _figure(value: float | None, digits: int) -> str:
    return NO_FIGURE if value is None else f"{round(value, digits) + 0.0:,.{digits}f}"


def _sentence(record: PairRecord) -> str:
    """Return the structures by outcome, and the one with the lowest Dice, in words."""
    counts = Counter(str(one.outcome) for one in record.structures)
    texts = [f"{count} {outcome}" for outcome, count in counts.most_common()]
    changed = [one for one in record.structures if one.dice is not None and one.dice < 1]
    if changed:
        lowest = min(changed, key=lambda one: one.dice or 0)
        texts.append(f"lowest Dice {_figure(lowest.dice, 3)} of {lowest.name}")
    return ", ".join(texts)


def _tolerance(record: PairRecord) -> str:
    """Return the tolerances of the structures, mm; "" without any."""
    found = sorted({one.tau_mm for one in record.structures if one.tau_mm is not None})
    return " or ".join(f"{one:g}" for one in found)


def _facts(record: PairRecord) -> list[tuple[str, str]]:
    chosen = CHOSEN_BY.get(record.chosen_by, record.chosen_by)
    facts = [
        ("template", record.template),
        ("delivered", f"{record.delivered_at:%Y-%m-%d %H:%M}"),
        ("compared" if record.structures else "as of", f"{record.at:%Y-%m-%d %H:%M}"),
        ("why this clinical set", chosen),
        ("its approval", record.approval.lower()),
        ("other sets of the series", _others(record)),
        (
            "clinical ROIs without a delivered one",
            str(record.unpaired) if record.structures else "",
        ),
        ("version", record.version),
        ("delivered by", f"drawcli {record.drawcli}" if record.drawcli else ""),
        ("rules", (record.rules_commit or "")[:12]),
        ("delivered file, SHA-256", record.a_sha256),
        ("clinical file, SHA-256", record.b_sha256),
    ]
    return [(name, value) for name, value in facts if value]


def _others(record: PairRecord) -> str:
    """Return how many further sets there are, and why they were not chosen."""
    why = {str(code): text for code, text in WHY.items()}
    counts = Counter(why.get(code, code) for code in record.passed_over)
    reasons = "; ".join(f"{count}: {text}" for text, count in counts.most_common())
    return reasons or (str(record.others) if record.others else "")


def _lines(record: PairRecord, qa: QaReader) -> list[StructureLine]:
    summary = qa.summary()
    states: dict[str, list[str]] = {}
    for chart in summary.charts if summary else ():
        if chart.template == record.template:
            states.setdefault(chart.roi, []).append(chart.state)
    return [
        _line(one, worst(states[one.name]) if one.name in states else "", record, qa)
        for one in record.structures
    ]


def _line(one: StructureComparison, state: str, record: PairRecord, qa: QaReader) -> StructureLine:
    tone, glyph = _TONES.get(one.outcome, _OTHER_TONE)
    return StructureLine(
        structure=one,
        other_name=one.name_b if one.name_b not in (None, one.name) else "",
        tone=tone,
        glyph=glyph,
        figures=tuple(_figure(getattr(one, name), digits) for name, _, digits in _COLUMNS),
        shift=", ".join(_figure(mm, 1) for mm in one.shift_mm) if one.shift_mm else NO_FIGURE,
        state=state,
        address=chart_address(record.template, one.name, qa.metrics[0]) if state else "",
    )


def _rating(job: str, qa: QaReader) -> Rating | None:
    ratings = QaRatings(qa.settings.state_dir).of_job(job)
    return current_ratings(ratings).get(job)
