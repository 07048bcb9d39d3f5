"""The stored explanation of a job: why rules matched it or not, without values of the patient."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from drawcli.adapters.state.workdir import EXPLANATION
from drawcli.errors import DrawcliError

if TYPE_CHECKING:
    from collections.abc import Callable

    from drawcli.adapters.rulebook.rulebook import Rulebook
    from drawcli.adapters.state.workdir import WorkDir
    from drawcli.core.jobs.job import Job
    from drawcli.core.rules.conditions import Explained
    from drawcli.core.rules.decision import Decision


def write_explanation(job: "Job", decision: "Decision", work: "WorkDir") -> None:
    """Store the explanation of a decision, without values of the series."""
    plain = {
        "choice": str(decision.choice),
        "sentence": decision.sentence,
        "rules": {name: tree.as_plain() for name, tree in decision.explanation.items()},
    }
    work.write_json(job.id, EXPLANATION, plain)


def read_explanation(
    job: "Job", work: "WorkDir", book: "Callable[[], Rulebook] | None"
) -> dict[str, Any]:
    """Return the stored explanation of a job; {} if there is none.

    Values that conditions compare with patient data are not stored. If `book` is given, they are
    taken from the current rules; for a rule that has changed they stay hidden.
    """
    kept = work.read_json(job.id, EXPLANATION)
    try:
        rules = {str(name): _masked(tree) for name, tree in dict(kept["rules"]).items()}
        shown = {**kept, "rules": rules}
    except (TypeError, KeyError, ValueError, AttributeError):
        return {}
    if book is not None:
        from drawcli.core.rules.conditions import RuleHeader

        with suppress(DrawcliError):
            now = {rule.name: rule.when.explain(RuleHeader()) for rule in book().rules}
            shown["rules"] |= {n: _in_full(tree, now[n]) for n, tree in rules.items() if n in now}
    return shown


def _masked(kept: dict[str, Any]) -> dict[str, Any]:
    """Return a stored tree with hidden values, also if an earlier version stored them."""
    from drawcli.core.rules.withheld import mask_condition

    tree = {"condition": mask_condition(str(kept["condition"])), "outcome": str(kept["outcome"])}
    parts = [_masked(part) for part in kept.get("parts", ())]
    return tree | ({"parts": parts} if parts else {})


def _in_full(kept: dict[str, Any], now: "Explained") -> dict[str, Any]:
    """Return a stored tree with the values of the current rule, if the rule is the same."""
    from drawcli.core.rules.withheld import hide_value

    if kept["condition"] not in (now.text, hide_value(now.text)):
        return kept
    parts = kept.get("parts", [])
    if len(parts) != len(now.parts):
        return kept
    tree = {**kept, "condition": now.in_full}
    inner = [_in_full(part, one) for part, one in zip(parts, now.parts, strict=True)]
    return tree | ({"parts": inner} if inner else {})
