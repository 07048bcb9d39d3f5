"""The form that asks the server for its catalogue."""

import re

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from drawcli.core.templates.template import NAME_PATTERN
from drawcli.dashboard.access.auth import SEE_OTHER, verified_form
from drawcli.dashboard.access.rights import Right, require
from drawcli.dashboard.view import parts_of


async def ask_server(request: Request) -> Response:
    """Ask the server for its catalogue; 403 without --allow-editing."""
    parts = parts_of(request)
    form = await verified_form(request)
    require(request, Right.EDIT)
    await run_in_threadpool(parts.catalogue.ask)
    name = str(form.get("template", ""))
    back = f"/templates/{name}" if re.fullmatch(NAME_PATTERN, name) else "/templates"
    return RedirectResponse(f"{back}?asked=1#warnings", SEE_OTHER)
