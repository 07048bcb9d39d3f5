"""The form of a rule: a new one, one from the header of a series, or one of the file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from drawcli.authoring.new_rule import free_name
from drawcli.authoring.picks import USUAL, parse_value, pickable_elements
from drawcli.authoring.rule_edits import (
    RulePlace,
    name_of,
    rule_added,
    rule_changed,
    rules_in,
)
from drawcli.authoring.rule_form import Group, Line, RuleForm, form_of
from drawcli.core.rules.conditions import RuleHeader
from drawcli.core.rules.operators import OPERATORS
from drawcli.core.rules.withheld import is_withheld
from drawcli.dashboard.access.rights import Right, require, visitor_of
from drawcli.dashboard.editing.flow import (
    BASE,
    INVALID,
    Proposal,
    Step,
    answer,
    step_of,
)
from drawcli.dashboard.editing.kept_forms import editing
from drawcli.dashboard.editing.rule_fields import USE, after_button, form_from, pressed
from drawcli.dashboard.editing.rule_places import (
    check_sent,
    check_shown,
    place_of,
    place_shown,
    proposal_of,
)
from drawcli.dashboard.editing.rule_text_pages import TextShown, rule_text, text_page
from drawcli.dashboard.editing.rule_words import OPERATOR_WORDS, OPTION_WORDS
from drawcli.dashboard.editing.trial_pages import tried
from drawcli.dashboard.view import page, parts_of
from drawcli.errors import ConfigError, DrawcliError, UsageError
from drawcli.system.yaml_read import Document, read_yaml

FORM: Final = "/edit/rules/form"
_TRY: Final = "try"
_FIRST: Final = ("Modality", "ProtocolName", "BodyPartExamined")  # conditions to begin with
_MOST_ELEMENTS: Final = 60
_JOB: Final = re.compile(r"[0-9a-f]{4,64}(?:-[0-9]{1,6})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Around:
    """What the form of a rule needs beside what was typed."""

    document: Document
    place: RulePlace | None  # None: a new rule
    job: str = ""  # the series that a new rule is made from
    header: RuleHeader | None = None
    why: str = ""  # its images cannot be read
    base: str = ""
    first: str = ""  # digest of the file that the form was made from

    @property
    def others(self) -> set[str]:
        """The names of the other rules."""
        names = {name_of(rule) for rule in rules_in(self.document)}
        return names - {self.place.name} if self.place else names


def new_rule(request: Request) -> Response:
    """Show the form of a new rule, with conditions of a series if a job is given."""
    require(request, Right.EDIT)
    job = request.query_params.get("job", "")
    around = _around(request, None, job)
    offered = [path for path in _FIRST if path in _offered(request, around)]
    lines = tuple(line for path in offered for line in _lines_of(path, around))
    return _form_page(request, RuleForm(when=Group("all", lines or (Line(),))), around)


def edit_rule(request: Request) -> Response:
    """Show the form of a rule, or its text if the form cannot show it."""
    require(request, Right.EDIT)
    place, document = place_shown(request)
    check_shown(request, document, place)
    base = parts_of(request).seen.remember(document.source)
    try:
        form = form_of(rules_in(document)[place.number])
    except UsageError as err:
        return text_page(request, TextShown(place, base, rule_text(document, place)), [err.hint])
    around = _Around(document=document, place=place, base=base, first=base)
    return _form_page(request, form, around)


@editing
async def submit_rule(request: Request, form: FormData) -> Response:
    """Answer the form of a rule: a button for conditions, a trial, the diff, or the save."""
    around = await run_in_threadpool(_around, request, place_of(form), str(form.get("job", "")))
    await run_in_threadpool(check_sent, request, around.document, around.place)
    base, first = (str(form.get(name, "")) for name in (BASE, "first"))
    around = replace(around, base=base, first=first or base)
    try:
        rule = form_from(form)
    except UsageError as err:
        raise HTTPException(413, str(err)) from None
    if around.place is None and not rule.name:
        template = None if rule.exclude else next(iter(rule.templates), "")
        rule = rule if template == "" else replace(rule, name=free_name(template, around.others))
    button, at = pressed(form)
    if button:
        is_offered = button == USE and at in _offered(request, around)
        lines = _lines_of(at, around) if is_offered else ()
        after = after_button(rule, button, at, lines)
        return await run_in_threadpool(_form_page, request, after, around)
    if form.get("step") == _TRY:
        return await tried(
            request, form, _proposed(request, rule, around), rule.problems(around.others)
        )
    if step_of(form) is Step.EDIT:
        return await run_in_threadpool(_form_page, request, rule, around)
    again = partial(_form_page, request, rule, around)
    if rule.problems(around.others):
        return await run_in_threadpool(again, ["Some fields are not right yet; see below."])
    return await answer(request, form, _proposed(request, rule, around), again)


def _proposed(request: Request, rule: RuleForm, around: _Around) -> Proposal:
    """Return the change that a form describes."""
    if around.place is None:
        ctx = parts_of(request).site.ctx
        edit = rule_added(rule, around.header, ctx)
        return proposal_of(request, edit, f"Add rule {rule.name}", FORM)
    origin = parts_of(request).seen.get(around.first)
    edit = rule_changed(around.place, rule, origin)
    return proposal_of(request, edit, f"Change rule {around.place.name or rule.name}", FORM)


def _around(request: Request, place: RulePlace | None, job: str) -> _Around:
    site = parts_of(request).site
    try:
        document = read_yaml(site.ctx.settings.rules)
    except ConfigError:  # somebody left it broken: what was typed is shown again nevertheless
        document = Document(site.ctx.settings.rules, None, b"", {})
    base = parts_of(request).seen.remember(document.source)
    around = _Around(document=document, place=place, base=base, first=base)
    if not _JOB.fullmatch(job) or place is not None:
        return around
    found = site.job(job)
    try:
        header = parts_of(request).trials.headers.header(found, site)
    except (OSError, DrawcliError):
        return replace(around, why="The images of this series can no longer be read.")
    return replace(around, job=found.id, header=header)


def _offered(request: Request, around: _Around) -> Mapping[str, tuple[str, ...]]:
    """Return the elements of the series that conditions may use, with their values."""
    if around.header is None:
        return {}
    shows = visitor_of(request).may(Right.PATIENTS)
    found = pickable_elements(around.header).items()
    allowed = [(path, values) for path, values in found if shows or not is_withheld(path)]
    return dict(allowed[:_MOST_ELEMENTS])


def _lines_of(path: str, around: _Around) -> tuple[Line, ...]:
    """Return the conditions that a series meets by one of its elements: one for each value."""
    values = around.header.values.get(path, ()) if around.header else ()
    texts = dict.fromkeys(str(parse_value(value, path)) for value in values if value)
    return tuple(
        Line(path, "equals", text.lower() if text in ("True", "False") else text) for text in texts
    )


def _form_page(
    request: Request, rule: RuleForm, around: _Around, problems: list[str] | None = None
) -> Response:
    """Return the form of a rule, with problems beside the fields if it was submitted."""
    shown = rule.problems(around.others) if problems else {}
    names = parts_of(request).site.template_names()
    return page(
        request,
        "edit_rule.html",
        status=INVALID if problems else 200,
        rule=rule,
        around=around,
        at=shown,
        warnings=rule.warnings,
        problems=problems or [],
        templates=[*names, *(name for name in rule.templates if name not in names)],
        elements=_offered(request, around),
        usual=USUAL,
        operators={name: OPERATOR_WORDS.get(name, name) for name in OPERATORS},
        options=OPTION_WORDS,
    )
