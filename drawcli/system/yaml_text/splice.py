"""Changes of hand-written YAML files as text: only the lines of what changes are written anew.

Values are replaced, added and removed at the positions of their nodes, so that comments, order,
quotes and line ends of everything else stay. The new text is parsed and compared with the wanted
data before it is returned; where it differs (anchors, entries in brackets), nothing is changed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Any, Final

import yaml

from drawcli.errors import ConfigError
from drawcli.system.records import Location
from drawcli.system.yaml_edit import flow_style
from drawcli.system.yaml_read import Document, parse_yaml
from drawcli.system.yaml_text.blocks import block_lines, is_block, item_lines, pair_lines
from drawcli.system.yaml_text.nodes import Lines, Slot, compose, data_of, same_data, text_of

_BY_HAND: Final = "Nothing was changed. Change this entry with an editor."
_MARK: Final = "\ufeff".encode()
_STEP: Final = 2

Splice = tuple[int, int, str]  # from, to, text


def with_value(document: Document, location: Location, wanted: Any) -> Document:
    """Return a document with another value at a location; unchanged parts of it keep their text.

    Raises
    ------
    ConfigError
        Where there is no such place, or the text cannot be changed without changing the rest.
    """
    text = text_of(document)
    splices = list(_Splicer(text).changed(_place(text, location), wanted))
    return _checked(document, _spliced(text, splices), _put(document.data, location, wanted))


def without_entry(document: Document, location: Location) -> Document:
    """Return a document without an entry of a section, and without the comment directly above."""
    text = text_of(document)
    entries = _entries(document, text, location[:-1])
    number = _number(document, location)
    wanted = _dropped(document.data, location)
    if len(entries) == 1:  # an empty section is written in brackets
        slot = _place(text, location[:-1])
        first = slot.after
        empty = " []" if isinstance(slot.node, yaml.SequenceNode) else " {}"
        between = text[first : entries[0][0]]
        return _checked(document, text[:first] + empty + between + text[entries[0][1] :], wanted)
    start, end = entries[number]
    if number + 1 < len(entries):
        end += len(text[end:]) - len(text[end:].lstrip("\r\n"))
    else:
        start = len(text[:start].rstrip("\r\n")) + len(Lines(text).newline)
    return _checked(document, text[:start] + text[end:], wanted)


def with_entry_moved(document: Document, location: Location, to: int) -> Document:
    """Return a document with an entry of a section at another position, counted from 0.

    The comment directly above an entry moves with it; blank lines stay where they are.
    """
    text, newline = text_of(document), Lines(text_of(document)).newline
    spans = _entries(document, text, location[:-1])
    order = list(range(len(spans)))
    order.insert(max(0, min(to, len(order) - 1)), order.pop(_number(document, location)))
    parts = [
        text[start:end].removesuffix("\n").removesuffix("\r") + newline for start, end in spans
    ]
    gaps = [*(text[end:start] for (_, end), (start, _) in pairwise(spans)), ""]
    moved = "".join(parts[number] + gap for number, gap in zip(order, gaps, strict=True))
    end = text[spans[-1][1] :]
    if not text.endswith("\n") and not end:
        moved = moved.removesuffix(newline)
    section = _at(document.data, location[:-1])
    if isinstance(section, list):
        wanted: Any = [section[number] for number in order]
    else:
        pairs = list(section.items())
        wanted = dict(pairs[number] for number in order)
    changed = text[: spans[0][0]] + moved + end
    return _checked(document, changed, _put(document.data, location[:-1], wanted))


def entry_text(document: Document, location: Location) -> str:
    """Return the text of an entry of a section without indentation, with the comment above it."""
    text = text_of(document)
    start, end = _entries(document, text, location[:-1])[_number(document, location)]
    lines = text[start:end].replace("\r\n", "\n").splitlines()
    indent = min((len(line) - len(line.lstrip()) for line in lines if line.strip()), default=0)
    return "\n".join(line[indent:] for line in lines) + "\n"


def with_entry_text(document: Document, location: Location, new: str, wanted: Any) -> Document:
    """Return a document with the text of an entry replaced.

    Parameters
    ----------
    document, location
        The entry.
    new
        Its text as `entry_text` returns it.
    wanted
        The new value, or for a section of entries by name the pair of name and value.
    """
    text = text_of(document)
    number = _number(document, location)
    start, end = _entries(document, text, location[:-1])[number]
    lines = Lines(text)
    indent = " " * lines.indent(text[start:end])
    body = lines.newline.join(
        indent + line if line.strip() else ""
        for line in new.rstrip().replace("\r\n", "\n").split("\n")
    )
    body += lines.newline if text[start:end].endswith("\n") else ""
    section = _at(document.data, location[:-1])
    if isinstance(section, list):
        whole: Any = [*section[:number], wanted, *section[number + 1 :]]
    else:
        pairs = list(section.items())
        whole = dict([*pairs[:number], wanted, *pairs[number + 1 :]])
    changed = text[:start] + body + text[end:]
    return _checked(document, changed, _put(document.data, location[:-1], whole))


@dataclass(frozen=True, slots=True)
class _Splicer:
    """Yields the splices that turn nodes into wanted values."""

    text: str

    def changed(self, slot: Slot, wanted: Any) -> Iterator[Splice]:
        """Yield the splices for the value in a slot."""
        node = slot.node
        if same_data(data_of(node), wanted):
            return
        if isinstance(node, yaml.CollectionNode) and Lines(self.text).is_block(node):
            if isinstance(node, yaml.MappingNode) and isinstance(wanted, dict):
                if data_of(node.value[0][0]) in wanted:
                    yield from self._mapping(node, wanted)
                    return
            elif isinstance(node, yaml.SequenceNode) and isinstance(wanted, list) and wanted:
                yield from self._sequence(node, wanted)
                return
        yield self._whole(slot, wanted)

    def _mapping(self, node: yaml.MappingNode, wanted: dict[Any, Any]) -> Iterator[Splice]:
        lines, column = Lines(self.text), node.start_mark.column
        pairs = {data_of(key): (key, value) for key, value in node.value}
        for name, (key, value) in pairs.items():
            if name not in wanted:
                yield (*lines.pair_span(key, value, column), "")
            else:
                yield from self.changed(lines.slot(value, column, key), wanted[name])
        last, added = next(iter(pairs)), dict[Any, list[str]]()
        for name, value in wanted.items():
            if name in pairs:
                last = name
            else:
                added.setdefault(last, []).extend(pair_lines(name, value))
        for name, new in added.items():
            at = lines.pair_span(*pairs[name], column)[1]
            yield (at, at, lines.inserted(new, column, at))

    def _sequence(self, node: yaml.SequenceNode, wanted: list[Any]) -> Iterator[Splice]:
        lines, column = Lines(self.text), node.start_mark.column
        spans = lines.item_spans(node)
        old = [repr(data_of(one)) for one in node.value]
        matcher = SequenceMatcher(None, old, [repr(one) for one in wanted], autojunk=False)
        for kind, start, end, first, last in matcher.get_opcodes():
            if kind == "equal":
                continue
            both = min(end - start, last - first)
            for number in range(both):
                item = lines.slot(node.value[start + number], column)
                yield from self.changed(item, wanted[first + number])
            for number in range(start + both, end):
                yield (*spans[number], "")
            new = [line for one in wanted[first + both : last] for line in item_lines(one)]
            if new:
                at = spans[start + both - 1][1] if start + both else spans[0][0]
                yield (at, at, lines.inserted(new, column, at))

    def _whole(self, slot: Slot, wanted: Any) -> Splice:
        """Return the splice that replaces a value."""
        lines, start, node = Lines(self.text), slot.node.start_mark.index, slot.node
        end = max(lines.last_index(node) + 1, start)
        new = [_scalar(node, wanted)]
        is_line = isinstance(node, yaml.CollectionNode) and bool(node.flow_style and node.value)
        is_below = slot.is_value and is_block(slot.key, wanted) and not is_line  # stays a line
        is_item = isinstance(wanted, dict) and wanted and not slot.is_value
        if is_below or (is_item and not is_line):
            new = block_lines(wanted, slot.key)
        if slot.is_value and (is_below or lines.begin(start) > slot.after):
            start = slot.after  # the value begins anew behind its key
        column = slot.column + _STEP if slot.is_value else node.start_mark.column
        indent = lines.newline + " " * column
        before = indent if is_below else "" if self.text[start - 1].isspace() else " "
        return start, end, before + indent.join(new)


def _scalar(node: yaml.Node, wanted: Any) -> str:
    """Return a value on one line, a text with the quotes of the old one."""
    style = node.style if isinstance(node, yaml.ScalarNode) else None
    if isinstance(wanted, str) and style in ("'", '"') and wanted.isprintable():
        dumped = yaml.safe_dump(wanted, default_style=style, allow_unicode=True, width=1 << 20)
        return str(dumped).removesuffix("\n")
    return flow_style(wanted)


def _spliced(text: str, splices: list[Splice]) -> str:
    ordered = sorted(splices, key=lambda one: one[:2])
    while ordered:  # from the end; of two at one place the inner one, found first, comes first
        start, end, new = ordered.pop()
        text = text[:start] + new + text[end:]
    return text


def _checked(document: Document, text: str, wanted: Any) -> Document:
    """Return the document of a new text; raise ConfigError unless it has the wanted data."""
    mark = _MARK if document.source.startswith(_MARK) else b""
    after = parse_yaml(document.path, mark + text.encode())
    if not same_data(after.data, wanted):
        raise ConfigError(
            f"{document.path}: this entry cannot be changed without changing others",
            hint=_BY_HAND,
        )
    return after


def _place(text: str, location: Location) -> Slot:
    """Return the value at a location."""
    lines, slot = Lines(text), Slot(compose(text))
    for part in location:
        slot = lines.inner_slot(slot.node, part)
    return slot


def _entries(document: Document, text: str, section: Location) -> list[tuple[int, int]]:
    """Return where the entries of a section begin and end."""
    node = _place(text, section).node
    if not isinstance(node, yaml.CollectionNode) or node.flow_style or not node.value:
        raise ConfigError(
            f"{document.place(section)}: '{section[-1]}' is written in brackets", hint=_BY_HAND
        )
    return Lines(text).entry_spans(node)


def _number(document: Document, location: Location) -> int:
    section = _at(document.data, location[:-1])
    return int(location[-1]) if isinstance(section, list) else list(section).index(location[-1])


def _at(data: Any, location: Location) -> Any:
    for part in location:
        data = data[part]
    return data


def _put(data: Any, location: Location, wanted: Any) -> Any:
    """Return data with another value at a location."""
    if not location:
        return wanted
    first, rest = location[0], location[1:]
    copy = list(data) if isinstance(data, list) else dict(data)
    copy[first] = _put(copy[first], rest, wanted)
    return copy


def _dropped(data: Any, location: Location) -> Any:
    """Return data without the value at a location."""
    section = _at(data, location[:-1])
    copy = list(section) if isinstance(section, list) else dict(section)
    del copy[location[-1]]
    return _put(data, location[:-1], copy)
