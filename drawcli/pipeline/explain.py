"""Why the rules say of a series what they say; and what looks wrong in the rules themselves."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from itertools import combinations
from pathlib import Path
from typing import Any

from drawcli.adapters.datastore.rule_header import header_of
from drawcli.adapters.datastore.walk import read_datastore
from drawcli.adapters.rulebook.rulebook import Rulebook
from drawcli.adapters.rulebook.tests_file import Case
from drawcli.adapters.state.workdir import EXPLANATION, WorkDir
from drawcli.core.jobs.job import Job
from drawcli.core.rtstruct.laterality import unclear_pairs
from drawcli.core.rules.conditions import (
    Compare,
    Condition,
    Either,
    Every,
    Explained,
    Negation,
    Rule,
    RuleHeader,
)
from drawcli.core.rules.decision import Choice, Decision, decide
from drawcli.core.rules.operators import holds_one_value
from drawcli.core.rules.privacy import patient_elements
from drawcli.core.rules.withheld import hide_value, is_withheld, mask_condition
from drawcli.core.series.crosswalk import Crosswalk
from drawcli.core.series.members import count_non_slices, counts_text, main_modality, scan_slices
from drawcli.core.templates.tg263 import name_warnings
from drawcli.errors import DrawcliError, UsageError
from drawcli.pipeline.context import Context


@dataclass(frozen=True, slots=True)
class Explanation:
    """One series, what rules could ask of it, and what they said."""

    series: str  # a job's id, or a number; nothing of the patient
    header: RuleHeader
    decision: Decision


def of_job(job: Job, ctx: Context) -> Explanation:
    """Explain what the rules of now say of a job's series."""
    header = header_of(ctx.crosswalk(job), ctx.now().date())
    decision = decide(header, ctx.rulebook.rules, on_many=ctx.settings.match.on_many)
    return Explanation(job.id, header, decision)


def of_path(path: Path, book: Rulebook, *, on_many: str, today: date) -> Iterator[Explanation]:
    """Yield what the rules say of each series in a folder, or of the series of a file.

    Raises
    ------
    UsageError
        Where no image is there.
    """
    for name, header in series_at(path, today):
        yield Explanation(name, header, decide(header, book.rules, on_many=on_many))


def series_at(path: Path, today: date) -> Iterator[tuple[str, RuleHeader]]:
    """Yield the name and the header of each series in a folder, or of the series of a file."""
    walk = read_datastore([path if path.is_dir() else path.parent])
    found = 0
    for files in walk.by_series().values():
        slices = scan_slices(files) or files
        aside = counts_text(count_non_slices(files))
        if path.is_dir() or any(one.path == str(path) for one in files):
            found += 1
            name = f"series {found} ({main_modality(slices)} of {len(slices)} files"
            name += f"; set aside: {aside})" if aside else ")"
            yield name, header_of(Crosswalk.of(slices), today)
    if not found:
        raise UsageError(f"{path} holds no CT, MR or PT series")


def kept_of(job: Job, work: WorkDir, book: Callable[[], Rulebook] | None) -> dict[str, Any]:
    """Return the explanation that was kept beside a job, as it may be shown; {} without one.

    What its conditions ask of a patient is not kept: for one who may see patients it is read again
    from the rules of now, which `book` reads. Of a rule that is another by now it stays withheld.
    """
    kept = work.read_json(job.id, EXPLANATION)
    try:
        rules = {str(name): _masked(tree) for name, tree in dict(kept["rules"]).items()}
        shown = {**kept, "rules": rules}
    except (TypeError, KeyError, ValueError, AttributeError):
        return {}
    if book is not None:
        with suppress(DrawcliError):
            now = {rule.name: rule.when.explain(RuleHeader()) for rule in book().rules}
            shown["rules"] |= {n: _in_full(tree, now[n]) for n, tree in rules.items() if n in now}
    return shown


def _masked(kept: dict[str, Any]) -> dict[str, Any]:
    """Return a tree as it was kept, also where an earlier drawcli kept what it asks for."""
    tree = {"condition": mask_condition(str(kept["condition"])), "outcome": str(kept["outcome"])}
    parts = [_masked(part) for part in kept.get("parts", ())]
    return tree | ({"parts": parts} if parts else {})


def _in_full(kept: dict[str, Any], now: Explained) -> dict[str, Any]:
    """Return a tree as it was kept, with what the same rule asks for now, if it is the same."""
    if kept["condition"] not in (now.text, hide_value(now.text)):
        return kept
    parts = kept.get("parts", [])
    if len(parts) != len(now.parts):
        return kept
    tree = {**kept, "condition": now.in_full}
    inner = [_in_full(part, one) for part, one in zip(parts, now.parts, strict=True)]
    return tree | ({"parts": inner} if inner else {})


@dataclass(frozen=True, slots=True)
class Trial:
    """One test of the rules file, and what came of it."""

    name: str
    wish: str
    found: str
    passed: bool


def trials(book: Rulebook, *, on_many: str, today: date) -> Iterator[Trial]:
    """Yield what the rules say in each test of their file; see `tried`."""
    for case in book.cases:
        yield from tried(case, book, on_many=on_many, today=today)


def tried(case: Case, book: Rulebook, *, on_many: str, today: date) -> Iterator[Trial]:
    """Yield what the rules say of each series of a test.

    Raises
    ------
    UsageError
        Where its file holds no image.
    """
    for header in _headers(case, today):
        decision = decide(header, book.rules, on_many=on_many)
        chosen = ", ".join(decision.templates)
        found = chosen if decision.choice is Choice.MATCHED else decision.sentence
        yield Trial(case.name, case.expectation, found, case.agrees(decision))


def _headers(case: Case, today: date) -> Iterator[RuleHeader]:
    if case.file is not None:
        yield from (header for _, header in series_at(case.file, today))
        return
    yield RuleHeader(case.header or {}, today=today)


@dataclass(frozen=True, slots=True)
class Change:
    """A series, or a test, of which two rule books say different things."""

    what: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class LedgerSeries:
    """The series of the ledger as rules see them: by the newest job of each."""

    headers: tuple[tuple[str, RuleHeader], ...]  # job, header
    gone: int  # series whose images are not there any more


def known_series(ctx: Context) -> LedgerSeries:
    """Read the series of every job, of the ledger and of its archive, once."""
    today, gone, found = ctx.now().date(), 0, []
    jobs = sorted(ctx.ledger.all_jobs(), key=lambda job: -job.number)
    first = {job.series_key: job for job in jobs}
    for job in sorted(first.values(), key=lambda job: job.id):
        try:
            found.append((job.id, header_of(ctx.crosswalk(job), today)))
        except (OSError, DrawcliError):
            gone += 1
    return LedgerSeries(tuple(found), gone)


def shares(elements: Mapping[str, tuple[str, ...]], known: LedgerSeries) -> dict[str, int]:
    """Return of how many series of the ledger each of some elements has the same values."""
    every = [one.values for _, one in known.headers]
    return {path: sum(one.get(path) == text for one in every) for path, text in elements.items()}


def changes(
    old: Rulebook, new: Rulebook, known: LedgerSeries, *, on_many: str, today: date
) -> list[Change]:
    """Return of which series of the ledger, and of which tests, two rule books say other things."""
    asked = [(f"job {job}", header) for job, header in known.headers]
    for case in (one for one in new.cases if one.header is not None):
        asked += [(f"test {case.name}", header) for header in _headers(case, today)]
    found = []
    for what, header in asked:
        before, after = (_said(decide(header, one.rules, on_many=on_many)) for one in (old, new))
        found += [Change(what, before, after)] if before != after else []
    return found


def _said(decision: Decision) -> str:
    chosen = ", ".join(sorted(decision.templates))
    return chosen if decision.choice is Choice.MATCHED else str(decision.choice)


def template_lints(book: Rulebook) -> Iterator[str]:
    """Yield what is unusual in the names that the templates give: one sentence each."""
    for name, template in book.templates.items():
        yield from (f"template {name}: {words}" for words in name_warnings(template.shown))
        for one, other in unclear_pairs([*template.drawn, *template.derived]):
            yield (
                f"template {name}: {one} and {other} look like a left and a right structure, and "
                "drawcli cannot see which is which; names with L and R are checked"
            )


def lints(book: Rulebook) -> Iterator[str]:
    """Yield what is allowed in a rules file and hardly meant: one sentence each."""
    used = {template for rule in book.rules for template in rule.templates}
    for template in sorted(book.templates.keys() - used):
        yield f"no rule asks for template {template}"
    for rule in book.rules:
        if not rule.enabled:
            yield f"rule {rule.name} is switched off"
        for path in patient_elements(rule):
            yield f"rule {rule.name} names one patient or study by {path}; rules are kept in git"
        for path, one, other in _contradictions(rule.when):
            yield f"rule {rule.name} can never fire: {path} cannot be both {one} and {other}"
    yield from _overlaps([rule for rule in book.rules if rule.enabled])


def _overlaps(rules: Sequence[Rule]) -> Iterator[str]:
    """Yield pairs of rules of one condition: one of them is never heard, or both always are."""
    for rule, other in combinations(rules, 2):
        if rule.when != other.when:
            continue
        if rule.templates == other.templates and rule.exclude == other.exclude:
            yield f"rules {rule.name} and {other.name} say the same"
        elif rule.exclude or other.exclude or rule.priority != other.priority:
            below = other if rule.exclude or rule.priority > other.priority else rule
            yield f"rule {below.name} never decides: the other of the same condition comes first"
        else:
            yield f"rules {rule.name} and {other.name} always fit together: their series are held"


def _contradictions(when: Condition) -> Iterator[tuple[str, object, object]]:
    """Yield elements of one value of which two different ones are asked at once."""
    if isinstance(when, Either):
        return
    if isinstance(when, Every):
        compared = (part for part in when.parts if isinstance(part, Compare))
        equal = (part for part in compared if part.operator == "equals")
        asked = [part for part in equal if holds_one_value(part.keyword)]
        for one, other in combinations(asked, 2):
            same = str(one.wanted).casefold() == str(other.wanted).casefold()
            if one.keyword == other.keyword and not same:
                hidden = is_withheld(one.keyword)
                yield (
                    (one.keyword, "one value", "another")
                    if hidden
                    else (one.keyword, one.wanted, other.wanted)
                )
        for part in when.parts:
            if not isinstance(part, Compare | Negation):
                yield from _contradictions(part)
