"""Additions to hand-written YAML files that leave every other byte unchanged.

A new entry is inserted as text at the end of its section, with the indentation of that section.
The new text is parsed and compared with the expected data before anything is written.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import yaml

from drawcli.errors import ConfigError
from drawcli.system.files import write_durably
from drawcli.system.printable import plain
from drawcli.system.yaml_read import Document, parse_yaml, read_yaml

_STEP: Final = "  "  # the indentation of a section without entries
_WIDEST: Final = 1 << 20  # columns: no value is wrapped
_MARK: Final = "\ufeff".encode()  # some Windows editors begin a file with it
_BY_HAND: Final = "Add it with an editor; --dry-run shows its text."


@dataclass(frozen=True, slots=True)
class YamlEntry:
    """An entry of a section: its lines, without indentation."""

    section: str
    lines: tuple[str, ...]
    before: str = ""  # a missing section is created above this one

    @property
    def text(self) -> str:
        """The entry as text."""
        return "\n".join(self.lines) + "\n"


def flow_style(value: Any) -> str:
    """Return a value as YAML flow style on one line, quoted only where YAML requires it.

    >>> flow_style({"contains": "RT pelvis"}), flow_style("yes"), flow_style(("CT", "3"))
    ('{contains: RT pelvis}', "'yes'", "[CT, '3']")
    """
    plain = list(value) if isinstance(value, tuple) else value
    text = yaml.safe_dump(
        plain, default_flow_style=True, allow_unicode=True, width=_WIDEST, sort_keys=False
    )
    return text.removesuffix("\n").removesuffix("...").removesuffix("\n")


def add_entries(document: Document, *entries: YamlEntry) -> Document:
    """Return a document with entries added; nothing is written.

    Raises
    ------
    ConfigError
        Where nothing can be added to this file without changing the rest.
    """
    text, path = document.source.decode("utf-8-sig"), document.path
    wanted = document.data
    for section, several in groupby(entries, key=lambda entry: (entry.section, entry.before)):
        many = tuple(several)
        text = _added(text, section[0], section[1], [entry.lines for entry in many], path)
        whole = YamlEntry(section[0], tuple(line for entry in many for line in entry.lines))
        wanted = _joined(wanted, whole)
    after = parse_yaml(path, (_MARK if document.source.startswith(_MARK) else b"") + text.encode())
    if after.data != wanted:
        raise ConfigError(f"{path}: a command cannot add to this file", hint=_BY_HAND)
    return after


def add_comment(document: Document, lines: Iterable[str]) -> Document:
    """Return a document with comment lines at its end, "" for empty lines; nothing is written."""
    newline = "\r\n" if b"\r\n" in document.source else "\n"
    marked = (f"# {plain(' '.join(line.splitlines()))}" if line else "" for line in lines)
    comment = newline.join(["", *marked, ""])
    ended = document.source.rstrip(b"\r\n") + newline.encode()
    return parse_yaml(document.path, ended + comment.encode())


def replace_file(before: Document, after: Document) -> None:
    """Write a changed document; raise ConfigError if the file changed since it was read.

    A symbolic link stays one, and the file keeps its mode.
    """
    path = before.path.resolve()
    if read_yaml(path).source != before.source:
        raise ConfigError(f"{before.path}: changed meanwhile", hint="Run the command again.")
    write_durably(path, after.source, mode=path.stat().st_mode & 0o777)


def _added(text: str, section: str, before: str, entries: list[tuple[str, ...]], path: Path) -> str:
    """Return a text with entries, as lines, at the end of their section."""
    key, value = _section(text, section)
    newline = "\r\n" if "\r\n" in text else "\n"
    plain = [line for lines in entries for line in lines]
    if key is None:
        above = _section(text, before)[0]
        at = len(text) if above is None else _above_comments(text, above.start_mark.index)
        spare = [""] if above is not None else []
        return _inserted(text, at, [f"{section}:", *_indented(plain, _STEP), *spare], newline)
    lines = plain
    text, value = _without_empty_brackets(text, value)
    if isinstance(value, yaml.ScalarNode) and not value.value:
        at, indent = key.end_mark.index, _STEP
    elif isinstance(value, yaml.CollectionNode) and value.value and not value.flow_style:
        at, indent = _last_index(value, text), " " * value.start_mark.column
        if _has_blank_lines(value, text):
            lines = [line for one in entries for line in ("", *one)]
    else:
        where = f"{path}:{key.start_mark.line + 1}:{key.start_mark.column + 1}"
        raise ConfigError(
            f"{where}: '{section}' is written in brackets; a command cannot add to it",
            hint=f"Write each entry on its own line. {_BY_HAND}",
        )
    line_end = text.find("\n", at)
    at = len(text) if line_end < 0 else line_end + 1
    return _inserted(text, at, _indented(lines, indent), newline)


def _without_empty_brackets(text: str, value: yaml.Node | None) -> tuple[str, yaml.Node | None]:
    """Return a text and the value of a section, which has no brackets if it has no entry."""
    empty = isinstance(value, yaml.CollectionNode) and value.flow_style and not value.value
    if value is None or not empty or "#" in text[value.start_mark.index : value.end_mark.index]:
        return text, value
    before = text[: value.start_mark.index].rstrip()
    mark = value.start_mark
    return before + text[value.end_mark.index :], yaml.ScalarNode(value.tag, "", mark, mark)


def _section(text: str, name: str) -> tuple[yaml.Node | None, yaml.Node | None]:
    """Return key and value of a top-level section."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    pairs = root.value if isinstance(root, yaml.MappingNode) else ()
    return next(((key, value) for key, value in pairs if key.value == name), (None, None))


def _last_index(node: yaml.Node, text: str) -> int:
    """Return the index of the last character of a value, before any comments."""
    while isinstance(node, yaml.CollectionNode) and node.value and not node.flow_style:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    return len(text[: node.end_mark.index].rstrip()) - 1


def _has_blank_lines(node: yaml.CollectionNode, text: str) -> bool:
    """Return whether blank lines separate the entries of a section."""
    if len(node.value) < 2:  # noqa: PLR2004 - nothing to separate
        return False
    last = node.value[-1]
    start = (last[0] if isinstance(last, tuple) else last).start_mark.index
    return text[: _above_comments(text, start)].endswith(("\n\n", "\r\n\r\n"))


def _above_comments(text: str, at: int) -> int:
    """Return the index where the comment directly above a line begins."""
    at = text.rfind("\n", 0, at) + 1
    while at:
        above = text.rfind("\n", 0, at - 1) + 1
        if not text[above:at].lstrip().startswith("#"):
            return at
        at = above
    return at


def _indented(lines: Iterable[str], indent: str) -> list[str]:
    return [f"{indent}{line}" if line else "" for line in lines]


def _inserted(text: str, at: int, lines: list[str], newline: str) -> str:
    before = text[:at] + ("" if at == 0 or text[at - 1] == "\n" else newline)
    return before + newline.join(lines) + newline + text[at:]


def _joined(data: Any, entry: YamlEntry) -> Any:
    """Return the data of a file with an entry added."""
    new = yaml.safe_load(entry.text)
    plain: dict[str, Any] = dict(data or {})
    now = plain.get(entry.section)
    if isinstance(new, Mapping):
        return plain | {entry.section: {**(now or {}), **new}}
    return plain | {entry.section: [*(now or ()), *new]}
