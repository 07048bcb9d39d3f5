"""Forms of the editor that were sent after their session had ended: what was typed is kept.

The login page carries the form, nothing is stored. After the login a button sends it again, with
the token of the new session; it leads to the form, never to a save.
"""

import json
import re
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Final

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from drawcli.dashboard.access.auth import CSRF_FIELD, form_token, log_in, verified_form
from drawcli.dashboard.access.rights import Right, require
from drawcli.dashboard.view import bare_page, login_page, parts_of

_KEPT: Final = "kept"
_PATH: Final = re.compile(r"/edit/[a-z]+(?:/[a-z-]+)*")
_LEFT_OUT: Final = frozenset({CSRF_FIELD, "step", "shown", "anyway"})
_FORBIDDEN: Final = 403
MOST_FIELDS: Final = 8000  # a template of 500 structures has some 5,000

_Fields = list[tuple[str, str]]  # a name may be there several times
Handler = Callable[[Request, FormData], Awaitable[Response]]


def editing(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """Return the route of a form of the editor: with its token verified, for users who may edit."""

    @wraps(handler)
    async def answer(request: Request) -> Response:
        try:
            form = await verified_form(request, MOST_FIELDS)
        except HTTPException as err:
            if err.status_code != _FORBIDDEN:
                raise
            fields = _typed(await request.form(max_files=0))
            return _shown_again(request, request.url.path, fields, status=_FORBIDDEN)
        require(request, Right.EDIT)
        return await handler(request, form)

    return answer


async def ask_login(request: Request) -> Response:
    """Return the login page for a form of the editor without a session, with what was typed."""
    try:
        fields = _typed(await request.form(max_files=0, max_fields=MOST_FIELDS))
    except (HTTPException, ValueError, LookupError):
        fields = []
    kept = json.dumps({"path": request.url.path, "fields": fields})
    return login_page(request, status=401, kept=kept)


async def login_again(request: Request) -> Response:
    """Check the password and log in; return the page that sends the kept form again."""
    entry = parts_of(request).entry
    refusal = await log_in(request, entry)
    kept = str((await request.form(max_files=0)).get(_KEPT, ""))
    if refusal is None:
        path, fields = _read(kept)
        answer = _shown_again(request, path, fields)
        entry.remember(request, answer)
        return answer
    trouble = refusal.trouble(named=entry.asks_name)
    answer = login_page(request, trouble, refusal.status, kept=kept)
    answer.headers.update(refusal.headers)
    return answer


def _shown_again(request: Request, path: str, fields: _Fields, *, status: int = 200) -> Response:
    facts = {"action": path, "fields": fields, "csrf": form_token(request)}
    return bare_page(request, "edit_kept.html", status=status, **facts)


def _typed(form: FormData) -> _Fields:
    return [(name, str(value)) for name, value in form.multi_items() if name not in _LEFT_OUT]


def _read(kept: str) -> tuple[str, _Fields]:
    """Return the address and the fields of a kept form; 400 if they are not ours."""
    try:
        plain = json.loads(kept)
        path, fields = plain["path"], plain["fields"]
        texts = [(str(name), str(value)) for name, value in fields]
        if _PATH.fullmatch(path):
            return path, texts
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise HTTPException(400, "The form cannot be read.")
