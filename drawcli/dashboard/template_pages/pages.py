"""The list of templates, and everything about one of them."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from starlette.requests import Request
from starlette.responses import Response

from drawcli.adapters.rulebook.rulebook import Rulebook
from drawcli.adapters.server.catalogue_cache import Catalogue, load_catalogue
from drawcli.core.jobs.job import Job
from drawcli.core.rules.conditions import Rule
from drawcli.core.templates.appearance import Derived, Look, Structure
from drawcli.core.templates.catalogue import OfferedStructure, unmet_requests
from drawcli.core.templates.template import Template, server_file
from drawcli.dashboard.snapshot import SiteReader
from drawcli.dashboard.template_pages.operations import OPERATIONS_SHOWN, Operation
from drawcli.dashboard.template_pages.volumes import StructureVolumes, recent_volumes
from drawcli.dashboard.view import page, parts_of
from drawcli.errors import ConfigError
from drawcli.pipeline.explain import lint_templates


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnRow:
    """A structure that a model draws."""

    name: str
    model: int
    number: int
    look: Structure
    offered: OfferedStructure | None  # its entry in the server's catalogue
    volumes: StructureVolumes

    @property
    def limits(self) -> str:
        """The limits of its volume, cm3; "" without."""
        if self.look.volume_cm3 is None:
            return ""
        low, high = self.look.volume_cm3
        return f"{low:,.10g} to {high:,.10g} cm³"

    @property
    def presence(self) -> str:
        """What `required` means, in words."""
        return _PRESENCE[self.look.required]


_PRESENCE: Mapping[bool | None, str] = {
    True: "needs contours",
    False: "may be missing",
    None: "may be empty",
}


@dataclass(frozen=True, slots=True)
class DerivedRow:
    """A structure that is computed here."""

    name: str
    look: Derived
    operation: Operation
    volumes: StructureVolumes

    @property
    def sentence(self) -> str:
        """What it is computed from."""
        rule = self.look
        first = ", ".join(rule.sources)
        if rule.operation == "crop":
            side = "inside" if rule.inside else "outside"
            first = f"{rule.crop}, {side} of {rule.inside or rule.outside}"
        lengths = [f"{rule.mm:g} mm" if rule.mm else "", f"{rule.cm3:g} cm³" if rule.cm3 else ""]
        return ", ".join(filter(None, [f"{self.operation.title} of {first}", *lengths]))


@dataclass(frozen=True, slots=True, kw_only=True)
class TemplateRow:
    """A template in the list."""

    name: str
    template: Template
    looks: Mapping[str, Look | None]  # by delivered name
    rules: Sequence[str]
    jobs: int
    held: int
    warnings: int


def templates(request: Request) -> Response:
    """List the templates."""
    site = parts_of(request).site
    catalogue = load_catalogue(site.ctx.settings.state_dir)
    try:
        book, broken = site.rulebook(), list[str]()
    except ConfigError as err:
        book, broken = None, [*str(err).splitlines(), *([err.hint] if err.hint else [])]
    return page(
        request,
        "templates.html",
        rows=list(_rows(book, catalogue, site)) if book else [],
        broken=broken,
        catalogue=catalogue,
        asking=parts_of(request).catalogue,
        asked="asked" in request.query_params,
    )


def template(request: Request) -> Response:
    """Show a template: structures, limits and recent volumes, models, rules, warnings."""
    site = parts_of(request).site
    name = request.path_params["template"]
    book = site.rulebook()
    found = book.template_named(name)
    catalogue = load_catalogue(site.ctx.settings.state_dir)
    volumes = recent_volumes(name, found, site)
    jobs, held = _counts(site.snapshot().jobs)
    return page(
        request,
        "template.html",
        name=name,
        template=found,
        structures=list(_structures(found, catalogue, volumes)),
        derived=[
            DerivedRow(one, rule, OPERATIONS_SHOWN[rule.operation], volumes[one])
            for one, rule in found.derived.items()
        ],
        rules=_rules_of(name, book),
        warnings=template_warnings(name, book, catalogue),
        catalogue=catalogue,
        asking=parts_of(request).catalogue,
        asked="asked" in request.query_params,
        saved=_saved(request.query_params.get("saved", "")),
        file=server_file(name, found).decode("utf-8"),
        jobs=jobs[name],
        held_jobs=held[name],
    )


def template_warnings(name: str, book: Rulebook, catalogue: Catalogue | None) -> list[str]:
    """Return the warnings of `templates check` about one template, without its name."""
    one = {name: book.templates[name]}
    found = [*lint_templates(replace(book, templates=one))]
    if catalogue is not None:
        found += unmet_requests(one, catalogue.offers)
    return [words.removeprefix(f"template {name}: ") for words in found]


def _saved(commit: str) -> str:
    """Return that the template was saved, by what the editor adds to the address; "" otherwise."""
    if not re.fullmatch(r"yes|[0-9a-f]{7,40}", commit):
        return ""
    kept = "the file is not under git" if commit == "yes" else f"commit {commit}"
    return f"The template is saved; {kept}."


def _rows(book: Rulebook, catalogue: Catalogue | None, site: SiteReader) -> Iterator[TemplateRow]:
    jobs, held = _counts(site.snapshot().jobs)
    for name, one in book.templates.items():
        yield TemplateRow(
            name=name,
            template=one,
            looks=looks_of(one),
            rules=[rule.name for _, rule in _rules_of(name, book)],
            jobs=jobs[name],
            held=held[name],
            warnings=len(template_warnings(name, book, catalogue)),
        )


def looks_of(template: Template) -> dict[str, Look | None]:
    """Return the structures in the planning system: delivered name and appearance, in order."""
    looks: dict[str, Look | None] = {name: template.structures.get(name) for name in template.drawn}
    looks |= {name: rule for name, rule in template.derived.items() if not rule.hidden}
    looks |= template.empty
    return {(look and look.label) or name: look for name, look in looks.items()}


def _counts(jobs: Sequence[Job]) -> tuple[Counter[str], Counter[str]]:
    """Return how many jobs each template has, and how many of them are held."""
    return (
        Counter(job.template or "" for job in jobs),
        Counter(job.template or "" for job in jobs if job.held),
    )


def _rules_of(name: str, book: Rulebook) -> list[tuple[int, Rule]]:
    """Return the rules that lead to a template, with their numbers on the page of rules."""
    every = enumerate(book.rules, start=1)
    return [(number, rule) for number, rule in every if name in rule.templates]


def _structures(
    template: Template, catalogue: Catalogue | None, volumes: Mapping[str, StructureVolumes]
) -> Iterator[DrawnRow]:
    offers = {offer.model_id: offer for offer in catalogue.offers} if catalogue else {}
    for number, model in template.models.items():
        offered = offers[number].structures if number in offers else {}
        for place, name in model.map.items():
            yield DrawnRow(
                name=name,
                model=number,
                number=place,
                look=template.structures.get(name) or Structure(),
                offered=offered.get(place),
                volumes=volumes[name],
            )
