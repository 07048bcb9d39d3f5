"""Values in rules and tests that may identify a patient or a hospital, by their place in the text.

Users who may not see patients see such a file with these values replaced: by position, so that
quotes, escapes and line breaks in a value hide nothing from the search.
"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import yaml

from drawcli.core.rules.conditions import OPTIONS
from drawcli.core.rules.operators import OPERATORS, PRESENCE, canonical_path
from drawcli.core.rules.withheld import INSTEAD, identifies_patient, is_withheld, mask_condition
from drawcli.errors import ConfigError
from drawcli.system.records import Location
from drawcli.system.yaml_read import Document
from drawcli.system.yaml_text.nodes import Lines, Slot, compose, text_of

_COMPARED: Final = ("rules", "tests")
_KNOWN: Final = frozenset(OPERATORS) | OPTIONS.keys()
_Span = tuple[int, int]


def has_hidden_values(document: Document, location: Location = ()) -> bool:
    """Return whether a file, or the part of it at a location, has such a value."""
    return bool(_spans(document, location))


def new_patient_elements(before: Document, after: Document) -> list[str]:
    """Return the elements of patients that a change compares with other values than before.

    The effect of such a condition on known series tells who they are.
    """
    old, new = (Counter(_on_patients(one.data)) for one in (before, after))
    return sorted({path for path, _ in new - old})


def _on_patients(data: Any) -> Iterator[tuple[str, str]]:
    """Yield the elements of patients that are compared, with what is wanted as JSON."""
    for item in data if isinstance(data, list) else ():
        yield from _on_patients(item)
    for key, value in data.items() if isinstance(data, dict) else ():
        path = canonical_path(str(key))
        if path is None:
            yield from _on_patients(value)
        elif is_withheld(path) and identifies_patient(path) and not _asks_presence(value):
            yield path, json.dumps(value, sort_keys=True, default=str)


def _asks_presence(wanted: Any) -> bool:
    return isinstance(wanted, dict) and bool(wanted) and wanted.keys() <= PRESENCE | OPTIONS.keys()


def shown_source(document: Document) -> bytes:
    """Return the bytes of a file with such values replaced."""
    text, parts, shown_to = text_of(document), list[str](), 0
    for start, end in sorted(_spans(document, ())):
        parts += (text[shown_to:start], INSTEAD)
        shown_to = end
    return "".join((*parts, text[shown_to:])).encode()


def _spans(document: Document, location: Location) -> set[_Span]:
    text = text_of(document)
    if document.data is None or not text.strip():
        return set()
    lines, slot = Lines(text), Slot(compose(text))
    for part in location:
        slot = lines.inner_slot(slot.node, part)
    if location:
        return set(_hidden(slot.node))
    if not isinstance(slot.node, yaml.MappingNode):
        raise ConfigError(f"{document.path}: no keys at the top")
    sections = (value for key, value in slot.node.value if key.value in _COMPARED)
    return {span for section in sections for span in _hidden(section)}


def _hidden(node: yaml.Node) -> Iterator[_Span]:
    """Yield the places of the hidden values below a node."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _hidden(item)
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        path = canonical_path(str(key.value)) if isinstance(key, yaml.ScalarNode) else None
        if path is None:
            yield from _hidden(value)
        else:
            yield from _values(value, path, whole=is_withheld(path))


def _values(node: yaml.Node, path: str, *, whole: bool) -> Iterator[_Span]:
    """Yield the places of the values of an element: all, or those that look like an identifier."""
    if isinstance(node, yaml.ScalarNode):
        condition = f"{path} equals {node.value}"
        if whole or mask_condition(condition) != condition:
            yield node.start_mark.index, node.end_mark.index
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _values(item, path, whole=whole)
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        name: Any = key.value if isinstance(key, yaml.ScalarNode) else ""
        if whole and name not in _KNOWN:  # perhaps a value in place of an operator
            yield key.start_mark.index, key.end_mark.index
        if name not in PRESENCE and name not in OPTIONS:
            yield from _values(value, path, whole=whole)
