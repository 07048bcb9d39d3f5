"""The form that asks the server for its catalogue."""

import re
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from drawcli.core.templates.template import NAME_PATTERN
from drawcli.dashboard.access.auth import SEE_OTHER, verified_form
from drawcli.dashboard.access.rights import Right, require
from drawcli.dashboard.view import parts_of

EDITOR: Final = "/edit/templates"


async def ask_server(request: Request) -> Response:
    """Ask the server for its catalogue; 403 without --allow-editing."""
    parts = parts_of(request)
    form = await verified_form(request)
    require(request, Right.EDIT)
    await run_in_threadpool(parts.catalogue.ask)
    return RedirectResponse(_back(form), SEE_OTHER)


def _back(form: FormData) -> str:
    """Return the address that a form came from: a template, the editor, or the list."""
    name = str(form.get("template", ""))
    is_known = re.fullmatch(NAME_PATTERN, name) is not None
    if form.get("to") == "editor":
        return f"{EDITOR}?template={name}&asked=1" if is_known else f"{EDITOR}?asked=1"
    return f"{f'/templates/{name}' if is_known else '/templates'}?asked=1#warnings"
