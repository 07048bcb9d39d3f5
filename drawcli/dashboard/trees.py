"""Explanations as a page shows them: every condition with its outcome, and no name of a patient.

A rule may ask for one patient by name, though `rules check` warns of it. What such a condition asks
for is shown only to one who may see patients.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from drawcli.core.rules import Explained, Series, Truth
from drawcli.core.shareable import told

_SIGNS: Final = {"pass": "✓", "fail": "✗", "skipped": "·"}
_JOINTS: Final = frozenset({"all", "any", "not"})


@dataclass(frozen=True, slots=True)
class Node:
    """One condition."""

    text: str
    outcome: str
    sign: str
    value: str  # of the series; "" where it is not to be shown
    parts: tuple["Node", ...]


def node_of(tree: Explained, header: Series | None, *, identify: bool) -> Node:
    """Return an explanation; values of the series only where they may be seen."""
    value = ""
    if identify and header is not None and tree.path:
        value = "\\".join(header.get(tree.path, ()))[:120]
    parts = tuple(node_of(part, header, identify=identify) for part in tree.parts)
    text = tree.text if identify else told(tree)
    return Node(text, tree.outcome, _SIGNS.get(tree.outcome, "?"), value, parts)


def stored_node(plain: Mapping[str, Any], *, identify: bool) -> Node:
    """Return an explanation as it was kept beside a job."""
    text, outcome = str(plain["condition"]), str(plain["outcome"])
    parts = tuple(stored_node(part, identify=identify) for part in plain.get("parts", ()))
    return Node(text if identify else withheld(text), outcome, _SIGNS.get(outcome, "?"), "", parts)


def withheld(text: str) -> str:
    """Return a condition of which only the text was kept, without what it asks of a patient.

    >>> withheld("PatientID equals X17"), withheld("BodyPartExamined equals PELVIS")
    ('PatientID equals (not told)', 'BodyPartExamined equals PELVIS')
    """
    words = text.split()
    path = words[0] if words and words[0] not in _JOINTS else ""
    return told(Explained(text, Truth.UNKNOWN, path=path))
