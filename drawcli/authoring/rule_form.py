"""A rule as a form shows it: a tree of conditions, each with an element, an operator and a value.

The form is made from the data of a rule, and gives data again. Parts that were not changed keep
their data as it is, so that their text stays too.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from drawcli.authoring.picks import parse_value
from drawcli.core.rules.conditions import LISTS, OPTIONS, Compare
from drawcli.core.rules.operators import OPERATORS, PRESENCE, canonical_path, known_paths
from drawcli.core.rules.privacy import names_a_patient
from drawcli.core.rules.withheld import is_withheld
from drawcli.errors import UsageError
from drawcli.system.records import suggest

GROUPS: Final = ("all", "any", "not")
ALWAYS: Final = "always"
MOST_PARTS: Final = 200
DEEPEST: Final = 8
_PRIORITY: Final = re.compile(r"-?(?:[0-9]{1,6}|1000000)")
_BY_TEXT: Final = "This rule has conditions that the form cannot show. Edit it as text."


@dataclass(frozen=True, slots=True)
class Line:
    """One comparison, as texts."""

    element: str = ""
    operator: str = "equals"
    value: str = ""
    options: tuple[tuple[str, str], ...] = ()

    @property
    def data(self) -> dict[str, Any]:
        """The condition as data of a rules file."""
        path = canonical_path(self.element) or self.element
        wanted: Any = parse_value(self.value, path)
        if self.operator in PRESENCE:
            wanted = self.value != "false"
        elif self.operator in LISTS:
            parts = [part.strip() for part in self.value.split(",")]
            wanted = [parse_value(part, path) for part in parts if part]
        options = {name: _option(name, text) for name, text in self.options}
        plain = self.operator == "equals" and not options
        return {self.element: wanted if plain else {self.operator: wanted} | options}

    @property
    def problem(self) -> str:
        """What is wrong with it; "" if nothing is."""
        path = canonical_path(self.element)
        if not self.element:
            return "Choose an element, such as Modality or ProtocolName."
        if path is None:
            return f"No DICOM keyword '{self.element}'{suggest(self.element, known_paths())}."
        if self.operator not in OPERATORS:
            return "No such operator."
        if self.operator not in PRESENCE and not self.value.strip(" ,"):
            return "A value is missing."
        return self._problem_of_value(path)

    def _problem_of_value(self, path: str) -> str:
        if self.operator in PRESENCE:
            return ""
        wanted = self.data[self.element]
        wanted = wanted.get(self.operator) if isinstance(wanted, dict) else wanted
        try:
            Compare(path, self.operator, tuple(wanted) if isinstance(wanted, list) else wanted)
        except ValueError as err:
            what = str(err).partition("; '")[0] if is_withheld(path) else str(err)
            return f"{self.element} {what}."
        return ""

    @property
    def warning(self) -> str:
        """What is doubtful: a value of one patient."""
        path = canonical_path(self.element)
        if path is None or self.operator in PRESENCE or not names_a_patient(path):
            return ""
        return (
            f"{self.element} names one patient or study. Rules are kept in git, where the value "
            "stays for good: choose another element."
        )


@dataclass(frozen=True, slots=True)
class Group:
    """Conditions of which all, any, or not all together must be true."""

    kind: str = "all"
    parts: tuple["Node", ...] = ()

    @property
    def data(self) -> Any:
        """The condition as data of a rules file."""
        if self.kind == ALWAYS:
            return ALWAYS
        parts = [part.data for part in self.parts]
        if self.kind == "not":
            return {"not": parts[0] if len(parts) == 1 else {"all": parts}}
        return {self.kind: parts}


Node = Line | Group


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleForm:
    """A rule as a form shows it."""

    name: str = ""
    exclude: bool = False
    templates: tuple[str, ...] = ()
    priority: str = "0"
    enabled: bool = True
    comment: str = ""
    when: Group = field(default_factory=Group)

    def problems(self, others: set[str]) -> dict[str, str]:
        """Return what is wrong, by field; conditions by their place, such as "w.0.1"."""
        found = {place: one.problem for place, one in places_of(self.when) if isinstance(one, Line)}
        found |= {
            place: "Add a condition, or remove this group."
            for place, one in places_of(self.when)
            if isinstance(one, Group) and not one.parts and one.kind != ALWAYS and place != "w"
        }
        if not self.when.parts and self.when.kind != ALWAYS:
            found["w"] = "Add a condition. To match every series, choose 'every series'."
        if not self.name.strip():
            found["name"] = "Give it a name; lists and reasons show it."
        elif not self.name.isprintable():
            found["name"] = "It has characters that cannot be seen."
        elif self.name in others:
            found["name"] = "Another rule has this name."
        if not self.exclude and not self.templates:
            found["templates"] = "Choose a template, or 'never send such a series'."
        if not _PRIORITY.fullmatch(self.priority or "0"):
            found["priority"] = "A whole number; of the matching rules the highest decides."
        return {place: text for place, text in found.items() if text}

    @property
    def warnings(self) -> dict[str, str]:
        """What is doubtful, by the place of the condition."""
        lines = ((place, one) for place, one in places_of(self.when) if isinstance(one, Line))
        return {place: one.warning for place, one in lines if one.warning}

    def data(self, before: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the rule as data; keys and conditions of the rule before stay as they are."""
        old = dict(before or {})
        new: dict[str, Any] = {"name": self.name}
        if self.exclude:
            new["exclude"] = True
        elif len(self.templates) == 1 and "templates" not in old:
            new["template"] = self.templates[0]
        else:
            new["templates"] = list(self.templates)
        priority = int(self.priority or 0)
        new |= {"priority": priority} if priority or "priority" in old else {}
        new |= {"enabled": self.enabled} if not self.enabled or "enabled" in old else {}
        new |= {"comment": self.comment} if self.comment else {}
        new["when"] = _kept(old.get("when"), self.when)
        left = {"template", "templates", "exclude", "comment"} - new.keys()
        same = {key: value for key, value in old.items() if key not in left}
        when = new.pop("when")
        return {key: one for key, one in {**same, **new}.items() if key != "when"} | {"when": when}


def form_of(rule: Any) -> RuleForm:
    """Return the form of a rule of the file; UsageError if the form cannot show it."""
    if not isinstance(rule, dict):
        raise UsageError("this rule has no keys", hint=_BY_TEXT)
    many = rule.get("templates")
    names = many if isinstance(many, list) else [rule.get("template")]
    return RuleForm(
        name=str(rule.get("name", "")),
        exclude=rule.get("exclude") is True,
        templates=tuple(str(name) for name in names if name is not None),
        priority=str(rule.get("priority", 0)),
        enabled=rule.get("enabled") is not False,
        comment=str(rule.get("comment") or ""),
        when=_root(rule.get("when")),
    )


def lines_of(group: Group) -> Iterator[Line]:
    """Yield every comparison in a group."""
    yield from (one for _, one in places_of(group) if isinstance(one, Line))


def places_of(node: Node, place: str = "w") -> Iterator[tuple[str, Node]]:
    """Yield a node and all below it, each with its place in the form."""
    yield place, node
    for number, part in enumerate(node.parts if isinstance(node, Group) else ()):
        yield from places_of(part, f"{place}.{number}")


def _root(when: Any) -> Group:
    if when == ALWAYS:
        return Group(ALWAYS)
    node = _node(when)
    return node if isinstance(node, Group) and node.kind != "not" else Group("all", (node,))


def _node(entry: Any) -> Node:
    """Return the node of a condition; UsageError if the form cannot show it."""
    if not isinstance(entry, dict) or not entry:
        raise UsageError("a condition is not readable", hint=_BY_TEXT)
    if len(entry) > 1:
        return Group("all", tuple(_node({key: value}) for key, value in entry.items()))
    ((key, value),) = entry.items()
    if key in ("all", "any") and isinstance(value, list):
        return Group(key, tuple(_node(one) for one in value))
    if key == "not":
        inner = _node(value)
        is_all = isinstance(inner, Group) and inner.kind == "all"
        return Group("not", inner.parts if is_all and isinstance(inner, Group) else (inner,))
    return _comparison(str(key), value)


def _comparison(element: str, value: Any) -> Node:
    if not isinstance(value, dict):
        return Line(element, "equals", _text(value))
    options = tuple((name, _text(one)) for name, one in value.items() if name in OPTIONS)
    asked = [(name, one) for name, one in value.items() if name not in OPTIONS]
    lines = tuple(Line(element, str(name), _text(one), options) for name, one in asked)
    if not lines:
        raise UsageError(f"'{element}' has no operator", hint=_BY_TEXT)
    return lines[0] if len(lines) == 1 else Group("all", lines)


def _text(value: Any) -> str:
    """Return a value as a field shows it; UsageError if a field cannot."""
    if isinstance(value, list):
        texts = [_text(one) for one in value]
        if any("," in text for text in texts):
            raise UsageError("a value has a comma", hint=_BY_TEXT)
        return ", ".join(texts)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, dict) or value is None or text != text.strip() or not text.isprintable():
        raise UsageError("a value is not a text or a number", hint=_BY_TEXT)
    return text


def _option(name: str, text: str) -> Any:
    return next((one for one in OPTIONS.get(name, ()) if _text(one) == text), text)


def _kept(old: Any, node: Node) -> Any:
    """Return the data of a node; parts that the old data has stay as they are."""
    if _is_same(old, node):
        return old
    if not isinstance(node, Group) or not isinstance(old, dict) or node.kind == ALWAYS:
        return node.data
    if len(old) > 1 and node.kind == "all":  # conditions as keys of one mapping
        pieces = [_kept_part([{key: one} for key, one in old.items()], part) for part in node.parts]
        merged = {key: one for piece in pieces for key, one in piece.items()}
        return merged if len(merged) == len(pieces) > 1 else {"all": pieces}
    before = old.get(node.kind)
    if isinstance(before, list):
        return {node.kind: _kept_parts(before, node.parts)}
    if node.kind == "not" and len(node.parts) == 1:
        return {"not": _kept(before, node.parts[0])}
    return node.data


def _kept_parts(old: list[Any], parts: tuple[Node, ...]) -> list[Any]:
    free = [one for one in old if not any(_is_same(one, part) for part in parts)]
    kept = []
    for part in parts:
        same = next((one for one in old if _is_same(one, part)), None)
        if same is None and isinstance(part, Group):
            near = next((one for one in free if isinstance(one, dict) and part.kind in one), None)
            same = _kept(near, part)
        kept.append(part.data if same is None else same)
    return kept


def _kept_part(old: list[Any], part: Node) -> Any:
    return _kept_parts(old, (part,))[0]


def _is_same(old: Any, node: Node) -> bool:
    """Return whether data say what a node says."""
    if old == ALWAYS or (isinstance(node, Group) and node.kind == ALWAYS):
        return old == ALWAYS and isinstance(node, Group) and node.kind == ALWAYS
    try:
        seen = _node(old)
    except UsageError:
        return False
    return node in (seen, Group("all", (seen,)))
