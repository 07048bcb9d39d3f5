"""Kinds of values for the fields of records: texts, numbers, choices, paths, lists, mappings.

A value may be as YAML has it, or a text of the environment: "5" is a number. The kinds that are
`strict` take no text for a number.
"""

from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import Any, Final

from drawcli.system.records import (
    WITH_KEYS,
    Invalid,
    Kind,
    Problem,
    Record,
    gathered,
    suggest,
    unfit,
)

Check = Callable[[Any], Any]  # returns the value, perhaps in another form; raises ValueError
_TRUE: Final = frozenset({"1", "on", "t", "true", "y", "yes"})
_FALSE: Final = frozenset({"0", "off", "f", "false", "n", "no"})


def text(*, least: int = 0, most: int | None = None, check: Check | None = None) -> Kind:
    """Return the kind of texts of so many characters."""

    def read(value: Any) -> Any:
        if not isinstance(value, str):
            raise unfit("should be a text; put it in quotes")
        if len(value) < least:
            raise unfit("should not be empty")
        if most is not None and len(value) > most:
            raise unfit(f"should have at most {most} characters")
        return value if check is None else check(value)

    return Kind(read, _schema("string", minLength=least or None, maxLength=most))


def number(
    *, least: float | None = None, above: float | None = None, most: float | None = None
) -> Kind:
    """Return the kind of numbers; `above` is the largest that is too small."""

    def read(value: Any) -> Any:
        try:
            found = float(value if isinstance(value, str | int | float) else "none")
        except (ValueError, OverflowError):
            raise unfit("should be a number") from None
        if not isfinite(found):
            raise unfit("should be a finite number")
        return _within(found, least, above, most)

    limits = {"minimum": least, "exclusiveMinimum": above, "maximum": most}
    return Kind(read, _schema("number", **limits))


def whole(
    *,
    least: int | None = None,
    above: int | None = None,
    most: int | None = None,
    strict: bool = False,
) -> Kind:
    """Return the kind of whole numbers; `above` is the largest that is too small."""

    def read(value: Any) -> Any:
        return _within(_strict(value) if strict else _whole(value), least, above, most)

    limits = {"minimum": least, "exclusiveMinimum": above, "maximum": most}
    return Kind(read, _schema("integer", **limits))


def choice(*words: str) -> Kind:
    """Return the kind of a text that is one of several."""
    quoted = [f"'{word}'" for word in words]
    expected = f"should be {', '.join(quoted[:-1])} or {quoted[-1]}"

    def read(value: Any) -> Any:
        if not isinstance(value, str) or value not in words:
            raise unfit(expected)
        return value

    return Kind(read, _schema("string", enum=list(words)))


def listed(
    item: Kind, *, least: int = 0, split: Check | None = None, check: Check | None = None
) -> Kind:
    """Return the kind of lists; `split` makes a list of another value, such as a text."""

    def read(value: Any) -> Any:
        value = value if split is None else split(value)
        if not isinstance(value, list | tuple):
            raise unfit("should be a list, such as [first, second]")
        if len(value) < least:
            few = "should not be empty" if least == 1 else f"should have at least {least} entries"
            raise unfit(few)
        problems = list[Problem]()
        items = gathered(((index, item, one) for index, one in enumerate(value)), problems)
        if problems:
            raise Invalid(problems)
        return items if check is None else check(items)

    schema = _schema("array", items=item.schema, minItems=least or None)
    return Kind(read, schema, is_plain=False)


def several(item: Kind, count: int, *, check: Check | None = None) -> Kind:
    """Return the kind of a fixed number of values, read as a tuple."""
    whole_list = listed(item)

    def read(value: Any) -> Any:
        items = tuple(whole_list.read(value))
        if len(items) != count:
            raise unfit(f"should have {count} values")
        return items if check is None else check(items)

    schema = _schema("array", prefixItems=[item.schema] * count, minItems=count, maxItems=count)
    return Kind(read, schema, is_plain=False)


def keyed(value_kind: Kind, key_kind: Kind, *, least: int = 0, check: Check | None = None) -> Kind:
    """Return the kind of mappings; `key_kind` reads the keys."""

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise unfit(WITH_KEYS)
        if len(value) < least:
            raise unfit("should not be empty")
        problems = list[Problem]()
        keys = gathered(((key, key_kind, key) for key in value), problems)
        values = gathered(((key, value_kind, one) for key, one in value.items()), problems)
        if problems:
            raise Invalid(problems)
        both = dict(zip(keys, values, strict=True))
        return both if check is None else check(both)

    names = {key: limit for key, limit in key_kind.schema.items() if "Length" in key} or None
    limits = {"propertyNames": names, "minProperties": least or None}
    schema = _schema("object", additionalProperties=value_kind.schema, **limits)
    return Kind(read, schema, inner=lambda _: value_kind, is_plain=False)


def one_of_keys(*names: str) -> Kind:
    """Return the kind of the keys of a mapping that has only these."""

    def read(key: Any) -> Any:
        if key not in names:
            raise Invalid([((), "unknown key ", suggest(key, names))])
        return key

    return Kind(read)


def section(of: type[Record]) -> Kind:
    """Return the kind of a record in a record."""

    def inner(name: str) -> Kind | None:
        return of.fields[name].kind if name in of.fields else None

    return Kind(of.read, {"$ref": f"#/$defs/{of.__name__}"}, inner=inner, is_plain=False)


def maybe(kind: Kind) -> Kind:
    """Return the kind of values that may be null."""

    def read(value: Any) -> Any:
        return None if value is None else kind.read(value)

    schema = {"anyOf": [kind.schema, {"type": "null"}]}
    return Kind(read, schema, inner=kind.inner, is_plain=kind.is_plain)


def read_path(value: Any) -> Path:
    """Return a path with "~" expanded."""
    if not isinstance(value, str | Path) or not str(value):
        raise unfit("should be a path")
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise unfit("names an unknown user") from None


def as_list(value: Any) -> Any:
    """Return one path as a list of it; anything else as it is."""
    return [value] if isinstance(value, str | Path) else value


def words(value: Any) -> Any:
    """Return a text with commas as a list of words; anything else as it is."""
    return [word.strip() for word in value.split(",")] if isinstance(value, str) else value


def _read_switch(value: Any) -> bool:
    word = value.casefold() if isinstance(value, str) else value
    if isinstance(word, str | int | float) and word in _TRUE | {1}:
        return True
    if isinstance(word, str | int | float) and word in _FALSE | {0}:
        return False
    raise unfit("should be true or false")


def _whole(value: Any) -> int:
    """Return a whole number, also of a text or of a float without a fraction."""
    try:
        found = float(value) if isinstance(value, str) and "." in value else value
        if isinstance(found, str | int) or (isinstance(found, float) and found.is_integer()):
            return int(found)
    except ValueError:
        pass
    raise unfit("should be a whole number")


def _strict(value: Any) -> int:
    if isinstance(value, str):
        raise unfit("should be a whole number, without quotes")
    if isinstance(value, bool) or not isinstance(value, int):
        raise unfit("should be a whole number")
    return value


def _within(value: Any, least: float | None, above: float | None, most: float | None) -> Any:
    if above is not None and value <= above:
        raise unfit(f"should be greater than {above:g}")
    if least is not None and value < least:
        raise unfit(f"should be at least {least:g}")
    if most is not None and value > most:
        raise unfit(f"should be at most {most:g}")
    return value


def _schema(kind: str, **limits: Any) -> dict[str, Any]:
    return {"type": kind} | {key: limit for key, limit in limits.items() if limit is not None}


PATH: Final = Kind(read_path)
TEXT: Final = text()
SWITCH: Final = Kind(_read_switch, {"type": "boolean"})
