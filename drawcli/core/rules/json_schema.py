"""JSON Schemas of rules.yaml and templates.yaml, for completion and checks in editors.

The readers of drawcli check more, and report file, line and column.
"""

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from drawcli.core.rules.conditions import LATE, LISTS, LONGEST_NAME, OPTIONS
from drawcli.core.rules.decision import Choice
from drawcli.core.rules.operators import OPERATORS, PRESENCE, known_paths
from drawcli.core.templates.appearance import Derived, Empty, Structure
from drawcli.core.templates.template import NAME_PATTERN, Model, Template
from drawcli.system.records import Field, Record

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_ONE: Final = {"type": ["string", "number", "boolean"]}
_NAME: Final = {"type": "string", "pattern": NAME_PATTERN}
_NAMES: Final = {"type": "array", "items": _NAME, "minItems": 1}


def rules_schema() -> dict[str, Any]:
    """Return the schema of rules.yaml, with every DICOM keyword of PS3.6."""
    tests = {"$ref": "#/$defs/test"}
    condition = {"$ref": "#/$defs/condition"}
    several = {"type": "array", "items": condition, "minItems": 1}
    asked = {name: tests for name in known_paths() if name}
    return {
        "$schema": _DIALECT,
        "title": "rules.yaml of drawcli",
        **_object(
            {
                "rules": {"type": ["array", "null"], "items": {"$ref": "#/$defs/rule"}},
                "tests": {"type": ["array", "null"], "items": {"$ref": "#/$defs/case"}},
            },
            required=["rules"],
        ),
        "$defs": {
            "rule": _object(_RULE | {"when": condition}, required=["name", "when"]),
            "case": _object(_CASE, required=["name"]),
            "condition": {
                "anyOf": [
                    {"const": "always"},
                    {
                        **_object({"all": several, "any": several, "not": condition, **asked}),
                        "minProperties": 1,
                        "patternProperties": {r"^\(|\.": tests},
                    },
                ]
            },
            "test": {"anyOf": [_ONE, _object(_operators() | _options())]},
        },
    }


def templates_schema() -> dict[str, Any]:
    """Return the schema of templates.yaml."""
    named = {"type": ["object", "null"], "additionalProperties": {"$ref": "#/$defs/Template"}}
    return {
        "$schema": _DIALECT,
        "title": "templates.yaml of drawcli",
        **_object({"templates": named | {"propertyNames": _NAME}}, required=["templates"]),
        "$defs": {of.__name__: _record(of) for of in (Derived, Empty, Model, Structure, Template)},
    }


def as_text(schema: Mapping[str, Any]) -> str:
    """Return a schema as the text of its file."""
    return json.dumps(schema, separators=(",", ":")) + "\n"


SCHEMAS: Final[Mapping[str, Callable[[], dict[str, Any]]]] = {
    "rules.schema.json": rules_schema,
    "templates.schema.json": templates_schema,
}

_RULE: Final[dict[str, Any]] = {
    "name": {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME},
    "template": {"anyOf": [_NAME, {"type": "null"}]},
    "templates": _NAMES,
    "exclude": {"type": "boolean"},
    "priority": {"type": "integer"},
    "enabled": {"type": "boolean"},
    "late": {"enum": list(LATE)},
    "comment": {},
    "contact": {},
}
_CASE: Final[dict[str, Any]] = {
    "name": {"type": "string", "minLength": 1},
    "header": {"type": "object"},
    "file": {"type": "string"},
    "template": _NAME,
    "templates": _NAMES,
    "verdict": {"enum": [str(choice) for choice in Choice if choice is not Choice.MATCHED]},
}


def _object(properties: dict[str, Any], *, required: list[str] | None = None) -> dict[str, Any]:
    """Return the schema of an object that has these keys and no others."""
    plain = {"type": "object", "properties": properties, "additionalProperties": False}
    return plain | ({"required": required} if required else {})


def _record(of: type[Record]) -> dict[str, Any]:
    """Return the schema of a record."""
    needed = [name for name, field in of.fields.items() if field.is_required]
    properties = {name: _property(name, field) for name, field in of.fields.items()}
    words = {"title": of.__name__, "description": inspect.cleandoc(of.__doc__ or "")}
    return words | _object(properties, required=needed)


def _property(name: str, field: Field) -> dict[str, Any]:
    default = {} if field.is_required else {"default": field.default}
    return field.kind.schema | {"title": name.replace("_", " ").title()} | default


def _operators() -> dict[str, Any]:
    several = {"type": "array", "items": _ONE, "minItems": 1}
    return {
        name: {"type": "boolean"} if name in PRESENCE else several if name in LISTS else _ONE
        for name in OPERATORS
    }


def _options() -> dict[str, Any]:
    return {name: {"enum": list(choices)} for name, choices in OPTIONS.items()}
