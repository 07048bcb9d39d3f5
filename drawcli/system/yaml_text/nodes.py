"""Where the nodes of a YAML text begin and end, in characters, with their comments."""

import re
from dataclasses import dataclass
from typing import Any, NamedTuple

import yaml

from drawcli.errors import ConfigError
from drawcli.system.yaml_read import Document

_DASH = re.compile(r"[ \t]*-(?:\s|$)")


def text_of(document: Document) -> str:
    """Return the text of a document without its byte order mark."""
    return document.source.decode("utf-8-sig")


def compose(text: str) -> yaml.Node:
    """Return the root node of a text that has been parsed."""
    node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    if node is None:
        raise ConfigError("the file is empty", hint="Run 'drawcli init' in another folder.")
    return node


def data_of(node: yaml.Node) -> Any:
    """Return the value of a node."""
    return yaml.constructor.SafeConstructor().construct_document(node)


class Slot(NamedTuple):
    """A value and where it is: behind a key or a dash."""

    node: yaml.Node
    column: int = 0  # of the key or the dash
    after: int = 0  # the index behind the colon of its key
    key: str = ""
    is_value: bool = False  # it has a key


def same_data(one: Any, other: Any) -> bool:
    """Return whether two values are equal and of the same types; the order of keys is free.

    >>> same_data({"a": 1, "b": [True]}, {"b": [True], "a": 1}), same_data(1, True)
    (True, False)
    """
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same_data(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same_data, one, other))
    return bool(one == other) or repr(one) == repr(other)  # nan


@dataclass(frozen=True, slots=True)
class Lines:
    """The lines of a text around its nodes."""

    text: str

    @property
    def newline(self) -> str:
        """The line end of the file."""
        return "\r\n" if "\r\n" in self.text else "\n"

    def begin(self, at: int) -> int:
        """Return where the line of a character begins."""
        return self.text.rfind("\n", 0, at) + 1

    def end(self, at: int) -> int:
        """Return where the line after the one of a character begins."""
        found = self.text.find("\n", at)
        return len(self.text) if found < 0 else found + 1

    def indent(self, part: str) -> int:
        """Return the indentation of the first line."""
        return len(part) - len(part.lstrip(" "))

    def inserted(self, new: list[str], column: int, at: int) -> str:
        """Return new lines as text to insert where a line begins, or at the end of the text."""
        before = "" if at == 0 or self.text[at - 1] == "\n" else self.newline
        return before + "".join(f"{' ' * column}{line}{self.newline}" for line in new)

    def is_block(self, node: yaml.CollectionNode) -> bool:
        """Return whether a collection has entries, each on lines of its own."""
        if node.flow_style or not node.value:
            return False
        start = node.start_mark.index
        before = self.text[self.begin(start) : start]
        return isinstance(node, yaml.MappingNode) or not before.strip()

    def slot(self, node: yaml.Node, column: int, key: yaml.Node | None = None) -> Slot:
        """Return the slot of an item, or of the value of a key, in a collection at a column."""
        if key is None:
            return Slot(node, column)
        after = self.text.index(":", key.end_mark.index) + 1
        return Slot(node, column, after, str(key.value), is_value=True)

    def inner_slot(self, node: yaml.Node, part: Any) -> Slot:
        """Return the slot under a key or an index; raise ConfigError if there is none."""
        column = node.start_mark.column
        if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            return self.slot(node.value[part], column)
        for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
            if data_of(key) == part:
                return self.slot(value, column, key)
        raise ConfigError("there is no such entry any more", hint="Reload the page.")

    def last_index(self, node: yaml.Node) -> int:
        """Return the index of the last character of a value, before any comments."""
        while isinstance(node, yaml.CollectionNode) and node.value and not node.flow_style:
            last = node.value[-1]
            node = last[1] if isinstance(last, tuple) else last
        start, end = node.start_mark.index, node.end_mark.index
        return start + len(self.text[start:end].rstrip()) - 1

    def pair_span(self, key: yaml.Node, value: yaml.Node, column: int) -> tuple[int, int]:
        """Return where the lines of a key with its value begin and end."""
        return self.begin(key.start_mark.index), self._with_comments(
            max(self.last_index(value), key.end_mark.index), column
        )

    def item_spans(self, node: yaml.SequenceNode) -> list[tuple[int, int]]:
        """Return where the lines of each item of a list begin and end."""
        column = node.start_mark.column
        ends = [self._with_comments(self.last_index(one), column) for one in node.value]
        froms = [node.start_mark.index, *ends]
        marks = [one.start_mark.index for one in node.value]
        starts = [self._dash(after, at) for after, at in zip(froms, marks, strict=False)]
        return list(zip(starts, ends, strict=True))

    def entry_spans(self, node: yaml.CollectionNode) -> list[tuple[int, int]]:
        """Return where the entries of a section begin, with the comment directly above, and end."""
        column = node.start_mark.column
        if isinstance(node, yaml.SequenceNode):
            spans = self.item_spans(node)
        else:
            spans = [self.pair_span(key, value, column) for key, value in node.value]
        above = [0, *(end for _, end in spans)]
        return [
            (max(self._above(start, column), least), end)
            for (start, end), least in zip(spans, above, strict=False)
        ]

    def _dash(self, after: int, item: int) -> int:
        """Return where the line with the dash of an item begins."""
        at = self.begin(item)
        while at > after and not _DASH.match(self.text, at):
            at = self.begin(at - 1)
        return self.begin(at)

    def _above(self, at: int, column: int) -> int:
        """Return where the comment directly above a line, in its column, begins."""
        while at:
            above = self.begin(at - 1)
            line = self.text[above:at]
            if not line.lstrip().startswith("#") or self.indent(line) != column:
                break
            at = above
        return at

    def _with_comments(self, last: int, column: int) -> int:
        """Return where a value ends, with the comments below it that are indented further."""
        end = at = self.end(last)
        while at < len(self.text):
            after = self.end(at)
            line = self.text[at:after]
            if line.strip() and not line.lstrip().startswith("#"):
                break
            if line.strip() and self.indent(line) <= column:
                break
            at = after
            end = after if line.strip() else end
        return end
