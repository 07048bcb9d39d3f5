"""Creates templates from the structures that the server offers, or from files of other systems."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from drawcli.adapters.rulebook.rulebook import site_rulebook
from drawcli.adapters.server.catalogue_cache import Catalogue
from drawcli.core.templates.catalogue import CatalogueModel, OfferedStructure
from drawcli.core.templates.eclipse import EclipseStructure, read_eclipse
from drawcli.core.templates.template import NAME_PATTERN
from drawcli.core.templates.tg263 import nearest_name
from drawcli.errors import ConfigError, UsageError
from drawcli.pipeline.context import Context
from drawcli.system.records import suggest
from drawcli.system.yaml_edit import YamlEntry, add_entries, flow_style, replace_file
from drawcli.system.yaml_read import Document, read_yaml

_DIGITS: Final = re.compile(r"\s*[0-9]{1,9}\s*")
_NUMBERED: Final = re.compile(r"(\d+):(.+)")
_OF_A_MODEL: Final = ("name", "config", "trainer_name", "postprocess", "map")
_LARGEST: Final = 10_000_001  # bytes; one more than core.eclipse accepts


@dataclass(frozen=True, slots=True)
class ChosenStructure:
    """A structure of a model of the server."""

    offer: CatalogueModel
    number: int

    @property
    def name(self) -> str:
        """Its name on the server."""
        return self.structure.name

    @property
    def structure(self) -> OfferedStructure:
        """Its entry in the catalogue."""
        return self.offer.structures[self.number]


@dataclass(slots=True)
class Plan:
    """A template that is not written yet."""

    name: str
    description: str = ""
    models: dict[int, dict[str, Any]] = field(default_factory=dict)
    structures: dict[str, dict[str, Any]] = field(default_factory=dict)  # appearance, by name
    derived: dict[str, dict[str, Any]] = field(default_factory=dict)
    empty: dict[str, dict[str, Any]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)  # what was left out, and why

    def add(self, chosen: ChosenStructure) -> None:
        """Add a structure; adding it again changes nothing."""
        offer = chosen.offer
        model = self.models.setdefault(
            offer.model_id,
            {
                "name": offer.name,
                "config": offer.config,
                "trainer_name": offer.trainer_name,
                "postprocess": offer.postprocess,
                "map": {},
            },
        )
        model["map"][chosen.number] = chosen.name

    @property
    def entry(self) -> YamlEntry:
        """The template as an entry of templates.yaml."""
        return YamlEntry("templates", tuple(self._lines()))

    def _lines(self) -> Iterator[str]:
        yield f"{flow_style(self.name)}:"
        if self.description:
            yield f"  description: {flow_style(self.description)}"
        yield "  models:"
        for number, model in self.models.items():
            yield f"    {flow_style(number)}:"
            yield from (
                f"      {key}: {flow_style(value)}" for key, value in model.items() if key != "map"
            )
            yield "      map:"
            structures = sorted(
                model.get("map", {}).items(), key=lambda entry: str(entry[0]).zfill(9)
            )
            yield from (
                f"        {flow_style(place)}: {flow_style(name)}" for place, name in structures
            )
        for key in ("structures", "derived", "empty"):
            named: dict[str, dict[str, Any]] = getattr(self, key)
            if named:
                yield f"  {key}:"
            yield from (
                f"    {flow_style(name)}: {flow_style(value)}" for name, value in named.items()
            )


@dataclass(frozen=True, slots=True)
class NewTemplates:
    """Checked new templates; nothing is written until `write`."""

    plans: tuple[Plan, ...]
    before: Document
    after: Document

    def write(self) -> None:
        """Add them to templates.yaml; raise ConfigError if that changed meanwhile."""
        replace_file(self.before, self.after)


def compose(plans: Sequence[Plan], ctx: Context) -> NewTemplates:
    """Check new templates together with the existing ones.

    Raises
    ------
    UsageError
        If a name is in use.
    ConfigError
        If one could not be sent; it lists every reason.
    """
    names = [plan.name for plan in plans]
    for number, name in enumerate(names):
        if name in ctx.rulebook.templates or name in names[:number]:
            raise UsageError(f"there is already a template '{name}'", hint="Give another name.")
    before = read_yaml(ctx.settings.templates)
    after = add_entries(before, *(plan.entry for plan in plans))
    try:
        site_rulebook(ctx.settings, templates=after)
    except ConfigError as err:
        raise ConfigError(
            str(err), hint="Nothing was written; line numbers are those after the change."
        ) from None
    return NewTemplates(tuple(plans), before, after)


def find_structure(word: str, catalogue: Catalogue) -> ChosenStructure:
    """Return the structure for a NAME, MODEL:NAME or MODEL:NUMBER.

    Raises
    ------
    UsageError
        If no model offers it, or several do.
    """
    found = _NUMBERED.fullmatch(word.strip())
    model, wanted = (int(found[1]), found[2].strip()) if found else (None, word.strip())
    every = list(structures_in(catalogue.offers, model))
    name = wanted.casefold()
    fits = [offered for offered in every if name in (offered.name.casefold(), str(offered.number))]
    if model is None:
        fits = [offered for offered in fits if offered.name.casefold() == name]
    if not fits:
        near = suggest(wanted, (offered.name for offered in every))
        of_it = f" of model {model}" if model is not None else ""
        raise UsageError(f"the server offers no structure '{wanted}'{of_it}{near}")
    if len(fits) > 1:
        ways = ", ".join(f"{offered.offer.model_id}:{offered.name}" for offered in fits)
        raise UsageError(f"{len(fits)} models draw {wanted}", hint=f"Select one: {ways}.")
    return fits[0]


def structures_in(
    offers: Iterable[CatalogueModel], model: int | None = None
) -> Iterator[ChosenStructure]:
    """Yield the structures of one model, or of all.

    Raises
    ------
    UsageError
        If there is no such model.
    """
    known = list(offers)
    wanted = [offer for offer in known if model in (None, offer.model_id)]
    if not wanted:
        ids = ", ".join(str(offer.model_id) for offer in known)
        raise UsageError(f"the server offers no model {model}", hint=f"It offers {ids}.")
    for offer in wanted:
        yield from (ChosenStructure(offer, number) for number in offer.structures)


def import_template(path: Path, catalogue: Catalogue | None, *, empty: bool = False) -> Plan:
    """Return the template in a file of a DRAW client (YAML) or of Eclipse (XML).

    Parameters
    ----------
    path
        The file.
    catalogue
        What the server offers, for templates of Eclipse.
    empty
        Whether structures of Eclipse that no model draws are requested as empty structures.

    Raises
    ------
    ConfigError
        If it is neither; UsageError if an Eclipse template is imported without a catalogue.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(_LARGEST)
    except OSError as err:
        raise ConfigError(f"{path}: {err.strerror}") from None
    if data.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"<"):
        return _of_eclipse(path, data, catalogue, empty=empty)
    return _of_client(path, read_yaml(path).data)


def _of_client(path: Path, data: Any) -> Plan:
    """Return the template in a file of a DRAW client."""
    models = data.get("models") if isinstance(data, dict) else None
    if not isinstance(models, dict) or not isinstance(data.get("name"), str):
        raise ConfigError(f"{path}: not a template of a DRAW client: 'name' or 'models' is missing")
    plan = Plan(_name(data["name"], path))
    if plan.name != data["name"]:
        plan.remarks.append(f"{data['name']} became {plan.name}: letters, digits, _ and - only")
    left = [str(key) for key in data if key not in ("name", "protocol", "models")]
    for number, model in models.items():
        if not isinstance(model, dict) or not isinstance(model.get("map"), dict):
            raise ConfigError(f"{path}: model {number} has no map of structures")
        left += [f"{number}.{key}" for key in model if key not in _OF_A_MODEL]
        kept = {key: model.get(key) for key in _OF_A_MODEL}
        kept["map"] = {_number(place): name for place, name in model["map"].items()}
        if str(kept["postprocess"]).strip().casefold() in ("null", "none", ""):
            kept["postprocess"] = None
        plan.models[_number(number)] = kept
    if left:
        plan.remarks.append(f"left out, because the server refuses them: {', '.join(left)}")
    return plan


def _of_eclipse(path: Path, data: bytes, catalogue: Catalogue | None, *, empty: bool) -> Plan:
    """Return the structures of an Eclipse template that the server offers, others as `empty`."""
    try:
        template = read_eclipse(data)
    except ValueError as err:
        raise ConfigError(f"{path}: {err}") from None
    if catalogue is None:
        raise UsageError(
            "there is no catalogue of the server yet",
            hint="Run 'drawcli templates pull' first, then import the template again.",
        )
    plan = Plan(_name(template.name, path), f"from the Eclipse template {template.name}".strip())
    every, missing = list(structures_in(catalogue.offers)), []
    for asked in template.structures:
        fits = [offered for offered in every if _is_same(asked.name, offered.name)]
        fits.sort(
            key=lambda fit: (fit.offer.model_id not in plan.models, -(fit.structure.dice or 0))
        )
        taken = {name for model in plan.models.values() for name in model["map"].values()}
        if not fits or fits[0].name in taken:
            missing.append(asked)
            continue
        plan.add(fits[0])
        if look := _look(asked, fits[0].name):
            plan.structures[fits[0].name] = look
    if empty:
        plan.empty = {asked.name: _look(asked, asked.name) for asked in missing}
    elif missing:
        names = ", ".join(asked.name for asked in missing)
        plan.remarks.append(f"no model draws: {names}; --empty adds them as empty structures")
    return plan


def _is_same(name: str, offered: str) -> bool:
    """Return whether two names mean the same structure of TG-263."""
    return name.casefold() == offered.casefold() or (
        nearest_name(name) is not None and nearest_name(name) == nearest_name(offered)
    )


def _look(asked: EclipseStructure, name: str) -> dict[str, Any]:
    look = {
        "label": asked.name if asked.name != name else None,
        "color": list(asked.color) if asked.color else None,
        "type": asked.type,
    }
    return {key: value for key, value in look.items() if value is not None}


def plain_name(name: str) -> str:
    """Return a valid template name made from a text; "" if no character of it is allowed."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", name.strip()).strip("_")[:128]


def _name(name: str, path: Path) -> str:
    """Return a valid template name; raise ConfigError if none can be made."""
    plain = plain_name(name)
    if not re.fullmatch(NAME_PATTERN, plain):
        raise ConfigError(f"{path}: the template has no name")
    return plain


def _number(key: Any) -> Any:
    """Return a quoted number as int, any other key unchanged."""
    return int(key) if isinstance(key, str) and _DIGITS.fullmatch(key) else key
