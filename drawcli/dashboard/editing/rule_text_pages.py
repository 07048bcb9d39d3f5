"""The text of one rule in a field; the order of the rules, their switches, deletion."""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final, NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from drawcli.authoring.file_drafts import Edit
from drawcli.authoring.rule_edits import (
    RulePlace,
    rule_deleted,
    rule_moved,
    rule_switched,
    rule_text_changed,
)
from drawcli.dashboard.access.rights import Right, require
from drawcli.dashboard.editing.flow import BASE, INVALID, Step, answer, step_of
from drawcli.dashboard.editing.kept_forms import editing
from drawcli.dashboard.editing.rule_places import (
    check_sent,
    check_shown,
    place_of,
    place_shown,
    proposal_of,
)
from drawcli.dashboard.view import page, parts_of
from drawcli.errors import ConfigError, DrawcliError
from drawcli.system.yaml_read import Document, read_yaml
from drawcli.system.yaml_text.splice import entry_text

TEXT: Final = "/edit/rules/text"
ORDER: Final = "/edit/rules/order"
_MOVES: Final[dict[str, tuple[str, Callable[[RulePlace], Edit]]]] = {
    "up": ("Move rule {} up", partial(rule_moved, by=-1)),
    "down": ("Move rule {} down", partial(rule_moved, by=1)),
    "enable": ("Enable rule {}", partial(rule_switched, on=True)),
    "disable": ("Disable rule {}", partial(rule_switched, on=False)),
    "delete": ("Delete rule {}", rule_deleted),
}


class TextShown(NamedTuple):
    """The text of a rule in a field."""

    place: RulePlace
    base: str  # digest of the file
    text: str


def edit_rule_text(request: Request) -> Response:
    """Show the text of a rule in a field."""
    require(request, Right.EDIT)
    place, document = place_shown(request)
    check_shown(request, document, place)
    base = parts_of(request).seen.remember(document.source)
    shown = TextShown(place, base, rule_text(document, place))
    return text_page(request, shown, [])


@editing
async def submit_rule_text(request: Request, form: FormData) -> Response:
    """Answer the text of a rule: the diff, or the save."""
    place = place_of(form)
    if place is None:
        raise HTTPException(400, "The form cannot be read.")
    await run_in_threadpool(_check_sent, request, place)
    text = str(form.get("text", "")).replace("\r\n", "\n")
    shown = TextShown(place, str(form.get(BASE, "")), text)

    def again(problems: list[str]) -> Response:
        return text_page(request, shown, problems, INVALID if problems else 200)

    if step_of(form) is Step.EDIT:
        return await run_in_threadpool(again, [])
    try:
        edit = await run_in_threadpool(rule_text_changed, place, text)
    except DrawcliError as err:
        problems = [*str(err).splitlines(), *([err.hint] if err.hint else [])]
        return await run_in_threadpool(again, problems)
    what = proposal_of(request, edit, f"Change rule {place.name or place.number + 1}", TEXT)
    return await answer(request, form, what, again)


def _check_sent(request: Request, place: RulePlace) -> None:
    with suppress(ConfigError):  # somebody left the file broken: the answer says so
        check_sent(request, read_yaml(parts_of(request).site.ctx.settings.rules), place)


@editing
async def submit_order(request: Request, form: FormData) -> Response:
    """Move, switch on or off, or delete a rule: show the diff, or save it."""
    place, asked = place_of(form), str(form.get("op", ""))
    if place is None or asked not in _MOVES:
        raise HTTPException(400, "The form cannot be read.")
    summary, edit = _MOVES[asked]
    title = summary.format(place.name or place.number + 1)

    def again(problems: list[str]) -> Response:
        return page(request, "edit_refused.html", status=INVALID, title=title, problems=problems)

    if step_of(form) is Step.EDIT:
        return await run_in_threadpool(again, [])
    return await answer(request, form, proposal_of(request, edit(place), title, ORDER), again)


def rule_text(document: Document, place: RulePlace) -> str:
    """Return the text of a rule."""
    return entry_text(document, ("rules", place.number))


def text_page(
    request: Request, shown: TextShown, problems: list[str], status: int = 200
) -> Response:
    """Return the page with the text of a rule in a field."""
    return page(request, "edit_rule_text.html", status=status, shown=shown, problems=problems)
