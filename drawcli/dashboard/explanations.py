"""Explanations as a page shows them: every condition with its outcome, without patient data.

A rule may name a patient, though `rules check` warns of it. The value of such a condition is shown
only with --identify.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from drawcli.core.rules.conditions import Explained, RuleHeader
from drawcli.system.printable import plain

_SIGNS: Final = {"pass": "✓", "fail": "✗", "skipped": "·"}


@dataclass(frozen=True, slots=True)
class ExplanationNode:
    """One condition."""

    text: str
    outcome: str
    sign: str
    value: str  # of the series; "" without --identify
    parts: tuple["ExplanationNode", ...]


def node_of(tree: Explained, header: RuleHeader | None, *, identify: bool) -> ExplanationNode:
    """Return an explanation, with values of the series only if `identify`."""
    value = ""
    if identify and header is not None and tree.path:
        value = plain("\\".join(header.values.get(tree.path, ()))[:120])
    parts = tuple(node_of(part, header, identify=identify) for part in tree.parts)
    text = tree.in_full if identify else tree.text
    return ExplanationNode(text, tree.outcome, _SIGNS.get(tree.outcome, "?"), value, parts)


def stored_node(kept: Mapping[str, Any]) -> ExplanationNode:
    """Return a stored explanation, which holds no patient data."""
    parts = tuple(stored_node(part) for part in kept.get("parts", ()))
    outcome = str(kept["outcome"])
    return ExplanationNode(kept["condition"], outcome, _SIGNS.get(outcome, "?"), "", parts)
