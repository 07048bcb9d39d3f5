"""Explanations as a page shows them: every condition with its outcome, and no name of a patient.

A rule may ask for one patient by name, though `rules check` warns of it. What such a condition asks
for is shown only to one who may see patients.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from drawcli.core.operators import DERIVED
from drawcli.core.rules import Explained, Series
from drawcli.core.shareable import tells_a_patient

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
    text = tree.text if identify else withheld(tree.text)
    return Node(text, tree.outcome, _SIGNS.get(tree.outcome, "?"), value, parts)


def stored_node(plain: Mapping[str, Any], *, identify: bool) -> Node:
    """Return an explanation as it was kept beside a job."""
    text, outcome = str(plain["condition"]), str(plain["outcome"])
    parts = tuple(stored_node(part, identify=identify) for part in plain.get("parts", ()))
    return Node(text if identify else withheld(text), outcome, _SIGNS.get(outcome, "?"), "", parts)


def withheld(text: str) -> str:
    """Return a condition without what it asks for, where that tells a patient.

    >>> withheld("PatientID equals X17"), withheld("BodyPartExamined equals PELVIS")
    ('PatientID: what is asked for tells a patient', 'BodyPartExamined equals PELVIS')
    """
    words = text.split()
    if not words or words[0] in _JOINTS or not _is_element(words[0]):
        return text
    return f"{words[0]}: what is asked for tells a patient" if tells_a_patient(words[0]) else text


def flat(node: Node) -> Iterator[Node]:
    """Yield a condition and all it is made of."""
    yield node
    for part in node.parts:
        yield from flat(part)


def _is_element(word: str) -> bool:
    from pydicom.datadict import keyword_dict

    return word in DERIVED or word.startswith("(") or word.rpartition(".")[2] in keyword_dict
