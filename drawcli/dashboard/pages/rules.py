"""Rules and templates, a trial of the rules on a series, and the series that no rule sends."""

import re
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from drawcli.adapters.rulebook.rulebook import Rulebook
from drawcli.authoring.rule_edits import name_of, rules_in
from drawcli.core.jobs.job import Job, State
from drawcli.core.rules.conditions import Rule, RuleHeader, Truth
from drawcli.dashboard.access.rights import Right, visitor_of
from drawcli.dashboard.explanations import ExplanationNode, node_of
from drawcli.dashboard.snapshot import SiteReader
from drawcli.dashboard.view import page, parts_of
from drawcli.errors import ConfigError, DrawcliError
from drawcli.pipeline.explain import Trial, lint_rules, lint_templates, try_case
from drawcli.system.yaml_read import read_yaml

_MOST_LISTED: Final = 200
_MOST_NEAR: Final = 5
_SAVED: Final = re.compile(r"yes|[0-9a-f]{7,64}")


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule of the file."""

    name: str
    says: str
    priority: int
    enabled: bool
    when: ExplanationNode


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleTrial:
    """The decision of the present rules for a series."""

    job: Job
    choice: str
    sentence: str
    rules: list[tuple[str, ExplanationNode]]  # matching rules first
    near: list[str]  # rules that nearly match, and how far away they are


def rules(request: Request) -> Response:
    """Show rules and templates, warnings about them, and the results of their tests."""
    site = parts_of(request).site
    identify = visitor_of(request).may(Right.PATIENTS)
    book, broken = _book(site)
    asked = request.query_params.get("job", "").strip()
    return page(
        request,
        "rules.html",
        broken=broken,
        book=book,
        shown=[_shown(rule, identify=identify) for rule in book.rules] if book else [],
        lints=[*lint_rules(book), *lint_templates(book)] if book else [],
        trials=_trials(book, site) if book else [],
        asked=asked,
        tried=_tried(asked, site, identify=identify) if asked and book else None,
        jobs=site.snapshot().jobs[-_MOST_LISTED:],
        settings=site.ctx.settings,
        **_editing(request),
    )


def unmatched(request: Request) -> Response:
    """List the series that the rules do not send, with the reason."""
    site = parts_of(request).site
    states = (State.UNMATCHED, State.AMBIGUOUS, State.EXCLUDED)
    among = [job for job in reversed(site.snapshot().jobs) if job.state in states]
    groups = {state: [job for job in among if job.state is state] for state in states}
    looked = bool(site.snapshot().jobs) or site.health.last is not None
    return page(request, "unmatched.html", groups=groups, most=_MOST_LISTED, looked=looked)


def _editing(request: Request) -> dict[str, Any]:
    """Return what the page needs beside for users who may edit."""
    saved = request.query_params.get("saved", "")
    facts: dict[str, Any] = {"saved": saved if _SAVED.fullmatch(saved) else "", "base": ""}
    facts["raw"] = []
    if visitor_of(request).may(Right.EDIT):
        with suppress(ConfigError):
            document = read_yaml(parts_of(request).site.ctx.settings.rules)
            facts["base"] = parts_of(request).seen.remember(document.source)
            facts["raw"] = [name_of(rule) for rule in rules_in(document)]
    return facts


def _book(site: SiteReader) -> tuple[Rulebook | None, list[str]]:
    """Return the rules, or the lines of the error."""
    try:
        return site.rulebook(), []
    except ConfigError as err:
        return None, [*str(err).splitlines(), *([err.hint] if err.hint else [])]


def _shown(rule: Rule, *, identify: bool) -> RuleRow:
    says = "never send" if rule.exclude else ", ".join(rule.templates)
    when = node_of(rule.when.explain(RuleHeader()), None, identify=identify)
    return RuleRow(rule.name, says, rule.priority, rule.enabled, when)


def _trials(book: Rulebook, site: SiteReader) -> list[Trial]:
    """Return the results of the tests in the rules file that need no images."""
    ask = partial(
        try_case, book=book, on_many=site.ctx.settings.match.on_many, today=site.now.date()
    )
    return [trial for case in book.cases if case.file is None for trial in ask(case)]


def _tried(name: str, site: SiteReader, *, identify: bool) -> RuleTrial | DrawcliError:
    try:
        job = site.job(name)
        found = site.explain(job)
    except DrawcliError as err:
        return err
    decision = found.decision
    nodes = [
        (rule, node_of(tree, found.header, identify=identify))
        for rule, tree in decision.explanation.items()
    ]
    near = [] if decision.fired else decision.near_misses[:_MOST_NEAR]
    return RuleTrial(
        job=job,
        choice=str(decision.choice),
        sentence=decision.sentence,
        rules=sorted(nodes, key=lambda node: node[1].outcome != Truth.TRUE),
        near=[miss.text for miss in near],
    )
