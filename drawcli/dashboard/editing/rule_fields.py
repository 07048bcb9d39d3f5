"""The form of a rule as the fields of a page, and its buttons that add and remove conditions.

The place of a condition is the path to it: "w" is the whole, "w.0" its first part, "w.0.1" the
second part of that.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from starlette.datastructures import FormData

from drawcli.authoring.rule_form import (
    ALWAYS,
    DEEPEST,
    GROUPS,
    MOST_PARTS,
    Group,
    Line,
    Node,
    RuleForm,
)
from drawcli.core.rules.conditions import OPTIONS
from drawcli.errors import UsageError

ADD: Final = "add"
REMOVE: Final = "remove"
USE: Final = "use"  # an element of the series with its value
_BUTTON: Final = re.compile(r"(add|group|remove|use):(.{1,300})", re.DOTALL)
_NUMBER: Final = re.compile("[0-9]{1,6}")  # of a part
_LONGEST: Final = 2000  # characters of a field


def form_from(form: FormData) -> RuleForm:
    """Return the rule that the fields of a page describe; UsageError if there are too many."""
    fields = {name: str(value)[:_LONGEST].strip() for name, value in form.items()}
    places = [name for name in fields if name.startswith("w") and name.endswith(("kind", ".e"))]
    if len(places) > MOST_PARTS:
        raise UsageError(f"more than {MOST_PARTS} conditions", hint="Split the rule.")
    templates = [str(one) for one in form.getlist("template") if str(one)]
    when = _node(fields, "w")
    return RuleForm(
        name=fields.get("name", ""),
        exclude=fields.get("what") == "exclude",
        templates=() if fields.get("what") == "exclude" else tuple(dict.fromkeys(templates)),
        priority=fields.get("priority", "0"),
        enabled=fields.get("enabled", "yes") == "yes",
        comment=" ".join(fields.get("comment", "").split()),
        when=when if isinstance(when, Group) else Group("all", (when,)),
    )


def _node(fields: Mapping[str, str], place: str) -> Node:
    kind = fields.get(f"{place}.kind")
    if kind is None and place != "w":
        options = tuple(
            (name, value) for name in OPTIONS if (value := fields.get(f"{place}.{name}", ""))
        )
        element, operator, value = (fields.get(f"{place}.{part}", "") for part in "eov")
        return Line(element, operator or "equals", value, options)
    if place.count(".") > DEEPEST:
        raise UsageError("the groups are nested too deep", hint="Split the rule.")
    start, numbers = f"{place}.", set[int]()
    for name in fields:
        number = name.removeprefix(start).partition(".")[0] if name.startswith(start) else ""
        numbers |= {int(number)} if _NUMBER.fullmatch(number) else set()
    known = (*GROUPS[:2], ALWAYS) if place == "w" else GROUPS
    parts = tuple(_node(fields, f"{start}{number}") for number in sorted(numbers))
    kind = kind if kind in known else "all"
    return Group(kind, () if kind == ALWAYS else parts)


def pressed(form: FormData) -> tuple[str, str]:
    """Return the button of a form and the place, or element, that it is for; two "" if none."""
    found = _BUTTON.fullmatch(str(form.get("step", "")))
    return (found[1], found[2]) if found else ("", "")


def after_button(rule: RuleForm, button: str, place: str, lines: tuple[Line, ...] = ()) -> RuleForm:
    """Return the form after a button was pressed that adds or removes a condition."""
    root = rule.when if rule.when.kind != ALWAYS else Group()
    if button == USE:
        others = tuple(part for part in root.parts if part != Line() and part not in lines)
        return replace(rule, when=replace(root, parts=(*others, *lines)))
    numbers = [int(part) for part in place.split(".")[1:] if part.isdecimal()]
    after = _changed(root, numbers, button)
    return replace(rule, when=after if isinstance(after, Group) else root)


def _changed(node: Node, numbers: list[int], button: str) -> Node | None:
    """Return a node with a part added or removed below it; None if it is removed itself."""
    if not numbers:
        if button == REMOVE:
            return None
        new: Node = Line() if button == ADD else Group("any", (Line(),))
        return replace(node, parts=(*node.parts, new)) if isinstance(node, Group) else node
    if not isinstance(node, Group) or numbers[0] >= len(node.parts):
        return node
    parts = list(node.parts)
    part = _changed(parts[numbers[0]], numbers[1:], button)
    parts[numbers[0] : numbers[0] + 1] = [] if part is None else [part]
    return replace(node, parts=tuple(parts))
