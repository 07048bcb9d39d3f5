"""Creates a rule from a real series, and compares its effect on the series of the ledger."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from drawcli.adapters.rulebook.rulebook import site_rulebook
from drawcli.authoring.picks import Pick, parse_value
from drawcli.core.rules.conditions import RuleHeader
from drawcli.core.rules.decision import Choice, Decision, decide
from drawcli.core.rules.privacy import paths_in, shareable_values
from drawcli.core.rules.withheld import identifies_patient
from drawcli.errors import UsageError
from drawcli.pipeline.context import Context
from drawcli.pipeline.explain import Change, LedgerSeries, compare_rulebooks
from drawcli.pipeline.series_at_paths import series_at
from drawcli.system.yaml_edit import YamlEntry, add_entries, flow_style, replace_file
from drawcli.system.yaml_read import Document, read_yaml


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRequest:
    """The properties of a new rule."""

    name: str = ""  # "" derives it from the template
    template: str | None  # None: exclude such series
    picks: tuple[Pick, ...]
    priority: int = 0
    comment: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """A new rule with its test and the decisions that it changes; nothing is written yet."""

    name: str
    entries: tuple[YamlEntry, ...]
    without_test: str  # why it has no test; "" if it has one
    changes: list[Change]
    before: Document
    after: Document

    def write(self) -> None:
        """Add the rule and its test to rules.yaml; raise ConfigError if that changed meanwhile."""
        replace_file(self.before, self.after)


def read_source(path: Path, ctx: Context, number: int | None) -> RuleHeader:
    """Return the header of a series in a folder, or of the series of a file.

    Raises
    ------
    UsageError
        If there are several and `number` selects none; `explain` uses the same numbers.
    """
    found = series_at([path], ctx.now().date()).headers
    if number is None and len(found) == 1:
        return found[0][1]
    if number is None or not 0 < number <= len(found):
        names = "; ".join(name for name, _ in found)
        raise UsageError(
            f"more than one series: {names}",
            hint="Select one with --series NUMBER, or give the path of one of its images.",
        )
    return found[number - 1][1]


def draft_rule(wish: RuleRequest, header: RuleHeader, ctx: Context, known: LedgerSeries) -> Draft:
    """Return a new rule, tested on its own series and on those of the ledger.

    Raises
    ------
    UsageError
        If it would not decide for the series that it is made from.
    ConfigError
        If the files of the site have errors, or nothing can be added to them.
    """
    name = wish.name or free_name(wish.template, {rule.name for rule in ctx.rulebook.rules})
    if any(rule.name == name for rule in ctx.rulebook.rules):
        raise UsageError(f"there is already a rule '{name}'", hint="Give another --name.")
    before = read_yaml(ctx.settings.rules)
    rule = YamlEntry("rules", tuple(_rule_lines(replace(wish, name=name), known)))
    case, without = case_of_series(name, header, add_entries(before, rule), ctx)
    entries = (rule,) if case is None else (case, rule)
    after = add_entries(before, *entries)
    on_many, today = ctx.settings.match.on_many, ctx.now().date()
    book = site_rulebook(ctx.settings, rules=after)
    found = compare_rulebooks(ctx.rulebook, book, known, on_many=on_many, today=today)
    mine = f"test {case_name(name)}"
    return Draft(
        name=name,
        entries=entries,
        without_test=without,
        changes=[one for one in found if one.what != mine],
        before=before,
        after=after,
    )


def _check_decides(name: str, decision: Decision) -> None:
    """Raise UsageError if a new rule does not decide for the series that it is made from."""
    decided = decision.choice in (Choice.MATCHED, Choice.EXCLUDED)
    if decided and any(rule.name == name for rule in decision.fired):
        return
    hint = "Nothing was written. Give the rule a higher --priority, or see 'drawcli explain'."
    if decision.choice is Choice.AMBIGUOUS:
        hint = "Nothing was written. Pick an element that differs, or give a higher --priority."
    raise UsageError(f"the rule would not decide for this series: {decision.sentence}", hint=hint)


def _rule_lines(wish: RuleRequest, known: LedgerSeries) -> Iterator[str]:
    """Yield the lines of the rule, each condition with the number of series that meet it."""
    yield f"- name: {flow_style(wish.name)}"
    yield "  exclude: true" if wish.template is None else f"  template: {flow_style(wish.template)}"
    if wish.priority:
        yield f"  priority: {wish.priority}"
    if wish.comment:
        yield f"  comment: {flow_style(wish.comment)}"
    yield "  when:"
    yield "    all:"
    total = len(known.headers)
    for pick in wish.picks:
        share = sum(pick.fits(header) for _, header in known.headers)
        remark = f"  # {share} of {total} series known when this was written" if total else ""
        yield f"      - {pick.line}{remark}"


def case_of_series(
    name: str, header: RuleHeader, rules: Document, ctx: Context
) -> tuple[YamlEntry | None, str]:
    """Return a test of the decision for the series, or the reason why there is none.

    Raises
    ------
    UsageError
        If the new rule does not decide for it.
    """
    book, on_many = site_rulebook(ctx.settings, rules=rules), ctx.settings.match.on_many
    decision = decide(header, book.rules, on_many=on_many)
    _check_decides(name, decision)
    asked = {path for rule in book.rules if rule.enabled for path in paths_in(rule.when)}
    shared = {path: values for path, values in shareable_values(header).items() if path in asked}
    again = decide(RuleHeader(shared, today=header.today), book.rules, on_many=on_many)
    if (again.choice, again.templates) != (decision.choice, decision.templates):
        private = sorted(path for path in asked - shared.keys() if identifies_patient(path))
        what = ", ".join(private) or "elements that differ between slices"
        return None, f"without {what} the rules decide differently for the series"
    return YamlEntry("tests", tuple(_case_lines(name, shared, again)), before="rules"), ""


def _case_lines(name: str, shared: dict[str, tuple[str, ...]], decision: Decision) -> Iterator[str]:
    """Yield the lines of the test."""
    yield f"- name: {flow_style(case_name(name))}"
    yield "  header:"
    for path, texts in shared.items():
        values = [parse_value(text, path) for text in texts]
        yield f"    {flow_style(path)}: {flow_style(values[0] if len(values) == 1 else values)}"
    templates = decision.templates
    if decision.choice is Choice.EXCLUDED:
        yield "  verdict: excluded"
    elif len(templates) == 1:
        yield f"  template: {flow_style(templates[0])}"
    else:
        yield f"  templates: {flow_style(templates)}"


def case_name(name: str) -> str:
    """Return the name of the test that is written with a rule."""
    return f"{name}: the series it was written from"


def free_name(template: str | None, taken: set[str]) -> str:
    """Return a name for a rule, made from its template; None: it excludes series."""
    stem = "never" if template is None else template.replace("_", "-").lower()
    names = (stem if n == 1 else f"{stem}-{n}" for n in count(1))
    return next(name for name in names if name not in taken)
