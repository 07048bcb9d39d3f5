"""The form of the editor of a template, and the plan that it describes."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from drawcli.adapters.server.catalogue_cache import Catalogue
from drawcli.authoring.new_template import ChosenStructure, Plan, structures_in
from drawcli.core.templates.catalogue import OfferedStructure
from drawcli.core.templates.template import NAME_PATTERN, Template
from drawcli.dashboard.template_pages.rows import (
    MOST_ROWS,
    Row,
    derived_fields,
    derived_in,
    drawn_fields,
    fields_of,
    look_in,
    rows_in,
    structure_in,
)
from drawcli.errors import ConfigError, UsageError

PICK: Final = "pick."  # and "720:1": a structure that was ticked in the catalogue
_PICKED: Final = re.compile(r"[0-9]{1,9}:[0-9]{1,9}")


class ServerStructure(NamedTuple):
    """A structure that a template may ask for: of the file as it is, or of the catalogue."""

    model: int
    facts: Mapping[str, Any]  # what the file says of the model, without its map
    number: int
    name: str
    offered: OfferedStructure | None

    @property
    def key(self) -> str:
        """The structure in a form."""
        return f"{self.model}:{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateForm:
    """What was typed."""

    original: str = ""  # the template that is changed; "": a new one
    first: str = ""  # the digest of the file that the form was made from
    name: str = ""
    description: str = ""
    search: str = ""
    drawn: Sequence[Row] = ()
    derived: Sequence[Row] = ()
    empty: Sequence[Row] = ()
    picks: frozenset[str] = field(default_factory=frozenset)  # "720:1", ticked and not added yet

    @classmethod
    def of_template(cls, name: str, template: Template) -> "TemplateForm":
        """Return the form of a template as it is."""
        looks = template.structures
        if sum(map(len, (template.drawn, template.derived, template.empty))) > MOST_ROWS:
            raise UsageError(f"{name} is too large for a form", hint="Change it with an editor.")
        keys = [
            (f"{model}:{number}", structure)
            for model, one in template.models.items()
            for number, structure in one.map.items()
        ]
        plain = {key: drawn_fields(looks[one]) if one in looks else {} for key, one in keys}
        return cls(
            original=name,
            name=name,
            description=template.description,
            drawn=_rows("s", [{"key": key} | fields for key, fields in plain.items()]),
            derived=_rows("d", [derived_fields(*pair) for pair in template.derived.items()]),
            empty=_rows("e", [{"name": one} | fields_of(e) for one, e in template.empty.items()]),
        )

    @classmethod
    def of_fields(cls, fields: Mapping[str, str]) -> "TemplateForm":
        """Return a form as it was sent."""
        picks = (name.removeprefix(PICK) for name in fields if name.startswith(PICK))
        return cls(
            original=fields.get("template", ""),
            first=fields.get("first", ""),
            name=fields.get("template", "") or fields.get("name", "").strip(),
            description=" ".join(fields.get("description", "").split()),
            search=fields.get("search", "")[:200],
            drawn=rows_in(fields, "s"),
            derived=rows_in(fields, "d"),
            empty=rows_in(fields, "e"),
            picks=frozenset(pick for pick in picks if _PICKED.fullmatch(pick)),
        )

    def with_picks(self) -> "TemplateForm":
        """Return the form with a row for each structure that was ticked."""
        known = {row.get("key") for row in self.drawn}
        new = sorted(self.picks - known, key=lambda key: [int(part) for part in key.split(":")])
        fields = [*(row.fields for row in self.drawn), *({"key": key} for key in new)]
        return replace(self, drawn=_rows("s", fields[:MOST_ROWS]), picks=frozenset())

    def with_blank_derived(self) -> "TemplateForm":
        """Return the form with an empty row for a derived structure."""
        return replace(self, derived=_rows("d", [*(row.fields for row in self.derived), {}]))

    def with_blank_empty(self) -> "TemplateForm":
        """Return the form with an empty row for an empty structure."""
        return replace(self, empty=_rows("e", [*(row.fields for row in self.empty), {}]))


def sources_of(entry: Mapping[str, Any], catalogue: Catalogue | None) -> dict[str, ServerStructure]:
    """Return the structures that a template may ask for, by their keys.

    Parameters
    ----------
    entry
        The template as the file has it; its names count, whatever the catalogue says.
    catalogue
        The server's catalogue, if there is a copy.
    """
    offered = {source.key: source for source in _offered(catalogue)} if catalogue else {}
    return offered | {source.key: source for source in _present(entry, offered)}


def plan_of(form: TemplateForm, sources: Mapping[str, ServerStructure]) -> Plan:
    """Return the template that a form describes.

    Raises
    ------
    ConfigError
        With one line for each problem of what was typed.
    """
    problems = list[str]()
    if not re.fullmatch(NAME_PATTERN, form.name):
        problems.append("the name of a template has letters, digits, _ and - only")
    plan = Plan(form.name, form.description)
    _add_drawn(plan, form.drawn, sources, problems)
    for row in _wanted(form.derived):
        name, rule = derived_in(row, problems.append)
        _put(plan.derived, name, rule, problems)
    for row in _wanted(form.empty):
        _put(plan.empty, row.get("name"), look_in(row, row.get("name"), problems.append), problems)
    if problems:
        raise ConfigError("\n".join(problems))
    return plan


def _add_drawn(
    plan: Plan, rows: Sequence[Row], sources: Mapping[str, ServerStructure], problems: list[str]
) -> None:
    for row in rows:
        source = sources.get(row.get("key"))
        if source is None:
            problems.append(f"the server's catalogue has no structure {row.get('key')[:20]}")
        elif not row.is_dropped:
            _add(plan, source, structure_in(row, source.name, problems.append))
    if not plan.models and not problems:
        problems.append("it has no structure: tick some in the catalogue")


def _put(
    rules: dict[str, dict[str, Any]], name: str, rule: dict[str, Any], problems: list[str]
) -> None:
    if name in rules:
        problems.append(f"there are two structures '{name}'")
    rules[name] = rule


def _wanted(rows: Sequence[Row]) -> Iterator[Row]:
    return (row for row in rows if not row.is_blank and not row.is_dropped)


def _add(plan: Plan, source: ServerStructure, look: dict[str, Any]) -> None:
    model = plan.models.setdefault(source.model, {**source.facts, "map": {}})
    model["map"][source.number] = source.name
    if look:
        plan.structures[source.name] = look


def _rows(kind: str, fields: Sequence[Mapping[str, str]]) -> list[Row]:
    return [Row(f"{kind}{number}", one) for number, one in enumerate(fields)]


def _offered(catalogue: Catalogue) -> Iterator[ServerStructure]:
    for chosen in structures_in(catalogue.offers) if catalogue.offers else ():
        yield _source(chosen)


def _source(chosen: ChosenStructure) -> ServerStructure:
    plan = Plan("")
    plan.add(chosen)
    ((number, model),) = plan.models.items()
    facts = {key: value for key, value in model.items() if key != "map"}
    return ServerStructure(number, facts, chosen.number, chosen.name, chosen.structure)


def _present(
    entry: Mapping[str, Any], offered: Mapping[str, ServerStructure]
) -> Iterator[ServerStructure]:
    for model, facts in entry.get("models", {}).items():
        for number, name in facts["map"].items():
            known = offered.get(f"{model}:{number}")
            plain = {key: value for key, value in facts.items() if key != "map"}
            yield ServerStructure(model, plain, number, name, known.offered if known else None)
