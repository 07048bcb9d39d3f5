"""Users: who may log in, with which role, and who is logged in. They are changed at a terminal."""

from datetime import UTC, datetime
from typing import NamedTuple

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from drawcli.adapters.state.page_users import ROLES
from drawcli.dashboard.access.auth import SEE_OTHER, Authenticator, verified_form
from drawcli.dashboard.access.rights import Right, Visitor, visitor_of
from drawcli.dashboard.access.sessions import Session
from drawcli.dashboard.view import page, parts_of


class SessionRow(NamedTuple):
    """A session on the page."""

    user: str
    began: datetime
    seen: datetime
    until: datetime
    address: str
    is_own: bool


class UserRow(NamedTuple):
    """A user on the page."""

    name: str
    roles: str
    source: str


def users(request: Request) -> Response:
    """Show users and sessions: all to who may edit, to others their own."""
    entry, visitor = parts_of(request).entry, visitor_of(request)
    own = entry.session(request)
    sessions = entry.sessions.list(entry.is_valid) if entry.requires_login else []
    shown = [one for one in sessions if _may_see(one.user, visitor)]
    return page(
        request,
        "users.html",
        users=_users(entry, visitor),
        sessions=[_row(one, own) for one in shown],
        single_sign_on=entry.single_sign_on,
        limits=entry.sessions.limits,
        sees_all=_sees_all(visitor),
        roles=_in_words(own, entry),
    )


async def logout_everywhere(request: Request) -> Response:
    """End all sessions of the user, in every browser."""
    await verified_form(request)
    parts = parts_of(request)
    session = parts.entry.session(request)
    if session is None:
        raise HTTPException(409, "There is no session to end.")
    await run_in_threadpool(_ended, parts.entry, session)
    request.session.clear()
    return RedirectResponse("/login", SEE_OTHER)


def _ended(entry: Authenticator, session: Session) -> None:
    if session.user:
        entry.users.end_sessions(session.user)  # of every process that serves the page
    entry.sessions.end_all(session.user)


def _sees_all(visitor: Visitor) -> bool:
    return visitor.may(Right.EDIT)


def _may_see(user: str, visitor: Visitor) -> bool:
    return _sees_all(visitor) or user == visitor.name


def _users(entry: Authenticator, visitor: Visitor) -> list[UserRow]:
    known = {
        name: UserRow(name, _words(user.roles), "password")
        for name, user in sorted(entry.users.file.read().users.items())
    }
    for session in entry.sessions.list(entry.is_valid):
        if session.roles is not None:
            row = UserRow(session.user, _words(session.roles), "single sign-on")
            known.setdefault(session.user, row)
    return [row for row in known.values() if _may_see(row.name, visitor)]


def _in_words(own: Session | None, entry: Authenticator) -> str:
    """Return the roles of the user of this session."""
    if own is None or not own.user:
        return ""
    user = entry.users.get(own.user)
    return _words(own.roles if user is None else user.roles)


def _words(roles: frozenset[str] | None) -> str:
    return ", ".join(role for role in ROLES if role in (roles or ()))


def _row(session: Session, own: Session | None) -> SessionRow:
    times = (datetime.fromtimestamp(at, UTC) for at in (session.began, session.seen, session.until))
    began, seen, until = times
    is_own = own is not None and own.id == session.id
    return SessionRow(session.user, began, seen, until, session.address, is_own)
