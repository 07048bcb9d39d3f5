"""The fields of a structure in the form of the editor: read, checked, and filled in."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from drawcli.core.templates.appearance import (
    OPERATIONS,
    PARAMETERS,
    ROI_TYPES,
    Derived,
    Look,
    Structure,
)

LISTS: Final = ("union", "intersection", "subtraction")  # operations with several sources
MOST_ROWS: Final = 500  # structures of a template, of all kinds
NO_TYPE: Final = "(no type)"  # RTROIInterpretedType without a value, which is not "as sent"
PRESENCE: Final[Mapping[str, bool | None]] = {"": None, "needed": True, "optional": False}
_COLOUR: Final = re.compile(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})")
# Colours that are offered for structures without one: far apart, visible on images.
_PALETTE: Final = (
    *("#e6194b", "#3cb44b", "#ffe119", "#4363d8", "#f58231", "#911eb4", "#42d4f4", "#f032e6"),
    *("#bfef45", "#fabed4", "#469990", "#dcbeff", "#9a6324", "#fffac8", "#aaffc3", "#808000"),
)

Tell = Callable[[str], None]  # notes a problem


@dataclass(frozen=True, slots=True)
class Row:
    """A structure in the form: what was typed, by the name of the field."""

    id: str  # "s0": a drawn one, "d0": a derived one, "e0": an empty one
    fields: Mapping[str, str] = field(default_factory=dict)

    def get(self, name: str) -> str:
        """Return what was typed, without blanks around it."""
        return self.fields.get(name, "").strip()

    @property
    def is_blank(self) -> bool:
        """Whether nothing was typed into a row for a new structure."""
        return not self.get("name") and not self.get("of")

    @property
    def is_dropped(self) -> bool:
        """Whether the structure is left out."""
        return bool(self.get("drop"))

    @property
    def colour(self) -> str:
        """The colour to begin with, "#rrggbb"."""
        typed = self.get("color")
        number = int(self.id[1:]) + 5 * "sde".index(self.id[0])
        return typed if _COLOUR.fullmatch(typed) else _PALETTE[number % len(_PALETTE)]


def rows_in(fields: Mapping[str, str], kind: str) -> list[Row]:
    """Return the rows of a form, in their order.

    Parameters
    ----------
    fields
        Such as {"s0.key": "720:1", "s0.label": ""}.
    kind
        The letter that the ids of these rows begin with.
    """
    found: dict[int, dict[str, str]] = {}
    for name, value in fields.items():
        match = re.fullmatch(rf"{kind}([0-9]{{1,3}})\.([a-z]+)", name)
        if match:
            found.setdefault(int(match[1]), {})[match[2]] = value
    return [Row(f"{kind}{number}", found[number]) for number in sorted(found)]


def fields_of(look: Look) -> dict[str, str]:
    """Return the fields of the appearance of a structure."""
    colour = look.color
    return {
        "label": look.label or "",
        "own": "yes" if colour else "",
        "color": "#{:02x}{:02x}{:02x}".format(*colour) if colour else "",
        "type": NO_TYPE if look.type == "" else look.type or "",
        "about": look.description or "",
    }


def drawn_fields(look: Structure) -> dict[str, str]:
    """Return the fields of a structure that a model draws."""
    low, high = look.volume_cm3 or (None, None)
    presence = next(word for word, value in PRESENCE.items() if value is look.required)
    return fields_of(look) | {"low": _text(low), "high": _text(high), "presence": presence}


def derived_fields(name: str, rule: Derived) -> dict[str, str]:
    """Return the fields of a derived structure."""
    operand = getattr(rule, rule.operation)
    return fields_of(rule) | {
        "name": name,
        "operation": rule.operation,
        "of": "\n".join(operand) if isinstance(operand, list) else operand,
        "side": "inside" if rule.inside else "outside",
        "other": rule.inside or rule.outside or "",
        "mm": _text(rule.mm or None),
        "cm3": _text(rule.cm3 or None),
        "hidden": "yes" if rule.hidden else "",
    }


def look_in(row: Row, name: str, tell: Tell) -> dict[str, Any]:
    """Return the appearance in a row, as data of the file; tell problems."""
    look: dict[str, Any] = {}
    if label := row.get("label"):
        look["label"] = label
    if row.get("own"):
        match = _COLOUR.fullmatch(row.get("color"))
        look["color"] = [int(part, 16) for part in match.groups()] if match else None
        if not match:
            tell(f"{name}: the colour is not one of red, green and blue")
    if kind := row.get("type"):
        look["type"] = "" if kind == NO_TYPE else kind
        if look["type"] not in ROI_TYPES:
            tell(f"{name}: there is no type {kind}")
    if about := row.get("about"):
        look["description"] = about
    return look


def structure_in(row: Row, name: str, tell: Tell) -> dict[str, Any]:
    """Return the settings of a drawn structure in a row; tell problems."""
    found = look_in(row, name, tell)
    low, high = (_number(row, key, name, tell) for key in ("low", "high"))
    if low is not None and high is None:
        tell(f"{name}: the largest volume is missing")
    elif high is not None:
        found["volume_cm3"] = [low or 0, high]
    presence = PRESENCE.get(row.get("presence"))
    return found if presence is None else found | {"required": presence}


def derived_in(row: Row, tell: Tell) -> tuple[str, dict[str, Any]]:
    """Return name and rule of a derived structure in a row; tell problems."""
    name, operation = row.get("name"), row.get("operation")
    sources = [line.strip() for line in row.get("of").splitlines() if line.strip()]
    called = name or "the new derived structure"
    if not name:
        tell("a derived structure has no name")
    if operation not in OPERATIONS:
        tell(f"{called}: choose what is to be done")
        return name, {}
    if not sources:
        tell(f"{called}: it is derived from no structure")
    if len(sources) > 1 and operation not in LISTS:
        tell(f"{called}: {operation} takes one structure, not {len(sources)}")
    rule: dict[str, Any] = {operation: sources if operation in LISTS else "".join(sources[:1])}
    rule |= dict(_parameters(row, operation, called, tell))
    if row.get("hidden"):
        rule["hidden"] = True
    return name, rule | look_in(row, called, tell)


def _parameters(row: Row, operation: str, name: str, tell: Tell) -> Iterator[tuple[str, Any]]:
    takes = PARAMETERS[operation]
    if "inside" in takes:
        side = "inside" if row.get("side") == "inside" else "outside"
        if other := row.get("other"):
            yield side, other
    for key in ("mm", "cm3"):
        value = _number(row, key, name, tell) if key in takes else None
        if value:
            yield key, value


def _number(row: Row, key: str, name: str, tell: Tell) -> float | None:
    """Return a number as it would be written: 20, not 20.0; None without one."""
    text = row.get(key)
    if not text:
        return None
    try:
        value = float(text)
        return int(value) if value.is_integer() else value
    except (ValueError, OverflowError):
        tell(f"{name}: '{text[:40]}' is not a number")
        return None


def _text(value: float | None) -> str:
    if value is None:
        return ""
    return str(int(value)) if float(value).is_integer() else str(value)
