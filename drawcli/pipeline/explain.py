"""Explain the decisions of rules, compare rule books, and warn about doubtful rules."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from drawcli.adapters.datastore.rule_header import header_of
from drawcli.adapters.rulebook.rulebook import Rulebook
from drawcli.adapters.rulebook.tests_file import Case
from drawcli.core.jobs.job import Job
from drawcli.core.rtstruct.laterality import sides_of, unclear_pairs
from drawcli.core.rules.conditions import (
    Compare,
    Condition,
    Either,
    Every,
    Negation,
    Rule,
    RuleHeader,
)
from drawcli.core.rules.decision import Choice, Decision, decide
from drawcli.core.rules.impossible import doubts
from drawcli.core.rules.operators import holds_one_value
from drawcli.core.rules.privacy import patient_elements
from drawcli.core.rules.withheld import is_withheld
from drawcli.core.templates.template import Template
from drawcli.core.templates.tg263 import name_warnings
from drawcli.errors import DrawcliError
from drawcli.pipeline.context import Context
from drawcli.pipeline.series_at_paths import series_at
from drawcli.system.failures import raise_if_short


@dataclass(frozen=True, slots=True)
class Explanation:
    """The header of a series and the decision of the rules."""

    series: str  # a job's id, or a number; no patient data
    header: RuleHeader
    decision: Decision


def explain_job(job: Job, ctx: Context) -> Explanation:
    """Apply the current rules to a job's series."""
    header = header_of(ctx.crosswalk(job), ctx.now().date())
    decision = decide(header, ctx.rulebook.rules, on_many=ctx.settings.match.on_many)
    return Explanation(job.id, header, decision)


def explain_header(name: str, header: RuleHeader, book: Rulebook, *, on_many: str) -> Explanation:
    """Apply rules to the header of a series."""
    return Explanation(name, header, decide(header, book.rules, on_many=on_many))


@dataclass(frozen=True, slots=True)
class Trial:
    """The outcome of a test of the rules file."""

    name: str
    wish: str
    found: str
    passed: bool


def try_cases(book: Rulebook, *, on_many: str, today: date) -> Iterator[Trial]:
    """Yield the outcome of each test of the rules file; see `try_case`."""
    for case in book.cases:
        yield from try_case(case, book, on_many=on_many, today=today)


def try_case(case: Case, book: Rulebook, *, on_many: str, today: date) -> Iterator[Trial]:
    """Yield the outcome for each series of a test.

    Raises
    ------
    UsageError
        If its file contains no image.
    """
    for header in _headers(case, today):
        decision = decide(header, book.rules, on_many=on_many)
        chosen = ", ".join(decision.templates)
        found = chosen if decision.choice is Choice.MATCHED else decision.sentence
        yield Trial(case.name, case.expectation, found, case.agrees(decision))


def _headers(case: Case, today: date) -> Iterator[RuleHeader]:
    if case.file is not None:
        yield from (header for _, header in series_at([case.file], today).headers)
        return
    yield RuleHeader(case.header or {}, today=today)


@dataclass(frozen=True, slots=True)
class Change:
    """A series, or a test, that two rule books decide differently."""

    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class LedgerSeries:
    """The headers of the series in the ledger, one for each series."""

    headers: tuple[tuple[str, RuleHeader], ...]  # job, header
    gone: int  # series whose images are missing


def read_ledger_series(ctx: Context) -> LedgerSeries:
    """Read the header of every series in the ledger and its archive once."""
    today, gone, found = ctx.now().date(), 0, []
    jobs = sorted(ctx.ledger.all_jobs(), key=lambda job: -job.number)
    first = {job.series_key: job for job in jobs}
    for job in sorted(first.values(), key=lambda job: job.id):
        try:
            found.append((job.id, header_of(ctx.crosswalk(job), today)))
        except (OSError, DrawcliError) as err:
            raise_if_short(err)
            gone += 1
    return LedgerSeries(tuple(found), gone)


def count_equal(elements: Mapping[str, tuple[str, ...]], known: LedgerSeries) -> dict[str, int]:
    """Count the series of the ledger that have the same values, for each element."""
    every = [header.values for _, header in known.headers]
    return {path: sum(held.get(path) == text for held in every) for path, text in elements.items()}


def compare_rulebooks(
    old: Rulebook, new: Rulebook, known: LedgerSeries, *, on_many: str, today: date
) -> list[Change]:
    """Return the series of the ledger and the tests that two rule books decide differently."""
    headers = [(f"job {job}", header) for job, header in known.headers]
    for case in (case for case in new.cases if case.header is not None):
        headers += [(f"test {case.name}", header) for header in _headers(case, today)]
    found = []
    for what, header in headers:
        before, after = (
            _outcome(decide(header, book.rules, on_many=on_many)) for book in (old, new)
        )
        found += [Change(what, before, after)] if before != after else []
    return found


def _outcome(decision: Decision) -> str:
    chosen = ", ".join(sorted(decision.templates))
    return chosen if decision.choice is Choice.MATCHED else str(decision.choice)


def lint_templates(book: Rulebook) -> Iterator[str]:
    """Yield warnings about the structure names in templates."""
    for name, template in book.templates.items():
        yield from (f"template {name}: {words}" for words in name_warnings(template.shown))
        yield from (f"template {name}: {words}" for words in _label_warnings(template))
        for one, other in unclear_pairs([*template.drawn, *template.derived]):
            yield (
                f"template {name}: {one} and {other} look like a left and a right structure, but "
                "drawcli cannot tell the sides apart; only names with L and R are checked"
            )


def _label_warnings(template: Template) -> Iterator[str]:
    """Yield warnings about labels that name another structure, or another side."""
    known = {name.casefold(): name for name in (*template.drawn, *template.derived)}
    labels = {name: look.label for name, look in template.structures.items() if look.label}
    labels |= {name: rule.label for name, rule in template.derived.items() if rule.label}
    for name, label in labels.items():
        sides, shown = map(_sides_by_word, (name, label))
        if known.get(label.casefold(), name) != name:
            yield f"{name} is delivered as {label}, which is the name of another structure"
        elif sides and shown and sides.isdisjoint(shown):
            yield f"{name} is delivered as {label}, which is on the other side"


def _sides_by_word(name: str) -> set[str]:
    """Return the sides that whole words of a name mean."""
    return {side for side, words in sides_of(name) if "*" in words}


def lint_rules(book: Rulebook) -> Iterator[str]:
    """Yield warnings about what is valid in a rules file, but probably a mistake."""
    used = {template for rule in book.rules for template in rule.templates}
    for template in sorted(book.templates.keys() - used):
        yield f"no rule uses template {template}"
    for rule in book.rules:
        if not rule.enabled:
            yield f"rule {rule.name} is disabled"
        for path in patient_elements(rule):
            yield f"rule {rule.name} names one patient or study by {path}; rules are kept in git"
        for doubt in doubts(rule.when):
            yield f"rule {rule.name}: {doubt}"
        for path, one, other in _contradictions(rule.when):
            yield f"rule {rule.name} can never match: {path} cannot be both {one} and {other}"
    yield from _overlaps([rule for rule in book.rules if rule.enabled])


def _overlaps(rules: Sequence[Rule]) -> Iterator[str]:
    """Yield warnings about rules with the same condition, each compared with the first of them."""
    first: dict[Condition, Rule] = {}
    for other in sorted(rules, key=lambda rule: (not rule.exclude, -rule.priority)):
        rule = first.setdefault(other.when, other)
        if rule is other:
            continue
        if rule.templates == other.templates and rule.exclude == other.exclude:
            yield f"rules {rule.name} and {other.name} are the same"
        elif rule.exclude or rule.priority != other.priority:
            yield f"rule {other.name} never decides: a rule with the same condition precedes it"
        else:
            yield f"rules {rule.name} and {other.name} always match together: their series are held"


def _contradictions(when: Condition) -> Iterator[tuple[str, object, object]]:
    """Yield single-valued elements that must equal two different values."""
    if isinstance(when, Either):
        return
    if isinstance(when, Every):
        compared = (part for part in when.parts if isinstance(part, Compare))
        equal = (part for part in compared if part.operator == "equals")
        first: dict[str, Compare] = {}
        for other in (part for part in equal if holds_one_value(part.keyword)):
            one = first.setdefault(other.keyword, other)
            if str(one.wanted).casefold() != str(other.wanted).casefold():
                hidden = is_withheld(one.keyword)
                yield (
                    (one.keyword, "one value", "another")
                    if hidden
                    else (one.keyword, one.wanted, other.wanted)
                )
        for part in when.parts:
            if not isinstance(part, Compare | Negation):
                yield from _contradictions(part)
