"""Which rule of the file a page or a form is about, who may see it, and what is proposed."""

from contextlib import suppress
from functools import partial
from typing import Final

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request

from drawcli.authoring.file_drafts import Edit
from drawcli.authoring.hidden_values import has_hidden_values
from drawcli.authoring.rule_edits import RulePlace, name_of, rules_in
from drawcli.dashboard.access.rights import Right, visitor_of
from drawcli.dashboard.editing.files import RULES
from drawcli.dashboard.editing.flow import Proposal
from drawcli.dashboard.editing.trial_pages import effect_of
from drawcli.dashboard.view import parts_of
from drawcli.errors import UsageError
from drawcli.system.printable import plain
from drawcli.system.yaml_read import Document, read_yaml

_HIDDEN: Final = (
    "This rule compares values that may identify a patient or a hospital. They are shown with "
    "--identify only, so it cannot be edited here without."
)


def proposal_of(request: Request, edit: Edit, summary: str, action: str) -> Proposal:
    """Return a change of rules.yaml."""
    return Proposal(
        file=RULES,
        edit=edit,
        summary=plain(" ".join(summary.split())),
        action=action,
        back=RULES.page,
        template="edit_rule_preview.html",
        effect=partial(effect_of, request),
    )


def place_of(form: FormData) -> RulePlace | None:
    """Return the rule that a form is about; None for a new one."""
    number = str(form.get("number", ""))
    if not number.isascii() or not number.isdecimal() or len(number) > 6:  # noqa: PLR2004 - digits
        return None
    return RulePlace(int(number), str(form.get("was", "")))


def place_shown(request: Request) -> tuple[RulePlace, Document]:
    """Return the rule of an address, and the file; 404 if there is none."""
    document = read_yaml(parts_of(request).site.ctx.settings.rules)
    rules, number = rules_in(document), request.path_params["number"] - 1
    if not 0 <= number < len(rules):
        raise HTTPException(404, "There is no such rule.")
    return RulePlace(number, name_of(rules[number])), document


def check_sent(request: Request, document: Document, place: RulePlace | None) -> None:
    """Raise 403 for a form about a rule with values that the user may not see."""
    with suppress(UsageError):  # the rule is gone: the answer says so
        if place is not None:
            check_shown(request, document, place._replace(number=place.find(document)))


def check_shown(request: Request, document: Document, place: RulePlace) -> None:
    """Raise 403 for a rule with values that the user may not see."""
    if visitor_of(request).may(Right.PATIENTS):
        return
    if has_hidden_values(document, ("rules", place.number)):
        raise HTTPException(403, _HIDDEN)
