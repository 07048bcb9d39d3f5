"""The editor of a template: its form, and what its buttons do."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from drawcli.adapters.server.catalogue_cache import load_catalogue
from drawcli.authoring.template_edit import template_edit
from drawcli.core.templates.appearance import ROI_TYPES
from drawcli.core.templates.template import Template
from drawcli.core.templates.tg263 import is_standard, nearest_name, primary_names
from drawcli.dashboard.access.rights import Right, require
from drawcli.dashboard.editing.files import TEMPLATES
from drawcli.dashboard.editing.flow import BASE, INVALID, STEP, Proposal, answer, base_of
from drawcli.dashboard.editing.kept_forms import editing
from drawcli.dashboard.template_pages.asking import EDITOR
from drawcli.dashboard.template_pages.catalogue_search import search
from drawcli.dashboard.template_pages.form import ServerStructure, TemplateForm, plan_of, sources_of
from drawcli.dashboard.template_pages.operations import OPERATIONS_SHOWN
from drawcli.dashboard.template_pages.rows import NO_TYPE, Row
from drawcli.dashboard.template_pages.volumes import StructureVolumes, recent_volumes
from drawcli.dashboard.view import page, parts_of
from drawcli.errors import ConfigError, UsageError

_AGAIN: Final[Mapping[str, Callable[[TemplateForm], TemplateForm]]] = {  # steps that show the form
    "search": lambda form: form,
    "add": lambda form: replace(form.with_picks(), search=""),
    "edit": TemplateForm.with_picks,
    "derived": lambda form: form.with_picks().with_blank_derived(),
    "empty": lambda form: form.with_picks().with_blank_empty(),
}


@dataclass(frozen=True, slots=True)
class _Around:
    """What the editor shows beside what was typed."""

    sources: Mapping[str, ServerStructure]
    volumes: Mapping[str, StructureVolumes]
    pulled: datetime | None  # when the catalogue was asked for; None: there is no copy


def edit_template(request: Request) -> Response:
    """Show the form of a template, or of a new one; 403 without --allow-editing."""
    require(request, Right.EDIT)
    name = request.query_params.get("template", "")
    base = base_of(request, TEMPLATES)
    found = _template(request, name)
    form = TemplateForm.of_template(name, found) if found else TemplateForm()
    return _shown(request, replace(form, first=base), _around(request, name, found), base, [])


@editing
async def change_template(request: Request, sent: FormData) -> Response:
    """Show the form again with what a button asked for, or the changed lines, or save them."""
    form = TemplateForm.of_fields({name: str(value) for name, value in sent.items()})
    base, step = str(sent.get(BASE, "")), str(sent.get(STEP, ""))
    around, problems = await run_in_threadpool(_present, request, form.original)
    if step in _AGAIN or problems:
        shown = _AGAIN.get(step, TemplateForm.with_picks)(form)
        return await run_in_threadpool(_shown, request, shown, around, base, problems)
    form = form.with_picks()
    again = partial(_shown, request, form, around, base)
    try:
        plan = plan_of(form, around.sources)
    except ConfigError as err:
        return await run_in_threadpool(again, str(err).splitlines())
    is_new = not form.original
    origin = None if is_new else parts_of(request).seen.get(form.first)
    what = Proposal(
        file=TEMPLATES,
        edit=template_edit(plan, is_new=is_new, origin=origin),
        summary=f"{'New template' if is_new else 'Template'} {plan.name}",
        action=EDITOR,
        back=f"/templates/{plan.name}",
    )
    return await answer(request, sent, what, again)


def _template(request: Request, name: str) -> Template | None:
    """Return the template to change; None for a new one. UsageError if there is none."""
    return parts_of(request).site.rulebook().template_named(name) if name else None


def _present(request: Request, name: str) -> tuple[_Around, list[str]]:
    """Return what is shown beside a form, and why it cannot be saved now.

    Somebody may have removed the template, or left the file invalid: what was typed stays.
    """
    try:
        return _around(request, name, _template(request, name)), []
    except (ConfigError, UsageError) as err:
        return _around(request, "", None), [*str(err).splitlines(), err.hint]


def _around(request: Request, name: str, found: Template | None) -> _Around:
    site = parts_of(request).site
    catalogue = load_catalogue(site.ctx.settings.state_dir)
    plain = found.as_plain() if found else {}
    volumes = recent_volumes(name, found, site) if found else {}
    return _Around(sources_of(plain, catalogue), volumes, catalogue.at if catalogue else None)


def _shown(
    request: Request, form: TemplateForm, around: _Around, base: str, problems: Sequence[str]
) -> Response:
    drawn = [(row, around.sources.get(row.get("key"))) for row in form.drawn]
    taken = {source.name: source for row, source in drawn if source and not row.is_dropped}
    return page(
        request,
        "template_edit.html",
        status=INVALID if problems else 200,
        form=form,
        base=base,
        problems=problems,
        drawn=drawn,
        volumes=around.volumes,
        found=search(around.sources.values(), form.search, form.picks, taken),
        pulled=around.pulled,
        asking=parts_of(request).catalogue,
        asked="asked" in request.query_params,
        names=[*taken, *(row.get("name") for row in form.derived if row.get("name"))],
        types=[one for one in ROI_TYPES if one],
        no_type=NO_TYPE,
        operations=OPERATIONS_SHOWN,
        blank_derived=any(not row.get("operation") for row in form.derived),
        hint=_hint,
        standard_names=primary_names(),
        action=EDITOR,
    )


def _hint(row: Row, name: str = "") -> str:
    """Return what TG-263 says of the name under which a structure is delivered; "": nothing."""
    shown = row.get("label") or name or row.get("name")
    if not shown or is_standard(shown):
        return ""
    near = nearest_name(shown)
    return f"{shown} is not a TG-263 name" + (f"; nearest {near}" if near else "")
