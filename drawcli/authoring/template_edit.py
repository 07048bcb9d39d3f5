"""A template as a user wants it, as an edit of templates.yaml; only what differs is written."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from drawcli.authoring.new_template import Plan
from drawcli.core.templates.appearance import Derived, Empty, Structure
from drawcli.core.templates.template import Model, Template
from drawcli.errors import ConfigError, UsageError
from drawcli.system.records import Invalid, Kind, Problem, Record
from drawcli.system.yaml_edit import add_entries
from drawcli.system.yaml_read import Document, parse_yaml
from drawcli.system.yaml_text.splice import with_value

_SECTION: Final = "templates"
_GONE: Final = object()
_LOOKS: Final[Mapping[str, type[Record]]] = {
    "structures": Structure,
    "derived": Derived,
    "empty": Empty,
}


def entry_in(document: Document, name: str) -> dict[str, Any]:
    """Return a template as the file has it.

    Raises
    ------
    UsageError
        If there is none of this name, or it is no template.
    """
    entry = _templates(document).get(name)
    if not isinstance(entry, dict) or not isinstance(entry.get("models"), dict):
        raise UsageError(
            f"there is no template '{name}' in {document.path.name}",
            hint="Perhaps somebody has renamed or removed it: look at the list of templates.",
        )
    return entry


def template_edit(
    plan: Plan, *, is_new: bool, origin: bytes | None = None
) -> Callable[[Document], Document]:
    """Return the edit that adds a template, or changes the one of that name.

    Its errors: UsageError where the name is in use or gone, ConfigError where the template is
    invalid or the file cannot be changed as text.

    Parameters
    ----------
    plan
        The template as it is wanted.
    is_new
        Whether it is added.
    origin
        The text of the file that `plan` was made from: what the user has not changed stays as
        others have written it since. None: all of the template becomes that of the plan.
    """

    def edit(document: Document) -> Document:
        entry = _entry_of(plan, {}) if is_new else _changed(plan, document, origin)
        _check(entry)
        if not is_new:
            return with_value(document, (_SECTION, plan.name), entry)
        templates = _templates(document)
        if plan.name in templates:
            raise UsageError(
                f"there is already a template '{plan.name}'", hint="Give another name."
            )
        if not templates:  # perhaps written as {}
            return with_value(document, (_SECTION,), {plan.name: entry})
        return add_entries(document, plan.entry)

    return edit


def _changed(plan: Plan, document: Document, origin: bytes | None) -> dict[str, Any]:
    """Return a template of a file, changed where the plan differs from what it was made from."""
    present = entry_in(document, plan.name)
    if origin is None or origin == document.source:
        return _entry_of(plan, present)
    before = entry_in(parse_yaml(document.path, origin), plan.name)
    merged: dict[str, Any] = _merged(before, _entry_of(plan, before), present)
    return merged


def _merged(before: Any, wanted: Any, present: Any) -> Any:
    """Return the present value with the difference of the wanted one; `_GONE` for no value."""
    if wanted == before:
        return present
    if not all(isinstance(one, dict) for one in (before, wanted, present)):
        return wanted
    names = [*present, *(name for name in wanted if name not in present)]
    pairs = (
        (name, _merged(*(one.get(name, _GONE) for one in (before, wanted, present))))
        for name in names
    )
    return {name: value for name, value in pairs if value is not _GONE}


def _templates(document: Document) -> dict[Any, Any]:
    data = document.data
    found = data.get(_SECTION) if isinstance(data, dict) and _SECTION in data else ()
    if found is not None and not isinstance(found, dict):
        raise ConfigError(
            f"{document.path}: '{_SECTION}:' is missing or has no names",
            hint="Run 'drawcli templates check', and correct the file with an editor.",
        )
    return found or {}


def _entry_of(plan: Plan, old: Mapping[str, Any]) -> dict[str, Any]:
    """Return a template as data of the file; what means the same stays as it is written."""
    wanted = {
        "description": plan.description or None,
        "models": plan.models,
        **{key: getattr(plan, key) for key in _LOOKS},
    }
    entry = {key: value for key, value in old.items() if value is None or wanted.get(key, value)}
    for key, value in wanted.items():
        before = old.get(key)
        if key == "description":
            same = " ".join(str(before or "").split()) == plan.description  # perhaps several lines
            new = before if same else value
        elif key == "models":
            new = _named(before, value, Model)
        else:
            new = _named(before, value, _LOOKS[key])
        if new:
            entry[key] = new
    return entry


def _named(old: Any, new: Mapping[Any, Any], record: type[Record]) -> dict[Any, Any]:
    """Return records by name, those of the file in its order first."""
    before = old if isinstance(old, dict) else {}
    kept = {name: _as_written(before[name], new[name], record) for name in before if name in new}
    return kept | {name: value for name, value in new.items() if name not in before}


def _as_written(old: Any, new: Mapping[str, Any], record: type[Record]) -> dict[str, Any]:
    before = old if isinstance(old, dict) else {}
    kept = {
        key: value
        if key not in new or _is_same(value, new[key], record.fields[key].kind)
        else new[key]
        for key, value in before.items()
        if key in new or (value is None and key in record.fields)
    }
    return kept | {key: value for key, value in new.items() if key not in before}


def _is_same(old: Any, new: Any, kind: Kind) -> bool:
    try:
        return bool(kind.read(old) == kind.read(new))
    except (Invalid, ValueError):
        return False


def _words(problem: Problem) -> str:
    """Return a problem with the names of where it is, as users know them."""
    at, before, after = problem
    return f"{before}{' '.join(map(str, at))}{after}".removeprefix(": ")


def _check(entry: Mapping[str, Any]) -> None:
    """Raise ConfigError with the problems of a template."""
    try:
        template = Template.read(entry)
    except Invalid as err:
        raise ConfigError("\n".join(map(_words, err.problems))) from None
    if template.duplicate_names:
        names = ", ".join(template.duplicate_names)
        raise ConfigError(f"two models draw the same structure: {names}", hint="Leave one out.")
