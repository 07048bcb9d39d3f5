"""Saved filters of the jobs page, in a cookie of the browser: the server keeps none.

A filter holds choices from lists and days, never the words of a search, which may be anything.
"""

import base64
import binascii
import json
from typing import Final, NamedTuple

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from drawcli.dashboard.access.auth import SEE_OTHER, verified_form
from drawcli.dashboard.job_query import JobQuery
from drawcli.dashboard.view import parts_of
from drawcli.errors import UsageError

MOST: Final = 12
_LONGEST_NAME: Final = 40  # characters
_LONGEST: Final = 3800  # bytes of the cookie; browsers keep 4096 with its name
_DAYS: Final = 400  # browsers keep no cookie longer


class SavedFilter(NamedTuple):
    """A filter with its name."""

    name: str
    address: str


def saved_filters(request: Request) -> list[SavedFilter]:
    """Return the saved filters of a browser; what is damaged is left out."""
    try:
        raw = base64.urlsafe_b64decode(request.cookies.get(_cookie(request), ""))
        pairs = [(str(name), str(query)) for name, query in json.loads(raw or b"[]")]
    except (binascii.Error, ValueError, TypeError, RecursionError):
        return []
    return [SavedFilter(name[:_LONGEST_NAME], _address(query)) for name, query in pairs[:MOST]]


async def save_filter(request: Request) -> Response:
    """Save the filter of a form under a name, or remove the one of that name."""
    form = await verified_form(request)
    name = " ".join(str(form.get("name", "")).split())[:_LONGEST_NAME]
    if not name or not name.isprintable():
        raise UsageError("a saved filter needs a name", hint="Give it one of up to 40 characters.")
    others = [one for one in saved_filters(request) if one.name != name]
    address = _address(str(form.get("query", "")).partition("?")[2])
    if form.get("remove"):
        return _stored(request, others, "/jobs")
    if len(others) >= MOST:
        raise UsageError(f"there are {MOST} saved filters", hint="Remove one first.")
    return _stored(request, [*others, SavedFilter(name, address)], address)


def _stored(request: Request, filters: list[SavedFilter], to: str) -> Response:
    pairs = [(one.name, one.address.partition("?")[2]) for one in filters]
    value = base64.urlsafe_b64encode(json.dumps(pairs).encode("ascii")).decode("ascii")
    if len(value) > _LONGEST:
        raise UsageError("the saved filters are too long", hint="Remove one first.")
    answer = RedirectResponse(to, SEE_OTHER)
    answer.set_cookie(
        _cookie(request),
        value,
        max_age=_DAYS * 24 * 3600,
        path="/jobs",
        secure=parts_of(request).options.over_tls,
        httponly=True,
        samesite="strict",
    )
    return answer


def _address(query: str) -> str:
    """Return the address of a filter, from its query as it was given."""
    return JobQuery.of(QueryParams(query[:1000])).address(words="")


def _cookie(request: Request) -> str:
    return f"drawcli-filters-{parts_of(request).options.port}"
