"""users: who may log in to the web page, and what each may do there."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from drawcli.cli import render
from drawcli.cli.door import Door, group
from drawcli.cli.render import Result
from drawcli.errors import UsageError
from drawcli.system.packages import not_installed

if TYPE_CHECKING:
    from collections.abc import Callable

    from drawcli.dashboard.access.users import Users

NameArgument = Annotated[str, typer.Argument(help="The name of the user.", metavar="NAME")]
_ROLES = "view, patients, act or edit; view is always included."


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    commands: dict[str, Callable[..., Result]] = {
        "add": add,
        "list": list_users,
        "role": role,
        "password": password,
        "logout": logout,
        "remove": remove,
    }
    group(app, "users", commands, what="Users of the web page, and their roles.")


def add(
    door: Door,
    name: NameArgument,
    roles: Annotated[
        list[str] | None, typer.Option("--role", help=f"{_ROLES} May be repeated.")
    ] = None,
) -> Result:
    """Add a user. The password is typed twice, or one line of standard input."""
    from drawcli.adapters.state.page_users import roles_of, user_name

    users, who, given = _users(door), user_name(name), roles_of(roles or ())
    if users.get(who) is not None:
        raise UsageError(
            f"there is a user '{who}' already",
            hint=f"'drawcli users role {who} ...' changes the roles.",
        )
    words = _new_password(door)
    _record(door, "add-user", who, given)
    users.add(who, given, words)
    return _done(who, "added", given)


def list_users(door: Door) -> Result:
    """List the users with their roles."""
    users = _users(door).file.read().users
    rows = [(name, _in_words(user.roles)) for name, user in sorted(users.items())]
    plain = [{"name": name, "roles": roles.split()} for name, roles in rows]
    if not rows:
        rows = [("(none)", "'drawcli users add NAME' adds one")]
    return Result(data={"users": plain}, show=render.columns(("user", "roles"), rows))


def role(
    door: Door,
    name: NameArgument,
    roles: Annotated[list[str], typer.Argument(help=_ROLES, metavar="ROLE...")],
) -> Result:
    """Change the roles of a user; valid at once."""
    from drawcli.adapters.state.page_users import roles_of, user_name

    given = roles_of(roles)
    users, who = _known(door, user_name(name))
    _record(door, "set-roles", who, given)
    users.set_roles(who, given)
    return _done(who, "has new roles", given)


def password(door: Door, name: NameArgument) -> Result:
    """Change the password of a user, and end the sessions."""
    from drawcli.adapters.state.page_users import user_name

    users, who = _known(door, user_name(name))
    words = _new_password(door)
    _record(door, "set-password", who)
    users.set_password(who, words)
    return _done(who, "has a new password; all sessions are ended")


def logout(door: Door, name: NameArgument) -> Result:
    """End all sessions of a user, including single sign-on."""
    from drawcli.adapters.state.page_users import user_name

    users, who = _users(door), user_name(name)
    _record(door, "end-sessions", who)
    users.end_sessions(who)
    return _done(who, "is logged out everywhere")


def remove(door: Door, name: NameArgument) -> Result:
    """Remove a user; the sessions end at once."""
    from drawcli.adapters.state.page_users import user_name

    users, who = _known(door, user_name(name))
    _record(door, "remove-user", who)
    users.remove(who)
    return _done(who, "removed")


def _users(door: Door) -> "Users":
    try:
        from drawcli.dashboard.access.users import Users
    except ImportError:
        raise not_installed("the dashboard", "web") from None
    return Users(door.settings().state_dir)


def _known(door: Door, name: str) -> "tuple[Users, str]":
    users = _users(door)
    if users.file.read().users.get(name) is None:
        raise UsageError(f"there is no user '{name}'", hint="'drawcli users list' shows the users.")
    return users, name


def asked_password(door: Door) -> str:
    """Return a new password: typed twice, or a line of standard input."""
    if not door.can_ask:
        return sys.stdin.readline().rstrip("\r\n")
    from drawcli.cli.prompts import asked_unseen

    words = asked_unseen("password")
    if asked_unseen("once more") != words:
        raise UsageError("the two passwords differ", hint="Run the command again.")
    return words


def _new_password(door: Door) -> str:
    """Return a new password that is neither too short nor too long."""
    from drawcli.dashboard.access.password import check_words

    words = asked_password(door)
    check_words(words)
    return words


def _record(door: Door, action: str, name: str, roles: frozenset[str] | None = None) -> None:
    from drawcli.adapters.state.audit_log import record_action
    from drawcli.pipeline.context import utc_now

    facts = {} if roles is None else {"roles": _in_words(roles)}
    record_action(door.settings().state_dir, action, utc_now(), about=name, **facts)


def _done(name: str, what: str, roles: frozenset[str] | None = None) -> Result:
    words = "" if roles is None else _in_words(roles)
    data = {"user": name, "done": what} | ({} if roles is None else {"roles": words.split()})
    return Result(data=data, show=render.lines([("user", f"{name} {what}"), ("roles", words)]))


def _in_words(roles: frozenset[str]) -> str:
    from drawcli.adapters.state.page_users import ROLES

    return " ".join(one for one in ROLES if one in roles)
