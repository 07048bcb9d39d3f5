"""The result of a commissioning as a document to sign. It names no patient."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Final
from urllib.parse import urlsplit

from drawcli.config.load import Settings
from drawcli.core.qa.criteria import (
    Judgement,
    StructureResult,
    statistic_of,
    values_of,
)
from drawcli.core.qa.outcomes import StructureComparison
from drawcli.operations.commissioning.report_pictures import worst_blocks
from drawcli.operations.commissioning.results import Commissioned
from drawcli.operations.qa.document import (
    Block,
    Cell,
    Heading,
    Paragraph,
    ReportDocument,
    Signatures,
    Table,
    Tone,
)
from drawcli.operations.qa.page import NO_FIGURE, figure
from drawcli.system.printable import counted

SHOWN: Final = (  # field, title, digits, whether larger is better
    ("dice", "Dice", 3, True),
    ("surface_dice", "surface Dice", 3, True),
    ("hd95_mm", "HD95, mm", 1, False),
    ("mean_distance_mm", "mean, mm", 2, False),
)
_DIGITS: Final = {"dice": 3, "surface_dice": 3, "apl_share": 3, "mean_distance_mm": 2, "n": 0}
_SHORT: Final = 12  # hex digits
_COLUMNS: Final = 5  # structures side by side
_WORDS: Final = {True: "pass", False: "fail", None: "not decided"}
_TONES: Final = {True: Tone.GOOD, False: Tone.BAD, None: Tone.WATCH}
_ROLES: Final = ("Medical physicist", "Radiation oncologist", "Head of department")
_LIMITS: Final = (
    "The result holds for scans like these: the same scanners, protocols, positioning and sites. "
    "It compares contours with those of the department's own past patients, which differ between "
    "people too; it does not measure dose, nor time saved, nor rare anatomy that is not among the "
    "cases. Each contour of a new patient still needs a review."
)


def document_of(done: Commissioned, settings: Settings, rules_commit: str = "") -> ReportDocument:
    """Return the document; pictures are read from the images of the folder."""
    document = ReportDocument(
        f"Commissioning of template {done.template_name}",
        tuple(_facts(done, settings, rules_commit)),
        foot=f"drawcli {done.version.drawcli}. This document names no patient, except text that a "
        "scanner may have burned into the pictures.",
    )
    return document.plus(
        Heading("Result"),
        Paragraph(sentence(done)),
        *(Paragraph(text, soft=True) for text in remarks(done)),
        _overview(done),
        Heading("Criteria"),
        *_criteria(done),
        Heading("Signatures"),
        Signatures(_ROLES),
        Heading("What this does not show"),
        Paragraph(_LIMITS),
        Heading("The worst three cases of each structure"),
        *worst_blocks(done),
        Heading("Dice in every case"),
        *_every_case(done),
    )


def _facts(done: Commissioned, settings: Settings, rules_commit: str) -> Iterator[tuple[str, str]]:
    yield "Site", settings.server.client_id or "not named (server.client_id)"
    yield "Server", urlsplit(settings.server.url).netloc
    models = (f"{number} {model.name}" for number, model in done.template.models.items())
    yield "Template and models", f"{done.template_name}: {', '.join(models)}"
    yield "Catalogue entries", done.version.catalogue_digest[:_SHORT] or "no catalogue"
    yield "Version of the contours", done.version.name
    yield (
        "drawcli",
        done.version.drawcli + (f", rules {rules_commit[:_SHORT]}" * bool(rules_commit)),
    )
    if done.days is not None:
        first, last = done.days
        yield "Done", f"{first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC"
    yield "Cases", f"{len(done.compared)} compared of {len(done.cases)}"
    digest = hashlib.sha256(done.acceptance.source).hexdigest()
    yield "Acceptance file", f"SHA-256 {digest[:_SHORT]}"
    yield "Commissioning", done.name


def sentence(done: Commissioned) -> str:
    """Return the result in one sentence."""
    judged = [one for one in done.results if one.judgements]
    passed = sum(one.passed is True for one in judged)
    words = {True: "PASS", False: "FAIL", None: "NOT DECIDED"}[done.passed]
    words = words if done.is_complete else "NOT FINISHED"
    if not done.compared:
        return f"{words}: no case is back."
    if not judged:
        return f"{words}: the acceptance file has no criterion for this template."
    cases = counted(len(done.compared), "case")
    return (
        f"{words}: {'' if done.is_complete else 'so far '}{passed} of "
        f"{counted(len(judged), 'structure')} with criteria "
        f"{'meets' if passed == 1 else 'meet'} them, in {cases}."
    )


def remarks(done: Commissioned) -> Iterator[str]:
    """Yield what a reader must know of the cases, without naming one."""
    reasons: dict[str, int] = defaultdict(int)
    for one in done.cases:
        if one.standing:
            reasons[one.standing] += 1
    for reason, count in reasons.items():
        yield f"{counted(count, 'case')} not in the result: {reason}."
    for text in done.past.sentences:
        yield f"Left out: {text}."
    if done.untouched:
        yield (
            f"{counted(done.untouched, 'clinical contour')} the same as the model's, point by "
            "point: those patients were probably contoured with it, and prove nothing."
        )


def _overview(done: Commissioned) -> Table:
    titles = ("structure", "result", "n", *(title for _, title, _, _ in SHOWN))
    with_others = any(result.others for result in done.results)
    rows: list[Sequence[str | Cell]] = []
    for result in done.results:
        others = ", ".join(f"{count} {kind}" for kind, count in result.others.items())
        rows.append(
            [
                result.name,
                verdict_cell(result),
                str(result.n),
                *(
                    spread(result, field, digits, larger=larger)
                    for field, _, digits, larger in SHOWN
                ),
                *([others or NO_FIGURE] if with_others else []),
            ]
        )
    if with_others:
        titles = (*titles, "not drawn in both")
    return Table(titles, rows, numbers_from=2)


def verdict_cell(result: StructureResult) -> str | Cell:
    """Return the verdict on a structure, with its colour."""
    if not result.judgements:
        return "no criteria"
    return Cell(_WORDS[result.passed], _TONES[result.passed])


def spread(result: StructureResult, field: str, digits: int, *, larger: bool) -> str:
    """Return median and quartiles of a metric as text."""
    values = values_of(field, result.structures)
    if not values:
        return NO_FIGURE
    median, q1, q3 = (
        figure(statistic_of(name, values, larger=larger), digits) for name in ("median", "q1", "q3")
    )
    return f"{median} ({q1}\N{EN DASH}{q3})"


def _criteria(done: Commissioned) -> Iterator[Block]:
    rows: list[Sequence[str | Cell]] = [
        [
            result.name,
            f"{one.criterion.metric} {one.criterion.text}",
            Cell(one.words, _TONES[one.passed]),
            found(one),
        ]
        for result in done.results
        for one in result.judgements
    ]
    yield Table(("structure", "criterion", "outcome", "found"), rows, numbers_from=3)
    taus = ", ".join(f"{tau:g} mm" for tau in done.acceptance.taus_mm)
    own = " or ".join(f"{tau:g}" for tau in done.site_taus_mm)
    yield Paragraph(
        "A limit without another word is for the median. A case in which the model drew nothing, "
        "although the clinical set has contours ('filled'), counts as worse than any figure. In "
        "brackets: 25th and 75th percentile. HD95: the larger of both directed 95th percentiles; "
        "mean: the mean of both directed means. Tolerance of surface Dice in the first table: "
        f"{own} mm{f'; in criteria: {taus}' * bool(taus)}.",
        soft=True,
    )


def found(one: Judgement) -> str:
    """Return the figure that a criterion was judged by."""
    if one.value is None:
        return "worse than any figure" if one.passed is False else NO_FIGURE
    if one.criterion.percent is not None:
        return f"{one.value:.0f} % of the cases"
    return figure(one.value, _DIGITS.get(one.criterion.field, 1))


def _every_case(done: Commissioned) -> Iterator[Block]:
    """Yield a table of all cases, a few structures at a time."""
    names = [result.name for result in done.results]
    for first in range(0, len(names), _COLUMNS):
        shown = {name: done.by_case(name) for name in names[first : first + _COLUMNS]}
        rows = [
            [
                str(case.case.number),
                *(_dice(by_case.get(case.case.number)) for by_case in shown.values()),
            ]
            for case in done.compared
        ]
        yield Table(("case", *shown), rows)


def _dice(one: StructureComparison | None) -> str:
    if one is None:
        return NO_FIGURE
    return str(one.outcome) if one.dice is None else figure(one.dice, 3)
